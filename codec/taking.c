#include "codec/taking.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "codec/floats.h"
#include "kernels/take.h"

/* Elements that are added and listed before they are taken: 8 KiB of p, which stay in the nearest cache. */
#define BLOCK 2048
/* Elements that are packed between two looks at the room, and of which threads have whole numbers; a multiple
 * of 64. */
#define PACK_BLOCK 16384
/* A thread for fewer elements would cost more than it saves. */
#define SHARE_MIN ((size_t)1 << 19)
/* Room for so many is made at least. */
#define ROOM_MIN 1024

_Static_assert(PACK_BLOCK % 64 == 0, "threads must not share words of a bitmap");

/* One thread's part of the work. */
struct share {
    const struct fl_kernels *kernels;
    const struct fl_taking_rule *rule;
    struct fl_taking_part part;
    uint64_t *bitmap;       /* of the part; NULL where indices are listed */
    struct fl_taken *taken; /* to append to */
    enum fl_status status;
    int enough;
};

void fl_taken_done(struct fl_taken *taken)
{
    free(taken->indices);
    free(taken->bitmap);
    free(taken->words);
    *taken = (struct fl_taken){0};
}

enum fl_status fl_taken_begin(struct fl_taken *taken, size_t dim)
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

static enum fl_status resize(uint32_t **array, size_t capacity)
{
    uint32_t *resized = realloc(*array, (capacity + FL_KERNELS_SLACK) * sizeof **array);
    if (!resized)
        return FL_ERR_NOMEM;
    *array = resized;
    return FL_OK;
}

/* Room for so many words, and indices where they are listed. */
static enum fl_status reserve(struct fl_taken *taken, size_t capacity, int listed)
{
    if (capacity <= taken->capacity)
        return FL_OK;
    enum fl_status st = listed ? resize(&taken->indices, capacity) : FL_OK;
    if (!st)
        st = resize(&taken->words, capacity);
    if (!st)
        taken->capacity = capacity;
    return st;
}

enum fl_status fl_taken_reserve(struct fl_taken *taken, size_t capacity)
{
    return reserve(taken, capacity, 1);
}

/* Room for more; when there is none, for as many as there will be in all if the other elements of the share
 * are as those up to done. before: the count at its beginning. */
static enum fl_status make_room(const struct share *share, size_t more, size_t before, size_t done)
{
    struct fl_taken *taken = share->taken;
    size_t need = taken->count + more, left = share->part.elems - done;
    if (need <= taken->capacity)
        return FL_OK;
    double expected = done ? (double)(taken->count - before) / (double)done * (double)left * 17 / 16 : 0;
    return reserve(taken, need + (expected < (double)left ? (size_t)expected : left) + ROOM_MIN,
                   !share->bitmap);
}

/* Takes those that were listed behind the count. */
static void take_listed(const struct share *share, size_t count)
{
    const struct fl_taking_part *part = &share->part;
    struct fl_taken *taken = share->taken;
    const uint32_t *indices = taken->indices + taken->count;
    uint32_t *words = taken->words + taken->count;
    if (share->rule->grid) {
        for (size_t i = 0; i < count; i++)
            words[i] = fl_take_one(part->p + (indices[i] - part->start), share->rule->grid);
    } else {
        for (size_t i = 0; i < count; i++)
            words[i] = fl_take_one(part->p + (indices[i] - part->start), NULL);
    }
    taken->count += count;
}

enum fl_status fl_take_nothing(const struct fl_kernels *kernels, const struct fl_taking_part *part)
{
    kernels->add(part->delta, part->residual, part->p, part->elems);
    return kernels->all_finite(part->p, part->elems) ? FL_OK : FL_ERR_NOT_FINITE;
}

/* What is left of a part from at on. */
static struct fl_taking_part part_from(const struct fl_taking_part *part, size_t at)
{
    return (struct fl_taking_part){part->delta + at, part->residual + at, part->p + at, part->start + at,
                                   part->elems - at};
}

