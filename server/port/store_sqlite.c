#include "server/port/store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/core/server.h"
#include "server/port/blobs.h"
#include "server/port/database.h"
#include "server/port/store_schema.h"

#define ROW_PAYLOAD_BYTES ((size_t)64 << 10) /* larger payloads go to blobs (rule R9) */

/* Names of blobs that a transaction has written, or will remove when it commits. */
struct names {
    char (*items)[FL_BLOB_NAME_BYTES];
    size_t count;
};

struct store {
    struct fl_store calls; /* first: the core's handle points here */
    struct fl_database *database;
    struct fl_blobs *blobs;
    struct names written, dropped;
};

static struct store *store_of(struct fl_store *calls)
{
    return (struct store *)calls;
}

static enum fl_status names_add(struct names *names, const char *name)
{
    void *grown = realloc(names->items, (names->count + 1) * sizeof *names->items);

    if (!grown)
        return FL_ERR_NOMEM;
    names->items = grown;
    snprintf(names->items[names->count++], FL_BLOB_NAME_BYTES, "%s", name);
    return FL_OK;
}

/* Removes the blobs named, and forgets the names. */
static void names_remove(struct store *store, struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        fl_blobs_remove(store->blobs, names->items[i]);
    names->count = 0;
}

static enum fl_status log_failure(struct store *store, const char *what, enum fl_status st)
{
    if (st)
        fl_log(FL_LOG_ERROR, "server.store", "%s status=%s; %s", what, fl_status_name(st),
               fl_database_error(store->database));
    return st;
}

/* --- transactions --- */

static enum fl_status begin(struct fl_store *calls)
{
    struct store *store = store_of(calls);

    return log_failure(store, "begin", fl_database_execute(store->database, "BEGIN IMMEDIATE"));
}

static enum fl_status commit(struct fl_store *calls)
{
    struct store *store = store_of(calls);
    enum fl_status st = fl_database_execute(store->database, "COMMIT");

    if (st)
        return log_failure(store, "commit", st);
    store->written.count = 0;
    names_remove(store, &store->dropped);
    return FL_OK;
}

static void rollback(struct fl_store *calls)
{
    struct store *store = store_of(calls);

    if (fl_database_execute(store->database, "ROLLBACK")) {
        /* SQLite has rolled back by itself already, as it does when the disk is full */
    }
    store->dropped.count = 0;
    names_remove(store, &store->written);
}

/* --- words for enums --- */

static const char *const phase_names[] = {"gathering", "open", "publishing", "ended"};
static const char *const kind_names[] = {"train", "calibrate"};
static const char *const verdict_names[] = {"accepted", "late", "ended", "invalid"};

static enum fl_status take_word(struct fl_query *query, const char *const *names, size_t count,
                                int *ret_value)
{
    const char *text = fl_query_take_text(query);

    for (size_t i = 0; i < count; i++)
        if (!strcmp(names[i], text)) {
            *ret_value = (int)i;
            return FL_OK;
        }
    return FL_ERR_CORRUPT;
}

/* --- visits --- */

/* Reads one row from the query and visits it. */
typedef enum fl_status (*row_fn)(struct fl_query *query, void *visitor);

static enum fl_status each_row(struct fl_query *query, row_fn take, void *visitor)
{
    enum fl_status st;
    int row;

    while (!(st = fl_query_step(query, &row)) && row && !(st = take(query, visitor)))
        ;
    fl_query_end(query);
    return st;
}

static struct fl_query *begin_of_run(struct store *store, const char *sql, struct fl_run_key run)
{
    struct fl_query *query = fl_query_begin(store->database, sql);

    fl_query_put_text(query, run.name);
    fl_query_put_u64(query, run.epoch);
    return query;
}

struct client_visitor {
    fl_client_visit_fn visit;
    void *user;
};

static enum fl_status take_client(struct fl_query *query, void *visitor)
{
    struct client_visitor *to = visitor;
    struct fl_client_row row;
    enum fl_status st = fl_query_copy_text(query, row.id, sizeof row.id);

    if (!st)
        st = fl_query_copy_blob(query, row.key, sizeof row.key);
    if (!st)
        st = fl_query_copy_text(query, row.name, sizeof row.name);
    if (st)
        return st;
    row.enrolled_wall_ms = fl_query_take_i64(query);
    row.seen_wall_ms = fl_query_take_i64(query);
    row.revoked = fl_query_take_i64(query) != 0;
    return to->visit(to->user, &row);
}

