#include "server/core/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/core/restore.h"
#include "server/core/round.h"
#include "server/core/state.h"

#define RELEASE_RETRY_MS    2000  /* Retry-After of requests let go at shutdown */
#define DISPLACED_RETRY_MS  30000 /* the same of one that another of the same client has displaced */
#define DISPLACED_WINDOW_MS 120000
#define DISPLACED_TO_LOG    3 /* within that time: worth a word */

/* --- loading --- */

static void unload(struct fl_server *server)
{
    for (size_t i = 0; i < server->run_count; i++)
        fl_run_free(server->runs[i]);
    free(server->runs);
    server->runs = NULL;
    server->run_count = 0;
    fl_registry_done(&server->registry);
    server->loaded = 0;
}

static enum fl_status load_run(void *user, const struct fl_run_row *row)
{
    struct fl_server *server = user;
    struct fl_run_context context = fl_server_context(server);
    struct fl_run **grown = realloc(server->runs, (server->run_count + 1) * sizeof(struct fl_run *));
    enum fl_status st;

    if (!grown)
        return FL_ERR_NOMEM;
    server->runs = grown;
    st = fl_run_load(&context, row, &server->runs[server->run_count]);
    if (st) {
        fl_log(FL_LOG_ERROR, "server", "run=%s status=%s; cannot be loaded from the store", row->name,
               fl_status_name(st));
        return st;
    }
    server->run_count++;
    return FL_OK;
}

/* The models stay in memory until let_go_models(): one that is still the newest is not read again, which
 * would take time and need room beside a job that works on it. Without memory for that they do not stay. */
static void keep_models(struct fl_server *server)
{
    server->kept = calloc(server->run_count + 1, sizeof(struct fl_published *));
    for (size_t i = 0; server->kept && i < server->run_count; i++)
        server->kept[server->kept_count++] = fl_published_ref(server->runs[i]->model);
}

static void let_go_models(struct fl_server *server)
{
    for (size_t i = 0; i < server->kept_count; i++)
        fl_published_unref(server->kept[i]);
    free(server->kept);
    server->kept = NULL;
    server->kept_count = 0;
}

/* The one way from store to memory: at start and after a failed turn. */
static enum fl_status load(struct fl_server *server)
{
    enum fl_status st;

    server->generation++;
    st = fl_registry_load(&server->registry, server->store);
    if (!st)
        st = server->store->runs(server->store, load_run, server);
    if (st)
        unload(server);
    else
        server->loaded = 1;
    return st;
}

static void log_recovered(const struct fl_server *server)
{
    for (size_t i = 0; i < server->run_count; i++) {
        const struct fl_run *run = server->runs[i];
        fl_log(FL_LOG_INFO, "server", "run=%s round=%llu phase=%s accepted=%zu version=%llu; taken up",
               run->row.name, (unsigned long long)run->row.round, fl_run_phase_name(run->row.phase),
               run->row.phase == FL_PHASE_PUBLISHING ? run->frozen.count : run->open.count,
               (unsigned long long)run->row.version);
    }
}

enum fl_status fl_server_new(const struct fl_env *env, struct fl_store *store,
                             const struct fl_kernels *kernels, const struct fl_server_effects *effects,
                             const uint8_t mac_key[FL_DIGEST_SIZE], struct fl_server **ret_server)
{
    struct fl_server *server = calloc(1, sizeof *server);
    enum fl_status st;

    if (!server)
        return FL_ERR_NOMEM;
    server->env = env;
    server->store = store;
    server->kernels = kernels;
    server->threads = 1;
    server->effects = effects;
    server->snapshots = (struct fl_snapshot_limits){FL_SNAPSHOTS_KEPT, FL_SNAPSHOTS_KEEP_MS};
    memcpy(server->mac_key, mac_key, FL_DIGEST_SIZE);
    st = load(server);
    if (!st)
        st = fl_restore_check(server);
    if (!st)
        st = store->blob_sweep(store);
    if (st) {
        fl_server_free(server);
        return st;
    }
    log_recovered(server);
    *ret_server = server;
    return FL_OK;
}

