#include "faulty_store.h"

#include <stdlib.h>

struct faulty {
    struct fl_store calls; /* first */
    struct fl_store *inner;
    long left;
    int failed;
};

static struct faulty *faulty_of(struct fl_store *store)
{
    return (struct faulty *)store;
}

/* 1 when this write is the one to fail */
static int fails(struct fl_store *store)
{
    struct faulty *faulty = faulty_of(store);

    if (faulty->left == 0 || --faulty->left > 0)
        return 0;
    faulty->failed = 1;
    return 1;
}

#define INNER(store) faulty_of(store)->inner

#define READ(name, params, args)                                                                             \
    static enum fl_status name params                                                                        \
    {                                                                                                        \
        return INNER(store)->name args;                                                                      \
    }
#define WRITE(name, params, args)                                                                            \
    static enum fl_status name params                                                                        \
    {                                                                                                        \
        return fails(store) ? FL_ERR_IO : INNER(store)->name args;                                           \
    }

WRITE(begin, (struct fl_store * store), (INNER(store)))
WRITE(commit, (struct fl_store * store), (INNER(store)))
READ(clients, (struct fl_store * store, fl_client_visit_fn visit, void *user), (INNER(store), visit, user))
READ(tokens, (struct fl_store * store, fl_token_visit_fn visit, void *user), (INNER(store), visit, user))
READ(runs, (struct fl_store * store, fl_run_visit_fn visit, void *user), (INNER(store), visit, user))
READ(versions, (struct fl_store * store, struct fl_run_key run, fl_version_visit_fn visit, void *user),
     (INNER(store), run, visit, user))
READ(rounds, (struct fl_store * store, struct fl_run_key run, fl_round_visit_fn visit, void *user),
     (INNER(store), run, visit, user))
READ(assignments,
     (struct fl_store * store, struct fl_run_key run, uint64_t min_round, fl_assignment_visit_fn visit,
      void *user),
     (INNER(store), run, min_round, visit, user))
READ(receipts, (struct fl_store * store, struct fl_run_key run, fl_receipt_visit_fn visit, void *user),
     (INNER(store), run, visit, user))
WRITE(client_put, (struct fl_store * store, const struct fl_client_row *row), (INNER(store), row))
WRITE(token_put, (struct fl_store * store, const struct fl_token_row *row), (INNER(store), row))
WRITE(enrolment_put,
      (struct fl_store * store, const char *token, const uint8_t key[FL_DIGEST_SIZE], const char *client,
       struct fl_bytes chain),
      (INNER(store), token, key, client, chain))
READ(enrolment_get,
     (struct fl_store * store, const char *token, const uint8_t key[FL_DIGEST_SIZE], char *ret_client,
      struct fl_buf *chain),
     (INNER(store), token, key, ret_client, chain))
WRITE(run_create, (struct fl_store * store, const struct fl_run_row *row), (INNER(store), row))
WRITE(run_update, (struct fl_store * store, const struct fl_run_row *row), (INNER(store), row))
WRITE(version_put, (struct fl_store * store, struct fl_run_key run, const struct fl_version_row *row),
      (INNER(store), run, row))
WRITE(version_drop_blob, (struct fl_store * store, struct fl_run_key run, uint64_t number),
      (INNER(store), run, number))
WRITE(round_put, (struct fl_store * store, struct fl_run_key run, const struct fl_round_status *row),
      (INNER(store), run, row))
WRITE(assignment_put, (struct fl_store * store, struct fl_run_key run, const struct fl_assignment_row *row),
      (INNER(store), run, row))
WRITE(receipt_put,
      (struct fl_store * store, struct fl_run_key run, const struct fl_receipt_row *row,
       struct fl_bytes payload),
      (INNER(store), run, row, payload))
WRITE(receipts_freeze, (struct fl_store * store, struct fl_run_key run, uint64_t round),
      (INNER(store), run, round))
WRITE(payloads_drop, (struct fl_store * store, struct fl_run_key run, uint64_t round),
      (INNER(store), run, round))
READ(payload_get,
     (struct fl_store * store, struct fl_run_key run, const char *client, uint64_t seq,
      struct fl_buf *payload),
     (INNER(store), run, client, seq, payload))
WRITE(blob_begin,
      (struct fl_store * store, const char *name, uint64_t size, struct fl_blob_writer **ret_writer),
      (INNER(store), name, size, ret_writer))
WRITE(blob_put,
      (struct fl_store * store, struct fl_blob_writer *writer, uint64_t offset, struct fl_bytes data),
      (INNER(store), writer, offset, data))
READ(blob_read, (struct fl_store * store, const char *name, uint64_t offset, void *ret_data, size_t size),
     (INNER(store), name, offset, ret_data, size))
READ(blob_sweep, (struct fl_store * store), (INNER(store)))
READ(receipt_find,
     (struct fl_store * store, struct fl_run_key run, const char *client, uint64_t seq, uint8_t *ret_digest),
     (INNER(store), run, client, seq, ret_digest))
READ(losses, (struct fl_store * store, struct fl_run_key run, fl_loss_visit_fn visit, void *user),
     (INNER(store), run, visit, user))
WRITE(loss_put, (struct fl_store * store, struct fl_run_key run, const struct fl_loss_row *row),
      (INNER(store), run, row))
READ(stamp, (struct fl_store * store, uint64_t *ret_stamp, uint64_t *ret_marked),
     (INNER(store), ret_stamp, ret_marked))
WRITE(stamp_put, (struct fl_store * store, uint64_t stamp), (INNER(store), stamp))
READ(revocations, (struct fl_store * store, fl_revocation_visit_fn visit, void *user),
     (INNER(store), visit, user))
WRITE(revocation_put, (struct fl_store * store, const struct fl_revocation_row *row), (INNER(store), row))

/* A failure to keep drops. */
static enum fl_status blob_end(struct fl_store *store, struct fl_blob_writer *writer, int keep)
{
    int failed = keep && fails(store);
    enum fl_status st = INNER(store)->blob_end(INNER(store), writer, keep && !failed);

    return failed ? FL_ERR_IO : st;
}

static void rollback(struct fl_store *store)
{
    INNER(store)->rollback(INNER(store));
}

static void blob_remove(struct fl_store *store, const char *name)
{
    INNER(store)->blob_remove(INNER(store), name);
}

struct fl_store *faulty_store_new(struct fl_store *inner)
{
    struct faulty *faulty = calloc(1, sizeof *faulty);

    if (!faulty)
        return NULL;
    faulty->calls = (struct fl_store){
        begin,         commit,         rollback,    clients,         tokens,        runs,
        versions,      rounds,         assignments, receipts,        client_put,    token_put,
        enrolment_put, enrolment_get,  run_create,  run_update,      version_put,   version_drop_blob,
        round_put,     assignment_put, receipt_put, receipts_freeze, payloads_drop, payload_get,
        blob_begin,    blob_put,       blob_end,    blob_read,       blob_remove,   blob_sweep,
        receipt_find,  losses,         loss_put,    stamp,           stamp_put,     revocations,
        revocation_put};
    faulty->inner = inner;
    return &faulty->calls;
}

void faulty_store_free(struct fl_store *store)
{
    free(store);
}

void faulty_store_fail(struct fl_store *store, long n)
{
    faulty_of(store)->left = n;
    faulty_of(store)->failed = 0;
}

int faulty_store_has_failed(const struct fl_store *store)
{
    return ((const struct faulty *)store)->failed;
}
