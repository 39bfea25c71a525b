#include "test.h"

#include <float.h>
#include <math.h>
#include <unistd.h>

#include "fail_alloc.h"
#include "platform/nearest.h"
#include "platform/settings.h"

enum codec { CODEC_DENSE, CODEC_TOP_K };

struct config {
    uint64_t deadline_ms;
    uint64_t seed;
    int64_t offset;
    uint64_t cache_bytes;
    double rate;
    double alpha;
    bool verbose;
    char state[16];
    enum codec codec;
    struct fl_setting_list hidden;
};

static const char *const codecs[] = {"dense", "top-k", NULL};

static const struct fl_setting rows[] = {
    {"state", FL_SETTING_STRING, FL_SETTING_FIELD(struct config, state), .help = "state folder",
     .required = true},
    {"round.deadline_ms", FL_SETTING_U64, FL_SETTING_FIELD(struct config, deadline_ms), .min = 1000,
     .max = 86400000, .def = "600000", .unit = "milliseconds", .help = "close a round after this long"},
    {"round.seed", FL_SETTING_U64, FL_SETTING_FIELD(struct config, seed), .help = "seed of everything"},
    {"round.offset", FL_SETTING_I64, FL_SETTING_FIELD(struct config, offset), .min = -5, .max = 5,
     .help = "offset"},
    {"cache.bytes", FL_SETTING_SIZE, FL_SETTING_FIELD(struct config, cache_bytes), .min = 4096,
     .max = INFINITY, .def = "8MiB", .help = "memory for deltas"},
    {"train.rate", FL_SETTING_DOUBLE, FL_SETTING_FIELD(struct config, rate), .min = 1e-6, .max = 10,
     .def = "0.1", .help = "learning rate"},
    {"train.alpha", FL_SETTING_DOUBLE, FL_SETTING_FIELD(struct config, alpha), .help = "skew"},
    {"train.model.hidden", FL_SETTING_U64_LIST, FL_SETTING_FIELD(struct config, hidden), .min = 1,
     .max = 65536, .def = "64", .help = "hidden layers"},
    {"train.codec", FL_SETTING_CHOICE, FL_SETTING_FIELD(struct config, codec), .choices = codecs,
     .def = "top-k", .help = "compressor"},
    {"log.verbose", FL_SETTING_BOOL, FL_SETTING_FIELD(struct config, verbose), .def = "true",
     .help = "say more"},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static enum fl_status load(const char *yaml, struct config *config, struct fl_error *err)
{
    struct fl_settings settings;
    enum fl_status st = fl_settings_init(&settings, rows, ROWS, config, err);

    if (!st)
        st = fl_settings_load_text(&settings, "f.yaml", fl_bytes_from_text(yaml), err);
    return st ? st : fl_settings_check_required(&settings, "f.yaml", err);
}

static void test_defaults_stand_until_given(void **state)
{
    struct config config;
    struct fl_settings settings;
    (void)state;

    memset(&config, 0xff, sizeof(config));
    assert_ok(fl_settings_init(&settings, rows, ROWS, &config, NULL));
    assert_int_equal(config.deadline_ms, 600000);
    assert_int_equal(config.seed, 0);
    assert_int_equal(config.cache_bytes, 8 << 20);
    assert_true(config.rate == 0.1 && config.alpha == 0 && config.verbose);
    assert_string_equal(config.state, "");
    assert_int_equal(config.codec, CODEC_TOP_K);
    assert_int_equal(config.hidden.count, 1);
    assert_int_equal(config.hidden.items[0], 64);
    assert_false(fl_settings_given(&settings, "round.seed"));
    assert_false(fl_settings_given(&settings, "no.such"));
    assert_ok(fl_settings_load_text(&settings, "f", fl_bytes_from_text("round: {seed: 7}"), NULL));
    assert_true(fl_settings_given(&settings, "round.seed"));
    assert_int_equal(config.seed, 7);
}

static void test_every_type_is_read(void **state)
{
    static const char yaml[] = "# comment\n"
                               "state: \"/var/lib/fl\"\n"
                               "round:\n"
                               "  deadline_ms: 1000\n"
                               "  seed: 18446744073709551615\n"
                               "  offset: -5\n"
                               "cache.bytes: 64 KiB\n"
                               "train:\n"
                               "  rate: 1e-3\n"
                               "  alpha: -.5\n"
                               "  model:\n"
                               "    hidden: [128, 64]\n"
                               "  codec: dense\n"
                               "log:\n"
                               "  verbose: false\n";
    struct config config;
    (void)state;

    assert_ok(load(yaml, &config, NULL));
    assert_string_equal(config.state, "/var/lib/fl");
    assert_int_equal(config.deadline_ms, 1000);
    assert_true(config.seed == UINT64_MAX);
    assert_int_equal(config.offset, -5);
    assert_int_equal(config.cache_bytes, 65536);
    assert_true(config.rate == 1e-3 && config.alpha == -.5);
    assert_int_equal(config.hidden.count, 2);
    assert_int_equal(config.hidden.items[0], 128);
    assert_int_equal(config.hidden.items[1], 64);
    assert_int_equal(config.codec, CODEC_DENSE);
    assert_false(config.verbose);
}

static void test_other_ways_of_writing_the_same(void **state)
{
    static const char *const good[] = {
        "state: x",
        "{state: x}",
        "---\nstate: x\n...\n",
        "state: 'x'\nround:\n", /* a section with all keys commented out */
        "state: x\nround: {}\n",
        "state: x\nround:\n  seed: 1\nround.offset: 1\n",
        "state: x\ntrain.model.hidden: []\n",
        "state: x\ntrain.model.hidden: 1, 2,3\n",
        "state: x\ntrain:\n  model:\n    hidden:\n    - 1\n    - 2\n",
        "state: x\ncache: {bytes: 1GiB}\n",
        "state: \"\\u00e9\"\n",
        "state: 123456789012345\n",
    };
    struct config config;
    struct fl_error err;
    (void)state;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (load(good[i], &config, &err))
            fail_msg("%s: %s", good[i], err.text);
}

static void test_errors_name_file_line_key_value_and_what_is_allowed(void **state)
{
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"state: x\nround:\n  deadline_ms: 5\n",
         "f.yaml:3: round.deadline_ms: 5 is outside 1000..86400000 (milliseconds)"},
        {"round.deadline_ms: 86400001",
         "f.yaml:1: round.deadline_ms: 86400001 is outside 1000..86400000 (milliseconds)"},
        {"round.deadline_ms: soon",
         "f.yaml:1: round.deadline_ms: \"soon\" is not a whole number; allowed: 1000..86400000 "
         "(milliseconds)"},
        {"round.deadline_ms: 1e6", "f.yaml:1: round.deadline_ms: \"1e6\" is not a whole number; allowed: "
                                   "1000..86400000 (milliseconds)"},
        {"round.deadline_ms: -1000",
         "f.yaml:1: round.deadline_ms: -1000 is outside 1000..86400000 (milliseconds)"},
        {"round.seed: -1", "f.yaml:1: round.seed: -1 does not fit (any whole number from 0)"},
        {"round.seed: 18446744073709551616",
         "f.yaml:1: round.seed: 18446744073709551616 does not fit (any whole number from 0)"},
        {"round.seed: 0x10",
         "f.yaml:1: round.seed: \"0x10\" is not a whole number; allowed: any whole number from 0"},
        {"round.offset: 6", "f.yaml:1: round.offset: 6 is outside -5..5"},
        {"round.offset: -9223372036854775809",
         "f.yaml:1: round.offset: -9223372036854775809 is outside -5..5"},
        {"round.offset: '-'", "f.yaml:1: round.offset: \"-\" is not a whole number; allowed: -5..5"},
        {"cache.bytes: 4095", "f.yaml:1: cache.bytes: 4095 is outside 4096 or more (bytes)"},
        {"cache.bytes: 1k",
         "f.yaml:1: cache.bytes: \"1k\" is not a size (bytes, or a number with KiB, MiB or "
         "GiB); allowed: 4096 or more (bytes)"},
        {"cache.bytes: 99999999999999999GiB",
         "f.yaml:1: cache.bytes: 99999999999999999GiB is outside 4096 or more (bytes)"},
        {"train.rate: 0", "f.yaml:1: train.rate: 0 is outside 1e-06..10"},
        {"train.rate: nan", "f.yaml:1: train.rate: \"nan\" is not a number; allowed: 1e-06..10"},
        {"train.rate: 0x1p-3", "f.yaml:1: train.rate: \"0x1p-3\" is not a number; allowed: 1e-06..10"},
        {"train.rate: 1e", "f.yaml:1: train.rate: \"1e\" is not a number; allowed: 1e-06..10"},
        {"train.alpha: 1e999", "f.yaml:1: train.alpha: 1e999 does not fit (any number)"},
        {"train.alpha: inf", "f.yaml:1: train.alpha: \"inf\" is not a number; allowed: any number"},
        {"train.codec: topk", "f.yaml:1: train.codec: \"topk\" is not one of dense, top-k"},
        {"log.verbose: yes", "f.yaml:1: log.verbose: \"yes\" is not true or false"},
        {"state: 0123456789abcdef", "f.yaml:1: state: \"0123456789abcdef\" is too long (text of at most 15 "
                                    "bytes)"},
        {"state: \"a\\tb\"", "f.yaml:1: state: \"a?b\" is not text without control characters"},
        {"state: \"a\\0b\"", "f.yaml:1: state: a zero byte is not allowed"},
        {"state: ''", "f.yaml:1: state: must not be empty (state folder)"},
        {"state:", "f.yaml:1: state: has no value"},
        {"state: ", "f.yaml:1: state: has no value"},
        {"", "f.yaml: state: missing (state folder)"},
        {"# nothing\n", "f.yaml: state: missing (state folder)"},
        {"round.seed: 1", "f.yaml: state: missing (state folder)"},
        {"train.model.hidden: [64, 0]", "f.yaml:1: train.model.hidden: 64,0 is outside 1..65536"},
        {"train.model.hidden: [64, x]",
         "f.yaml:1: train.model.hidden: \"64,x\" is not a list of whole numbers; allowed: at most 32 whole "
         "numbers, each 1..65536"},
        {"train.model.hidden: [[1]]",
         "f.yaml:1: train.model.hidden: holds an item that is not a whole number"},
        {"train.model.hidden: ['1,2']",
         "f.yaml:1: train.model.hidden: holds an item that is not a whole number"},
        {"train.model.hidden: '1,'",
         "f.yaml:1: train.model.hidden: \"1,\" is not a list of whole numbers; allowed: at most 32 whole "
         "numbers, each 1..65536"},
        {"train.model.hidden: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
         "f.yaml:1: train.model.hidden: \"1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,...\" is too long "
         "(at "
         "most 32 whole numbers, each 1..65536)"},
        {"round.seed: [1]", "f.yaml:1: round.seed: is one value, not a list"},
        {"round.seed: {a: 1}", "f.yaml:1: round.seed: is one value, not a section"},
        {"round: 5", "f.yaml:1: round: is a section; its keys stand indented below it"},
        {"round:\n  deadlne_ms: 5",
         "f.yaml:2: round.deadlne_ms: unknown key; did you mean round.deadline_ms?"},
        {"round:\n  deadline-ms: 5",
         "f.yaml:2: round.deadline-ms: unknown key; did you mean round.deadline_ms?"},
        {"deadline_ms: 5", "f.yaml:1: deadline_ms: unknown key; did you mean round.deadline_ms?"},
        {"quite_another: 5", "f.yaml:1: quite_another: unknown key"},
        {"rounds: {seed: 5}", "f.yaml:1: rounds: unknown key"},
        {"other: []", "f.yaml:1: other: unknown key"},
        {"state: x\nstate: y", "f.yaml:2: state: given twice"},
        {"round: {seed: 1}\nround.seed: 2", "f.yaml:2: round.seed: given twice"},
        {"state: &a x", "f.yaml:1: state: anchors (&) are not supported"},
        {"round: &a {seed: 1}", "f.yaml:1: round: anchors (&) are not supported"},
        {"state: *a", "f.yaml:1: state: aliases (*) are not supported"},
        {"state: !!str x", "f.yaml:1: state: tags (!) are not supported"},
        {"? [a]\n: x", "f.yaml:1: a key must be one word"},
        {"'a b': x", "f.yaml:1: a key must be one word"},
        {"- state: x", "f.yaml:1: the file must hold keys and values"},
        {"just text", "f.yaml:1: the file must hold keys and values"},
        {"state: x\n---\nstate: y", "f.yaml:2: a second document is not allowed"},
        {"state: x\n  y: z", "f.yaml:2: not valid YAML: mapping values are not allowed in this context"},
        {"state: \"x", "f.yaml:1: not valid YAML: found unexpected end of stream"},
        {"round: [1", "f.yaml:1: round: unknown key"},
        {"state: \xff", "f.yaml:1: not valid YAML: invalid leading UTF-8 octet"},
    };
    struct config config;
    struct fl_error err;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err.text[0] = 0;
        assert_status(load(cases[i].yaml, &config, &err), FL_ERR_CONFIG);
        assert_string_equal(err.text, cases[i].message);
        assert_status(load(cases[i].yaml, &config, NULL), FL_ERR_CONFIG);
    }
}

