/*
 * Subcommands: a program gives one table of commands; this finds the command, reads its options by the rows
 * of settings.h, prints --help and --version, and turns outcomes into exit codes.
 *
 *     prog WORDS... [--key value | --key=value | --flag]... [POSITIONAL]...      "--" ends the options
 */
#ifndef FL_PLATFORM_ARGS_H
#define FL_PLATFORM_ARGS_H

#include <stddef.h>
#include <stdio.h>

#include "platform/exit_code.h"
#include "platform/settings.h"

#define FL_ARGS_POSITIONAL_MAX 64

struct fl_command;
struct fl_program;

/* What a command's function gets; all of it is borrowed for the call. */
struct fl_command_call {
    const struct fl_program *program;
    const struct fl_command *command;
    const struct fl_settings *settings; /* which options were given */
    void *values;                       /* the struct of the command's rows, filled and checked */
    const char *config_path;            /* of --config; NULL when not given */
    const char *positional[FL_ARGS_POSITIONAL_MAX];
    size_t positional_count;
    FILE *out, *err; /* results; messages */
    void *user;      /* as given to fl_args_main */
};

/* Returns an exit code (fl_exit_code_from_status) and has printed what went wrong to call->err. */
typedef int (*fl_command_fn)(const struct fl_command_call *call);

enum fl_config_use {
    FL_CONFIG_NONE,     /* no configuration file */
    FL_CONFIG_OPTIONAL, /* --config FILE is read first, options override it */
    FL_CONFIG_REQUIRED, /* the same, and --config must be given */
};

struct fl_command {
    const char *words;                /* "serve", "run create" */
    const char *summary;              /* one line */
    const char *positionals;          /* "SPEC", "DIR [NAME]", "FILE..." (one or more); NULL: none */
    const struct fl_setting *options; /* rows; may be NULL */
    size_t option_count;
    size_t values_size; /* of the struct that the rows fill */
    enum fl_config_use config;
    const char *examples; /* lines, printed as they are; NULL: none */
    fl_command_fn run;
};

struct fl_program {
    const char *name, *summary, *version;
    const struct fl_command *commands;
    size_t command_count;
};

/*
 * The whole of main: finds and runs the command. Returns its exit code, FL_EXIT_OK after --help and
 * --version, FL_EXIT_USAGE for a wrong command line, FL_EXIT_CONFIG for a wrong configuration; the reason
 * stands on err.
 */
int fl_args_main(const struct fl_program *program, int argc, char *const *argv, FILE *out, FILE *err,
                 void *user);

/* Prints the help of every command, one after the other, for the reference page. */
void fl_args_print_reference(const struct fl_program *program, FILE *out);

#endif
