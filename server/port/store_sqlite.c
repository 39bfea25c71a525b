#include "server/port/store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "protocol/digest.h"
#include "server/port/store_parts.h"
#include "server/port/store_schema.h"

enum fl_status fl_blob_names_add(struct fl_blob_names *names, const char *name)
{
    void *grown = realloc(names->items, (names->count + 1) * sizeof *names->items);

    if (!grown)
        return FL_ERR_NOMEM;
    names->items = grown;
    snprintf(names->items[names->count++], FL_BLOB_NAME_BYTES, "%s", name);
    return FL_OK;
}

/* Removes the blobs named, and forgets the names. */
static void names_remove(struct fl_sqlite_store *store, struct fl_blob_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        fl_blobs_remove(store->blobs, names->items[i]);
    names->count = 0;
}

enum fl_status fl_sqlite_store_log(struct fl_sqlite_store *store, const char *what, enum fl_status st)
{
    struct fl_error err;

    if (st) {
        fl_database_describe(store->database, &err);
        fl_log(FL_LOG_ERROR, "server.store", "%s status=%s; %s", what, fl_status_name(st), err.text);
    }
    return st;
}

/* --- transactions --- */

/* A commit that failed may stand in the log as a whole, where the next process would find it and take it for
 * good: as long as that is so, the blobs that it names must stay. Any other commit writes over it. */
static enum fl_status settle_doubt(struct fl_sqlite_store *store)
{
    static const char sql[] = "PRAGMA user_version=" FL_STORE_SCHEMA_VERSION_TEXT;

    if (!store->in_doubt)
        return FL_OK;
    enum fl_status st = fl_sqlite_store_log(store, "settle", fl_database_execute(store->database, sql));
    if (st)
        return st;
    store->in_doubt = 0;
    names_remove(store, &store->written);
    return FL_OK;
}

static enum fl_status begin(struct fl_store *calls)
{
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    enum fl_status st = settle_doubt(store);

    if (st)
        return st;
    return fl_sqlite_store_log(store, "begin", fl_database_execute(store->database, "BEGIN IMMEDIATE"));
}

static enum fl_status commit(struct fl_store *calls)
{
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    enum fl_status st = fl_database_execute(store->database, "COMMIT");

    if (st) {
        store->in_doubt = !fl_database_is_full(store->database);
        return fl_sqlite_store_log(store, "commit", st);
    }
    store->written.count = 0;
    fl_sqlite_store_mark(store);
    names_remove(store, &store->dropped);
    return FL_OK;
}

static void rollback(struct fl_store *calls)
{
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);

    if (fl_database_execute(store->database, "ROLLBACK")) {
        /* SQLite has rolled back by itself already, as it does when the disk is full */
    }
    store->stamp = 0;
    store->dropped.count = 0;
    if (!settle_doubt(store)) /* else begin tries again */
        names_remove(store, &store->written);
}

struct fl_query *fl_sqlite_store_query(struct fl_sqlite_store *store, const char *sql, struct fl_run_key run)
{
    struct fl_query *query = fl_query_begin(store->database, sql);

    fl_query_put_text(query, run.name);
    fl_query_put_u64(query, run.epoch);
    return query;
}

/* --- words for enums --- */

const char *const fl_store_phases[4] = {"gathering", "open", "publishing", "ended"};
const char *const fl_store_kinds[2] = {"train", "calibrate"};
const char *const fl_store_verdicts[4] = {"accepted", "late", "ended", "invalid"};

/* --- payloads and blobs, any thread --- */

static enum fl_status payload_get(struct fl_store *calls, struct fl_run_key run, const char *client,
                                  uint64_t seq, struct fl_buf *payload)
{
    static const char sql[] = "SELECT payload_blob,payload_sum,payload FROM receipts"
                              " WHERE run=? AND epoch=? AND client=? AND seq=?";
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    struct fl_query *query = fl_sqlite_store_query(store, sql, run);
    char blob[FL_BLOB_NAME_BYTES] = "";
    size_t before = payload->size;
    uint64_t sum = 0;
    enum fl_status st;
    int row = 0, has_sum = 0;

    fl_query_put_text(query, client);
    fl_query_put_u64(query, seq);
    st = fl_query_step(query, &row);
    if (!st && !row)
        st = FL_ERR_NOT_FOUND;
    if (!st)
        st = fl_query_copy_text(query, blob, sizeof blob);
    if (!st) {
        has_sum = !fl_query_is_null(query); /* a receipt of schema 2 or before has none */
        sum = fl_query_take_u64(query);
    }
    if (!st && !blob[0]) {
        struct fl_bytes bytes = fl_query_take_blob(query);
        st = bytes.data ? fl_buf_append(payload, bytes.data, bytes.size) : FL_ERR_NOT_FOUND;
    }
    fl_query_end(query);
    if (!st && blob[0])
        st = fl_blobs_read(store->blobs, blob, payload);
    if (!st && has_sum &&
        sum != fl_digest_sum((struct fl_bytes){payload->data + before, payload->size - before})) {
        st = FL_ERR_CORRUPT;
        fl_log(FL_LOG_ERROR, "server.store", "blob=%s client=%.8s seq=%llu status=%s; not what was stored",
               blob[0] ? blob : "state.db", client, (unsigned long long)seq, fl_status_name(st));
    }
    return st;
}

