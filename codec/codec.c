#include "codec/codec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/coded.h"
#include "codec/floats.h"
#include "codec/grid.h"
#include "codec/layout.h"
#include "codec/topk.h"
#include "codec/writer.h"

static enum fl_status encode_dense(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                   const float *p, size_t dim, struct fl_buf *payload);
static enum fl_status encode_sparse(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                    const float *p, size_t dim, struct fl_buf *payload);
static enum fl_status encode_top_coded(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                       const float *p, size_t dim, struct fl_buf *payload);

static const struct fl_codec codecs[] = {
    {.id = FL_CODEC_DENSE,
     .name = "dense",
     .class = FL_CLASS_LOSSLESS,
     .kind = FL_PAYLOAD_DENSE,
     .encode = encode_dense,
     .summary = "every coordinate as float32"},
    {.id = FL_CODEC_THRESHOLD,
     .name = "threshold",
     .class = FL_CLASS_ABSOLUTE,
     .kind = FL_PAYLOAD_THRESHOLD,
     .encode = encode_sparse,
     .uses_lambda = 1,
     .summary = "coordinates of magnitude lambda or more, as float32"},
    {.id = FL_CODEC_INT_THRESHOLD,
     .name = "int-threshold",
     .class = FL_CLASS_ABSOLUTE,
     .kind = FL_PAYLOAD_INT_THRESHOLD,
     .encode = encode_sparse,
     .on_grid = 1,
     .uses_lambda = 1,
     .summary = "coordinates of magnitude lambda or more, rounded to a power-of-two grid"},
    {.id = FL_CODEC_TOPK,
     .name = "topk",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_TOPK,
     .encode = encode_sparse,
     .uses_ratio = 1,
     .summary = "the largest magnitudes of the whole model, as float32"},
    {.id = FL_CODEC_TOPK_TENSOR,
     .name = "topk-tensor",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_TOPK_TENSOR,
     .encode = encode_sparse,
     .uses_ratio = 1,
     .uses_tensors = 1,
     .summary = "the largest magnitudes of each tensor, as float32"},
    {.id = FL_CODEC_TOPK_BF16,
     .name = "topk-bf16",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_LISTED,
     .values = FL_VALUES_BFLOAT16,
     .encode = encode_top_coded,
     .uses_ratio = 1,
     .summary = "the largest magnitudes of the whole model, as bfloat16"},
    {.id = FL_CODEC_TOPK_FP16,
     .name = "topk-fp16",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_LISTED,
     .values = FL_VALUES_FLOAT16,
     .encode = encode_top_coded,
     .uses_ratio = 1,
     .summary = "the largest magnitudes of the whole model, as IEEE binary16"},
};

const char *const fl_codec_names[] = {"dense",       "threshold", "int-threshold", "topk",
                                      "topk-tensor", "topk-bf16", "topk-fp16",     NULL};

#define CODEC_COUNT (sizeof codecs / sizeof codecs[0])

const struct fl_codec *fl_codec_table(size_t *ret_count)
{
    *ret_count = CODEC_COUNT;
    return codecs;
}

const struct fl_codec *fl_codec_find(const char *name)
{
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        if (strcmp(codecs[i].name, name) == 0)
            return &codecs[i];
    }
    return NULL;
}

const struct fl_codec *fl_codec_find_id(unsigned id)
{
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        if ((unsigned)codecs[i].id == id)
            return &codecs[i];
    }
    return NULL;
}

static enum fl_status check_grid(const struct fl_codec_params *params)
{
    int lambda_log2;
    enum fl_status st = fl_lambda_log2(params->lambda, &lambda_log2);
    if (st)
        return st;
    if (params->step_log2 < FL_CODEC_STEP_LOG2_MIN || params->step_log2 > FL_CODEC_STEP_LOG2_MAX)
        return FL_ERR_RANGE;
    int shift = lambda_log2 + 1 - params->step_log2;
    return shift >= 0 && shift <= FL_CODEC_FINEST_SHIFT ? FL_OK : FL_ERR_RANGE;
}

