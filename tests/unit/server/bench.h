/*
 * A server core on a bench: SQLite in a temporary folder or in memory, a clock moved by hand, jobs run
 * inline, a store whose writes can be made to fail, and clients that send made-up updates. One turn of the
 * loop is bench_turn(); crashes throw the server away before or after its commit.
 */
#ifndef FL_TESTS_UNIT_SERVER_BENCH_H
#define FL_TESTS_UNIT_SERVER_BENCH_H

#include "base/random.h"
#include "platform/crypto.h"
#include "server/core/server.h"

#define BENCH_CLIENTS  8
#define BENCH_ANSWERS  64
#define BENCH_REQUESTS 64

/* What came back for a ticket. */
struct bench_answer {
    uint64_t ticket;
    int http_status;
    enum fl_status error;
    char text[200];
    struct fl_shared *body; /* in memory */
    int in_parts;
    struct fl_version version;
    char token[FL_LIMIT_TOKEN_BYTES + 1];
    struct fl_run_status run;
    struct fl_round_status rounds[16];
    size_t run_count, round_count, client_count;
};

struct bench_client {
    uint8_t key[FL_DIGEST_SIZE];
    char id[FL_LIMIT_NAME_BYTES + 1];
    uint64_t waiting; /* ticket of its poll, 0: none */
    int has_work;
    struct fl_work work;
    uint64_t pending_seq;  /* 0: no update without a verdict */
    uint64_t sent;         /* ticket of the pending update's request, 0: not on its way */
    struct fl_buf pending; /* its bytes */
    unsigned accepted;     /* verdicts received */
    int ended;
};

enum bench_crash { BENCH_NO_CRASH, BENCH_CRASH_BEFORE_COMMIT, BENCH_CRASH_AFTER_COMMIT };

struct bench {
    struct fl_env env;
    struct fl_server_effects effects;
    struct fl_random random;
    _Atomic uint64_t now_ms; /* jobs may read it on a thread of their own */
    char dir[64];            /* "": in memory */
    struct fl_store *store;
    struct fl_store *faulty; /* passes calls on to store; its n-th write fails */
    struct fl_server *server;
    struct fl_snapshot_limits snapshots; /* of servers that are opened from now on */

    uint64_t tickets;
    struct fl_request requests[BENCH_REQUESTS]; /* for the next turn */
    size_t request_count;
    struct bench_answer answers[BENCH_ANSWERS]; /* let out, newest last */
    size_t answer_count;
    struct bench_answer held[BENCH_ANSWERS]; /* of the running turn */
    size_t held_count;
    struct fl_job *started[8], *done[8];
    size_t started_count, done_count;
    uint64_t next_ms; /* what the last tick asked for */
    uint64_t turns;
    uint64_t crash_at; /* number of the turn to crash in, 0: never */
    enum bench_crash crash;
    unsigned issued; /* certificates */
    int issue_fails;
    int hold_jobs; /* 1: started jobs are not run */

    struct bench_client clients[BENCH_CLIENTS];
    size_t client_count;
};

/* on_disk: in a fresh temporary folder. */
void bench_init(struct bench *bench, int on_disk);
void bench_done(struct bench *bench);

/* Fails the n-th write call to the store from now on (1: the next), once; 0: never. */
void bench_fail_write(struct bench *bench, long n);
int bench_write_has_failed(const struct bench *bench);

/* Queues a request for the next turn; its ticket. run: its run's name or "". */
uint64_t bench_request(struct bench *bench, enum fl_request_kind kind, const char *run, int client,
                       struct fl_request **ret_request);

/* One turn, with the clock moved on first. Returns the status of begin or commit. */
enum fl_status bench_turn(struct bench *bench, uint64_t advance_ms);

/* Throws the server away; bench_restart() opens it again. */
void bench_close(struct bench *bench);

/* Throws the server away and opens it again from the store. */
void bench_restart(struct bench *bench);

/* The answer to a ticket, NULL when there is none yet. */
const struct bench_answer *bench_answer(const struct bench *bench, uint64_t ticket);

/* Queues, makes a turn, and returns the answer, which must be there. */
const struct bench_answer *bench_ask(struct bench *bench, enum fl_request_kind kind, const char *run,
                                     int client);

/* Enrols count clients with one token. */
void bench_enrol(struct bench *bench, size_t count);

/* A small softmax model with the integer codec, lambda 2^-6, all clients in each round. */
struct fl_run_spec bench_spec(const char *name, uint64_t clients, uint64_t rounds);
void bench_create_run(struct bench *bench, const struct fl_run_spec *spec);
struct fl_run_status bench_status(struct bench *bench, const char *run);

/* The update that client makes for this work: a made-up vector fixed by (client, round). Appends the body. */
void bench_update_body(const struct fl_run_spec *spec, size_t client, const struct fl_work *work,
                       struct fl_buf *body);
/* Its fields before encoding; payload is appended to payload and viewed. */
struct fl_update bench_update(const struct fl_run_spec *spec, size_t client, const struct fl_work *work,
                              struct fl_buf *payload);

/* Polls for the client until it has work (turns and gathering time pass). */
struct fl_work bench_get_work(struct bench *bench, const struct fl_run_spec *spec, size_t client);

/* Sends these bytes; the answer. */
const struct bench_answer *bench_put(struct bench *bench, const char *run, size_t client, uint64_t seq,
                                     struct fl_bytes body);
struct fl_verdict bench_verdict(const struct bench_answer *answer);

/* Plays all clients until the run has ended. */
void bench_play(struct bench *bench, const struct fl_run_spec *spec);

/* x of the newest version as the store has it; caller frees. */
double *bench_read_x(struct bench *bench, const struct fl_run_spec *spec, struct fl_version *ret_version,
                     float **ret_x_hat);

/* x recomputed from version 0 and the kept receipts alone, in plain loops, client by client (rules R12, R25);
 * caller frees. */
double *bench_replay_x(struct bench *bench, const struct fl_run_spec *spec, uint64_t *ret_receipts);

#endif
