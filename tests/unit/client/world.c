#include "test.h"

#include <inttypes.h>
#include <math.h>

#include "base/log.h"
#include "base/random.h"
#include "client/core/vector.h"
#include "codec/downlink.h"
#include "fail_alloc.h"
#include "platform/crypto.h"
#include "world.h"

static uint64_t now(void *user)
{
    return ((struct world *)user)->now_ms;
}

static int64_t wall(void *user)
{
    (void)user;
    return 0;
}

static void entropy(void *user, uint8_t *ret_bytes, size_t size)
{
    struct world *w = user;
    for (size_t i = 0; i < size; i++)
        ret_bytes[i] = (uint8_t)fl_mix64(7, w->entropy++);
}

static void sha256(void *user, struct fl_bytes data, uint8_t ret_digest[FL_DIGEST_SIZE])
{
    (void)user;
    fl_sha256(data, ret_digest);
}

static void hmac(void *user, struct fl_bytes key, struct fl_bytes data, uint8_t ret_mac[FL_DIGEST_SIZE])
{
    (void)user;
    fl_hmac_sha256(key, data, ret_mac);
}

static struct fl_model_digest digest_of(const float *values, uint64_t elems)
{
    struct fl_digest_tree *tree;
    assert_ok(fl_digest_tree_new(elems, &tree));
    struct fl_model_digest digest = fl_digest_tree_get(tree, values);
    fl_digest_tree_free(tree);
    return digest;
}

void world_init(struct world *w, uint64_t rounds)
{
    world_init_hidden(w, rounds, 7);
}

void world_init_hidden(struct world *w, uint64_t rounds, uint32_t hidden)
{
    fl_log_set_level(FL_LOG_ERROR);
    *w = (struct world){
        .env = {.user = w,
                .monotonic_ms = now,
                .wall_ms = wall,
                .entropy = entropy,
                .sha256 = sha256,
                .hmac = hmac},
        .fail_alloc = -1,
        .round = 1,
        .rounds = rounds,
        .judge = FL_VERDICT_ACCEPTED,
        .work_kind = FL_WORK_TRAIN,
        .codec = "int-threshold",
        .info = {.name = "demo",
                 .epoch = 3,
                 .state = FL_RUN_ACTIVE,
                 .round = 1,
                 .rounds = rounds,
                 .model = {.kind = FL_MODEL_MLP,
                           .inputs = 5,
                           .outputs = 3,
                           .hidden_count = 1,
                           .hidden = {hidden},
                           .seed = 11}},
    };
    w->elems = fl_model_spec_elems(&w->info.model);
    w->x = calloc(w->elems, sizeof *w->x);
    w->x_before = calloc(w->elems, sizeof *w->x);
    w->accepted = calloc(w->elems, sizeof *w->accepted);
    fl_model_spec_init(&w->info.model, w->x);
    w->info.version = (struct fl_version){.epoch = 3, .digest = digest_of(w->x, w->elems)};
    strcpy(w->info.codec.name, w->codec);
    fl_buf_init(&w->answer, 1 << 20);
    w->options = (struct fl_client_options){.env = &w->env, .kernels = fl_kernels_pick(), .run = "demo"};
    w->options.poll_ms = 20000;
    w->options.keep_history = 1;
}

void world_done(struct world *w)
{
    fl_client_free(w->client);
    for (size_t i = 0; i < w->file_count; i++)
        free(w->files[i].data);
    for (size_t i = 0; i < w->sent_count; i++)
        fl_buf_done(&w->sent[i]);
    free(w->x);
    free(w->x_before);
    free(w->accepted);
    fl_buf_done(&w->answer);
}

void world_fault(struct world *w, enum fl_route_kind route, enum world_fault fault, unsigned count)
{
    w->fault_route = route;
    w->fault = fault;
    w->fault_count = count;
}

/* ---- store ---- */

static struct world_file *find(struct world *w, const char *name)
{
    for (size_t i = 0; i < w->file_count; i++)
        if (strcmp(w->files[i].name, name) == 0)
            return &w->files[i];
    return NULL;
}

static void put(struct world *w, const char *name, struct fl_bytes bytes)
{
    struct world_file *file = find(w, name);
    if (!file) {
        assert_true(w->file_count < WORLD_FILES);
        file = &w->files[w->file_count++];
        *file = (struct world_file){0};
        strcpy(file->name, name);
    }
    uint8_t *data = malloc(bytes.size + 1);
    memcpy(data, bytes.data, bytes.size);
    free(file->data);
    file->data = data;
    file->size = bytes.size;
}

