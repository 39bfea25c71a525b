#include "test.h"

#include "bench.h"

#include <math.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/codec.h"
#include "codec/payload.h"
#include "faulty_store.h"
#include "server/core/published.h"
#include "server/port/store_sqlite.h"

static uint64_t env_monotonic(void *user)
{
    return ((struct bench *)user)->now_ms;
}

static int64_t env_wall(void *user)
{
    return (int64_t)((struct bench *)user)->now_ms + 1700000000000;
}

static void env_entropy(void *user, uint8_t *ret_bytes, size_t size)
{
    struct bench *bench = user;

    for (size_t i = 0; i < size; i++)
        ret_bytes[i] = (uint8_t)fl_random_u32(&bench->random);
}

static void env_sha256(void *user, struct fl_bytes data, uint8_t ret_digest[FL_DIGEST_SIZE])
{
    (void)user;
    fl_sha256(data, ret_digest);
}

static void env_hmac(void *user, struct fl_bytes key, struct fl_bytes data, uint8_t ret_mac[FL_DIGEST_SIZE])
{
    (void)user;
    fl_hmac_sha256(key, data, ret_mac);
}

/* A reference to the body, or to a copy in memory of one that is not. */
static struct fl_shared *hold_body(struct fl_shared *body)
{
    struct fl_shared *copy;
    struct fl_buf bytes;
    uint8_t *at;

    if (fl_shared_view(body).size == fl_shared_size(body))
        return fl_shared_ref(body);
    fl_buf_init(&bytes, SIZE_MAX);
    assert_ok(fl_buf_extend(&bytes, fl_shared_size(body), &at));
    assert_ok(fl_shared_read(body, 0, at, bytes.size));
    assert_ok(fl_shared_new(&bytes, &copy));
    return copy;
}

static void hold_answer(void *user, uint64_t ticket, const struct fl_reply *reply)
{
    struct bench *bench = user;
    struct bench_answer *answer = &bench->held[bench->held_count];

    assert_true(bench->held_count < BENCH_ANSWERS);
    bench->held_count++;
    memset(answer, 0, sizeof *answer);
    answer->ticket = ticket;
    answer->http_status = reply->http_status;
    answer->error = reply->error;
    snprintf(answer->text, sizeof answer->text, "%s", reply->text ? reply->text : "");
    answer->body = hold_body(reply->body);
    answer->in_parts = reply->in_parts;
    answer->version = reply->version;
    snprintf(answer->token, sizeof answer->token, "%s", reply->token ? reply->token : "");
    answer->run_count = reply->run_count;
    if (reply->run_count > 0)
        answer->run = reply->runs[0];
    answer->round_count = reply->round_count;
    for (size_t i = 0; i < reply->round_count && i < 16; i++)
        answer->rounds[i] = reply->rounds[i];
    answer->client_count = reply->client_count;
}

static void hold_job(void *user, struct fl_job *job)
{
    struct bench *bench = user;

    assert_true(bench->started_count < 8);
    bench->started[bench->started_count++] = job;
}

static enum fl_status issue(void *user, struct fl_bytes public_key, const char *client_id,
                            struct fl_buf *chain)
{
    struct bench *bench = user;

    (void)public_key;
    if (bench->issue_fails)
        return FL_ERR_CRYPTO;
    return fl_buf_printf(chain, "CERTIFICATE %u OF %s", ++bench->issued, client_id);
}

static void open_server(struct bench *bench)
{
    static const uint8_t mac_key[FL_DIGEST_SIZE] = "a key for receipts in this test";
    struct fl_error err;

    if (!bench->store) {
        char path[100], blobs[100];
        snprintf(path, sizeof path, "%s/server.sqlite", bench->dir);
        snprintf(blobs, sizeof blobs, "%s/blobs", bench->dir);
        assert_ok(fl_store_open(bench->dir[0] ? path : ":memory:", bench->dir[0] ? blobs : NULL, &err,
                                &bench->store));
        if (bench->dir[0])
            assert_ok(fl_store_guard(bench->store, bench->dir, &err));
        bench->faulty = faulty_store_new(bench->store);
    }
    assert_ok(fl_server_new(&bench->env, bench->faulty, fl_kernels_pick(), &bench->effects, mac_key,
                            &bench->server));
    if (bench->snapshots.kept)
        fl_server_limit_snapshots(bench->server, &bench->snapshots);
}

