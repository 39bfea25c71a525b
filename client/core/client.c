#include "client/core/client.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "client/core/backoff.h"
#include "client/core/state.h"
#include "protocol/error_body.h"

#define BAD_TRAININGS_MAX 3    /* in a row, before the client stops */
#define INVALIDS_MAX      3    /* the same for updates that the server finds invalid */
#define SHORT_POLL_MS     1000 /* "no work" sooner than this is answered by a back-off */

enum fl_status fl_client_fail(struct fl_client *c, enum fl_status st, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->reason, sizeof c->reason, format, args);
    va_end(args);
    return st;
}

enum fl_status fl_client_new(const struct fl_client_options *options, struct fl_client **ret_client)
{
    struct fl_client *c = calloc(1, sizeof *c);
    if (!c)
        return FL_ERR_NOMEM;
    c->options = *options;
    c->env = options->env;
    c->kernels = options->kernels;
    fl_host_engine_init(&c->host, c->kernels, options->threads > 1 ? options->threads : 1);
    c->engine = &c->host.base;
    fl_buf_init(&c->manifest_text, FL_MANIFEST_MAX_BYTES);
    fl_buf_init(&c->verdict_text, FL_LIMIT_SMALL_BODY_BYTES);
    fl_buf_init(&c->proof, FL_LIMIT_SMALL_BODY_BYTES);
    c->must_show = 1;
    *ret_client = c;
    return FL_OK;
}

void fl_client_free(struct fl_client *c)
{
    if (!c)
        return;
    fl_client_free_outbox(c);
    fl_vector_done(&c->replica);
    fl_vector_done(&c->residual);
    fl_digest_tree_free(c->tree);
    fl_buf_done(&c->manifest_text);
    fl_buf_done(&c->verdict_text);
    fl_buf_done(&c->proof);
    fl_buf_done(&c->delta);
    fl_buf_done(&c->codec_state);
    free(c);
}

void fl_client_use_engine(struct fl_client *c, struct fl_engine *engine)
{
    c->engine = engine;
    fl_engine_replica_replaced(engine, fl_vector_values(&c->replica));
    fl_engine_residual_replaced(engine);
}

void fl_client_free_outbox(struct fl_client *c)
{
    fl_vector_done(&c->pending);
    fl_vector_done(&c->scratch);
    fl_buf_done(&c->outbox);
    fl_buf_done(&c->pending_codec_state);
}

enum fl_status fl_client_allocate(struct fl_client *c, uint64_t elems)
{
    enum fl_status st = c->replica.block ? FL_OK : fl_vector_init(&c->replica, elems);
    if (!st && !c->residual.block)
        st = fl_vector_init(&c->residual, elems);
    return st || c->tree ? st : fl_digest_tree_new(elems, &c->tree);
}

enum fl_status fl_client_allocate_scratch(struct fl_client *c)
{
    return c->scratch.block ? FL_OK : fl_vector_init(&c->scratch, c->manifest.elems);
}

const char *fl_client_reason(const struct fl_client *c)
{
    return c->reason;
}

const struct fl_manifest *fl_client_manifest(const struct fl_client *c)
{
    return &c->manifest;
}

const struct fl_run_info *fl_client_run_info(const struct fl_client *c)
{
    return c->has_info ? &c->info : NULL;
}

int fl_client_replica(const struct fl_client *c, struct fl_version *ret_version, const float **ret_values)
{
    if (!c->has_replica)
        return 0;
    *ret_version = c->version;
    *ret_values = fl_vector_values(&c->replica);
    return 1;
}

int fl_client_file_is_stale(const struct fl_client *c, const char *name)
{
    static const char *const kinds[] = {"residual.", "update.", "replica.", "delta.", "codec-state."};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
            return !fl_manifest_names(&c->manifest, name);
    return 0;
}

static void stop(struct fl_client *c, enum fl_status st, struct fl_client_effect *effect)
{
    c->step = STEP_STOPPED;
    *effect = (struct fl_client_effect){.kind = FL_CLIENT_STOP, .status = st, .reason = c->reason};
}

