/*
 * What the client's core needs of a trainer: local steps from a given model, and a judgement of a model. One
 * interface for the built-in models (builtin.h) and for other kinds. Not for data or for talking to servers.
 */
#ifndef FL_CLIENT_TRAINER_TRAINER_H
#define FL_CLIENT_TRAINER_TRAINER_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/messages.h"

struct fl_train_report {
    uint32_t steps;    /* local steps taken, >= 1 */
    double mean_loss;  /* training loss, mean over the steps of each mini-batch's mean, nats, without L2 */
    uint64_t examples; /* of the local training set: the weight of the update */
};

struct fl_trainer;

struct fl_trainer_ops {
    enum fl_status (*train)(struct fl_trainer *trainer, const float *start, const struct fl_train_plan *plan,
                            uint64_t time_budget_ms, const atomic_int *stop, float *ret_end,
                            struct fl_train_report *ret_report);
    enum fl_status (*evaluate)(struct fl_trainer *trainer, const float *weights,
                               struct fl_metrics *ret_metrics);
    void (*free)(struct fl_trainer *trainer);
};

/* First member of every trainer. One trainer belongs to one thread at a time. */
struct fl_trainer {
    const struct fl_trainer_ops *ops;
};

/*
 * Trains from start as plan says. start, ret_end: shape (d); both may be the same array. Both NULL, for a
 * trainer that is also the engine in use (client/core/engine.h): from its replica, to where it keeps the end.
 * time_budget_ms  ends early, after at least one step; 0: no budget
 * stop            looked at between steps, non-zero gives FL_ERR_STOPPED; may be NULL
 *
 * FL_ERR_RANGE for a plan out of range, FL_ERR_NOT_FINITE when a loss or weight is or becomes NaN or
 * infinite, FL_ERR_STOPPED, FL_ERR_NOMEM. ret_end is unspecified after a failure.
 */
FL_MUST_CHECK static inline enum fl_status fl_trainer_train(struct fl_trainer *trainer, const float *start,
                                                            const struct fl_train_plan *plan,
                                                            uint64_t time_budget_ms, const atomic_int *stop,
                                                            float *ret_end,
                                                            struct fl_train_report *ret_report)
{
    return trainer->ops->train(trainer, start, plan, time_budget_ms, stop, ret_end, ret_report);
}

/*
 * Judges a model on this client's held-out data; examples is 0 where there are none. weights: shape (d), or
 * NULL as for fl_trainer_train().
 * FL_ERR_NOT_FINITE when a loss is NaN or infinite, FL_ERR_NOMEM.
 */
FL_MUST_CHECK static inline enum fl_status
fl_trainer_evaluate(struct fl_trainer *trainer, const float *weights, struct fl_metrics *ret_metrics)
{
    return trainer->ops->evaluate(trainer, weights, ret_metrics);
}

/* NULL is accepted. */
static inline void fl_trainer_free(struct fl_trainer *trainer)
{
    if (trainer)
        trainer->ops->free(trainer);
}

#endif