/* In memory when there is enough of it for a large model's versions: containers have 64 MiB. */
static int has_room(const char *folder)
{
    struct statvfs fs;

    return access(folder, W_OK) == 0 && statvfs(folder, &fs) == 0 &&
           (uint64_t)fs.f_bavail * fs.f_frsize >= (uint64_t)256 << 20;
}

void bench_init(struct bench *bench, int on_disk)
{
    memset(bench, 0, sizeof *bench);
    fl_log_set_level(FL_LOG_ERROR + 1);
    bench->env = (struct fl_env){bench, env_monotonic, env_wall, env_entropy, env_sha256, env_hmac};
    bench->effects = (struct fl_server_effects){bench, hold_answer, hold_job, issue};
    fl_random_init(&bench->random, 77, 0);
    bench->now_ms = 1000;
    bench->snapshots = (struct fl_snapshot_limits){1000, FL_SNAPSHOTS_KEEP_MS}; /* always the newest */
    if (on_disk) {
        /* in memory where there is such a folder: hundreds of runs fsync here */
        strcpy(bench->dir, has_room("/dev/shm") ? "/dev/shm/fl-server-XXXXXX" : "/tmp/fl-server-XXXXXX");
        assert_non_null(mkdtemp(bench->dir));
    }
    for (size_t i = 0; i < BENCH_CLIENTS; i++)
        fl_buf_init(&bench->clients[i].pending, 1 << 20);
    open_server(bench);
}

static void drop_answers(struct bench_answer *answers, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        fl_shared_unref(answers[i].body);
    *count = 0;
}

void bench_close(struct bench *bench)
{
    if (!bench->server)
        return;
    fl_server_free(bench->server);
    bench->server = NULL;
    bench->started_count = bench->done_count = 0;
    drop_answers(bench->held, &bench->held_count);
    for (size_t i = 0; i < BENCH_CLIENTS; i++)
        bench->clients[i].waiting = bench->clients[i].sent = 0; /* connections are gone */
    bench->request_count = 0;
    if (bench->dir[0]) {
        faulty_store_free(bench->faulty);
        fl_store_close(bench->store);
        bench->store = NULL;
    } else {
        bench->store->rollback(bench->store); /* what lives in memory cannot be opened again */
    }
}

void bench_done(struct bench *bench)
{
    char command[100];

    bench_close(bench);
    if (!bench->dir[0]) {
        faulty_store_free(bench->faulty);
        fl_store_close(bench->store);
    }
    drop_answers(bench->answers, &bench->answer_count);
    for (size_t i = 0; i < BENCH_CLIENTS; i++)
        fl_buf_done(&bench->clients[i].pending);
    if (bench->dir[0]) {
        snprintf(command, sizeof command, "rm -rf %s", bench->dir);
        assert_int_equal(system(command), 0);
    }
}

void bench_fail_write(struct bench *bench, long n)
{
    faulty_store_fail(bench->faulty, n);
}

int bench_write_has_failed(const struct bench *bench)
{
    return faulty_store_has_failed(bench->faulty);
}

void bench_restart(struct bench *bench)
{
    bench_close(bench);
    open_server(bench);
}

uint64_t bench_request(struct bench *bench, enum fl_request_kind kind, const char *run, int client,
                       struct fl_request **ret_request)
{
    struct fl_request *request = &bench->requests[bench->request_count];

    assert_true(bench->request_count < BENCH_REQUESTS);
    bench->request_count++;
    memset(request, 0, sizeof *request);
    request->kind = kind;
    request->ticket = ++bench->tickets;
    snprintf(request->run, sizeof request->run, "%s", run);
    if (client >= 0)
        memcpy(request->key, bench->clients[client].key, FL_DIGEST_SIZE);
    if (ret_request)
        *ret_request = request;
    return request->ticket;
}

static void let_out(struct bench *bench)
{
    for (size_t i = 0; i < bench->held_count; i++) {
        if (bench->answer_count == BENCH_ANSWERS) {
            fl_shared_unref(bench->answers[0].body);
            memmove(bench->answers, bench->answers + 1, (BENCH_ANSWERS - 1) * sizeof bench->answers[0]);
            bench->answer_count--;
        }
        bench->answers[bench->answer_count++] = bench->held[i];
    }
    bench->held_count = 0;
    if (bench->hold_jobs)
        return;
    for (size_t i = 0; i < bench->started_count; i++) {
        fl_job_run(bench->started[i]);
        bench->done[bench->done_count++] = bench->started[i];
    }
    bench->started_count = 0;
}

