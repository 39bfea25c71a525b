#include "codec/encoders.h"

#include <math.h>
#include <stdlib.h>

#include "codec/block_int.h"
#include "codec/coded.h"
#include "codec/estimated_threshold.h"
#include "codec/floats.h"
#include "codec/grid.h"
#include "codec/layout.h"
#include "codec/rounding.h"
#include "codec/sampled_threshold.h"
#include "codec/topk.h"
#include "codec/writer.h"

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

static enum fl_status select_rounded(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                     const float *p, size_t dim, struct survivors *ret)
{
    size_t count = fl_rounding_levels(kernels, p, dim, params->step_log2, params->seed, NULL, NULL);
    enum fl_status st = survivors_init(ret, count);
    if (!st && count)
        ret->count =
            fl_rounding_levels(kernels, p, dim, params->step_log2, params->seed, ret->indices, ret->words);
    return st;
}

static enum fl_status select_top(const float *p, const struct fl_codec_tensor *tensors, size_t tensor_count,
                                 double ratio, struct survivors *ret)
{
    size_t most = 0, start = 0;
    for (size_t i = 0; i < tensor_count; i++)
        most += fl_codec_top_count(ratio, fl_codec_tensor_elems(&tensors[i]));
    enum fl_status st = survivors_init(ret, most);
    for (size_t i = 0, elems; !st && i < tensor_count; start += elems, i++) {
        elems = fl_codec_tensor_elems(&tensors[i]);
        ret->count += fl_topk_select(p + start, elems, fl_codec_top_count(ratio, elems), (uint32_t)start,
                                     ret->indices + ret->count, ret->words + ret->count);
    }
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
    case FL_CODEC_ROUND_RANDOM:
        return select_rounded(kernels, params, p, dim, ret);
    case FL_CODEC_TOPK:
        return select_top(p, &(struct fl_codec_tensor){dim, 1}, 1, params->ratio, ret);
    case FL_CODEC_TOPK_TENSOR:
        return select_top(p, params->tensors, params->tensor_count, params->ratio, ret);
    default:
        return FL_ERR_NOT_FOUND;
    }
}

enum fl_status fl_encode_dense(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                               const float *p, size_t dim, struct fl_buf *payload)
{
    (void)kernels, (void)params;
    return fl_payload_write_dense(p, dim, payload);
}

enum fl_status fl_encode_sparse(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                const float *p, size_t dim, struct fl_buf *payload)
{
    struct survivors survivors = {0};
    enum fl_status st = select_survivors(kernels, params, p, dim, &survivors);
    const struct fl_codec *codec = fl_codec_find_id(params->id);
    struct fl_payload_head head = {.kind = (enum fl_payload_kind)codec->kind,
                                   .dim = dim,
                                   .count = survivors.count,
                                   .lambda = params->lambda,
                                   .step_log2 = params->step_log2};
    int lambda_log2 = 0;
    if (!st && codec->on_grid) {
        st = fl_lambda_log2(params->lambda, &lambda_log2);
        head.shift = fl_layout_shift(lambda_log2, params->step_log2);
    }
    if (!st)
        st = fl_payload_write(&head, survivors.indices, survivors.words, payload);
    survivors_done(&survivors);
    return st;
}

static enum fl_status select_estimated(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                       const float *p, size_t dim, struct survivors *ret)
{
    float threshold;
    size_t most = fl_codec_top_count(params->ratio, dim);
    enum fl_status st = fl_threshold_estimate(kernels, params, p, dim, &threshold);
    if (!st)
        st = survivors_init(ret, most);
    if (!st)
        ret->count = fl_threshold_select(kernels, p, dim, threshold, most, ret->indices, ret->words);
    return st;
}

enum fl_status fl_encode_top_coded(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                   const float *p, size_t dim, struct fl_buf *payload)
{
    const struct fl_codec *codec = fl_codec_find_id(params->id);
    struct survivors survivors = {0};
    enum fl_status st = fl_threshold_is_estimated(params->id)
                            ? select_estimated(kernels, params, p, dim, &survivors)
                            : select_top(p, &(struct fl_codec_tensor){dim, 1}, 1, params->ratio, &survivors);
    if (!st)
        st = fl_coded_write_head(&(struct fl_coded_head){.dim = dim,
                                                         .support = FL_SUPPORT_LISTED,
                                                         .values = (enum fl_value_form)codec->values,
                                                         .indices = survivors.indices,
                                                         .count = survivors.count},
                                 payload);
    if (!st && survivors.count)
        st = fl_values_write_words((enum fl_value_form)codec->values, survivors.words, survivors.count,
                                   payload);
    survivors_done(&survivors);
    return st;
}

enum fl_status fl_encode_seeded(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                const float *p, size_t dim, struct fl_buf *payload)
{
    const struct fl_codec *codec = fl_codec_find_id(params->id);
    struct fl_coded_head head = {.dim = dim,
                                 .support = (enum fl_support_form)codec->support,
                                 .values = FL_VALUES_FLOAT32,
                                 .seed = params->seed};
    struct fl_support support;
    uint32_t indices[FL_SUPPORT_GROUP], words[FL_SUPPORT_GROUP];
    size_t size;
    (void)kernels;
    enum fl_status st = fl_coded_seeded(params, dim, params->seed, &support);
    if (!st)
        st = fl_coded_write_head(&head, payload);
    while (!st && (size = fl_support_next(&support, indices)) > 0) {
        for (size_t i = 0; i < size; i++)
            words[i] = fl_float_bits(p[indices[i]]);
        st = fl_values_write_words(FL_VALUES_FLOAT32, words, size, payload);
    }
    return st;
}

enum fl_status fl_encode_natural(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                 const float *p, size_t dim, struct fl_buf *payload)
{
    uint32_t words[FL_SUPPORT_GROUP];
    enum fl_status st = fl_coded_write_head(
        &(struct fl_coded_head){.dim = dim, .support = FL_SUPPORT_ALL, .values = FL_VALUES_NATURAL}, payload);
    for (size_t at = 0, size; !st && at < dim; at += size) {
        size = dim - at < FL_SUPPORT_GROUP ? dim - at : FL_SUPPORT_GROUP;
        fl_rounding_natural(kernels, p + at, size, at, params->seed, words);
        st = fl_values_write_words(FL_VALUES_NATURAL, words, size, payload);
    }
    return st;
}

enum fl_status fl_encode_block_int(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                   const float *p, size_t dim, struct fl_buf *payload)
{
    (void)kernels;
    enum fl_status st = fl_coded_write_head(
        &(struct fl_coded_head){.dim = dim, .support = FL_SUPPORT_ALL, .values = FL_VALUES_BLOCK_INT},
        payload);
    return st ? st : fl_values_write_blocks(p, dim, params->bucket, fl_codec_contributors(params), payload);
}
