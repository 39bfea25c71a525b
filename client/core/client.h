/*
 * The client of one run without its outside: asks for work, keeps the replica, trains, compresses under error
 * feedback, and sends each update exactly once (rules R1-R7, R19). Events go in, one effect comes out, and
 * nothing else happens: no I/O, no clock but fl_env's. Whatever carries the effects out (client/port, or a
 * simulation with an in-memory network) reports back by the next event.
 *
 *     effect = fl_client_next(STARTED);  loop: carry effect out, effect = fl_client_next(its event)
 *
 *     FL_CLIENT_REQUEST -> FL_CLIENT_ANSWERED     FL_CLIENT_TRAIN -> FL_CLIENT_TRAINED
 *     FL_CLIENT_SAVE    -> FL_CLIENT_SAVED        FL_CLIENT_WAIT  -> FL_CLIENT_TIMER
 *     FL_CLIENT_STOP    -> none: the client is over
 *
 * FL_CLIENT_STOP_REQUESTED may come instead of any of them. The state on disk is whole at every moment, so
 * that a client may also just end. One client belongs to one thread at a time; there is nothing global.
 */
#ifndef FL_CLIENT_CORE_CLIENT_H
#define FL_CLIENT_CORE_CLIENT_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/env.h"
#include "client/core/engine.h"
#include "client/core/manifest.h"
#include "client/trainer/trainer.h"
#include "kernels/kernels.h"
#include "protocol/messages.h"
#include "protocol/routes.h"

struct fl_client;

#define FL_CLIENT_SAVE_FILES  8
#define FL_CLIENT_REASON_SIZE 768

struct fl_client_options {
    const struct fl_env *env;         /* borrowed for the client's life */
    const struct fl_kernels *kernels; /* likewise */
    unsigned threads;                 /* that compress a large update; 0 is 1 */
    char run[FL_LIMIT_NAME_BYTES + 1];
    uint64_t poll_ms; /* how long a request for work may wait on the server */
    int resync; /* 1: only take over the server's sequence, dropping what is under way; then stop (R13) */
    int keep_history; /* 1: history/SEQ.* of every update, so that rule R25 can be checked from outside */
};

/* Reads a state file, named without folder, into buf (limit: what the manifest says, or
 * FL_MANIFEST_MAX_BYTES). FL_ERR_NOT_FOUND when there is none; anything else counts as damaged, except
 * FL_ERR_NOMEM and FL_ERR_IO. */
struct fl_client_reader {
    void *user;
    enum fl_status (*read)(void *user, const char *name, struct fl_buf *buf);
};

enum fl_client_event_kind {
    FL_CLIENT_STARTED,
    FL_CLIENT_ANSWERED,
    FL_CLIENT_TRAINED,
    FL_CLIENT_SAVED,
    FL_CLIENT_TIMER,
    FL_CLIENT_STOP_REQUESTED,
};

struct fl_client_event {
    enum fl_client_event_kind kind;
    /* SAVED, TRAINED: outcome. ANSWERED: why there is no answer (http_status 0), FL_ERR_STOPPED included. */
    enum fl_status status;
    int http_status;               /* ANSWERED: 0 when there was no answer */
    uint64_t retry_after_ms;       /* ANSWERED: 0: not given */
    struct fl_bytes body;          /* ANSWERED: borrowed during the call */
    struct fl_train_report report; /* TRAINED */
    struct fl_metrics metrics;     /* TRAINED: of the version trained from */
};

enum fl_client_effect_kind {
    FL_CLIENT_REQUEST,
    FL_CLIENT_TRAIN,
    FL_CLIENT_SAVE,
    FL_CLIENT_WAIT,
    FL_CLIENT_STOP,
};

/* A new immutable file of the state. The name may begin with "history/". */
struct fl_client_file {
    char name[FL_STATE_NAME_BYTES];
    struct fl_bytes bytes;
};

/* One thing to do; every pointer in it is valid until the next event. */
struct fl_client_effect {
    enum fl_client_effect_kind kind;
    /* REQUEST: GET, or PUT with body for FL_ROUTE_UPDATE and FL_ROUTE_RECEIPT. */
    struct fl_route route;
    int has_have; /* FL_ROUTE_WORK, FL_ROUTE_MODEL */
    struct fl_version have;
    uint64_t poll_ms;     /* FL_ROUTE_WORK: how long the server may let us wait */
    int has_epoch;        /* FL_ROUTE_UPDATE */
    uint64_t epoch;       /* that the client has gone on to since the update was made */
    struct fl_bytes body; /* FL_ROUTE_UPDATE, FL_ROUTE_RECEIPT */
    size_t answer_limit;  /* largest body of an answer, bytes */
    /* TRAIN: evaluate `start`, then train from it into `end`; shape (d). Both NULL when the engine in use
     * keeps them (client/core/engine.h). */
    const float *start;
    float *end;
    struct fl_train_plan plan;
    /* SAVE (rule R7): write and fsync each file, fsync the folders, then replace the manifest atomically,
     * then remove every file that fl_client_file_is_stale(). No manifest bytes: none of that is needed.
     * Answered by FL_ERR_IO, the same effect comes again after a WAIT. */
    struct fl_client_file files[FL_CLIENT_SAVE_FILES];
    size_t file_count;
    struct fl_bytes manifest;
    uint64_t wait_ms; /* WAIT */
    /* STOP: FL_OK when the run has ended and its last version is stored; why, for a person. */
    enum fl_status status;
    const char *reason;
};

/* FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_client_new(const struct fl_client_options *options,
                                           struct fl_client **ret_client);
void fl_client_free(struct fl_client *client);

/*
 * Takes up what an earlier process left; call once, before FL_CLIENT_STARTED. No manifest is a fresh start. A
 * damaged outbox falls back to e_old and is counted as lost (rule R7); a damaged replica is fetched again; a
 * codec whose state is damaged starts afresh.
 * FL_ERR_CORRUPT: the manifest or the residual is damaged; FL_ERR_STATE: the state is another run's;
 * FL_ERR_VERSION, FL_ERR_NOMEM, FL_ERR_IO. fl_client_reason() then names the file and what to do.
 */
FL_MUST_CHECK enum fl_status fl_client_load(struct fl_client *client, const struct fl_client_reader *reader);

/*
 * From now on the arithmetic of rounds is engine's, which is borrowed for the client's life. Call after an
 * effect that asks for work, before its event: the vectors are there then, and no training is under way.
 */
void fl_client_use_engine(struct fl_client *client, struct fl_engine *engine);

/* Why the last call failed or stopped, for a person; valid until the next call. */
const char *fl_client_reason(const struct fl_client *client);

void fl_client_next(struct fl_client *client, const struct fl_client_event *event,
                    struct fl_client_effect *ret_effect);

/* 1 when name is a state file that the newest manifest does not name: safe to remove. */
int fl_client_file_is_stale(const struct fl_client *client, const char *name);

/* The version held and its values, shape (d); 0 before there is one. Borrowed until the next event. */
int fl_client_replica(const struct fl_client *client, struct fl_version *ret_version,
                      const float **ret_values);

/* The run as the server described it; NULL before it did. Borrowed until the next event. */
const struct fl_run_info *fl_client_run_info(const struct fl_client *client);

/* What the manifest says, borrowed until the next event. */
const struct fl_manifest *fl_client_manifest(const struct fl_client *client);

#endif