/* As a port does after a failed begin or commit: every request of the turn gets a 503. */
static void fail_turn(struct bench *bench)
{
    for (size_t c = 0; c < BENCH_CLIENTS; c++) {
        for (size_t i = 0; i < bench->request_count; i++) {
            if (bench->clients[c].waiting == bench->requests[i].ticket)
                bench->clients[c].waiting = 0;
            if (bench->clients[c].sent == bench->requests[i].ticket)
                bench->clients[c].sent = 0;
        }
        for (size_t i = 0; i < bench->held_count; i++)
            if (bench->clients[c].waiting == bench->held[i].ticket)
                bench->clients[c].waiting = 0;
    }
    drop_answers(bench->held, &bench->held_count);
    bench->started_count = 0;
}

enum fl_status bench_turn(struct bench *bench, uint64_t advance_ms)
{
    enum fl_status st;

    bench->now_ms += advance_ms;
    bench->turns++;
    st = fl_server_begin(bench->server);
    if (!st) {
        for (size_t i = 0; i < bench->request_count; i++)
            fl_server_handle(bench->server, &bench->requests[i]);
        for (size_t i = 0; i < bench->done_count; i++)
            fl_server_job_done(bench->server, bench->done[i]);
        bench->done_count = 0;
        bench->next_ms = fl_server_tick(bench->server);
        if (bench->turns == bench->crash_at && bench->crash == BENCH_CRASH_BEFORE_COMMIT) {
            bench_restart(bench);
            return FL_ERR_STOPPED;
        }
        st = fl_server_commit(bench->server);
    }
    if (bench->turns == bench->crash_at && bench->crash != BENCH_NO_CRASH) {
        bench_restart(bench);
        return FL_ERR_STOPPED;
    }
    if (st)
        fail_turn(bench);
    else
        let_out(bench);
    bench->request_count = 0;
    return st;
}

const struct bench_answer *bench_answer(const struct bench *bench, uint64_t ticket)
{
    for (size_t i = bench->answer_count; i-- > 0;)
        if (bench->answers[i].ticket == ticket)
            return &bench->answers[i];
    return NULL;
}

const struct bench_answer *bench_ask(struct bench *bench, enum fl_request_kind kind, const char *run,
                                     int client)
{
    uint64_t ticket = bench_request(bench, kind, run, client, NULL);

    assert_ok(bench_turn(bench, 1));
    const struct bench_answer *answer = bench_answer(bench, ticket);
    assert_non_null(answer);
    return answer;
}

void bench_enrol(struct bench *bench, size_t count)
{
    struct fl_request *request;
    char token[FL_LIMIT_TOKEN_BYTES + 1];
    uint64_t ticket = bench_request(bench, FL_REQUEST_TOKEN_CREATE, "", -1, &request);

    request->token_uses = count;
    request->token_ttl_ms = 60000;
    assert_ok(bench_turn(bench, 1));
    strcpy(token, bench_answer(bench, ticket)->token);
    bench->client_count = count;
    for (size_t i = 0; i < count; i++) {
        struct fl_enroll_request message = {.csr = fl_bytes_from_text("csr")};
        struct fl_enroll_answer answer;
        struct fl_buf body;
        fl_buf_init(&body, 4096);
        strcpy(message.token, token);
        snprintf(message.name, sizeof message.name, "client-%zu", i);
        assert_ok(fl_enroll_request_encode(&message, &body));
        memset(bench->clients[i].key, (int)(0x40 + i), FL_DIGEST_SIZE);
        ticket = bench_request(bench, FL_REQUEST_ENROLL, "", (int)i, &request);
        request->body = fl_buf_view(&body);
        assert_ok(bench_turn(bench, 1));
        assert_int_equal(bench_answer(bench, ticket)->http_status, 200);
        assert_ok(fl_enroll_answer_decode(fl_shared_view(bench_answer(bench, ticket)->body), &answer));
        strcpy(bench->clients[i].id, answer.client);
        fl_buf_done(&body);
    }
}

