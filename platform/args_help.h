/*
 * The texts of --help, and how an option is written. For args.c only.
 */
#ifndef FL_PLATFORM_ARGS_HELP_H
#define FL_PLATFORM_ARGS_HELP_H

#include <stdio.h>

#include "platform/args.h"

#define FL_OPTION_NAME_SIZE 128

/* The option's name without dashes: its own, or the key with - for _. */
void fl_option_name(const struct fl_setting *row, char ret_name[FL_OPTION_NAME_SIZE]);

/* Commands whose words begin with group ("" for all), one a line. */
void fl_args_help_program(const struct fl_program *program, const char *group, FILE *out);

/* All of one command. */
void fl_args_help_command(const struct fl_program *program, const struct fl_command *command, FILE *out);

#endif
