#include "kernels/emu/runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/emu/grid.h"
#include "kernels/emu/report.h"

struct fl_runtime fl_runtime;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int configured;
static _Thread_local cudaError_t last_error;

#define ERROR_LIST(X)                                                                                        \
    X(cudaSuccess, "no error")                                                                               \
    X(cudaErrorInvalidValue, "invalid argument")                                                             \
    X(cudaErrorMemoryAllocation, "out of memory")                                                            \
    X(cudaErrorInvalidConfiguration, "invalid configuration argument")                                       \
    X(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy")                                  \
    X(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version")           \
    X(cudaErrorNoDevice, "no CUDA-capable device is detected")                                               \
    X(cudaErrorInvalidDevice, "invalid device ordinal")                                                      \
    X(cudaErrorInvalidResourceHandle, "invalid resource handle")                                             \
    X(cudaErrorNotReady, "device not ready")                                                                 \
    X(cudaErrorLaunchOutOfResources, "too many resources requested for launch")                              \
    X(cudaErrorUnknown, "unknown error")

static const struct {
    cudaError_t error;
    const char *name, *text;
} errors[] = {
#define X(error, text) {error, #error, text},
    ERROR_LIST(X)
#undef X
};

static size_t find_error(cudaError_t error)
{
    size_t last = sizeof errors / sizeof *errors - 1;
    for (size_t i = 0; i < last; i++) {
        if (errors[i].error == error)
            return i;
    }
    return last;
}

const char *cudaGetErrorName(cudaError_t error)
{
    return errors[find_error(error)].name;
}

const char *cudaGetErrorString(cudaError_t error)
{
    return errors[find_error(error)].text;
}

cudaError_t cudaPeekAtLastError(void)
{
    return last_error;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

/* Options. */

static int read_schedule(const char *text, struct fl_emu_options *options)
{
    static const char random[] = "random:";
    char *end;
    if (!strcmp(text, "forward")) {
        options->schedule = FL_EMU_FORWARD;
        return 1;
    }
    if (!strcmp(text, "reverse")) {
        options->schedule = FL_EMU_REVERSE;
        return 1;
    }
    if (strncmp(text, random, strlen(random)) || !strchr("0123456789", text[strlen(random)]) ||
        !text[strlen(random)])
        return 0;
    options->schedule = FL_EMU_RANDOM;
    options->seed = strtoull(text + strlen(random), &end, 10);
    return !*end;
}

struct fl_emu_options fl_emu_defaults(void)
{
    struct fl_emu_options options = {
        .seed = 1, .resident_blocks = 4, .devices = 1, .memory_bytes = (size_t)4 << 30, .patience_s = 20};
#ifndef __x86_64__
    options.switching = FL_EMU_UCONTEXT;
#endif
    const char *schedule = getenv("FL_EMU_SCHEDULE");
    if (schedule && !read_schedule(schedule, &options))
        fl_report_environment("FL_EMU_SCHEDULE", schedule, "forward, reverse or random:SEED");
    return options;
}

static void take_options(const struct fl_emu_options *options)
{
    fl_runtime.options = *options;
    fl_grid_seed(options->seed);
    configured = 1;
}

void fl_runtime_enter(void)
{
    pthread_mutex_lock(&lock);
    if (!configured) {
        struct fl_emu_options options = fl_emu_defaults();
        take_options(&options);
    }
}

cudaError_t fl_runtime_leave(cudaError_t error)
{
    pthread_mutex_unlock(&lock);
    if (error)
        last_error = error;
    return error;
}

void fl_emu_configure(const struct fl_emu_options *options)
{
    fl_runtime_enter();
    fl_stream_drain_all();
    take_options(options);
    fl_runtime_leave(cudaSuccess);
}

void fl_emu_fail_allocation(unsigned nth)
{
    fl_runtime_enter();
    fl_runtime.fail_allocation = nth;
    fl_runtime_leave(cudaSuccess);
}

void fl_emu_fail_launch(unsigned nth)
{
    fl_runtime_enter();
    fl_runtime.fail_launch = nth;
    fl_runtime_leave(cudaSuccess);
}

int fl_runtime_fails(unsigned *countdown)
{
    return *countdown && --*countdown == 0;
}

struct fl_emu_counts fl_emu_read_counts(void)
{
    fl_runtime_enter();
    struct fl_emu_counts counts = fl_runtime.counts;
    fl_runtime_leave(cudaSuccess);
    return counts;
}

/* The device. */

cudaError_t fl_runtime_device(void)
{
    return fl_runtime.options.devices > 0 ? cudaSuccess : cudaErrorNoDevice;
}

static cudaError_t check_device(int device)
{
    cudaError_t error = fl_runtime_device();
    if (!error && (device < 0 || device >= fl_runtime.options.devices))
        error = cudaErrorInvalidDevice;
    return error;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    fl_runtime_enter();
    *count = fl_runtime.options.devices;
    return fl_runtime_leave(fl_runtime_device());
}

cudaError_t cudaSetDevice(int device)
{
    fl_runtime_enter();
    return fl_runtime_leave(check_device(device));
}

/* All devices are the same memory and the same threads; the current one is always told as the first. */
cudaError_t cudaGetDevice(int *device)
{
    fl_runtime_enter();
    *device = 0;
    return fl_runtime_leave(fl_runtime_device());
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    fl_runtime_enter();
    cudaError_t error = check_device(device);
    if (!error)
        *properties = (struct cudaDeviceProp){.name = "emulator",
                                              .totalGlobalMem = fl_runtime.options.memory_bytes,
                                              .sharedMemPerBlock = 49152,
                                              .warpSize = FL_EMU_WARP,
                                              .maxThreadsPerBlock = FL_EMU_WARP * FL_EMU_WARPS_MAX,
                                              .maxThreadsDim = {1024, 1024, 64},
                                              .maxGridSize = {INT32_MAX, 65535, 65535},
                                              .major = 8,
                                              .minor = 0,
                                              .multiProcessorCount = (int)fl_runtime.options.resident_blocks,
                                              .l2CacheSize = 4 << 20,
                                              .memoryBusWidth = 64};
    return fl_runtime_leave(error);
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    struct cudaDeviceProp properties;
    cudaError_t error = cudaGetDeviceProperties(&properties, device);
    if (error)
        return error;
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
        *value = properties.maxThreadsPerBlock;
        return cudaSuccess;
    case cudaDevAttrWarpSize:
        *value = properties.warpSize;
        return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
        *value = properties.multiProcessorCount;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
        *value = properties.major;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
        *value = properties.minor;
        return cudaSuccess;
    }
    fl_runtime_enter();
    return fl_runtime_leave(cudaErrorInvalidValue);
}
