#include "test.h"

#include <unistd.h>

#include "fail_alloc.h"
#include "platform/args.h"

struct values {
    uint64_t rounds;
    bool json;
    char name[16];
};

static const struct fl_setting rows[] = {
    {"run.rounds", FL_SETTING_U64, FL_SETTING_FIELD(struct values, rounds), .min = 1, .max = 100, .def = "60",
     .help = "rounds to run", .option = "rounds"},
    {"json", FL_SETTING_BOOL, FL_SETTING_FIELD(struct values, json), .help = "print JSON"},
};

static const struct fl_setting named_rows[] = {
    {"client_name", FL_SETTING_STRING, FL_SETTING_FIELD(struct values, name), .help = "who",
     .required = true},
};

/* What the last command that ran was given. */
static struct {
    char words[32], positionals[128], config[64];
    struct values values;
    bool rounds_given;
    void *user;
} ran;

static int record(const struct fl_command_call *call)
{
    memset(&ran, 0, sizeof(ran));
    snprintf(ran.words, sizeof(ran.words), "%s", call->command->words);
    snprintf(ran.config, sizeof(ran.config), "%s", call->config_path ? call->config_path : "");
    for (size_t i = 0; i < call->positional_count; i++) {
        strcat(ran.positionals, i ? " " : "");
        strcat(ran.positionals, call->positional[i]);
    }
    if (call->command->values_size)
        ran.values = *(const struct values *)call->values;
    ran.rounds_given = fl_settings_given(call->settings, "run.rounds");
    ran.user = call->user;
    fprintf(call->out, "ran\n");
    return 42;
}

static const struct fl_command commands[] = {
    {"serve", "Serves clients.", NULL, rows, 2, sizeof(struct values), FL_CONFIG_REQUIRED,
     "  prog serve --config server.yaml\n", record},
    {"run create", "Creates a run.", "SPEC [NAME]", rows, 2, sizeof(struct values), FL_CONFIG_NONE, NULL,
     record},
    {"run list", "Lists runs.", NULL, NULL, 0, 0, FL_CONFIG_NONE, NULL, record},
    {"compare", "Compares files.", "FILE...", NULL, 0, 0, FL_CONFIG_NONE, NULL, record},
    {"client", "Is a client.", NULL, named_rows, 1, sizeof(struct values), FL_CONFIG_OPTIONAL, NULL, record},
};

static const struct fl_program program = {"prog", "a program", "1.2.3", commands, 5};

static char *out_text, *err_text;

/* Runs "prog " + line, split at spaces. */
static int run(const char *line)
{
    char copy[512], *argv[64] = {"prog"}, *save;
    int argc = 1, code;
    size_t size;

    free(out_text);
    free(err_text);
    FILE *out = open_memstream(&out_text, &size), *err = open_memstream(&err_text, &size);
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    memset(&ran, 0, sizeof(ran));
    code = fl_args_main(&program, argc, argv, out, err, &ran);
    fclose(out);
    fclose(err);
    return code;
}

static int forget_texts(void **state)
{
    (void)state;
    free(out_text);
    free(err_text);
    out_text = err_text = NULL;
    return 0;
}

