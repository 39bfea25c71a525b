/*
 * Factored payloads (kind 9): each tensor of the run as a product of two factors of low rank, or as it is.
 * Reading, and the two codecs that are written so. Not for finding the factors (codec/low_rank.h). The bytes
 * are told in codec/README.md.
 *
 * power-sgd   every matrix of a x b at rank r, min(a, b) at most, where that is cheaper than dense; one
 *             matrix per client, so
 *             ||p - q|| <= ||p||: a contraction. Source: Vogels et al. 2019, Algorithm 1. The right
 *             factors are the state (codec/state.h): one power iteration from those of the payload before, as
 *             in the paper; without them a random start and FL_FACTORED_ITERATIONS of them.
 * low-rank    every matrix by singular-value threshold tau = lambda sqrt(max(a, b)), so that ||p - q||^2 <= a
 * b lambda^2 whatever p is: absolute, with the kappa^2 = d lambda^2 of the hard threshold. Source:
 * algorithms.md section 2.3.2.
 *
 * Vectors, and matrices that are no cheaper as factors, are sent as they are.
 */
#ifndef FL_CODEC_FACTORED_H
#define FL_CODEC_FACTORED_H

#include "codec/cursor.h"
#include "codec/reader.h"

#define FL_FACTORED_ITERATIONS 3
/* low-rank: a matrix that needs more is sent as it is, since looking on would take long. More is refused, so
 * that reading takes no longer than this rank does, whoever wrote. */
#define FL_FACTORED_RANK_MAX 32

/* fl_codec_encode_fn of both. */
FL_MUST_CHECK enum fl_status fl_factored_encode(const struct fl_kernels *kernels,
                                                const struct fl_codec_params *params, const float *p,
                                                size_t dim, struct fl_buf *payload);

/* state_fits of power-sgd: for each matrix that it factors, in order, its columns times rank finite float32,
 * vector after vector. */
int fl_factored_state_fits(const struct fl_codec_params *params, struct fl_bytes body);

/* Reads what follows d, for fl_payload_check(). */
FL_MUST_CHECK enum fl_status fl_factored_check_head(const struct fl_codec_params *params,
                                                    struct fl_cursor *cursor, struct fl_payload *payload);

/* fl_payload_walk() for kind 9: the coordinates from begin to end and no other. */
FL_MUST_CHECK enum fl_status fl_factored_walk(const struct fl_payload *payload, uint64_t begin, uint64_t end,
                                              fl_group_fn fn, void *user);

#endif
