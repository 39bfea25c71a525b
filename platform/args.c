#include "platform/args.h"

#include <stdlib.h>
#include <string.h>

#include "platform/args_help.h"
#include "platform/nearest.h"

#define WHERE "command line"

/* One command line on its way to a call. */
struct parse {
    struct fl_command_call call;
    struct fl_settings settings;
    struct fl_error err;
    bool help;
    const char *values[FL_SETTINGS_MAX]; /* text of each option given; they come after the file's */
};

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* How many of the words at argv spell the command, 0 when they do not. */
static int match_words(const char *words, int argc, char *const *argv)
{
    int used = 0;

    while (*words) {
        size_t size = strcspn(words, " ");
        if (used == argc || strlen(argv[used]) != size || strncmp(words, argv[used], size) != 0)
            return 0;
        used++;
        words += size + (words[size] == ' ');
    }
    return used;
}

static const struct fl_command *find_command(const struct fl_program *program, int argc, char *const *argv,
                                             int *ret_used)
{
    const struct fl_command *best = NULL;

    *ret_used = 0;
    for (size_t i = 0; i < program->command_count; i++) {
        int used = match_words(program->commands[i].words, argc, argv);
        if (used <= *ret_used)
            continue;
        *ret_used = used;
        best = &program->commands[i];
    }
    return best;
}

static const char *words_at(const void *user, size_t index)
{
    return ((const struct fl_program *)user)->commands[index].words;
}

/* Help, the version, a group of commands ("run"), or a mistake. */
static int without_command(const struct fl_program *program, int argc, char *const *argv, FILE *out,
                           FILE *err)
{
    char group[64];

    if (argc == 0) {
        fl_args_help_program(program, "", err);
        return FL_EXIT_USAGE;
    }
    if (is_help(argv[0])) {
        fl_args_help_program(program, "", out);
        return FL_EXIT_OK;
    }
    if (strcmp(argv[0], "--version") == 0) {
        fprintf(out, "%s %s\n", program->name, program->version);
        return FL_EXIT_OK;
    }
    snprintf(group, sizeof(group), "%s ", argv[0]);
    for (size_t i = 0; i < program->command_count && (argc == 1 || is_help(argv[1])); i++) {
        if (strncmp(program->commands[i].words, group, strlen(group)) != 0)
            continue;
        fl_args_help_program(program, group, argc == 1 ? err : out);
        return argc == 1 ? FL_EXIT_USAGE : FL_EXIT_OK;
    }
    if (argc > 1 && argv[1][0] != '-')
        snprintf(group, sizeof(group), "%s %s", argv[0], argv[1]);
    const char *meant = fl_nearest(group, program->command_count, words_at, program);
    if (!meant)
        meant = fl_nearest(argv[0], program->command_count, words_at, program);
    fprintf(err, "%s: unknown command %.60s%s%s%s\nTry '%s --help'.\n", program->name, argv[0],
            meant ? "; did you mean " : "", meant ? meant : "", meant ? "?" : "", program->name);
    return FL_EXIT_USAGE;
}

/* Equal with - and _ alike; name ends at size. */
static bool same_name(const char *option, const char *name, size_t size)
{
    if (strlen(option) != size)
        return false;
    for (size_t i = 0; i < size; i++)
        if (option[i] != (name[i] == '_' ? '-' : name[i]))
            return false;
    return true;
}

static size_t find_option(const struct fl_command *command, const char *name, size_t size)
{
    char option[FL_OPTION_NAME_SIZE];
    size_t i;

    for (i = 0; i < command->option_count; i++) {
        fl_option_name(&command->options[i], option);
        if (same_name(option, name, size))
            break;
    }
    return i;
}

struct option_names {
    char names[FL_SETTINGS_MAX + 2][FL_OPTION_NAME_SIZE];
};

static const char *option_at(const void *user, size_t index)
{
    return ((const struct option_names *)user)->names[index];
}

static enum fl_status unknown_option(const struct fl_command *command, const char *name, size_t size,
                                     struct fl_error *err)
{
    char given[FL_OPTION_NAME_SIZE];
    struct option_names known;
    size_t count = 0;

    snprintf(given, sizeof(given), "%.*s", (int)(size < 100 ? size : 100), name);
    for (size_t i = 0; i < command->option_count; i++)
        fl_option_name(&command->options[i], known.names[count++]);
    strcpy(known.names[count++], "help");
    if (command->config)
        strcpy(known.names[count++], "config");
    const char *meant = fl_nearest(given, count, option_at, &known);
    return fl_error_set(err, FL_ERR_USAGE, "unknown option --%s%s%s%s", given,
                        meant ? "; did you mean --" : "", meant ? meant : "", meant ? "?" : "");
}

/* Takes the option at argv[0] and its value, which may be argv[1]; *ret_used tells how many words. */
static enum fl_status take_option(struct parse *parse, int argc, char *const *argv, int *ret_used)
{
    const struct fl_command *command = parse->call.command;
    const char *name = argv[0] + 2;
    size_t size = strcspn(name, "=");
    const char *value = name[size] ? name + size + 1 : NULL;
    bool is_config = command->config && same_name("config", name, size);
    size_t row = is_config ? 0 : find_option(command, name, size);
    const char **slot;

