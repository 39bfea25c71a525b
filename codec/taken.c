#include "codec/taken.h"

#include <math.h>
#include <stdlib.h>

#include "codec/floats.h"
#include "codec/grid.h"
#include "codec/topk.h"

/* Elements that are added, marked and taken from at once: 4 KiB of p, which is small enough that the
 * processor fetches the next while it takes. */
#define BLOCK 1024
/* Room for so many is made at least. */
#define ROOM_MIN 1024

/* What is taken: magnitudes with low <= bits < high, whole or (on a grid) as levels, most in all. */
struct rule {
    uint32_t low, high;
    const struct fl_kernels_grid *grid; /* NULL off the grid */
    size_t most;
};

/* A part of the vector. */
struct part {
    const float *delta, *residual;
    float *p;
    size_t start, elems;
};

void fl_taken_done(struct fl_taken *taken)
{
    free(taken->indices);
    free(taken->words);
    *taken = (struct fl_taken){0};
}

int fl_taken_can(enum fl_codec_id id)
{
    return id == FL_CODEC_THRESHOLD || id == FL_CODEC_INT_THRESHOLD || id == FL_CODEC_TOPK ||
           id == FL_CODEC_TOPK_TENSOR;
}

static enum fl_status set_capacity(struct fl_taken *taken, size_t capacity)
{
    size_t bytes = (capacity + FL_KERNELS_SLACK) * sizeof(uint32_t);
    uint32_t *indices = realloc(taken->indices, bytes);
    if (!indices)
        return FL_ERR_NOMEM;
    taken->indices = indices;
    uint32_t *words = realloc(taken->words, bytes);
    if (!words)
        return FL_ERR_NOMEM;
    taken->words = words;
    taken->capacity = capacity;
    return FL_OK;
}

/* Room for more; when there is none, for as many as there will be in all if the other elements are as those
 * so far. */
static enum fl_status make_room(struct fl_taken *taken, size_t more, size_t before, size_t done, size_t elems)
{
    size_t need = taken->count + more, here = need - before, left = elems - done;
    if (need <= taken->capacity)
        return FL_OK;
    double expected = (double)here / (double)done * (double)left * 17 / 16 + ROOM_MIN;
    return set_capacity(taken, need + (expected < (double)left ? (size_t)expected : left));
}

static void take_block(const struct fl_kernels *kernels, const struct rule *rule, const struct part *part,
                       size_t at, size_t size, const uint64_t *mask, size_t count, struct fl_taken *taken)
{
    uint32_t base = (uint32_t)(part->start + at), *indices = taken->indices + taken->count,
             *words = taken->words + taken->count;
    if (rule->grid)
        kernels->take_levels(part->p + at, size, mask, count, base, rule->grid, indices, words);
    else
        kernels->take_values(part->p + at, size, mask, count, base, indices, words);
    taken->count += count;
}

/* Adds and takes by one rule. When that would pass the rule's most, it stops: p is complete up to *ret_done,
 * and *ret_enough is 0. */
static enum fl_status take(const struct fl_kernels *kernels, const struct rule *rule, const struct part *part,
                           struct fl_taken *taken, size_t *ret_done, int *ret_enough)
{
    uint64_t mask[BLOCK / 64];
    uint32_t worst = 0;
    size_t before = taken->count;
    *ret_enough = 0;
    for (size_t at = 0, size; at < part->elems; at += size) {
        size = part->elems - at < BLOCK ? part->elems - at : BLOCK;
        size_t count = kernels->add_mask(part->delta + at, part->residual + at, part->p + at, size, rule->low,
                                         rule->high, mask, &worst);
        if (worst >= FL_FLOAT_INFINITY)
            return FL_ERR_NOT_FINITE;
        *ret_done = at + size;
        if (count > rule->most - (taken->count - before))
            return FL_OK;
        if (!count)
            continue;
        enum fl_status st = make_room(taken, count, before, at + size, part->elems);
        if (st)
            return st;
        take_block(kernels, rule, part, at, size, mask, count, taken);
    }
    *ret_enough = 1;
    return FL_OK;
}

static enum fl_status take_threshold(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                     const struct part *whole, struct fl_taken *taken)
{
    struct rule rule = {
        .low = fl_float_bits(params->lambda), .high = FL_FLOAT_INFINITY, .most = whole->elems};
    struct fl_kernels_grid grid = {.step = ldexpf(1, params->step_log2),
                                   .inverse_step = ldexpf(1, -params->step_log2),
                                   .level_most = (float)FL_CODEC_LEVEL_MAX};
    size_t done;
    int enough;
    if (params->id == FL_CODEC_INT_THRESHOLD) {
        rule.high = fl_float_bits(fl_grid_ceiling(params->step_log2));
        rule.grid = &grid;
    }
    return take(kernels, &rule, whole, taken, &done, &enough);
}

