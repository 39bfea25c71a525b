#include "kernels/cuda/cut.h"

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/workspace.cuh"
#include "kernels/dgc.h"

/* Digits that each thread of the choosing block looks at. */
#define CHOOSE_THREADS 64
#define DIGITS_EACH    (FL_CUDA_DIGITS / CHOOSE_THREADS)

/* Only where *wanted is 1, if wanted is not NULL. One block of CHOOSE_THREADS. */
static __global__ void begin_kernel(struct fl_cuda_selection *selection, uint32_t *histogram, uint32_t rank,
                                    const uint32_t *wanted)
{
    for (unsigned i = threadIdx.x; i < FL_CUDA_DIGITS; i += blockDim.x)
        histogram[i] = 0;
    if (threadIdx.x == 0) {
        selection->prefix = 0;
        selection->rank = rank;
        selection->is_off = wanted && !*wanted;
    }
}

struct count_shared {
    unsigned counts[FL_CUDA_DIGITS];
};

/* Counts each digit but 0 (what no other digit has room for must have that one) at shift among the magnitudes
 * with the prefix. Elements x[0], x[stride], ..., n of them. */
static __global__ void __launch_bounds__(FL_CUDA_THREADS)
    count_kernel(const float *x, size_t n, size_t stride, int shift,
                 const struct fl_cuda_selection *selection, uint32_t *histogram)
{
    FL_SHARED(struct count_shared, shared);
    if (selection->is_off)
        return;
    for (unsigned i = threadIdx.x; i < FL_CUDA_DIGITS; i += blockDim.x)
        shared.counts[i] = 0;
    __syncthreads();
    const uint32_t prefix = selection->prefix;
    for (size_t i = fl_cuda_thread(); i < n; i += fl_cuda_threads()) {
        const uint32_t magnitude = fl_bits_of(x[i * stride]) & FL_BITS_MAGNITUDE;
        const uint32_t digit = magnitude >> shift & (FL_CUDA_DIGITS - 1);
        if ((uint64_t)magnitude >> (shift + FL_CUDA_DIGIT_BITS) ==
                (uint64_t)prefix >> (shift + FL_CUDA_DIGIT_BITS) &&
            digit)
            atomicAdd(&shared.counts[digit], 1u);
    }
    __syncthreads();
    for (unsigned i = threadIdx.x; i < FL_CUDA_DIGITS; i += blockDim.x) {
        if (shared.counts[i])
            atomicAdd(&histogram[i], shared.counts[i]);
    }
}

struct choose_shared {
    struct fl_cuda_warps warps;
};

/* The digit of the rank-th largest, and the rank among those that have it; at shift 0 that is the cut. The
 * histogram is empty again afterwards. One block of CHOOSE_THREADS; the first looks at the largest digits. */
static __global__ void __launch_bounds__(CHOOSE_THREADS)
    choose_kernel(int shift, struct fl_cuda_selection *selection, uint32_t *histogram,
                  struct fl_cuda_cut *ret_cut)
{
    FL_SHARED(struct choose_shared, shared);
    if (selection->is_off)
        return;
    const uint32_t prefix = selection->prefix, rank = selection->rank;
    const unsigned largest = FL_CUDA_DIGITS - 1 - threadIdx.x * DIGITS_EACH;
    unsigned sum = 0, all;
    for (unsigned j = 0; j < DIGITS_EACH; j++)
        sum += histogram[largest - j];
    unsigned before = fl_cuda_sum_before(sum, &shared.warps, &all);
    const bool is_here = before < rank && rank <= before + sum, is_nowhere = rank > all && threadIdx.x == 0;
    if (is_here || is_nowhere) {
        unsigned digit = is_here ? largest : 0;
        for (; is_here && before + histogram[digit] < rank; digit--)
            before += histogram[digit];
        const uint32_t found = prefix | digit << shift, left = rank - (is_here ? before : all);
        selection->prefix = found;
        selection->rank = left;
        if (shift == 0) {
            ret_cut->least = found;
            ret_cut->equal = left;
        }
    }
    for (unsigned j = 0; j < DIGITS_EACH; j++)
        histogram[largest - j] = 0;
}

/* The rank-th largest magnitude among x[0], x[stride], ..., n of them, to *ret_cut; where `wanted` says so.
 */
