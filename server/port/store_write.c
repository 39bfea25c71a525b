/* Writing rows. */
#include "server/port/store_parts.h"

#include <stdio.h>

#include "protocol/digest.h"

#define ROW_PAYLOAD_BYTES ((size_t)64 << 10) /* larger payloads go to blobs (rule R9) */

static enum fl_status finish(struct fl_store *calls, struct fl_query *query, const char *what)
{
    return fl_sqlite_store_log(fl_sqlite_store_of(calls), what, fl_query_run(query));
}

static enum fl_status client_put(struct fl_store *calls, const struct fl_client_row *row)
{
    static const char sql[] = "INSERT OR REPLACE INTO clients VALUES(?,?,?,?,?,?)";
    struct fl_query *query = fl_query_begin(fl_sqlite_store_of(calls)->database, sql);

    fl_query_put_text(query, row->id);
    fl_query_put_blob(query, row->key, sizeof row->key);
    fl_query_put_text(query, row->name);
    fl_query_put_i64(query, row->enrolled_wall_ms);
    fl_query_put_i64(query, row->seen_wall_ms);
    fl_query_put_i64(query, row->revoked);
    return finish(calls, query, "client_put");
}

static enum fl_status token_put(struct fl_store *calls, const struct fl_token_row *row)
{
    static const char sql[] = "INSERT OR REPLACE INTO tokens VALUES(?,?,?,?)";
    struct fl_query *query = fl_query_begin(fl_sqlite_store_of(calls)->database, sql);

    fl_query_put_text(query, row->id);
    fl_query_put_blob(query, row->secret_digest, sizeof row->secret_digest);
    fl_query_put_u64(query, row->uses_left);
    fl_query_put_i64(query, row->expires_wall_ms);
    return finish(calls, query, "token_put");
}

static enum fl_status enrolment_put(struct fl_store *calls, const char *token,
                                    const uint8_t key[FL_DIGEST_SIZE], const char *client,
                                    struct fl_bytes chain)
{
    static const char sql[] = "INSERT INTO enrolments VALUES(?,?,?,?)";
    struct fl_query *query = fl_query_begin(fl_sqlite_store_of(calls)->database, sql);

    fl_query_put_text(query, token);
    fl_query_put_blob(query, key, FL_DIGEST_SIZE);
    fl_query_put_text(query, client);
    fl_query_put_blob(query, chain.data, chain.size);
    return finish(calls, query, "enrolment_put");
}

static void put_run_state(struct fl_query *query, const struct fl_run_row *row)
{
    fl_query_put_text(query, fl_store_phases[row->phase]);
    fl_query_put_i64(query, row->stopping);
    fl_query_put_i64(query, row->last);
    fl_query_put_u64(query, row->round);
    fl_query_put_u64(query, row->version);
    fl_query_put_f64(query, (double)row->lambda);
    fl_query_put_u64(query, row->bytes.uplink);
    fl_query_put_u64(query, row->bytes.uplink_dense);
    fl_query_put_u64(query, row->bytes.uplink_header);
    fl_query_put_u64(query, row->bytes.downlink);
    fl_query_put_u64(query, row->bytes.downlink_dense);
    fl_query_put_u64(query, row->bytes.downlink_header);
}

static enum fl_status run_create(struct fl_store *calls, const struct fl_run_row *row)
{
    static const char sql[] = "INSERT INTO runs VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
    struct fl_query *query = fl_query_begin(fl_sqlite_store_of(calls)->database, sql);

    fl_query_put_text(query, row->name);
    fl_query_put_u64(query, row->epoch);
    fl_query_put_text(query, row->spec);
    put_run_state(query, row);
    fl_query_put_u64(query, row->origin);
    fl_query_put_u64(query, row->restores);
    return finish(calls, query, "run_create");
}

static enum fl_status run_update(struct fl_store *calls, const struct fl_run_row *row)
{
    static const char sql[] =
        "UPDATE runs SET phase=?,stopping=?,last=?,round=?,version=?,lambda=?,uplink_bytes=?,"
        "uplink_dense_bytes=?,uplink_header_bytes=?,downlink_bytes=?,downlink_dense_bytes=?,"
        "downlink_header_bytes=?,epoch=?,restores=? WHERE name=?";
    struct fl_query *query = fl_query_begin(fl_sqlite_store_of(calls)->database, sql);