static void test_a_command_gets_its_options_and_positionals(void **state)
{
    static const struct {
        const char *line, *words, *positionals;
        uint64_t rounds;
        bool json, given;
    } cases[] = {
        {"run create s.yaml", "run create", "s.yaml", 60, false, false},
        {"run create s.yaml --rounds 5", "run create", "s.yaml", 5, false, true},
        {"run create --rounds=5 s.yaml --json", "run create", "s.yaml", 5, true, true},
        {"run create --json=false s.yaml second", "run create", "s.yaml second", 60, false, false},
        {"run create --json -- --odd", "run create", "--odd", 60, true, false},
        {"run create -", "run create", "-", 60, false, false},
        {"run list", "run list", "", 0, false, false},
        {"compare a", "compare", "a", 0, false, false},
        {"compare a b c d", "compare", "a b c d", 0, false, false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(run(cases[i].line), 42); /* the command's own code */
        assert_string_equal(out_text, "ran\n");
        assert_string_equal(err_text, "");
        assert_string_equal(ran.words, cases[i].words);
        assert_string_equal(ran.positionals, cases[i].positionals);
        assert_int_equal(ran.values.rounds, cases[i].rounds);
        assert_int_equal(ran.values.json, cases[i].json);
        assert_int_equal(ran.rounds_given, cases[i].given);
        assert_ptr_equal(ran.user, &ran);
    }
}

static void test_wrong_command_lines_say_what_is_wrong(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"srve", "prog: unknown command srve; did you mean serve?\nTry 'prog --help'.\n"},
        {"run crate s", "prog: unknown command run; did you mean run create?\nTry 'prog --help'.\n"},
        {"elephant", "prog: unknown command elephant\nTry 'prog --help'.\n"},
        {"--verson", "prog: unknown command --verson\nTry 'prog --help'.\n"},
        {"run create", "prog run create: SPEC is missing\nTry 'prog run create --help'.\n"},
        {"compare", "prog compare: FILE... is missing\nTry 'prog compare --help'.\n"},
        {"run create a b c", "prog run create: unexpected argument c\nTry 'prog run create --help'.\n"},
        {"run list a", "prog run list: unexpected argument a\nTry 'prog run list --help'.\n"},
        {"run create a --rouns 5",
         "prog run create: unknown option --rouns; did you mean --rounds?\nTry 'prog run create --help'.\n"},
        {"run create a --run.rounds=5", "prog run create: unknown option --run.rounds\nTry 'prog run create "
                                        "--help'.\n"},
        {"run create a --config f",
         "prog run create: unknown option --config\nTry 'prog run create --help'.\n"},
        {"run create a -r", "prog run create: unknown option -r; options begin with --\nTry 'prog run create "
                            "--help'.\n"},
        {"run create a --rounds",
         "prog run create: option --rounds needs a value\nTry 'prog run create --help'.\n"},
        {"run create a --rounds --json",
         "prog run create: option --rounds needs a value\nTry 'prog run create --help'.\n"},
        {"run create a --rounds 1 --rounds 2",
         "prog run create: option --rounds is given twice\nTry 'prog run create --help'.\n"},
        {"run create a --rounds 101",
         "prog run create: command line: run.rounds: 101 is outside 1..100\nTry 'prog run create --help'.\n"},
        {"run create a --json=maybe", "prog run create: command line: json: \"maybe\" is not true or false\n"
                                      "Try 'prog run create --help'.\n"},
        {"serve", "prog serve: --config FILE is missing\nTry 'prog serve --help'.\n"},
        {"client", "prog client: command line: client_name: missing (who)\nTry 'prog client --help'.\n"},
        {"client --client-nam x", "prog client: unknown option --client-nam; did you mean --client-name?\n"
                                  "Try 'prog client --help'.\n"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(run(cases[i].line), FL_EXIT_USAGE);
        assert_string_equal(err_text, cases[i].message);
        assert_string_equal(out_text, "");
    }
}

static void test_options_override_the_configuration_file(void **state)
{
    char path[] = "/tmp/fl-test-XXXXXX", line[128], expected[256];
    int fd = mkstemp(path);
    (void)state;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "run: {rounds: 7}\njson: true\n", 28), 28);
    snprintf(line, sizeof(line), "serve --config %s", path);
    assert_int_equal(run(line), 42);
    assert_int_equal(ran.values.rounds, 7);
    assert_true(ran.values.json);
    assert_string_equal(ran.config, path);
    snprintf(line, sizeof(line), "serve --rounds 8 --config=%s --json=false", path);
    assert_int_equal(run(line), 42);
    assert_int_equal(ran.values.rounds, 8);
    assert_false(ran.values.json);
    assert_int_equal(write(fd, "run.round: 8\n", 13), 13);
    assert_int_equal(run(line), FL_EXIT_CONFIG);
    snprintf(expected, sizeof(expected),
             "prog serve: %s:3: run.round: unknown key; did you mean run.rounds?\n", path);
    assert_string_equal(err_text, expected);
    assert_int_equal(ftruncate(fd, 0), 0);
    snprintf(line, sizeof(line), "client --config %s", path);
    assert_int_equal(run(line), FL_EXIT_CONFIG);
    snprintf(expected, sizeof(expected), "prog client: %s: client_name: missing (who)\n", path);
    assert_string_equal(err_text, expected);
    snprintf(line, sizeof(line), "client --client_name x --config %s", path);
    assert_int_equal(run(line), 42);
    assert_string_equal(ran.values.name, "x");
    close(fd);
    unlink(path);
    assert_int_equal(run(line), FL_EXIT_CONFIG);
    snprintf(expected, sizeof(expected), "prog client: %s: No such file or directory\n", path);
    assert_string_equal(err_text, expected);
}

