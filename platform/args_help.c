#include "platform/args_help.h"

#include <string.h>

#define NAME_WIDTH 26 /* columns of the left side of a list */

void fl_option_name(const struct fl_setting *row, char ret_name[FL_OPTION_NAME_SIZE])
{
    snprintf(ret_name, FL_OPTION_NAME_SIZE, "%s", row->option ? row->option : row->key);
    for (char *at = ret_name; *at; at++)
        if (*at == '_')
            *at = '-';
}

static const char *placeholder(enum fl_setting_type type)
{
    switch (type) {
    case FL_SETTING_U64:
    case FL_SETTING_I64:
        return " N";
    case FL_SETTING_SIZE:
        return " SIZE";
    case FL_SETTING_DOUBLE:
        return " X";
    case FL_SETTING_STRING:
        return " TEXT";
    case FL_SETTING_CHOICE:
        return " CHOICE";
    case FL_SETTING_U64_LIST:
        return " N,N";
    case FL_SETTING_BOOL:
        break;
    }
    return "";
}

/* Name on the left, words on the right; on the next line when the name is too long. */
static void print_entry(const char *name, const char *words, FILE *out)
{
    if (strlen(name) < NAME_WIDTH)
        fprintf(out, "  %-*s%s\n", NAME_WIDTH, name, words);
    else
        fprintf(out, "  %s\n  %*s%s\n", name, NAME_WIDTH, "", words);
}

static void print_option(const struct fl_setting *row, FILE *out)
{
    char name[FL_OPTION_NAME_SIZE], left[FL_OPTION_NAME_SIZE + 16], allowed[FL_SETTING_ALLOWED_SIZE];

    fl_option_name(row, name);
    snprintf(left, sizeof(left), "--%s%s", name, placeholder(row->type));
    print_entry(left, row->help, out);
    if (row->type == FL_SETTING_BOOL)
        return;
    fl_setting_allowed(row, allowed, sizeof(allowed));
    fprintf(out, "  %*s[%s%s%s]\n", NAME_WIDTH, "", allowed,
            row->required ? "; required"
            : row->def    ? "; default "
                          : "",
            row->def ? row->def : "");
}

void fl_args_help_program(const struct fl_program *program, const char *group, FILE *out)
{
    size_t size = strlen(group);

    fprintf(out, "%s: %s\n\nUsage: %s COMMAND [options]\n\nCommands:\n", program->name, program->summary,
            program->name);
    for (size_t i = 0; i < program->command_count; i++)
        if (strncmp(program->commands[i].words, group, size) == 0)
            print_entry(program->commands[i].words, program->commands[i].summary, out);
    fprintf(out, "\n'%s COMMAND --help' tells more of a command, '%s --version' the version.\n",
            program->name, program->name);
}

void fl_args_help_command(const struct fl_program *program, const struct fl_command *command, FILE *out)
{
    fprintf(out, "Usage: %s %s [options]%s%s\n\n%s\n\nOptions:\n", program->name, command->words,
            command->positionals ? " " : "", command->positionals ? command->positionals : "",
            command->summary);
    if (command->config)
        print_entry("--config FILE",
                    command->config == FL_CONFIG_REQUIRED
                        ? "configuration to read; options override it [required]"
                        : "configuration to read; options override it",
                    out);
    for (size_t i = 0; i < command->option_count; i++)
        print_option(&command->options[i], out);
    print_entry("--help", "this text", out);
    if (command->examples)
        fprintf(out, "\nExamples:\n%s", command->examples);
    fprintf(out, "\nExit codes:\n%s", fl_exit_code_help());
}

void fl_args_print_reference(const struct fl_program *program, FILE *out)
{
    for (size_t i = 0; i < program->command_count; i++) {
        fprintf(out, "## %s %s\n\n```\n", program->name, program->commands[i].words);
        fl_args_help_command(program, &program->commands[i], out);
        fprintf(out, "```\n\n");
    }
}