static void test_any_prefix_and_any_changed_byte_end_in_a_status(void **state)
{
    static const char yaml[] =
        "state: \"x\"\nround:\n  seed: 1\ntrain: {model: {hidden: [1, 2]}, codec: dense}\n";
    char text[sizeof(yaml)];
    struct config config;
    struct fl_error err;
    (void)state;

    for (size_t n = 0; n < sizeof(yaml); n++) {
        memcpy(text, yaml, n);
        text[n] = 0;
        enum fl_status st = load(text, &config, &err);
        assert_true(st == FL_OK || st == FL_ERR_CONFIG);
    }
    for (size_t i = 0; i + 1 < sizeof(yaml); i++)
        for (int c = 1; c < 256; c += 3) {
            memcpy(text, yaml, sizeof(yaml));
            text[i] = (char)c;
            enum fl_status st = load(text, &config, &err);
            assert_true(st == FL_OK || st == FL_ERR_CONFIG);
        }
}

static void test_deep_and_long_input_is_refused(void **state)
{
    static char deep[4096], big[FL_SETTINGS_FILE_MAX + 2];
    struct config config;
    struct fl_error err;
    struct fl_settings settings;
    (void)state;

    for (size_t i = 0; i < 1000; i++)
        memcpy(deep + 3 * i, "a: ", 3);
    memset(deep, '[', 2000);
    assert_status(load(deep, &config, &err), FL_ERR_CONFIG);
    memset(deep, '{', 2000);
    assert_status(load(deep, &config, &err), FL_ERR_CONFIG);
    memset(deep, 'k', 1000);
    strcpy(deep + 1000, ": 1");
    assert_status(load(deep, &config, &err), FL_ERR_CONFIG);
    assert_string_equal(err.text, "f.yaml:1: a key is too long");
    memset(big, '#', sizeof(big) - 1);
    assert_ok(fl_settings_init(&settings, rows, ROWS, &config, &err));
    assert_status(fl_settings_load_text(&settings, "f.yaml", fl_bytes_from_text(big), &err), FL_ERR_LIMIT);
    assert_string_equal(err.text, "f.yaml: larger than 1048576 bytes");
}