static void test_help_and_version(void **state)
{
    static const char serve_help[] =
        "Usage: prog serve [options]\n\n"
        "Serves clients.\n\n"
        "Options:\n"
        "  --config FILE             configuration to read; options override it [required]\n"
        "  --rounds N                rounds to run\n"
        "                            [1..100; default 60]\n"
        "  --json                    print JSON\n"
        "  --help                    this text\n\n"
        "Examples:\n"
        "  prog serve --config server.yaml\n\n"
        "Exit codes:\n";
    (void)state;

    assert_int_equal(run("--version"), 0);
    assert_string_equal(out_text, "prog 1.2.3\n");
    assert_int_equal(run("--help"), 0);
    for (size_t i = 0; i < program.command_count; i++) {
        assert_non_null(strstr(out_text, commands[i].words));
        assert_non_null(strstr(out_text, commands[i].summary));
    }
    assert_int_equal(run("serve --rounds 5000 --help"), 0);
    assert_int_equal(strncmp(out_text, serve_help, strlen(serve_help)), 0);
    assert_non_null(strstr(out_text, fl_exit_code_help()));
    assert_int_equal(run("run create -h"), 0);
    assert_non_null(strstr(out_text, "Usage: prog run create [options] SPEC [NAME]\n"));
    assert_int_equal(run("client --help"), 0);
    assert_non_null(strstr(out_text, "--client-name TEXT"));
    assert_non_null(strstr(out_text, "[text of at most 15 bytes; required]"));
    /* A group of commands. */
    assert_int_equal(run("run --help"), 0);
    assert_non_null(strstr(out_text, "run create"));
    assert_null(strstr(out_text, "serve"));
    assert_int_equal(run("run"), FL_EXIT_USAGE);
    assert_non_null(strstr(err_text, "run list"));
    assert_int_equal(run(""), FL_EXIT_USAGE);
    assert_non_null(strstr(err_text, "Usage: prog COMMAND"));
}

static void test_reference_holds_every_command(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    (void)state;

    fl_args_print_reference(&program, out);
    fclose(out);
    assert_non_null(strstr(text, "## prog serve\n"));
    assert_non_null(strstr(text, "## prog run list\n"));
    free(text);
}

static void test_main_survives_failed_allocations(void **state)
{
    char *argv[] = {"prog", "run", "list"};
    FILE *sink = fopen("/dev/null", "w");
    (void)state;

    assert_non_null(sink);
    for (size_t k = 0;; k++) {
        long before = fl_live_allocations();
        fl_fail_alloc_after(k);
        int code = fl_args_main(&program, 3, argv, sink, sink, NULL);
        fl_fail_alloc_never();
        assert_int_equal(fl_live_allocations(), before);
        if (code == 42)
            break;
        assert_int_equal(code, FL_EXIT_FAILED);
    }
    fclose(sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_command_gets_its_options_and_positionals),
        cmocka_unit_test(test_wrong_command_lines_say_what_is_wrong),
        cmocka_unit_test(test_options_override_the_configuration_file),
        cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_reference_holds_every_command),
        cmocka_unit_test(test_main_survives_failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, forget_texts);
}
