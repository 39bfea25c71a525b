/* server/port/run_spec_file and config: tables without contradictions, defaults, errors that name the place.
 */
#include "test.h"

#include "fail_alloc.h"
#include "server/port/config.h"
#include "server/port/run_spec_file.h"

#define LEAST                                                                                                \
    "name: r\nrounds: 3\nmodel: {kind: mlp, inputs: 4, outputs: 3, hidden: [5, 6]}\nround: {target: 2}\n"

static void test_defaults(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct fl_error err;
    enum fl_status st = fl_run_spec_read("r.yaml", fl_bytes_from_text(LEAST), &spec, &err);
    if (st)
        fail_msg("%s", err.text);
    assert_string_equal(spec.codec.name, "int-threshold");
    assert_int_equal(spec.step_shift, 1);
    assert_true(spec.codec.lambda == 0 && spec.codec.ratio == 0 && spec.downlink_ratio == 0.25);
    assert_int_equal(spec.plan.steps, 20);
    assert_int_equal(spec.plan.batch, 32);
    assert_true(spec.plan.learning_rate == 0.1f && spec.plan.momentum == 0.9f && spec.server_rate == 1);
    assert_int_equal(spec.max_late, 1);
    assert_int_equal(spec.model.hidden_count, 2);
    assert_int_equal(spec.model.hidden[1], 6);
    assert_int_equal(spec.keep_updates, 0);
}

static void test_epochs_replace_steps(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    assert_ok(fl_run_spec_read("r", fl_bytes_from_text(LEAST "train: {epochs: 2}\n"), &spec, NULL));
    assert_int_equal(spec.plan.steps, 0);
    assert_int_equal(spec.plan.epochs, 2);
}

static void test_parts(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    assert_ok(fl_run_spec_read("r", fl_bytes_from_text(LEAST), &spec, NULL));
    assert_int_equal(spec.dense_below, 0);
    assert_ok(fl_run_spec_read("r", fl_bytes_from_text(LEAST "codec: {name: qsgd, dense_below: 30}\n"), &spec,
                               NULL));
    assert_int_equal(spec.dense_below, 30);
    assert_string_equal(spec.codec.name, "qsgd");
}

static void test_lambda_or_ratio_from_a_goal(void **state)
{
    (void)state;
    /* parameters: (4 + 1) x 5 + (5 + 1) x 6 + (6 + 1) x 3 = 82 */
    static const struct {
        const char *text;
        double lambda, ratio;
    } cases[] = {
        {LEAST "codec: {name: threshold, lambda_count: 25}\n", 0.1 * 20 / (2 * 5), 0},
        {LEAST "codec: {lambda_count: 25}\n", 0.25, 0}, /* 0.2, to a power of two */
        {LEAST "codec: {name: threshold, lambda_count: 4}\ntrain: {steps: 10, learning_rate: 0.5}\n",
         0.5 * 10 / (2 * 2), 0},
        {LEAST "codec: {name: threshold, lambda_accuracy: 20.5}\n", 0.5, 0}, /* 82 x 0.5^2 */
        {LEAST "codec: {name: threshold, lambda_accuracy: 20.5, lambda_smoothness: 8}\n", 0.25, 0},
        {LEAST "codec: {name: low-rank, lambda_accuracy: 20.5}\n", 0.5, 0},
        /* 3 coordinates of 32 + 1.5 + log2(82 / 3) bits, and the head */
        {LEAST "codec: {name: threshold-sampled, bytes: 31}\n", 0, 3.0 / 82},
        {LEAST "codec: {name: topk-tensor, bytes: 30}\n", 0, 2.0 / 82},
        {LEAST "codec: {name: topk-bf16, bytes: 25}\n", 0, 3.0 / 82},
        {LEAST "codec: {name: qsparse, bits: 4, bytes: 20}\n", 0, 3.0 / 82},
        {LEAST "codec: {name: topk, bytes: 4000000}\n", 0, 1},
        /* tensors of 20 + 5 + 30 + 6 + 18 + 3: heads for all, 4 x 14 bytes, and 2 coordinates of the other 68
         */
        {LEAST "codec: {name: topk, dense_below: 10, bytes: 178}\n", 0, 2.0 / 68},
        {LEAST "codec: {name: topk, dense_below: 1, bytes: 122}\n", 0, 2.0 / 82},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_run_spec spec;
        struct fl_error err = {{0}};
        if (fl_run_spec_read("r", fl_bytes_from_text(cases[i].text), &spec, &err))
            fail_msg("case %zu: %s", i, err.text);
        if (spec.codec.lambda != (float)cases[i].lambda || spec.codec.ratio != (float)cases[i].ratio)
            fail_msg("case %zu: lambda %a, ratio %a", i, (double)spec.codec.lambda, (double)spec.codec.ratio);
    }
}