static void wait_and(struct fl_client *c, enum step step, uint64_t retry_after_ms,
                     struct fl_client_effect *effect)
{
    c->step = step;
    c->waiting = 1;
    *effect = (struct fl_client_effect){.kind = FL_CLIENT_WAIT,
                                        .wait_ms = fl_backoff_ms(c->env, c->attempt++, retry_after_ms)};
}

static void request(struct fl_client *c, enum step step, enum fl_route_kind kind,
                    struct fl_client_effect *effect)
{
    c->step = step;
    c->asked_ms = c->env->monotonic_ms(c->env->user);
    *effect = (struct fl_client_effect){
        .kind = FL_CLIENT_REQUEST, .route.kind = kind, .answer_limit = FL_LIMIT_SMALL_BODY_BYTES};
    memcpy(effect->route.run, c->options.run, sizeof effect->route.run);
    if (kind == FL_ROUTE_WORK || (kind == FL_ROUTE_MODEL && c->has_replica && !c->want_snapshot)) {
        effect->has_have = c->has_replica;
        effect->have = c->version;
    }
    if (kind == FL_ROUTE_WORK)
        effect->poll_ms = c->options.poll_ms;
    if (kind == FL_ROUTE_MODEL)
        effect->answer_limit = fl_limit_model_body_bytes(c->manifest.elems);
    if (kind == FL_ROUTE_RECEIPT)
        effect->body = fl_buf_view(&c->proof);
    if (kind == FL_ROUTE_UPDATE) {
        struct fl_update update;
        effect->route.seq = c->manifest.next_seq;
        effect->body = fl_buf_view(&c->outbox);
        effect->epoch = c->manifest.epoch;
        effect->has_epoch =
            !fl_update_decode(effect->body, &update) && update.base.epoch != c->manifest.epoch;
    }
}

static void train(struct fl_client *c, struct fl_client_effect *effect)
{
    c->step = STEP_TRAIN;
    *effect = (struct fl_client_effect){.kind = FL_CLIENT_TRAIN, .plan = c->work.plan};
    if (c->engine->ops->keeps_vectors)
        return;
    enum fl_status st = fl_client_allocate_scratch(c);
    if (st) {
        fl_client_fail(c, st, "training: %s", fl_status_text(st));
        stop(c, st, effect);
        return;
    }
    effect->start = fl_vector_values(&c->replica);
    effect->end = fl_vector_values(&c->scratch);
}

/* Does, or does again, what step asks for. */
static void enter(struct fl_client *c, enum step step, struct fl_client_effect *effect)
{
    switch (step) {
    case STEP_RUN_INFO:
        request(c, step, FL_ROUTE_RUN, effect);
        return;
    case STEP_SHOW:
        request(c, step, FL_ROUTE_RECEIPT, effect);
        return;
    case STEP_MODEL:
        request(c, step, FL_ROUTE_MODEL, effect);
        return;
    case STEP_SEND:
        request(c, step, FL_ROUTE_UPDATE, effect);
        return;
    case STEP_TRAIN:
        train(c, effect);
        return;
    case STEP_SAVE_MODEL:
    case STEP_SAVE_OUTBOX:
    case STEP_SAVE_VERDICT:
    case STEP_SAVE_RESYNC:
        c->step = step;
        *effect = c->saving;
        return;
    default:
        request(c, STEP_WORK, FL_ROUTE_WORK, effect);
    }
}

/* The next thing to do when nothing is under way: the outbox first (rule R2). */
static void proceed(struct fl_client *c, struct fl_client_effect *effect)
{
    if (c->manifest.outbox.name[0])
        enter(c, STEP_SEND, effect);
    else if (c->info.state != FL_RUN_ENDED)
        enter(c, STEP_WORK, effect);
    else if (c->has_replica && fl_version_equal(&c->version, &c->info.version)) {
        fl_client_fail(c, FL_OK, "run %s has ended with version %" PRIu64, c->options.run, c->version.number);
        stop(c, FL_OK, effect);
    } else
        enter(c, STEP_MODEL, effect);
}

