/* Reading rows: one visitor a table. */
#include "server/port/store_parts.h"

#include <string.h>

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

    return each_row(fl_query_begin(fl_sqlite_store_of(calls)->database, sql), take_client, &visitor);
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

    return each_row(fl_query_begin(fl_sqlite_store_of(calls)->database, sql), take_token, &visitor);
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
    st = take_word(query, fl_store_phases, 4, &phase);
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
    row.origin = fl_query_take_u64(query);
    row.restores = fl_query_take_u64(query);
    return to->visit(to->user, &row);
}

static enum fl_status runs(struct fl_store *calls, fl_run_visit_fn visit, void *user)
{
    static const char sql[] =
        "SELECT name,epoch,spec,phase,stopping,last,round,version,lambda,uplink_bytes,uplink_dense_bytes,"
        "uplink_header_bytes,downlink_bytes,downlink_dense_bytes,downlink_header_bytes,origin,restores FROM "
        "runs"
        " ORDER BY name";
    struct run_visitor visitor = {visit, user};

    return each_row(fl_query_begin(fl_sqlite_store_of(calls)->database, sql), take_run, &visitor);
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

    return each_row(fl_sqlite_store_query(fl_sqlite_store_of(calls), sql, run), take_version, &visitor);
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
    st = take_word(query, fl_store_kinds, 2, &kind);
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

    return each_row(fl_sqlite_store_query(fl_sqlite_store_of(calls), sql, run), take_round, &visitor);
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
    struct fl_query *query = fl_sqlite_store_query(fl_sqlite_store_of(calls), sql, run);

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
        st = take_word(query, fl_store_verdicts, 4, &verdict);
    if (!st) {
        row.reason = fl_query_take_text(query);
        st = take_word(query, fl_store_kinds, 2, &kind);
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
    row.epoch = fl_query_take_u64(query);
    row.total = fl_query_take_u64(query);
    return to->visit(to->user, &row);
}

static enum fl_status receipts(struct fl_store *calls, struct fl_run_key run, fl_receipt_visit_fn visit,
                               void *user)
{
    static const char sql[] =
        "SELECT client,seq,digest,verdict,reason,kind,round,applied_round,weight,body_bytes,sent,train_loss,"
        "delta_squares,residual_norm,dropped,examples,correct,loss_sum,judged_epoch,total FROM receipts"
        " WHERE run=? AND epoch=? ORDER BY client,seq";
    struct receipt_visitor visitor = {visit, user};

    return each_row(fl_sqlite_store_query(fl_sqlite_store_of(calls), sql, run), take_receipt, &visitor);
}

static enum fl_status enrolment_get(struct fl_store *calls, const char *token,
                                    const uint8_t key[FL_DIGEST_SIZE],
                                    char ret_client[FL_LIMIT_NAME_BYTES + 1], struct fl_buf *chain)
{
    static const char sql[] = "SELECT client,chain FROM enrolments WHERE token=? AND key=?";
    struct fl_query *query = fl_query_begin(fl_sqlite_store_of(calls)->database, sql);
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

void fl_store_read_calls(struct fl_store *calls)
{
    calls->clients = clients;
    calls->tokens = tokens;
    calls->runs = runs;
    calls->versions = versions;
    calls->rounds = rounds;
    calls->assignments = assignments;
    calls->receipts = receipts;
    calls->enrolment_get = enrolment_get;
}
