/*
 * Marks: a warp looks at 32 elements at once, 32 times, and its j-th thread keeps the j-th 32 bits, so that
 * thread t of a block owns mask word t of its tile. Each tile's count becomes the count of all tiles before
 * it; a second pass then knows where every survivor goes. Nothing waits for another block, and the order is
 * that of the indices.
 */
#include "kernels/cuda/taken.h"

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/workspace.cuh"
#include "kernels/exact.h"

/* Elements a thread loads before it looks at the first, so that many loads are under way. */
#define AT_ONCE 8

/* Threads of the one block that adds up the tiles' counts. */
#ifndef FL_CUDA_SCAN_THREADS
#define FL_CUDA_SCAN_THREADS 1024
#endif

/* Where element p[i] comes from and goes to, and whether it is marked. */
struct mark_sum {
    const float *a, *b;
    float *p;
    uint32_t low, high;

    __device__ float get(size_t i) const
    {
        return fl_exact_add(a[i], b[i]);
    }
    __device__ void put(size_t i, float value) const
    {
        p[i] = value;
    }
    __device__ bool marks(size_t, float value) const
    {
        uint32_t magnitude = fl_bits_of(value) & FL_BITS_MAGNITUDE;
        return magnitude >= low && magnitude < high;
    }
};

/* The same for a vector that stays. */
struct mark_in_place {
    const float *p;

    __device__ float get(size_t i) const
    {
        return p[i];
    }
    __device__ void put(size_t, float) const
    {
    }
};

struct mark_above : mark_in_place {
    uint32_t least;

    __device__ bool marks(size_t, float value) const
    {
        return (fl_bits_of(value) & FL_BITS_MAGNITUDE) > least;
    }
};

struct mark_equal : mark_in_place {
    uint32_t least;

    __device__ bool marks(size_t, float value) const
    {
        return least && (fl_bits_of(value) & FL_BITS_MAGNITUDE) == least;
    }
};

/* Rounding at random to a grid. */
struct rounding {
    struct fl_kernels_grid grid;
    struct fl_kernels_draw draw;

    __device__ uint32_t level(size_t i, float p) const
    {
        uint32_t words[4];
        fl_draw_block(&draw, i / 4, words);
        const uint32_t low = i % 2 ? words[1] : words[0], high = i % 2 ? words[3] : words[2];
        return fl_round_level(p, i % 4 < 2 ? low : high, &grid);
    }
};

struct mark_rounded : mark_in_place {
    struct rounding rounding;

    __device__ bool marks(size_t i, float value) const
    {
        return rounding.level(i, value) != 0;
    }
};

/* The mask word of this thread; elements that are not finite are never marked, but reported in found. */
template <class Mark>
static __device__ uint32_t mark_tile(const Mark &mark, size_t n, struct fl_cuda_found *found)
{
    const unsigned lane = fl_cuda_lane();
    size_t at = (size_t)blockIdx.x * FL_CUDA_TILE + (threadIdx.x - lane) * FL_CUDA_WARP + lane;
    uint32_t word = 0;
    bool bad = false;
    for (unsigned group = 0; group < FL_CUDA_WARP / AT_ONCE; group++, at += AT_ONCE * FL_CUDA_WARP) {
        float values[AT_ONCE];
        for (unsigned j = 0; j < AT_ONCE; j++)
            values[j] = at + j * FL_CUDA_WARP < n ? mark.get(at + j * FL_CUDA_WARP) : 0;
        for (unsigned j = 0; j < AT_ONCE; j++) {
            const size_t i = at + j * FL_CUDA_WARP;
            bool is_in = false;
            if (i < n) {
                const bool finite = (fl_bits_of(values[j]) & FL_BITS_MAGNITUDE) < FL_BITS_INFINITY;
                mark.put(i, values[j]);
                bad |= !finite;
                is_in = finite && mark.marks(i, values[j]);
            }
            const uint32_t marks = __ballot_sync(FL_CUDA_FULL_WARP, is_in);
            word = lane == group * AT_ONCE + j ? marks : word;
        }
    }
    if (__any_sync(FL_CUDA_FULL_WARP, bad) && lane == 0)
        atomicOr(&found->not_finite, 1u);
    return word;
}

struct mark_shared {
    struct fl_cuda_warps counts, ties;
};

/* The word to the mask, and the tile's count of marks. */
static __device__ void put_word(uint32_t word, struct fl_cuda_warps *warps, uint32_t *mask, uint32_t *counts)
{
    unsigned total;
    mask[fl_cuda_thread()] = word;
    fl_cuda_sum_before(__popc(word), warps, &total);
    if (threadIdx.x == 0)
        counts[blockIdx.x] = total;
}

template <class Mark>
static __global__ void __launch_bounds__(FL_CUDA_THREADS)
    mark_kernel(Mark mark, size_t n, uint32_t *mask, uint32_t *counts, struct fl_cuda_found *found)
{
    FL_SHARED(struct mark_shared, shared);
    put_word(mark_tile(mark, n, found), &shared.counts, mask, counts);
}