/* Shows the newest receipt where that is due, then goes on (rule R13). */
static void show_and_proceed(struct fl_client *c, struct fl_client_effect *effect)
{
    c->must_show &= c->manifest.receipt_count > 0; /* nothing to show: nothing that could be lost */
    if (!c->options.resync && !c->must_show) {
        proceed(c, effect);
        return;
    }
    enum fl_status st = fl_client_encode_proof(c);
    if (st) {
        fl_client_fail(c, st, "%s", fl_status_text(st));
        stop(c, st, effect);
        return;
    }
    enter(c, STEP_SHOW, effect);
}

/* The server's words do not fit this state: finds out whether it was restored, but once only. */
static void doubt(struct fl_client *c, struct fl_client_effect *effect)
{
    if (c->doubted) {
        stop(c, FL_ERR_STATE, effect);
        return;
    }
    c->doubted = c->must_show = 1;
    enter(c, STEP_RUN_INFO, effect);
}

/* Whether the answer is the server's own refusal: a proxy's bare status proves nothing (rule R4). */
static int is_refusal(const struct fl_client_event *event)
{
    struct fl_error_body body;
    return event->http_status >= 400 && fl_error_body_read(event->body, &body) == FL_OK;
}

/* An answer that settles nothing (rule R3): the same again, later. Refused credentials end the client. */
static void try_again(struct fl_client *c, const struct fl_client_event *event,
                      struct fl_client_effect *effect)
{
    static const char *const what[] = {[STEP_RUN_INFO] = "the run",
                                       [STEP_SHOW] = "the server's books",
                                       [STEP_WORK] = "work",
                                       [STEP_MODEL] = "a model",
                                       [STEP_SEND] = "a verdict"};
    int is_ours = is_refusal(event);
    if (event->status == FL_ERR_AUTH ||
        (is_ours && (event->http_status == 401 || event->http_status == 403))) {
        fl_client_fail(
            c, FL_ERR_AUTH,
            "the server refused this client (HTTP %d); the state is kept: it may have been revoked, or "
            "its certificate may have expired",
            event->http_status);
        stop(c, FL_ERR_AUTH, effect);
        return;
    }
    enum step step = c->step;
    if (!is_ours || event->http_status >= 500)
        c->must_show = 1; /* it may come back restored from a backup */
    wait_and(c, step == STEP_WORK && c->must_show && c->manifest.receipt_count ? STEP_RUN_INFO : step,
             event->retry_after_ms, effect);
    fl_log(FL_LOG_WARN, LOG_NET,
           "run=%s http=%d status=%s attempt=%" PRIu32 "; %sasking for %s again in %" PRIu64 " ms",
           c->options.run, event->http_status, fl_status_name(event->status), c->attempt,
           event->http_status && !is_ours
               ? "that is no answer of fl-server, a proxy may be in the way: see `fl-client doctor`; "
               : "",
           what[step], effect->wait_ms);
}

/* What the run must agree about with the state on disk, and the first state when there is none. */
static enum fl_status adopt_run(struct fl_client *c, const struct fl_run_info *info)
{
    struct fl_manifest *m = &c->manifest;
    struct fl_tensor tensors[FL_LIMIT_TENSORS];
    enum fl_status st = fl_model_spec_check(&info->model);
    if (st)
        return fl_client_fail(c, st, "the server's model specification: %s", fl_status_text(st));
    uint64_t elems = fl_model_spec_elems(&info->model);
    if (c->has_state && m->origin != fl_run_info_origin(info))
        return fl_client_fail(
            c, FL_ERR_STATE,
            "run %s is another run of this name at the server (begun as epoch %" PRIu64
            ", this state is of one begun as epoch %" PRIu64
            "); the state is kept: move runs/%s out of the state folder to take part in the "
            "new one",
            info->name, fl_run_info_origin(info), m->origin, info->name);
    if (c->has_state && m->elems != elems)
        return fl_client_fail(c, FL_ERR_SHAPE,
                              "run %s has %" PRIu64 " parameters at the server, %" PRIu64 " here", info->name,
                              elems, m->elems);
    st = fl_client_allocate(c, elems);
    if (st)
        return fl_client_fail(c, st, "%s", fl_status_text(st));
    if (c->has_state && m->epoch != info->epoch)
        fl_client_adopt_epoch(c, info->epoch);
    c->info = *info;
    c->has_info = 1;
    if (c->has_replica &&
        (c->version.number > info->version.number || (c->version.number == info->version.number &&
                                                      !fl_version_same_model(&c->version, &info->version)))) {
        fl_log(FL_LOG_WARN, LOG_STATE,
               "run=%s version=%" PRIu64 " newest=%" PRIu64
               ": the server does not have the version held here; fetching its own",
               info->name, c->version.number, info->version.number);
        c->has_replica = 0;
    }
    c->tensor_count = fl_model_spec_tensors(&info->model, tensors);
    for (size_t i = 0; i < c->tensor_count; i++)
        c->tensors[i] =
            (struct fl_codec_tensor){tensors[i].shape[0], tensors[i].rank == 2 ? tensors[i].shape[1] : 1};
    if (!c->has_state) {
        *m = (struct fl_manifest){
            .epoch = info->epoch, .origin = fl_run_info_origin(info), .elems = elems, .next_seq = 1};
        memcpy(m->run, c->options.run, sizeof m->run);
        c->has_state = 1;
    }
    if (!c->has_replica) {
        fl_model_spec_init(&info->model, fl_vector_values(&c->replica));
        fl_digest_tree_touch_all(c->tree);
        c->version = (struct fl_version){
            .epoch = m->epoch, .digest = fl_digest_tree_get(c->tree, fl_vector_values(&c->replica))};
        c->has_replica = 1;
        fl_engine_replica_replaced(c->engine, fl_vector_values(&c->replica));
        /* x_0 may be a file instead of the seeded rule. */
        c->want_snapshot = info->version.number == 0 && !fl_version_equal(&c->version, &info->version);
    }
    return FL_OK;
}

