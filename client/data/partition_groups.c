/* Partition by groups of rows (partition.h). */
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "client/data/partition.h"

#define STREAM_GROUPS 0x180 /* of the seed; the others are in partition.c */

struct group {
    uint32_t id;
    uint32_t draw;  /* place in the seeded order */
    uint32_t owner; /* once dealt */
    size_t rows;
};

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int compare_groups_by_id(const void *a, const void *b)
{
    return compare_ids(&((const struct group *)a)->id, &((const struct group *)b)->id);
}

/* Larger groups first, then by the seeded order. */
static int compare_groups_by_size(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->rows != y->rows)
        return x->rows < y->rows ? 1 : -1;
    return compare_ids(&x->draw, &y->draw);
}

/* The groups in order of their ids. *ret_groups: shape (*ret_count), heap. */
static enum fl_status groups_collect(const uint32_t *ids, size_t rows, uint64_t seed,
                                     struct group **ret_groups, size_t *ret_count)
{
    uint32_t *sorted = malloc((rows ? rows : 1) * sizeof(*sorted));
    struct group *groups = NULL;
    struct fl_random random;
    size_t count = 0;

    if (!sorted)
        return FL_ERR_NOMEM;
    if (rows > 0) {
        memcpy(sorted, ids, rows * sizeof(*sorted));
        qsort(sorted, rows, sizeof(*sorted), compare_ids);
    }
    for (size_t i = 0; i < rows; i++)
        count += i == 0 || sorted[i] != sorted[i - 1];
    groups = calloc(count ? count : 1, sizeof(*groups));
    if (!groups) {
        free(sorted);
        return FL_ERR_NOMEM;
    }
    count = 0;
    for (size_t i = 0; i < rows; i++) {
        if (i == 0 || sorted[i] != sorted[i - 1])
            groups[count++].id = sorted[i];
        groups[count - 1].rows++;
    }
    for (size_t g = 0; g < count; g++) /* the order to be shuffled fits where the ids were */
        sorted[g] = (uint32_t)g;
    fl_random_init(&random, seed, STREAM_GROUPS);
    fl_random_shuffle(&random, sorted, count);
    for (size_t g = 0; g < count; g++)
        groups[g].draw = sorted[g];
    free(sorted);
    *ret_groups = groups;
    *ret_count = count;
    return FL_OK;
}

struct load {
    size_t rows;
    uint32_t client;
};

static int load_is_less(const struct load *a, const struct load *b)
{
    return a->rows != b->rows ? a->rows < b->rows : a->client < b->client;
}

/* Restores the heap of count loads, the least on top, after the one on top has grown. */
static void loads_sink(struct load *loads, size_t count)
{
    struct load held = loads[0];
    size_t at = 0;

    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && load_is_less(&loads[child + 1], &loads[child]))
            child++;
        if (!load_is_less(&loads[child], &held))
            break;
        loads[at] = loads[child];
    }
    loads[at] = held;
}

enum fl_status fl_partition_assign_groups(const struct fl_partition_spec *spec, const uint32_t *ids,
                                          size_t rows, uint32_t *ret_owner, struct fl_error *err)
{
    struct load *loads = NULL;
    struct group *groups = NULL;
    size_t count = 0;

    if (spec->count == 0 || spec->count > FL_PARTITION_LIMIT_CLIENTS)
        return fl_error_set(err, FL_ERR_RANGE, "%u clients, expected 1 to %u", spec->count,
                            FL_PARTITION_LIMIT_CLIENTS);
    enum fl_status st = groups_collect(ids, rows, spec->seed, &groups, &count);
    if (st)
        return fl_error_nomem(err);
    if (count < spec->count) {
        st = fl_error_set(err, FL_ERR_RANGE,
                          "%zu groups of training examples, at least %u are needed for %u clients", count,
                          spec->count, spec->count);
        goto out;
    }
    loads = malloc(spec->count * sizeof(*loads));
    if (!loads) {
        st = fl_error_nomem(err);
        goto out;
    }
    for (uint32_t k = 0; k < spec->count; k++)
        loads[k] = (struct load){.client = k};
    qsort(groups, count, sizeof(*groups), compare_groups_by_size);
    for (size_t g = 0; g < count; g++) {
        groups[g].owner = loads[0].client;
        loads[0].rows += groups[g].rows;
        loads_sink(loads, spec->count);
    }
    qsort(groups, count, sizeof(*groups), compare_groups_by_id);
    for (size_t i = 0; i < rows; i++) {
        const struct group *group =
            bsearch(&(struct group){.id = ids[i]}, groups, count, sizeof(*groups), compare_groups_by_id);
        ret_owner[i] = group->owner;
    }
out:
    free(loads);
    free(groups);
    return st;
}