/* How many are equal to the cut in each tile. */
static __global__ void __launch_bounds__(FL_CUDA_THREADS)
    tie_kernel(const float *p, size_t n, const struct fl_cuda_cut *cut, uint32_t *counts,
               struct fl_cuda_found *found)
{
    FL_SHARED(struct mark_shared, shared);
    struct mark_equal equal;
    unsigned total;
    equal.p = p;
    equal.least = cut->least;
    fl_cuda_sum_before(__popc(mark_tile(equal, n, found)), &shared.ties, &total);
    if (threadIdx.x == 0)
        counts[blockIdx.x] = total;
}

static __global__ void __launch_bounds__(FL_CUDA_THREADS)
    cut_kernel(const float *p, size_t n, const struct fl_cuda_cut *cut, const uint32_t *ties, uint32_t *mask,
               uint32_t *counts, struct fl_cuda_found *found)
{
    FL_SHARED(struct mark_shared, shared);
    struct mark_above above;
    struct mark_equal equal;
    unsigned total;
    above.p = equal.p = p;
    above.least = equal.least = cut->least;
    uint32_t word = mark_tile(above, n, found), tied = mark_tile(equal, n, found);
    const uint32_t before = ties[blockIdx.x] + fl_cuda_sum_before(__popc(tied), &shared.ties, &total);
    const uint32_t quota = cut->equal > before ? cut->equal - before : 0;
    while ((uint32_t)__popc(tied) > quota)
        tied ^= 0x80000000u >> __clz((int)tied); /* the last of them goes */
    put_word(word | tied, &shared.counts, mask, counts);
}

struct scan_shared {
    struct fl_cuda_warps warps;
};

/* counts[t] becomes the sum of those before, on top of *total (0 where total is NULL), and *total the sum of
 * all. One block; each thread has neighbours of its own. */
static __global__ void __launch_bounds__(FL_CUDA_SCAN_THREADS)
    scan_kernel(uint32_t *counts, unsigned tiles, uint32_t *total)
{
    FL_SHARED(struct scan_shared, shared);
    const unsigned share = (tiles + blockDim.x - 1) / blockDim.x;
    unsigned first = threadIdx.x * share, sum = 0, all;
    first = first < tiles ? first : tiles;
    const unsigned end = tiles - first < share ? tiles : first + share;
    for (unsigned t = first; t < end; t++)
        sum += counts[t];
    const uint32_t start = total ? *total : 0;
    uint32_t before = start + fl_cuda_sum_before(sum, &shared.warps, &all);
    for (unsigned t = first; t < end; t++) {
        const uint32_t count = counts[t];
        counts[t] = before;
        before += count;
    }
    if (total && threadIdx.x == 0)
        *total = start + all;
}

static void scan(uint32_t *counts, unsigned tiles, uint32_t *total, cudaStream_t stream)
{
    FL_LAUNCH(scan_kernel, 1, FL_CUDA_SCAN_THREADS, stream, counts, tiles, total);
}

template <class Mark>
static cudaError_t mark(const Mark &mark, size_t n, void *memory, struct fl_cuda_found *found,
                        cudaStream_t stream)
{
    struct fl_cuda_workspace workspace;
    const unsigned tiles = fl_cuda_parts(n, FL_CUDA_TILE);
    if (n == 0)
        return cudaSuccess;
    fl_cuda_workspace_lay_out(memory, n, &workspace);
    FL_LAUNCH(mark_kernel<Mark>, tiles, FL_CUDA_THREADS, stream, mark, n, workspace.mask, workspace.offsets,
              found);
    scan(workspace.offsets, tiles, &found->count, stream);
    return cudaGetLastError();
}

cudaError_t fl_cuda_mark_sum(const float *a, const float *b, float *ret_p, size_t n, uint32_t low,
                             uint32_t high, void *workspace, struct fl_cuda_found *found, cudaStream_t stream)
{
    return mark(mark_sum{a, b, ret_p, low, high}, n, workspace, found, stream);
}

cudaError_t fl_cuda_mark_rounded(const float *p, size_t n, const struct fl_kernels_grid *grid,
                                 const struct fl_kernels_draw *draw, void *workspace,
                                 struct fl_cuda_found *found, cudaStream_t stream)
{
    struct mark_rounded rounded;
    rounded.p = p;
    rounded.rounding = {*grid, *draw};
    return mark(rounded, n, workspace, found, stream);
}

cudaError_t fl_cuda_mark_cut(const float *p, size_t n, const struct fl_cuda_cut *cut, void *memory,
                             struct fl_cuda_found *found, cudaStream_t stream)
{
    struct fl_cuda_workspace workspace;
    const unsigned tiles = fl_cuda_parts(n, FL_CUDA_TILE);
    if (n == 0)
        return cudaSuccess;
    fl_cuda_workspace_lay_out(memory, n, &workspace);
    FL_LAUNCH(tie_kernel, tiles, FL_CUDA_THREADS, stream, p, n, cut, workspace.ties, found);
    scan(workspace.ties, tiles, NULL, stream);
    FL_LAUNCH(cut_kernel, tiles, FL_CUDA_THREADS, stream, p, n, cut, workspace.ties, workspace.mask,
              workspace.offsets, found);
    scan(workspace.offsets, tiles, &found->count, stream);
    return cudaGetLastError();
}

