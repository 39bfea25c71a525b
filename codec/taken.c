#include "codec/taken.h"

#include <stdlib.h>

#include "codec/floats.h"
#include "codec/rule.h"
#include "codec/taking.h"
#include "codec/topk.h"

/* From one taken element in so many on, a bitmap is no larger than a list of indices. */
#define PACK_FROM 32
/* Spots of the vector, of so many neighbours each, that tell how many to expect. */
#define SPOTS      64
#define SPOT_ELEMS 16

int fl_taken_can(enum fl_codec_id id)
{
    return id == FL_CODEC_THRESHOLD || id == FL_CODEC_INT_THRESHOLD || id == FL_CODEC_TOPK ||
           id == FL_CODEC_TOPK_TENSOR;
}

/* Whether enough will be taken that a bitmap pays, as a few spots tell. */
static int expects_many(const struct fl_taking_rule *rule, const struct fl_taking_part *whole)
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

static enum fl_status take_threshold(const struct fl_takers *takers, const struct fl_codec_params *params,
                                     const struct fl_taking_part *whole, struct fl_taken *taken)
{
    struct fl_codec_rule wanted = fl_codec_rule(params);
    struct fl_taking_rule rule = {.low = wanted.low,
                                  .high = wanted.high,
                                  .grid = wanted.on_grid ? &wanted.grid : NULL,
                                  .most = whole->elems};
    int enough; /* always */
    enum fl_status st = fl_taken_begin(taken, expects_many(&rule, whole) ? whole->elems : 0);
    return st ? st : fl_take(takers, &rule, whole, taken, &enough);
}

/* Puts back all from the one at first on. */
static void put_back(const struct fl_taking_part *part, struct fl_taken *taken, size_t first)
{
    while (taken->count > first) {
        taken->count--;
        part->p[taken->indices[taken->count] - part->start] = fl_float_from_bits(taken->words[taken->count]);
    }
}

/* Top-k of p as it stands, by looking at all of it. */
static enum fl_status take_top_plain(const struct fl_taking_part *part, size_t k, struct fl_taken *taken)
{
    enum fl_status st = fl_taken_reserve(taken, taken->count + k);
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

/* Of those taken from the one at first on, all at least as large as the k-th, keeps the k largest; ties by
 * smallest index. */
static void keep_top(const struct fl_taking_part *part, size_t k, struct fl_taken *taken, size_t first)
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
static enum fl_status take_top(const struct fl_takers *takers, const struct fl_taking_part *part, size_t k,
                               struct fl_taken *taken)
{
    size_t first = taken->count;
    enum fl_status st;
    if (part->elems < FL_TOPK_SAMPLE_FROM) {
        st = fl_take_nothing(takers->kernels, part);
    } else {
        struct fl_taking_rule rule = {.high = FL_FLOAT_INFINITY};
        int enough;
        rule.low = fl_topk_bound(part->delta, part->residual, part->elems, k, &rule.most);
        st = fl_take(takers, &rule, part, taken, &enough);
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
    return st ? st : take_top_plain(part, k, taken);
}

static enum fl_status take_tensors(const struct fl_takers *takers, const struct fl_codec_params *params,
                                   const struct fl_taking_part *whole, struct fl_taken *taken)
{
    enum fl_status st = FL_OK;
    size_t start = 0;
    for (size_t i = 0; i < params->tensor_count && !st; i++) {
        struct fl_taking_part part = {whole->delta + start, whole->residual + start, whole->p + start, start,
                                      fl_codec_tensor_elems(&params->tensors[i])};
        st = take_top(takers, &part, fl_codec_top_count(params->ratio, part.elems), taken);
        start += part.elems;
    }
    return st;
}

enum fl_status fl_taken_fill(const struct fl_kernels *kernels, unsigned threads,
                             const struct fl_codec_params *params, const float *delta, const float *residual,
                             size_t dim, float *ret_residual, struct fl_taken *taken)
{
    const struct fl_takers takers = {kernels, threads};
    struct fl_taking_part whole = {delta, residual, ret_residual, 0, dim};
    if (params->id == FL_CODEC_THRESHOLD || params->id == FL_CODEC_INT_THRESHOLD)
        return take_threshold(&takers, params, &whole, taken);
    enum fl_status st = fl_taken_begin(taken, 0);
    if (st)
        return st;
    return params->id == FL_CODEC_TOPK
               ? take_top(&takers, &whole, fl_codec_top_count(params->ratio, dim), taken)
               : take_tensors(&takers, params, &whole, taken);
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
    size_t room = fl_payload_range_most(taken->dim, taken->count) + FL_KERNELS_SLACK;
    unpacking.indices = malloc(room * sizeof *unpacking.indices);
    enum fl_status st = unpacking.indices ? FL_OK : FL_ERR_NOMEM;
    if (!st)
        st = fl_payload_write_from(head, unpack, &unpacking, payload);
    free(unpacking.indices);
    return st;
}