static void on_run_info(struct fl_client *c, const struct fl_client_event *event,
                        struct fl_client_effect *effect)
{
    struct fl_run_info info;
    enum fl_status st = event->http_status == 200 ? fl_run_info_decode(event->body, &info) : FL_ERR_STATE;
    if (st == FL_ERR_VERSION) {
        fl_client_fail(c, st, "the server speaks another major version of the protocol");
        stop(c, st, effect);
        return;
    }
    if (st || strcmp(info.name, c->options.run) != 0) {
        try_again(c, event, effect);
        return;
    }
    c->attempt = 0;
    st = adopt_run(c, &info);
    if (st)
        stop(c, st, effect);
    else
        show_and_proceed(c, effect);
}

static void on_standing(struct fl_client *c, const struct fl_client_event *event,
                        struct fl_client_effect *effect)
{
    struct fl_standing standing;
    if (event->http_status == 404 && is_refusal(event) && !c->options.resync) { /* an older server */
        c->must_show = 0;
        proceed(c, effect);
        return;
    }
    if (event->http_status != 200 || fl_standing_decode(event->body, &standing)) {
        try_again(c, event, effect);
        return;
    }
    c->attempt = 0;
    if (standing.epoch != c->manifest.epoch) { /* it begins with what was shown */
        enter(c, STEP_RUN_INFO, effect);
        return;
    }
    c->must_show = 0;
    enum fl_status st =
        c->options.resync ? fl_client_resync(c, &standing, effect) : fl_client_check_standing(c, &standing);
    if (st)
        stop(c, st, effect);
    else if (c->options.resync)
        c->step = STEP_SAVE_RESYNC;
    else
        proceed(c, effect);
}

/* Rule R2 seen from here: the server must expect the number that comes next. */
static enum fl_status check_seq(struct fl_client *c, const struct fl_work *work)
{
    struct fl_manifest *m = &c->manifest;
    if (m->outbox_lost && work->seq == m->next_seq + 1) {
        fl_log(FL_LOG_WARN, LOG_STATE, "run=%s seq=%" PRIu64 ": the damaged update had reached the server",
               m->run, m->next_seq);
        m->next_seq++;
        m->outbox_lost = 0;
    }
    return work->seq == m->next_seq ? FL_OK : fl_client_out_of_step(c, work->seq);
}

