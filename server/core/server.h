/*
 * The aggregation server without its outside: registry, runs, rounds, exactly-once intake, publishing. Events
 * come in as requests, finished jobs and the passing of time; answers and jobs go out through `struct
 * fl_server_effects`. It does no I/O but through the store it is given, and reads no clock but fl_env's, so
 * production and simulation run the same code. Everything here belongs to one thread (the loop), except
 * fl_job_run().
 *
 * One turn of the loop (group commit: a turn may handle many requests with one durable commit):
 *     fl_server_begin(); fl_server_handle() for each waiting request; fl_server_job_done() for each finished
 * job; fl_server_tick(); fl_server_commit(); and only then are the answers and jobs of this turn let out.
 * When begin or commit fails, nothing of this turn happened: the port answers every request handled in the
 * turn, and every parked one that the turn replied to, with 503 and Retry-After, and drops its jobs (the
 * server frees them). The server reloads itself from the store; other parked requests stay parked. A handled
 * request that got no reply and is not parked means that the turn's commit will fail.
 */
#ifndef FL_SERVER_CORE_SERVER_H
#define FL_SERVER_CORE_SERVER_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/env.h"
#include "base/shared.h"
#include "kernels/kernels.h"
#include "protocol/messages.h"
#include "server/core/run_spec.h"
#include "server/core/store.h"

struct fl_server;
struct fl_job; /* heavy numeric work; owned by the core, lent to a worker between start_job and job_done */

enum fl_request_kind {
    /* From clients. Every one but ENROLL is refused with 403 when `key` is not registered or is revoked. */
    FL_REQUEST_ENROLL,   /* body: fl_enroll_request; key and public_key: of the CSR, verified by the port */
    FL_REQUEST_RENEW,    /* public_key: of the peer; 200 fl_enroll_answer, with a new certificate */
    FL_REQUEST_RUN_LIST, /* 200 fl_run_list */
    FL_REQUEST_RUN_INFO, /* 200 fl_run_info */
    FL_REQUEST_WORK,     /* long-poll: 200 fl_work, 204 nothing yet, 410 fl_run_info when the run has ended */
    FL_REQUEST_MODEL,    /* 200 fl_model_message; 204 when have is the newest */
    FL_REQUEST_UPDATE,   /* body: fl_update; answers fl_verdict */
    FL_REQUEST_RECEIPT,  /* body: fl_proof; 200 fl_standing */
    /* From the operator; the port has checked the credential. */
    FL_REQUEST_TOKEN_CREATE,
    FL_REQUEST_CLIENT_LIST,
    FL_REQUEST_CLIENT_REVOKE,
    FL_REQUEST_RUN_CREATE,
    FL_REQUEST_RUN_STATUS, /* one run by name, or all when run is empty */
    FL_REQUEST_RUN_STOP,   /* drains into a last version (rule R5) */
    FL_REQUEST_RUN_EXPORT, /* 200 the newest published model as fl_model_message, snapshot form */
    FL_REQUEST_RESTORED,   /* the state came from a backup: new epochs, tokens void (rules R13, R23) */
};

struct fl_request {
    enum fl_request_kind kind;
    uint64_t ticket;             /* the port's name for the waiting connection; unique while it waits */
    uint8_t key[FL_DIGEST_SIZE]; /* SHA-256 of the peer's public key (SPKI DER) */
    char run[FL_LIMIT_NAME_BYTES + 1];
    uint64_t seq; /* UPDATE */
    int has_have; /* WORK, MODEL: 1 when `have` was given */
    struct fl_version have;
    int has_want;               /* MODEL: 1 when `want` was given: */
    struct fl_version want;     /* the snapshot of which the rest is asked for */
    int has_epoch;              /* UPDATE: 1 when `epoch` was given: */
    uint64_t epoch;             /* the one that the client has gone on to */
    uint64_t wait_ms;           /* WORK: how long the client is willing to wait */
    struct fl_bytes body;       /* borrowed during fl_server_handle() */
    uint64_t header_bytes;      /* of the HTTP request, for the statistics of the run */
    struct fl_bytes public_key; /* ENROLL: SPKI DER of the CSR, RENEW: of the peer; borrowed */
    struct fl_run_spec spec;    /* RUN_CREATE */
    const float *x_0; /* RUN_CREATE: shape (parameters of spec.model), finite, borrowed; NULL: seeded rule */
    uint64_t token_uses;                  /* TOKEN_CREATE */
    uint64_t token_ttl_ms;                /* TOKEN_CREATE: life from now */
    char client[FL_LIMIT_NAME_BYTES + 1]; /* CLIENT_REVOKE: id, or a unique beginning of one */
    uint64_t since_round;                 /* RUN_STATUS: rounds from this one on; UINT64_MAX: no rounds */
};

/* One round as the operator sees it. Bytes are HTTP bodies of this run's traffic while the round was current.
 */
struct fl_round_status {
    uint64_t round;
    enum fl_work_kind kind;
    int closed;
    uint64_t accepted; /* updates that entered its sum */
    uint64_t target;
    struct fl_metrics metrics; /* summed over clients: of the version that this round started from */
    double train_loss;         /* mean over updates */
    double density;            /* mean fraction of coordinates sent */
    double residual_norm;      /* largest of the clients', l2 */
    uint64_t published;        /* coordinates that changed in the version this round made */
    uint64_t uplink_bytes, downlink_bytes;
    uint64_t duration_ms;
};

/* Totals of one run. "dense" is what the same updates and model fetches would have cost as float32 vectors.
 */
