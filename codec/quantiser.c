#include "codec/quantiser.h"

#include <math.h>
#include <stdlib.h>

#include "codec/bucket_stats.h"
#include "codec/coded.h"
#include "codec/floats.h"
#include "codec/level_count.h"
#include "codec/levels_alq.h"
#include "codec/levels_amq.h"
#include "codec/quantise.h"
#include "codec/topk.h"

/* Buckets that levels are fitted to, as in the authors' scripts. */
#define FITTED_BUCKETS 50
/* TernGrad: what is beyond so many standard deviations is clipped. */
#define CLIP_SIGMAS 2.5
/* tree-8-fixed: with this scale the widest gap of the tree, 0.0141, leaves an error of at most 0.91 lambda.
 */
#define TREE_LAMBDAS 128

enum scale { SCALE_NORM, SCALE_MAX, SCALE_CLIPPED, SCALE_MEAN, SCALE_LAMBDA, SCALE_ONE };
enum rounding { ROUND_SIGN, ROUND_NEAREST, ROUND_RANDOM };

/* A vector on its way through a quantiser. */
struct work {
    const struct fl_kernels *kernels;
    const struct fl_codec_params *params;
    const float *values; /* shape (count): p, or the survivors */
    size_t count, bucket, buckets;
    float table[FL_LEVELS_MAX];
    size_t level_count;
    float *scales;  /* shape (buckets): what values are divided by */
    uint8_t *codes; /* shape (count) */
};

typedef enum fl_status (*table_fn)(struct work *work);

struct recipe {
    enum fl_codec_id id;
    enum scale scale;
    enum rounding rounding;
    int whole; /* one bucket */
    table_fn table;
};

/* --- tables --- */

static void set_table(struct work *work, const double *levels, size_t count)
{
    fl_levels_table(levels, count, work->table);
    work->level_count = count;
}

static enum fl_status table_signs(struct work *work)
{
    work->table[0] = -1;
    work->table[1] = 1;
    work->level_count = 2;
    return FL_OK;
}

/* The mean of the negative values and that of the others, 0 where there are none. */
static enum fl_status table_means(struct work *work)
{
    double sums[2] = {0, 0};
    size_t counts[2] = {0, 0};
    for (size_t i = 0; i < work->count; i++) {
        int side = work->values[i] >= 0;
        sums[side] += (double)work->values[i];
        counts[side]++;
    }
    for (int side = 0; side < 2; side++)
        work->table[side] = counts[side] ? (float)(sums[side] / (double)counts[side]) : 0;
    if (!(work->table[0] < work->table[1])) /* zeros only: levels must grow */
        work->table[1] = nextafterf(work->table[0], INFINITY);
    work->level_count = 2;
    return FL_OK;
}

static enum fl_status table_tree(struct work *work)
{
    double levels[FL_LEVELS_TREE];
    fl_levels_dynamic_tree(levels);
    set_table(work, levels, FL_LEVELS_TREE);
    return FL_OK;
}

static enum fl_status table_uniform(struct work *work)
{
    double levels[FL_LEVELS_MAX];
    size_t count = ((size_t)1 << work->params->bits) - 1;
    fl_levels_uniform(count, levels);
    set_table(work, levels, count);
    return FL_OK;
}

/* As uniform, with as many levels as the codec's rule says. */
static enum fl_status table_counted(struct work *work)
{
    double levels[FL_LEVELS_MAX];
    uint32_t s;
    enum fl_status st = fl_level_count_next(work->params, work->values, work->count, &s);
    if (st)
        return st;
    fl_levels_uniform(2 * (size_t)s + 1, levels);
    set_table(work, levels, 2 * (size_t)s + 1);
    return FL_OK;
}

static enum fl_status table_ternary(struct work *work)
{
    double levels[3];
    fl_levels_uniform(3, levels);
    set_table(work, levels, 3);
    return FL_OK;
}

static enum fl_status table_halves(struct work *work)
{
    double levels[FL_LEVELS_MAX];
    size_t count = ((size_t)1 << work->params->bits) - 1;
    enum fl_status st = fl_levels_exponential(0.5, count, levels);
    if (!st)
        set_table(work, levels, count);
    return st;
}

/* The distribution of the normalised values; uniform levels fit a vector of zeros as well as any. ret_parts:
 * shape (FITTED_BUCKETS). */
static enum fl_status fit(const struct work *work, int pooled, struct fl_mixture_part *ret_parts,
                          struct fl_mixture *ret_mixture)
{
    struct fl_bucket_stats stats[FITTED_BUCKETS];
    struct fl_bucket_top top = {.stats = stats, .room = FITTED_BUCKETS};
    enum fl_status st = fl_bucket_top_add(&top, FL_NORM_L2, work->values, work->count, work->bucket);
    if (st)
        return st;
    if (!top.count)
        top.stats[top.count++] = (struct fl_bucket_stats){.norm = 1, .mean = 0, .sigma = 0.5};
    *ret_mixture = (struct fl_mixture){.parts = ret_parts, .count = 1, .symmetric = 1};
    return pooled ? fl_bucket_pool(top.stats, top.count, ret_parts)
                  : fl_bucket_mix(top.stats, top.count, ret_parts, &ret_mixture->count);
}

