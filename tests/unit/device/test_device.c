/* Training, evaluation and compression on a device in the emulator, against the host's bit by bit. */
#include "bench.h"

#include <math.h>

#include "codec/downlink.h"
#include "schedules.h"
#include "test.h"

static const struct fl_model_spec *const specs[] = {&bench_logistic, &bench_softmax, &bench_mlp, &bench_deep};

static const struct fl_codec_params codecs[] = {
    {.id = FL_CODEC_INT_THRESHOLD, .lambda = 0x1p-7f, .step_log2 = -6},
    {.id = FL_CODEC_THRESHOLD, .lambda = 0.003f},
    {.id = FL_CODEC_THRESHOLD, .lambda = 0x1p-40f}, /* nearly all */
    {.id = FL_CODEC_THRESHOLD, .lambda = 1e9f},     /* none */
    {.id = FL_CODEC_TOPK, .ratio = 0.05},
    {.id = FL_CODEC_TOPK, .ratio = 1},
    {.id = FL_CODEC_DENSE}, /* the host's, as the rest */
    {.id = FL_CODEC_TOPK_BF16, .ratio = 0.1},
    {.id = FL_CODEC_QSGD, .bits = 4, .bucket = 64, .seed = 5}, /* without a residual */
};

static void assert_same_bits(const float *a, const float *b, size_t elems)
{
    assert_memory_equal(a, b, elems * sizeof *a);
}

/* Weights, report and metrics of both trainers from the same start. */
static void check_training(struct bench *b, const struct fl_train_plan *plan)
{
    struct fl_trainer *trainer = fl_device_trainer(b->device);
    struct fl_train_report host, device;
    struct fl_metrics host_metrics, device_metrics;
    assert_ok(fl_trainer_train(b->host, b->start, plan, 0, NULL, b->end, &host));
    assert_ok(fl_trainer_train(trainer, b->start, plan, 0, NULL, b->other, &device));
    assert_same_bits(b->end, b->other, b->elems);
    assert_int_equal(host.steps, device.steps);
    assert_int_equal(host.examples, device.examples);
    assert_true(host.mean_loss == device.mean_loss);
    assert_ok(fl_trainer_evaluate(b->host, b->end, &host_metrics));
    assert_ok(fl_trainer_evaluate(trainer, b->end, &device_metrics));
    assert_int_equal(host_metrics.examples, device_metrics.examples);
    assert_int_equal(host_metrics.correct, device_metrics.correct);
    assert_true(host_metrics.loss_sum == device_metrics.loss_sum);
}

static void check_trainings(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        struct bench b;
        struct fl_train_plan passes = bench_plan, whole = bench_plan;
        passes.steps = 0;
        passes.epochs = 2;
        passes.momentum = 0;
        whole.batch = 1000;
        bench_init(&b, specs[i], 0);
        check_training(&b, &bench_plan);
        check_training(&b, &passes);
        check_training(&b, &whole); /* larger batches than before */
        check_training(&b, &bench_plan);
        bench_done(&b);
    }
}

static void test_training_gives_the_hosts_bits(void **state)
{
    (void)state;
    fl_schedules_each(check_trainings, NULL);
}

/* Room for the model and for batches only, and for the smaller of the two data sets besides. */
static void check_streamed(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        struct bench b;
        struct fl_device_use use;
        uint64_t model = bench_model_bytes(specs[i]);
        bench_init(&b, specs[i], 0);
        fl_device_use(b.device, &use);
        assert_true(use.train_resident && use.test_resident);
        uint64_t row = (b.train.features + 1) * sizeof(float);
        uint64_t batches = use.device_bytes - model - (b.train.rows + b.test.rows) * row;
        uint64_t slots = 2 * (256 * (row - 4) + 256); /* batches over the bus instead of their indices */
        uint64_t limit = model + batches + slots + 256;
        bench_done(&b);

        bench_init(&b, specs[i], limit);
        fl_device_use(b.device, &use);
        assert_false(use.train_resident || use.test_resident);
        assert_true(use.device_bytes <= limit);
        check_training(&b, &bench_plan);
        bench_done(&b);

        bench_init(&b, specs[i], limit + BENCH_ROWS * row);
        fl_device_use(b.device, &use);
        assert_true(use.train_resident && !use.test_resident);
        check_training(&b, &bench_plan);
        bench_done(&b);
    }
}

