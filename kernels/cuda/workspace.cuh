/* How a workspace is laid out: what kernels leave for each other. Private to this folder. */
#ifndef FL_KERNELS_CUDA_WORKSPACE_CUH
#define FL_KERNELS_CUDA_WORKSPACE_CUH

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/workspace.h"

/* Threads of a block, a multiple of 32 and at most 1024. Tests make it small. */
#ifndef FL_CUDA_THREADS
#define FL_CUDA_THREADS 128
#endif

/* Elements that one block marks: thread t owns mask word t of the tile. */
#define FL_CUDA_TILE (32 * FL_CUDA_THREADS)

/* Most blocks of kernels that walk a vector with a stride of the whole grid, so that their atomics are few.
 */
#ifndef FL_CUDA_WALKERS
#define FL_CUDA_WALKERS 1024
#endif

/* Selection finds a magnitude 11 bits at a time. */
#define FL_CUDA_DIGIT_BITS 11
#define FL_CUDA_DIGITS     (1 << FL_CUDA_DIGIT_BITS)

/* How far a radix selection has come. */
struct fl_cuda_selection {
    uint32_t prefix; /* the digits found so far */
    uint32_t rank;   /* the magnitude sought is the rank-th of those with the prefix */
    uint32_t is_off; /* 1: nothing is sought, and the kernels do nothing */
};

/* How far the search for a sampled threshold has come. */
struct fl_cuda_search {
    uint32_t threshold;        /* bits */
    uint32_t count;            /* elements that reach it */
    uint32_t is_done, is_over; /* 1: the threshold stays; 1: more than the cap reach it */
};

struct fl_cuda_workspace {
    double *runs; /* sum of squares of each run of FL_KERNELS_RUN */
    struct fl_cuda_selection *selection;
    struct fl_cuda_search *search;
    uint32_t *histogram; /* FL_CUDA_DIGITS */
    uint32_t *mask;      /* bit i % 32 of word i / 32 is element i's; whole tiles */
    uint32_t *offsets;   /* marks before each tile */
    uint32_t *ties;      /* elements equal to the cut before each tile */
};

static inline unsigned fl_cuda_parts(size_t n, size_t part)
{
    return (unsigned)((n + part - 1) / part);
}

/* Lays out memory for vectors of n elements; the bytes it takes. memory may be NULL. */
static inline size_t fl_cuda_workspace_lay_out(void *memory, size_t n, struct fl_cuda_workspace *ret)
{
    size_t tiles = fl_cuda_parts(n, FL_CUDA_TILE), at = 0;
    auto take = [memory, &at](size_t bytes) {
        void *part = memory ? (char *)memory + at : nullptr;
        at += (bytes + 255) / 256 * 256;
        return part;
    };
    ret->runs = (double *)take(fl_cuda_parts(n, FL_KERNELS_RUN) * sizeof(double));
    ret->selection = (struct fl_cuda_selection *)take(sizeof(struct fl_cuda_selection));
    ret->search = (struct fl_cuda_search *)take(sizeof(struct fl_cuda_search));
    ret->histogram = (uint32_t *)take(FL_CUDA_DIGITS * sizeof(uint32_t));
    ret->mask = (uint32_t *)take(tiles * FL_CUDA_THREADS * sizeof(uint32_t));
    ret->offsets = (uint32_t *)take(tiles * sizeof(uint32_t));
    ret->ties = (uint32_t *)take(tiles * sizeof(uint32_t));
    return at;
}

/* Blocks for a walk over n > 0 elements. */
static inline unsigned fl_cuda_walkers(size_t n)
{
    unsigned blocks = fl_cuda_parts(n, FL_CUDA_THREADS);
    return blocks < FL_CUDA_WALKERS ? blocks : FL_CUDA_WALKERS;
}

#endif
