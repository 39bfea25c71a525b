/*
 * Error feedback's sum p = delta + residual, the choice of what is sent, and what stays, in one pass over
 * memory: each block is added, marked and taken from while it lies in the nearest cache. For the codecs whose
 * choice needs no more than a magnitude; the plain way round any codec is fl_error_feedback_plain(), and this
 * gives the same bits. Not for payload bytes (codec/writer.h).
 */
#ifndef FL_CODEC_TAKEN_H
#define FL_CODEC_TAKEN_H

#include "codec/codec.h"

/* What was taken out of p, as fl_payload_write() wants it. Zeroed at the start. */
struct fl_taken {
    uint32_t *indices, *words;
    size_t count, capacity;
};

void fl_taken_done(struct fl_taken *taken);

/* Whether fl_taken_fill() can stand in for this codec. */
int fl_taken_can(enum fl_codec_id id);

/*
 * ret_residual = delta + residual without what is taken from it: values for threshold and top-k, levels times
 * step on the grid (rule R8). Shapes (dim); params and dim as fl_codec_params_check() accepts them.
 * ret_residual may be delta, else must not overlap the others, and is unspecified after a failure.
 * FL_ERR_NOT_FINITE when a sum is NaN or infinite, FL_ERR_NOMEM. taken is for fl_taken_done() in any case.
 * Needs 8 bytes of memory for each coordinate that is sent, up to a third more in top-k.
 */
FL_MUST_CHECK enum fl_status fl_taken_fill(const struct fl_kernels *kernels,
                                           const struct fl_codec_params *params, const float *delta,
                                           const float *residual, size_t dim, float *ret_residual,
                                           struct fl_taken *taken);

#endif