    put_run_state(query, row);
    fl_query_put_u64(query, row->epoch);
    fl_query_put_u64(query, row->restores);
    fl_query_put_text(query, row->name);
    return finish(calls, query, "run_update");
}

static enum fl_status version_put(struct fl_store *calls, struct fl_run_key run,
                                  const struct fl_version_row *row)
{
    static const char sql[] = "INSERT INTO versions VALUES(?,?,?,?,?,?,?)";
    struct fl_query *query = fl_sqlite_store_query(fl_sqlite_store_of(calls), sql, run);

    fl_query_put_u64(query, row->number);
    fl_query_put_blob(query, row->digest.bytes, sizeof row->digest.bytes);
    fl_query_put_f64(query, row->lambda_down);
    fl_query_put_u64(query, row->weight);
    fl_query_put_text(query, row->state_blob[0] ? row->state_blob : NULL);
    return finish(calls, query, "version_put");
}

/* Does without the blobs that `names` finds in rows of this number: `sql` forgets them, and the files go with
 * the commit. */
static enum fl_status drop_blobs(struct fl_store *calls, struct fl_run_key run, uint64_t number,
                                 const char *names, const char *sql, const char *what)
{
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    struct fl_query *query = fl_sqlite_store_query(store, names, run);
    enum fl_status st;
    int row;

    fl_query_put_u64(query, number);
    while (!(st = fl_query_step(query, &row)) && row &&
           !(st = fl_blob_names_add(&store->dropped, fl_query_take_text(query))))
        ;
    fl_query_end(query);
    if (st)
        return fl_sqlite_store_log(store, what, st);
    query = fl_sqlite_store_query(store, sql, run);
    fl_query_put_u64(query, number);
    return finish(calls, query, what);
}

static enum fl_status version_drop_blob(struct fl_store *calls, struct fl_run_key run, uint64_t number)
{
    static const char names[] = "SELECT state_blob FROM versions WHERE run=? AND epoch=? AND number=?"
                                " AND state_blob IS NOT NULL";
    static const char sql[] = "UPDATE versions SET state_blob=NULL WHERE run=? AND epoch=? AND number=?";

    return drop_blobs(calls, run, number, names, sql, "version_drop_blob");
}

static enum fl_status round_put(struct fl_store *calls, struct fl_run_key run,
                                const struct fl_round_status *row)
{
    static const char sql[] = "INSERT INTO rounds VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
    struct fl_query *query = fl_sqlite_store_query(fl_sqlite_store_of(calls), sql, run);

    fl_query_put_u64(query, row->round);
    fl_query_put_text(query, fl_store_kinds[row->kind]);
    fl_query_put_u64(query, row->accepted);
    fl_query_put_u64(query, row->target);
    fl_query_put_u64(query, row->metrics.examples);
    fl_query_put_u64(query, row->metrics.correct);
    fl_query_put_f64(query, row->metrics.loss_sum);
    fl_query_put_f64(query, row->train_loss);
    fl_query_put_f64(query, row->density);
    fl_query_put_f64(query, row->residual_norm);
    fl_query_put_u64(query, row->published);
    fl_query_put_u64(query, row->uplink_bytes);
    fl_query_put_u64(query, row->downlink_bytes);
    fl_query_put_u64(query, row->duration_ms);
    return finish(calls, query, "round_put");
}

static enum fl_status assignment_put(struct fl_store *calls, struct fl_run_key run,
                                     const struct fl_assignment_row *row)
{
    static const char sql[] = "INSERT INTO assignments VALUES(?,?,?,?)";
    struct fl_query *query = fl_sqlite_store_query(fl_sqlite_store_of(calls), sql, run);

    fl_query_put_u64(query, row->round);
    fl_query_put_text(query, row->client);
    return finish(calls, query, "assignment_put");
}

