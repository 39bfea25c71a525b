/*
 * A run of a large model with clients that send prepared updates of a given density and fetch the deltas. For
 * the memory of the server (footprint_server.c) and the stages of a round (round.c).
 */
#ifndef FL_TESTS_BENCH_LARGE_H
#define FL_TESTS_BENCH_LARGE_H

#include "codec/codec.h"
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
    int with_snapshot;    /* 1: the first client also downloads the snapshot of each version */
    uint64_t rounds;      /* that each client takes part in; then it goes */
    pthread_mutex_t lock; /* over values */
    float *values;        /* scratch for encoding, shape (elems) */
    atomic_uint finished; /* clients that have done all their rounds */
};

/* Starts the server of the lab, enrols the clients, and makes the run. */
FL_MUST_CHECK enum fl_status large_begin(struct large *large, struct lab *lab,
                                         const struct large_options *options, struct fl_error *err);
void large_end(struct large *large); /* a zeroed one is accepted */

/* The codec of the run; and into large->values what a client sends in a round, at full precision. */
struct fl_codec_params large_codec(void);
void large_fill_values(struct large *large, size_t client, uint64_t round);

/* Plays so many rounds with all clients, to the download of the last delta, which is in the first one's body.
 */
FL_MUST_CHECK enum fl_status large_play(struct large *large, uint64_t rounds, struct fl_error *err);

/* Stops the run, which makes a last version that holds nothing back, and waits for that. */
FL_MUST_CHECK enum fl_status large_finish(struct large *large, struct fl_error *err);

#endif