static enum fl_status adopt_work(struct fl_client *c, const struct fl_work *work)
{
    struct fl_codec_params params;
    if (work->base.epoch != c->manifest.epoch)
        return fl_client_fail(c, FL_ERR_STATE, "work for epoch %" PRIu64 ", this state is of epoch %" PRIu64,
                              work->base.epoch, c->manifest.epoch);
    enum fl_status st = check_seq(c, work);
    if (st)
        return st;
    if (work->kind == FL_WORK_TRAIN) {
        st = fl_client_codec_params(c, &work->codec, &params);
        if (st)
            return fl_client_fail(c, st,
                                  "the server's codec %s (lambda %g, step 2^%" PRId32 ", ratio %g): %s",
                                  fl_codec_spec_name(&work->codec), (double)work->codec.lambda,
                                  work->codec.step_log2, (double)work->codec.ratio, fl_status_text(st));
    }
    c->work = *work;
    c->has_work = 1;
    return FL_OK;
}

static void on_work(struct fl_client *c, const struct fl_client_event *event, struct fl_client_effect *effect)
{
    struct fl_work work;
    struct fl_run_info info;
    if (event->http_status == 204) {
        uint64_t took_ms = c->env->monotonic_ms(c->env->user) - c->asked_ms;
        if (event->retry_after_ms || took_ms < SHORT_POLL_MS) {
            wait_and(c, STEP_WORK, event->retry_after_ms, effect);
            return;
        }
        c->attempt = 0;
        enter(c, STEP_WORK, effect);
        return;
    }
    if (event->http_status == 410 && !fl_run_info_decode(event->body, &info) && info.state == FL_RUN_ENDED &&
        strcmp(info.name, c->options.run) == 0) {
        enum fl_status st = adopt_run(c, &info);
        if (st)
            stop(c, st, effect);
        else
            show_and_proceed(c, effect);
        return;
    }
    if (event->http_status == 409)
        fl_log(FL_LOG_WARN, LOG_NET,
               "run=%s: another process asks for work as this client: a copy of its state folder is in use; "
               "stop "
               "one of the two and enrol it as a client of its own in a new folder",
               c->options.run);
    if (event->http_status != 200 || fl_work_decode(event->body, &work)) {
        try_again(c, event, effect);
        return;
    }
    enum fl_status st = adopt_work(c, &work);
    if (st == FL_ERR_STATE && (work.base.epoch != c->manifest.epoch ||
                               (work.seq < c->manifest.next_seq && c->manifest.receipt_count))) {
        doubt(c, effect);
        return;
    }
    if (st) {
        stop(c, st, effect);
        return;
    }
    c->doubted = 0;
    if (c->has_replica && fl_version_equal(&work.base, &c->version)) {
        c->attempt = 0;
        train(c, effect);
    } else if (c->has_replica && work.base.number < c->version.number) {
        /* Its round has closed meanwhile, and the server will notice too. Or the server was restored to
         * before the version held here: its newest tells. */
        c->has_work = 0;
        wait_and(c, STEP_RUN_INFO, event->retry_after_ms, effect);
    } else {
        c->want_snapshot = work.base.number == c->version.number; /* x_0 is not the seeded one */
        enter(c, STEP_MODEL, effect);
    }
}

static void on_model(struct fl_client *c, const struct fl_client_event *event,
                     struct fl_client_effect *effect)
{
    if (event->http_status == 204) { /* we hold the newest, yet not the one that we wanted */
        wait_and(c, c->info.state == FL_RUN_ENDED ? STEP_RUN_INFO : STEP_WORK, event->retry_after_ms, effect);
        return;
    }
    if (event->http_status != 200) {
        try_again(c, event, effect);
        return;
    }
    enum fl_status st = fl_client_install_model(c, event->body, effect);
    if (st == FL_OK) {
        c->attempt = 0;
        c->step = STEP_SAVE_MODEL;
    } else if (st == FL_ERR_DIGEST && !c->want_snapshot) {
        c->want_snapshot = 1;
        enter(c, STEP_MODEL, effect);
    } else if (st == FL_ERR_STATE)
        doubt(c, effect);
    else if (st == FL_ERR_NOMEM || st == FL_ERR_SHAPE)
        stop(c, st, effect);
    else
        try_again(c, event, effect);
}