static enum fl_status blob_begin(struct fl_store *calls, const char *name, uint64_t size,
                                 struct fl_blob_writer **ret_writer)
{
    return fl_blobs_begin(fl_sqlite_store_of(calls)->blobs, name, size, ret_writer);
}

static enum fl_status blob_put(struct fl_store *calls, struct fl_blob_writer *writer, uint64_t offset,
                               struct fl_bytes data)
{
    (void)calls;
    return fl_blobs_put(writer, offset, data);
}

static enum fl_status blob_end(struct fl_store *calls, struct fl_blob_writer *writer, int keep)
{
    (void)calls;
    return fl_blobs_end(writer, keep);
}

static enum fl_status blob_read(struct fl_store *calls, const char *name, uint64_t offset, void *ret_data,
                                size_t size)
{
    return fl_blobs_read_at(fl_sqlite_store_of(calls)->blobs, name, offset, ret_data, size);
}

static void blob_remove(struct fl_store *calls, const char *name)
{
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);

    if (!store->in_doubt)
        fl_blobs_remove(store->blobs, name);
    else if (fl_blob_names_add(&store->written, name))
        fl_log(FL_LOG_WARN, "server.store", "blob=%s; not removed, left for the next start", name);
}

static enum fl_status is_wanted(void *user, const char *name, int *ret_wanted)
{
    static const char sql[] = "SELECT 1 FROM versions WHERE state_blob=?1"
                              " UNION ALL SELECT 1 FROM receipts WHERE payload_blob=?1";
    struct fl_sqlite_store *store = user;
    struct fl_query *query = fl_query_begin(store->database, sql);
    enum fl_status st;

    fl_query_put_text(query, name);
    st = fl_query_step(query, ret_wanted);
    fl_query_end(query);
    return st;
}

static enum fl_status blob_sweep(struct fl_store *calls)
{
    return fl_blobs_sweep(fl_sqlite_store_of(calls)->blobs, is_wanted, fl_sqlite_store_of(calls));
}

/* --- open and close --- */

/* Makes the tables of a new database; refuses one that a newer program made. */
static enum fl_status prepare_schema(struct fl_sqlite_store *store, const char *path, struct fl_error *err)
{
    static const char sql[] = "PRAGMA user_version";
    struct fl_query *query = fl_query_begin(store->database, sql);
    int64_t version = 0;
    enum fl_status st;
    int row;

    st = fl_query_step(query, &row);
    if (!st)
        version = fl_query_take_i64(query);
    fl_query_end(query);
    for (; !st && version > 0 && version < FL_STORE_SCHEMA_VERSION; version++)
        st = fl_database_execute(store->database,
                                 version == 1 ? fl_store_schema_from_1 : fl_store_schema_from_2);
    if (!st && version != 0 && version != FL_STORE_SCHEMA_VERSION)
        return fl_error_set(err, FL_ERR_VERSION, "%s: made by another version of fl-server (schema %lld)",
                            path, (long long)version);
    if (!st && version == 0) {
        st = fl_database_execute(store->database, "BEGIN IMMEDIATE");
        if (!st)
            st = fl_database_execute(store->database, fl_store_schema);
        if (!st)
            st = fl_database_execute(store->database, "PRAGMA user_version=" FL_STORE_SCHEMA_VERSION_TEXT);
        if (!st)
            st = fl_database_execute(store->database, "COMMIT");
        store->is_new = !st;
    }
    if (st)
        fl_database_describe(store->database, err);
    return st;
}

enum fl_status fl_store_open(const char *path, const char *blob_dir, struct fl_error *err,
                             struct fl_store **ret_store)
{
    struct fl_sqlite_store *store = calloc(1, sizeof *store);
    enum fl_status st;

    if (!store)
        return fl_error_nomem(err);
    store->calls.begin = begin;
    store->calls.commit = commit;
    store->calls.rollback = rollback;
    store->calls.payload_get = payload_get;
    store->calls.blob_begin = blob_begin;
    store->calls.blob_put = blob_put;
    store->calls.blob_end = blob_end;
    store->calls.blob_read = blob_read;
    store->calls.blob_remove = blob_remove;
    store->calls.blob_sweep = blob_sweep;
    fl_store_read_calls(&store->calls);
    fl_store_write_calls(&store->calls);
    fl_store_restore_calls(&store->calls);
    st = fl_database_open(path, err, &store->database);
    if (!st)
        st = prepare_schema(store, path, err);
    if (!st)
        st = fl_blobs_open(blob_dir, err, &store->blobs);
    if (st) {
        fl_store_close(&store->calls);
        return st;
    }
    *ret_store = &store->calls;
    return FL_OK;
}

enum fl_status fl_store_forgo_durability(struct fl_store *calls, struct fl_error *err)
{
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    enum fl_status st = fl_database_execute(store->database, "PRAGMA synchronous=OFF");
    if (st) {
        fl_database_describe(store->database, err);
        return st;
    }
    fl_blobs_forgo_sync(store->blobs);
    return FL_OK;
}

void fl_store_close(struct fl_store *calls)
{
    if (!calls)
        return;
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    fl_database_close(store->database);
    fl_blobs_close(store->blobs);
    fl_guard_close(store->guard);
    free(store->written.items);
    free(store->dropped.items);
    free(store);
}