struct world_file *world_find(struct world *w, const char *name)
{
    char path[FL_PATH_SIZE];
    struct fl_buf buf;
    if (!w->disk)
        return find(w, name);
    fl_buf_init(&buf, 1 << 20);
    assert_ok(fl_path_join(w->disk->dir, name, path, NULL));
    enum fl_status st = fl_file_read(path, &buf, NULL);
    if (!st)
        put(w, name, fl_buf_view(&buf));
    fl_buf_done(&buf);
    return st ? NULL : find(w, name);
}

void world_put_file(struct world *w, size_t i)
{
    if (w->disk) {
        assert_ok(fl_state_files_put(w->disk, &w->effect.files[i], NULL));
        return;
    }
    put(w, w->effect.files[i].name, w->effect.files[i].bytes);
}

void world_put_manifest(struct world *w)
{
    if (w->disk) {
        assert_ok(fl_state_files_publish(w->disk, &w->effect, NULL));
        return;
    }
    put(w, FL_MANIFEST_NAME, w->effect.manifest);
}

void world_sweep(struct world *w)
{
    if (w->disk) {
        assert_ok(fl_state_files_sweep(w->disk, w->client, NULL));
        return;
    }
    for (size_t i = 0; i < w->file_count;)
        if (fl_client_file_is_stale(w->client, w->files[i].name)) {
            free(w->files[i].data);
            w->files[i] = w->files[--w->file_count];
        } else
            i++;
}

static enum fl_status read_file(void *user, const char *name, struct fl_buf *buf)
{
    struct world_file *file = world_find(user, name);
    return file ? fl_buf_append(buf, file->data, file->size) : FL_ERR_NOT_FOUND;
}

struct fl_client_reader world_reader(struct world *w)
{
    if (w->disk)
        return fl_state_files_reader(w->disk);
    return (struct fl_client_reader){.user = w, .read = read_file};
}

/* ---- server ---- */

static struct fl_codec_spec codec_spec(const struct world *w)
{
    struct fl_codec_spec spec = {
        .lambda = 0x1p-6f, .step_log2 = WORLD_STEP_LOG2, .ratio = 0.125f, .bits = 3, .bucket = 16, .rank = 1};
    strcpy(spec.name, w->codec);
    if (strcmp(w->codec, "round-random") == 0) /* whose step is 2 lambda */
        spec.step_log2++;
    if (w->dense_below) {
        strcpy(spec.part, w->codec);
        strcpy(spec.name, FL_CODEC_SPEC_PARTS);
        spec.dense_below = w->dense_below;
    }
    return spec;
}

static void publish(struct world *w)
{
    memcpy(w->x_before, w->x, w->elems * sizeof *w->x);
    w->info.version.number++;
    for (uint64_t i = w->info.version.number % 3; i < w->elems; i += 3)
        w->x[i] -= 0.001f * (float)(w->info.version.number + i % 5);
    w->info.version.digest = digest_of(w->x, w->elems);
    w->round++;
    w->info.round = w->round;
    if (w->round > w->rounds)
        w->info.state = FL_RUN_ENDED;
}

static int answer_work(struct world *w)
{
    if (w->info.state == FL_RUN_ENDED) {
        assert_ok(fl_run_info_encode(&w->info, &w->answer));
        return 410;
    }
    struct fl_work work = {
        .kind = w->work_kind,
        .round = w->round,
        .base = w->info.version,
        .seq = w->last_seq + 1 + w->seq_shift,
        .deadline_ms = 60000,
        .plan = {.steps = 3, .batch = 4, .learning_rate = 0.1f, .momentum = 0.9f, .seed = w->round},
        .codec = codec_spec(w),
    };
    assert_ok(fl_work_encode(&work, &w->answer));
    return 200;
}