static enum fl_status check_tensors(const struct fl_codec_params *params, size_t dim)
{
    size_t left = dim;
    for (size_t i = 0; i < params->tensor_count; i++) {
        if (!params->tensor_elems[i] || params->tensor_elems[i] > left)
            return FL_ERR_SHAPE;
        left -= params->tensor_elems[i];
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
    if ((codec->uses_bits && (params->bits < 1 || params->bits > 8)) ||
        (codec->uses_bucket && (params->bucket < 1 || params->bucket > UINT32_MAX)) ||
        (codec->uses_rank && params->rank < 1))
        return FL_ERR_RANGE;
    if (codec->on_grid)
        return check_grid(params);
    return codec->uses_tensors ? check_tensors(params, dim) : FL_OK;
}

size_t fl_codec_top_count(double ratio, size_t elems)
{
    size_t k = (size_t)(ratio * (double)elems);
    return k ? k : 1;
}

/* The coordinates to send, as the writer wants them. */
struct survivors {
    uint32_t *indices, *words;
    size_t count;
};

static void survivors_done(struct survivors *survivors)
{
    free(survivors->indices);
    free(survivors->words);
}

static enum fl_status survivors_init(struct survivors *survivors, size_t most)
{
    *survivors = (struct survivors){0};
    if (!most)
        return FL_OK;
    survivors->indices = calloc(most, sizeof *survivors->indices);
    survivors->words = calloc(most, sizeof *survivors->words);
    return survivors->indices && survivors->words ? FL_OK : FL_ERR_NOMEM;
}

static enum fl_status select_band(const struct fl_kernels *kernels, const float *p, size_t dim, float low,
                                  float high, struct survivors *ret)
{
    size_t count = kernels->count_band(p, dim, low, high);
    enum fl_status st = survivors_init(ret, count);
    if (st || !count)
        return st;
    kernels->select_band(p, dim, low, high, ret->indices, ret->words);
    ret->count = count;
    return FL_OK;
}

static enum fl_status select_levels(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                    const float *p, size_t dim, struct survivors *ret)
{
    enum fl_status st = select_band(kernels, p, dim, params->lambda, fl_grid_ceiling(params->step_log2), ret);
    double inverse_step = ldexp(1.0, -params->step_log2);
    for (size_t i = 0; !st && i < ret->count; i++)
        ret->words[i] = (uint32_t)fl_grid_level(fl_float_from_bits(ret->words[i]), inverse_step);
    return st;
}

static enum fl_status select_top(const float *p, const size_t *tensor_elems, size_t tensor_count,
                                 double ratio, struct survivors *ret)
{
    size_t most = 0, start = 0;
    for (size_t i = 0; i < tensor_count; i++)
        most += fl_codec_top_count(ratio, tensor_elems[i]);
    enum fl_status st = survivors_init(ret, most);
    for (size_t i = 0; !st && i < tensor_count; start += tensor_elems[i++])
        ret->count += fl_topk_select(p + start, tensor_elems[i], fl_codec_top_count(ratio, tensor_elems[i]),
                                     (uint32_t)start, ret->indices + ret->count, ret->words + ret->count);
    return st;
}

static enum fl_status select_survivors(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                       const float *p, size_t dim, struct survivors *ret)
{
    switch (params->id) {
    case FL_CODEC_THRESHOLD:
        return select_band(kernels, p, dim, params->lambda, INFINITY, ret);
    case FL_CODEC_INT_THRESHOLD:
        return select_levels(kernels, params, p, dim, ret);
    case FL_CODEC_TOPK:
        return select_top(p, &dim, 1, params->ratio, ret);
    case FL_CODEC_TOPK_TENSOR:
        return select_top(p, params->tensor_elems, params->tensor_count, params->ratio, ret);
    default:
        return FL_ERR_NOT_FOUND;
    }
}

static enum fl_status encode_dense(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                   const float *p, size_t dim, struct fl_buf *payload)
{
    (void)kernels, (void)params;
    return fl_payload_write_dense(p, dim, payload);
}

static enum fl_status encode_sparse(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                    const float *p, size_t dim, struct fl_buf *payload)
{
    struct survivors survivors = {0};
    enum fl_status st = select_survivors(kernels, params, p, dim, &survivors);
    struct fl_payload_head head = {.kind = (enum fl_payload_kind)fl_codec_find_id(params->id)->kind,
                                   .dim = dim,
                                   .count = survivors.count,
                                   .lambda = params->lambda,
                                   .step_log2 = params->step_log2};
    int lambda_log2 = 0;
    if (!st && params->id == FL_CODEC_INT_THRESHOLD) {
        st = fl_lambda_log2(params->lambda, &lambda_log2);
        head.shift = fl_layout_shift(lambda_log2, params->step_log2);
    }
    if (!st)
        st = fl_payload_write(&head, survivors.indices, survivors.words, payload);
    survivors_done(&survivors);
    return st;
}

static enum fl_status encode_top_coded(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                       const float *p, size_t dim, struct fl_buf *payload)
{
    const struct fl_codec *codec = fl_codec_find_id(params->id);
    struct survivors survivors = {0};
    (void)kernels;
    enum fl_status st = select_top(p, &dim, 1, params->ratio, &survivors);
    if (!st)
        st = fl_coded_write_head(dim, FL_SUPPORT_LISTED, (enum fl_value_form)codec->values, survivors.indices,
                                 survivors.count, payload);
    if (!st && survivors.count)
        st = fl_values_write_words((enum fl_value_form)codec->values, survivors.words, survivors.count,
                                   payload);
    survivors_done(&survivors);
    return st;
}

enum fl_status fl_codec_encode(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                               const float *p, size_t dim, struct fl_buf *payload)
{
    size_t before = payload->size;
    enum fl_status st = fl_codec_params_check(params, dim);
    if (!st && !kernels->all_finite(p, dim))
        st = FL_ERR_NOT_FINITE;
    if (!st)
        st = fl_codec_find_id(params->id)->encode(kernels, params, p, dim, payload);
    if (st)
        fl_buf_truncate(payload, before);
    return st;
}