static enum fl_status clients(struct fl_store *calls, fl_client_visit_fn visit, void *user)
{
    static const char sql[] = "SELECT id,key,name,enrolled_wall_ms,seen_wall_ms,revoked FROM clients"
                              " ORDER BY enrolled_wall_ms,id";
    struct client_visitor visitor = {visit, user};

    return each_row(fl_query_begin(store_of(calls)->database, sql), take_client, &visitor);
}

struct token_visitor {
    fl_token_visit_fn visit;
    void *user;
};

static enum fl_status take_token(struct fl_query *query, void *visitor)
{
    struct token_visitor *to = visitor;
    struct fl_token_row row;
    enum fl_status st = fl_query_copy_text(query, row.id, sizeof row.id);

    if (!st)
        st = fl_query_copy_blob(query, row.secret_digest, sizeof row.secret_digest);
    if (st)
        return st;
    row.uses_left = fl_query_take_u64(query);
    row.expires_wall_ms = fl_query_take_i64(query);
    return to->visit(to->user, &row);
}

static enum fl_status tokens(struct fl_store *calls, fl_token_visit_fn visit, void *user)
{
    static const char sql[] = "SELECT id,secret_sha256,uses_left,expires_wall_ms FROM tokens ORDER BY id";
    struct token_visitor visitor = {visit, user};

    return each_row(fl_query_begin(store_of(calls)->database, sql), take_token, &visitor);
}

struct run_visitor {
    fl_run_visit_fn visit;
    void *user;
};

static enum fl_status take_run(struct fl_query *query, void *visitor)
{
    struct run_visitor *to = visitor;
    struct fl_run_row row;
    int phase;
    enum fl_status st = fl_query_copy_text(query, row.name, sizeof row.name);

    if (st)
        return st;
    row.epoch = fl_query_take_u64(query);
    row.spec = fl_query_take_text(query);
    st = take_word(query, phase_names, 4, &phase);
    if (st)
        return st;
    row.phase = (enum fl_run_phase)phase;
    row.stopping = fl_query_take_i64(query) != 0;
    row.last = fl_query_take_i64(query) != 0;
    row.round = fl_query_take_u64(query);
    row.version = fl_query_take_u64(query);
    row.lambda = (float)fl_query_take_f64(query);
    row.bytes.uplink = fl_query_take_u64(query);
    row.bytes.uplink_dense = fl_query_take_u64(query);
    row.bytes.uplink_header = fl_query_take_u64(query);
    row.bytes.downlink = fl_query_take_u64(query);
    row.bytes.downlink_dense = fl_query_take_u64(query);
    row.bytes.downlink_header = fl_query_take_u64(query);
    return to->visit(to->user, &row);
}

static enum fl_status runs(struct fl_store *calls, fl_run_visit_fn visit, void *user)
{
    static const char sql[] =
        "SELECT name,epoch,spec,phase,stopping,last,round,version,lambda,uplink_bytes,uplink_dense_bytes,"
        "uplink_header_bytes,downlink_bytes,downlink_dense_bytes,downlink_header_bytes FROM runs"
        " ORDER BY name";
    struct run_visitor visitor = {visit, user};

    return each_row(fl_query_begin(store_of(calls)->database, sql), take_run, &visitor);
}

struct version_visitor {
    fl_version_visit_fn visit;
    void *user;
};

static enum fl_status take_version(struct fl_query *query, void *visitor)
{
    struct version_visitor *to = visitor;
    struct fl_version_row row;
    enum fl_status st;

    row.number = fl_query_take_u64(query);
    st = fl_query_copy_blob(query, row.digest.bytes, sizeof row.digest.bytes);
    if (st)
        return st;
    row.lambda_down = fl_query_take_f64(query);
    row.weight = fl_query_take_u64(query);
    st = fl_query_copy_text(query, row.state_blob, sizeof row.state_blob);
    return st ? st : to->visit(to->user, &row);
}

static enum fl_status versions(struct fl_store *calls, struct fl_run_key run, fl_version_visit_fn visit,
                               void *user)
{
    static const char sql[] = "SELECT number,digest,lambda_down,weight,state_blob FROM versions"
                              " WHERE run=? AND epoch=? ORDER BY number";
    struct version_visitor visitor = {visit, user};

    return each_row(begin_of_run(store_of(calls), sql, run), take_version, &visitor);
}