static int answer_model(struct world *w, enum world_fault fault)
{
    struct fl_model_message message = {.version = w->info.version, .elems = w->elems};
    struct fl_buf data;
    fl_buf_init(&data, 1 << 20);
    float *values = malloc(w->elems * sizeof *values);
    memcpy(values, w->x, w->elems * sizeof *values);
    if (fault == FAULT_BAD_DELTA || fault == FAULT_BAD_SNAPSHOT || fault == FAULT_BAD_DELTA_ALWAYS)
        values[1] += 1;
    int near = w->effect.has_have && w->effect.have.number + 1 == w->info.version.number;
    if (near || (w->effect.has_have && fault == FAULT_BAD_DELTA) || fault == FAULT_BAD_DELTA_ALWAYS) {
        uint32_t *indices = malloc(w->elems * sizeof *indices);
        size_t count = 0;
        for (uint32_t i = 0; i < w->elems; i++)
            if (values[i] != w->x_before[i]) {
                values[count] = values[i];
                indices[count++] = i;
            }
        assert_ok(fl_sparse_encode(indices, values, count, w->elems, &data));
        free(indices);
        message.form = FL_FORM_DELTA;
        message.from = w->effect.have;
    } else
        assert_ok(fl_buf_append(&data, values, w->elems * sizeof *values));
    free(values);
    message.data = fl_buf_view(&data);
    assert_ok(fl_model_message_encode(&message, &w->answer));
    fl_buf_done(&data);
    return 200;
}

/* v * 2^100, exact for |v| < 2^26 that is a multiple of 2^-100. */
static __int128 exact(float v)
{
    int exponent;
    double fraction = frexp((double)v, &exponent);
    __int128 mantissa = (__int128)(fraction * 0x1p24);
    int shift = exponent - 24 + 100;
    if (v == 0)
        return 0;
    assert_true(shift >= 0 && shift < 100);
    return mantissa * ((__int128)1 << shift);
}

/* What an accepted update says it sent. */
static void count_values(struct world *w, const struct fl_update *update)
{
    const struct fl_codec *codec = fl_codec_find(w->codec);
    struct fl_codec_spec spec = codec_spec(w);
    struct fl_tensor tensors[FL_LIMIT_TENSORS];
    struct fl_codec_tensor shapes[FL_LIMIT_TENSORS];
    struct fl_codec_params params = {.id = codec->id,
                                     .lambda = spec.lambda,
                                     .step_log2 = spec.step_log2,
                                     .ratio = (double)spec.ratio,
                                     .bits = spec.bits,
                                     .bucket = spec.bucket,
                                     .rank = spec.rank,
                                     .tensors = shapes,
                                     .tensor_count = fl_model_spec_tensors(&w->info.model, tensors),
                                     .dense_below = w->dense_below};
    struct fl_payload payload;
    if (update->kind == FL_WORK_CALIBRATE) {
        assert_int_equal(update->payload.size, 0);
        return;
    }
    for (size_t i = 0; i < params.tensor_count; i++)
        shapes[i] =
            (struct fl_codec_tensor){tensors[i].shape[0], tensors[i].rank == 2 ? tensors[i].shape[1] : 1};
    assert_ok(fl_payload_check(&params, w->elems, update->payload, &payload));
    assert_int_equal(payload.kind == FL_PAYLOAD_PARTS, w->dense_below > 0);
    if (!fl_codec_is_exact(codec))
        return;
    float *values = malloc(w->elems * sizeof *values);
    fl_payload_decode(&payload, values);
    for (uint64_t i = 0; i < w->elems; i++)
        w->accepted[i] += exact(values[i]);
    free(values);
}

static int answer_update(struct world *w)
{
    uint8_t digest[FL_DIGEST_SIZE];
    struct fl_update update;
    struct fl_verdict verdict = {.epoch = w->info.epoch, .seq = w->effect.route.seq, .round = w->round};
    assert_ok(fl_update_decode(w->effect.body, &update));
    fl_sha256(w->effect.body, digest);
    memcpy(verdict.digest, digest, sizeof digest);
    if (verdict.seq == w->last_seq && memcmp(digest, w->last_digest, sizeof digest) == 0) {
        assert_ok(fl_verdict_encode(&w->last_verdict, &w->answer));
        return w->last_verdict.kind == FL_VERDICT_ACCEPTED ? 200
                                                           : fl_verdict_http_status(w->last_verdict.kind);
    }
    verdict.kind = verdict.seq == w->last_seq + 1 ? w->judge : FL_VERDICT_CONFLICT;
    if ((w->effect.has_epoch ? w->effect.epoch : update.base.epoch) != w->info.epoch)
        verdict.kind = FL_VERDICT_CONFLICT;
    else if (update.base.epoch != w->info.epoch && verdict.kind != FL_VERDICT_CONFLICT)
        verdict.kind = FL_VERDICT_LATE;
    if (verdict.kind != FL_VERDICT_CONFLICT) {
        memset(verdict.receipt, (int)verdict.seq, sizeof verdict.receipt);
        w->last_seq = verdict.seq;
        memcpy(w->last_digest, digest, sizeof digest);
        verdict.expected_seq = w->last_seq + 1;
        w->total += verdict.kind == FL_VERDICT_ACCEPTED;
        verdict.total = w->total;
        w->last_verdict = verdict;
        if (verdict.kind == FL_VERDICT_ACCEPTED) {
            w->accepted_count++;
            count_values(w, &update);
        }
        publish(w);
    }
    verdict.expected_seq = w->last_seq + 1;
    assert_ok(fl_verdict_encode(&verdict, &w->answer));
    return fl_verdict_http_status(verdict.kind);
}

