/*
 * What the subjects of fl-bench share: their rows in main.c's table and the options that all of them have. A
 * subject is one file with one `struct fl_command`; it prints a table for people, or one JSON object with
 * --json.
 */
#ifndef FL_TESTS_BENCH_BENCH_H
#define FL_TESTS_BENCH_BENCH_H

#include "platform/args.h"
#include "platform/file.h"

/* First in the struct that a subject's rows fill. */
struct bench_options {
    bool json;
    char binaries[FL_PATH_SIZE]; /* "": the folder that fl-bench is in */
    char folder[FL_PATH_SIZE];
};

/* The rows of bench_options, for a struct that has them as its field `common`. */
#define BENCH_ROWS(owner)                                                                                    \
    {.key = "json",                                                                                          \
     .type = FL_SETTING_BOOL,                                                                                \
     FL_SETTING_FIELD(owner, common.json),                                                                   \
     .def = "false",                                                                                         \
     .help = "print the figures as one JSON object"},                                                        \
        {.key = "binaries",                                                                                  \
         .type = FL_SETTING_STRING,                                                                          \
         FL_SETTING_FIELD(owner, common.binaries),                                                           \
         .help = "folder of fl-server and fl-client; left out: the one of fl-bench"},                        \
    {                                                                                                        \
        .key = "folder", .type = FL_SETTING_STRING, FL_SETTING_FIELD(owner, common.folder), .def = "/tmp",   \
        .help = "where the server's state goes while it runs: a disk of the kind to be measured"             \
    }

extern const struct fl_command bench_codec;
extern const struct fl_command bench_compressors;
extern const struct fl_command bench_footprint;
extern const struct fl_command bench_kernels;
extern const struct fl_command bench_round;
extern const struct fl_command bench_server;

#endif
