#include "client/device/device.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "client/device/plugin.h"
#include "client/trainer/network.h"
#include "client/trainer/schedule.h"
#include "codec/downlink.h"
#include "codec/feedback.h"
#include "codec/reader.h"
#include "codec/rule.h"

_Static_assert(FL_DEVICE_LAYERS_MAX == FL_LIMIT_HIDDEN_LAYERS + 1, "layers of every model");

/* Assignments that go to the device at a time. */
#define ASSIGN_MOST 4096

struct fl_device {
    struct fl_engine engine;
    struct fl_trainer trainer;
    const struct fl_device_ops *ops;
    struct fl_device_session *session;
    struct fl_device_options options;
    size_t elems;
    const float *replica; /* the host's, borrowed; NULL: none was told of */
    int has_replica;      /* the device's is the host's */
    int has_residual;     /* likewise */
    int has_pending;      /* the device's end is e_new of the newest update */
    enum fl_status failed;
    struct fl_taken taken;
};

static struct fl_device *of_engine(struct fl_engine *engine)
{
    return (struct fl_device *)(void *)((char *)engine - offsetof(struct fl_device, engine));
}

static struct fl_device *of_trainer(struct fl_trainer *trainer)
{
    return (struct fl_device *)(void *)((char *)trainer - offsetof(struct fl_device, trainer));
}

/* The outcome of an operation; the first failure is kept, and nothing is asked of the device after it. */
static enum fl_status check(struct fl_device *d, int status)
{
    if (status && !d->failed)
        d->failed = fl_plugin_status(status);
    return d->failed;
}

/* ---- vectors ---- */

/* The host's replica to the device, unless it is there. */
static enum fl_status bring_replica(struct fl_device *d)
{
    if (d->failed || d->has_replica)
        return d->failed;
    if (!d->replica)
        return FL_ERR_STATE;
    enum fl_status st = check(d, d->ops->put_replica(d->session, d->replica));
    d->has_replica = !st;
    return st;
}

/* Other weights stand where the replica stood, which comes again when it is asked for. */
static enum fl_status bring_weights(struct fl_device *d, const float *weights)
{
    if (!weights)
        return bring_replica(d);
    d->has_replica = 0;
    return d->failed ? d->failed : check(d, d->ops->put_replica(d->session, weights));
}

static void replica_replaced(struct fl_engine *engine, const float *values)
{
    struct fl_device *d = of_engine(engine);
    d->replica = values;
    d->has_replica = 0;
}

struct assignment {
    struct fl_device *device;
    uint32_t indices[ASSIGN_MOST], words[ASSIGN_MOST];
    size_t count;
};

static enum fl_status send_assignment(struct assignment *a)
{
    struct fl_device *d = a->device;
    enum fl_status st = check(d, d->ops->assign(d->session, a->indices, a->words, a->count));
    a->count = 0;
    return st;
}

static enum fl_status assign_group(void *user, const struct fl_group *group)
{
    struct assignment *a = user;
    if (a->count + group->size > ASSIGN_MOST) {
        enum fl_status st = send_assignment(a);
        if (st)
            return st;
    }
    memcpy(a->indices + a->count, group->indices, group->size * sizeof *a->indices);
    memcpy(a->words + a->count, group->words, group->size * sizeof *a->words);
    a->count += group->size;
    return FL_OK;
}

static void replica_assigned(struct fl_engine *engine, const float *values, struct fl_bytes delta)
{
    struct fl_device *d = of_engine(engine);
    struct assignment a = {.device = d, .count = 0};
    struct fl_payload payload;
    d->replica = values;
    if (!d->has_replica || d->failed) /* it will come as a whole */
        return;
    enum fl_status st = fl_sparse_check(d->elems, delta, &payload);
    if (!st)
        st = fl_payload_walk(&payload, 0, d->elems, assign_group, &a);
    if (!st && a.count)
        st = send_assignment(&a);
    d->has_replica = !st;
}

static void residual_replaced(struct fl_engine *engine)
{
    struct fl_device *d = of_engine(engine);
    d->has_residual = d->has_pending = 0;
}

static void residual_committed(struct fl_engine *engine)
{
    struct fl_device *d = of_engine(engine);
    d->has_residual = d->has_pending && !d->failed && !check(d, d->ops->commit(d->session));
    d->has_pending = 0;
}

/* ---- training ---- */

static enum fl_status step(void *user, const uint32_t *rows, uint32_t count)
{
    struct fl_device *d = user;
    return check(d, d->ops->train_step(d->session, rows, count));
}

static enum fl_status run_schedule(struct fl_device *d, const struct fl_train_plan *plan,
                                   struct fl_schedule *schedule, const struct fl_schedule_limits *limits,
                                   struct fl_train_report *ret_report)
{
    struct fl_device_descent descent = {plan->learning_rate, plan->momentum, plan->weight_decay,
                                        schedule->batch};
    uint32_t taken = 0, finite = 0;
    double loss_sum = 0;