struct fl_run_spec bench_spec(const char *name, uint64_t clients, uint64_t rounds)
{
    struct fl_run_spec spec = {
        .model = {.kind = FL_MODEL_SOFTMAX, .inputs = 40, .outputs = 5, .seed = 3},
        .codec = {.name = "int-threshold", .lambda = 0x1p-6f},
        .step_shift = 1,
        .downlink_ratio = 0.25,
        .plan = {.steps = 20, .batch = 32, .learning_rate = 0.1f, .momentum = 0.9f, .seed = 9},
        .server_rate = 1,
        .rounds = rounds,
        .target = clients,
        .minimum = 1,
        .gather_ms = 100,
        .deadline_ms = 10000,
        .max_late = 1,
        .keep_updates = 1,
    };

    snprintf(spec.name, sizeof spec.name, "%s", name);
    return spec;
}

void bench_create_run(struct bench *bench, const struct fl_run_spec *spec)
{
    struct fl_request *request;
    uint64_t ticket = bench_request(bench, FL_REQUEST_RUN_CREATE, "", -1, &request);

    request->spec = *spec;
    assert_ok(bench_turn(bench, 1));
    assert_string_equal(bench_answer(bench, ticket)->text, "");
    assert_int_equal(bench_answer(bench, ticket)->http_status, 200);
}

struct fl_run_status bench_status(struct bench *bench, const char *run)
{
    return bench_ask(bench, FL_REQUEST_RUN_STATUS, run, -1)->run;
}

/* Codec parameters by which a payload of the run is made and read; shapes must outlive them. */
static struct fl_codec_params codec_params(const struct fl_run_spec *spec, float lambda, int32_t step_log2,
                                           struct fl_codec_tensor shapes[FL_LIMIT_TENSORS])
{
    struct fl_tensor tensors[FL_LIMIT_TENSORS];
    struct fl_codec_params params = {.id = fl_codec_find(spec->codec.name)->id,
                                     .lambda = lambda,
                                     .step_log2 = step_log2,
                                     .ratio = (double)spec->codec.ratio,
                                     .bits = spec->codec.bits,
                                     .bucket = spec->codec.bucket,
                                     .rank = spec->codec.rank,
                                     .tensors = shapes,
                                     .tensor_count = fl_model_spec_tensors(&spec->model, tensors),
                                     .dense_below = spec->dense_below};

    for (size_t i = 0; i < params.tensor_count; i++)
        shapes[i] =
            (struct fl_codec_tensor){tensors[i].shape[0], tensors[i].rank == 2 ? tensors[i].shape[1] : 1};
    return params;
}

struct fl_update bench_update(const struct fl_run_spec *spec, size_t client, const struct fl_work *work,
                              struct fl_buf *payload)
{
    size_t elems = (size_t)fl_model_spec_elems(&spec->model);
    struct fl_codec_tensor shapes[FL_LIMIT_TENSORS];
    struct fl_update update = {.kind = work->kind,
                               .round = work->round,
                               .base = work->base,
                               .weight = 10 + 7 * client,
                               .steps = work->plan.steps,
                               .train_loss = 0.5 + 0.25 * (double)client,
                               .residual_norm = (float)client,
                               .metrics = {.examples = 20, .correct = 10 + client, .loss_sum = 4.5}};
    struct fl_random random;
    float *p = malloc(elems * sizeof *p);

    fl_random_init(&random, 1000 + work->round, client);
    for (size_t i = 0; i < elems; i++) {
        float u = 2 * fl_random_float(&random) - 1;
        p[i] = i % 7 == 0 ? 0.4f * u * u * u : 0.02f * u; /* few large, many small */
        update.delta_squares += (double)p[i] * (double)p[i];
    }
    if (work->kind == FL_WORK_TRAIN) {
        struct fl_codec_params params = codec_params(spec, work->codec.lambda, work->codec.step_log2, shapes);
        assert_ok(fl_codec_encode(fl_kernels_pick(), &params, p, elems, payload));
        update.payload = fl_buf_view(payload);
    }
    free(p);
    return update;
}

void bench_update_body(const struct fl_run_spec *spec, size_t client, const struct fl_work *work,
                       struct fl_buf *body)
{
    struct fl_buf payload;
    struct fl_update update;

    fl_buf_init(&payload, 1 << 20);
    update = bench_update(spec, client, work, &payload);
    assert_ok(fl_update_encode(&update, body));
    fl_buf_done(&payload);
}

struct fl_work bench_get_work(struct bench *bench, const struct fl_run_spec *spec, size_t client)
{
    struct fl_request *request;
    uint64_t ticket = bench_request(bench, FL_REQUEST_WORK, spec->name, (int)client, &request);
    struct fl_work work;

