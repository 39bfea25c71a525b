/*
 * The durable side of the server core, as the core needs it: rows of clients, tokens, runs, versions, rounds,
 * assignments and receipts, and blobs. A table of calls, so that simulations and tests can put another one
 * in its place. server/port/store_sqlite.c keeps rows in SQLite and blobs as files beside it.
 *
 * Rows are written between begin and commit only, by the loop's thread, and are all there or all gone after a
 * crash. Calls marked (any thread) may come from workers too. Views in a visited row last as long as the
 * visit. All calls return FL_ERR_IO or FL_ERR_NOMEM on failure; others are named.
 */
#ifndef FL_SERVER_CORE_STORE_H
#define FL_SERVER_CORE_STORE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/env.h"
#include "protocol/messages.h"

struct fl_round_status; /* server.h */

#define FL_BLOB_NAME_BYTES 160 /* names are letters, digits and . _ - , not starting with a dot */

/* A round gathers clients, is open to updates, is published; then the next one gathers. */
enum fl_run_phase { FL_PHASE_GATHERING, FL_PHASE_OPEN, FL_PHASE_PUBLISHING, FL_PHASE_ENDED };

struct fl_client_row {
    char id[FL_LIMIT_NAME_BYTES + 1]; /* 32 hexadecimal digits */
    uint8_t key[FL_DIGEST_SIZE];      /* SHA-256 of the public key (SPKI DER), unique */
    char name[FL_LIMIT_NAME_BYTES + 1];
    int64_t enrolled_wall_ms, seen_wall_ms; /* since 1970 UTC */
    int revoked;
};

struct fl_token_row {
    char id[FL_LIMIT_NAME_BYTES + 1];
    uint8_t secret_digest[FL_DIGEST_SIZE]; /* SHA-256 of the secret's text */
    uint64_t uses_left;
    int64_t expires_wall_ms;
};

/* Byte counts of a run, durable when a round closes: a crash may lose those of the open round. */
struct fl_run_bytes {
    uint64_t uplink, uplink_dense, uplink_header;
    uint64_t downlink, downlink_dense, downlink_header;
};

struct fl_run_row {
    char name[FL_LIMIT_NAME_BYTES + 1];
    uint64_t epoch;  /* which life of the run (rule R13) */
    uint64_t origin; /* its first epoch: the key of the run's other rows, whichever epoch they were made in */
    uint64_t restores; /* how often it has begun a new epoch */
    const char *spec;  /* text of run_spec_text.h; read when visited and created, ignored by run_update */
    enum fl_run_phase phase;
    int stopping;     /* the operator has stopped it */
    int last;         /* PUBLISHING: no version comes after the one being made */
    uint64_t round;   /* the current one; while PUBLISHING the one being published */
    uint64_t version; /* number of the newest */
    float lambda;     /* in force, parameter units; 0: not known yet, or the codec has none */
    struct fl_run_bytes bytes;
};

struct fl_version_row {
    uint64_t number;
    struct fl_model_digest digest;
    double lambda_down;                  /* that it was published with, parameter units */
    uint64_t weight;                     /* sum of the weights of its updates */
    char state_blob[FL_BLOB_NAME_BYTES]; /* "": gone */
};

/* That a client was given work of a round. */
struct fl_assignment_row {
    uint64_t round;
    char client[FL_LIMIT_NAME_BYTES + 1];
};

/* One terminal verdict, for ever. */
struct fl_receipt_row {
    char client[FL_LIMIT_NAME_BYTES + 1];
    uint64_t seq;
    uint8_t digest[FL_DIGEST_SIZE]; /* SHA-256 of the update's body */
    uint64_t epoch;                 /* of the run when it was judged */
    uint64_t total;                 /* updates of this client accepted so far, this one included */
    enum fl_verdict_kind verdict;
    const char *reason; /* "" when accepted */
    enum fl_work_kind kind;
    uint64_t round; /* the round it was made for */
    int applied;    /* 1: applied_round is the round whose sum it entered (rules R5, R10) */
    uint64_t applied_round;
    uint64_t weight;
    uint64_t body_bytes;
    uint64_t sent; /* coordinates in the payload */
    double train_loss, delta_squares, residual_norm;
    uint64_t dropped; /* the client's count so far */
    struct fl_metrics metrics;
};