/* Writes a payload too large for its row; its name goes to ret_name. */
static enum fl_status write_payload(struct fl_sqlite_store *store, struct fl_run_key run,
                                    const struct fl_receipt_row *row, struct fl_bytes payload,
                                    char ret_name[FL_BLOB_NAME_BYTES])
{
    enum fl_status st;

    snprintf(ret_name, FL_BLOB_NAME_BYTES, "%s.%llu.%s.%llu.update", run.name, (unsigned long long)run.epoch,
             row->client, (unsigned long long)row->seq);
    st = fl_blob_names_add(&store->written, ret_name);
    return st ? st : fl_blobs_write(store->blobs, ret_name, payload);
}

static enum fl_status receipt_put(struct fl_store *calls, struct fl_run_key run,
                                  const struct fl_receipt_row *row, struct fl_bytes payload)
{
    static const char sql[] =
        "INSERT INTO receipts VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
    struct fl_sqlite_store *store = fl_sqlite_store_of(calls);
    char blob[FL_BLOB_NAME_BYTES];
    int in_row = payload.size <= ROW_PAYLOAD_BYTES;

    if (!in_row) {
        enum fl_status st = write_payload(store, run, row, payload, blob);
        if (st)
            return st;
    }
    struct fl_query *query = fl_sqlite_store_query(store, sql, run);
    fl_query_put_text(query, row->client);
    fl_query_put_u64(query, row->seq);
    fl_query_put_blob(query, row->digest, sizeof row->digest);
    fl_query_put_text(query, fl_store_verdicts[row->verdict]);
    fl_query_put_text(query, row->reason);
    fl_query_put_text(query, fl_store_kinds[row->kind]);
    fl_query_put_u64(query, row->round);
    if (row->applied)
        fl_query_put_u64(query, row->applied_round);
    else
        fl_query_put_null(query);
    fl_query_put_u64(query, row->weight);
    fl_query_put_u64(query, row->body_bytes);
    fl_query_put_u64(query, row->sent);
    fl_query_put_f64(query, row->train_loss);
    fl_query_put_f64(query, row->delta_squares);
    fl_query_put_f64(query, row->residual_norm);
    fl_query_put_u64(query, row->dropped);
    fl_query_put_u64(query, row->metrics.examples);
    fl_query_put_u64(query, row->metrics.correct);
    fl_query_put_f64(query, row->metrics.loss_sum);
    fl_query_put_text(query, in_row ? NULL : blob);
    if (in_row && row->verdict == FL_VERDICT_ACCEPTED)
        fl_query_put_blob(query, payload.data, payload.size);
    else
        fl_query_put_null(query);
    fl_query_put_u64(query, row->epoch);
    fl_query_put_u64(query, row->total);
    if (row->verdict == FL_VERDICT_ACCEPTED)
        fl_query_put_u64(query, fl_digest_sum(payload));
    else
        fl_query_put_null(query);
    return finish(calls, query, "receipt_put");
}

static enum fl_status receipts_freeze(struct fl_store *calls, struct fl_run_key run, uint64_t round)
{
    static const char sql[] = "UPDATE receipts SET applied_round=?3 WHERE run=?1 AND epoch=?2"
                              " AND verdict='accepted' AND applied_round IS NULL";
    struct fl_query *query = fl_sqlite_store_query(fl_sqlite_store_of(calls), sql, run);

    fl_query_put_u64(query, round);
    return finish(calls, query, "receipts_freeze");
}

static enum fl_status payloads_drop(struct fl_store *calls, struct fl_run_key run, uint64_t round)
{
    static const char names[] = "SELECT payload_blob FROM receipts WHERE run=? AND epoch=?"
                                " AND applied_round=? AND payload_blob IS NOT NULL";
    static const char sql[] = "UPDATE receipts SET payload=NULL,payload_blob=NULL"
                              " WHERE run=? AND epoch=? AND applied_round=?";

    return drop_blobs(calls, run, round, names, sql, "payloads_drop");
}

void fl_store_write_calls(struct fl_store *calls)
{
    calls->client_put = client_put;
    calls->token_put = token_put;
    calls->enrolment_put = enrolment_put;
    calls->run_create = run_create;
    calls->run_update = run_update;
    calls->version_put = version_put;
    calls->version_drop_blob = version_drop_blob;
    calls->round_put = round_put;
    calls->assignment_put = assignment_put;
    calls->receipt_put = receipt_put;
    calls->receipts_freeze = receipts_freeze;
    calls->payloads_drop = payloads_drop;
}