    request->wait_ms = 60000;
    for (int i = 0; i < 10 && !bench_answer(bench, ticket); i++)
        assert_ok(bench_turn(bench, i == 0 ? 1 : spec->gather_ms));
    assert_non_null(bench_answer(bench, ticket));
    assert_int_equal(bench_answer(bench, ticket)->http_status, 200);
    assert_ok(fl_work_decode(fl_shared_view(bench_answer(bench, ticket)->body), &work));
    return work;
}

const struct bench_answer *bench_put(struct bench *bench, const char *run, size_t client, uint64_t seq,
                                     struct fl_bytes body)
{
    struct fl_request *request;
    uint64_t ticket = bench_request(bench, FL_REQUEST_UPDATE, run, (int)client, &request);

    request->seq = seq;
    request->body = body;
    assert_ok(bench_turn(bench, 1));
    assert_non_null(bench_answer(bench, ticket));
    return bench_answer(bench, ticket);
}

struct fl_verdict bench_verdict(const struct bench_answer *answer)
{
    struct fl_verdict verdict;

    assert_non_null(answer->body);
    assert_ok(fl_verdict_decode(fl_shared_view(answer->body), &verdict));
    return verdict;
}

/* --- clients that play a run to its end --- */

static void queue_client(struct bench *bench, const struct fl_run_spec *spec, size_t index)
{
    struct bench_client *client = &bench->clients[index];
    struct fl_request *request;

    if (client->has_work && client->pending_seq == 0) {
        fl_buf_clear(&client->pending);
        bench_update_body(spec, index, &client->work, &client->pending);
        client->pending_seq = client->work.seq;
        client->has_work = 0;
    }
    if (client->pending_seq > 0 && client->sent == 0) {
        client->sent = bench_request(bench, FL_REQUEST_UPDATE, spec->name, (int)index, &request);
        request->seq = client->pending_seq;
        request->body = fl_buf_view(&client->pending);
    } else if (client->pending_seq == 0 && client->waiting == 0 && !client->ended) {
        client->waiting = bench_request(bench, FL_REQUEST_WORK, spec->name, (int)index, &request);
        request->wait_ms = 5000;
    }
}

static void read_answers(struct bench *bench, size_t index)
{
    struct bench_client *client = &bench->clients[index];
    const struct bench_answer *answer = bench_answer(bench, client->waiting);

    if (client->waiting && answer) {
        client->waiting = 0;
        client->ended = answer->http_status == 410;
        if (answer->http_status == 200) {
            assert_ok(fl_work_decode(fl_shared_view(answer->body), &client->work));
            client->has_work = 1;
        }
    }
    answer = bench_answer(bench, client->sent);
    if (client->sent && answer) {
        struct fl_verdict verdict = bench_verdict(answer);
        assert_int_equal(verdict.kind, FL_VERDICT_ACCEPTED);
        assert_int_equal(verdict.seq, client->pending_seq);
        client->accepted++;
        client->pending_seq = client->sent = 0;
    }
}

void bench_play(struct bench *bench, const struct fl_run_spec *spec)
{
    for (int turn = 0; turn < 400; turn++) {
        size_t ended = 0;
        for (size_t i = 0; i < bench->client_count; i++) {
            if ((size_t)turn % 3 == i % 3) /* not all in the same turn */
                queue_client(bench, spec, i);
            ended += bench->clients[i].ended != 0;
        }
        if (ended == bench->client_count)
            return;
        (void)!bench_turn(bench, 50);
        for (size_t i = 0; i < bench->client_count; i++)
            read_answers(bench, i);
    }
    fail_msg("the run does not end");
}

/* --- the law --- */

struct audit {
    struct bench *bench;
    const struct fl_run_spec *spec;
    size_t elems;
    struct fl_run_row run;
    struct fl_version_row versions[64];
    size_t version_count;
    double *x;
    double *sum; /* of the version being replayed */
    uint64_t round, weight, receipts;
};

static enum fl_status audit_run(void *user, const struct fl_run_row *row)
{
    struct audit *audit = user;

    if (!strcmp(row->name, audit->spec->name))
        audit->run = *row;
    return FL_OK;
}

static enum fl_status audit_version(void *user, const struct fl_version_row *row)
{
    struct audit *audit = user;

    audit->versions[audit->version_count++] = *row;
    return FL_OK;
}

