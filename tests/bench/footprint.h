/*
 * The parts of fl-bench footprint: footprint.c has the options and puts the answer together, each part has a
 * file that measures and prints its own figures. Not for other subjects.
 */
#ifndef FL_TESTS_BENCH_FOOTPRINT_H
#define FL_TESTS_BENCH_FOOTPRINT_H

#include <stdio.h>

#include "bench.h"
#include "lab.h"

struct footprint_options {
    struct bench_options common;
    /* Of the server's large run. */
    uint64_t parameters, few, many;
    double density;
};

/* Peaks of the server's resident memory, each since its start. */
struct footprint_load {
    uint64_t clients, elems;
    uint64_t created_bytes;   /* when the run was made */
    uint64_t peak_bytes;      /* after rounds, deltas and snapshots */
    uint64_t last_bytes;      /* after the last version, which holds nothing back */
    uint64_t start_bytes;     /* of another process that starts with all of it */
    uint64_t in_flight_bytes; /* bodies of one round, at most */
};

struct footprint_server {
    uint64_t stripped_bytes; /* of the program */
    uint64_t idle_rss_bytes; /* without runs */
    struct footprint_load few, many;
};

/* Processes of one client, one after the other. */
enum footprint_life {
    FOOTPRINT_ROUNDS,   /* from the first snapshot on; killed while an update waits */
    FOOTPRINT_RESTART,  /* from there to the end of the run */
    FOOTPRINT_RESYNC,   /* fl-client resync */
    FOOTPRINT_EVALUATE, /* fl-client evaluate */
    FOOTPRINT_LIVES,
};

#define FOOTPRINT_MODELS 3

struct footprint_model {
    uint64_t elems;                       /* d: a model is 4 d bytes */
    uint64_t data_bytes;                  /* of the examples in memory */
    uint64_t peak_bytes[FOOTPRINT_LIVES]; /* resident, of the whole process */
    uint64_t written_bytes;               /* to disk, a round */
    unsigned rounds;                      /* that this is the mean of */
};

struct footprint_client {
    uint64_t stripped_bytes;
    struct footprint_model models[FOOTPRINT_MODELS];
};

/* Each measures with deployments of its own, and says so on failure. */
FL_MUST_CHECK enum fl_status footprint_server_measure(const struct footprint_options *options,
                                                      struct footprint_server *ret_figures,
                                                      struct fl_error *err);
FL_MUST_CHECK enum fl_status footprint_client_measure(const struct footprint_options *options,
                                                      struct footprint_client *ret_figures,
                                                      struct fl_error *err);

/* Lines for people, or with json the members of one object. */
void footprint_server_print(FILE *out, const struct footprint_server *figures, int json);
void footprint_client_print(FILE *out, const struct footprint_client *figures, int json);

/* The size of a program without its symbols. */
FL_MUST_CHECK enum fl_status footprint_stripped(struct lab *lab, const char *program, uint64_t *ret_bytes,
                                                struct fl_error *err);

#endif
