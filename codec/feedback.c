#include "codec/feedback.h"

#include <string.h>

enum fl_status fl_error_feedback_step(const struct fl_kernels *kernels, const struct fl_codec_params *params,
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
