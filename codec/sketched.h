/*
 * Sketched payloads (kind 11): a count sketch of the vector, from which both ends find the same large
 * coordinates, and the exact values there. Reading, and the two codecs that are written so. Not for the
 * sketch (codec/sketch.h). The bytes are told in codec/README.md.
 *
 * - sketch: 2 rank + 1 rows, FL_SKETCHED_COLUMNS k columns for k = ratio d coordinates (fewer where the table
 *   would have more counters than the vector has elements), counters of `bits` bits
 * - sketch-block: the same with FL_SKETCH_BLOCK_MAX neighbours hashed together: one hash for all of them
 *
 * Of a message by itself this is Sketched-SGD with HEAVYMIX: k coordinates, those with the largest estimates
 * of at least one unit, and as many others from the seed as are missing. The unit is HEAVYMIX's threshold
 * ||p|| / sqrt(k), rounded down to a power of two, so an element counts from half of it on. The second round
 * of exact values travels in the same message: who made the sketch knows where the receiver will look. So a
 * contraction: what is found wrongly costs a place and no error, ||p - q|| <= ||p||, and the others from the
 * seed make it at least (k - h) / (d - h) of what h found ones leave, in the mean.
 *
 * It is not what Sketched-SGD gains by over many workers, one table for the sum of all: that takes two
 * exchanges a round, and its parts are functions (fl_sketch_merge(), fl_heavy_mix(), fl_heavy_keep()).
 *
 * Source: Ivkin et al. 2019 (Sketched-SGD); algorithms.md section 8.2. Counters that end at their largest
 * value instead of overflowing are ours: beyond it nothing is said but "large", which is all that is asked.
 */
#ifndef FL_CODEC_SKETCHED_H
#define FL_CODEC_SKETCHED_H

#include "codec/cursor.h"
#include "codec/reader.h"

#define FL_SKETCHED_COLUMNS  5 /* a coordinate that is sent */
#define FL_SKETCHED_RANK_MAX 31

/* fl_codec_encode_fn of both. Needs 8 bytes a counter while it runs; O(rows d) time, as reading does. */
FL_MUST_CHECK enum fl_status fl_sketched_encode(const struct fl_kernels *kernels,
                                                const struct fl_codec_params *params, const float *p,
                                                size_t dim, struct fl_buf *payload);

/* Reads what follows d, for fl_payload_check(). */
FL_MUST_CHECK enum fl_status fl_sketched_check_head(const struct fl_codec_params *params,
                                                    struct fl_cursor *cursor, struct fl_payload *payload);

/* fl_payload_walk() for kind 11, from the first coordinate on. */
FL_MUST_CHECK enum fl_status fl_sketched_walk(const struct fl_payload *payload, uint64_t end, fl_group_fn fn,
                                              void *user);

#endif