    d->has_pending = 0;
    enum fl_status st = check(d, d->ops->train_begin(d->session, &descent));
    if (!st)
        st = fl_schedule_run(schedule, limits, step, d, &taken);
    if (!st)
        st = check(d, d->ops->train_end(d->session, &loss_sum, &finite));
    if (!st && !finite)
        st = FL_ERR_NOT_FINITE;
    if (!st)
        *ret_report = (struct fl_train_report){
            .steps = taken, .mean_loss = loss_sum / taken, .examples = d->options.train->rows};
    return st;
}

static enum fl_status train(struct fl_trainer *trainer, const float *start, const struct fl_train_plan *plan,
                            uint64_t time_budget_ms, const atomic_int *stop, float *ret_end,
                            struct fl_train_report *ret_report)
{
    struct fl_device *d = of_trainer(trainer);
    struct fl_schedule_limits limits = {d->options.env, time_budget_ms, stop};
    struct fl_schedule schedule;
    enum fl_status st = fl_schedule_init(&schedule, plan, d->options.train->rows);
    if (st)
        return st;
    st = bring_weights(d, start);
    if (!st)
        st = run_schedule(d, plan, &schedule, &limits, ret_report);
    if (!st && ret_end)
        st = check(d, d->ops->get_end(d->session, ret_end));
    fl_schedule_done(&schedule);
    return st;
}

static enum fl_status evaluate(struct fl_trainer *trainer, const float *weights,
                               struct fl_metrics *ret_metrics)
{
    struct fl_device *d = of_trainer(trainer);
    struct fl_device_metrics metrics = {0};
    enum fl_status st = bring_weights(d, weights);
    if (!st && d->options.test->rows)
        st = check(d, d->ops->evaluate(d->session, &metrics));
    if (!st && !isfinite(metrics.loss_sum))
        st = FL_ERR_NOT_FINITE;
    if (!st)
        *ret_metrics = (struct fl_metrics){metrics.examples, metrics.correct, metrics.loss_sum};
    return st;
}

static void free_nothing(struct fl_trainer *trainer)
{
    (void)trainer;
}

/* ---- compressing ---- */

/* Whether the device chooses what is sent; else the codec is the host's. */
static int takes(const struct fl_codec_params *params)
{
    return !params->dense_below && (params->id == FL_CODEC_THRESHOLD ||
                                    params->id == FL_CODEC_INT_THRESHOLD || params->id == FL_CODEC_TOPK);
}

static struct fl_device_rule rule_of(const struct fl_codec_params *params, size_t elems)
{
    if (params->id == FL_CODEC_TOPK)
        return (struct fl_device_rule){
            .top = fl_codec_top_count(params->ratio, elems), .low = 1, .high = FL_FLOAT_INFINITY};
    struct fl_codec_rule rule = fl_codec_rule(params);
    return (struct fl_device_rule){.low = rule.low,
                                   .high = rule.high,
                                   .on_grid = (uint32_t)rule.on_grid,
                                   .step = rule.grid.step,
                                   .inverse_step = rule.grid.inverse_step,
                                   .level_most = rule.grid.level_most};
}

static enum fl_status bring_residual(struct fl_device *d, const float *residual)
{
    if (d->has_residual)
        return FL_OK;
    enum fl_status st = check(d, d->ops->put_residual(d->session, residual));
    d->has_residual = !st;
    return st;
}

static enum fl_status make_room(struct fl_taken *taken, size_t count)
{
    if (count <= taken->capacity)
        return FL_OK;
    fl_taken_done(taken);
    taken->indices = malloc(count * sizeof *taken->indices);
    taken->words = malloc(count * sizeof *taken->words);
    taken->capacity = taken->indices && taken->words ? count : 0;
    return taken->capacity ? FL_OK : FL_ERR_NOMEM;
}

/* On the device; what stays comes to round->end. */
static enum fl_status take(struct fl_device *d, const struct fl_engine_round *round,
                           const struct fl_codec_params *params, struct fl_buf *payload, size_t *ret_count)
{
    struct fl_device_rule rule = rule_of(params, d->elems);
    struct fl_payload checked;
    uint64_t count;
    uint32_t finite;
    enum fl_status st = bring_residual(d, round->residual);
    if (!st)
        st = check(d, d->ops->take(d->session, &rule, &count, &finite));
    if (!st && !finite)
        st = FL_ERR_NOT_FINITE;
    if (!st)
        st = make_room(&d->taken, (size_t)count);
    if (st)
        return st;
    d->taken.count = (size_t)count;
    st = check(d, d->ops->get_taken(d->session, d->taken.indices, d->taken.words));
    if (!st)
        st = fl_error_feedback_write(d->options.kernels, params, d->elems, &d->taken, payload, &checked);
    if (!st)
        st = check(d, d->ops->get_end(d->session, round->end));
    if (st)
        return st;
    d->has_pending = 1;
    *ret_count = checked.count;
    return FL_OK;
}

