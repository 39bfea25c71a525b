#include "client/trainer/builtin.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/trainer/blas.h"
#include "client/trainer/network.h"
#include "client/trainer/schedule.h"
#include "kernels/exact.h"

struct builtin {
    struct fl_trainer base;
    struct fl_network network;
    const struct fl_dataset *train, *test;
    const struct fl_env *env;
};

/* What one training call needs. */
struct training {
    const struct builtin *builtin;
    const struct fl_train_plan *plan;
    float *weights;             /* borrowed, shape (d): from start to end in place */
    float *gradient, *momentum; /* shape (d) each */
    uint32_t *labels;           /* shape (batch) */
    struct fl_activations act;
    struct fl_schedule schedule;
    double loss_sum;
};

static int all_finite(const float *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return 0;
    return 1;
}

static void training_descend(struct training *training, uint64_t elems, const struct fl_train_plan *plan)
{
    const struct fl_kernels_descent descent = {plan->learning_rate, plan->momentum, plan->weight_decay};
    float *w = training->weights, *v = training->momentum;
    const float *g = training->gradient;

    for (uint64_t i = 0; i < elems; i++)
        fl_descend(&descent, g[i], &v[i], &w[i]);
}

static enum fl_status training_step(void *user, const uint32_t *rows, uint32_t count)
{
    struct training *training = user;
    const struct builtin *builtin = training->builtin;
    const struct fl_dataset *data = builtin->train;
    size_t features = data->features;
    double loss;

    for (uint32_t i = 0; i < count; i++) {
        memcpy(training->act.layers[0] + i * features, data->x + rows[i] * features,
               features * sizeof(float));
        training->labels[i] = data->labels[rows[i]];
    }
    fl_network_gradient(&builtin->network, training->weights, training->labels, count, &training->act,
                        training->gradient, &loss);
    if (!isfinite(loss))
        return FL_ERR_NOT_FINITE;
    training_descend(training, builtin->network.elems, training->plan);
    training->loss_sum += loss;
    return FL_OK;
}

static enum fl_status training_init(struct training *training)
{
    const struct builtin *builtin = training->builtin;
    uint64_t elems = builtin->network.elems;
    uint32_t batch;
    enum fl_status st = fl_schedule_init(&training->schedule, training->plan, builtin->train->rows);

    if (st)
        return st;
    batch = training->schedule.batch;
    training->gradient = malloc(elems * sizeof(float));
    training->momentum = calloc(elems, sizeof(float));
    training->labels = malloc(batch * sizeof(*training->labels));
    if (!training->gradient || !training->momentum || !training->labels)
        return FL_ERR_NOMEM;
    return fl_activations_init(&builtin->network, batch, 1, &training->act);
}

static void training_done(struct training *training)
{
    free(training->gradient);
    free(training->momentum);
    free(training->labels);
    fl_schedule_done(&training->schedule);
    fl_activations_done(&training->act);
}

static enum fl_status builtin_train(struct fl_trainer *trainer, const float *start,
                                    const struct fl_train_plan *plan, uint64_t time_budget_ms,
                                    const atomic_int *stop, float *ret_end,
                                    struct fl_train_report *ret_report)
{
    const struct builtin *builtin = (const struct builtin *)trainer;
    struct fl_schedule_limits limits = {builtin->env, time_budget_ms, stop};
    struct training training = {.builtin = builtin, .plan = plan, .weights = ret_end};
    uint64_t elems = builtin->network.elems;
    uint32_t taken;

    enum fl_status st = training_init(&training);
    if (st)
        goto out;
    memmove(ret_end, start, elems * sizeof(float));
    st = fl_schedule_run(&training.schedule, &limits, training_step, &training, &taken);
    if (st)
        goto out;
    if (!all_finite(training.weights, elems)) {
        st = FL_ERR_NOT_FINITE;
        goto out;
    }
    *ret_report = (struct fl_train_report){
        .steps = taken, .mean_loss = training.loss_sum / taken, .examples = builtin->train->rows};
out:
    training_done(&training);
    return st;
}

static enum fl_status builtin_evaluate(struct fl_trainer *trainer, const float *weights,
                                       struct fl_metrics *ret_metrics)
{
    const struct builtin *builtin = (const struct builtin *)trainer;
    const struct fl_dataset *test = builtin->test;
    size_t rows = test ? test->rows : 0;
    struct fl_metrics metrics = {0};
    struct fl_activations act;

    if (rows == 0) {
        *ret_metrics = metrics;
        return FL_OK;
    }
    enum fl_status st =
        fl_activations_init(&builtin->network, fl_network_evaluate_batch(&builtin->network, rows), 0, &act);
    if (st)
        return st;
    for (size_t at = 0; at < rows; at += act.capacity) {
        uint32_t count = rows - at < act.capacity ? (uint32_t)(rows - at) : act.capacity;
        memcpy(act.layers[0], test->x + at * test->features, count * test->features * sizeof(float));
        fl_network_measure(&builtin->network, weights, test->labels + at, count, &act, &metrics);
    }
    fl_activations_done(&act);
    if (!isfinite(metrics.loss_sum))
        return FL_ERR_NOT_FINITE;
    *ret_metrics = metrics;
    return FL_OK;
}

static void builtin_free(struct fl_trainer *trainer)
{
    free(trainer);
}

static const struct fl_trainer_ops builtin_ops = {builtin_train, builtin_evaluate, builtin_free};

static enum fl_status data_fits(const struct fl_model_spec *spec, const struct fl_dataset *data,
                                const char *what, struct fl_error *err)
{
    uint32_t classes = spec->kind == FL_MODEL_LOGISTIC ? 2 : spec->outputs;

    if (data->features != spec->inputs)
        return fl_error_set(err, FL_ERR_SHAPE, "%s data has %zu features, the model has %" PRIu32 " inputs",
                            what, data->features, spec->inputs);
    for (size_t i = 0; i < data->rows; i++)
        if (data->labels[i] >= classes)
            return fl_error_set(err, FL_ERR_RANGE,
                                "%s data has label %" PRIu32 ", the model has %" PRIu32 " classes", what,
                                data->labels[i], classes);
    return FL_OK;
}

enum fl_status fl_trainer_new_builtin(const struct fl_model_spec *spec, const struct fl_dataset *train,
                                      const struct fl_dataset *test, const struct fl_env *env,
                                      struct fl_trainer **ret_trainer, struct fl_error *err)
{
    if (train->rows == 0)
        return fl_error_set(err, FL_ERR_RANGE, "no examples to train on");
    enum fl_status st = data_fits(spec, train, "training", err);
    if (!st && test && test->rows > 0)
        st = data_fits(spec, test, "test", err);
    if (st)
        return st;
    struct builtin *builtin = malloc(sizeof(*builtin));
    if (!builtin)
        return fl_error_nomem(err);
    *builtin = (struct builtin){.base = {.ops = &builtin_ops}, .train = train, .test = test, .env = env};
    fl_network_init(&builtin->network, spec);
    fl_blas_init();
    *ret_trainer = &builtin->base;
    return FL_OK;
}

const char *fl_trainer_library(void)
{
    return fl_blas_name();
}
