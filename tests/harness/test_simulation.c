/* Whole runs on a simulated clock and network: same seed, same bits; lost messages and crashes change
 * nothing. */
#include "test.h"

#include "base/log.h"
#include "simulation.h"

static struct fl_simulation_config quiet_config(void)
{
    struct fl_simulation_config config = {.seed = 1, .clients = 6, .time_limit_ms = 24u * 3600 * 1000};
    struct fl_run_spec *spec = &config.spec;
    snprintf(spec->name, sizeof spec->name, "simulated");
    spec->model = (struct fl_model_spec){
        .kind = FL_MODEL_MLP, .inputs = 12, .outputs = 4, .hidden_count = 1, .hidden = {16}, .seed = 5};
    snprintf(spec->codec.name, sizeof spec->codec.name, "int-threshold");
    spec->step_shift = 1;
    spec->downlink_ratio = 0.25;
    spec->plan =
        (struct fl_train_plan){.steps = 5, .batch = 16, .learning_rate = 0.1f, .momentum = 0.9f, .seed = 9};
    spec->server_rate = 1;
    spec->rounds = 25;
    /* Every round needs everybody, so the model depends on no timing at all. */
    spec->target = spec->minimum = config.clients;
    spec->gather_ms = 1000;
    spec->deadline_ms = 60000;
    spec->max_late = 1;
    return config;
}

static void test_same_seed_same_bits_and_it_learns(void **state)
{
    (void)state;
    struct fl_simulation_config config = quiet_config();
    struct fl_simulation_result first, second;
    assert_ok(fl_simulation_run(&config, &first));
    assert_ok(fl_simulation_run(&config, &second));
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(first.clients_done, config.clients);
    assert_int_equal(first.version.number, config.spec.rounds);
    assert_int_equal(first.accepted, (config.spec.rounds + 1) * config.clients);
    assert_true(first.accuracy > 0.9);
}

/* The end to end form of rules R1-R12, R14: with every client needed in every round, a run in which messages
 * get lost and both sides crash ends in exactly the bits of an undisturbed run; one lost or doubled update
 * would change them. */
static void test_R5_R25_crashes_and_losses_leave_the_model_bit_for_bit(void **state)
{
    (void)state;
    uint64_t crashes = 0, lost = 0;
    struct fl_simulation_result quiet;
    struct fl_simulation_config config = quiet_config();
    assert_ok(fl_simulation_run(&config, &quiet));
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct fl_simulation_result rough;
        config.seed = seed; /* of network, crashes and client ids: none of them may matter */
        config.loss = 0.05;
        config.client_crash = 0.03;
        config.server_crash = 0.02;
        assert_ok(fl_simulation_run(&config, &rough));
        assert_true(fl_version_equal(&rough.version, &quiet.version));
        assert_int_equal(rough.accepted, quiet.accepted);
        crashes += rough.client_crashes + rough.server_crashes;
        lost += rough.messages_lost;
    }
    assert_true(crashes > 100 && lost > 100);
}

/* Rounds that close without the slow: late updates are carried over or folded back, and the run still ends
 * and learns. */
static void test_R6_a_run_with_stragglers_ends(void **state)
{
    (void)state;
    struct fl_simulation_config config = quiet_config();
    struct fl_simulation_result result;
    config.spec.target = 3;
    config.spec.minimum = 2;
    config.spec.over_select = 2;
    config.spec.deadline_ms = 300;
    config.spec.rounds = 60;
    config.loss = 0.05;
    config.client_crash = 0.01;
    assert_ok(fl_simulation_run(&config, &result));
    assert_int_equal(result.version.number, config.spec.rounds);
    assert_true(result.late > 0);
    assert_true(result.accuracy > 0.8);
}

/* Sums of parts are float64, in the clients' order: here too neither losses nor crashes may show. */
static void test_R12_R25_in_parts_too(void **state)
{
    (void)state;
    struct fl_simulation_config config = quiet_config();
    struct fl_simulation_result quiet, rough;
    config.spec.dense_below = 17; /* tensors of 192, 16, 64 and 4 */
    assert_ok(fl_simulation_run(&config, &quiet));
    assert_true(quiet.accuracy > 0.9);
    for (config.seed = 1; config.seed <= 3; config.seed++) {
        config.loss = 0.05;
        config.client_crash = 0.03;
        config.server_crash = 0.02;
        assert_ok(fl_simulation_run(&config, &rough));
        assert_true(rough.client_crashes + rough.server_crashes > 0 && rough.messages_lost > 0);
        assert_true(fl_version_equal(&rough.version, &quiet.version));
        assert_int_equal(rough.accepted, quiet.accepted);
    }
}

static void test_every_codec_carries_a_run(void **state)
{
    (void)state;
    static const char *const codecs[] = {"dense", "threshold", "int-threshold", "topk", "topk-tensor"};
    for (size_t i = 0; i < 2 * sizeof codecs / sizeof codecs[0]; i++) {
        struct fl_simulation_config config = quiet_config();
        struct fl_simulation_result result;
        const char *codec = codecs[i / 2];
        snprintf(config.spec.codec.name, sizeof config.spec.codec.name, "%s", codec);
        config.spec.codec.ratio = strncmp(codec, "topk", 4) == 0 ? 0.05f : 0;
        config.spec.dense_below = i % 2 ? 17 : 0;
        config.loss = 0.02;
        assert_ok(fl_simulation_run(&config, &result));
        assert_true(result.accuracy > 0.85);
    }
}

int main(void)
{
    fl_log_set_level(FL_LOG_ERROR); /* the warnings of a rough run are its point, not news */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_bits_and_it_learns),
        cmocka_unit_test(test_R5_R25_crashes_and_losses_leave_the_model_bit_for_bit),
        cmocka_unit_test(test_R6_a_run_with_stragglers_ends),
        cmocka_unit_test(test_R12_R25_in_parts_too),
        cmocka_unit_test(test_every_codec_carries_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
