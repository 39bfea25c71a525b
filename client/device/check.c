#include "client/device/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "client/device/device.h"
#include "client/trainer/builtin.h"
#include "codec/downlink.h"

/* Small, and yet more than one tile and one run of every kernel. */
#define INPUTS  33
#define OUTPUTS 5
#define ROWS    90
#define SEED    77
#define STRIDE  3 /* of the elements that an assignment changes */

/* Training differs by the last bits of matrix products and of exp, over a few steps. */
#define TOLERANCE 1e-4

static const struct fl_model_spec spec = {.kind = FL_MODEL_MLP,
                                          .inputs = INPUTS,
                                          .outputs = OUTPUTS,
                                          .hidden_count = 2,
                                          .hidden = {90, 17},
                                          .seed = SEED};
static const struct fl_train_plan plan = {
    .steps = 7, .batch = 40, .learning_rate = 0.25f, .momentum = 0.5f, .weight_decay = 0.01f, .seed = SEED};

/* The codecs that a device knows, and one that it does not. */
static const struct fl_codec_params codecs[] = {
    {.id = FL_CODEC_INT_THRESHOLD, .lambda = 0x1p-7f, .step_log2 = -6},
    {.id = FL_CODEC_THRESHOLD, .lambda = 0x1p-20f},
    {.id = FL_CODEC_TOPK, .ratio = 0.1},
    {.id = FL_CODEC_DENSE},
    {.id = FL_CODEC_INT_THRESHOLD, .lambda = 0x1p-9f, .step_log2 = -8},
};

struct trial {
    const struct fl_kernels *kernels;
    struct fl_dataset data;
    struct fl_trainer *host;
    struct fl_device *device;
    struct fl_host_engine engine;
    size_t elems;
    float *start, *residual, *end, *expected, *got; /* shape (elems) each */
    float *block;                                   /* holds them all */
    struct fl_buf payload, expected_payload, delta;
};

static enum fl_status differs(struct fl_error *err, const char *what)
{
    return fl_error_set(err, FL_ERR_DIGEST, "it computes something else than this CPU: %s", what);
}

static enum fl_status make_data(struct fl_dataset *data)
{
    struct fl_random random;
    *data = (struct fl_dataset){.rows = ROWS,
                                .features = INPUTS,
                                .classes = OUTPUTS,
                                .x = malloc(ROWS * INPUTS * sizeof(float)),
                                .labels = malloc(ROWS * sizeof(uint32_t))};
    if (!data->x || !data->labels)
        return FL_ERR_NOMEM;
    fl_random_init(&random, SEED, 1);
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        data->x[i] = 2 * fl_random_float(&random) - 1;
    for (size_t i = 0; i < ROWS; i++)
        data->labels[i] = (uint32_t)fl_random_below(&random, OUTPUTS);
    return FL_OK;
}

static enum fl_status begin(struct trial *t, const struct fl_card *card, struct fl_error *err)
{
    t->kernels = fl_kernels_find("portable");
    t->elems = (size_t)fl_model_spec_elems(&spec);
    t->block = calloc(5 * t->elems, sizeof *t->block);
    if (!t->block || make_data(&t->data))
        return fl_error_nomem(err);
    float **vectors[] = {&t->start, &t->residual, &t->end, &t->expected, &t->got};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        *vectors[i] = t->block + i * t->elems;
    fl_model_spec_init(&spec, t->start);
    fl_host_engine_init(&t->engine, t->kernels, 1);
    size_t limit = fl_limit_model_body_bytes(t->elems);
    fl_buf_init(&t->payload, limit);
    fl_buf_init(&t->expected_payload, limit);
    fl_buf_init(&t->delta, limit);
    enum fl_status st = fl_trainer_new_builtin(&spec, &t->data, &t->data, NULL, &t->host, err);
    struct fl_device_options options = {
        .spec = spec, .train = &t->data, .test = &t->data, .kernels = t->kernels, .threads = 1};
    return st ? st : fl_device_new(card, &options, &t->device, err);
}

static void end(struct trial *t)
{
    fl_device_free(t->device);
    fl_trainer_free(t->host);
    fl_buf_done(&t->payload);
    fl_buf_done(&t->expected_payload);
    fl_buf_done(&t->delta);
    fl_dataset_done(&t->data);
    free(t->block);
}

static int is_near(double a, double b, double scale)
{
    return fabs(a - b) <= TOLERANCE * scale;
}

