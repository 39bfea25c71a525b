/* Which device is taken, and what is said when it cannot be had. */
#include "bench.h"

#include "client/device/check.h"
#include "client/device/plugin.h"
#include "schedules.h"
#include "test.h"

static void test_choices_right_and_wrong(void **state)
{
    static const struct {
        const char *text;
        enum fl_status st;
        enum fl_card_kind kind;
        uint32_t index;
    } cases[] = {
        {"auto", FL_OK, FL_CARD_AUTO, 0},   {"cpu", FL_OK, FL_CARD_CPU, 0},
        {"emu", FL_OK, FL_CARD_EMU, 0}, /* tests are builds with tests */
        {"cuda:0", FL_OK, FL_CARD_CUDA, 0}, {"cuda:12", FL_OK, FL_CARD_CUDA, 12},
        {"", FL_ERR_CONFIG, 0, 0},          {"gpu", FL_ERR_CONFIG, 0, 0},
        {"cuda", FL_ERR_CONFIG, 0, 0},      {"cuda:", FL_ERR_CONFIG, 0, 0},
        {"cuda:x", FL_ERR_CONFIG, 0, 0},    {"cuda: 1", FL_ERR_CONFIG, 0, 0},
        {"cuda:-1", FL_ERR_CONFIG, 0, 0},   {"cuda:+1", FL_ERR_CONFIG, 0, 0},
        {"cuda:1 ", FL_ERR_CONFIG, 0, 0},   {"cuda:1000", FL_ERR_CONFIG, 0, 0},
        {"CPU", FL_ERR_CONFIG, 0, 0},       {"auto:0", FL_ERR_CONFIG, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_card_choice choice = {0};
        struct fl_error err = {""};
        assert_status(fl_card_choose(cases[i].text, &choice, &err), cases[i].st);
        assert_int_equal(choice.kind, cases[i].kind);
        assert_int_equal(choice.index, cases[i].index);
        if (cases[i].st)
            assert_non_null(strstr(err.text, "cuda:N"));
    }
}

static void check_self(void *unused)
{
    struct fl_card card = {.ops = fl_device_plugin()};
    struct fl_error err = {""};
    (void)unused;
    if (fl_card_check(&card, &err))
        fail_msg("%s", err.text);
}

static void test_the_self_check_passes_under_every_schedule(void **state)
{
    (void)state;
    fl_schedules_each(check_self, NULL);
}

/* Faults of a device, each in one operation: the self-check sees it and says where. */
static const struct fl_device_ops *good;

static int spoiled_take(struct fl_device_session *s, const struct fl_device_rule *rule, uint64_t *ret_count,
                        uint32_t *ret_finite)
{
    struct fl_device_rule other = *rule;
    other.low += 1u << 20;
    return good->take(s, &other, ret_count, ret_finite);
}

static int spoiled_delta(struct fl_device_session *s, double *ret_squares, uint32_t *ret_finite)
{
    int status = good->delta(s, ret_squares, ret_finite);
    *ret_squares += 1e-13 * *ret_squares;
    return status;
}

static int spoiled_end(struct fl_device_session *s, float *ret_values)
{
    int status = good->get_end(s, ret_values);
    if (!status && ret_values[5] != 0)
        ret_values[5] += ret_values[5] * 0x1p-22f;
    return status;
}

static int spoiled_assign(struct fl_device_session *s, const uint32_t *indices, const uint32_t *words,
                          uint64_t count)
{
    return good->assign(s, indices, words, count - 1);
}

static int spoiled_begin(struct fl_device_session *s, const struct fl_device_descent *descent)
{
    struct fl_device_descent other = *descent;
    other.learning_rate *= 1.01f;
    return good->train_begin(s, &other);
}

static int spoiled_evaluate(struct fl_device_session *s, struct fl_device_metrics *ret_metrics)
{
    int status = good->evaluate(s, ret_metrics);
    ret_metrics->loss_sum *= 1.01;
    return status;
}

static int spoiled_commit(struct fl_device_session *s)
{
    (void)s;
    return FL_DEVICE_OK;
}

static void test_the_self_check_sees_a_device_that_computes_something_else(void **state)
{
    struct fl_device_ops ops[7];
    /* What is off by little shows in the first update, what is off by more in training. */
    const char *const says[] = {"int-threshold", "int-threshold", "int-threshold", "threshold",
                                "training",      "evaluation",    "threshold"};
    (void)state;
    good = fl_device_plugin();
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        ops[i] = *good;
    ops[0].take = spoiled_take;
    ops[1].delta = spoiled_delta;
    ops[2].get_end = spoiled_end;
    ops[3].assign = spoiled_assign;
    ops[4].train_begin = spoiled_begin;
    ops[5].evaluate = spoiled_evaluate;
    ops[6].commit = spoiled_commit;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct fl_card card = {.ops = &ops[i]};
        struct fl_error err = {""};
        assert_status(fl_card_check(&card, &err), FL_ERR_DIGEST);
        if (!strstr(err.text, says[i]))
            fail_msg("fault %zu: %s", i, err.text);
    }
}