struct round_visitor {
    fl_round_visit_fn visit;
    void *user;
};

static enum fl_status take_round(struct fl_query *query, void *visitor)
{
    struct round_visitor *to = visitor;
    struct fl_round_status row = {.closed = 1};
    int kind;
    enum fl_status st;

    row.round = fl_query_take_u64(query);
    st = take_word(query, kind_names, 2, &kind);
    if (st)
        return st;
    row.kind = (enum fl_work_kind)kind;
    row.accepted = fl_query_take_u64(query);
    row.target = fl_query_take_u64(query);
    row.metrics.examples = fl_query_take_u64(query);
    row.metrics.correct = fl_query_take_u64(query);
    row.metrics.loss_sum = fl_query_take_f64(query);
    row.train_loss = fl_query_take_f64(query);
    row.density = fl_query_take_f64(query);
    row.residual_norm = fl_query_take_f64(query);
    row.published = fl_query_take_u64(query);
    row.uplink_bytes = fl_query_take_u64(query);
    row.downlink_bytes = fl_query_take_u64(query);
    row.duration_ms = fl_query_take_u64(query);
    return to->visit(to->user, &row);
}

static enum fl_status rounds(struct fl_store *calls, struct fl_run_key run, fl_round_visit_fn visit,
                             void *user)
{
    static const char sql[] =
        "SELECT round,kind,accepted,target,examples,correct,loss_sum,train_loss,density,residual_norm,"
        "published,uplink_bytes,downlink_bytes,duration_ms FROM rounds WHERE run=? AND epoch=? ORDER BY "
        "round";
    struct round_visitor visitor = {visit, user};

    return each_row(begin_of_run(store_of(calls), sql, run), take_round, &visitor);
}

struct assignment_visitor {
    fl_assignment_visit_fn visit;
    void *user;
};

static enum fl_status take_assignment(struct fl_query *query, void *visitor)
{
    struct assignment_visitor *to = visitor;
    struct fl_assignment_row row;
    enum fl_status st;

    row.round = fl_query_take_u64(query);
    st = fl_query_copy_text(query, row.client, sizeof row.client);
    return st ? st : to->visit(to->user, &row);
}

static enum fl_status assignments(struct fl_store *calls, struct fl_run_key run, uint64_t min_round,
                                  fl_assignment_visit_fn visit, void *user)
{
    static const char sql[] = "SELECT round,client FROM assignments WHERE run=? AND epoch=? AND round>=?"
                              " ORDER BY round,client";
    struct assignment_visitor visitor = {visit, user};
    struct fl_query *query = begin_of_run(store_of(calls), sql, run);

    fl_query_put_u64(query, min_round);
    return each_row(query, take_assignment, &visitor);
}

struct receipt_visitor {
    fl_receipt_visit_fn visit;
    void *user;
};

static enum fl_status take_receipt(struct fl_query *query, void *visitor)
{
    struct receipt_visitor *to = visitor;
    struct fl_receipt_row row;
    int verdict, kind;
    enum fl_status st = fl_query_copy_text(query, row.client, sizeof row.client);

    if (st)
        return st;
    row.seq = fl_query_take_u64(query);
    st = fl_query_copy_blob(query, row.digest, sizeof row.digest);
    if (!st)
        st = take_word(query, verdict_names, 4, &verdict);
    if (!st) {
        row.reason = fl_query_take_text(query);
        st = take_word(query, kind_names, 2, &kind);
    }
    if (st)
        return st;
    row.verdict = (enum fl_verdict_kind)verdict;
    row.kind = (enum fl_work_kind)kind;
    row.round = fl_query_take_u64(query);
    row.applied = !fl_query_is_null(query);
    row.applied_round = fl_query_take_u64(query);
    row.weight = fl_query_take_u64(query);
    row.body_bytes = fl_query_take_u64(query);
    row.sent = fl_query_take_u64(query);
    row.train_loss = fl_query_take_f64(query);
    row.delta_squares = fl_query_take_f64(query);
    row.residual_norm = fl_query_take_f64(query);
    row.dropped = fl_query_take_u64(query);
    row.metrics.examples = fl_query_take_u64(query);
    row.metrics.correct = fl_query_take_u64(query);
    row.metrics.loss_sum = fl_query_take_f64(query);
    return to->visit(to->user, &row);
}

