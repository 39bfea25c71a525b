/* The client's settings: what is accepted, and how a wrong one is told. */
#include "test.h"

#include "client/port/config.h"
#include "fail_alloc.h"

struct table {
    const struct fl_setting *rows;
    size_t count;
};

static enum fl_status load(const char *text, struct fl_client_config *config, struct fl_error *err)
{
    struct fl_settings settings;
    memset(config, 0, sizeof *config);
    assert_ok(fl_settings_init(&settings, fl_config_run_rows, fl_config_run_count, config, err));
    enum fl_status st = fl_settings_load_text(&settings, "client.yaml", fl_bytes_from_text(text), err);
    return st ? st : fl_settings_check_required(&settings, "client.yaml", err);
}

#define BASE "server:\n  url: https://h:1\nrun: demo\nstate: /s\ndata:\n  path: a.csv\n"

static void test_tables_agree_with_themselves(void **state)
{
    const struct table tables[] = {{fl_config_run_rows, fl_config_run_count},
                                   {fl_config_enroll_rows, fl_config_enroll_count},
                                   {fl_config_train_rows, fl_config_train_count},
                                   {fl_config_evaluate_rows, fl_config_evaluate_count}};
    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        struct fl_client_config config = {0};
        struct fl_settings settings;
        struct fl_error err;
        assert_ok(fl_settings_init(&settings, tables[i].rows, tables[i].count, &config, &err));
    }
}

static void test_a_whole_file(void **state)
{
    struct fl_client_config config;
    struct fl_data_config data;
    struct fl_error err;
    (void)state;
    assert_ok(load(BASE "  format: idx\n  labels: a,b\n  partition: dirichlet\n  clients: 8\n  index: 7\n"
                        "  alpha: 0.3\n  seed: 9\n  max_bytes: 64MiB\nkeep_history: true\npoll_ms: 100\n"
                        "train:\n  time_budget_ms: 50\nlog:\n  level: warn\n",
                   &config, &err));
    assert_string_equal(config.server_url, "https://h:1");
    assert_true(config.keep_history);
    assert_int_equal(config.poll_ms, 100);
    assert_int_equal(config.time_budget_ms, 50);
    assert_int_equal(config.log_level, FL_LOG_WARN);
    assert_ok(fl_config_data(&config.data, &data, &err));
    assert_int_equal(data.source.format, FL_DATA_IDX);
    assert_int_equal(data.source.label_path_count, 2);
    assert_string_equal(data.source.label_paths[1], "b");
    assert_int_equal(data.partition.kind, FL_PARTITION_DIRICHLET);
    assert_int_equal(data.partition.count, 8);
    assert_int_equal(data.index, 7);
    assert_true(data.partition.alpha == 0.3);
    assert_int_equal(data.source.max_bytes, 64 << 20);
}

static void test_the_example_is_right(void **state)
{
    struct fl_client_config config = {0};
    struct fl_settings settings;
    struct fl_error err = {""};
    (void)state;
    assert_ok(fl_settings_init(&settings, fl_config_run_rows, fl_config_run_count, &config, &err));
    enum fl_status st = fl_settings_load_file(&settings, FL_EXAMPLE_CONFIG, &err);
    if (st)
        fail_msg("%s", err.text);
    assert_ok(fl_settings_check_required(&settings, "example", &err));
    assert_int_equal(config.data.clients, 8);
}

static void test_defaults(void **state)
{
    struct fl_client_config config;
    struct fl_data_config data;
    struct fl_error err;
    (void)state;
    assert_ok(load(BASE, &config, &err));
    assert_false(config.keep_history);
    assert_int_equal(config.poll_ms, 30000);
    assert_ok(fl_config_data(&config.data, &data, &err));
    assert_int_equal(data.partition.kind, FL_PARTITION_NONE);
    assert_int_equal(data.source.label_column, FL_CSV_LAST_COLUMN);
    assert_true(data.test_fraction == 0.2);
}

static void test_wrong_files_name_line_key_and_range(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"run: demo\n", "server.url"},
        {BASE "colour: blue\n", "colour"},
        {BASE "poll_ms: soon\n", "client.yaml:7"},
        {BASE "poll_ms: 700000\n", "600000"},
        {BASE "  format: parquet\n", "libsvm"},
        {BASE "  alpha: 0\n", "data.alpha"},
        {BASE "  alpha: .nan\n", "data.alpha"},
        {BASE "  clients: 0\n", "data.clients"},
        {BASE "  test_fraction: 1\n", "data.test_fraction"},
        {BASE "  max_bytes: 12kb\n", "data.max_bytes"},
        {BASE "keep_history: maybe\n", "true or false"},
        {BASE "run: again\n", "run"},
        {BASE "log:\n  level: loud\n", "debug"},
        {"server: [\n", "client.yaml"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_client_config config;
        struct fl_error err = {""};
        long before = fl_live_allocations();
        assert_status(load(cases[i].text, &config, &err), FL_ERR_CONFIG);
        assert_int_equal(fl_live_allocations(), before);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu: %s", i, err.text);
    }
}

static void test_lists_of_files(void **state)
{
    static const struct {
        const char *text;
        enum fl_status expected;
        size_t count;
    } cases[] = {
        {"a", FL_OK, 1},
        {"a,b,c", FL_OK, 3},
        {"", FL_OK, 0},
        {",a", FL_ERR_CONFIG, 0},
        {"a,,b", FL_ERR_CONFIG, 0},
        {"1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g", FL_OK, 16},
        {"1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g,h", FL_ERR_CONFIG, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_config_data data = {0};
        struct fl_data_config config;
        struct fl_error err = {""};
        strcpy(data.path.text, cases[i].text);
        assert_status(fl_config_data(&data, &config, &err), cases[i].expected);
        if (!cases[i].expected)
            assert_int_equal(config.source.path_count, cases[i].count);
    }
}

static void test_models(void **state)
{
    static const struct {
        struct fl_config_model model;
        uint32_t classes;
        enum fl_status expected;
        uint64_t elems;
    } cases[] = {
        {{.kind = FL_MODEL_MLP, .hidden = {{64}, 1}}, 10, FL_OK, 65 * 64 + 650},
        {{.kind = FL_MODEL_MLP}, 10, FL_ERR_CONFIG, 0},
        {{.kind = FL_MODEL_MLP, .hidden = {{1, 1, 1, 1, 1, 1, 1, 1, 1}, 9}}, 10, FL_ERR_CONFIG, 0},
        {{.kind = FL_MODEL_MLP, .hidden = {{1000000, 1000000}, 2}}, 10, FL_ERR_CONFIG, 0},
        {{.kind = FL_MODEL_SOFTMAX, .hidden = {{64}, 1}}, 10, FL_OK, 650},
        {{.kind = FL_MODEL_LOGISTIC}, 2, FL_OK, 65},
        {{.kind = FL_MODEL_LOGISTIC}, 3, FL_ERR_CONFIG, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_model_spec spec;
        struct fl_error err = {""};
        assert_status(fl_config_model(&cases[i].model, 64, cases[i].classes, &spec, &err), cases[i].expected);
        if (!cases[i].expected)
            assert_int_equal(fl_model_spec_elems(&spec), cases[i].elems);
        else
            assert_true(err.text[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_agree_with_themselves),
        cmocka_unit_test(test_a_whole_file),
        cmocka_unit_test(test_the_example_is_right),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_wrong_files_name_line_key_and_range),
        cmocka_unit_test(test_lists_of_files),
        cmocka_unit_test(test_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