static void test_the_plugin_is_loaded_and_found_wanting(void **state)
{
    static const struct {
        const char *dir, *fault;
        enum fl_status st;
        const char *says;
    } cases[] = {
        {FL_TEST_PLUGINS, "", FL_OK, ""},
        {FL_TEST_PLUGINS, "abi", FL_ERR_VERSION, "install both from one build"},
        {FL_TEST_PLUGINS, "size", FL_ERR_VERSION, "install both from one build"},
        {FL_TEST_PLUGINS, "none", FL_ERR_STATE, "driver version is insufficient"},
        {FL_TEST_PLUGINS, "wrong", FL_ERR_DIGEST, "something else than this CPU: int-threshold"},
        {FL_TEST_PLUGINS, "fails:1", FL_ERR_IO, "its self-check failed: the bus: broken for a test"},
        {"/nonexistent", "", FL_ERR_NOT_FOUND, "no plugin fl_cuda.so in /nonexistent (FL_PLUGIN_DIR)"},
        {FL_TEST_PLUGINS "/text", "", FL_ERR_FORMAT, "cannot be loaded"},
        {FL_TEST_PLUGINS "/other", "", FL_ERR_FORMAT, "no plugin of fl-client"},
    };
    struct fl_card_choice choice = {.kind = FL_CARD_CUDA};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_card card;
        struct fl_error err = {""};
        setenv("FL_PLUGIN_DIR", cases[i].dir, 1);
        setenv("FL_TEST_PLUGIN", cases[i].fault, 1);
        enum fl_status st = fl_card_find(&choice, &card, &err);
        if (st != cases[i].st || !strstr(err.text, cases[i].says))
            fail_msg("case %zu: %s: %s", i, fl_status_name(st), err.text);
    }
    unsetenv("FL_PLUGIN_DIR");
    unsetenv("FL_TEST_PLUGIN");
}

static void test_a_device_that_is_not_there_is_named(void **state)
{
    struct fl_emu_options options = fl_emu_defaults();
    struct fl_device_info info;
    struct fl_device_text text = {""};
    (void)state;
    assert_int_equal(fl_device_plugin()->describe(0, &info, &text), FL_DEVICE_OK);
    assert_true(info.memory_bytes > 0 && info.name[0] && info.runtime);
    assert_int_equal(fl_device_plugin()->describe(3, &info, &text), FL_DEVICE_NONE);
    assert_non_null(strstr(text.text, "there is no device 3, there are 1"));
    options.devices = 0;
    fl_emu_configure(&options);
    assert_int_equal(fl_device_plugin()->describe(0, &info, &text), FL_DEVICE_NONE);
    assert_non_null(strstr(text.text, "cudaErrorNoDevice"));
    options = fl_emu_defaults();
    fl_emu_configure(&options);
}

static enum fl_status open_device(struct bench *b, uint64_t memory_bytes, struct fl_device **ret_device,
                                  struct fl_error *err)
{
    struct fl_card card = {.ops = fl_device_plugin()};
    struct fl_device_options options = b->options;
    options.memory_bytes = memory_bytes;
    return fl_device_new(&card, &options, ret_device, err);
}