static enum fl_status table_fitted(struct work *work, int pooled, int exponential)
{
    struct fl_mixture_part parts[FITTED_BUCKETS];
    struct fl_mixture mixture;
    double levels[FL_LEVELS_MAX], p;
    size_t count = (size_t)1 << work->params->bits;
    enum fl_status st = fit(work, pooled, parts, &mixture);
    if (st)
        return st;
    if (exponential) {
        fl_levels_amq(&mixture, count, FL_LEVELS_AMQ_STEPS, 0, &p);
        st = fl_levels_exponential(p, count, levels);
    } else {
        fl_levels_alq(&mixture, count, FL_LEVELS_ALQ_SWEEPS, levels);
    }
    if (!st)
        set_table(work, levels, count);
    return st;
}

static enum fl_status table_alq(struct work *work)
{
    return table_fitted(work, 0, 0);
}

static enum fl_status table_alq_n(struct work *work)
{
    return table_fitted(work, 1, 0);
}

static enum fl_status table_amq(struct work *work)
{
    return table_fitted(work, 0, 1);
}

static enum fl_status table_amq_n(struct work *work)
{
    return table_fitted(work, 1, 1);
}

static const struct recipe recipes[] = {
    {FL_CODEC_SIGN, SCALE_MEAN, ROUND_SIGN, 0, table_signs},
    {FL_CODEC_ONE_BIT, SCALE_ONE, ROUND_SIGN, 1, table_means},
    {FL_CODEC_TREE_8, SCALE_MAX, ROUND_NEAREST, 0, table_tree},
    {FL_CODEC_TREE_8_FIXED, SCALE_LAMBDA, ROUND_NEAREST, 1, table_tree},
    {FL_CODEC_QSGD, SCALE_NORM, ROUND_RANDOM, 0, table_uniform},
    {FL_CODEC_QSGD_MAX, SCALE_MAX, ROUND_RANDOM, 0, table_uniform},
    {FL_CODEC_NUQSGD, SCALE_NORM, ROUND_RANDOM, 0, table_halves},
    {FL_CODEC_TERNGRAD, SCALE_CLIPPED, ROUND_RANDOM, 0, table_ternary},
    {FL_CODEC_ALQ, SCALE_NORM, ROUND_RANDOM, 0, table_alq},
    {FL_CODEC_ALQ_N, SCALE_NORM, ROUND_RANDOM, 0, table_alq_n},
    {FL_CODEC_AMQ, SCALE_NORM, ROUND_RANDOM, 0, table_amq},
    {FL_CODEC_AMQ_N, SCALE_NORM, ROUND_RANDOM, 0, table_amq_n},
    {FL_CODEC_ADAQS, SCALE_NORM, ROUND_RANDOM, 0, table_counted},
    {FL_CODEC_DQSGD, SCALE_NORM, ROUND_RANDOM, 0, table_counted},
    {FL_CODEC_QSPARSE, SCALE_NORM, ROUND_RANDOM, 0, table_uniform},
};

static const struct recipe *find_recipe(enum fl_codec_id id)
{
    const struct recipe *recipe = recipes;
    while (recipe->id != id)
        recipe++;
    return recipe;
}

/* --- scales and codes --- */

static double mean_magnitude(const float *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)v[i]);
    return sum / (double)n;
}

/* What a value may have at most, for TernGrad. */
static double clip_at(const struct work *work)
{
    double sum = 0, squares = 0, n = (double)work->count;
    for (size_t i = 0; i < work->count; i++) {
        sum += (double)work->values[i];
        squares += (double)work->values[i] * (double)work->values[i];
    }
    double variance = squares / n - (sum / n) * (sum / n);
    return CLIP_SIGMAS * sqrt(variance > 0 ? variance : 0);
}

static enum fl_status bucket_scale(const struct work *work, enum scale scale, double clip, const float *v,
                                   size_t n, float *ret_scale)
{
    enum fl_status st = FL_OK;
    switch (scale) {
    case SCALE_NORM:
        return fl_bucket_norm(FL_NORM_L2, v, n, ret_scale);
    case SCALE_MAX:
        return fl_bucket_norm(FL_NORM_MAX, v, n, ret_scale);
    case SCALE_CLIPPED:
        st = fl_bucket_norm(FL_NORM_MAX, v, n, ret_scale);
        if (!st && clip > 0 && (double)*ret_scale > clip)
            *ret_scale = (float)clip;
        return st;
    case SCALE_MEAN:
        *ret_scale = (float)mean_magnitude(v, n);
        return FL_OK;
    case SCALE_LAMBDA:
        *ret_scale = work->params->lambda * TREE_LAMBDAS;
        return isfinite(*ret_scale) ? FL_OK : FL_ERR_RANGE;
    case SCALE_ONE:
        *ret_scale = 1;
        return FL_OK;
    }
    return FL_ERR_RANGE;
}