void fl_server_limit_snapshots(struct fl_server *server, const struct fl_snapshot_limits *limits)
{
    server->snapshots = *limits;
}

void fl_server_use_threads(struct fl_server *server, unsigned threads)
{
    server->threads = threads;
}

void fl_server_free(struct fl_server *server)
{
    if (!server)
        return;
    while (server->jobs) {
        struct fl_job *job = server->jobs;
        server->jobs = job->next_job;
        fl_job_free(job);
    }
    unload(server);
    free(server->parked);
    memset(server->mac_key, 0, sizeof server->mac_key);
    free(server);
}

/* --- the turn --- */

/* Lets go of jobs that this turn has finished, and of those that a failed turn had only just started. */
static void settle_jobs(struct fl_server *server, int committed)
{
    struct fl_job **at = &server->jobs;

    while (*at) {
        struct fl_job *job = *at;
        int dropped = !committed && job->state == FL_JOB_LENT && job->turn == server->turn;
        if (job->state == FL_JOB_LENT && !dropped) {
            at = &job->next_job;
            continue;
        }
        if (job->state == FL_JOB_DISCARDED || (job->state == FL_JOB_APPLIED && !committed))
            server->store->blob_remove(server->store, job->blob);
        *at = job->next_job;
        fl_job_free(job);
    }
}

/* Points parked requests at the reloaded clients and runs; drops those of a turn that did not happen. */
static void reattach_parked(struct fl_server *server, const struct fl_parked *parked, size_t count,
                            char (*names)[2][FL_LIMIT_NAME_BYTES + 1], int happened)
{
    server->parked_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct fl_parked kept = parked[i];
        kept.client = fl_registry_by_id(&server->registry, names[i][0]);
        kept.run = fl_server_run(server, names[i][1]);
        if ((happened || kept.turn != server->turn) && kept.client && kept.run)
            server->parked[server->parked_count++] = kept;
    }
}

/* Forgets all memory and reads it back: after a failed turn, which may have left it ahead of the store, and
 * after one that began a new epoch. When that fails too, parked requests are let go and the next begin tries
 * again. */
static void reload(struct fl_server *server, int happened)
{
    size_t count = server->parked_count;
    char(*names)[2][FL_LIMIT_NAME_BYTES + 1] = calloc(count + 1, sizeof *names);
    enum fl_status st = names ? FL_OK : FL_ERR_NOMEM;

    for (size_t i = 0; i < count && !st; i++) {
        memcpy(names[i][0], server->parked[i].client->row.id, FL_LIMIT_NAME_BYTES + 1);
        memcpy(names[i][1], server->parked[i].run->row.name, FL_LIMIT_NAME_BYTES + 1);
    }
    keep_models(server);
    unload(server);
    if (!st)
        st = load(server);
    let_go_models(server);
    if (!st)
        reattach_parked(server, server->parked, count, names, happened);
    else
        fl_server_release_all(server);
    free(names);
    if (st)
        fl_log(FL_LOG_ERROR, "server", "status=%s; reloading failed, trying again in the next turn",
               fl_status_name(st));
}

static enum fl_status abandon_turn(struct fl_server *server, enum fl_status cause)
{
    fl_log(FL_LOG_ERROR, "server", "status=%s; the turn is undone, reloading from the store",
           fl_status_name(cause));
    server->store->rollback(server->store);
    settle_jobs(server, 0);
    reload(server, 0);
    return cause;
}

enum fl_status fl_server_begin(struct fl_server *server)
{
    enum fl_status st = FL_OK;

    server->turn++;
    server->failed = FL_OK;
    server->restored = 0;
    if (!server->loaded)
        st = load(server);
    if (!st)
        st = server->store->begin(server->store);
    return st;
}

enum fl_status fl_server_commit(struct fl_server *server)
{
    enum fl_status st = server->failed;

