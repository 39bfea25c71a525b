#include "bench.h"

#include "client/trainer/builtin.h"
#include "naive.h"
#include "test.h"

const struct fl_model_spec bench_logistic = {
    .kind = FL_MODEL_LOGISTIC, .inputs = 13, .outputs = 1, .seed = 3};
const struct fl_model_spec bench_softmax = {.kind = FL_MODEL_SOFTMAX, .inputs = 9, .outputs = 4, .seed = 3};
const struct fl_model_spec bench_mlp = {
    .kind = FL_MODEL_MLP, .inputs = 30, .outputs = 5, .hidden_count = 1, .hidden = {130}, .seed = 3};
const struct fl_model_spec bench_deep = {
    .kind = FL_MODEL_MLP, .inputs = 7, .outputs = 3, .hidden_count = 3, .hidden = {11, 2, 9}, .seed = 3};
const struct fl_train_plan bench_plan = {
    .steps = 9, /* a pass and a part of the next; the pass ends in a small one */
    .batch = 16,
    .learning_rate = 0.25f,
    .momentum = 0.75f,
    .weight_decay = 0.01f,
    .seed = 11};

static float *vector(size_t elems)
{
    float *values = calloc(elems, sizeof *values);
    assert_non_null(values);
    return values;
}

void bench_init(struct bench *b, const struct fl_model_spec *spec, uint64_t memory_bytes)
{
    struct fl_card card = {.ops = fl_device_plugin()};
    struct fl_error err = {""};
    *b = (struct bench){.elems = (size_t)fl_model_spec_elems(spec)};
    naive_data(spec, BENCH_ROWS, 1, &b->train);
    naive_data(spec, BENCH_TEST_ROWS, 2, &b->test);
    b->options = (struct fl_device_options){.spec = *spec,
                                            .train = &b->train,
                                            .test = &b->test,
                                            .kernels = fl_kernels_pick(),
                                            .threads = 1,
                                            .memory_bytes = memory_bytes};
    b->start = vector(b->elems);
    b->residual = vector(b->elems);
    b->end = vector(b->elems);
    b->other = vector(b->elems);
    fl_model_spec_init(spec, b->start);
    for (size_t i = 0; i < b->elems; i++)
        b->residual[i] = (float)((int)(i * 7 % 31) - 15) * 0x1p-9f;
    assert_ok(fl_trainer_new_builtin(spec, &b->train, &b->test, NULL, &b->host, NULL));
    if (fl_device_new(&card, &b->options, &b->device, &err))
        fail_msg("%s", err.text);
}

void bench_done(struct bench *b)
{
    fl_device_free(b->device);
    fl_trainer_free(b->host);
    fl_dataset_done(&b->train);
    fl_dataset_done(&b->test);
    free(b->start);
    free(b->residual);
    free(b->end);
    free(b->other);
}

uint64_t bench_model_bytes(const struct fl_model_spec *spec)
{
    struct fl_card card = {.ops = fl_device_plugin()};
    struct fl_dataset none = {0};
    struct fl_device *device;
    struct fl_device_use use;
    struct fl_device_options options = {
        .spec = *spec, .train = &none, .test = &none, .kernels = fl_kernels_pick(), .threads = 1};
    assert_ok(fl_device_new(&card, &options, &device, NULL));
    fl_device_use(device, &use);
    fl_device_free(device);
    return use.device_bytes;
}
