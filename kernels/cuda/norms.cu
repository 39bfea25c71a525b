#include "kernels/cuda/norms.h"

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/workspace.cuh"
#include "kernels/exact.h"

struct worst_shared {
    struct fl_cuda_warps warps; /* the largest of each warp */
};

static __global__ void __launch_bounds__(FL_CUDA_THREADS)
    worst_kernel(const float *x, size_t n, uint32_t *ret_bits)
{
    FL_SHARED(struct worst_shared, shared);
    uint32_t most = 0;
    for (size_t i = fl_cuda_thread(); i < n; i += fl_cuda_threads()) {
        const uint32_t magnitude = fl_bits_of(x[i]) & FL_BITS_MAGNITUDE;
        most = magnitude > most ? magnitude : most;
    }
    for (int lanes = FL_CUDA_WARP / 2; lanes > 0; lanes /= 2) {
        const uint32_t other = __shfl_xor_sync(FL_CUDA_FULL_WARP, most, lanes);
        most = other > most ? other : most;
    }
    if (fl_cuda_lane() == 0)
        shared.warps.sums[threadIdx.x / FL_CUDA_WARP] = most;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (unsigned w = 1; w < blockDim.x / FL_CUDA_WARP; w++)
            most = shared.warps.sums[w] > most ? shared.warps.sums[w] : most;
        atomicMax(ret_bits, most);
    }
}

cudaError_t fl_cuda_worst(const float *x, size_t n, uint32_t *ret_bits, cudaStream_t stream)
{
    cudaError_t error = cudaMemsetAsync(ret_bits, 0, sizeof *ret_bits, stream);
    if (error != cudaSuccess || n == 0)
        return error;
    FL_LAUNCH(worst_kernel, fl_cuda_walkers(n), FL_CUDA_THREADS, stream, x, n, ret_bits);
    return cudaGetLastError();
}

/* The sums of a run's lanes, each in a thread of its own: eight neighbours for a run. */
#define LANES 8

static __global__ void __launch_bounds__(FL_CUDA_THREADS)
    run_kernel(const float *x, size_t n, double *ret_sums)
{
    const size_t run = fl_cuda_thread() / LANES, first = run * FL_KERNELS_RUN;
    const size_t end = n < first + FL_KERNELS_RUN ? n : first + FL_KERNELS_RUN;
    double lane_sum = 0;
    for (size_t i = first + threadIdx.x % LANES; i < end; i += LANES)
        lane_sum = fl_exact_add_square(lane_sum, x[i]);
    double sum = __shfl_sync(FL_CUDA_FULL_WARP, lane_sum, 0, LANES);
    for (int lane = 1; lane < LANES; lane++)
        sum = fl_exact_add_wide(sum, __shfl_sync(FL_CUDA_FULL_WARP, lane_sum, lane, LANES));
    if (threadIdx.x % LANES == 0 && first < n)
        ret_sums[run] = sum;
}

/* Adds the runs' sums from the first to the last. One warp, whose threads hold 32 sums and all add the same.
 */
static __global__ void add_runs_kernel(const double *sums, size_t runs, double *ret_sum)
{
    double sum = 0;
    for (size_t at = 0; at < runs; at += FL_CUDA_WARP) {
        const double mine = at + threadIdx.x < runs ? sums[at + threadIdx.x] : 0;
        for (int lane = 0; lane < (int)FL_CUDA_WARP; lane++)
            sum = fl_exact_add_wide(sum, __shfl_sync(FL_CUDA_FULL_WARP, mine, lane));
    }
    if (threadIdx.x == 0)
        *ret_sum = sum;
}

cudaError_t fl_cuda_sum_squares(const float *x, size_t n, void *memory, double *ret_sum, cudaStream_t stream)
{
    struct fl_cuda_workspace workspace;
    const unsigned runs = fl_cuda_parts(n, FL_KERNELS_RUN);
    if (n == 0)
        return cudaMemsetAsync(ret_sum, 0, sizeof *ret_sum, stream);
    fl_cuda_workspace_lay_out(memory, n, &workspace);
    FL_LAUNCH(run_kernel, fl_cuda_parts((size_t)runs * LANES, FL_CUDA_THREADS), FL_CUDA_THREADS, stream, x, n,
              workspace.runs);
    FL_LAUNCH(add_runs_kernel, 1, FL_CUDA_WARP, stream, workspace.runs, runs, ret_sum);
    return cudaGetLastError();
}