    if (!st)
        st = server->store->commit(server->store);
    if (st)
        return abandon_turn(server, st);
    settle_jobs(server, 1);
    if (server->restored) /* a version being made is made again, of the new epoch */
        reload(server, 1);
    return FL_OK;
}

enum fl_status fl_server_stamp(struct fl_server *server)
{
    if (server->stamp_turn == server->turn)
        return FL_OK;
    server->stamp_turn = server->turn;
    return server->store->stamp_put(server->store, ++server->stamp);
}

uint64_t fl_server_tick(struct fl_server *server)
{
    uint64_t now = fl_server_now(server), next = UINT64_MAX;

    for (size_t i = 0; i < server->run_count && !server->failed; i++) {
        uint64_t run_next;
        server->failed = fl_round_advance(server, server->runs[i], &run_next);
        if (!server->failed && run_next < next)
            next = run_next;
    }
    for (size_t i = 0; i < server->parked_count && !server->failed;) {
        if (server->parked[i].expires_ms <= now) {
            struct fl_parked parked = fl_server_unpark(server, i);
            fl_server_reply(server, parked.ticket, parked.run, &(struct fl_reply){.http_status = 204});
            continue;
        }
        if (server->parked[i].expires_ms < next)
            next = server->parked[i].expires_ms;
        i++;
    }
    return next;
}

void fl_server_job_done(struct fl_server *server, struct fl_job *job)
{
    if (job->generation != server->generation || !server->loaded) {
        job->state = FL_JOB_DISCARDED; /* of a state that was undone */
        return;
    }
    if (server->failed)
        job->state = FL_JOB_DISCARDED;
    else
        server->failed = fl_round_job_done(server, job->run, job);
}

/* --- answers --- */

void fl_server_reply(struct fl_server *server, uint64_t ticket, struct fl_run *run,
                     const struct fl_reply *reply)
{
    if (run)
        run->row.bytes.downlink += fl_shared_size(reply->body);
    server->effects->reply(server->effects->user, ticket, reply);
}

enum fl_status fl_server_reply_body(struct fl_server *server, uint64_t ticket, struct fl_run *run,
                                    int http_status, struct fl_buf *body)
{
    struct fl_reply reply = {.http_status = http_status};
    enum fl_status st = fl_shared_new(body, &reply.body);

    if (st)
        return st;
    fl_server_reply(server, ticket, run, &reply);
    fl_shared_unref(reply.body);
    return FL_OK;
}

void fl_server_reply_error(struct fl_server *server, uint64_t ticket, int http_status, enum fl_status error,
                           const char *text, const char *hint)
{
    fl_server_reply(
        server, ticket, NULL,
        &(struct fl_reply){.http_status = http_status, .error = error, .text = text, .hint = hint});
}

enum fl_status fl_server_reply_info(struct fl_server *server, uint64_t ticket, struct fl_run *run,
                                    int http_status)
{
    struct fl_run_info info;
    struct fl_buf body;
    enum fl_status st;

    fl_run_info_fill(run, &info);
    fl_buf_init(&body, FL_LIMIT_SMALL_BODY_BYTES);
    st = fl_run_info_encode(&info, &body);
    if (!st)
        st = fl_server_reply_body(server, ticket, run, http_status, &body);
    fl_buf_done(&body);
    return st;
}

/* --- parked requests --- */

struct fl_parked fl_server_unpark(struct fl_server *server, size_t place)
{
    struct fl_parked parked = server->parked[place];

    server->parked_count--;
    memmove(server->parked + place, server->parked + place + 1,
            (server->parked_count - place) * sizeof *server->parked);
    return parked;
}

/* A client that comes back after a broken connection displaces its own dead request, whose answer nobody
 * reads. One that is read tells a second process of the same identity that it is not alone. */
