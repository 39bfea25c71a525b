/*
 * Which rows each local step of a plan takes, and when the steps are over: the same on the host and on a
 * device. Private to the trainers. A shuffle of the rows from the plan's seed is cut into mini-batches
 * (sampling without replacement); after a pass it is shuffled again.
 */
#ifndef FL_CLIENT_TRAINER_SCHEDULE_H
#define FL_CLIENT_TRAINER_SCHEDULE_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/env.h"
#include "base/random.h"
#include "base/status.h"
#include "protocol/messages.h"

/* Caller storage; all zero is none. */
struct fl_schedule {
    struct fl_random random;
    uint32_t *order; /* shape (rows); owned */
    size_t rows, next;
    uint32_t batch; /* rows of a step, but for the last of a pass */
    uint32_t steps; /* that the plan asks for */
};

/* FL_ERR_RANGE for a plan out of range, FL_ERR_NOMEM. rows > 0. */
FL_MUST_CHECK enum fl_status fl_schedule_init(struct fl_schedule *schedule, const struct fl_train_plan *plan,
                                              size_t rows);
void fl_schedule_done(struct fl_schedule *schedule);

/* One step on count rows, which are borrowed for the call. */
typedef enum fl_status (*fl_schedule_step_fn)(void *user, const uint32_t *rows, uint32_t count);

/* What ends the steps early; the same as for fl_trainer_train(). */
struct fl_schedule_limits {
    const struct fl_env *env; /* its clock measures the budget; NULL: there is none */
    uint64_t time_budget_ms;
    const atomic_int *stop; /* may be NULL */
};

/* Takes the steps; ret_taken >= 1. FL_ERR_STOPPED, or the first failure of step. */
FL_MUST_CHECK enum fl_status fl_schedule_run(struct fl_schedule *schedule,
                                             const struct fl_schedule_limits *limits,
                                             fl_schedule_step_fn step, void *user, uint32_t *ret_taken);

#endif
