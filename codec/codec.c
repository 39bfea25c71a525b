#include "codec/codec.h"

#include <math.h>

#include "codec/block_int.h"
#include "codec/parts.h"
#include "codec/sketched.h"
#include "codec/state.h"

static enum fl_status check_grid(const struct fl_codec_params *params, int finest_shift)
{
    int lambda_log2;
    enum fl_status st = fl_lambda_log2(params->lambda, &lambda_log2);
    if (st)
        return st;
    if (params->step_log2 < FL_CODEC_STEP_LOG2_MIN || params->step_log2 > FL_CODEC_STEP_LOG2_MAX)
        return FL_ERR_RANGE;
    int shift = lambda_log2 + 1 - params->step_log2;
    return shift >= 0 && shift <= finest_shift ? FL_OK : FL_ERR_RANGE;
}

static enum fl_status check_tensors(const struct fl_codec_params *params, size_t dim)
{
    size_t left = dim;
    for (size_t i = 0; i < params->tensor_count; i++) {
        size_t elems = fl_codec_tensor_elems(&params->tensors[i]);
        if (!elems || elems > left)
            return FL_ERR_SHAPE;
        left -= elems;
    }
    return left ? FL_ERR_SHAPE : FL_OK;
}

enum fl_status fl_codec_params_check(const struct fl_codec_params *params, size_t dim)
{
    const struct fl_codec *codec = fl_codec_find_id((unsigned)params->id);
    if (!codec)
        return FL_ERR_NOT_FOUND;
    if (!dim)
        return FL_ERR_SHAPE;
    if (dim > FL_CODEC_DIM_MAX)
        return FL_ERR_LIMIT;
    if (codec->uses_lambda && !(params->lambda > 0 && isfinite(params->lambda)))
        return FL_ERR_RANGE;
    if (codec->uses_ratio && !(params->ratio > 0 && params->ratio <= 1))
        return FL_ERR_RANGE;
    if ((codec->uses_bits && (params->bits < 2 || params->bits > 8)) ||
        (codec->uses_bucket && (params->bucket < 1 || params->bucket > UINT32_MAX)) ||
        (codec->uses_rank && params->rank < 1) ||
        (codec->kind == FL_PAYLOAD_SKETCHED && params->rank > FL_SKETCHED_RANK_MAX) ||
        (codec->id == FL_CODEC_BLOCK_INT && params->contributors > FL_BLOCK_INT_CONTRIBUTORS_MAX))
        return FL_ERR_RANGE;
    enum fl_status st = FL_OK;
    if (codec->on_grid)
        st = check_grid(params, codec->id == FL_CODEC_ROUND_RANDOM ? 0 : FL_CODEC_FINEST_SHIFT);
    if (!st && fl_codec_needs_tensors(codec, params->dense_below))
        st = check_tensors(params, dim);
    return st;
}

int fl_codec_sums_levels(const struct fl_codec_params *params)
{
    return fl_codec_find_id((unsigned)params->id)->on_grid && !params->dense_below;
}

size_t fl_codec_top_count(double ratio, size_t elems)
{
    size_t k = (size_t)(ratio * (double)elems);
    return k ? k : 1;
}

static enum fl_status encode_with_state(const struct fl_kernels *kernels,
                                        const struct fl_codec_params *params, const float *p, size_t dim,
                                        struct fl_buf *payload)
{
    struct fl_codec_state inner;
    struct fl_codec_params with = *params;
    with.state = &inner;
    enum fl_status st = fl_codec_state_open(params, dim, &inner);
    return st ? st : fl_codec_find_id(params->id)->encode(kernels, &with, p, dim, payload);
}

enum fl_status fl_codec_encode(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                               const float *p, size_t dim, struct fl_buf *payload)
{
    size_t before = payload->size;
    const struct fl_codec *codec = fl_codec_find_id((unsigned)params->id);
    enum fl_status st = fl_codec_params_check(params, dim);
    if (!st && !kernels->all_finite(p, dim))
        st = FL_ERR_NOT_FINITE;
    if (!st)
        st = params->dense_below ? fl_parts_encode(kernels, params, p, dim, payload)
             : params->state && fl_codec_keeps_state(codec)
                 ? encode_with_state(kernels, params, p, dim, payload)
                 : codec->encode(kernels, params, p, dim, payload);
    if (st)
        fl_buf_truncate(payload, before);
    return st;
}
