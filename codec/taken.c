#include "codec/taken.h"

#include <math.h>
#include <stdlib.h>

#include "codec/floats.h"
#include "codec/grid.h"
#include "codec/topk.h"
#include "kernels/take.h"

/* Elements that are added and listed before they are taken: 8 KiB of p, which stay in the nearest cache. */
#define BLOCK 2048
/* Elements that are packed between two looks at the room; a multiple of 64. */
#define PACK_BLOCK 16384
/* Room for so many is made at least. */
#define ROOM_MIN 1024
/* From one taken element in so many on, a bitmap is no larger than a list of indices. */
#define PACK_FROM 32
/* Spots of the vector, of so many neighbours each, that tell how many to expect. */
#define SPOTS      64
#define SPOT_ELEMS 16

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
    free(taken->bitmap);
    free(taken->words);
    *taken = (struct fl_taken){0};
}

int fl_taken_can(enum fl_codec_id id)
{
    return id == FL_CODEC_THRESHOLD || id == FL_CODEC_INT_THRESHOLD || id == FL_CODEC_TOPK ||
           id == FL_CODEC_TOPK_TENSOR;
}

static enum fl_status resize(uint32_t **array, size_t capacity)
{
    uint32_t *resized = realloc(*array, (capacity + FL_KERNELS_SLACK) * sizeof **array);
    if (!resized)
        return FL_ERR_NOMEM;
    *array = resized;
    return FL_OK;
}

static enum fl_status set_capacity(struct fl_taken *taken, size_t capacity)
{
    enum fl_status st = taken->bitmap ? FL_OK : resize(&taken->indices, capacity);
    if (!st)
        st = resize(&taken->words, capacity);
    if (!st)
        taken->capacity = capacity;
    return st;
}

/* Room for more; when there is none, for as many as there will be in all if the other elements are as those
 * so far. */
static enum fl_status make_room(struct fl_taken *taken, size_t more, size_t before, size_t done, size_t elems)
{
    size_t need = taken->count + more, here = taken->count - before, left = elems - done;
    if (need <= taken->capacity)
        return FL_OK;
    double expected = done ? (double)here / (double)done * (double)left * 17 / 16 : 0;
    return set_capacity(taken, need + (expected < (double)left ? (size_t)expected : left) + ROOM_MIN);
}

/* Forgets what was taken, and begins a list, or a bitmap of dim bits when dim is not 0. */
static enum fl_status begin(struct fl_taken *taken, size_t dim)
{
    if (taken->dim != dim)
        fl_taken_done(taken);
    taken->count = 0;
    if (!dim || taken->bitmap)
        return FL_OK;
    taken->bitmap = malloc((dim + 63) / 64 * sizeof *taken->bitmap);
    taken->dim = dim;
    return taken->bitmap ? FL_OK : FL_ERR_NOMEM;
}

/* Takes those that were listed behind the count. */
static void take_listed(const struct rule *rule, const struct part *part, size_t count,
                        struct fl_taken *taken)
{
    const uint32_t *indices = taken->indices + taken->count;
    uint32_t *words = taken->words + taken->count;
    if (rule->grid) {
        for (size_t i = 0; i < count; i++)
            words[i] = fl_take_one(part->p + (indices[i] - part->start), rule->grid);
    } else {
        for (size_t i = 0; i < count; i++)
            words[i] = fl_take_one(part->p + (indices[i] - part->start), NULL);
    }
    taken->count += count;
}

/* Adds and takes by one rule. When that would pass the rule's most, it stops: p is complete up to *ret_done,
 * and *ret_enough is 0. */
static enum fl_status take(const struct fl_kernels *kernels, const struct rule *rule, const struct part *part,
                           struct fl_taken *taken, size_t *ret_done, int *ret_enough)
{
    uint32_t worst = 0;
    size_t before = taken->count, count = 0;
    *ret_enough = 0;
    for (size_t at = 0, size; at < part->elems; at += size) {
        size = part->elems - at < BLOCK ? part->elems - at : BLOCK;
        enum fl_status st = make_room(taken, size, before, at, part->elems);
        if (st)
            return st;
        count = kernels->add_list(part->delta + at, part->residual + at, part->p + at, size, rule->low,
                                  rule->high, (uint32_t)(part->start + at), count,
                                  taken->indices + taken->count, &worst);
        if (worst >= FL_FLOAT_INFINITY)
            return FL_ERR_NOT_FINITE;
        *ret_done = at + size;
        if (count > rule->most - (taken->count - before))
            return FL_OK;
        take_listed(rule, part, count, taken);
    }
    *ret_enough = 1;
    return FL_OK;
}