/* Codes of one bucket that begins at value number first. A bucket of zeros has scale 0: there any code is
 * right. */
static void bucket_codes(const struct work *work, enum rounding rounding, size_t first, size_t n, float scale)
{
    const struct fl_quantise_levels levels = {work->table, work->level_count};
    const struct fl_kernels_draw draw = {.seed = work->params->seed};
    const float *v = work->values + first;
    uint8_t *codes = work->codes + first;
    float norm = scale > 0 ? scale : 1;
    switch (rounding) {
    case ROUND_SIGN:
        for (size_t i = 0; i < n; i++)
            codes[i] = v[i] >= 0;
        break;
    case ROUND_NEAREST:
        fl_quantise_nearest(&levels, v, norm, n, codes);
        break;
    case ROUND_RANDOM:
        fl_quantise_stochastic(work->kernels, &levels, v, norm, n, first, &draw, codes);
        break;
    }
}

static enum fl_status quantise(struct work *work, const struct recipe *recipe)
{
    double clip = recipe->scale == SCALE_CLIPPED ? clip_at(work) : 0;
    enum fl_status st = recipe->table(work);
    for (size_t b = 0; !st && b < work->buckets; b++) {
        size_t first = b * work->bucket;
        size_t n = work->count - first < work->bucket ? work->count - first : work->bucket;
        st = bucket_scale(work, recipe->scale, clip, work->values + first, n, &work->scales[b]);
        if (!st)
            bucket_codes(work, recipe->rounding, first, n, work->scales[b]);
    }
    return st;
}

/* --- payloads --- */

/* Variance of QSGD with s levels and buckets of n values, in units of their squared norm (Alistarh et al.,
 * 2017, Lemma 3.1). */
static double uniform_omega(size_t n, unsigned bits)
{
    double s = ldexp(1, (int)bits - 1) - 1;
    return fmin((double)n / (s * s), sqrt((double)n) / s);
}

/* Appends the values section for work->values. */
static enum fl_status put_values(struct work *work, struct fl_buf *payload)
{
    const struct recipe *recipe = find_recipe(work->params->id);
    work->bucket = recipe->whole || work->params->bucket > work->count ? work->count : work->params->bucket;
    work->buckets = (work->count - 1) / work->bucket + 1;
    work->scales = calloc(work->buckets, sizeof *work->scales);
    work->codes = malloc(work->count);
    enum fl_status st = work->scales && work->codes ? quantise(work, recipe) : FL_ERR_NOMEM;
    if (!st && work->params->id ==
                   FL_CODEC_QSPARSE) { /* makes the whole a contraction: Basu et al., 2019, Lemma 1 */
        float shrink = (float)(1 / (1 + uniform_omega(work->bucket, work->params->bits)));
        for (size_t b = 0; b < work->buckets; b++)
            work->scales[b] *= shrink;
    }
    struct fl_level_values levels = {.table = work->table,
                                     .level_count = work->level_count,
                                     .scales = work->scales,
                                     .bucket = work->bucket,
                                     .codes = work->codes};
    if (!st)
        st = fl_values_write_levels(&levels, work->count, payload);
    free(work->scales);
    free(work->codes);
    return st;
}

static enum fl_status encode_all(struct work *work, struct fl_buf *payload)
{
    struct fl_coded_head head = {.dim = work->count, .support = FL_SUPPORT_ALL, .values = FL_VALUES_LEVELS};
    enum fl_status st = fl_coded_write_head(&head, payload);
    return st ? st : put_values(work, payload);
}

static enum fl_status encode_largest(struct work *work, struct fl_buf *payload)
{
    size_t most = fl_codec_top_count(work->params->ratio, work->count);
    struct fl_coded_head head = {
        .dim = work->count, .support = FL_SUPPORT_LISTED, .values = FL_VALUES_LEVELS};
    uint32_t *indices = calloc(most, sizeof *indices);
    float *values = calloc(most, sizeof *values);
    enum fl_status st = FL_ERR_NOMEM;
    if (!indices || !values)
        goto out;
    _Static_assert(sizeof *values == sizeof(uint32_t), "selected values come as their bits");
    head.count = fl_topk_select(work->values, work->count, most, 0, indices, (uint32_t *)(void *)values);
    head.indices = indices;
    st = fl_coded_write_head(&head, payload);
    work->values = values;
    work->count = head.count;
    if (!st && head.count)
        st = put_values(work, payload);
out:
    free(indices);
    free(values);
    return st;
}

enum fl_status fl_quantiser_encode(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                   const float *p, size_t dim, struct fl_buf *payload)
{
    struct work work = {.kernels = kernels, .params = params, .values = p, .count = dim};
    return fl_codec_find_id(params->id)->support == FL_SUPPORT_ALL ? encode_all(&work, payload)
                                                                   : encode_largest(&work, payload);
}
