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

/* Appends the header of a payload in parts, and a part that is a payload. FL_ERR_NOMEM, FL_ERR_LIMIT; out may
 * hold a piece on failure. */
FL_MUST_CHECK enum fl_status fl_parts_write_head(size_t dim, struct fl_buf *out);
FL_MUST_CHECK enum fl_status fl_parts_write(struct fl_bytes part, struct fl_buf *out);

/*
 * What the codec keeps of each part (codec/state.h), while a payload is made: begin once; give before a part,
 * whose params then have a state of their own, and take after it; done in any case. Nothing happens where
 * params have no state, or for a part that keeps none. FL_ERR_NOMEM, FL_ERR_LIMIT.
 */
struct fl_parts_states {
    const struct fl_codec_state *whole;
    struct fl_bytes left; /* of what was kept: the parts to come */
    struct fl_buf next;   /* of the part at hand */
    struct fl_codec_state own;
};
void fl_parts_states_begin(struct fl_parts_states *states, const struct fl_codec_params *params);
void fl_parts_states_give(struct fl_parts_states *states, struct fl_codec_params *part);
FL_MUST_CHECK enum fl_status fl_parts_states_take(struct fl_parts_states *states);
void fl_parts_states_done(struct fl_parts_states *states);

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
