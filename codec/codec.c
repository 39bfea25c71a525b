#include "codec/codec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/block_int.h"
#include "codec/coded.h"
#include "codec/estimated_threshold.h"
#include "codec/factored.h"
#include "codec/floats.h"
#include "codec/grid.h"
#include "codec/layout.h"
#include "codec/quantiser.h"
#include "codec/rounding.h"
#include "codec/sampled_threshold.h"
#include "codec/topk.h"
#include "codec/writer.h"

static enum fl_status encode_dense(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                   const float *p, size_t dim, struct fl_buf *payload);
static enum fl_status encode_sparse(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                    const float *p, size_t dim, struct fl_buf *payload);
static enum fl_status encode_top_coded(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                       const float *p, size_t dim, struct fl_buf *payload);

static enum fl_status encode_seeded(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                    const float *p, size_t dim, struct fl_buf *payload);
static enum fl_status encode_natural(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                     const float *p, size_t dim, struct fl_buf *payload);
static enum fl_status encode_block_int(const struct fl_kernels *kernels, const struct fl_codec_params *params,
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
    {.id = FL_CODEC_RANDOM_K,
     .name = "random-k",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_RANDOM,
     .encode = encode_seeded,
     .uses_ratio = 1,
     .summary = "coordinates drawn from a seed, as float32 without their indices"},
    {.id = FL_CODEC_RANDOM_BLOCK,
     .name = "random-block",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_BLOCK,
     .encode = encode_seeded,
     .uses_ratio = 1,
     .summary = "neighbours from a start drawn from a seed, as float32"},
    {.id = FL_CODEC_GRBS,
     .name = "grbs",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_GRBS,
     .encode = encode_seeded,
     .uses_ratio = 1,
     .uses_tensors = 1,
     .summary = "a block of rows of each tensor drawn from a seed, as float32 (CSER)"},
    {.id = FL_CODEC_SIGN,
     .name = "sign",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_bucket = 1,
     .summary = "the sign, times the mean magnitude of each bucket (EF-SignSGD)"},
    {.id = FL_CODEC_ONE_BIT,
     .name = "one-bit",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .summary = "the mean of the negative or of the other values (1-bit SGD)"},
    {.id = FL_CODEC_TREE_8,
     .name = "tree-8",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_bucket = 1,
     .summary = "8-bit dynamic tree, scaled to the largest magnitude of each bucket"},
    {.id = FL_CODEC_TREE_8_FIXED,
     .name = "tree-8-fixed",
     .class = FL_CLASS_ABSOLUTE,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_lambda = 1,
     .summary = "8-bit dynamic tree with the fixed scale 128 lambda"},
    {.id = FL_CODEC_QSGD,
     .name = "qsgd",
     .class = FL_CLASS_UNBIASED,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_bits = 1,
     .uses_bucket = 1,
     .summary = "uniform levels of each bucket's 2-norm, rounded at random (QSGD)"},
    {.id = FL_CODEC_QSGD_MAX,
     .name = "qsgd-max",
     .class = FL_CLASS_UNBIASED,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_bits = 1,
     .uses_bucket = 1,
     .summary = "uniform levels of each bucket's largest magnitude, rounded at random (QSGDinf)"},
    {.id = FL_CODEC_NUQSGD,
     .name = "nuqsgd",
     .class = FL_CLASS_UNBIASED,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_bits = 1,
     .uses_bucket = 1,
     .summary = "levels that halve, of each bucket's 2-norm, rounded at random (NUQSGD)"},
    {.id = FL_CODEC_TERNGRAD,
     .name = "terngrad",
     .class = FL_CLASS_UNBIASED,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_bucket = 1,
     .summary = "-1, 0 or 1 times each bucket's largest magnitude, clipped at 2.5 sigma (TernGrad)"},
    {.id = FL_CODEC_ALQ,
     .name = "alq",
     .class = FL_CLASS_UNBIASED,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_bits = 1,
     .uses_bucket = 1,
     .summary = "levels fitted to the buckets, rounded at random (ALQ)"},
    {.id = FL_CODEC_ALQ_N,
     .name = "alq-n",
     .class = FL_CLASS_UNBIASED,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_bits = 1,
     .uses_bucket = 1,
     .summary = "levels fitted to the pooled values, rounded at random (ALQ-N)"},
    {.id = FL_CODEC_AMQ,
     .name = "amq",
     .class = FL_CLASS_UNBIASED,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_bits = 1,
     .uses_bucket = 1,
     .summary = "exponential levels fitted to the buckets, rounded at random (AMQ)"},
    {.id = FL_CODEC_AMQ_N,
     .name = "amq-n",
     .class = FL_CLASS_UNBIASED,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_bits = 1,
     .uses_bucket = 1,
     .summary = "exponential levels fitted to the pooled values, rounded at random (AMQ-N)"},
    {.id = FL_CODEC_QSPARSE,
     .name = "qsparse",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_LISTED,
     .values = FL_VALUES_LEVELS,
     .encode = fl_quantiser_encode,
     .uses_ratio = 1,
     .uses_bits = 1,
     .uses_bucket = 1,
     .summary = "the largest magnitudes, quantised as in qsgd (Qsparse-local-SGD)"},
    {.id = FL_CODEC_POWER_SGD,
     .name = "power-sgd",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_FACTORED,
     .encode = fl_factored_encode,
     .uses_rank = 1,
     .uses_tensors = 1,
     .summary = "each matrix as factors of one rank, vectors as float32 (PowerSGD)"},
    {.id = FL_CODEC_LOW_RANK,
     .name = "low-rank",
     .class = FL_CLASS_ABSOLUTE,
     .kind = FL_PAYLOAD_FACTORED,
     .encode = fl_factored_encode,
     .uses_lambda = 1,
     .uses_tensors = 1,
     .summary = "each matrix as factors of the rank that keeps its error under lambda, vectors as float32"},
    {.id = FL_CODEC_ROUND_RANDOM,
     .name = "round-random",
     .class = FL_CLASS_ABSOLUTE,
     .kind = FL_PAYLOAD_INT_THRESHOLD,
     .encode = encode_sparse,
     .on_grid = 1,
     .uses_lambda = 1,
     .summary = "every coordinate rounded at random to the grid of step 2 lambda"},
    {.id = FL_CODEC_NATURAL,
     .name = "natural",
     .class = FL_CLASS_UNBIASED,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_NATURAL,
     .encode = encode_natural,
     .summary = "a power of two, rounded at random, 9 bits (natural compression)"},
    {.id = FL_CODEC_BLOCK_INT,
     .name = "block-int",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_ALL,
     .values = FL_VALUES_BLOCK_INT,
     .encode = encode_block_int,
     .uses_bucket = 1,
     .summary = "32-bit integers scaled by the largest magnitude of each bucket (SwitchML)"},
    {.id = FL_CODEC_TOPK_SAMPLED,
     .name = "topk-sampled",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_LISTED,
     .encode = encode_top_coded,
     .uses_ratio = 1,
     .summary = "about the largest magnitudes, by a threshold from a sample (DGC)"},
    {.id = FL_CODEC_SIDCO_EXPONENTIAL,
     .name = "sidco-exponential",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_LISTED,
     .encode = encode_top_coded,
     .uses_ratio = 1,
     .summary = "about the largest magnitudes, by a fitted exponential (SIDCo)"},
    {.id = FL_CODEC_SIDCO_PARETO,
     .name = "sidco-pareto",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_LISTED,
     .encode = encode_top_coded,
     .uses_ratio = 1,
     .summary = "about the largest magnitudes, by a fitted Pareto distribution (SIDCo)"},
    {.id = FL_CODEC_SIDCO_GAMMA,
     .name = "sidco-gamma",
     .class = FL_CLASS_CONTRACTION,
     .kind = FL_PAYLOAD_CODED,
     .support = FL_SUPPORT_LISTED,
     .encode = encode_top_coded,
     .uses_ratio = 1,
     .summary = "about the largest magnitudes, by a fitted gamma distribution (SIDCo)"},
};

