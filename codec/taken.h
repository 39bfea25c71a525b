/*
 * Error feedback's sum p = delta + residual, the choice of what is sent, and what stays, in one pass over
 * memory: each block is added and taken from while it lies in the nearest cache. For the codecs whose choice
 * needs no more than a magnitude; the plain way round any codec is fl_error_feedback_plain(), and this gives
 * the same bits. Not for payload bytes (codec/writer.h).
 */
#ifndef FL_CODEC_TAKEN_H
#define FL_CODEC_TAKEN_H

#include "codec/codec.h"
#include "codec/writer.h"

/* What was taken out of p: words as fl_payload_write() wants them, and which coordinates they belong to,
 * listed where few were expected, else as a bitmap, which takes less memory and time. Zeroed at the start. */
struct fl_taken {
    uint32_t *indices; /* shape (count); NULL where there is a bitmap */
    uint64_t *bitmap;  /* shape (dim / 64 rounded up), bits past dim are 0; NULL where indices are listed */
    uint32_t *words;   /* shape (count) */
    size_t count, capacity, dim;
};

void fl_taken_done(struct fl_taken *taken);

/* Whether fl_taken_fill() can stand in for this codec. */
int fl_taken_can(enum fl_codec_id id);

/*
 * ret_residual = delta + residual without what is taken from it: values for threshold and top-k, levels times
 * step on the grid (rule R8). Shapes (dim); params and dim as fl_codec_params_check() accepts them.
 * ret_residual may be delta, else must not overlap the others, and is unspecified after a failure.
 * FL_ERR_NOT_FINITE when a sum is NaN or infinite, FL_ERR_NOMEM. taken is for fl_taken_done() in any case;
 * what an earlier call put there gives its memory. Needs 8 bytes of memory for each coordinate that is sent,
 * up to a third more in top-k; where a threshold is reached by more than about one element in 32, 4 bytes and
 * a bit for every element. threads: 1 to FL_PARALLEL_MAX (base/parallel.h), of which large vectors use all:
 * each takes from a range of its own, and the outcome is the same for any number; besides the caller's they
 * live within the call.
 */
FL_MUST_CHECK enum fl_status fl_taken_fill(const struct fl_kernels *kernels, unsigned threads,
                                           const struct fl_codec_params *params, const float *delta,
                                           const float *residual, size_t dim, float *ret_residual,
                                           struct fl_taken *taken);

/* Appends the payload of what was taken, with head->count and head->dim as taken has them: fl_payload_write()
 * and its failures. */
FL_MUST_CHECK enum fl_status fl_taken_write(const struct fl_kernels *kernels,
                                            const struct fl_payload_head *head, const struct fl_taken *taken,
                                            struct fl_buf *payload);

#endif