struct fl_run_status {
    struct fl_run_info info;
    const char *phase;                  /* "gathering", "open", "publishing", "ended"; static */
    uint64_t waiting, accepted, target; /* of the current round */
    uint64_t elems;
    uint64_t updates_accepted, updates_late, updates_invalid, updates_ended;
    uint64_t dropped;  /* updates whose sent part clients reported as lost (rule R6) */
    uint64_t restores; /* epochs begun because the server's state came from a backup (rule R13) */
    uint64_t lost;     /* accepted updates that are known to have been lost by that */
    uint64_t uplink_bytes, uplink_dense_bytes, uplink_header_bytes;
    uint64_t downlink_bytes, downlink_dense_bytes, downlink_header_bytes;
    double residual_norm; /* largest reported in the newest closed round, l2 */
    uint64_t snapshots;   /* versions kept for downloads (rule R16) */
    const char *problem;  /* why no version can be made of the round that is publishing; "": none */
};

/* What a client is known to have lost in a run by restores of the server (rule R13). */
struct fl_client_loss {
    const char *run;
    uint64_t updates;             /* accepted ones */
    uint64_t first_seq, last_seq; /* within these sequence numbers */
};

struct fl_client_status {
    char id[FL_LIMIT_NAME_BYTES + 1];
    char name[FL_LIMIT_NAME_BYTES + 1];
    int64_t enrolled_wall_ms, seen_wall_ms; /* since 1970 UTC */
    int revoked;
    const struct fl_client_loss *losses; /* loss_count of them */
    size_t loss_count;
};

/* An answer. Exactly one for each request, in the same turn or in a later one. All pointers are borrowed
 * during the call; the port takes its own reference of body. */
struct fl_reply {
    int http_status;
    struct fl_shared *body;  /* a message of protocol/messages.h; NULL: none */
    uint64_t retry_after_ms; /* 0: none */
    enum fl_status error;    /* of an error answer, with its sentence and what to do about it; */
    const char *text;        /* the port renders them as the JSON error body; NULL: not an error */
    const char *hint;
    struct fl_version version;              /* MODEL, RUN_EXPORT: of the body, for ETag */
    int in_parts;                           /* MODEL: 1 when parts of the body may be asked for (R16) */
    const char *token;                      /* TOKEN_CREATE: ID.SECRET */
    const struct fl_client_status *clients; /* CLIENT_LIST: client_count entries */
    size_t client_count;
    const struct fl_run_status *runs; /* RUN_STATUS, RUN_CREATE, RUN_STOP, RESTORED: run_count entries */
    size_t run_count;
    const struct fl_round_status *rounds; /* RUN_STATUS of one run: closed rounds, oldest first */
    size_t round_count;
    struct fl_model_spec model; /* RUN_EXPORT */
};

struct fl_server_effects {
    void *user;
    void (*reply)(void *user, uint64_t ticket, const struct fl_reply *reply);
    /* Have a worker call fl_job_run(job) once, then pass it to fl_server_job_done() in a turn of the loop. */
    void (*start_job)(void *user, struct fl_job *job);
    /* Issue a client certificate for public_key under the common name client_id; appends a PEM chain. */
    enum fl_status (*issue)(void *user, struct fl_bytes public_key, const char *client_id,
                            struct fl_buf *chain);
};

/*
 * Loads everything from the store and takes up unfinished rounds (saying so by fl_log). All pointers are
 * borrowed for the server's life. mac_key: FL_DIGEST_SIZE secret bytes for receipts (rule R4).
 */
FL_MUST_CHECK enum fl_status fl_server_new(const struct fl_env *env, struct fl_store *store,
                                           const struct fl_kernels *kernels,
                                           const struct fl_server_effects *effects,
                                           const uint8_t mac_key[FL_DIGEST_SIZE],
                                           struct fl_server **ret_server);
void fl_server_free(struct fl_server *server);

/* How snapshots are kept for their downloads (rule R16). */
struct fl_snapshot_limits {
    size_t kept;      /* versions of each run, at least 2 */
    uint64_t keep_ms; /* from the beginning of the newest download, at least */
};

#define FL_SNAPSHOTS_KEPT    2
#define FL_SNAPSHOTS_KEEP_MS 3600000

/* Other limits than these two. */
void fl_server_limit_snapshots(struct fl_server *server, const struct fl_snapshot_limits *limits);

/* Threads that add up the updates of versions from now on, 1 to FL_PARALLEL_MAX (base/parallel.h); 1 until
 * then. They live within fl_job_run(). */
void fl_server_use_threads(struct fl_server *server, unsigned threads);

FL_MUST_CHECK enum fl_status fl_server_begin(struct fl_server *server);
void fl_server_handle(struct fl_server *server, const struct fl_request *request);
void fl_server_job_done(struct fl_server *server, struct fl_job *job);
FL_MUST_CHECK enum fl_status fl_server_commit(struct fl_server *server);

/* Acts on every deadline that has passed; returns when the next is, on env's monotonic clock (UINT64_MAX:
 * none). */
uint64_t fl_server_tick(struct fl_server *server);

/* The connection behind a parked request is gone; the ticket will not be answered. */
void fl_server_forget(struct fl_server *server, uint64_t ticket);

/* Adds the bytes of HTTP response headers to a run's statistics. */
void fl_server_count_response_header(struct fl_server *server, const char *run, uint64_t header_bytes);

/* Answers every parked request with 503 and a short Retry-After: before the port stops. */
void fl_server_release_all(struct fl_server *server);

/* Does the work of a job; any thread, once for each job. */
void fl_job_run(struct fl_job *job);

#endif