static void audit_open(struct audit *audit, struct bench *bench, const struct fl_run_spec *spec)
{
    memset(audit, 0, sizeof *audit);
    audit->bench = bench;
    audit->spec = spec;
    audit->elems = (size_t)fl_model_spec_elems(&spec->model);
    assert_ok(bench->store->runs(bench->store, audit_run, audit));
    struct fl_run_key key = {spec->name, audit->run.epoch};
    assert_ok(bench->store->versions(bench->store, key, audit_version, audit));
}

static struct fl_published *load_version(struct audit *audit, size_t number)
{
    struct fl_published *published;
    struct fl_version version = {audit->run.epoch, number, audit->versions[number].digest};

    assert_ok(fl_published_load(&audit->bench->env, audit->bench->store, audit->versions[number].state_blob,
                                &version, audit->elems, &published));
    return published;
}

static double *read_x(const struct audit *audit, const struct fl_published *published)
{
    double *x = malloc(audit->elems * sizeof *x);

    for (size_t chunk = 0; chunk < fl_state_chunks(audit->elems); chunk++)
        assert_ok(fl_state_read_x(audit->bench->store, published->blob, audit->elems, chunk,
                                  published->x_sums[chunk], x + chunk * FL_STATE_CHUNK_ELEMS));
    return x;
}

double *bench_read_x(struct bench *bench, const struct fl_run_spec *spec, struct fl_version *ret_version,
                     float **ret_x_hat)
{
    struct audit audit;

    audit_open(&audit, bench, spec);
    struct fl_published *published = load_version(&audit, audit.version_count - 1);
    double *x = read_x(&audit, published);
    *ret_version = published->version;
    if (ret_x_hat) {
        *ret_x_hat = malloc(audit.elems * sizeof(float));
        memcpy(*ret_x_hat, published->x_hat, audit.elems * sizeof(float));
    }
    fl_published_unref(published);
    return x;
}

static enum fl_status audit_receipt(void *user, const struct fl_receipt_row *row)
{
    struct audit *audit = user;
    struct fl_store *store = audit->bench->store;
    struct fl_run_key key = {audit->spec->name, audit->run.epoch};
    struct fl_payload payload = {0};
    struct fl_codec_tensor shapes[FL_LIMIT_TENSORS];
    struct fl_buf bytes;
    int log2 = 0;

    if (row->verdict != FL_VERDICT_ACCEPTED || row->kind == FL_WORK_CALIBRATE)
        return FL_OK;
    assert_true(row->applied); /* accepted implies applied */
    if (row->applied_round != audit->round)
        return FL_OK;
    if (fl_codec_find(audit->spec->codec.name)->on_grid)
        assert_ok(fl_lambda_log2(audit->run.lambda, &log2));
    struct fl_codec_params params =
        codec_params(audit->spec, audit->run.lambda, log2 + audit->spec->step_shift, shapes);
    fl_buf_init(&bytes, 1 << 20);
    assert_ok(store->payload_get(store, key, row->client, row->seq, &bytes));
    assert_ok(fl_payload_check(&params, audit->elems, fl_buf_view(&bytes), &payload));
    float *q = malloc(audit->elems * sizeof *q);
    fl_payload_decode(&payload, q);
    for (size_t i = 0; i < audit->elems; i++) /* on a grid exact: few and small multiples of a power of two */
        audit->sum[i] += (double)row->weight * (double)q[i];
    audit->weight += row->weight;
    audit->receipts++;
    free(q);
    fl_buf_done(&bytes);
    return FL_OK;
}

double *bench_replay_x(struct bench *bench, const struct fl_run_spec *spec, uint64_t *ret_receipts)
{
    struct audit audit;

    audit_open(&audit, bench, spec);
    struct fl_published *first = load_version(&audit, 0);
    struct fl_run_key key = {spec->name, audit.run.epoch};
    audit.x = read_x(&audit, first);
    audit.sum = malloc(audit.elems * sizeof *audit.sum);
    fl_published_unref(first);
    for (audit.round = 1; audit.round < audit.version_count; audit.round++) {
        memset(audit.sum, 0, audit.elems * sizeof *audit.sum);
        audit.weight = 0;
        assert_ok(bench->store->receipts(bench->store, key, audit_receipt, &audit));
        assert_int_equal(audit.weight, audit.versions[audit.round].weight);
        for (size_t i = 0; i < audit.elems && audit.weight > 0; i++)
            audit.x[i] -= spec->server_rate * (audit.sum[i] / (double)audit.weight);
    }
    free(audit.sum);
    *ret_receipts = audit.receipts;
    return audit.x;
}
