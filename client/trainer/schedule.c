#include "client/trainer/schedule.h"

#include <math.h>
#include <stdlib.h>

#define BATCH_STREAM 0x200 /* of the plan's seed; other streams: model_spec.h, client/data/partition.c */

/* Steps that plan asks for with batches of `batch`; 0 when the plan is out of range. */
static uint32_t plan_steps(const struct fl_train_plan *plan, size_t rows, uint32_t batch)
{
    uint64_t steps = plan->steps ? plan->steps : plan->epochs * (uint64_t)((rows + batch - 1) / batch);

    if (!(plan->learning_rate > 0.0f && isfinite(plan->learning_rate)) ||
        !(plan->momentum >= 0.0f && plan->momentum < 1.0f) ||
        !(plan->weight_decay >= 0.0f && isfinite(plan->weight_decay)) || steps > FL_LIMIT_LOCAL_STEPS)
        return 0;
    return (uint32_t)steps;
}

enum fl_status fl_schedule_init(struct fl_schedule *schedule, const struct fl_train_plan *plan, size_t rows)
{
    if (plan->batch == 0 || plan->batch > FL_LIMIT_BATCH)
        return FL_ERR_RANGE;
    uint32_t batch = plan->batch < rows ? plan->batch : (uint32_t)rows;
    uint32_t steps = plan_steps(plan, rows, batch);
    if (steps == 0)
        return FL_ERR_RANGE;
    uint32_t *order = malloc(rows * sizeof *order);
    if (!order)
        return FL_ERR_NOMEM;
    for (size_t i = 0; i < rows; i++)
        order[i] = (uint32_t)i;
    *schedule =
        (struct fl_schedule){.order = order, .rows = rows, .next = rows, .batch = batch, .steps = steps};
    fl_random_init(&schedule->random, plan->seed, BATCH_STREAM);
    return FL_OK;
}

void fl_schedule_done(struct fl_schedule *schedule)
{
    free(schedule->order);
    *schedule = (struct fl_schedule){0};
}

static const uint32_t *next_rows(struct fl_schedule *schedule, uint32_t *ret_count)
{
    if (schedule->next == schedule->rows) {
        fl_random_shuffle(&schedule->random, schedule->order, schedule->rows);
        schedule->next = 0;
    }
    const uint32_t *rows = schedule->order + schedule->next;
    size_t left = schedule->rows - schedule->next;
    *ret_count = left < schedule->batch ? (uint32_t)left : schedule->batch;
    schedule->next += *ret_count;
    return rows;
}

enum fl_status fl_schedule_run(struct fl_schedule *schedule, const struct fl_schedule_limits *limits,
                               fl_schedule_step_fn step, void *user, uint32_t *ret_taken)
{
    const struct fl_env *env = limits->time_budget_ms ? limits->env : NULL;
    uint64_t begun_ms = env ? env->monotonic_ms(env->user) : 0;
    uint32_t taken = 0, count;

    while (taken < schedule->steps) {
        if (limits->stop && atomic_load(limits->stop))
            return FL_ERR_STOPPED;
        if (env && taken > 0 && env->monotonic_ms(env->user) - begun_ms >= limits->time_budget_ms)
            break;
        const uint32_t *rows = next_rows(schedule, &count);
        enum fl_status st = step(user, rows, count);
        if (st)
            return st;
        taken++;
    }
    *ret_taken = taken;
    return FL_OK;
}