static void test_errors_name_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {LEAST "batch: 3\n", "r.yaml:5: "},
        {LEAST "train: {batch: 0}\n", "train.batch"},
        {LEAST "train: {batch: 0}\n", "1..65536"},
        {LEAST "codec: {name: best}\n", "int-threshold"},
        {LEAST "train: {learning_rate: .nan}\n", "train.learning_rate"},
        {LEAST "rounds: 4\n", "rounds"},
        {"name: r\n", "r.yaml"},
        {"", "r.yaml"},
        {"name: r\nrounds: 3\nmodel: {kind: softmax, inputs: 4, outputs: 3, hidden: [5]}\nround: {target: "
         "2}\n",
         "model"},
        {"name: r\nrounds: 3\nmodel: {kind: mlp, inputs: 4, outputs: 3, hidden: [1,1,1,1,1,1,1,1,1]}\nround: "
         "{target: 2}\n",
         "model.hidden"},
        {"name: .r\nrounds: 3\nmodel: {kind: softmax, inputs: 4, outputs: 3}\nround: {target: 2}\n", "name"},
        {LEAST "round: {target: 2, minimum: 3}\n", "round"},
        {LEAST "codec: {lambda: 0.5, lambda_count: 3}\n", "codec.lambda_count"},
        {LEAST "codec: {lambda_accuracy: 1, lambda_count: 3}\n", "codec.lambda_accuracy"},
        {LEAST "codec: {lambda_smoothness: 1}\n", "codec.lambda_accuracy"},
        {LEAST "codec: {lambda_count: 83}\n", "82 coordinates"},
        {LEAST "codec: {lambda_count: -1}\n", "codec.lambda_count"},
        {LEAST "codec: {lambda_count: many}\n", "codec.lambda_count"},
        {LEAST "codec: {lambda_count: 3}\ntrain: {epochs: 1}\n", "train.steps"},
        {LEAST "codec: {name: topk, lambda_count: 3}\n", "topk has no lambda"},
        {LEAST "codec: {name: topk, lambda_accuracy: 3}\n", "codec.lambda_accuracy"},
        {LEAST "codec: {name: threshold, lambda_accuracy: 1e-300, lambda_smoothness: 1e15}\n",
         "codec.lambda_accuracy"},
        {LEAST "codec: {name: topk, ratio: 0.1, bytes: 100}\n", "codec.ratio"},
        {LEAST "codec: {name: random-k, bytes: 100}\n", "threshold-sampled"},
        {LEAST "codec: {bytes: 100}\n", "int-threshold does not send"},
        {LEAST "codec: {name: topk, bytes: 20}\n", "20 bytes"},
        {LEAST "codec: {name: topk, bytes: 16}\n", "16 bytes"},
        {LEAST "codec: {name: topk, dense_below: 10, bytes: 160}\n", "168 are for the heads and dense"},
        {LEAST "codec: {dense_below: -1}\n", "codec.dense_below"},
        {LEAST "codec: {dense_below: few}\n", "codec.dense_below"},
        {LEAST "codec: {dense_below: 1.5}\n", "codec.dense_below"},
        {LEAST "codec: {dense_below: 4294967296}\n", "codec.dense_below"},
        {LEAST "codec: {dense_below: 31}\n", "largest tensor"},
        {LEAST "codec: {name: parts}\n", "codec.name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_run_spec spec;
        struct fl_error err = {{0}};
        enum fl_status st = fl_run_spec_read("r.yaml", fl_bytes_from_text(cases[i].text), &spec, &err);
        if (st != FL_ERR_CONFIG || !strstr(err.text, cases[i].words))
            fail_msg("case %zu: %s: %s", i, fl_status_name(st), err.text);
    }
}

static void test_server_configuration_table(void **state)
{
    (void)state;
    struct fl_settings settings;
    struct fl_server_config config;
    assert_ok(fl_settings_init(&settings, fl_server_config_rows, FL_SERVER_CONFIG_COUNT, &config, NULL));
    assert_int_equal(config.port, 8443);
    assert_int_equal(config.update_bytes, 256 << 20);
}

static void test_state_folder_of_a_configuration(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"/a/server.yaml", "", "/a"},    {"server.yaml", "", "."},      {"/a/server.yaml", "/b", "/b"},
        {"/a/server.yaml", "c", "/a/c"}, {"a/server.yaml", "c", "a/c"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char dir[FL_PATH_SIZE];
        assert_ok(fl_server_config_state(cases[i][0], cases[i][1], dir, NULL));
        assert_string_equal(dir, cases[i][2]);
    }
}

static int check_leaks(void **state)
{
    (void)state;
    return fl_live_allocations() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_epochs_replace_steps),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_lambda_or_ratio_from_a_goal),
        cmocka_unit_test(test_errors_name_the_place),
        cmocka_unit_test(test_server_configuration_table),
        cmocka_unit_test(test_state_folder_of_a_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, check_leaks);
}
