/*
 * Payloads in parts (kind 10): a payload for each tensor of the vector, so that any codec works tensor by
 * tensor and small tensors (biases, norms) are sent dense. Not for what a part holds (the codecs). The bytes
 * are told in codec/README.md.
 *
 * What the codec promises of a vector it now promises of each tensor, and a dense tensor loses nothing. So
 * absolute codecs keep their bound, contractions the least delta of the tensors, unbiased codecs the largest
 * omega. Source: tensor by tensor as in Lin et al. 2018 (DGC, Algorithm 1); vectors dense as in Vogels et al.
 * 2019 (PowerSGD).
 */
#ifndef FL_CODEC_PARTS_H
#define FL_CODEC_PARTS_H

#include "codec/cursor.h"
#include "codec/reader.h"
#include "codec/state.h"

/* Parameters of the part of tensor i: dense when the tensor has fewer than dense_below elements, else the
 * codec's, with that tensor alone and a seed of its own. Borrows the tensor. */
struct fl_codec_params fl_parts_params(const struct fl_codec_params *params, size_t i);

/* Appends the payload of one part: tensor own->tensors, which is elements start to start + elems. */
typedef enum fl_status (*fl_part_fn)(void *user, const struct fl_codec_params *own, size_t start,
                                     size_t elems, struct fl_buf *out);

/*
 * Appends a payload in parts, which fn makes one after the other, each with the state that its codec kept of
 * it (codec/state.h). params: checked. ret_bodies_at: where in it the parts begin. fn's failure, FL_ERR_NOMEM
 * or FL_ERR_LIMIT; out may hold a piece then.
 */
FL_MUST_CHECK enum fl_status fl_parts_make(const struct fl_codec_params *params, size_t dim, fl_part_fn fn,
                                           void *user, struct fl_buf *out, size_t *ret_bodies_at);

/* Adds what is known of a checked part to what is known of all: count, sum of squares, largest magnitude. */
void fl_parts_note(struct fl_payload *whole, const struct fl_payload *part);

/* fl_codec_state_fits() for dense_below > 0. */
int fl_parts_state_fits(const struct fl_codec_params *params, struct fl_bytes state);

/* fl_codec_encode_fn for dense_below > 0. */
FL_MUST_CHECK enum fl_status fl_parts_encode(const struct fl_kernels *kernels,
                                             const struct fl_codec_params *params, const float *p, size_t dim,
                                             struct fl_buf *payload);

/* Reads what follows d, for fl_payload_check(): every part is checked as a payload by itself, and payload
 * gets their sums. */
FL_MUST_CHECK enum fl_status fl_parts_check(const struct fl_codec_params *params, struct fl_cursor *cursor,
                                            struct fl_payload *payload);

/* fl_payload_walk() for kind 10: all words are float32. */
FL_MUST_CHECK enum fl_status fl_parts_walk(const struct fl_payload *payload, uint64_t begin, uint64_t end,
                                           fl_group_fn fn, void *user);

#endif
