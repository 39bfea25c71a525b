#include "client/trainer/builtin.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "client/trainer/blas.h"
#include "client/trainer/network.h"
#include "kernels/exact.h"

#define BATCH_STREAM   0x200 /* of the plan's seed; other streams: model_spec.h, client/data/partition.c */
#define EVALUATE_BATCH 256
#define EVALUATE_ELEMS (UINT64_C(1) << 18) /* a batch is smaller where its activations would be more */

struct builtin {
    struct fl_trainer base;
    struct fl_network network;
    const struct fl_dataset *train, *test;
    const struct fl_env *env;
};

/* The order in which a training call visits its rows. */
struct sampler {
    struct fl_random random;
    uint32_t *order; /* shape (rows) */
    size_t rows, next;
};

/* What one training call needs. */
struct training {
    float *weights;             /* borrowed, shape (d): from start to end in place */
    float *gradient, *momentum; /* shape (d) each */
    uint32_t *labels;           /* shape (batch) */
    struct fl_activations act;
    struct sampler sampler;
};

static int all_finite(const float *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return 0;
    return 1;
}

/* Copies up to batch rows into the activations; how many. */
static uint32_t training_fill_batch(struct training *training, const struct fl_dataset *data, uint32_t batch)
{
    struct sampler *sampler = &training->sampler;
    size_t features = data->features;
    uint32_t filled = 0;

    if (sampler->next == sampler->rows) {
        fl_random_shuffle(&sampler->random, sampler->order, sampler->rows);
        sampler->next = 0;
    }
    for (; filled < batch && sampler->next < sampler->rows; filled++) {
        size_t row = sampler->order[sampler->next++];
        memcpy(training->act.layers[0] + filled * features, data->x + row * features,
               features * sizeof(float));
        training->labels[filled] = data->labels[row];
    }
    return filled;
}

static void training_descend(struct training *training, uint64_t elems, const struct fl_train_plan *plan)
{
    const struct fl_kernels_descent descent = {plan->learning_rate, plan->momentum, plan->weight_decay};
    float *w = training->weights, *v = training->momentum;
    const float *g = training->gradient;

    for (uint64_t i = 0; i < elems; i++)
        fl_descend(&descent, g[i], &v[i], &w[i]);
}

static enum fl_status training_init(struct training *training, const struct builtin *builtin, float *weights,
                                    uint32_t batch, uint64_t seed)
{
    uint64_t elems = builtin->network.elems;
    size_t rows = builtin->train->rows;

    *training = (struct training){
        .weights = weights,
        .gradient = malloc(elems * sizeof(float)),
        .momentum = calloc(elems, sizeof(float)),
        .labels = malloc(batch * sizeof(*training->labels)),
        .sampler = {.order = malloc(rows * sizeof(*training->sampler.order)), .rows = rows, .next = rows},
    };
    if (!training->gradient || !training->momentum || !training->labels || !training->sampler.order)
        return FL_ERR_NOMEM;
    for (size_t i = 0; i < rows; i++)
        training->sampler.order[i] = (uint32_t)i;
    fl_random_init(&training->sampler.random, seed, BATCH_STREAM);
    return fl_activations_init(&builtin->network, batch, 1, &training->act);
}

static void training_done(struct training *training)
{
    free(training->gradient);
    free(training->momentum);
    free(training->labels);
    free(training->sampler.order);
    fl_activations_done(&training->act);
}

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

static enum fl_status builtin_train(struct fl_trainer *trainer, const float *start,
                                    const struct fl_train_plan *plan, uint64_t time_budget_ms,
                                    const atomic_int *stop, float *ret_end,
                                    struct fl_train_report *ret_report)
{
    const struct builtin *builtin = (const struct builtin *)trainer;
    const struct fl_env *env = time_budget_ms ? builtin->env : NULL;
    uint64_t begun_ms = env ? env->monotonic_ms(env->user) : 0, elems = builtin->network.elems;
    size_t rows = builtin->train->rows;
    struct training training = {0};
    double loss, loss_sum = 0.0;
    uint32_t taken = 0;

    if (plan->batch == 0 || plan->batch > FL_LIMIT_BATCH)
        return FL_ERR_RANGE;
    uint32_t batch = plan->batch < rows ? plan->batch : (uint32_t)rows;
    uint32_t steps = plan_steps(plan, rows, batch);
    if (steps == 0)
        return FL_ERR_RANGE;
    enum fl_status st = training_init(&training, builtin, ret_end, batch, plan->seed);
    if (st)
        goto out;
    memmove(ret_end, start, elems * sizeof(float));
    while (taken < steps) {
        if (stop && atomic_load(stop)) {
            st = FL_ERR_STOPPED;
            goto out;
        }
        if (env && taken > 0 && env->monotonic_ms(env->user) - begun_ms >= time_budget_ms)
            break;
        uint32_t filled = training_fill_batch(&training, builtin->train, batch);
        fl_network_gradient(&builtin->network, training.weights, training.labels, filled, &training.act,
                            training.gradient, &loss);
        if (!isfinite(loss)) {
            st = FL_ERR_NOT_FINITE;
            goto out;
        }
        training_descend(&training, elems, plan);
        loss_sum += loss;
        taken++;
    }
    if (!all_finite(training.weights, elems)) {
        st = FL_ERR_NOT_FINITE;
        goto out;
    }
    *ret_report = (struct fl_train_report){.steps = taken, .mean_loss = loss_sum / taken, .examples = rows};
out:
    training_done(&training);
    return st;
}

static uint32_t evaluate_batch(const struct fl_network *network, size_t rows)
{
    uint64_t width = 0, most;

    for (uint32_t i = 0; i <= network->layers; i++)
        width += network->sizes[i];
    most = EVALUATE_ELEMS / width;
    most = most < 1 ? 1 : most > EVALUATE_BATCH ? EVALUATE_BATCH : most;
    return (uint32_t)(rows < most ? rows : most);
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
        fl_activations_init(&builtin->network, evaluate_batch(&builtin->network, rows), 0, &act);
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
