/*
 * Supports that sender and receiver derive from a seed, so that no index travels: a uniform k-subset, a block
 * that wraps round, and the globally random blocks of CSER. Not for values, nor for how they are sent.
 *
 * A support is a small struct of the caller. It is walked in increasing order, 64 indices at a time, without
 * allocating; a copy made before the first step walks it again. The numbers come from base/random.h and from
 * IEEE additions, multiplications and comparisons only, so both ends get the same indices on every machine.
 * One support belongs to one thread at a time.
 *
 * As a compressor C(x) = x on the support and 0 elsewhere: a contraction in the mean over seeds,
 * E||C(x) - x||^2 <= (1 - delta) ||x||^2, delta = the least probability of an index to be in the support.
 */
#ifndef FL_CODEC_SEEDED_SUPPORT_H
#define FL_CODEC_SEEDED_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "base/status.h"
#include "codec/tensor.h"

/* Indices in a group; every group but the last is full. */
#define FL_SUPPORT_GROUP 64

/* Globally random block sparsifier. Source: Xie et al. 2020 (CSER), GRBS; algorithms.md section 3. */
struct fl_grbs {
    double rows_ratio;    /* share of the rows in a block, in (0, 1] */
    double columns_ratio; /* the same for columns; vectors (one column) use the row rule only */
    double tensor_ratio;  /* probability that a tensor takes part, in (0, 1] */
};

/* Where each walk stands; not for callers. */
struct fl_subset_walk {
    struct fl_random random;
    uint64_t at, left;         /* next index to look at, indices still to come */
    uint64_t end;              /* of the present stretch */
    uint64_t heads_n, heads_k; /* heads_k / heads_n bounds the chance of an index in the stretch */
    unsigned powers;           /* how many of the next are used */
    double power[32];          /* (1 - bound)^(2^j) */
};
struct fl_block_walk {
    size_t at, end;           /* of the present run */
    size_t next_at, next_end; /* of the run after it */
};
struct fl_grbs_walk {
    const struct fl_codec_tensor *tensors; /* borrowed */
    size_t tensor_count, tensor, base;     /* present tensor and where it starts */
    struct fl_grbs rule;
    uint64_t seed;
    size_t row, row_end, column, column_start, column_end;
};

/* Fields are read by callers only where said; the rest belongs to the walk. */
struct fl_support {
    size_t count; /* read: indices in the whole support */
    double delta; /* read: contraction in the mean, see above */
    size_t (*next)(struct fl_support *support, uint32_t *ret_indices, size_t room);
    size_t dim;
    union {
        struct fl_subset_walk subset;
        struct fl_block_walk block;
        struct fl_grbs_walk grbs;
    } walk;
};

/*
 * Random-k: count of dim indices, every subset equally likely (up to 2^-45 in any probability), from seed;
 * delta = count / dim. Needs O(count + log dim) time in all while count < dim / 4, else O(dim).
 * FL_ERR_SHAPE: dim is 0; FL_ERR_LIMIT: dim above 2^32 - 1; FL_ERR_RANGE: count is 0 or above dim.
 * Source: algorithms.md section 3 (random-k); the walk is geometric skips with thinning, see the .c file.
 */
FL_MUST_CHECK enum fl_status fl_support_random(size_t dim, size_t count, uint64_t seed,
                                               struct fl_support *ret_support);

/*
 * Random block: count neighbours from a start that is uniform in [0, dim), round the end of the vector;
 * delta = count / dim. Failures as fl_support_random().
 * Source: Vogels et al. 2019 (PowerSGD), random block; algorithms.md section 3.
 */
FL_MUST_CHECK enum fl_status fl_support_block(size_t dim, size_t count, uint64_t seed,
                                              struct fl_support *ret_support);

/*
 * GRBS over the tensors, which follow each other in the vector. Of each tensor that takes part: a block of
 * max(1, round(rows * rows_ratio)) rows (half away from zero), one of those that start at a multiple of that
 * number and the last may be shorter, crossed with a block of columns by the same rule. The count may be 0.
 * delta = least over the tensors of tensor_ratio / (blocks of rows * blocks of columns).
 * tensors: borrowed until the walk ends. FL_ERR_SHAPE: no tensors or one without elements; FL_ERR_LIMIT: more
 * than 2^32 - 1 elements; FL_ERR_RANGE: a ratio outside (0, 1].
 */
FL_MUST_CHECK enum fl_status fl_support_grbs(const struct fl_codec_tensor *tensors, size_t tensor_count,
                                             const struct fl_grbs *rule, uint64_t seed,
                                             struct fl_support *ret_support);

/* The next indices in increasing order: 64, or what is left; 0 at the end. */
size_t fl_support_next(struct fl_support *support, uint32_t ret_indices[FL_SUPPORT_GROUP]);

#endif