static enum fl_status receipts(struct fl_store *calls, struct fl_run_key run, fl_receipt_visit_fn visit,
                               void *user)
{
    static const char sql[] =
        "SELECT client,seq,digest,verdict,reason,kind,round,applied_round,weight,body_bytes,sent,train_loss,"
        "delta_squares,residual_norm,dropped,examples,correct,loss_sum FROM receipts"
        " WHERE run=? AND epoch=? ORDER BY client,seq";
    struct receipt_visitor visitor = {visit, user};

    return each_row(begin_of_run(store_of(calls), sql, run), take_receipt, &visitor);
}

/* --- writes --- */

static enum fl_status finish(struct fl_store *calls, struct fl_query *query, const char *what)
{
    return log_failure(store_of(calls), what, fl_query_run(query));
}

static enum fl_status client_put(struct fl_store *calls, const struct fl_client_row *row)
{
    static const char sql[] = "INSERT OR REPLACE INTO clients VALUES(?,?,?,?,?,?)";
    struct fl_query *query = fl_query_begin(store_of(calls)->database, sql);

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
    struct fl_query *query = fl_query_begin(store_of(calls)->database, sql);

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
    struct fl_query *query = fl_query_begin(store_of(calls)->database, sql);

    fl_query_put_text(query, token);
    fl_query_put_blob(query, key, FL_DIGEST_SIZE);
    fl_query_put_text(query, client);
    fl_query_put_blob(query, chain.data, chain.size);
    return finish(calls, query, "enrolment_put");
}

static enum fl_status enrolment_get(struct fl_store *calls, const char *token,
                                    const uint8_t key[FL_DIGEST_SIZE],
                                    char ret_client[FL_LIMIT_NAME_BYTES + 1], struct fl_buf *chain)
{
    static const char sql[] = "SELECT client,chain FROM enrolments WHERE token=? AND key=?";
    struct fl_query *query = fl_query_begin(store_of(calls)->database, sql);
    enum fl_status st;
    int row = 0;

    fl_query_put_text(query, token);
    fl_query_put_blob(query, key, FL_DIGEST_SIZE);
    st = fl_query_step(query, &row);
    if (!st && !row)
        st = FL_ERR_NOT_FOUND;
    if (!st)
        st = fl_query_copy_text(query, ret_client, FL_LIMIT_NAME_BYTES + 1);
    if (!st) {
        struct fl_bytes bytes = fl_query_take_blob(query);
        st = fl_buf_append(chain, bytes.data, bytes.size);
    }
    fl_query_end(query);
    return st;
}

static void put_run_state(struct fl_query *query, const struct fl_run_row *row)
{
    fl_query_put_text(query, phase_names[row->phase]);
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
    static const char sql[] = "INSERT INTO runs VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
    struct fl_query *query = fl_query_begin(store_of(calls)->database, sql);

    fl_query_put_text(query, row->name);
    fl_query_put_u64(query, row->epoch);
    fl_query_put_text(query, row->spec);
    put_run_state(query, row);
    return finish(calls, query, "run_create");
}

static enum fl_status run_update(struct fl_store *calls, const struct fl_run_row *row)
{
    static const char sql[] =
        "UPDATE runs SET phase=?,stopping=?,last=?,round=?,version=?,lambda=?,uplink_bytes=?,"
        "uplink_dense_bytes=?,uplink_header_bytes=?,downlink_bytes=?,downlink_dense_bytes=?,"
        "downlink_header_bytes=? WHERE name=? AND epoch=?";
    struct fl_query *query = fl_query_begin(store_of(calls)->database, sql);

    put_run_state(query, row);
    fl_query_put_text(query, row->name);
    fl_query_put_u64(query, row->epoch);
    return finish(calls, query, "run_update");
}

static enum fl_status version_put(struct fl_store *calls, struct fl_run_key run,
                                  const struct fl_version_row *row)
{
    static const char sql[] = "INSERT INTO versions VALUES(?,?,?,?,?,?,?)";
    struct fl_query *query = begin_of_run(store_of(calls), sql, run);

    fl_query_put_u64(query, row->number);
    fl_query_put_blob(query, row->digest.bytes, sizeof row->digest.bytes);
    fl_query_put_f64(query, row->lambda_down);
    fl_query_put_u64(query, row->weight);
    fl_query_put_text(query, row->state_blob[0] ? row->state_blob : NULL);
    return finish(calls, query, "version_put");
}

