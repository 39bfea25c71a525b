#include "count_band.h"

#include "kernels/cuda/launch.cuh"

#define THREADS 64 /* two warps */

struct count_shared {
    unsigned of_warp[THREADS / 32];
};

static __global__ void count_kernel(const float *x, size_t n, float low, float high, unsigned *count)
{
    FL_SHARED(struct count_shared, shared);
    unsigned mine = 0, lane = threadIdx.x % 32;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n;
         i += (size_t)gridDim.x * blockDim.x) {
        float size = x[i] < 0 ? -x[i] : x[i];
        mine += size >= low && size < high;
    }
    for (unsigned step = 16; step; step /= 2)
        mine += __shfl_down_sync(0xffffffffu, mine, step);
    if (lane == 0)
        shared.of_warp[threadIdx.x / 32] = mine;
    __syncthreads();
    if (threadIdx.x == 0)
        atomicAdd(count, shared.of_warp[0] + shared.of_warp[1]);
}

void count_band(const float *d_x, size_t n, float low, float high, unsigned *d_count, unsigned blocks,
                cudaStream_t stream)
{
    FL_LAUNCH(count_kernel, blocks, THREADS, stream, d_x, n, low, high, d_count);
}
