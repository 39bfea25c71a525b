#include "codec/heavy.h"

#include <math.h>
#include <stdlib.h>

#include "codec/floats.h"
#include "codec/seeded_support.h"
#include "codec/topk.h"

/* Estimates of a sketch and room for the bits of k of them. */
struct work {
    float *estimates;
    uint32_t *bits;
};

static void work_done(struct work *work)
{
    free(work->estimates);
    free(work->bits);
}

static enum fl_status work_init(const struct fl_sketch *sketch, size_t k, struct work *work)
{
    size_t dim = sketch->shape.dim;
    *work = (struct work){0};
    if (k == 0 || k > dim)
        return FL_ERR_RANGE;
    work->estimates = malloc(dim * sizeof *work->estimates);
    work->bits = malloc(k * sizeof *work->bits);
    if (!work->estimates || !work->bits)
        return FL_ERR_NOMEM;
    fl_sketch_estimates(sketch, work->estimates);
    for (size_t i = 0; i < dim; i++) {
        if (!isfinite(work->estimates[i]))
            return FL_ERR_RANGE;
    }
    return FL_OK;
}

enum fl_status fl_heavy_top(const struct fl_sketch *sketch, size_t k, uint32_t *ret_indices,
                            size_t *ret_count)
{
    struct work work;
    enum fl_status st = work_init(sketch, k, &work);
    if (!st)
        *ret_count = fl_topk_select(work.estimates, sketch->shape.dim, k, 0, ret_indices, work.bits);
    work_done(&work);
    return st;
}

static int by_index(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    return i < j ? -1 : i > j;
}

/* Adds others from seed after the count increasing indices until there are k, and sorts. */
static enum fl_status add_others(size_t dim, uint64_t seed, size_t count, size_t k, uint32_t *indices)
{
    struct fl_support others;
    uint32_t group[FL_SUPPORT_GROUP];
    size_t given, before = 0, at = count;
    if (count == k)
        return FL_OK;
    /* a subset of those not taken: their ranks among themselves are uniform */
    enum fl_status st = fl_support_random(dim - count, k - count, seed, &others);
    while (!st && (given = fl_support_next(&others, group))) {
        for (size_t i = 0; i < given; i++) {
            while (before < count && indices[before] - before <= group[i])
                before++;
            indices[at++] = group[i] + (uint32_t)before;
        }
    }
    qsort(indices, k, sizeof *indices, by_index);
    return st;
}

enum fl_status fl_heavy_mix(const struct fl_sketch *sketch, size_t k, uint64_t seed, uint32_t *ret_indices)
{
    struct work work;
    size_t count, heavy = 0;
    double least = fl_sketch_norm(sketch) / sqrt((double)k);
    enum fl_status st = work_init(sketch, k, &work);
    if (st)
        goto out;
    count = fl_topk_select(work.estimates, sketch->shape.dim, k, 0, ret_indices, work.bits);
    for (size_t i = 0; i < count; i++) {
        if (fabs((double)fl_float_from_bits(work.bits[i])) >= least)
            ret_indices[heavy++] = ret_indices[i];
    }
    st = add_others(sketch->shape.dim, seed, heavy, k, ret_indices);
out:
    work_done(&work);
    return st;
}

enum fl_status fl_heavy_keep(const uint32_t *candidates, const float *sums, size_t count, size_t k,
                             uint32_t *ret_indices, float *ret_values, size_t *ret_count)
{
    if (k == 0 || k > count)
        return FL_ERR_RANGE;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(sums[i]))
            return FL_ERR_NOT_FINITE;
    }
    float least = fl_topk_magnitude(sums, count, 1, k);
    size_t above = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        above += fabsf(sums[i]) > least;
    for (size_t i = 0, equal = k - above; i < count; i++) {
        float magnitude = fabsf(sums[i]);
        if (magnitude == 0 || magnitude < least || (magnitude == least && !equal))
            continue;
        equal -= magnitude == least;
        ret_indices[at] = candidates[i];
        ret_values[at++] = sums[i];
    }
    *ret_count = at;
    return FL_OK;
}