static void on_trained(struct fl_client *c, const struct fl_client_event *event,
                       struct fl_client_effect *effect)
{
    enum fl_status st = event->status;
    if (!st)
        st = fl_client_build_update(c, event, effect);
    c->has_work = 0;
    if (!st) {
        c->bad_trainings = 0;
        c->step = STEP_SAVE_OUTBOX;
        return;
    }
    fl_vector_done(&c->scratch);
    if (st != FL_ERR_NOT_FINITE) {
        fl_client_fail(c, st, "training: %s", fl_status_text(st));
        stop(c, st, effect);
        return;
    }
    if (++c->bad_trainings == BAD_TRAININGS_MAX) {
        fl_client_fail(
            c, st,
            "training gave NaN or infinite values %d times in a row, nothing of it was sent; look at "
            "the data's scale and the run's learning rate",
            BAD_TRAININGS_MAX);
        stop(c, st, effect);
        return;
    }
    wait_and(c, STEP_WORK, 0, effect);
    fl_log(FL_LOG_WARN, LOG_ROUND,
           "run=%s round=%" PRIu64
           " status=%s: training gave NaN or infinite values, nothing was kept; asking "
           "for work again in %" PRIu64 " ms",
           c->options.run, c->work.round, fl_status_name(st), effect->wait_ms);
}

/* The update is larger than what is taken there. Sending it again would change nothing: a person must. */
static void stop_too_long(struct fl_client *c, const struct fl_client_event *event,
                          struct fl_client_effect *effect)
{
    char limit[80] = "less (it does not say how much; it may be a proxy before the server)";
    struct fl_error_body body;
    if (!fl_error_body_read(event->body, &body) && body.limit_bytes)
        snprintf(limit, sizeof limit, "at most %" PRIu64, body.limit_bytes);
    fl_client_fail(
        c, FL_ERR_LIMIT,
        "update %" PRIu64 " has %zu bytes, the server takes %s (HTTP 413). The operator must raise "
        "limits.update_bytes of the server (and of proxies before it) to %zu at least. The update is "
        "kept and goes out at the next start",
        c->manifest.next_seq, c->outbox.size, limit, c->outbox.size);
    stop(c, FL_ERR_LIMIT, effect);
}

static void on_sent(struct fl_client *c, const struct fl_client_event *event, struct fl_client_effect *effect)
{
    static const int statuses[] = {200, 201, 409, 410, 412, 422};
    int may_be_verdict = 0;
    if (event->http_status == 413) {
        stop_too_long(c, event, effect);
        return;
    }
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        may_be_verdict |= event->http_status == statuses[i];
    if (!may_be_verdict || !fl_client_verdict_matches(c, event->body, &c->verdict)) {
        try_again(c, event, effect);
        return;
    }
    c->attempt = 0;
    if (c->verdict.kind == FL_VERDICT_CONFLICT) {
        fl_client_fail(c, FL_ERR_STATE,
                       "conflict: update %" PRIu64 " was refused, the server expects %" PRIu64
                       "%s%s. The state "
                       "folder is kept as it is; see \"out of step\" in client/README.md",
                       c->manifest.next_seq, c->verdict.expected_seq, c->verdict.reason[0] ? ": " : "",
                       c->verdict.reason);
        if (c->verdict.epoch != c->manifest.epoch ||
            (c->verdict.expected_seq < c->manifest.next_seq && c->manifest.receipt_count))
            doubt(c, effect);
        else
            stop(c, FL_ERR_STATE, effect);
        return;
    }
    c->doubted = 0;
    enum fl_status st = fl_client_apply_verdict(c, effect);
    if (st) {
        fl_client_fail(c, st, "cannot commit update %" PRIu64 ": %s; the state folder is as it was before",
                       c->manifest.next_seq, fl_status_text(st));
        stop(c, st, effect);
        return;
    }
    c->step = STEP_SAVE_VERDICT;
}

/* A disk that is full or out of reach: the same files again, later. What is on disk is whole as it is. */
static void save_again(struct fl_client *c, struct fl_client_effect *effect)
{
    wait_and(c, c->step, 0, effect);
    fl_log(FL_LOG_WARN, LOG_STATE,
           "run=%s attempt=%" PRIu32 ": the state cannot be written; writing the same again in %" PRIu64
           " ms",
           c->options.run, c->attempt, effect->wait_ms);
}

