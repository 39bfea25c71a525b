/* What is done with a checked payload: a visitor for each use. A checked payload cannot fail to be walked, so
 * the status of the walk is of no interest here. */
#include <math.h>

#include "codec/floats.h"
#include "codec/reader.h"

struct target {
    float step; /* on the grid, else 0 */
    float *values;
    double *sum;
    int64_t *level_sum;
    double weight;
    int64_t level_weight;
    uint64_t begin, end;
    struct fl_group waits; /* whose sums are on their way to the cache */
};

static void apply(const struct fl_payload *payload, fl_group_fn fn, struct target *target)
{
    target->step = payload->on_grid ? ldexpf(1.0f, payload->step_log2) : 0;
    enum fl_status st = fl_payload_walk(payload, target->begin, target->end, fn, target);
    (void)st;
}

/* Decoded value of coordinate i of the group; exact (codec/grid.h). */
static float value_of(const struct target *target, const struct fl_group *group, size_t i)
{
    return target->step > 0 ? (float)(int32_t)group->words[i] * target->step
                            : fl_float_from_bits(group->words[i]);
}

static enum fl_status set_group(void *user, const struct fl_group *group)
{
    struct target *target = user;
    for (size_t i = 0; i < group->size; i++)
        target->values[group->indices[i]] = value_of(target, group, i);
    return FL_OK;
}

static enum fl_status subtract_group(void *user, const struct fl_group *group)
{
    struct target *target = user;
    for (size_t i = 0; i < group->size; i++)
        target->values[group->indices[i]] -= value_of(target, group, i);
    return FL_OK;
}

static enum fl_status fold_group(void *user, const struct fl_group *group)
{
    struct target *target = user;
    for (size_t i = 0; i < group->size; i++)
        target->values[group->indices[i]] += value_of(target, group, i);
    return FL_OK;
}

static void add_levels(struct target *target, const struct fl_group *group)
{
    for (size_t i = 0; i < group->size; i++)
        target->level_sum[group->indices[i] - target->begin] +=
            target->level_weight * (int32_t)group->words[i];
}

static void add_values(struct target *target, const struct fl_group *group)
{
    for (size_t i = 0; i < group->size; i++)
        target->sum[group->indices[i] - target->begin] += target->weight * (double)value_of(target, group, i);
}

/* The group's coordinates with begin <= index < end. */
static void keep_inside(const struct target *target, const struct fl_group *group, struct fl_group *ret)
{
    ret->size = 0;
    for (size_t i = 0; i < group->size; i++) {
        if (group->indices[i] >= target->begin && group->indices[i] < target->end) {
            ret->indices[ret->size] = group->indices[i];
            ret->words[ret->size++] = group->words[i];
        }
    }
}

_Static_assert(sizeof(double) == sizeof(int64_t), "both sums have the same strides");

/* The sums of a group are fetched while the next group is decoded, and then added to. */
static void fetch(struct target *target, const void *sums, const struct fl_group *group)
{
    if (group->indices[0] >= target->begin && group->indices[group->size - 1] < target->end)
        target->waits = *group;
    else
        keep_inside(target, group, &target->waits);
    for (size_t i = 0; i < target->waits.size; i++)
        __builtin_prefetch((const double *)sums + (target->waits.indices[i] - target->begin), 1);
}

static enum fl_status add_levels_group(void *user, const struct fl_group *group)
{
    struct target *target = user;
    add_levels(target, &target->waits);
    fetch(target, target->level_sum, group);
    return FL_OK;
}

static enum fl_status add_values_group(void *user, const struct fl_group *group)
{
    struct target *target = user;
    add_values(target, &target->waits);
    fetch(target, target->sum, group);
    return FL_OK;
}

void fl_payload_decode(const struct fl_payload *payload, float *ret_q)
{
    for (size_t i = 0; i < payload->dim; i++)
        ret_q[i] = 0;
    fl_payload_assign(payload, ret_q);
}

void fl_payload_assign(const struct fl_payload *payload, float *x)
{
    apply(payload, set_group, &(struct target){.values = x, .end = payload->dim});
}

void fl_payload_subtract(const struct fl_payload *payload, float *x)
{
    apply(payload, subtract_group, &(struct target){.values = x, .end = payload->dim});
}

void fl_payload_fold(const struct fl_payload *payload, float *x)
{
    apply(payload, fold_group, &(struct target){.values = x, .end = payload->dim});
}

void fl_payload_add_levels(const struct fl_payload *payload, int64_t weight, int64_t *sum, size_t begin,
                           size_t end)
{
    struct target target = {.level_sum = sum, .level_weight = weight, .begin = begin, .end = end};
    if (!payload->on_grid)
        return;
    apply(payload, add_levels_group, &target);
    add_levels(&target, &target.waits);
}

void fl_payload_add_values(const struct fl_payload *payload, double weight, double *sum, size_t begin,
                           size_t end)
{
    struct target target = {.sum = sum, .weight = weight, .begin = begin, .end = end};
    apply(payload, add_values_group, &target);
    add_values(&target, &target.waits);
}
