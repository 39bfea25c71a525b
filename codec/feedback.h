/*
 * Error feedback round any codec: what a payload does not carry waits in the residual. Not for deciding when
 * a residual counts (client/core does, rules R1-R7). Source: Sahu et al. 2021, Algorithm 1; algorithms.md
 * section 1.4.
 */
#ifndef FL_CODEC_FEEDBACK_H
#define FL_CODEC_FEEDBACK_H

#include "codec/codec.h"
#include "codec/payload.h"
#include "codec/taken.h"

/*
 * The plain way: p = delta + residual; appends the payload of p; ret_residual = p - q with q as decoded from
 * that payload, or 0 for unbiased codecs, which have no error feedback (FL_CLASS_UNBIASED). q + ret_residual
 * == p in every bit of value where what is sent is sent exactly or on the grid (rule R8); other forms of
 * values round each of the two once, in float32.
 *
 * delta, residual  shape (dim) float32, parameter units, delta = x_start - x_end (a descent direction)
 * ret_residual     shape (dim), may be delta, else must not overlap the others; unspecified after a failure
 * ret_payload      the payload as checked, borrows from payload, valid until that buffer changes
 *
 * FL_ERR_NOT_FINITE when p has a NaN or infinity, else the failures of fl_codec_encode(). On failure
 * delta (unless it is ret_residual), residual and payload are unchanged.
 */
FL_MUST_CHECK enum fl_status fl_error_feedback_plain(const struct fl_kernels *kernels,
                                                     const struct fl_codec_params *params, const float *delta,
                                                     const float *residual, size_t dim,
                                                     struct fl_buf *payload, float *ret_residual,
                                                     struct fl_payload *ret_payload);

/* The end of the next way: appends the payload of what was taken out of p, wherever that was done, for the
 * codecs of fl_taken_can(), and checks it. Failures as fl_error_feedback_plain(); payload is then unchanged.
 */
FL_MUST_CHECK enum fl_status fl_error_feedback_write(const struct fl_kernels *kernels,
                                                     const struct fl_codec_params *params, size_t dim,
                                                     const struct fl_taken *taken, struct fl_buf *payload,
                                                     struct fl_payload *ret_payload);

/* The same, bit for bit, in one pass over memory for the codecs that have one (codec/taken.h), on so many
 * threads; tensor by tensor where each has a part of its own (codec/parts.h). */
FL_MUST_CHECK enum fl_status fl_error_feedback_step(const struct fl_kernels *kernels, unsigned threads,
                                                    const struct fl_codec_params *params, const float *delta,
                                                    const float *residual, size_t dim, struct fl_buf *payload,
                                                    float *ret_residual, struct fl_payload *ret_payload);

#endif