/* What is sent of p[i]; what stays takes its place. */
struct take_value {
    __device__ uint32_t operator()(float *p, size_t i) const
    {
        const uint32_t word = fl_bits_of(p[i]);
        p[i] = 0;
        return word;
    }
};

struct take_level {
    struct fl_kernels_grid grid;

    __device__ uint32_t operator()(float *p, size_t i) const
    {
        uint32_t word;
        p[i] = fl_take_level(p[i], &grid, &word);
        return word;
    }
};

struct take_rounded {
    struct rounding rounding;

    __device__ uint32_t operator()(float *p, size_t i) const
    {
        const uint32_t level = rounding.level(i, p[i]);
        p[i] = fl_exact_subtract(p[i], fl_exact_multiply((float)(int32_t)level, rounding.grid.step));
        return level;
    }
};

struct take_shared {
    struct fl_cuda_warps warps;
};

/* A warp goes through its words that are not 0; each thread takes the element of its own bit. */
template <class Take>
static __global__ void __launch_bounds__(FL_CUDA_THREADS)
    take_kernel(Take take, float *p, uint32_t base, uint32_t capacity, const uint32_t *mask,
                const uint32_t *offsets, const struct fl_cuda_found *found, uint32_t *ret_indices,
                uint32_t *ret_words)
{
    FL_SHARED(struct take_shared, shared);
    const unsigned lane = fl_cuda_lane();
    const uint32_t word = mask[fl_cuda_thread()];
    unsigned total;
    const uint32_t before = offsets[blockIdx.x] + fl_cuda_sum_before(__popc(word), &shared.warps, &total);
    if (found->count > capacity)
        return;
    const size_t first = (size_t)blockIdx.x * FL_CUDA_TILE + (threadIdx.x - lane) * FL_CUDA_WARP;
    uint32_t words = __ballot_sync(FL_CUDA_FULL_WARP, word != 0);
    for (; words; words &= words - 1) {
        const int owner = __ffs((int)words) - 1;
        const uint32_t marks = __shfl_sync(FL_CUDA_FULL_WARP, word, owner);
        const uint32_t start = __shfl_sync(FL_CUDA_FULL_WARP, before, owner);
        if (marks >> lane & 1) {
            const uint32_t at = start + __popc(marks & ((1u << lane) - 1));
            const size_t i = first + (unsigned)owner * FL_CUDA_WARP + lane;
            ret_indices[at] = base + (uint32_t)i;
            ret_words[at] = take(p, i);
        }
    }
}

template <class Take>
static cudaError_t take(const Take &take, float *p, size_t n, uint32_t base, size_t capacity, void *memory,
                        const struct fl_cuda_found *found, uint32_t *ret_indices, uint32_t *ret_words,
                        cudaStream_t stream)
{
    struct fl_cuda_workspace workspace;
    const uint32_t room = capacity < UINT32_MAX ? (uint32_t)capacity : UINT32_MAX;
    if (n == 0)
        return cudaSuccess;
    fl_cuda_workspace_lay_out(memory, n, &workspace);
    FL_LAUNCH(take_kernel<Take>, fl_cuda_parts(n, FL_CUDA_TILE), FL_CUDA_THREADS, stream, take, p, base, room,
              workspace.mask, workspace.offsets, found, ret_indices, ret_words);
    return cudaGetLastError();
}

cudaError_t fl_cuda_take_values(float *p, size_t n, uint32_t base, size_t capacity, void *workspace,
                                const struct fl_cuda_found *found, uint32_t *ret_indices, uint32_t *ret_words,
                                cudaStream_t stream)
{
    return take(take_value{}, p, n, base, capacity, workspace, found, ret_indices, ret_words, stream);
}

cudaError_t fl_cuda_take_levels(float *p, size_t n, uint32_t base, size_t capacity,
                                const struct fl_kernels_grid *grid, void *workspace,
                                const struct fl_cuda_found *found, uint32_t *ret_indices, uint32_t *ret_words,
                                cudaStream_t stream)
{
    return take(take_level{*grid}, p, n, base, capacity, workspace, found, ret_indices, ret_words, stream);
}

cudaError_t fl_cuda_take_rounded(float *p, size_t n, size_t capacity, const struct fl_kernels_grid *grid,
                                 const struct fl_kernels_draw *draw, void *workspace,
                                 const struct fl_cuda_found *found, uint32_t *ret_indices,
                                 uint32_t *ret_words, cudaStream_t stream)
{
    const struct take_rounded rounded = {{*grid, *draw}};
    return take(rounded, p, n, 0, capacity, workspace, found, ret_indices, ret_words, stream);
}

size_t fl_cuda_workspace_bytes(size_t n)
{
    struct fl_cuda_workspace workspace;
    return fl_cuda_workspace_lay_out(NULL, n, &workspace);
}
