/* The one symbol that the plugin exports, and the operations that are no more than a copy. */
#include "client/device/plugin.cuh"

#include <stdio.h>
#include <utility>

#include "client/device/session.cuh"

#ifdef FL_EMU
#define NAME "emulated CUDA, for tests"
#else
#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)
#define NAME       "CUDA runtime " TEXT(CUDART_VERSION)
#endif

int fl_plugin_fail(struct fl_device_text *text, const char *what, cudaError_t error)
{
    snprintf(text->text, sizeof text->text, "%s: %s (%s)", what, cudaGetErrorString(error),
             cudaGetErrorName(error));
    switch (error) {
    case cudaErrorMemoryAllocation:
        return FL_DEVICE_NOMEM;
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorInvalidDevice:
        return FL_DEVICE_NONE;
    default:
        return FL_DEVICE_FAILED;
    }
}

static int describe(uint32_t device, struct fl_device_info *ret_info, struct fl_device_text *text)
{
    int count = 0, driver = 0, runtime = 0;
    size_t free_bytes, total_bytes;
    cudaDeviceProp properties;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (!error && device >= (uint32_t)count) {
        snprintf(text->text, sizeof text->text, "there is no device %u, there are %d", device, count);
        return FL_DEVICE_NONE;
    }
    if (!error)
        error = cudaSetDevice((int)device);
    if (!error)
        error = cudaGetDeviceProperties(&properties, (int)device);
    if (!error)
        error = cudaMemGetInfo(&free_bytes, &total_bytes);
    if (!error)
        error = cudaDriverGetVersion(&driver);
    if (!error)
        error = cudaRuntimeGetVersion(&runtime);
    if (error)
        return fl_plugin_fail(text, "asking for the device", error);
    struct fl_device_info info = {};
    snprintf(info.name, sizeof info.name, "%.*s", (int)sizeof info.name - 1, properties.name);
    info.capability = (uint32_t)(10 * properties.major + properties.minor);
    info.driver = (uint32_t)driver;
    info.runtime = (uint32_t)runtime;
    info.memory_bytes = total_bytes;
    info.free_bytes = free_bytes;
    *ret_info = info;
    return FL_DEVICE_OK;
}

static const char *error(const struct fl_device_session *s)
{
    return s->text.text;
}

static void use(const struct fl_device_session *s, struct fl_device_use *ret_use)
{
    struct fl_device_use found = {};
    found.device_bytes = s->device_bytes;
    found.pinned_bytes = s->pinned_bytes;
    found.train_resident = s->train.x != NULL;
    found.test_resident = s->test.x != NULL;
    *ret_use = found;
}

static size_t vector_bytes(const struct fl_device_session *s)
{
    return s->network.elems * sizeof(float);
}

static int put_replica(struct fl_device_session *s, const float *values)
{
    FL_TRY(s, "copying the model", fl_bus_up(&s->bus, s->replica, values, vector_bytes(s), s->stream));
    return FL_DEVICE_OK;
}

static int put_residual(struct fl_device_session *s, const float *values)
{
    FL_TRY(s, "copying the residual", fl_bus_up(&s->bus, s->residual, values, vector_bytes(s), s->stream));
    return FL_DEVICE_OK;
}

static int get_end(struct fl_device_session *s, float *ret_values)
{
    FL_TRY(s, "copying from the device",
           fl_bus_down(&s->bus, ret_values, s->end, vector_bytes(s), s->stream));
    return FL_DEVICE_OK;
}

static int commit(struct fl_device_session *s)
{
    std::swap(s->residual, s->end);
    return FL_DEVICE_OK;
}

static const struct fl_device_ops ops = {
    FL_DEVICE_ABI,
    sizeof(struct fl_device_ops),
    NAME,
    describe,
    fl_session_open,
    fl_session_close,
    error,
    use,
    put_replica,
    put_residual,
    fl_session_assign,
    fl_session_train_begin,
    fl_session_train_step,
    fl_session_train_end,
    get_end,
    fl_session_evaluate,
    fl_session_delta,
    fl_session_take,
    fl_session_get_taken,
    commit,
    fl_session_time,
};

extern "C" __attribute__((visibility("default"))) const struct fl_device_ops *fl_device_plugin(void);

extern "C" const struct fl_device_ops *fl_device_plugin(void)
{
    return &ops;
}