static void test_file_is_read_and_its_absence_named(void **state)
{
    char path[] = "/tmp/fl-test-XXXXXX", expected[FL_ERROR_SIZE];
    struct config config;
    struct fl_settings settings;
    struct fl_error err;
    int fd = mkstemp(path);
    (void)state;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "\nstate: 0123456789abcdef\n", 25), 25);
    close(fd);
    assert_ok(fl_settings_init(&settings, rows, ROWS, &config, &err));
    assert_status(fl_settings_load_file(&settings, path, &err), FL_ERR_CONFIG);
    snprintf(expected, sizeof(expected),
             "%s:2: state: \"0123456789abcdef\" is too long (text of at most 15 bytes)", path);
    assert_string_equal(err.text, expected);
    unlink(path);
    assert_status(fl_settings_load_file(&settings, path, &err), FL_ERR_NOT_FOUND);
    snprintf(expected, sizeof(expected), "%s: No such file or directory", path);
    assert_string_equal(err.text, expected);
}

static void test_load_survives_any_failed_allocation(void **state)
{
    struct config config;
    (void)state;

    for (size_t k = 0;; k++) {
        long before = fl_live_allocations();
        fl_fail_alloc_after(k);
        enum fl_status st = load("state: x\ntrain.model.hidden: [1, 2, 3]\n", &config, NULL);
        fl_fail_alloc_never();
        assert_int_equal(fl_live_allocations(), before);
        if (st == FL_OK)
            break;
        assert_status(st, FL_ERR_NOMEM);
    }
}