/* Updates that a client could prove and this server has lost (rule R13). */
struct fl_loss_row {
    char client[FL_LIMIT_NAME_BYTES + 1];
    uint64_t first_seq, last_seq; /* the sequence numbers that went */
    uint64_t updates;             /* accepted ones among them */
    uint64_t total;               /* fl_receipt_row.total at last_seq */
    uint64_t epoch;               /* of the newest receipt that the client showed */
};

/* A client that was shut out, by its id and its key (rule R23). */
struct fl_revocation_row {
    char client[FL_LIMIT_NAME_BYTES + 1];
    uint8_t key[FL_DIGEST_SIZE];
};

typedef enum fl_status (*fl_client_visit_fn)(void *user, const struct fl_client_row *row);
typedef enum fl_status (*fl_token_visit_fn)(void *user, const struct fl_token_row *row);
typedef enum fl_status (*fl_run_visit_fn)(void *user, const struct fl_run_row *row);
typedef enum fl_status (*fl_version_visit_fn)(void *user, const struct fl_version_row *row);
typedef enum fl_status (*fl_round_visit_fn)(void *user, const struct fl_round_status *row);
typedef enum fl_status (*fl_assignment_visit_fn)(void *user, const struct fl_assignment_row *row);
typedef enum fl_status (*fl_receipt_visit_fn)(void *user, const struct fl_receipt_row *row);
typedef enum fl_status (*fl_loss_visit_fn)(void *user, const struct fl_loss_row *row);
typedef enum fl_status (*fl_revocation_visit_fn)(void *user, const struct fl_revocation_row *row);

/* Which run's rows: its name and fl_run_row.origin. */
struct fl_run_key {
    const char *name;
    uint64_t epoch;
};

struct fl_blob_writer; /* a blob that comes in pieces; one thread at a time */

struct fl_store {
    enum fl_status (*begin)(struct fl_store *store);
    enum fl_status (*commit)(struct fl_store *store); /* durable when it returns FL_OK; else call rollback */
    void (*rollback)(struct fl_store *store);         /* nothing since begin has happened; never fails */

    /* Visit all rows; anything but FL_OK from the visitor ends the visit and is returned. */
    enum fl_status (*clients)(struct fl_store *store, fl_client_visit_fn visit, void *user);
    enum fl_status (*tokens)(struct fl_store *store, fl_token_visit_fn visit, void *user);
    enum fl_status (*runs)(struct fl_store *store, fl_run_visit_fn visit, void *user);
    /* ... of one run: by number; by round; from min_round on; */
    enum fl_status (*versions)(struct fl_store *store, struct fl_run_key run, fl_version_visit_fn visit,
                               void *user);
    enum fl_status (*rounds)(struct fl_store *store, struct fl_run_key run, fl_round_visit_fn visit,
                             void *user);
    enum fl_status (*assignments)(struct fl_store *store, struct fl_run_key run, uint64_t min_round,
                                  fl_assignment_visit_fn visit, void *user);
    /* all receipts, by client and seq */
    enum fl_status (*receipts)(struct fl_store *store, struct fl_run_key run, fl_receipt_visit_fn visit,
                               void *user);

