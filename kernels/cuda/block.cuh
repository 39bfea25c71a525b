/* What the threads of a block work out together. Private to this folder. */
#ifndef FL_KERNELS_CUDA_BLOCK_CUH
#define FL_KERNELS_CUDA_BLOCK_CUH

#include "kernels/cuda/launch.cuh"

#define FL_CUDA_WARP      32u
#define FL_CUDA_WARPS_MAX 32u /* of a block */
#define FL_CUDA_FULL_WARP 0xffffffffu

/* One number of each warp. */
struct fl_cuda_warps {
    unsigned sums[FL_CUDA_WARPS_MAX];
};

static __device__ __forceinline__ unsigned fl_cuda_lane(void)
{
    return threadIdx.x % FL_CUDA_WARP;
}

/* This thread's number in the whole grid, and the grid's threads. */
static __device__ __forceinline__ size_t fl_cuda_thread(void)
{
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static __device__ __forceinline__ size_t fl_cuda_threads(void)
{
    return (size_t)gridDim.x * blockDim.x;
}

/* The sum of value over the block's threads before this one; over all of them to *ret_total. For all threads
 * of a block of whole warps; between two calls with the same warps there must be a barrier. */
static __device__ __forceinline__ unsigned fl_cuda_sum_before(unsigned value, struct fl_cuda_warps *warps,
                                                              unsigned *ret_total)
{
    unsigned sum = value, warp = threadIdx.x / FL_CUDA_WARP, before = 0, total = 0;
    for (unsigned distance = 1; distance < FL_CUDA_WARP; distance *= 2) {
        unsigned other = __shfl_up_sync(FL_CUDA_FULL_WARP, sum, distance);
        sum += fl_cuda_lane() >= distance ? other : 0;
    }
    if (fl_cuda_lane() == FL_CUDA_WARP - 1)
        warps->sums[warp] = sum;
    __syncthreads();
    for (unsigned w = 0; w < blockDim.x / FL_CUDA_WARP; w++) {
        before += w < warp ? warps->sums[w] : 0;
        total += warps->sums[w];
    }
    *ret_total = total;
    return before + sum - value;
}

#endif