static void test_tables_that_contradict_themselves_are_found(void **state)
{
    static const struct {
        struct fl_setting rows[2];
        size_t count;
        const char *message;
    } cases[] = {
        {{{"a", FL_SETTING_U64, 0, 4, .help = "h"}},
         1,
         "table of settings: row 0 has a field of another type"},
        {{{"a", FL_SETTING_U64, 0, 8, .help = NULL}}, 1, "table of settings: row 0 has no key or no help"},
        {{{"a", FL_SETTING_CHOICE, 0, 4, .help = "h"}},
         1,
         "table of settings: row 0 has choices and another type, or none"},
        {{{"a", FL_SETTING_U64, 0, 8, .min = 2, .max = 1, .help = "h"}},
         1,
         "table of settings: row 0 has bounds that are crossed or not exact"},
        {{{"a", FL_SETTING_U64, 0, 8, .min = 2, .max = 0x1p60, .help = "h"}},
         1,
         "table of settings: row 0 has bounds that are crossed or not exact"},
        {{{"a", FL_SETTING_U64, 0, 8, .def = "1", .help = "h", .required = true}},
         1,
         "table of settings: row 0 is required and has a default"},
        {{{"a", FL_SETTING_U64, 0, 8, .help = "h"}, {"a", FL_SETTING_U64, 0, 8, .help = "h"}},
         2,
         "table of settings: row 1 stands twice"},
        {{{"a", FL_SETTING_U64, 0, 8, .min = 2, .max = 3, .def = "1", .help = "h"}},
         1,
         "table of settings: a: 1 is outside 2..3"},
        {{{"a", FL_SETTING_U64, 0, 8, .help = "h"}},
         FL_SETTINGS_MAX + 1,
         "table of settings: more than 128 rows"},
    };
    struct fl_settings settings;
    struct fl_error err;
    uint64_t values[4];
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_status(fl_settings_init(&settings, cases[i].rows, cases[i].count, values, &err),
                      FL_ERR_CONFIG);
        assert_string_equal(err.text, cases[i].message);
    }
}

