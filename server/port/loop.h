/*
 * The one thread that owns the server core. HTTP threads hand it calls; it takes all that wait, handles them
 * in one turn with one durable commit, and only then lets the answers out and starts the turn's jobs, which
 * one worker thread runs. Not for anything that knows HTTP.
 */
#ifndef FL_SERVER_PORT_LOOP_H
#define FL_SERVER_PORT_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "platform/error.h"
#include "server/core/server.h"

struct fl_loop;
struct fl_loop_call;

enum fl_loop_outcome {
    FL_LOOP_ANSWERED,    /* collect() has seen the reply, and what it promises is durable */
    FL_LOOP_UNAVAILABLE, /* nothing of the request happened, or the loop stops: 503 and Retry-After */
};

/* A request on its way. The caller's storage, unchanged and alive (with all that request borrows) until
 * release() is called. */
struct fl_loop_call {
    struct fl_request request; /* ticket is set by the loop */
    /* Both in the loop's thread and both once: collect() copies what it needs of the reply, at once;
     * release() sends it (not collected: FL_LOOP_UNAVAILABLE), after which the loop forgets the call. */
    void (*collect)(struct fl_loop_call *call, const struct fl_reply *reply);
    void (*release)(struct fl_loop_call *call, enum fl_loop_outcome outcome);
    /* Private to the loop. */
    struct fl_loop_call *next;
    int collected, gone;
};

struct fl_loop_config {
    const struct fl_env *env;
    struct fl_store *store;
    const struct fl_kernels *kernels;
    const uint8_t *mac_key;              /* FL_DIGEST_SIZE bytes */
    size_t waiting_max;                  /* calls that may wait for an answer at once */
    struct fl_snapshot_limits snapshots; /* kept 0: those of the core */
    unsigned threads;                    /* as fl_server_use_threads(); 0: that of the core */
    /* As fl_server_effects.issue. */
    enum fl_status (*issue)(void *user, struct fl_bytes public_key, const char *client_id,
                            struct fl_buf *chain);
    void *user;
};

/* Loads the core and starts both threads. What config points to is borrowed until fl_loop_free. */
FL_MUST_CHECK enum fl_status fl_loop_new(const struct fl_loop_config *config, struct fl_loop **ret_loop,
                                         struct fl_error *err);

/* Hands over a call; any thread. FL_ERR_LIMIT when too many wait, FL_ERR_STOPPED after fl_loop_stop: the call
 * was not taken. */
FL_MUST_CHECK enum fl_status fl_loop_submit(struct fl_loop *loop, struct fl_loop_call *call);

/* The peer of a waiting call has gone: it is released as unavailable, soon. Any thread; only while the call
 * is not released. */
void fl_loop_cancel(struct fl_loop *loop, struct fl_loop_call *call);

/* Adds the bytes of response headers to a run's statistics, in the next turn. Any thread. */
void fl_loop_count_header(struct fl_loop *loop, const char *run, uint64_t header_bytes);

/* Answers or releases every call, takes no more, and ends both threads. Once. */
void fl_loop_stop(struct fl_loop *loop);

/* Frees a stopped loop and its core; NULL is accepted. */
void fl_loop_free(struct fl_loop *loop);

/*
 * One turn without threads, for commands that run while no server does: handles the call and releases it.
 * Uses config as fl_loop_new.
 */
FL_MUST_CHECK enum fl_status fl_loop_once(const struct fl_loop_config *config, struct fl_loop_call *call,
                                          struct fl_error *err);

#endif
