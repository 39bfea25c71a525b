/*
 * Count sketch: a vector as a small table from which its large coordinates can be estimated, and which can be
 * added to other tables: the sketch of a sum is the sum of the sketches, bit by bit. Not for finding the
 * large coordinates (codec/heavy.h).
 *
 * Cells are integers, multiples of a unit 2^unit_log2, so the order of insertions and merges cannot change a
 * bit: each value v counts as round(v / unit) units, half away from zero. The estimate of a coordinate is off
 * by at most half a unit from that, besides what collides with it.
 *
 * Row r puts coordinate i into column(i), with sign(i). With block = 1:
 *   column = floor(((a1 i + a2) mod P) * columns / P'),  sign = 1 - 2 * (bit 0 of ((a3 i + a4) i + a5) i + a6
 * mod P) with P = 2^61 - 1, P' = 2^61, products of 128 bits and the six coefficients of the row drawn from
 * the seed: pairwise independent columns, four-wise independent signs. With block = 2, 4, 8 or 16, i div
 * block is hashed to one of columns / block groups of columns; i mod block chooses the column in the group,
 * and the bit of the sign's polynomial. Neighbours then never collide with each other, and there is one hash
 * for all of them.
 *
 * Source: Charikar, Chen, Farach-Colton 2002; Ivkin et al. 2019 (Sketched-SGD) and the csvec code;
 * algorithms.md section 8.1. Different from that code: it takes the column mod columns (no more even than the
 * product here, and slower), and its products wrap, so tables do not agree bit by bit.
 */
#ifndef FL_CODEC_SKETCH_H
#define FL_CODEC_SKETCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "kernels/sketch_hash.h"

#define FL_SKETCH_BLOCK_MAX 16

struct fl_sketch_shape {
    size_t dim;     /* elements of the vectors, 1..2^32 - 1 */
    size_t columns; /* c, a multiple of block, 1..2^32 - 1 */
    unsigned rows;  /* r, odd, at most FL_SKETCH_ROWS_MAX */
    unsigned block; /* 1, 2, 4, 8 or 16 neighbours hashed together */
    int unit_log2;  /* unit = 2^unit_log2, in the unit of the vectors; -149..127 */
    uint64_t seed;  /* common to all whose sketches are merged */
};

/* One sketch belongs to one thread at a time. Callers read the shape and the cells, and write neither. */
struct fl_sketch {
    struct fl_sketch_shape shape;
    int64_t *cells; /* shape (rows, columns), row-major, in units */
    uint64_t load;  /* bound on every |cell|: sum of |units| inserted */
    struct fl_sketch_hash hash;
};

/*
 * An empty sketch: 8 * rows * columns bytes. FL_ERR_SHAPE: dim, columns, rows or block outside what is said
 * above; FL_ERR_RANGE: unit_log2; FL_ERR_NOMEM.
 */
FL_MUST_CHECK enum fl_status fl_sketch_new(const struct fl_sketch_shape *shape,
                                           struct fl_sketch **ret_sketch);

/* Frees sketch; NULL is accepted. */
void fl_sketch_free(struct fl_sketch *sketch);

/* Every cell 0 again. */
void fl_sketch_clear(struct fl_sketch *sketch);

/*
 * 0 in every cell that one of count indices, each < dim, is put into: masking in the table, with which
 * FetchSGD takes what it has applied out of its accumulators. Load becomes the largest |cell|.
 * Source: Rothchild et al. 2020 (FetchSGD) and the authors' code; algorithms.md section 8.3.
 */
void fl_sketch_clear_cells(struct fl_sketch *sketch, const uint32_t *indices, size_t count);

/*
 * Adds x, shape (dim). On failure nothing is changed. FL_ERR_SHAPE: dim differs; FL_ERR_NOT_FINITE;
 * FL_ERR_RANGE: an element of 2^52 units or more, or the load would exceed FL_SKETCH_LOAD_MAX.
 */
FL_MUST_CHECK enum fl_status fl_sketch_insert(struct fl_sketch *sketch, const float *x, size_t dim);

/* Adds other, cell by cell; it may be sketch itself. On failure nothing is changed. FL_ERR_SHAPE: any part
 * of the shapes differs, the seed too; FL_ERR_RANGE: the load would exceed FL_SKETCH_LOAD_MAX. */
FL_MUST_CHECK enum fl_status fl_sketch_merge(struct fl_sketch *sketch, const struct fl_sketch *other);

/*
 * Multiplies by factor: each cell becomes the nearest integer to cell * factor, half away from zero, exactly.
 * On failure nothing is changed. FL_ERR_NOT_FINITE: factor; FL_ERR_RANGE: the load would exceed the most.
 */
FL_MUST_CHECK enum fl_status fl_sketch_scale(struct fl_sketch *sketch, double factor);

/* Estimate of coordinate i < dim, in the unit of the vectors: the median over the rows of sign * cell. */
double fl_sketch_estimate(const struct fl_sketch *sketch, size_t i);

/* All estimates, rounded to float32 (infinite where that overflows), shape (dim). */
void fl_sketch_estimates(const struct fl_sketch *sketch, float *ret_estimates);

/* Estimate of the Euclidean norm of what was inserted: square root of the median over the rows of the sum of
 * squared cells, added up in float64 in the order of the columns. */
double fl_sketch_norm(const struct fl_sketch *sketch);

/* Column and sign (1 or -1) of coordinate i < dim in row. */
void fl_sketch_locate(const struct fl_sketch *sketch, unsigned row, size_t i, size_t *ret_column,
                      int *ret_sign);

#endif
