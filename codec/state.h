/*
 * What a codec keeps from one payload of a sender to the next, as opaque bytes: PowerSGD's factor, SIDCo's
 * stages, the number of levels of AdaQS and DQSGD. They belong to the sender's state as the residual does: to
 * be stored with it, and taken over when it is. Only encoding looks at them; a receiver never needs any.
 * Losing them costs no more than a fresh start. Not for residuals (codec/feedback.h).
 *
 *   0  "FLC1"     4  codec (uint32)     8  digest of what they are for (uint64)     16  body, the codec's own
 *
 * The digest is of the vector's size and of the parameters and tensors that the codec uses, so that bytes of
 * another run, model or setting are seen for what they are. Numbers are little-endian. A payload in parts
 * (codec/parts.h) has a state for each part that is not dense, one after the other, each after its size
 * (uint32).
 */
#ifndef FL_CODEC_STATE_H
#define FL_CODEC_STATE_H

#include "codec/codec.h"

#define FL_CODEC_STATE_HEAD_BYTES 16
/* At most, beside a float32 an element: head, size and numbers of a part. */
#define FL_CODEC_STATE_PART_BYTES 64

/* Caller storage, one for each payload; params.state points to it. */
struct fl_codec_state {
    struct fl_bytes kept; /* what the payload before left, borrowed; empty, or no fit: a fresh start */
    struct fl_buf *next;  /* becomes what this payload leaves; unspecified after a failure */
};

/* Most bytes of a state of params' codec for a vector of dim elements. */
static inline size_t fl_codec_state_limit(const struct fl_codec_params *params, size_t dim)
{
    return (params->tensor_count + 1) * FL_CODEC_STATE_PART_BYTES + dim * sizeof(float);
}

/* Whether the codec of params keeps anything. */
int fl_codec_keeps_state(const struct fl_codec *codec);

/* 1 when the bytes are what the codec of params leaves for a vector of dim elements, with params as
 * fl_codec_params_check() accepts them; 0 for other bytes, none at all, or a codec that keeps nothing. */
int fl_codec_state_fits(const struct fl_codec_params *params, size_t dim, struct fl_bytes state);

/*
 * For fl_codec_encode() alone: puts the head into params->state->next, and gives what encoders see as their
 * state, whose kept is the body that fits or empty, and to whose next they append their body. FL_ERR_NOMEM,
 * FL_ERR_LIMIT.
 */
FL_MUST_CHECK enum fl_status fl_codec_state_open(const struct fl_codec_params *params, size_t dim,
                                                 struct fl_codec_state *ret_inner);

#endif