/* Puts back all from the one at first on. */
static void put_back(const struct part *part, struct fl_taken *taken, size_t first)
{
    while (taken->count > first) {
        taken->count--;
        part->p[taken->indices[taken->count] - part->start] = fl_float_from_bits(taken->words[taken->count]);
    }
}

/* Top-k of p as it stands, by looking at all of it. */
static enum fl_status take_top_plain(const struct part *part, size_t k, struct fl_taken *taken)
{
    enum fl_status st = taken->count + k <= taken->capacity ? FL_OK : set_capacity(taken, taken->count + k);
    if (st)
        return st;
    const uint32_t *indices = taken->indices + taken->count;
    size_t count = fl_topk_select(part->p, part->elems, k, (uint32_t)part->start,
                                  taken->indices + taken->count, taken->words + taken->count);
    for (size_t i = 0; i < count; i++)
        part->p[indices[i] - part->start] = 0;
    taken->count += count;
    return FL_OK;
}

static enum fl_status add_rest(const struct fl_kernels *kernels, const struct part *part, size_t done)
{
    kernels->add(part->delta + done, part->residual + done, part->p + done, part->elems - done);
    return kernels->all_finite(part->p + done, part->elems - done) ? FL_OK : FL_ERR_NOT_FINITE;
}

/* Of those taken from the one at first on, all at least as large as the k-th, keeps the k largest; ties by
 * smallest index. */
static void keep_top(const struct part *part, size_t k, struct fl_taken *taken, size_t first)
{
    size_t equal, at = first;
    uint32_t least = fl_topk_kth(taken->words + first, taken->count - first, 1, k, &equal);
    for (size_t i = first; i < taken->count; i++) {
        uint32_t index = taken->indices[i], word = taken->words[i], magnitude = word & FL_FLOAT_MAGNITUDE;
        if (magnitude < least || (magnitude == least && !equal)) {
            part->p[index - part->start] = fl_float_from_bits(word);
            continue;
        }
        equal -= magnitude == least;
        taken->indices[at] = index;
        taken->words[at++] = word;
    }
    taken->count = at;
}

/* Exact top-k of a part: a bound from a sample that a few more than k reach, then the k largest of these.
 * When the sample has misled, all of p is looked at. */
static enum fl_status take_top(const struct fl_kernels *kernels, const struct part *part, size_t k,
                               struct fl_taken *taken)
{
    size_t done = 0, first = taken->count;
    int enough;
    if (part->elems >= FL_TOPK_SAMPLE_FROM) {
        struct rule rule = {.high = FL_FLOAT_INFINITY};
        rule.low = fl_topk_bound(part->delta, part->residual, part->elems, k, &rule.most);
        enum fl_status st = take(kernels, &rule, part, taken, &done, &enough);
        if (st)
            return st;
        size_t count = taken->count - first;
        if (enough && (count >= k || rule.low == 1)) {
            if (count > k)
                keep_top(part, k, taken, first);
            return FL_OK;
        }
        put_back(part, taken, first);
    }
    enum fl_status st = add_rest(kernels, part, done);
    return st ? st : take_top_plain(part, k, taken);
}

static enum fl_status take_tensors(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                   const struct part *whole, struct fl_taken *taken)
{
    enum fl_status st = FL_OK;
    size_t start = 0;
    for (size_t i = 0; i < params->tensor_count && !st; i++) {
        struct part part = {whole->delta + start, whole->residual + start, whole->p + start, start,
                            fl_codec_tensor_elems(&params->tensors[i])};
        st = take_top(kernels, &part, fl_codec_top_count(params->ratio, part.elems), taken);
        start += part.elems;
    }
    return st;
}

enum fl_status fl_taken_fill(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                             const float *delta, const float *residual, size_t dim, float *ret_residual,
                             struct fl_taken *taken)
{
    struct part whole = {delta, residual, ret_residual, 0, dim};
    if (params->id == FL_CODEC_TOPK)
        return take_top(kernels, &whole, fl_codec_top_count(params->ratio, dim), taken);
    if (params->id == FL_CODEC_TOPK_TENSOR)
        return take_tensors(kernels, params, &whole, taken);
    return take_threshold(kernels, params, &whole, taken);
}