static int answer_receipt(struct world *w)
{
    struct fl_standing standing = {.epoch = w->info.epoch};
    assert_ok(fl_proof_decode(w->effect.body, &w->shown));
    if (w->shown.seq > w->last_seq && !w->forgets_key) { /* restored: it did not know */
        w->lost += w->shown.total - w->total;
        w->total = w->shown.total;
        w->last_seq = w->shown.seq;
        standing.state = FL_PROOF_LOST;
        if (w->shown.epoch >= w->info.epoch)
            standing.epoch = w->info.epoch = w->info.version.epoch = w->info.epoch + 1;
    } else
        standing.state = w->forgets_key ? FL_PROOF_UNPROVEN : w->lost ? FL_PROOF_LOST : FL_PROOF_KNOWN;
    standing.expected_seq = w->last_seq + 1 + w->seq_shift;
    standing.lost = w->lost;
    assert_ok(fl_standing_encode(&standing, &w->answer));
    return 200;
}

static int serve(struct world *w, enum world_fault fault)
{
    switch (w->effect.route.kind) {
    case FL_ROUTE_RUN:
        assert_ok(fl_run_info_encode(&w->info, &w->answer));
        return 200;
    case FL_ROUTE_WORK:
        return answer_work(w);
    case FL_ROUTE_MODEL:
        return answer_model(w, fault);
    case FL_ROUTE_UPDATE:
        return answer_update(w);
    case FL_ROUTE_RECEIPT:
        return answer_receipt(w);
    default:
        fail();
        return 0;
    }
}

static void spoil_verdict(struct world *w, enum world_fault fault)
{
    struct fl_verdict verdict;
    assert_ok(fl_verdict_decode(fl_buf_view(&w->answer), &verdict));
    verdict.epoch += fault == FAULT_WRONG_EPOCH;
    verdict.seq += fault == FAULT_WRONG_SEQ;
    verdict.digest[31] ^= fault == FAULT_WRONG_DIGEST;
    fl_buf_clear(&w->answer);
    assert_ok(fl_verdict_encode(&verdict, &w->answer));
}