static void test_data_that_do_not_fit_are_streamed(void **state)
{
    (void)state;
    fl_schedules_each(check_streamed, NULL);
}

/* One round on both engines from the same end. end of the device: b->end; of the host: b->other. */
static void check_round(struct bench *b, const struct fl_codec_params *params)
{
    struct fl_host_engine host;
    struct fl_train_report report;
    struct fl_engine_result device_result, host_result;
    struct fl_buf device_payload, host_payload;
    struct fl_engine_round round = {b->start, b->residual, b->end, b->elems};
    fl_buf_init(&device_payload, 1 << 20);
    fl_buf_init(&host_payload, 1 << 20);
    fl_host_engine_init(&host, fl_kernels_find("portable"), 1);
    assert_ok(fl_trainer_train(fl_device_trainer(b->device), NULL, &bench_plan, 0, NULL, NULL, &report));
    assert_ok(fl_trainer_train(b->host, b->start, &bench_plan, 0, NULL, b->other, &report));
    assert_ok(
        fl_engine_compress(fl_device_engine(b->device), &round, params, &device_payload, &device_result));
    round.end = b->other;
    assert_ok(fl_engine_compress(&host.base, &round, params, &host_payload, &host_result));
    assert_int_equal(device_result.count, host_result.count);
    assert_true(device_result.delta_squares == host_result.delta_squares);
    assert_true(device_result.residual_squares == host_result.residual_squares);
    assert_int_equal(device_payload.size, host_payload.size);
    if (params) {
        assert_memory_equal(device_payload.data, host_payload.data, host_payload.size);
        assert_same_bits(b->end, b->other, b->elems);
    }
    fl_buf_done(&device_payload);
    fl_buf_done(&host_payload);
}

static void assign(struct bench *b, uint32_t every)
{
    uint32_t *indices = malloc(b->elems * sizeof *indices);
    float *values = malloc(b->elems * sizeof *values);
    struct fl_buf delta;
    size_t count = 0;
    fl_buf_init(&delta, 1 << 20);
    for (uint32_t i = every - 1; i < b->elems; i += every) {
        values[count] = b->start[i] + 0x1p-5f;
        indices[count++] = i;
    }
    assert_ok(fl_sparse_encode(indices, values, count, b->elems, &delta));
    assert_ok(fl_sparse_apply(fl_buf_view(&delta), b->start, b->elems));
    fl_engine_replica_assigned(fl_device_engine(b->device), b->start, fl_buf_view(&delta));
    fl_buf_done(&delta);
    free(indices);
    free(values);
}

/* Rounds one after the other with everything that may happen between them. */
static void check_rounds(void *unused)
{
    static const struct fl_model_spec *const models[] = {&bench_mlp, &bench_deep, &bench_logistic};
    (void)unused;
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct bench b;
        bench_init(&b, models[m], 0);
        struct fl_engine *engine = fl_device_engine(b.device);
        fl_engine_replica_replaced(engine, b.start);
        fl_engine_residual_replaced(engine);
        check_round(&b, NULL); /* calibration leaves the residual as it is */
        for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
            check_round(&b, &codecs[i]);
            check_round(&b, &codecs[i]); /* again, not committed: the residual is the old one */
            memcpy(b.residual, b.end, b.elems * sizeof *b.residual);
            fl_engine_residual_committed(engine);
            assign(&b, (uint32_t)i + 1);
            check_round(&b, &codecs[0]);
            b.residual[i] = 0.25f; /* folded back */
            fl_engine_residual_replaced(engine);
            if (i == 2) {
                b.start[1] = 0.5f;
                fl_engine_replica_replaced(engine, b.start);
                assign(&b, 3); /* while it is still on its way */
            }
        }
        bench_done(&b);
    }
}

static void test_updates_are_the_hosts_bit_for_bit(void **state)
{
    (void)state;
    fl_schedules_each(check_rounds, NULL);
}

