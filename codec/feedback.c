#include "codec/feedback.h"

#include <string.h>

#include "codec/layout.h"
#include "codec/parts.h"
#include "codec/taken.h"
#include "codec/writer.h"

enum fl_status fl_error_feedback_plain(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                       const float *delta, const float *residual, size_t dim,
                                       struct fl_buf *payload, float *ret_residual,
                                       struct fl_payload *ret_payload)
{
    size_t before = payload->size;
    struct fl_payload checked;
    kernels->add(delta, residual, ret_residual, dim);
    enum fl_status st = fl_codec_encode(kernels, params, ret_residual, dim, payload);
    if (st)
        return st;
    st = fl_payload_check(params, dim, (struct fl_bytes){payload->data + before, payload->size - before},
                          &checked);
    if (st) {
        fl_buf_truncate(payload, before);
        return st;
    }
    if (fl_codec_has_feedback(fl_codec_find_id(params->id)))
        fl_payload_subtract(&checked, ret_residual);
    else
        memset(ret_residual, 0, dim * sizeof *ret_residual);
    *ret_payload = checked;
    return FL_OK;
}

enum fl_status fl_error_feedback_write(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                       size_t dim, const struct fl_taken *taken, struct fl_buf *payload,
                                       struct fl_payload *ret_payload)
{
    size_t before = payload->size;
    struct fl_payload_head head = {.kind = (enum fl_payload_kind)fl_codec_find_id(params->id)->kind,
                                   .dim = dim,
                                   .count = taken->count,
                                   .lambda = params->lambda,
                                   .step_log2 = params->step_log2};
    int lambda_log2 = 0;
    enum fl_status st = FL_OK;
    if (params->id == FL_CODEC_INT_THRESHOLD) {
        st = fl_lambda_log2(params->lambda, &lambda_log2);
        head.shift = fl_layout_shift(lambda_log2, params->step_log2);
    }
    if (!st)
        st = fl_taken_write(kernels, &head, taken, payload);
    if (!st)
        st = fl_payload_check(params, dim, (struct fl_bytes){payload->data + before, payload->size - before},
                              ret_payload);
    if (st)
        fl_buf_truncate(payload, before);
    return st;
}

/* A step while it goes from tensor to tensor. */
struct step {
    const struct fl_kernels *kernels;
    unsigned threads;
    const float *delta, *residual;
    float *ret_residual;
    struct fl_payload whole;
};

static enum fl_status step_part(void *user, const struct fl_codec_params *own, size_t start, size_t elems,
                                struct fl_buf *out)
{
    struct step *step = user;
    struct fl_payload part;
    enum fl_status st =
        fl_error_feedback_step(step->kernels, step->threads, own, step->delta + start, step->residual + start,
                               elems, out, step->ret_residual + start, &part);
    if (!st)
        fl_parts_note(&step->whole, &part);
    return st;
}

/* Each tensor's step by itself. Its part is checked there, so the whole need not be once more. */
static enum fl_status step_parts(const struct fl_kernels *kernels, unsigned threads,
                                 const struct fl_codec_params *params, const float *delta,
                                 const float *residual, size_t dim, struct fl_buf *payload,
                                 float *ret_residual, struct fl_payload *ret_payload)
{
    size_t before = payload->size;
    struct step step = {kernels,  threads,      delta,
                        residual, ret_residual, {.kind = FL_PAYLOAD_PARTS, .dim = dim}};
    enum fl_status st = fl_codec_params_check(params, dim);
    if (!st)
        st = fl_parts_make(params, dim, step_part, &step, payload, &step.whole.bodies_at);
    if (st) {
        fl_buf_truncate(payload, before);
        return st;
    }
    step.whole.params = *params;
    step.whole.bytes = (struct fl_bytes){payload->data + before, payload->size - before};
    *ret_payload = step.whole;
    return FL_OK;
}

enum fl_status fl_error_feedback_step(const struct fl_kernels *kernels, unsigned threads,
                                      const struct fl_codec_params *params, const float *delta,
                                      const float *residual, size_t dim, struct fl_buf *payload,
                                      float *ret_residual, struct fl_payload *ret_payload)
{
    if (params->dense_below)
        return step_parts(kernels, threads, params, delta, residual, dim, payload, ret_residual, ret_payload);
    if (!fl_taken_can(params->id))
        return fl_error_feedback_plain(kernels, params, delta, residual, dim, payload, ret_residual,
                                       ret_payload);
    struct fl_taken taken = {0};
    enum fl_status st = fl_codec_params_check(params, dim);
    if (!st)
        st = fl_taken_fill(kernels, threads, params, delta, residual, dim, ret_residual, &taken);
    if (!st)
        st = fl_error_feedback_write(kernels, params, dim, &taken, payload, ret_payload);
    fl_taken_done(&taken);
    return st;
}