/* Whatever is printed loads to the same values. */
static void test_printed_yaml_reads_back_the_same(void **state)
{
    struct config config, back;
    struct fl_settings settings;
    struct fl_error err;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    (void)state;

    memset(&config, 0, sizeof(config));
    memset(&back, 0, sizeof(back));
    assert_ok(fl_settings_init(&settings, rows, ROWS, &config, NULL));
    assert_ok(fl_settings_set(&settings, "test", 0, "a\"\\ '#: b", NULL));
    config.rate = 1.0 / 3;
    config.alpha = -DBL_MIN;
    config.seed = UINT64_MAX;
    config.offset = -4;
    fl_settings_print_yaml(&settings, out);
    fclose(out);
    if (load(text, &back, &err))
        fail_msg("%s in\n%s", err.text, text);
    assert_memory_equal(&config, &back, sizeof(config));
    free(text);
}

static void test_example_file_and_reference_page(void **state)
{
    static const char start[] = "# state folder; text of at most 15 bytes\n"
                                "# state: (required)\n"
                                "round:\n"
                                "  # close a round after this long; 1000..86400000 (milliseconds)\n"
                                "  deadline_ms: 600000\n"
                                "  # seed of everything; any whole number from 0\n"
                                "  seed: 0\n";
    struct config config;
    struct fl_settings settings;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    (void)state;

    assert_ok(fl_settings_init(&settings, rows, ROWS, &config, NULL));
    fl_settings_print_yaml(&settings, out);
    fl_settings_print_reference(rows, ROWS, out);
    fclose(out);
    assert_int_equal(strncmp(text, start, strlen(start)), 0);
    assert_non_null(strstr(text, "train:\n"));
    assert_non_null(strstr(text, "  model:\n    # hidden layers"));
    assert_non_null(strstr(text, "| `state` | text of at most 15 bytes | required | state folder |\n"));
    assert_non_null(strstr(text, "| `cache.bytes` | 4096 or more (bytes) | `8MiB` | memory for deltas |\n"));
    free(text);
}

static const char *word_at(const void *user, size_t index)
{
    return ((const char *const *)user)[index];
}

static void test_nearest_word_or_none(void **state)
{
    static const char *const words[] = {"serve", "run create", "run list", "init"};
    static const struct {
        const char *word, *expected;
    } cases[] = {
        {"serv", "serve"},
        {"run_create", "run create"},
        {"run lst", "run list"},
        {"init", "init"},
        {"elephant", NULL},
        {"x", NULL},
        {"", NULL},
        {"intt", "init"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789", NULL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *nearest = fl_nearest(cases[i].word, 4, word_at, words);
        if (cases[i].expected)
            assert_string_equal(nearest, cases[i].expected);
        else
            assert_null(nearest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_stand_until_given),
        cmocka_unit_test(test_every_type_is_read),
        cmocka_unit_test(test_other_ways_of_writing_the_same),
        cmocka_unit_test(test_errors_name_file_line_key_value_and_what_is_allowed),
        cmocka_unit_test(test_any_prefix_and_any_changed_byte_end_in_a_status),
        cmocka_unit_test(test_deep_and_long_input_is_refused),
        cmocka_unit_test(test_file_is_read_and_its_absence_named),
        cmocka_unit_test(test_load_survives_any_failed_allocation),
        cmocka_unit_test(test_tables_that_contradict_themselves_are_found),
        cmocka_unit_test(test_printed_yaml_reads_back_the_same),
        cmocka_unit_test(test_example_file_and_reference_page),
        cmocka_unit_test(test_nearest_word_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