static void select(const float *x, size_t n, size_t stride, size_t rank, const uint32_t *wanted,
                   const struct fl_cuda_workspace *workspace, struct fl_cuda_cut *ret_cut,
                   cudaStream_t stream)
{
    FL_LAUNCH(begin_kernel, 1, CHOOSE_THREADS, stream, workspace->selection, workspace->histogram,
              (uint32_t)rank, wanted);
    for (int shift = 2 * FL_CUDA_DIGIT_BITS; shift >= 0; shift -= FL_CUDA_DIGIT_BITS) {
        FL_LAUNCH(count_kernel, fl_cuda_walkers(n), FL_CUDA_THREADS, stream, x, n, stride, shift,
                  workspace->selection, workspace->histogram);
        FL_LAUNCH(choose_kernel, 1, CHOOSE_THREADS, stream, shift, workspace->selection, workspace->histogram,
                  ret_cut);
    }
}

cudaError_t fl_cuda_cut_top(const float *x, size_t n, size_t k, void *memory, struct fl_cuda_cut *ret_cut,
                            cudaStream_t stream)
{
    struct fl_cuda_workspace workspace;
    fl_cuda_workspace_lay_out(memory, n, &workspace);
    select(x, n, 1, k, NULL, &workspace, ret_cut, stream);
    return cudaGetLastError();
}

/* The search starts from the magnitude that the sample's selection found. One thread. */
static __global__ void search_kernel(struct fl_cuda_search *search, const struct fl_cuda_cut *cut)
{
    search->threshold = fl_bits_of(fmaxf(FLT_MIN, fl_from_bits(cut->least)));
    search->count = 0;
    search->is_done = search->is_over = 0;
}

struct reach_shared {
    struct fl_cuda_warps warps;
};

/* How many reach the threshold, unless it has been found. */
static __global__ void __launch_bounds__(FL_CUDA_THREADS)
    reach_kernel(const float *x, size_t n, struct fl_cuda_search *search)
{
    FL_SHARED(struct reach_shared, shared);
    unsigned count = 0, total;
    if (search->is_done)
        return;
    for (size_t i = fl_cuda_thread(); i < n; i += fl_cuda_threads())
        count += (fl_bits_of(x[i]) & FL_BITS_MAGNITUDE) >= search->threshold;
    fl_cuda_sum_before(count, &shared.warps, &total);
    if (threadIdx.x == 0 && total)
        atomicAdd(&search->count, total);
}

/* One thread. Where too many reach it the threshold may stay: what is over the cap is cut off in the end. */
static __global__ void judge_kernel(struct fl_cuda_search *search, size_t target)
{
    float threshold = fl_from_bits(search->threshold);
    if (search->is_done)
        return;
    search->is_done = fl_dgc_judge(search->count, target, &threshold) != FL_DGC_LOWER;
    if (search->is_done)
        return;
    search->threshold = fl_bits_of(threshold);
    search->count = 0;
}

/* All that reach the threshold, if they are no more than the cap; else the cap largest are still to be found.
 * One thread. */
static __global__ void close_kernel(struct fl_cuda_search *search, size_t cap, struct fl_cuda_cut *ret_cut)
{
    search->is_over = search->count > cap;
    ret_cut->least = search->threshold;
    ret_cut->equal = UINT32_MAX;
}

cudaError_t fl_cuda_cut_sampled(const float *x, size_t n, const struct fl_cuda_sample *sample, size_t target,
                                size_t cap, void *memory, struct fl_cuda_cut *ret_cut, cudaStream_t stream)
{
    struct fl_cuda_workspace workspace;
    fl_cuda_workspace_lay_out(memory, n, &workspace);
    struct fl_cuda_search *search = workspace.search;
    const unsigned blocks = fl_cuda_walkers(n);
    select(x + sample->start, sample->count, sample->stride, sample->rank, NULL, &workspace, ret_cut, stream);
    FL_LAUNCH(search_kernel, 1, 1, stream, search, ret_cut);
    for (int round = 0; round < FL_DGC_ROUNDS_MAX; round++) {
        FL_LAUNCH(reach_kernel, blocks, FL_CUDA_THREADS, stream, x, n, search);
        FL_LAUNCH(judge_kernel, 1, 1, stream, search, target);
    }
    FL_LAUNCH(reach_kernel, blocks, FL_CUDA_THREADS, stream, x, n, search); /* unless it was found */
    FL_LAUNCH(close_kernel, 1, 1, stream, search, cap, ret_cut);
    select(x, n, 1, cap, &search->is_over, &workspace, ret_cut, stream);
    return cudaGetLastError();
}