const char *const fl_codec_names[] = {"dense",        "threshold",    "int-threshold",
                                      "topk",         "topk-tensor",  "topk-bf16",
                                      "topk-fp16",    "random-k",     "random-block",
                                      "grbs",         "sign",         "one-bit",
                                      "tree-8",       "tree-8-fixed", "qsgd",
                                      "qsgd-max",     "nuqsgd",       "terngrad",
                                      "alq",          "alq-n",        "amq",
                                      "amq-n",        "qsparse",      "power-sgd",
                                      "low-rank",     "round-random", "natural",
                                      "block-int",    "topk-sampled", "sidco-exponential",
                                      "sidco-pareto", "sidco-gamma",  NULL};

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

int fl_codec_is_exact(const struct fl_codec *codec)
{
    return fl_codec_has_feedback(codec) && codec->kind != FL_PAYLOAD_FACTORED &&
           codec->id != FL_CODEC_ROUND_RANDOM &&
           !(codec->kind == FL_PAYLOAD_CODED &&
             (codec->values == FL_VALUES_LEVELS || codec->values == FL_VALUES_BLOCK_INT));
}

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
        (codec->id == FL_CODEC_BLOCK_INT && params->contributors > FL_BLOCK_INT_CONTRIBUTORS_MAX))
        return FL_ERR_RANGE;
    if (codec->on_grid)
        return check_grid(params, codec->id == FL_CODEC_ROUND_RANDOM ? 0 : FL_CODEC_FINEST_SHIFT);
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