    enum fl_status (*client_put)(struct fl_store *store, const struct fl_client_row *row);
    enum fl_status (*token_put)(struct fl_store *store, const struct fl_token_row *row);
    /* What token and key were answered (rule R20). enrolment_get: FL_ERR_NOT_FOUND; appends to chain. */
    enum fl_status (*enrolment_put)(struct fl_store *store, const char *token,
                                    const uint8_t key[FL_DIGEST_SIZE], const char *client,
                                    struct fl_bytes chain);
    enum fl_status (*enrolment_get)(struct fl_store *store, const char *token,
                                    const uint8_t key[FL_DIGEST_SIZE],
                                    char ret_client[FL_LIMIT_NAME_BYTES + 1], struct fl_buf *chain);
    enum fl_status (*run_create)(struct fl_store *store, const struct fl_run_row *row);
    enum fl_status (*run_update)(struct fl_store *store, const struct fl_run_row *row);
    enum fl_status (*version_put)(struct fl_store *store, struct fl_run_key run,
                                  const struct fl_version_row *row);
    /* The version's state blob is no longer referred to, and goes after the commit. */
    enum fl_status (*version_drop_blob)(struct fl_store *store, struct fl_run_key run, uint64_t number);
    enum fl_status (*round_put)(struct fl_store *store, struct fl_run_key run,
                                const struct fl_round_status *row);
    enum fl_status (*assignment_put)(struct fl_store *store, struct fl_run_key run,
                                     const struct fl_assignment_row *row);
    /* payload: stored with the row, or durably in a blob before this returns (rule R9); empty: none. */
    enum fl_status (*receipt_put)(struct fl_store *store, struct fl_run_key run,
                                  const struct fl_receipt_row *row, struct fl_bytes payload);
    /* Freezes every accepted receipt that has entered no round into this one (rule R10). */
    enum fl_status (*receipts_freeze)(struct fl_store *store, struct fl_run_key run, uint64_t round);
    /* Forgets the payloads, not the receipts, that entered this round; their blobs go after the commit. */
    enum fl_status (*payloads_drop)(struct fl_store *store, struct fl_run_key run, uint64_t round);
    /* Appends the payload (any thread). FL_ERR_NOT_FOUND; FL_ERR_CORRUPT: it is not what was put. */
    enum fl_status (*payload_get)(struct fl_store *store, struct fl_run_key run, const char *client,
                                  uint64_t seq, struct fl_buf *payload);

    /* An immutable blob of size bytes, in pieces (any thread). After blob_begin it is ended once: keep:
     * durable under its name when that returns FL_OK; else it never was. */
    enum fl_status (*blob_begin)(struct fl_store *store, const char *name, uint64_t size,
                                 struct fl_blob_writer **ret_writer);
    enum fl_status (*blob_put)(struct fl_store *store, struct fl_blob_writer *writer, uint64_t offset,
                               struct fl_bytes data);
    enum fl_status (*blob_end)(struct fl_store *store, struct fl_blob_writer *writer, int keep);
    /* Exactly size bytes from offset (any thread). FL_ERR_NOT_FOUND; FL_ERR_CORRUPT: it is too short. */
    enum fl_status (*blob_read)(struct fl_store *store, const char *name, uint64_t offset, void *ret_data,
                                size_t size);
    /* Removes blobs that nothing durable refers to. Failure is not told: the sweep at start comes by. */
    void (*blob_remove)(struct fl_store *store, const char *name);
    /* Removes every blob that no row names (rule R12). Only while no worker writes. */
    enum fl_status (*blob_sweep)(struct fl_store *store);

    /* Rule R13. The digest of an update that was judged; FL_ERR_NOT_FOUND. */
    enum fl_status (*receipt_find)(struct fl_store *store, struct fl_run_key run, const char *client,
                                   uint64_t seq, uint8_t ret_digest[FL_DIGEST_SIZE]);
    enum fl_status (*losses)(struct fl_store *store, struct fl_run_key run, fl_loss_visit_fn visit,
                             void *user);
    enum fl_status (*loss_put)(struct fl_store *store, struct fl_run_key run, const struct fl_loss_row *row);
    /* A number that grows with what must not be forgotten, and the newest one that is marked outside the
     * rows (0: none): when the mark is ahead, the rows are those of a backup. stamp_put marks it, too, once
     * the transaction is committed. */
    enum fl_status (*stamp)(struct fl_store *store, uint64_t *ret_stamp, uint64_t *ret_marked);
    enum fl_status (*stamp_put)(struct fl_store *store, uint64_t stamp);

    /* Rule R23: a list of its own, which no backup of the rows brings back. Appended outside of transactions,
     * durable when it returns. */
    enum fl_status (*revocations)(struct fl_store *store, fl_revocation_visit_fn visit, void *user);
    enum fl_status (*revocation_put)(struct fl_store *store, const struct fl_revocation_row *row);
};

#endif
