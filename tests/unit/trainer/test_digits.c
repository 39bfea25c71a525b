/* Real data, trained centrally: one client that holds everything. */
#include "test.h"

#include "client/data/load.h"
#include "client/trainer/builtin.h"

static void load_digits(uint64_t seed, struct fl_data *ret)
{
    const char *path = FL_TEST_DIGITS;
    struct fl_data_config config;
    struct fl_error err;
    fl_data_config_init(&config);
    config.source.paths = &path;
    config.source.path_count = 1;
    config.scale = 1.0 / 16;
    config.partition.seed = seed;
    enum fl_status st = fl_data_load(&config, ret, &err);
    if (st)
        fail_msg("%s", err.text);
}

static double train_centrally(const struct fl_model_spec *spec, const struct fl_train_plan *plan)
{
    struct fl_data data;
    struct fl_trainer *trainer;
    struct fl_train_report report;
    struct fl_metrics metrics;
    load_digits(plan->seed, &data);
    float *weights = malloc(fl_model_spec_elems(spec) * sizeof(*weights));
    assert_non_null(weights);
    fl_model_spec_init(spec, weights);
    assert_ok(fl_trainer_new_builtin(spec, &data.train, &data.test, NULL, &trainer, NULL));
    assert_ok(fl_trainer_train(trainer, weights, plan, 0, NULL, weights, &report));
    assert_ok(fl_trainer_evaluate(trainer, weights, &metrics));
    assert_int_equal(metrics.examples, data.test.rows);
    fl_trainer_free(trainer);
    free(weights);
    fl_data_done(&data);
    return (double)metrics.correct / (double)metrics.examples;
}

static void test_mlp_learns_digits(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct fl_model_spec spec = {.kind = FL_MODEL_MLP,
                                     .inputs = 64,
                                     .outputs = 10,
                                     .hidden_count = 1,
                                     .hidden = {64},
                                     .seed = seed};
        struct fl_train_plan plan = {
            .steps = 1200, .batch = 32, .learning_rate = 0.1f, .momentum = 0.9f, .seed = seed};
        double accuracy = train_centrally(&spec, &plan);
        print_message("seed %d: test accuracy %.4f\n", (int)seed, accuracy);
        assert_true(accuracy >= 0.95);
    }
}

static void test_softmax_regression_learns_digits(void **state)
{
    struct fl_model_spec spec = {.kind = FL_MODEL_SOFTMAX, .inputs = 64, .outputs = 10};
    struct fl_train_plan plan = {
        .epochs = 20, .batch = 32, .learning_rate = 0.1f, .momentum = 0.9f, .weight_decay = 1e-4f};
    (void)state;
    double accuracy = train_centrally(&spec, &plan);
    print_message("test accuracy %.4f\n", accuracy);
    assert_true(accuracy >= 0.92);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mlp_learns_digits),
        cmocka_unit_test(test_softmax_regression_learns_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