static enum fl_status select_rounded(const struct fl_codec_params *params, const float *p, size_t dim,
                                     struct survivors *ret)
{
    size_t count = fl_rounding_levels(p, dim, params->step_log2, params->seed, NULL, NULL);
    enum fl_status st = survivors_init(ret, count);
    if (!st && count)
        ret->count = fl_rounding_levels(p, dim, params->step_log2, params->seed, ret->indices, ret->words);
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
        return select_rounded(params, p, dim, ret);
    case FL_CODEC_TOPK:
        return select_top(p, &(struct fl_codec_tensor){dim, 1}, 1, params->ratio, ret);
    case FL_CODEC_TOPK_TENSOR:
        return select_top(p, params->tensors, params->tensor_count, params->ratio, ret);
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

static enum fl_status encode_top_coded(const struct fl_kernels *kernels, const struct fl_codec_params *params,
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

static enum fl_status encode_seeded(const struct fl_kernels *kernels, const struct fl_codec_params *params,
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

static enum fl_status encode_natural(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                     const float *p, size_t dim, struct fl_buf *payload)
{
    uint32_t words[FL_SUPPORT_GROUP];
    (void)kernels;
    enum fl_status st = fl_coded_write_head(
        &(struct fl_coded_head){.dim = dim, .support = FL_SUPPORT_ALL, .values = FL_VALUES_NATURAL}, payload);
    for (size_t at = 0, size; !st && at < dim; at += size) {
        size = dim - at < FL_SUPPORT_GROUP ? dim - at : FL_SUPPORT_GROUP;
        fl_rounding_natural(p + at, size, at, params->seed, words);
        st = fl_values_write_words(FL_VALUES_NATURAL, words, size, payload);
    }
    return st;
}

static enum fl_status encode_block_int(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                       const float *p, size_t dim, struct fl_buf *payload)
{
    (void)kernels;
    enum fl_status st = fl_coded_write_head(
        &(struct fl_coded_head){.dim = dim, .support = FL_SUPPORT_ALL, .values = FL_VALUES_BLOCK_INT},
        payload);
    return st ? st : fl_values_write_blocks(p, dim, params->bucket, fl_codec_contributors(params), payload);
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
