/* Vectors for tests of the device's kernels: filled, copied to the device and back. Device memory has exactly
 * the size that is asked for, so that AddressSanitizer sees every overrun. */
#ifndef FL_TESTS_UNIT_CUDA_ON_DEVICE_H
#define FL_TESTS_UNIT_CUDA_ON_DEVICE_H

#ifdef FL_TEST_CARD
#include "test.h"
#else
#include "schedules.h"
#endif

#include <float.h>
#include <math.h>

#include <cuda_runtime_api.h>

#include "base/random.h"

#ifdef FL_TEST_CARD
#define TILE ((size_t)4096) /* 128 threads, 32 elements each */

static inline void fl_schedules_each(void (*check)(void *context), void *context)
{
    check(context);
}
#else
#define TILE ((size_t)2048) /* 64 threads */
#endif

/* What ctest is told of a test that could not run. */
#define SKIPPED 77

/* Runs the tests, unless there is no device. */
#define run_on_device(tests) (device_is_missing() ? SKIPPED : cmocka_run_group_tests(tests, NULL, NULL))

static inline int device_is_missing(void)
{
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0)
        return 0;
    printf("skipped: no device (%s)\n", error == cudaSuccess ? "none is there" : cudaGetErrorString(error));
    return 1;
}

#define MOST (9 * TILE + 77)

static const size_t sizes[] = {
    0, 1, 31, 32, 33, 63, 64, TILE - 1, TILE, TILE + 1, 2 * TILE - 31, 4 * TILE + 5, 9 * TILE + 77};
#define SIZES (sizeof sizes / sizeof sizes[0])

#define assert_queued(call) assert_int_equal(call, cudaSuccess)

static inline void *device_new(size_t bytes)
{
    void *memory = NULL;
    assert_queued(cudaMalloc(&memory, bytes ? bytes : 1));
    return memory;
}

static inline void *device_zeroed(size_t bytes)
{
    void *memory = device_new(bytes);
    assert_queued(cudaMemset(memory, 0, bytes));
    return memory;
}

static inline void *device_copy(const void *from, size_t bytes)
{
    void *memory = device_new(bytes);
    assert_queued(cudaMemcpy(memory, from, bytes, cudaMemcpyHostToDevice));
    return memory;
}

/* Waits for all that is queued. */
static inline void device_read(void *to, const void *from, size_t bytes)
{
    assert_queued(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost));
}

static inline void device_free(void *memory)
{
    assert_queued(cudaFree(memory));
}

/* Values special to a comparison with lambda, a few times each, and a share of about density above it. */
static inline void fill(float *x, size_t n, float lambda, double density, uint64_t stream)
{
    const float special[] = {0.0f,    -0.0f,         FLT_TRUE_MIN,          -FLT_MIN / 3,  lambda,
                             -lambda, 1.5f * lambda, nextafterf(lambda, 0), -2.5f * lambda};
    struct fl_random random;
    fl_random_init(&random, 7, stream);
    for (size_t i = 0; i < n; i++) {
        uint32_t kind = fl_random_u32(&random) % 256;
        float size = fl_random_float(&random) * lambda;
        int large = fl_random_double(&random) < density;
        x[i] = large ? lambda + size * 5 : size * 0.99f;
        x[i] = fl_random_u32(&random) & 1 ? x[i] : -x[i];
        if (density > 0 && kind < 9)
            x[i] = special[kind];
    }
}

#endif
