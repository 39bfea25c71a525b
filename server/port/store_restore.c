/* Rows and files that tell a restored backup (rules R13, R23). */
#include "server/port/store_sqlite.h"

#include <string.h>

#include "base/log.h"
#include "server/port/store_parts.h"

static enum fl_status receipt_find(struct fl_store *calls, struct fl_run_key run, const char *client,
                                   uint64_t seq, uint8_t ret_digest[FL_DIGEST_SIZE])
{
    static const char sql[] = "SELECT digest FROM receipts WHERE run=? AND epoch=? AND client=? AND seq=?";
    struct fl_query *query = fl_sqlite_store_query(fl_sqlite_store_of(calls), sql, run);
    enum fl_status st;
    int row = 0;

    fl_query_put_text(query, client);
    fl_query_put_u64(query, seq);
    st = fl_query_step(query, &row);
    if (!st)
        st = row ? fl_query_copy_blob(query, ret_digest, FL_DIGEST_SIZE) : FL_ERR_NOT_FOUND;
    fl_query_end(query);
    return st;
}

static enum fl_status losses(struct fl_store *calls, struct fl_run_key run, fl_loss_visit_fn visit,
                             void *user)
{
    static const char sql[] = "SELECT client,first_seq,last_seq,updates,total,lost_epoch FROM losses"
                              " WHERE run=? AND epoch=? ORDER BY client,last_seq";
    struct fl_query *query = fl_sqlite_store_query(fl_sqlite_store_of(calls), sql, run);
    struct fl_loss_row loss;
    enum fl_status st;
    int row;

    while (!(st = fl_query_step(query, &row)) && row) {
        st = fl_query_copy_text(query, loss.client, sizeof loss.client);
        if (st)
            break;
        loss.first_seq = fl_query_take_u64(query);
        loss.last_seq = fl_query_take_u64(query);
        loss.updates = fl_query_take_u64(query);
        loss.total = fl_query_take_u64(query);
        loss.epoch = fl_query_take_u64(query);
        st = visit(user, &loss);
        if (st)
            break;
    }
    fl_query_end(query);
    return st;
}

static enum fl_status loss_put(struct fl_store *calls, struct fl_run_key run, const struct fl_loss_row *row)
{
    static const char sql[] = "INSERT INTO losses VALUES(?,?,?,?,?,?,?,?)";
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    struct fl_query *query = fl_sqlite_store_query(store, sql, run);

    fl_query_put_text(query, row->client);
    fl_query_put_u64(query, row->first_seq);
    fl_query_put_u64(query, row->last_seq);
    fl_query_put_u64(query, row->updates);
    fl_query_put_u64(query, row->total);
    fl_query_put_u64(query, row->epoch);
    return fl_sqlite_store_log(store, "loss_put", fl_query_run(query));
}

static enum fl_status stamp(struct fl_store *calls, uint64_t *ret_stamp, uint64_t *ret_marked)
{
    static const char sql[] = "SELECT stamp FROM stamp";
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    struct fl_query *query = fl_query_begin(store->database, sql);
    enum fl_status st;
    int row = 0;

    st = fl_query_step(query, &row);
    if (!st) {
        *ret_stamp = row ? fl_query_take_u64(query) : 0;
        *ret_marked = store->guard ? fl_guard_marked(store->guard) : 0;
    }
    fl_query_end(query);
    return st;
}

static enum fl_status stamp_put(struct fl_store *calls, uint64_t value)
{
    static const char sql[] = "INSERT OR REPLACE INTO stamp VALUES(0,?)";
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    struct fl_query *query = fl_query_begin(store->database, sql);

    fl_query_put_u64(query, value);
    store->stamp = value;
    return fl_sqlite_store_log(store, "stamp_put", fl_query_run(query));
}

/* After a commit. What fails here is only this way to notice a restored backup, so nothing else stops. */
void fl_sqlite_store_mark(struct fl_sqlite_store *store)
{
    struct fl_error err;

    if (store->stamp && store->guard && fl_guard_mark(store->guard, store->stamp, &err))
        fl_log(FL_LOG_ERROR, "server.store",
               "stamp=%llu; %s; a backup restored from here on may go unnoticed",
               (unsigned long long)store->stamp, err.text);
    store->stamp = 0;
}

static enum fl_status revocations(struct fl_store *calls, fl_revocation_visit_fn visit, void *user)
{
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);

    return store->guard ? fl_guard_revocations(store->guard, visit, user) : FL_OK;
}

static enum fl_status revocation_put(struct fl_store *calls, const struct fl_revocation_row *row)
{
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    struct fl_error err;
    enum fl_status st = store->guard ? fl_guard_revoke(store->guard, row, &err) : FL_OK;

    if (st)
        fl_log(FL_LOG_ERROR, "server.store", "client=%.8s status=%s; %s", row->client, fl_status_name(st),
               err.text);
    return st;
}

enum fl_status fl_store_guard(struct fl_store *calls, const char *dir, struct fl_error *err)
{
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    enum fl_status st = fl_guard_open(dir, err, &store->guard);

    if (!st && store->is_new && fl_guard_marked(store->guard))
        st = fl_error_set(err, FL_ERR_CORRUPT,
                          "state.db was missing or empty, but %s/state.mark says that there was one: put "
                          "state.db and blobs/ back from a backup; or remove both state.db and state.mark to "
                          "begin anew, without runs and clients",
                          dir);
    return st;
}

void fl_store_restore_calls(struct fl_store *calls)
{
    calls->receipt_find = receipt_find;
    calls->losses = losses;
    calls->loss_put = loss_put;
    calls->stamp = stamp;
    calls->stamp_put = stamp_put;
    calls->revocations = revocations;
    calls->revocation_put = revocation_put;
}