static void on_saved(struct fl_client *c, const struct fl_client_event *event,
                     struct fl_client_effect *effect)
{
    if (event->status == FL_ERR_IO) {
        save_again(c, effect);
        return;
    }
    if (event->status) {
        fl_client_fail(c, event->status, "cannot write the state: %s", fl_status_text(event->status));
        stop(c, event->status, effect);
        return;
    }
    c->attempt = 0;
    if (c->step == STEP_SAVE_OUTBOX) {
        enter(c, STEP_SEND, effect);
        return;
    }
    if (c->step == STEP_SAVE_MODEL) {
        fl_buf_done(&c->delta);
        if (c->has_work && fl_version_equal(&c->work.base, &c->version))
            train(c, effect);
        else if (c->info.state == FL_RUN_ENDED)
            proceed(c, effect);
        else
            enter(c, STEP_WORK, effect);
        return;
    }
    if (c->step == STEP_SAVE_RESYNC) {
        fl_client_fail(c, FL_OK,
                       "update %" PRIu64 " comes next, as the server expects; run `fl-client run` again",
                       c->manifest.next_seq);
        stop(c, FL_OK, effect);
        return;
    }
    fl_client_free_outbox(c);
    c->invalids = c->verdict.kind == FL_VERDICT_INVALID ? c->invalids + 1 : 0;
    if (c->invalids == INVALIDS_MAX) {
        fl_client_fail(c, FL_ERR_RANGE, "the server found %d updates in a row invalid: %s", INVALIDS_MAX,
                       c->verdict.reason);
        stop(c, FL_ERR_RANGE, effect);
        return;
    }
    if (c->verdict.kind == FL_VERDICT_ENDED)
        enter(c, STEP_RUN_INFO, effect);
    else
        proceed(c, effect);
}

/* Which event can answer what the client waits for. */
static int expects(const struct fl_client *c, enum fl_client_event_kind kind)
{
    if (c->waiting)
        return kind == FL_CLIENT_TIMER;
    switch (c->step) {
    case STEP_RUN_INFO:
        return kind == FL_CLIENT_ANSWERED || kind == FL_CLIENT_STARTED;
    case STEP_SHOW:
    case STEP_WORK:
    case STEP_MODEL:
    case STEP_SEND:
        return kind == FL_CLIENT_ANSWERED;
    case STEP_TRAIN:
        return kind == FL_CLIENT_TRAINED;
    case STEP_SAVE_MODEL:
    case STEP_SAVE_OUTBOX:
    case STEP_SAVE_VERDICT:
    case STEP_SAVE_RESYNC:
        return kind == FL_CLIENT_SAVED;
    case STEP_STOPPED:
        break;
    }
    return 0;
}

void fl_client_next(struct fl_client *c, const struct fl_client_event *event,
                    struct fl_client_effect *ret_effect)
{
    if (c->step == STEP_STOPPED) {
        stop(c, FL_ERR_STATE, ret_effect);
        return;
    }
    if (event->kind == FL_CLIENT_STOP_REQUESTED || event->status == FL_ERR_STOPPED) {
        fl_client_fail(c, FL_ERR_STOPPED, "stopped on request");
        stop(c, FL_ERR_STOPPED, ret_effect);
        return;
    }
    if (!expects(c, event->kind)) {
        fl_client_fail(c, FL_ERR_STATE, "event %d does not answer what was asked", (int)event->kind);
        stop(c, FL_ERR_STATE, ret_effect);
        return;
    }
    if (c->waiting || event->kind == FL_CLIENT_STARTED) {
        c->waiting = 0;
        enter(c, c->step, ret_effect);
        return;
    }
    switch (event->kind) {
    case FL_CLIENT_TRAINED:
        on_trained(c, event, ret_effect);
        return;
    case FL_CLIENT_SAVED:
        on_saved(c, event, ret_effect);
        return;
    default:
        break;
    }
    if (c->step == STEP_RUN_INFO)
        on_run_info(c, event, ret_effect);
    else if (c->step == STEP_SHOW)
        on_standing(c, event, ret_effect);
    else if (c->step == STEP_WORK)
        on_work(c, event, ret_effect);
    else if (c->step == STEP_MODEL)
        on_model(c, event, ret_effect);
    else
        on_sent(c, event, ret_effect);
}