/* Other weights that were judged or trained from, before and within a round, leave the replica as it was. */
static void test_other_weights_do_not_become_the_replica(void **state)
{
    struct bench b;
    struct fl_metrics before, other, after;
    struct fl_train_report report;
    struct fl_engine_result expected, got;
    struct fl_buf expected_payload, payload;
    (void)state;
    fl_buf_init(&expected_payload, 1 << 20);
    fl_buf_init(&payload, 1 << 20);
    bench_init(&b, &bench_mlp, 0);
    struct fl_engine *engine = fl_device_engine(b.device);
    struct fl_trainer *trainer = fl_device_trainer(b.device);
    struct fl_engine_round round = {b.start, b.residual, b.end, b.elems};
    float *weights = calloc(b.elems, sizeof *weights);
    assert_non_null(weights);
    assert_status(fl_trainer_train(trainer, NULL, &bench_plan, 0, NULL, NULL, &report), FL_ERR_STATE);
    assert_status(fl_trainer_evaluate(trainer, NULL, &before), FL_ERR_STATE);
    assert_null(fl_device_failure(b.device));

    fl_engine_replica_replaced(engine, b.start);
    fl_engine_residual_replaced(engine);
    assert_ok(fl_trainer_evaluate(trainer, NULL, &before));
    assert_ok(fl_trainer_evaluate(trainer, weights, &other));
    assert_true(other.loss_sum != before.loss_sum);
    assert_ok(fl_trainer_evaluate(trainer, NULL, &after));
    assert_true(after.loss_sum == before.loss_sum);

    assert_ok(fl_trainer_train(trainer, weights, &bench_plan, 0, NULL, b.other, &report));
    check_round(&b, &codecs[0]); /* trains from the replica */

    assert_ok(fl_trainer_train(trainer, NULL, &bench_plan, 0, NULL, NULL, &report));
    assert_ok(fl_engine_compress(engine, &round, &codecs[0], &expected_payload, &expected));
    assert_ok(fl_trainer_train(trainer, NULL, &bench_plan, 0, NULL, NULL, &report));
    assert_ok(fl_trainer_evaluate(trainer, weights, &other));
    assert_ok(fl_engine_compress(engine, &round, &codecs[0], &payload, &got));
    assert_int_equal(got.count, expected.count);
    assert_true(got.delta_squares == expected.delta_squares);
    assert_int_equal(payload.size, expected_payload.size);
    assert_memory_equal(payload.data, expected_payload.data, payload.size);

    assert_ok(fl_trainer_evaluate(trainer, weights, &other));
    assign(&b, 3); /* while other weights are there */
    check_round(&b, &codecs[0]);
    free(weights);
    fl_buf_done(&expected_payload);
    fl_buf_done(&payload);
    bench_done(&b);
}

/* Loss, norms and counts, as the host reads them. */
#define NUMBERS_BYTES 56

/* What docs/decisions/0008 says goes over the bus, and that a round takes no memory and hardly waits. */
static void test_a_round_moves_what_it_must_and_takes_no_memory(void **state)
{
    struct bench b;
    struct fl_buf payload;
    struct fl_train_report report;
    struct fl_engine_result result;
    struct fl_metrics metrics;
    struct fl_emu_counts before, trained, after;
    (void)state;
    fl_buf_init(&payload, 1 << 20);
    bench_init(&b, &bench_mlp, 0);
    struct fl_engine *engine = fl_device_engine(b.device);
    struct fl_engine_round round = {b.start, b.residual, b.end, b.elems};
    fl_engine_replica_replaced(engine, b.start);
    fl_engine_residual_replaced(engine);
    for (int i = 0; i < 3; i++) {
        fl_buf_clear(&payload);
        before = fl_emu_read_counts();
        assert_ok(fl_trainer_train(fl_device_trainer(b.device), NULL, &bench_plan, 0, NULL, NULL, &report));
        trained = fl_emu_read_counts();
        assert_ok(fl_engine_compress(engine, &round, &codecs[0], &payload, &result));
        after = fl_emu_read_counts();
        memcpy(b.residual, b.end, b.elems * sizeof *b.residual);
        fl_engine_residual_committed(engine);
    }
    assert_true(result.count > 0 && result.count < b.elems);
    assert_int_equal(after.allocations, before.allocations);
    /* One wait a step, for the batch before the last to have left; one for the loss. */
    assert_int_equal(trained.synchronisations - before.synchronisations, bench_plan.steps + 1);
    /* To the device only which rows a step takes, 4 bytes a row: 16, 16, 16, 16, 6 and 4 times 16. */
    assert_int_equal(after.bytes_to_device - before.bytes_to_device, (70 + 4 * 16) * 4);
    /* From it 8 bytes a survivor, 4 an element, and three times some numbers. */
    assert_int_equal(after.bytes_to_host - before.bytes_to_host,
                     8 * result.count + 4 * b.elems + 3 * NUMBERS_BYTES);
    /* Judging the replica that is there moves those numbers once more. */
    before = fl_emu_read_counts();
    assert_ok(fl_trainer_evaluate(fl_device_trainer(b.device), NULL, &metrics));
    after = fl_emu_read_counts();
    assert_int_equal(after.bytes_to_device, before.bytes_to_device);
    assert_int_equal(after.bytes_to_host - before.bytes_to_host, NUMBERS_BYTES);
    fl_buf_done(&payload);
    bench_done(&b);
}