static enum fl_status version_drop_blob(struct fl_store *calls, struct fl_run_key run, uint64_t number)
{
    static const char sql[] = "UPDATE versions SET state_blob=NULL WHERE run=? AND epoch=? AND number=?";
    struct fl_query *query = begin_of_run(store_of(calls), sql, run);

    fl_query_put_u64(query, number);
    return finish(calls, query, "version_drop_blob");
}

static enum fl_status round_put(struct fl_store *calls, struct fl_run_key run,
                                const struct fl_round_status *row)
{
    static const char sql[] = "INSERT INTO rounds VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
    struct fl_query *query = begin_of_run(store_of(calls), sql, run);

    fl_query_put_u64(query, row->round);
    fl_query_put_text(query, kind_names[row->kind]);
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
    struct fl_query *query = begin_of_run(store_of(calls), sql, run);

    fl_query_put_u64(query, row->round);
    fl_query_put_text(query, row->client);
    return finish(calls, query, "assignment_put");
}

/* Writes a payload too large for its row; its name goes to ret_name. */
static enum fl_status write_payload(struct store *store, struct fl_run_key run,
                                    const struct fl_receipt_row *row, struct fl_bytes payload,
                                    char ret_name[FL_BLOB_NAME_BYTES])
{
    enum fl_status st;

    snprintf(ret_name, FL_BLOB_NAME_BYTES, "%s.%llu.%s.%llu.update", run.name, (unsigned long long)run.epoch,
             row->client, (unsigned long long)row->seq);
    st = names_add(&store->written, ret_name);
    return st ? st : fl_blobs_write(store->blobs, ret_name, &payload, 1);
}

static enum fl_status receipt_put(struct fl_store *calls, struct fl_run_key run,
                                  const struct fl_receipt_row *row, struct fl_bytes payload)
{
    static const char sql[] = "INSERT INTO receipts VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
    struct store *store = store_of(calls);
    char blob[FL_BLOB_NAME_BYTES];
    int in_row = payload.size <= ROW_PAYLOAD_BYTES;

    if (!in_row) {
        enum fl_status st = write_payload(store, run, row, payload, blob);
        if (st)
            return st;
    }
    struct fl_query *query = begin_of_run(store, sql, run);
    fl_query_put_text(query, row->client);
    fl_query_put_u64(query, row->seq);
    fl_query_put_blob(query, row->digest, sizeof row->digest);
    fl_query_put_text(query, verdict_names[row->verdict]);
    fl_query_put_text(query, row->reason);
    fl_query_put_text(query, kind_names[row->kind]);
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
    return finish(calls, query, "receipt_put");
}

static enum fl_status receipts_freeze(struct fl_store *calls, struct fl_run_key run, uint64_t round)
{
    static const char sql[] = "UPDATE receipts SET applied_round=?3 WHERE run=?1 AND epoch=?2"
                              " AND verdict='accepted' AND applied_round IS NULL";
    struct fl_query *query = begin_of_run(store_of(calls), sql, run);

    fl_query_put_u64(query, round);
    return finish(calls, query, "receipts_freeze");
}

static enum fl_status note_dropped(struct fl_query *query, void *visitor)
{
    struct store *store = visitor;

    return names_add(&store->dropped, fl_query_take_text(query));
}

static enum fl_status payloads_drop(struct fl_store *calls, struct fl_run_key run, uint64_t round)
{
    static const char sql_blobs[] = "SELECT payload_blob FROM receipts WHERE run=? AND epoch=?"
                                    " AND applied_round=? AND payload_blob IS NOT NULL";
    static const char sql[] = "UPDATE receipts SET payload=NULL,payload_blob=NULL"
                              " WHERE run=? AND epoch=? AND applied_round=?";
    struct store *store = store_of(calls);
    struct fl_query *query = begin_of_run(store, sql_blobs, run);
    enum fl_status st;

    fl_query_put_u64(query, round);
    st = each_row(query, note_dropped, store);
    if (st)
        return log_failure(store, "payloads_drop", st);
    query = begin_of_run(store, sql, run);
    fl_query_put_u64(query, round);
    return finish(calls, query, "payloads_drop");
}