static void test_too_little_memory_is_told_in_bytes(void **state)
{
    struct bench b;
    struct fl_device *device;
    struct fl_error err = {""};
    struct fl_emu_options options = fl_emu_defaults();
    (void)state;
    bench_init(&b, &bench_mlp, 0);
    assert_status(open_device(&b, 1000, &device, &err), FL_ERR_NOMEM);
    assert_non_null(strstr(err.text, "bytes of device memory are wanted, 1000 may be taken"));
    fl_device_free(b.device);
    b.device = NULL;
    options.memory_bytes = 30000; /* nine tenths of what is free may be taken */
    fl_emu_configure(&options);
    assert_status(open_device(&b, 0, &device, &err), FL_ERR_NOMEM);
    assert_non_null(strstr(err.text, "27000 may be taken"));
    options = fl_emu_defaults();
    fl_emu_configure(&options);
    bench_done(&b);
}

/* Every allocation fails in turn: the device is not made, or goes without the data in its memory; nothing
 * leaks. */
static void test_failing_allocations_leave_nothing_behind(void **state)
{
    struct bench b;
    unsigned failures = 0;
    int opened = 0;
    (void)state;
    bench_init(&b, &bench_softmax, 0);
    struct fl_emu_counts before = fl_emu_read_counts(), after;
    for (unsigned nth = 1; opened < 2; nth++) {
        struct fl_device *device = NULL;
        struct fl_device_use use;
        struct fl_error err = {""};
        fl_emu_fail_allocation(nth);
        enum fl_status st = open_device(&b, 0, &device, &err);
        fl_emu_fail_allocation(0);
        if (st) {
            assert_status(st, FL_ERR_NOMEM);
            assert_non_null(strstr(err.text, "cudaErrorMemoryAllocation"));
            failures++;
        } else {
            fl_device_use(device, &use);
            opened += use.train_resident && use.test_resident; /* nothing failed any more */
        }
        fl_device_free(device);
        after = fl_emu_read_counts();
        assert_int_equal(after.device_bytes, before.device_bytes);
        assert_int_equal(after.pinned_bytes, before.pinned_bytes);
    }
    assert_true(failures >= 10);
    bench_done(&b);
}

/* Every launch of a round fails in turn: the round says so, keeps nothing, and the device is of no more use.
 */
static void test_failing_launches_end_the_round(void **state)
{
    static const struct fl_codec_params params = {.id = FL_CODEC_TOPK, .ratio = 0.1};
    struct fl_buf payload;
    unsigned nth = 1;
    (void)state;
    fl_buf_init(&payload, 1 << 20);
    for (int ok = 0; !ok; nth++) {
        struct bench b;
        struct fl_train_report report;
        struct fl_engine_result result;
        struct fl_metrics metrics;
        bench_init(&b, &bench_logistic, 0);
        struct fl_engine *engine = fl_device_engine(b.device);
        struct fl_trainer *trainer = fl_device_trainer(b.device);
        struct fl_engine_round round = {b.start, b.residual, b.end, b.elems};
        fl_engine_replica_replaced(engine, b.start);
        fl_engine_residual_replaced(engine);
        fl_emu_fail_launch(nth);
        enum fl_status st = fl_trainer_evaluate(trainer, NULL, &metrics);
        if (!st)
            st = fl_trainer_train(trainer, NULL, &bench_plan, 0, NULL, NULL, &report);
        if (!st)
            st = fl_engine_compress(engine, &round, &params, &payload, &result);
        fl_emu_fail_launch(0);
        ok = !st;
        if (st) {
            assert_status(st, FL_ERR_IO);
            assert_non_null(strstr(fl_device_failure(b.device), "cudaErrorLaunchOutOfResources"));
            assert_status(fl_trainer_train(trainer, NULL, &bench_plan, 0, NULL, NULL, &report), FL_ERR_IO);
            assert_int_equal(payload.size, 0);
        } else
            assert_null(fl_device_failure(b.device));
        bench_done(&b);
    }
    assert_true(nth > 60);
    fl_buf_done(&payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices_right_and_wrong),
        cmocka_unit_test(test_the_self_check_passes_under_every_schedule),
        cmocka_unit_test(test_the_self_check_sees_a_device_that_computes_something_else),
        cmocka_unit_test(test_the_plugin_is_loaded_and_found_wanting),
        cmocka_unit_test(test_a_device_that_is_not_there_is_named),
        cmocka_unit_test(test_too_little_memory_is_told_in_bytes),
        cmocka_unit_test(test_failing_allocations_leave_nothing_behind),
        cmocka_unit_test(test_failing_launches_end_the_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
