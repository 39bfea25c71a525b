/*
 * What the subjects that hold figures against a bound share: rows, how they are printed, and vectors that are
 * fresh for each repetition. Not for subjects that start servers (lab.h).
 */
#ifndef FL_TESTS_BENCH_MEASURE_H
#define FL_TESTS_BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/parallel.h"
#include "kernels/kernels.h"
#include "platform/args.h"
#include "platform/file.h"

/* First in the struct that a subject's rows fill. */
struct measure_options {
    bool json;
    char kernels[32];
    uint64_t elems, repetitions, threads;
    char input[FL_PATH_SIZE];
    char device[16]; /* "": the host */
};

#define MEASURE_ROWS                                                                                         \
    {.key = "json",                                                                                          \
     .type = FL_SETTING_BOOL,                                                                                \
     FL_SETTING_FIELD(struct measure_options, json),                                                         \
     .def = "false",                                                                                         \
     .help = "print an array of objects, one a row"},                                                        \
        {.key = "kernels",                                                                                   \
         .type = FL_SETTING_STRING,                                                                          \
         FL_SETTING_FIELD(struct measure_options, kernels),                                                  \
         .help = "portable, avx2, avx512 or neon; left out: the fastest of this machine"},                   \
        {.key = "elems",                                                                                     \
         .type = FL_SETTING_U64,                                                                             \
         FL_SETTING_FIELD(struct measure_options, elems),                                                    \
         .min = 1000,                                                                                        \
         .max = 4e9,                                                                                         \
         .def = "100000000",                                                                                 \
         .help = "elements of a vector that no cache holds; 8 bytes of memory each, and what is sent"},      \
        {.key = "repetitions",                                                                               \
         .type = FL_SETTING_U64,                                                                             \
         FL_SETTING_FIELD(struct measure_options, repetitions),                                              \
         .min = 1,                                                                                           \
         .max = 100,                                                                                         \
         .def = "7",                                                                                         \
         .help = "each with fresh data and its bound beside it; ten times as many in cache"},                \
        {.key = "threads",                                                                                   \
         .type = FL_SETTING_U64,                                                                             \
         FL_SETTING_FIELD(struct measure_options, threads),                                                  \
         .min = 1,                                                                                           \
         .max = FL_PARALLEL_MAX,                                                                             \
         .def = "1",                                                                                         \
         .help = "that take; the bound has one. With more than one, times are by the clock on the wall"},    \
    {                                                                                                        \
        .key = "input", .type = FL_SETTING_STRING, FL_SETTING_FIELD(struct measure_options, input),          \
        .help = "file of float32 to measure with instead: --elems of them, for kernels times --repetitions"  \
    }

/* A figure and what it is held against. */
struct measure_row {
    const char *name, *unit;
    char params[64];
    double value;
    double bound;  /* in the same unit; NAN: none */
    double ratio;  /* of value and bound, so that the target can be read beside it */
    double target; /* for ratio; NAN: none */
    bool at_most;  /* met when the ratio is not above the target; else when it is not below */
};

#define MEASURE_ROWS_MAX 96

struct measure_table {
    struct measure_row rows[MEASURE_ROWS_MAX];
    size_t count;
};

void measure_add(struct measure_table *table, struct measure_row row);

/* What a measurement works with. */
struct measure {
    const struct measure_options *options;
    const struct fl_kernels *kernels;
    float *delta, *residual; /* shape (options->elems) */
    FILE *input;             /* NULL: none */
    struct measure_table table;
};

/* Reads the options of a call. FL_EXIT_USAGE, and it is said, when the table of kernels or the input is not
 * there; the program ends when there is no memory. */
int measure_begin(const struct fl_command_call *call, struct measure *ret_measure);

/* Prints the rows, for people with the line head before them. */
void measure_print(const struct fl_command_call *call, const struct measure_options *options,
                   const struct measure_table *table, const char *head);

/* The same, and gives up what measure_begin made. */
void measure_end(const struct fl_command_call *call, struct measure *measure, const char *bounds);

/* Seconds of processor time of this thread: what other programs take of a core does not count, what they take
 * of caches and memory does. With several threads, seconds that pass. */
double measure_now(void);

/* Where the coordinates of magnitude 1 and more lie. */
enum measure_support {
    MEASURE_RANDOM,    /* anywhere */
    MEASURE_CLUSTERED, /* in few runs of neighbours, as in real updates: in 12 % of them at density 1e-2 */
};

/*
 * About density * n elements of magnitude 1 and more (1 plus an exponential of mean 0.7) and random sign,
 * the others below 0.7. The same for the same arguments.
 */
void measure_fill(float *x, size_t n, double density, enum measure_support support, uint64_t seed);

/* What repetitions of a figure and of its bound, measured by turns, come to. */
struct measure_pairs {
    size_t count;
    double value, bound; /* the least */
    double ratios[1000]; /* bound / value of each pair */
};

void measure_pair(struct measure_pairs *pairs, double bound, double value);

/* The median of the pairs' ratios: what disturbs the machine disturbs both of a pair. */
double measure_ratio(struct measure_pairs *pairs);

/* Memory that ends the program with a message when there is none, in huge pages where the system gives them.
 */
void *measure_memory(size_t bytes);

#endif