/* --- payloads and blobs, any thread --- */

static enum fl_status payload_get(struct fl_store *calls, struct fl_run_key run, const char *client,
                                  uint64_t seq, struct fl_buf *payload)
{
    static const char sql[] = "SELECT payload_blob,payload FROM receipts"
                              " WHERE run=? AND epoch=? AND client=? AND seq=?";
    struct store *store = store_of(calls);
    struct fl_query *query = begin_of_run(store, sql, run);
    char blob[FL_BLOB_NAME_BYTES] = "";
    enum fl_status st;
    int row = 0;

    fl_query_put_text(query, client);
    fl_query_put_u64(query, seq);
    st = fl_query_step(query, &row);
    if (!st && !row)
        st = FL_ERR_NOT_FOUND;
    if (!st)
        st = fl_query_copy_text(query, blob, sizeof blob);
    if (!st && !blob[0]) {
        struct fl_bytes bytes = fl_query_take_blob(query);
        st = bytes.data ? fl_buf_append(payload, bytes.data, bytes.size) : FL_ERR_NOT_FOUND;
    }
    fl_query_end(query);
    if (!st && blob[0])
        st = fl_blobs_read(store->blobs, blob, payload);
    return st;
}

static enum fl_status blob_write(struct fl_store *calls, const char *name, const struct fl_bytes *parts,
                                 size_t count)
{
    return fl_blobs_write(store_of(calls)->blobs, name, parts, count);
}

static enum fl_status blob_read(struct fl_store *calls, const char *name, struct fl_buf *blob)
{
    return fl_blobs_read(store_of(calls)->blobs, name, blob);
}

static void blob_remove(struct fl_store *calls, const char *name)
{
    fl_blobs_remove(store_of(calls)->blobs, name);
}

static enum fl_status is_wanted(void *user, const char *name, int *ret_wanted)
{
    static const char sql[] = "SELECT 1 FROM versions WHERE state_blob=?1"
                              " UNION ALL SELECT 1 FROM receipts WHERE payload_blob=?1";
    struct store *store = user;
    struct fl_query *query = fl_query_begin(store->database, sql);
    enum fl_status st;

    fl_query_put_text(query, name);
    st = fl_query_step(query, ret_wanted);
    fl_query_end(query);
    return st;
}

static enum fl_status blob_sweep(struct fl_store *calls)
{
    return fl_blobs_sweep(store_of(calls)->blobs, is_wanted, store_of(calls));
}

/* --- open and close --- */

static const struct fl_store calls_table = {
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .clients = clients,
    .tokens = tokens,
    .runs = runs,
    .versions = versions,
    .rounds = rounds,
    .assignments = assignments,
    .receipts = receipts,
    .client_put = client_put,
    .token_put = token_put,
    .enrolment_put = enrolment_put,
    .enrolment_get = enrolment_get,
    .run_create = run_create,
    .run_update = run_update,
    .version_put = version_put,
    .version_drop_blob = version_drop_blob,
    .round_put = round_put,
    .assignment_put = assignment_put,
    .receipt_put = receipt_put,
    .receipts_freeze = receipts_freeze,
    .payloads_drop = payloads_drop,
    .payload_get = payload_get,
    .blob_write = blob_write,
    .blob_read = blob_read,
    .blob_remove = blob_remove,
    .blob_sweep = blob_sweep,
};

/* Makes the tables of a new database; refuses one that a newer program made. */
static enum fl_status prepare_schema(struct store *store, const char *path, struct fl_error *err)
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
    }
    return st ? fl_error_set(err, st, "%s: %s", path, fl_database_error(store->database)) : FL_OK;
}

enum fl_status fl_store_open(const char *path, const char *blob_dir, struct fl_error *err,
                             struct fl_store **ret_store)
{
    struct store *store = calloc(1, sizeof *store);
    enum fl_status st;

    if (!store)
        return fl_error_nomem(err);
    store->calls = calls_table;
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

void fl_store_close(struct fl_store *calls)
{
    if (!calls)
        return;
    struct store *store = store_of(calls);
    fl_database_close(store->database);
    fl_blobs_close(store->blobs);
    free(store->written.items);
    free(store->dropped.items);
    free(store);
}
