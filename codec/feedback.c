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

static enum fl_status write_taken(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                  size_t dim, const struct fl_taken *taken, struct fl_buf *payload)
{
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
    return st ? st : fl_taken_write(kernels, &head, taken, payload);
}

/* Each tensor's step by itself, and the payload as one that is checked as a whole. */
static enum fl_status step_parts(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                 const float *delta, const float *residual, size_t dim,
                                 struct fl_buf *payload, float *ret_residual, struct fl_payload *ret_payload)
{
    size_t before = payload->size, elems;
    struct fl_parts_states states;
    struct fl_buf part;
    fl_parts_states_begin(&states, params);
    fl_buf_init(&part, payload->limit);
    enum fl_status st = fl_codec_params_check(params, dim);
    if (!st)
        st = fl_parts_write_head(dim, payload);
    for (size_t i = 0, at = 0; !st && i < params->tensor_count; at += elems, i++) {
        struct fl_codec_params own = fl_parts_params(params, i);
        struct fl_payload checked;
        elems = fl_codec_tensor_elems(own.tensors);
        fl_buf_clear(&part);
        fl_parts_states_give(&states, &own);
        st = fl_error_feedback_step(kernels, &own, delta + at, residual + at, elems, &part, ret_residual + at,
                                    &checked);
        if (!st)
            st = fl_parts_states_take(&states);
        if (!st)
            st = fl_parts_write(fl_buf_view(&part), payload);
    }
    fl_parts_states_done(&states);
    fl_buf_done(&part);
    if (!st)
        st = fl_payload_check(params, dim, (struct fl_bytes){payload->data + before, payload->size - before},
                              ret_payload);
    if (st)
        fl_buf_truncate(payload, before);
    return st;
}

enum fl_status fl_error_feedback_step(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                      const float *delta, const float *residual, size_t dim,
                                      struct fl_buf *payload, float *ret_residual,
                                      struct fl_payload *ret_payload)
{
    if (params->dense_below)
        return step_parts(kernels, params, delta, residual, dim, payload, ret_residual, ret_payload);
    if (!fl_taken_can(params->id))
        return fl_error_feedback_plain(kernels, params, delta, residual, dim, payload, ret_residual,
                                       ret_payload);
    size_t before = payload->size;
    struct fl_taken taken = {0};
    enum fl_status st = fl_codec_params_check(params, dim);
    if (!st)
        st = fl_taken_fill(kernels, params, delta, residual, dim, ret_residual, &taken);
    if (!st)
        st = write_taken(kernels, params, dim, &taken, payload);
    fl_taken_done(&taken);
    if (!st)
        st = fl_payload_check(params, dim, (struct fl_bytes){payload->data + before, payload->size - before},
                              ret_payload);
    if (st)
        fl_buf_truncate(payload, before);
    return st;
}