static void displace(struct fl_server *server, struct fl_parked parked)
{
    struct fl_client *client = parked.client;
    uint64_t now = fl_server_now(server);

    if (client->displaced == 0 || now - client->displaced_ms > DISPLACED_WINDOW_MS) {
        client->displaced_ms = now;
        client->displaced = 0;
    }
    if (++client->displaced == DISPLACED_TO_LOG)
        fl_log(FL_LOG_WARN, "server.work",
               "run=%s client=%.8s displaced=%d within_ms=%d; its requests for work displace each other: two "
               "processes use one identity (a copy of its state folder?), or it starts again and again",
               parked.run->row.name, client->row.id, DISPLACED_TO_LOG, DISPLACED_WINDOW_MS);
    fl_server_reply(server, parked.ticket, parked.run,
                    &(struct fl_reply){
                        .http_status = 409,
                        .retry_after_ms = DISPLACED_RETRY_MS,
                        .error = FL_ERR_LOCKED,
                        .text = "another request for work of this client has taken its place",
                        .hint = "stop the other process that uses a copy of this client's state folder, or "
                                "enrol it as a client of its own in a new folder"});
}

enum fl_status fl_server_park(struct fl_server *server, uint64_t ticket, struct fl_client *client,
                              struct fl_run *run, uint64_t expires_ms)
{
    for (size_t i = 0; i < server->parked_count; i++)
        if (server->parked[i].client == client && server->parked[i].run == run) {
            displace(server, fl_server_unpark(server, i));
            break;
        }
    if (server->parked_count == server->parked_capacity) {
        size_t capacity = server->parked_capacity ? 2 * server->parked_capacity : 16;
        struct fl_parked *grown = realloc(server->parked, capacity * sizeof *grown);
        if (!grown)
            return FL_ERR_NOMEM;
        server->parked = grown;
        server->parked_capacity = capacity;
    }
    server->parked[server->parked_count++] =
        (struct fl_parked){ticket, client, run, expires_ms, server->turn};
    return FL_OK;
}

uint64_t fl_server_waiting(const struct fl_server *server, const struct fl_run *run)
{
    uint64_t waiting = 0;

    for (size_t i = 0; i < server->parked_count; i++)
        waiting += server->parked[i].run == run;
    return waiting;
}

void fl_server_forget(struct fl_server *server, uint64_t ticket)
{
    for (size_t i = 0; i < server->parked_count; i++)
        if (server->parked[i].ticket == ticket) {
            fl_server_unpark(server, i);
            return;
        }
}

void fl_server_release_all(struct fl_server *server)
{
    while (server->parked_count > 0) {
        struct fl_parked parked = fl_server_unpark(server, 0);
        server->effects->reply(server->effects->user, parked.ticket,
                               &(struct fl_reply){.http_status = 503,
                                                  .retry_after_ms = RELEASE_RETRY_MS,
                                                  .error = FL_ERR_STOPPED,
                                                  .text = "the server cannot answer this now",
                                                  .hint = "try again later"});
    }
}

/* --- requests --- */

struct fl_run *fl_server_run(const struct fl_server *server, const char *name)
{
    for (size_t i = 0; i < server->run_count; i++)
        if (!strcmp(server->runs[i]->row.name, name))
            return server->runs[i];
    return NULL;
}

void fl_server_count_response_header(struct fl_server *server, const char *run_name, uint64_t header_bytes)
{
    struct fl_run *run = fl_server_run(server, run_name);

    if (run)
        run->row.bytes.downlink_header += header_bytes;
}

void fl_server_handle(struct fl_server *server, const struct fl_request *request)
{
    if (server->failed)
        return;
    switch (request->kind) {
    case FL_REQUEST_ENROLL:
        server->failed = fl_client_enrol(server, request);
        break;
    case FL_REQUEST_RENEW:
    case FL_REQUEST_RUN_LIST:
    case FL_REQUEST_RUN_INFO:
    case FL_REQUEST_WORK:
    case FL_REQUEST_MODEL:
    case FL_REQUEST_UPDATE:
    case FL_REQUEST_RECEIPT:
        server->failed = fl_client_handle(server, request);
        break;
    default:
        server->failed = fl_operator_handle(server, request);
        break;
    }
}