    if (!is_config && row == command->option_count)
        return unknown_option(command, name, size, &parse->err);
    *ret_used = 1;
    slot = is_config ? &parse->call.config_path : &parse->values[row];
    if (*slot)
        return fl_error_set(&parse->err, FL_ERR_USAGE, "option --%.*s is given twice", (int)size, name);
    if (!value && !is_config && command->options[row].type == FL_SETTING_BOOL) {
        value = "true";
    } else if (!value) {
        if (argc < 2 || strncmp(argv[1], "--", 2) == 0)
            return fl_error_set(&parse->err, FL_ERR_USAGE, "option --%.*s needs a value", (int)size, name);
        value = argv[1];
        *ret_used = 2;
    }
    *slot = value;
    return FL_OK;
}

/* Reads all words after the command's own. */
static enum fl_status take_words(struct parse *parse, int argc, char *const *argv)
{
    bool options = true;

    for (int i = 0; i < argc;) {
        int used = 1;
        enum fl_status st = FL_OK;
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && is_help(argv[i])) {
            parse->help = true;
            return FL_OK;
        } else if (options && strncmp(argv[i], "--", 2) == 0) {
            st = take_option(parse, argc - i, argv + i, &used);
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            st = fl_error_set(&parse->err, FL_ERR_USAGE, "unknown option %.60s; options begin with --",
                              argv[i]);
        } else if (parse->call.positional_count == FL_ARGS_POSITIONAL_MAX) {
            st = fl_error_set(&parse->err, FL_ERR_USAGE, "more than %d arguments", FL_ARGS_POSITIONAL_MAX);
        } else {
            parse->call.positional[parse->call.positional_count++] = argv[i];
        }
        if (st)
            return st;
        i += used;
    }
    return FL_OK;
}

/* As many positionals as the command's pattern wants: "A B", "A [B]", "A...". */
static enum fl_status check_positionals(struct parse *parse)
{
    const char *pattern = parse->call.command->positionals;
    size_t given = parse->call.positional_count, at_most = 0;

    while (pattern && *pattern) {
        size_t size = strcspn(pattern, " ");
        if (at_most++ == given && pattern[0] != '[')
            return fl_error_set(&parse->err, FL_ERR_USAGE, "%.*s is missing", (int)size, pattern);
        if (size > 3 && strncmp(pattern + size - 3, "...", 3) == 0)
            at_most = FL_ARGS_POSITIONAL_MAX;
        pattern += size + strspn(pattern + size, " ");
    }
    if (given > at_most)
        return fl_error_set(&parse->err, FL_ERR_USAGE, "unexpected argument %.60s",
                            parse->call.positional[at_most]);
    return FL_OK;
}

/* Defaults, then the file, then the options, then what is still missing. */
static enum fl_status fill_values(struct parse *parse)
{
    const struct fl_command *command = parse->call.command;
    const char *where = parse->call.config_path ? parse->call.config_path : WHERE;
    enum fl_status st;

    if (command->config == FL_CONFIG_REQUIRED && !parse->call.config_path)
        return fl_error_set(&parse->err, FL_ERR_USAGE, "--config FILE is missing");
    if (parse->call.config_path) {
        st = fl_settings_load_file(&parse->settings, parse->call.config_path, &parse->err);
        if (st)
            return st == FL_ERR_NOMEM ? st : FL_ERR_CONFIG;
    }
    for (size_t i = 0; i < command->option_count; i++) {
        if (!parse->values[i])
            continue;
        st = fl_settings_set(&parse->settings, WHERE, i, parse->values[i], &parse->err);
        if (st)
            return FL_ERR_USAGE;
    }
    st = fl_settings_check_required(&parse->settings, where, &parse->err);
    return st && !parse->call.config_path ? FL_ERR_USAGE : st;
}

static enum fl_status parse_command(struct parse *parse, int argc, char *const *argv)
{
    const struct fl_command *command = parse->call.command;
    enum fl_status st = fl_settings_init(&parse->settings, command->options, command->option_count,
                                         parse->call.values, &parse->err);
    if (!st)
        st = take_words(parse, argc, argv);
    if (st || parse->help)
        return st;
    st = check_positionals(parse);
    return st ? st : fill_values(parse);
}

int fl_args_main(const struct fl_program *program, int argc, char *const *argv, FILE *out, FILE *err,
                 void *user)
{
    struct parse parse = {.call = {.program = program, .out = out, .err = err, .user = user}};
    int used, skip = argc > 0, code;
    const struct fl_command *command = find_command(program, argc - skip, argv + skip, &used);

    if (!command)
        return without_command(program, argc - skip, argv + skip, out, err);
    parse.call.command = command;
    parse.call.settings = &parse.settings;
    parse.call.values = calloc(1, command->values_size + 1);
    if (!parse.call.values) {
        fprintf(err, "%s: %s\n", program->name, fl_status_text(FL_ERR_NOMEM));
        return fl_exit_code_from_status(FL_ERR_NOMEM);
    }
    enum fl_status st = parse_command(&parse, argc - skip - used, argv + skip + used);
    code = fl_exit_code_from_status(st);
    if (st) {
        fprintf(err, "%s %s: %s\n", program->name, command->words, parse.err.text);
        if (st == FL_ERR_USAGE)
            fprintf(err, "Try '%s %s --help'.\n", program->name, command->words);
    } else if (parse.help) {
        fl_args_help_command(program, command, out);
    } else {
        code = command->run(&parse.call);
    }
    free(parse.call.values);
    return code;
}