static enum fl_status check_training(struct trial *t, struct fl_error *err)
{
    struct fl_trainer *trainer = fl_device_trainer(t->device);
    struct fl_train_report host, device;
    struct fl_metrics host_metrics, device_metrics;
    double scale = 0;
    enum fl_status st = fl_trainer_train(t->host, t->start, &plan, 0, NULL, t->expected, &host);
    if (!st)
        st = fl_trainer_train(trainer, t->start, &plan, 0, NULL, t->got, &device);
    if (!st)
        st = fl_trainer_evaluate(t->host, t->expected, &host_metrics);
    if (!st)
        st = fl_trainer_evaluate(trainer, t->expected, &device_metrics);
    if (st)
        return st;
    for (size_t i = 0; i < t->elems; i++)
        scale = fmax(scale, fabs((double)t->expected[i] - (double)t->start[i]));
    for (size_t i = 0; i < t->elems; i++)
        if (!is_near((double)t->expected[i], (double)t->got[i], scale))
            return differs(err, "training");
    if (host.steps != device.steps || !is_near(host.mean_loss, device.mean_loss, host.mean_loss))
        return differs(err, "the loss of training");
    if (host_metrics.examples != device_metrics.examples ||
        !is_near(host_metrics.loss_sum, device_metrics.loss_sum, host_metrics.loss_sum))
        return differs(err, "evaluation");
    return FL_OK;
}

/* Changes every STRIDE-th element from first on, on both sides. */
static enum fl_status assign(struct trial *t, size_t first)
{
    uint32_t *indices = malloc((t->elems / STRIDE + 1) * sizeof *indices);
    float *values = t->expected; /* free at this time */
    size_t count = 0;
    if (!indices)
        return FL_ERR_NOMEM;
    for (size_t i = first; i < t->elems; i += STRIDE) {
        values[count] = t->start[i] + 0.125f;
        indices[count++] = (uint32_t)i;
    }
    fl_buf_clear(&t->delta);
    enum fl_status st = fl_sparse_encode(indices, values, count, t->elems, &t->delta);
    free(indices);
    if (!st)
        st = fl_sparse_apply(fl_buf_view(&t->delta), t->start, t->elems);
    if (!st)
        fl_engine_replica_assigned(fl_device_engine(t->device), t->start, fl_buf_view(&t->delta));
    return st;
}

/* One update from the same end on both sides, whatever the matrix products gave. */
static enum fl_status check_update(struct trial *t, const struct fl_codec_params *params,
                                   struct fl_error *err)
{
    struct fl_engine *engine = fl_device_engine(t->device);
    struct fl_train_report report;
    struct fl_engine_result device, host;
    fl_buf_clear(&t->payload);
    fl_buf_clear(&t->expected_payload);
    enum fl_status st =
        fl_trainer_train(fl_device_trainer(t->device), NULL, &plan, 0, NULL, t->expected, &report);
    struct fl_engine_round round = {t->start, t->residual, t->got, t->elems};
    if (!st)
        st = fl_engine_compress(engine, &round, params, &t->payload, &device);
    round.end = t->expected;
    if (!st)
        st = fl_engine_compress(&t->engine.base, &round, params, &t->expected_payload, &host);
    if (st)
        return st;
    if (device.count != host.count || device.delta_squares != host.delta_squares ||
        device.residual_squares != host.residual_squares || t->payload.size != t->expected_payload.size ||
        memcmp(t->payload.data, t->expected_payload.data, t->payload.size) != 0)
        return differs(err, fl_codec_find_id(params->id)->name);
    if (memcmp(t->got, t->expected, t->elems * sizeof *t->got) != 0)
        return differs(err, "the residual");
    memcpy(t->residual, t->expected, t->elems * sizeof *t->residual);
    fl_engine_residual_committed(engine);
    return FL_OK;
}

enum fl_status fl_card_check(const struct fl_card *card, struct fl_error *err)
{
    struct trial t = {0};
    enum fl_status st = begin(&t, card, err);
    int is_open = !st;
    if (!st)
        st = check_training(&t, err);
    if (!st)
        fl_engine_replica_replaced(fl_device_engine(t.device), t.start);
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0] && !st; i++) {
        st = i ? assign(&t, i % STRIDE) : FL_OK;
        if (!st)
            st = check_update(&t, &codecs[i], err);
    }
    if (st && is_open && st != FL_ERR_DIGEST) {
        const char *failure = fl_device_failure(t.device);
        st = fl_error_set(err, st, "its self-check failed: %s", failure ? failure : fl_status_text(st));
    }
    end(&t);
    return st;
}