/* The same of the whole vector into a bitmap, whatever the rule's most. */
static enum fl_status take_packed(const struct fl_kernels *kernels, const struct rule *rule,
                                  const struct part *whole, struct fl_taken *taken)
{
    uint32_t worst = 0;
    for (size_t at = 0, size; at < whole->elems; at += size) {
        size = whole->elems - at < PACK_BLOCK ? whole->elems - at : PACK_BLOCK;
        enum fl_status st = make_room(taken, size, 0, at, whole->elems);
        if (st)
            return st;
        taken->count += kernels->add_pack(whole->delta + at, whole->residual + at, whole->p + at, size,
                                          rule->low, rule->high, rule->grid, taken->bitmap + at / 64,
                                          taken->words + taken->count, &worst);
        if (worst >= FL_FLOAT_INFINITY)
            return FL_ERR_NOT_FINITE;
    }
    return FL_OK;
}

/* Whether enough will be taken that a bitmap pays, as a few spots tell. */
static int expects_many(const struct rule *rule, const struct part *whole)
{
    size_t count = 0, stride = whole->elems / SPOTS;
    if (stride < SPOT_ELEMS)
        return 0;
    for (size_t spot = 0; spot < SPOTS; spot++) {
        for (size_t i = spot * stride; i < spot * stride + SPOT_ELEMS; i++) {
            uint32_t magnitude = fl_float_bits(whole->delta[i] + whole->residual[i]) & FL_FLOAT_MAGNITUDE;
            count += magnitude >= rule->low && magnitude < rule->high;
        }
    }
    return count * PACK_FROM >= SPOTS * SPOT_ELEMS;
}

static enum fl_status take_threshold(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                     const struct part *whole, struct fl_taken *taken)
{
    struct rule rule = {
        .low = fl_float_bits(params->lambda), .high = FL_FLOAT_INFINITY, .most = whole->elems};
    struct fl_kernels_grid grid = {.step = ldexpf(1, params->step_log2),
                                   .inverse_step = ldexpf(1, -params->step_log2),
                                   .level_most = (float)FL_CODEC_LEVEL_MAX};
    if (params->id == FL_CODEC_INT_THRESHOLD) {
        rule.high = fl_float_bits(fl_grid_ceiling(params->step_log2));
        rule.grid = &grid;
    }
    int many = expects_many(&rule, whole), enough;
    size_t done;
    enum fl_status st = begin(taken, many ? whole->elems : 0);
    if (st)
        return st;
    return many ? take_packed(kernels, &rule, whole, taken)
                : take(kernels, &rule, whole, taken, &done, &enough);
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
    if (params->id == FL_CODEC_THRESHOLD || params->id == FL_CODEC_INT_THRESHOLD)
        return take_threshold(kernels, params, &whole, taken);
    enum fl_status st = begin(taken, 0);
    if (st)
        return st;
    return params->id == FL_CODEC_TOPK
               ? take_top(kernels, &whole, fl_codec_top_count(params->ratio, dim), taken)
               : take_tensors(kernels, params, &whole, taken);
}

/* --- to the writer --- */

/* What is left of a bitmap to list, one range after the other. */
struct unpacking {
    const struct fl_kernels *kernels;
    const struct fl_taken *taken;
    uint32_t *indices; /* of one range */
    size_t at;         /* words before it */
};

/* Ranges are whole words of the bitmap: they begin and end at multiples of 512, or at its end. */
static size_t unpack(void *user, uint64_t begin_elem, uint64_t end_elem, const uint32_t **ret_indices,
                     const uint32_t **ret_words)
{
    struct unpacking *unpacking = user;
    const struct fl_taken *taken = unpacking->taken;
    size_t words = (size_t)(end_elem - begin_elem + 63) / 64;
    if (!begin_elem)
        unpacking->at = 0;
    double density = (double)taken->count / (double)taken->dim;
    size_t count = unpacking->kernels->list_bits(taken->bitmap + begin_elem / 64, words, (uint32_t)begin_elem,
                                                 (size_t)(density * (double)(end_elem - begin_elem)),
                                                 unpacking->indices);
    *ret_indices = unpacking->indices;
    *ret_words = taken->words + unpacking->at;
    unpacking->at += count;
    return count;
}

enum fl_status fl_taken_write(const struct fl_kernels *kernels, const struct fl_payload_head *head,
                              const struct fl_taken *taken, struct fl_buf *payload)
{
    if (!taken->bitmap)
        return fl_payload_write(head, taken->indices, taken->words, payload);
    struct unpacking unpacking = {.kernels = kernels, .taken = taken};
    enum fl_status st = resize(&unpacking.indices, fl_payload_range_most(taken->dim, taken->count));
    if (!st)
        st = fl_payload_write_from(head, unpack, &unpacking, payload);
    free(unpacking.indices);
    return st;
}
