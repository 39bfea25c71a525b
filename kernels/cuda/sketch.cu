#include "kernels/cuda/sketch.h"

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/workspace.cuh"

static __device__ __forceinline__ unsigned long long warp_sum(unsigned long long value)
{
    for (int lanes = FL_CUDA_WARP / 2; lanes > 0; lanes /= 2)
        value += __shfl_xor_sync(FL_CUDA_FULL_WARP, value, lanes);
    return value;
}

/* The sum of |units|, in two halves as it may need more than 64 bits, and what is wrong with x. */
static __global__ void __launch_bounds__(FL_CUDA_THREADS)
    weigh_kernel(const float *x, size_t n, double per_unit, struct fl_cuda_sketch_state *state)
{
    unsigned long long low = 0, high = 0;
    bool bad = false, large = false;
    for (size_t i = fl_cuda_thread(); i < n; i += fl_cuda_threads()) {
        if ((fl_bits_of(x[i]) & FL_BITS_MAGNITUDE) >= FL_BITS_INFINITY) {
            bad = true;
        } else if (fabs(fl_exact_multiply_wide((double)x[i], per_unit)) >= FL_SKETCH_LEVEL_LIMIT) {
            large = true;
        } else {
            const int64_t level = fl_sketch_level(x[i], per_unit);
            const uint64_t units = (uint64_t)(level < 0 ? -level : level);
            low += (uint32_t)units;
            high += units >> 32;
        }
    }
    low = warp_sum(low);
    high = warp_sum(high);
    const bool any_bad = __any_sync(FL_CUDA_FULL_WARP, bad), any_large = __any_sync(FL_CUDA_FULL_WARP, large);
    if (fl_cuda_lane() != 0)
        return;
    atomicAdd((unsigned long long *)&state->low, low);
    atomicAdd((unsigned long long *)&state->high, high);
    if (any_bad)
        atomicOr(&state->not_finite, 1u);
    if (any_large)
        atomicOr(&state->out_of_range, 1u);
}

/* One thread. */
static __global__ void admit_kernel(struct fl_cuda_sketch_state *state)
{
    const unsigned __int128 load = ((unsigned __int128)state->high << 32) + state->low + state->load;
    if (load > FL_SKETCH_LOAD_MAX)
        state->out_of_range = 1;
    if (!state->not_finite && !state->out_of_range)
        state->load = (uint64_t)load;
}

/* A thread for each element; neighbours of a block work out the same hash. */
static __global__ void __launch_bounds__(FL_CUDA_THREADS)
    insert_kernel(struct fl_cuda_sketch sketch, const float *x, size_t n)
{
    const size_t i = fl_cuda_thread();
    if (sketch.state->not_finite || sketch.state->out_of_range || i >= n)
        return;
    const struct fl_sketch_hash *hash = sketch.hash;
    const uint64_t block = i / hash->block, lane = i % hash->block;
    const int64_t level = fl_sketch_level(x[i], sketch.per_unit);
    for (uint32_t row = 0; row < sketch.rows && level != 0; row++) {
        const size_t column = fl_sketch_column(hash, fl_sketch_spot(hash, row, block)) + lane;
        const uint64_t signs = fl_sketch_signs(hash, row, block);
        int64_t *cell = sketch.cells + row * hash->groups * hash->block + column;
        atomicAdd((unsigned long long *)cell, (unsigned long long)fl_sketch_signed(level, signs, lane));
    }
}

cudaError_t fl_cuda_sketch_insert(const struct fl_cuda_sketch *sketch, const float *x, size_t n,
                                  cudaStream_t stream)
{
    struct fl_cuda_sketch_state *state = sketch->state;
    if (n == 0)
        return cudaSuccess;
    cudaError_t error =
        cudaMemsetAsync(&state->low, 0, sizeof *state - offsetof(struct fl_cuda_sketch_state, low), stream);
    if (error != cudaSuccess)
        return error;
    FL_LAUNCH(weigh_kernel, fl_cuda_walkers(n), FL_CUDA_THREADS, stream, x, n, sketch->per_unit, state);
    FL_LAUNCH(admit_kernel, 1, 1, stream, state);
    FL_LAUNCH(insert_kernel, fl_cuda_parts(n, FL_CUDA_THREADS), FL_CUDA_THREADS, stream, *sketch, x, n);
    return cudaGetLastError();
}
