/*
 * A run of a large model with clients that send prepared updates of a given density and fetch the deltas. For
 * the memory of the server (footprint_server.c) and the stages of a round (round.c).
 */
#ifndef FL_TESTS_BENCH_LARGE_H
#define FL_TESTS_BENCH_LARGE_H

#include "swarm.h"

struct large_options {
    uint64_t elems, clients; /* elems: rounded down to whole tens */
    double density;          /* share of the coordinates that each client sends */
};

/* One client: what it sends, and when. */
struct large_client {
    struct large *large;
    struct fl_buf payload; /* the same in each round; coordinates of its own */
    struct fl_version have;
    double send_s, fetch_s; /* of the newest round */
    uint64_t sent_bytes, fetched_bytes;
};

struct large {
    struct large_options options;
    struct swarm swarm;
    struct large_client *all;
    uint64_t rounds;       /* that each client takes part in; then it goes */
    pthread_mutex_t lock;  /* over values */
    float *values;         /* scratch for encoding, shape (elems) */
    atomic_uint finished;  /* clients that have done all their rounds */
    atomic_uint snapshots; /* downloaded */
};

/* Starts the server of the lab, enrols the clients, and makes the run. */
FL_MUST_CHECK enum fl_status large_begin(struct large *large, struct lab *lab,
                                         const struct large_options *options, struct fl_error *err);
void large_end(struct large *large); /* a zeroed one is accepted */

/* Plays so many rounds with all clients. One of them also downloads the snapshot. */
FL_MUST_CHECK enum fl_status large_play(struct large *large, uint64_t rounds, struct fl_error *err);

/* Stops the run, which makes a last version that holds nothing back, and waits for that. */
FL_MUST_CHECK enum fl_status large_finish(struct large *large, struct fl_error *err);

#endif
