/*
 * Low rank: a matrix M of a rows and b columns as P B^T, P with r orthonormal columns. The parts of PowerSGD,
 * and the absolute compressor "singular-value threshold". Not for vectors (one row or one column never gets
 * cheaper) nor for how the factors are sent.
 *
 * Matrices are row-major float32. Sums are in float64 in a fixed order, factors are rounded to float32, and
 * only IEEE operations and base/random.h are used: the same bits on every machine. One struct belongs to one
 * thread at a time.
 */
#ifndef FL_CODEC_LOW_RANK_H
#define FL_CODEC_LOW_RANK_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "kernels/kernels.h"

/* Factors of a matrix of one shape. Callers read rows, columns and rank; they read and, for PowerSGD's sums
 * over workers, write the rank * rows and rank * columns elements of left and right. */
struct fl_low_rank {
    size_t rows, columns, rank;
    float *left;  /* P: rank vectors of rows elements, one after the other */
    float *right; /* B: rank vectors of columns elements; kept as the warm start of the next round */
    size_t room;  /* vectors that left and right have room for */
    double *work; /* max(rows, columns) elements */
};

/* Rank 0. FL_ERR_SHAPE: rows or columns is 0, or their product does not fit in size_t; FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_low_rank_init(struct fl_low_rank *low_rank, size_t rows, size_t columns);

/* Frees what it owns. */
void fl_low_rank_done(struct fl_low_rank *low_rank);

/*
 * PowerSGD, one round, in gradient or parameter units alike:
 *
 *     fl_low_rank_start(rank, seed)         once, the same on all workers: B random
 *     fl_low_rank_left(M_i)                 P_i = M_i B; sum P over the workers
 *     fl_low_rank_orthonormalise(seed)      P, the same everywhere
 *     fl_low_rank_right(M_i)                B_i = M_i^T P; average B over the workers
 *     fl_low_rank_expand()                  P B^T, the average that all apply; residual M_i - P B^T
 *
 * With one worker the result is P P^T M: ||M - P P^T M|| <= ||M||. Bits: 32 rank (rows + columns).
 * Source: Vogels, Karimireddy, Jaggi 2019 (PowerSGD), Algorithm 1; algorithms.md section 9. Here P_i is M_i
 * times the columns of B scaled to length 1, which changes P's columns by a factor and nothing after them.
 */

/* rank = min(rows, columns, rank); right: sums of twelve uniform numbers, so about normal, and exact.
 * FL_ERR_RANGE: rank is 0; FL_ERR_NOMEM. Nothing is changed on failure, here and in what follows. */
FL_MUST_CHECK enum fl_status fl_low_rank_start(struct fl_low_rank *low_rank, size_t rank, uint64_t seed);

/* left_j = matrix right_j / ||right_j||; 0 where right_j is. matrix: shape (rows, columns).
 * FL_ERR_NOT_FINITE: matrix or right; FL_ERR_RANGE: the norm of matrix exceeds float32. */
FL_MUST_CHECK enum fl_status fl_low_rank_left(struct fl_low_rank *low_rank, const struct fl_kernels *kernels,
                                              const float *matrix);

/*
 * Gram-Schmidt on left, twice. A column of which less than 1e-6 is left, a zero column too, becomes a random
 * direction from seed, orthogonal to those before it. Columns then have length 1 and products 0 up to 1e-6.
 * FL_ERR_NOT_FINITE: left.
 */
FL_MUST_CHECK enum fl_status fl_low_rank_orthonormalise(struct fl_low_rank *low_rank, uint64_t seed);

/* right_j = matrix^T left_j. Failures as fl_low_rank_left(). left must be orthonormal. */
FL_MUST_CHECK enum fl_status fl_low_rank_right(struct fl_low_rank *low_rank, const struct fl_kernels *kernels,
                                               const float *matrix);

/* What a receiver decodes: each element is the sum over j of left_j[row] * right_j[column], in float64 in
 * the order of j, rounded once. ret_matrix: shape (rows, columns). */
void fl_low_rank_expand(const struct fl_low_rank *low_rank, float *ret_matrix);

/* kappa^2 = min(rows, columns) tau^2, the bound of fl_low_rank_threshold(). */
double fl_low_rank_kappa2(size_t rows, size_t columns, double tau);

/*
 * Singular-value threshold, an absolute compressor: whatever the matrix, with the factors it leaves,
 *
 *     || matrix - fl_low_rank_expand() ||_F^2 <= fl_low_rank_kappa2(rows, columns, tau)
 *
 * or *ret_dense = 1: no rank up to rank_max with rank * (rows + columns) < rows * columns was found to keep
 * the bound, the matrix is to be sent as it is, and the factors are those from before. The bound is tested on
 * the decoded values in float64, so it takes nothing for granted about singular values. Rank 0 is legal: a
 * matrix whose singular values are all below tau costs nothing.
 *
 * The factors that are there (right) are the warm start: P = orth(M B), B = M^T P, columns with ||B_j|| < tau
 * dropped. Then columns are added, each from a random direction of seed and three power iterations on the
 * remainder, until one comes out below tau and the bound holds.
 *
 * tau: in the unit of matrix. rank_max: SIZE_MAX for no limit but the cost. Takes O((rank + 1) rows columns)
 * time, that of rank_max before it gives up, and 12 bytes an element while it runs.
 * FL_ERR_RANGE: tau not finite or <= 0; FL_ERR_NOT_FINITE; FL_ERR_NOMEM.
 * Source: algorithms.md section 2.3.2 (ours, in no paper).
 */
FL_MUST_CHECK enum fl_status fl_low_rank_threshold(struct fl_low_rank *low_rank,
                                                   const struct fl_kernels *kernels, const float *matrix,
                                                   double tau, size_t rank_max, uint64_t seed,
                                                   int *ret_dense);

#endif