static void test_numbers_that_are_not_finite_are_seen(void **state)
{
    struct bench b;
    struct fl_train_plan wild = bench_plan;
    struct fl_train_report report;
    struct fl_engine_result result;
    struct fl_buf payload;
    (void)state;
    fl_buf_init(&payload, 1 << 20);
    bench_init(&b, &bench_mlp, 0);
    struct fl_engine *engine = fl_device_engine(b.device);
    struct fl_trainer *trainer = fl_device_trainer(b.device);
    struct fl_engine_round round = {b.start, b.residual, b.end, b.elems};
    fl_engine_replica_replaced(engine, b.start);
    fl_engine_residual_replaced(engine);
    wild.learning_rate = 1e30f;
    assert_status(fl_trainer_train(b.host, b.start, &wild, 0, NULL, b.other, &report), FL_ERR_NOT_FINITE);
    assert_status(fl_trainer_train(trainer, NULL, &wild, 0, NULL, NULL, &report), FL_ERR_NOT_FINITE);

    b.residual[b.elems - 1] = INFINITY; /* no residual on disk is, but p may come to it */
    assert_ok(fl_trainer_train(trainer, NULL, &bench_plan, 0, NULL, NULL, &report));
    assert_status(fl_engine_compress(engine, &round, &codecs[0], &payload, &result), FL_ERR_NOT_FINITE);
    assert_int_equal(payload.size, 0);

    b.start[0] = INFINITY;
    fl_engine_replica_replaced(engine, b.start);
    struct fl_metrics metrics;
    assert_status(fl_trainer_evaluate(b.host, b.start, &metrics), FL_ERR_NOT_FINITE);
    assert_status(fl_trainer_evaluate(trainer, NULL, &metrics), FL_ERR_NOT_FINITE);
    assert_null(fl_device_failure(b.device));

    b.start[0] = 0;
    b.residual[b.elems - 1] = 0;
    fl_engine_replica_replaced(engine, b.start);
    fl_engine_residual_replaced(engine);
    check_round(&b, &codecs[0]);
    fl_buf_done(&payload);
    bench_done(&b);
}

static void test_plans_out_of_range_and_stops_as_on_the_host(void **state)
{
    struct bench b;
    struct fl_train_report report;
    struct fl_train_plan empty = bench_plan;
    atomic_int stop = 1;
    (void)state;
    empty.batch = 0;
    bench_init(&b, &bench_softmax, 0);
    struct fl_trainer *trainer = fl_device_trainer(b.device);
    assert_status(fl_trainer_train(trainer, b.start, &empty, 0, NULL, b.end, &report), FL_ERR_RANGE);
    assert_status(fl_trainer_train(trainer, b.start, &bench_plan, 0, &stop, b.end, &report), FL_ERR_STOPPED);
    check_training(&b, &bench_plan);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_gives_the_hosts_bits),
        cmocka_unit_test(test_data_that_do_not_fit_are_streamed),
        cmocka_unit_test(test_updates_are_the_hosts_bit_for_bit),
        cmocka_unit_test(test_other_weights_do_not_become_the_replica),
        cmocka_unit_test(test_a_round_moves_what_it_must_and_takes_no_memory),
        cmocka_unit_test(test_numbers_that_are_not_finite_are_seen),
        cmocka_unit_test(test_plans_out_of_range_and_stops_as_on_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
