/*
 * What the files of the core share: the server itself, its turn, its parked requests, and how it answers.
 * Not for the port: see server.h.
 */
#ifndef FL_SERVER_CORE_STATE_H
#define FL_SERVER_CORE_STATE_H

#include "server/core/registry.h"
#include "server/core/run.h"
#include "server/core/server.h"

/* A request for work that waits (rule R15): one for each client and run. */
struct fl_parked {
    uint64_t ticket;
    struct fl_client *client;
    struct fl_run *run;
    uint64_t expires_ms;
    uint64_t turn; /* in which it was parked */
};

struct fl_server {
    const struct fl_env *env;
    struct fl_store *store;
    const struct fl_kernels *kernels;
    const struct fl_server_effects *effects;
    uint8_t mac_key[FL_DIGEST_SIZE];

    struct fl_registry registry;
    struct fl_run **runs; /* in order of name */
    size_t run_count;
    struct fl_published **kept; /* models of the runs before, while everything is loaded anew */
    size_t kept_count;

    struct fl_parked *parked; /* in order of arrival */
    size_t parked_count, parked_capacity;
    struct fl_job *jobs;

    struct fl_snapshot_limits snapshots;
    unsigned threads; /* that add up a version's updates */

    int loaded;            /* 0: memory is empty because the last reload failed */
    uint64_t generation;   /* counts loads */
    uint64_t turn;         /* counts turns */
    uint64_t stamp;        /* of the store (rule R13) */
    uint64_t stamp_turn;   /* the turn in which it grew last */
    int restored_at_start; /* the mark beside the rows was ahead of them */
    int restored;          /* of the turn: new epochs have begun, everything is loaded anew after it */
    uint64_t blobs;        /* counts names of state blobs in this process */
    enum fl_status failed; /* of the turn: the first failure of store or memory */
};

static inline uint64_t fl_server_now(const struct fl_server *server)
{
    return server->env->monotonic_ms(server->env->user);
}

static inline struct fl_run_context fl_server_context(const struct fl_server *server)
{
    return (struct fl_run_context){server->env, server->store, &server->registry, server->kept,
                                   server->kept_count};
}

/* Answers; when run is given, the body is counted as its traffic. */
void fl_server_reply(struct fl_server *server, uint64_t ticket, struct fl_run *run,
                     const struct fl_reply *reply);

/* Answers with the content of body (which is left empty). FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_server_reply_body(struct fl_server *server, uint64_t ticket,
                                                  struct fl_run *run, int http_status, struct fl_buf *body);

/* Answers with an error for people. text and hint are borrowed during the call. */
void fl_server_reply_error(struct fl_server *server, uint64_t ticket, int http_status, enum fl_status error,
                           const char *text, const char *hint);

/* Answers with an fl_run_info of the run. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_server_reply_info(struct fl_server *server, uint64_t ticket,
                                                  struct fl_run *run, int http_status);

/* Parks a request; an older one of the same client and run is answered with 409. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_server_park(struct fl_server *server, uint64_t ticket,
                                            struct fl_client *client, struct fl_run *run,
                                            uint64_t expires_ms);

/* Takes the parked request at this place out of the list. */
struct fl_parked fl_server_unpark(struct fl_server *server, size_t place);

/* How many clients wait for work of the run. */
uint64_t fl_server_waiting(const struct fl_server *server, const struct fl_run *run);

/* Makes the store's stamp grow, once a turn at most: something happened that a restored backup must not make
 * undone unseen. */
FL_MUST_CHECK enum fl_status fl_server_stamp(struct fl_server *server);

struct fl_run *fl_server_run(const struct fl_server *server, const char *name);

/* The requests of clients (client_requests.c) and of the operator (operator.c). A status other than FL_OK
 * makes the turn fail. */
FL_MUST_CHECK enum fl_status fl_client_enrol(struct fl_server *server, const struct fl_request *request);
FL_MUST_CHECK enum fl_status fl_client_handle(struct fl_server *server, const struct fl_request *request);
FL_MUST_CHECK enum fl_status fl_operator_handle(struct fl_server *server, const struct fl_request *request);

#endif