/* The delta comes to the host, whose codec does the rest. */
static enum fl_status take_on_host(struct fl_device *d, const struct fl_engine_round *round,
                                   const struct fl_codec_params *params, struct fl_buf *payload,
                                   size_t *ret_count)
{
    struct fl_payload checked;
    enum fl_status st = check(d, d->ops->get_end(d->session, round->end));
    if (!st)
        st = fl_error_feedback_step(d->options.kernels, d->options.threads, params, round->end,
                                    round->residual, d->elems, payload, round->end, &checked);
    if (!st)
        *ret_count = checked.count;
    return st;
}

static enum fl_status compress(struct fl_engine *engine, const struct fl_engine_round *round,
                               const struct fl_codec_params *params, struct fl_buf *payload,
                               struct fl_engine_result *ret_result)
{
    struct fl_device *d = of_engine(engine);
    struct fl_engine_result result = {0};
    uint32_t finite;
    size_t before = payload->size;
    enum fl_status st = d->failed;
    if (!st && params)
        st = fl_codec_params_check(params, d->elems);
    if (!st)
        st = bring_replica(d);
    if (!st)
        st = check(d, d->ops->delta(d->session, &result.delta_squares, &finite));
    if (!st && !finite)
        st = FL_ERR_NOT_FINITE;
    if (!st && params)
        st = takes(params) ? take(d, round, params, payload, &result.count)
                           : take_on_host(d, round, params, payload, &result.count);
    if (st) {
        fl_buf_truncate(payload, before);
        return st;
    }
    /* On the host, where both vectors are: it is the read of a vector that is about to be hashed anyway. */
    result.residual_squares =
        d->options.kernels->sum_squares(params ? round->end : round->residual, d->elems);
    *ret_result = result;
    return FL_OK;
}

/* ---- life ---- */

static const struct fl_engine_ops engine_ops = {
    1, compress, replica_replaced, replica_assigned, residual_replaced, residual_committed};
static const struct fl_trainer_ops trainer_ops = {train, evaluate, free_nothing};

static struct fl_device_job job_of(const struct fl_card *card, const struct fl_device_options *options)
{
    struct fl_network network;
    fl_network_init(&network, &options->spec);
    struct fl_device_job job = {
        .size = sizeof job,
        .device = card->index,
        .network = {.layers = network.layers,
                    .is_logistic = network.kind == FL_MODEL_LOGISTIC,
                    .elems = network.elems},
        .train = {options->train->x, options->train->labels, options->train->rows},
        .test = {options->test->x, options->test->labels, options->test->rows},
        .memory_bytes = options->memory_bytes,
        .evaluate_batch = fl_network_evaluate_batch(&network, options->test->rows),
    };
    memcpy(job.network.sizes, network.sizes, sizeof job.network.sizes);
    memcpy(job.network.weights, network.weights, sizeof job.network.weights);
    memcpy(job.network.biases, network.biases, sizeof job.network.biases);
    return job;
}

enum fl_status fl_device_new(const struct fl_card *card, const struct fl_device_options *options,
                             struct fl_device **ret_device, struct fl_error *err)
{
    struct fl_device_job job = job_of(card, options);
    struct fl_device_text text = {""};
    struct fl_device *d = malloc(sizeof *d);
    if (!d)
        return fl_error_nomem(err);
    *d = (struct fl_device){.engine.ops = &engine_ops,
                            .trainer.ops = &trainer_ops,
                            .ops = card->ops,
                            .options = *options,
                            .elems = (size_t)job.network.elems};
    int status = d->ops->open(&job, &d->session, &text);
    if (status) {
        free(d);
        return fl_error_set(err, fl_plugin_status(status), "%s", text.text);
    }
    *ret_device = d;
    return FL_OK;
}

void fl_device_free(struct fl_device *d)
{
    if (!d)
        return;
    d->ops->close(d->session);
    fl_taken_done(&d->taken);
    free(d);
}

struct fl_trainer *fl_device_trainer(struct fl_device *d)
{
    return &d->trainer;
}

struct fl_engine *fl_device_engine(struct fl_device *d)
{
    return &d->engine;
}

void fl_device_use(const struct fl_device *d, struct fl_device_use *ret_use)
{
    d->ops->use(d->session, ret_use);
}

const char *fl_device_failure(const struct fl_device *d)
{
    return d->failed ? d->ops->error(d->session) : NULL;
}
