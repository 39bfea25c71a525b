/*
 * The large coordinates of a sketched vector, and the second round of exact values: the parts from which
 * Sketched-SGD is made. Not for the table itself (codec/sketch.h).
 *
 * One step of Sketched-SGD with W workers: each sketches its accumulated v; the server merges the sketches
 * and takes candidates = fl_heavy_top(merged, P k) (or fl_heavy_mix()); each worker sends its v at the
 * candidates; the server adds those up and keeps fl_heavy_keep(candidates, sums, k); workers zero v and their
 * momentum where something was kept. Cost per worker: rows * columns cells and P k values up, k indices and
 * values down, besides the P k indices that the server asks for.
 *
 * Source: Ivkin et al. 2019 (Sketched-SGD) and the authors' code; algorithms.md section 8.2.
 */
#ifndef FL_CODEC_HEAVY_H
#define FL_CODEC_HEAVY_H

#include <stddef.h>
#include <stdint.h>

#include "codec/sketch.h"

/*
 * The indices, increasing, of the k largest estimates by magnitude, ties by smallest index; estimates are
 * compared as float32 and those that are 0 are left out, so fewer than k may come. 1 <= k <= dim, ret_indices
 * holds k. Allocates 4 bytes an element of the vector and 4 of k while it runs, O(dim rows).
 * FL_ERR_RANGE: k, or an estimate beyond float32; FL_ERR_NOMEM. Nothing is written on failure.
 */
FL_MUST_CHECK enum fl_status fl_heavy_top(const struct fl_sketch *sketch, size_t k, uint32_t *ret_indices,
                                          size_t *ret_count);

/*
 * HEAVYMIX: exactly k indices, increasing: those with estimate^2 >= norm^2 / k, the largest k of them if
 * there are more, and if there are fewer then others drawn uniformly from seed. (The paper prints the
 * estimate itself where its square is meant.) With exact values at these indices it is a k / dim contraction
 * with high probability. Memory and failures as fl_heavy_top().
 */
FL_MUST_CHECK enum fl_status fl_heavy_mix(const struct fl_sketch *sketch, size_t k, uint64_t seed,
                                          uint32_t *ret_indices);

/*
 * The second round's last step: of count candidates with their exact sums, the k of largest magnitude in
 * increasing order, ties by smallest index; zeros are left out. candidates: increasing; k <= count, k > 0;
 * both outputs hold k. Returns how many were written. FL_ERR_NOT_FINITE: a sum; FL_ERR_RANGE: k.
 */
FL_MUST_CHECK enum fl_status fl_heavy_keep(const uint32_t *candidates, const float *sums, size_t count,
                                           size_t k, uint32_t *ret_indices, float *ret_values,
                                           size_t *ret_count);

#endif