static enum fl_status list(struct share *share)
{
    const struct fl_taking_part *part = &share->part;
    const struct fl_taking_rule *rule = share->rule;
    struct fl_taken *taken = share->taken;
    uint32_t worst = 0;
    size_t before = taken->count, count = 0;
    for (size_t at = 0, size; at < part->elems; at += size) {
        size = part->elems - at < BLOCK ? part->elems - at : BLOCK;
        enum fl_status st = make_room(share, size, before, at);
        if (st)
            return st;
        count = share->kernels->add_list(part->delta + at, part->residual + at, part->p + at, size, rule->low,
                                         rule->high, (uint32_t)(part->start + at), count,
                                         taken->indices + taken->count, &worst);
        if (worst >= FL_FLOAT_INFINITY)
            return FL_ERR_NOT_FINITE;
        if (count > rule->most - (taken->count - before)) {
            struct fl_taking_part rest = part_from(part, at + size);
            share->enough = 0;
            return fl_take_nothing(share->kernels, &rest);
        }
        take_listed(share, count);
    }
    return FL_OK;
}

static enum fl_status pack(struct share *share)
{
    const struct fl_taking_part *part = &share->part;
    const struct fl_taking_rule *rule = share->rule;
    struct fl_taken *taken = share->taken;
    uint32_t worst = 0;
    size_t before = taken->count;
    for (size_t at = 0, size; at < part->elems; at += size) {
        size = part->elems - at < PACK_BLOCK ? part->elems - at : PACK_BLOCK;
        enum fl_status st = make_room(share, size, before, at);
        if (st)
            return st;
        taken->count += share->kernels->add_pack(part->delta + at, part->residual + at, part->p + at, size,
                                                 rule->low, rule->high, rule->grid, share->bitmap + at / 64,
                                                 taken->words + taken->count, &worst);
        if (worst >= FL_FLOAT_INFINITY)
            return FL_ERR_NOT_FINITE;
    }
    return FL_OK;
}

static void do_share(void *user, unsigned number)
{
    struct share *share = (struct share *)user + number;
    share->status = share->bitmap ? pack(share) : list(share);
}

static void append(struct fl_taken *taken, const struct fl_taken *more)
{
    if (!more->count)
        return;
    if (!taken->bitmap)
        memcpy(taken->indices + taken->count, more->indices, more->count * sizeof *more->indices);
    memcpy(taken->words + taken->count, more->words, more->count * sizeof *more->words);
    taken->count += more->count;
}

/* Brings together what the shares have taken; the first of them has done so already. */
static enum fl_status gather(const struct share *shares, unsigned parts, struct fl_taken *taken)
{
    size_t count = taken->count;
    enum fl_status st = FL_OK;
    for (unsigned i = 0; i < parts && !st; i++) {
        st = shares[i].status;
        count += i ? shares[i].taken->count : 0;
    }
    if (!st)
        st = reserve(taken, count, !taken->bitmap);
    for (unsigned i = 1; i < parts && !st; i++)
        append(taken, shares[i].taken);
    return st;
}

enum fl_status fl_take(const struct fl_takers *takers, const struct fl_taking_rule *rule,
                       const struct fl_taking_part *part, struct fl_taken *taken, int *ret_enough)
{
    struct share shares[FL_PARALLEL_MAX];
    struct fl_taken own[FL_PARALLEL_MAX];
    size_t before = taken->count;
    unsigned parts = fl_parallel_parts(part->elems, SHARE_MIN, takers->threads);
    for (unsigned i = 0; i < parts; i++) {
        size_t begin = fl_parallel_begin(part->elems, PACK_BLOCK, parts, i);
        shares[i] = (struct share){.kernels = takers->kernels,
                                   .rule = rule,
                                   .part = part_from(part, begin),
                                   .bitmap = taken->bitmap ? taken->bitmap + begin / 64 : NULL,
                                   .taken = i ? &own[i] : taken,
                                   .enough = 1};
        shares[i].part.elems = fl_parallel_begin(part->elems, PACK_BLOCK, parts, i + 1) - begin;
        own[i] = (struct fl_taken){0};
    }
    fl_parallel(parts, do_share, shares);
    enum fl_status st = gather(shares, parts, taken);
    *ret_enough = taken->count - before <= rule->most;
    for (unsigned i = 0; i < parts; i++) {
        *ret_enough &= shares[i].enough;
        fl_taken_done(&own[i]);
    }
    return st;
}