static void answer(struct world *w)
{
    enum world_fault fault = FAULT_NONE;
    struct fl_client_event *event = &w->event;
    w->requests[w->effect.route.kind]++;
    if (w->effect.route.kind == FL_ROUTE_UPDATE) {
        assert_true(w->sent_count < 64);
        fl_buf_init(&w->sent[w->sent_count], 1 << 20);
        assert_ok(fl_buf_append(&w->sent[w->sent_count++], w->effect.body.data, w->effect.body.size));
    }
    if (w->fault_count && w->fault_route == w->effect.route.kind) {
        fault = w->fault;
        w->fault_count--;
    }
    *event = (struct fl_client_event){.kind = FL_CLIENT_ANSWERED};
    w->now_ms += 5;
    fl_buf_clear(&w->answer);
    switch (fault) {
    case FAULT_LOST_BEFORE:
        event->status = FL_ERR_NETWORK;
        return;
    case FAULT_413:
        assert_ok(fl_buf_printf(&w->answer, "{\"error\":\"FL_ERR_LIMIT\",\"limit_bytes\":65536}"));
        event->http_status = 413;
        break;
    case FAULT_413_PROXY:
        assert_ok(fl_buf_printf(&w->answer, "<html>413 Request Entity Too Large</html>"));
        event->http_status = 413;
        break;
    case FAULT_429:
    case FAULT_503:
        event->http_status = fault == FAULT_429 ? 429 : 503;
        event->retry_after_ms = w->retry_after_ms;
        return;
    case FAULT_HTML_200:
        assert_ok(fl_buf_printf(&w->answer, "<html>all is well</html>"));
        event->http_status = 200;
        break;
    case FAULT_EMPTY_201:
        event->http_status = 201;
        return;
    case FAULT_EMPTY_409:
        event->http_status = 409;
        return;
    case FAULT_401:
    case FAULT_403:
        assert_ok(fl_buf_printf(&w->answer, "{\"message\": \"no\", \"error\": \"FL_ERR_AUTH\"}"));
        event->http_status = fault == FAULT_401 ? 401 : 403;
        break;
    case FAULT_PROXY:
        assert_ok(fl_buf_printf(&w->answer, "<html>\"error\":\"FL_ERR_AUTH\"</html>"));
        event->http_status = w->proxy_status;
        break;
    default:
        event->http_status = serve(w, fault);
    }
    if (fault == FAULT_LOST_AFTER) {
        event->http_status = 0;
        event->status = FL_ERR_TIMEOUT;
        return;
    }
    if (fault == FAULT_WRONG_EPOCH || fault == FAULT_WRONG_SEQ || fault == FAULT_WRONG_DIGEST)
        spoil_verdict(w, fault);
    if (fault == FAULT_CUT)
        fl_buf_truncate(&w->answer, w->answer.size - 1);
    event->body = fl_buf_view(&w->answer);
}

/* ---- trainer ---- */

static void train(struct world *w)
{
    struct fl_random random;
    w->event = (struct fl_client_event){
        .kind = FL_CLIENT_TRAINED,
        .status = w->train_status,
        .report = {.steps = 3, .mean_loss = 1.5, .examples = 40},
        .metrics = {.examples = 10, .correct = 4, .loss_sum = 12.5},
    };
    const float *start = w->keeper ? w->keeper->replica : w->effect.start;
    float *end = w->keeper ? w->keeper->end : w->effect.end;
    fl_random_init(&random, w->effect.plan.seed, 5);
    for (uint64_t i = 0; i < w->elems; i++) {
        float size = i % 4 == 0 ? 0.1f : 0.004f;
        end[i] = start[i] + size * (2 * fl_random_float(&random) - 1);
    }
    if (w->not_finite) {
        w->not_finite--;
        end[2] = NAN;
    }
}

/* ---- driving ---- */

static void note(struct world *w, const char *word)
{
    size_t at = strlen(w->trace);
    snprintf(w->trace + at, sizeof w->trace - at, "%s%s", at ? " " : "", word);
}

/* Around every call of the client; what it allocates is counted as its own. */
static long call_begins(void)
{
    fl_peak_bytes_begin();
    return fl_live_bytes();
}

static void call_ends(struct world *w, long before)
{
    long most = w->client_bytes + fl_peak_bytes() - before;
    if (most > w->client_peak)
        w->client_peak = most;
    w->client_bytes += fl_live_bytes() - before;
}

enum fl_status world_start(struct world *w)
{
    struct fl_client_reader reader = world_reader(w);
    fl_client_free(w->client);
    w->client = NULL;
    w->client_bytes = 0;
    if (w->keeper)
        w->keeper->in_use = 0;
    long before = call_begins();
    assert_ok(fl_client_new(&w->options, &w->client));
    enum fl_status st = fl_client_load(w->client, &reader);
    call_ends(w, before);
    if (st)
        return st;
    w->event = (struct fl_client_event){.kind = FL_CLIENT_STARTED};
    before = call_begins();
    fl_client_next(w->client, &w->event, &w->effect);
    call_ends(w, before);
    return FL_OK;
}

enum fl_client_effect_kind world_step(struct world *w)
{
    static const char *const routes[] = {[FL_ROUTE_RUN] = "run",
                                         [FL_ROUTE_WORK] = "work",
                                         [FL_ROUTE_MODEL] = "model",
                                         [FL_ROUTE_UPDATE] = "update",
                                         [FL_ROUTE_RECEIPT] = "show"};
    enum fl_client_effect_kind kind = w->effect.kind;
    switch (kind) {
    case FL_CLIENT_REQUEST:
        note(w, routes[w->effect.route.kind]);
        if (w->keeper && w->effect.route.kind == FL_ROUTE_WORK && !w->keeper->in_use)
            keeper_use(w->keeper, w->client);
        answer(w);
        break;
    case FL_CLIENT_TRAIN:
        note(w, "train");
        train(w);
        break;
    case FL_CLIENT_SAVE:
        note(w, "save");
        w->event = (struct fl_client_event){.kind = FL_CLIENT_SAVED, .status = w->save_status};
        if (w->save_status)
            break;
        for (size_t i = 0; i < w->effect.file_count; i++)
            world_put_file(w, i);
        world_put_manifest(w);
        world_sweep(w);
        break;
    case FL_CLIENT_WAIT:
        note(w, "wait");
        w->now_ms += w->effect.wait_ms;
        w->waited_ms = w->effect.wait_ms;
        w->waits++;
        w->event = (struct fl_client_event){.kind = FL_CLIENT_TIMER};
        break;
    case FL_CLIENT_STOP:
        return kind;
    }
    if (w->fail_alloc >= 0)
        fl_fail_alloc_after((size_t)w->fail_alloc);
    long before = call_begins();
    fl_client_next(w->client, &w->event, &w->effect);
    call_ends(w, before);
    fl_fail_alloc_never();
    return kind;
}

void world_until(struct world *w, enum fl_client_effect_kind kind)
{
    for (int i = 0; i < 10000 && w->effect.kind != kind; i++) {
        if (w->effect.kind == FL_CLIENT_STOP)
            fail_msg("the client stopped: %s", w->effect.reason);
        world_step(w);
    }
    assert_int_equal(w->effect.kind, kind);
}

enum fl_status world_run(struct world *w)
{
    for (int i = 0; i < 10000 && w->effect.kind != FL_CLIENT_STOP; i++)
        world_step(w);
    assert_int_equal(w->effect.kind, FL_CLIENT_STOP);
    return w->effect.status;
}

/* ---- the law ---- */

static const float *history(struct world *w, uint64_t seq, const char *what)
{
    char name[FL_STATE_NAME_BYTES];
    snprintf(name, sizeof name, "history/%" PRIu64 ".%s", seq, what);
    struct world_file *file = world_find(w, name);
    assert_non_null(file);
    assert_int_equal(file->size, fl_vector_file_bytes(w->elems));
    return (const float *)(const void *)(file->data + FL_VECTOR_HEAD_BYTES);
}

static int outcome_is(struct world *w, uint64_t seq, const char *outcome)
{
    char name[FL_STATE_NAME_BYTES], line[64];
    snprintf(name, sizeof name, "history/%" PRIu64 ".verdict", seq);
    struct world_file *file = world_find(w, name);
    assert_non_null(file);
    int size = snprintf(line, sizeof line, "\noutcome %s\n", outcome);
    return memmem(file->data, file->size, line, (size_t)size) != NULL;
}

void world_check_law(struct world *w)
{
    const struct fl_manifest *m = fl_client_manifest(w->client);
    float *zero = calloc(w->elems, sizeof *zero);
    __int128 *balance = calloc(w->elems, sizeof *balance);
    const float *last = zero;
    for (uint64_t seq = 1; seq <= w->last_seq; seq++) {
        if (outcome_is(w, seq, "nothing"))
            continue;
        const float *p = history(w, seq, "p"), *e_old = history(w, seq, "e_old");
        const float *e_new = history(w, seq, "e_new");
        int dropped = outcome_is(w, seq, "dropped");
        assert_memory_equal(e_old, last, w->elems * sizeof *last);
        for (uint64_t i = 0; i < w->elems; i++)
            if (!dropped) /* p - e_old of a dropped update stands on both sides */
                balance[i] += exact(p[i]) - exact(e_old[i]);
        last = e_new;
    }
    for (uint64_t i = 0; i < w->elems; i++)
        assert_true(balance[i] == w->accepted[i] + exact(last[i]));
    if (m->residual.name[0]) {
        struct world_file *file = world_find(w, m->residual.name);
        assert_non_null(file);
        assert_memory_equal(file->data + FL_VECTOR_HEAD_BYTES, last, w->elems * sizeof *last);
    }
    free(zero);
    free(balance);
}
