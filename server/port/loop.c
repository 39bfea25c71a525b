#include "server/port/loop.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "platform/env.h"

#define RETRY_TURN_MS 500 /* after a turn that failed */

struct slot {
    struct fl_loop_call *call; /* NULL: free */
    uint32_t generation;
};

/* A growing list of jobs, first in, first out. */
struct jobs {
    struct fl_job **items;
    size_t count, capacity;
};

struct header_count {
    char run[FL_LIMIT_NAME_BYTES + 1];
    uint64_t bytes;
};

struct fl_loop {
    struct fl_server *server;
    struct fl_server_effects effects;
    struct fl_loop_config config;
    pthread_t core_thread, worker_thread;

    pthread_mutex_t lock; /* over what follows, up to the next comment */
    pthread_cond_t core_wakes, worker_wakes;
    struct fl_loop_call *queue, **queue_end;
    struct jobs todo, finished;
    struct header_count headers[FL_LIMIT_RUNS];
    size_t header_count;
    size_t waiting, waiting_max;
    int cancelled, stopping, worker_stops;

    /* Of the core's thread. */
    struct slot *slots;
    size_t slot_count;
    size_t slot_hint;
    struct fl_loop_call *turn_calls;      /* given to the core and not yet released */
    struct jobs turn_jobs, turn_finished; /* to start after the commit; to hand to the core */
    struct header_count turn_headers[FL_LIMIT_RUNS];
    size_t turn_header_count;
};

/* A job is never lost: without memory for it the thread waits until there is some. */
static void jobs_push(struct jobs *jobs, struct fl_job *job)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    while (jobs->count == jobs->capacity) {
        size_t capacity = jobs->capacity ? 2 * jobs->capacity : 16;
        struct fl_job **items = realloc(jobs->items, capacity * sizeof(struct fl_job *));
        if (items) {
            jobs->items = items;
            jobs->capacity = capacity;
        } else {
            nanosleep(&pause, NULL);
        }
    }
    jobs->items[jobs->count++] = job;
}

static struct fl_job *jobs_shift(struct jobs *jobs)
{
    struct fl_job *job = jobs->items[0];
    jobs->count--;
    memmove(jobs->items, jobs->items + 1, jobs->count * sizeof(struct fl_job *));
    return job;
}

static uint64_t now_ms(const struct fl_loop *loop)
{
    return loop->config.env->monotonic_ms(loop->config.env->user);
}

/* -- effects of the core ------------------------------------------------------------------------------------
 */

static struct slot *slot_of(struct fl_loop *loop, uint64_t ticket)
{
    size_t index = (size_t)(ticket & UINT32_MAX);
    if (index >= loop->slot_count)
        return NULL;
    struct slot *slot = &loop->slots[index];
    return slot->call && slot->generation == (uint32_t)(ticket >> 32) ? slot : NULL;
}

static void on_reply(void *user, uint64_t ticket, const struct fl_reply *reply)
{
    struct fl_loop *loop = user;
    struct slot *slot = slot_of(loop, ticket);
    if (!slot || slot->call->collected) {
        fl_log(FL_LOG_ERROR, "server.loop", "ticket=%llu has nobody waiting; answer dropped",
               (unsigned long long)ticket);
        return;
    }
    slot->call->collected = 1;
    slot->call->collect(slot->call, reply);
}

static void on_start_job(void *user, struct fl_job *job)
{
    struct fl_loop *loop = user;
    jobs_push(&loop->turn_jobs, job);
}

static enum fl_status on_issue(void *user, struct fl_bytes public_key, const char *client_id,
                               struct fl_buf *chain)
{
    struct fl_loop *loop = user;
    return loop->config.issue(loop->config.user, public_key, client_id, chain);
}

/* -- calls --------------------------------------------------------------------------------------------------
 */

/* waiting <= waiting_max == slot_count, so there always is a free slot. */
static void take_ticket(struct fl_loop *loop, struct fl_loop_call *call)
{
    while (loop->slots[loop->slot_hint].call)
        loop->slot_hint = (loop->slot_hint + 1) % loop->slot_count;
    struct slot *slot = &loop->slots[loop->slot_hint];
    slot->generation++;
    slot->call = call;
    call->request.ticket = (uint64_t)slot->generation << 32 | loop->slot_hint;
    loop->slot_hint = (loop->slot_hint + 1) % loop->slot_count;
}

static void release(struct fl_loop *loop, struct fl_loop_call *call, enum fl_loop_outcome outcome)
{
    loop->slots[call->request.ticket & UINT32_MAX].call = NULL;
    pthread_mutex_lock(&loop->lock);
    loop->waiting--;
    pthread_mutex_unlock(&loop->lock);
    call->release(call, outcome);
}

/* Releases calls that the turn has answered, or all of them when it failed. */
static void release_turn(struct fl_loop *loop, int committed)
{
    struct fl_loop_call **at = &loop->turn_calls;
    while (*at) {
        struct fl_loop_call *call = *at;
        if (committed && !call->collected) {
            at = &call->next;
            continue;
        }
        *at = call->next;
        if (!committed)
            fl_server_forget(loop->server, call->request.ticket);
        release(loop, call, committed ? FL_LOOP_ANSWERED : FL_LOOP_UNAVAILABLE);
    }
}

static void release_cancelled(struct fl_loop *loop)
{
    struct fl_loop_call **at = &loop->turn_calls;
    while (*at) {
        struct fl_loop_call *call = *at;
        pthread_mutex_lock(&loop->lock);
        int gone = call->gone;
        pthread_mutex_unlock(&loop->lock);
        if (!gone) {
            at = &call->next;
            continue;
        }
        *at = call->next;
        fl_server_forget(loop->server, call->request.ticket);
        release(loop, call, FL_LOOP_UNAVAILABLE);
    }
}

/* -- the core's thread --------------------------------------------------------------------------------------
 */

/* Takes what waits into the turn_ fields; returns the new calls. */
static struct fl_loop_call *take_waiting(struct fl_loop *loop, int *ret_cancelled)
{
    pthread_mutex_lock(&loop->lock);
    struct fl_loop_call *calls = loop->queue;
    loop->queue = NULL;
    loop->queue_end = &loop->queue;
    while (loop->finished.count)
        jobs_push(&loop->turn_finished, jobs_shift(&loop->finished));
    memcpy(loop->turn_headers, loop->headers, loop->header_count * sizeof(loop->headers[0]));
    loop->turn_header_count = loop->header_count;
    loop->header_count = 0;
    *ret_cancelled = loop->cancelled;
    loop->cancelled = 0;
    pthread_mutex_unlock(&loop->lock);
    return calls;
}

static void give_jobs(struct fl_loop *loop)
{
    if (!loop->turn_jobs.count)
        return;
    pthread_mutex_lock(&loop->lock);
    for (size_t i = 0; i < loop->turn_jobs.count; i++)
        jobs_push(&loop->todo, loop->turn_jobs.items[i]);
    pthread_cond_signal(&loop->worker_wakes);
    pthread_mutex_unlock(&loop->lock);
    loop->turn_jobs.count = 0;
}

/* One turn; returns when the next one is due at the latest, milliseconds of env's monotonic clock. */
static uint64_t turn(struct fl_loop *loop)
{
    int cancelled;
    uint64_t next = UINT64_MAX, start_us = fl_monotonic_us(), handled_us;
    size_t count = 0;
    struct fl_loop_call *calls = take_waiting(loop, &cancelled);
    enum fl_status st = fl_server_begin(loop->server);

    for (; calls; count++) {
        struct fl_loop_call *call = calls;
        calls = call->next;
        call->next = loop->turn_calls;
        loop->turn_calls = call;
        take_ticket(loop, call);
        if (!st)
            fl_server_handle(loop->server, &call->request);
    }
    if (!st) {
        for (size_t i = 0; i < loop->turn_finished.count; i++)
            fl_server_job_done(loop->server, loop->turn_finished.items[i]);
        loop->turn_finished.count = 0;
        for (size_t i = 0; i < loop->turn_header_count; i++)
            fl_server_count_response_header(loop->server, loop->turn_headers[i].run,
                                            loop->turn_headers[i].bytes);
        next = fl_server_tick(loop->server);
        handled_us = fl_monotonic_us();
        st = fl_server_commit(loop->server);
        if (count)
            fl_log(FL_LOG_DEBUG, "server.loop", "requests=%zu handle_us=%llu commit_us=%llu; turn", count,
                   (unsigned long long)(handled_us - start_us),
                   (unsigned long long)(fl_monotonic_us() - handled_us));
    }
    if (st) {
        fl_log(FL_LOG_ERROR, "server.loop", "status=%s; all requests of this turn get 503",
               fl_status_name(st));
        loop->turn_jobs.count = 0;
        release_turn(loop, 0);
        return now_ms(loop) + RETRY_TURN_MS;
    }
    release_turn(loop, 1);
    give_jobs(loop);
    if (cancelled)
        release_cancelled(loop);
    return next;
}

static void wait_until(struct fl_loop *loop, uint64_t next)
{
    uint64_t now = now_ms(loop);
    if (next <= now)
        return;
    if (next == UINT64_MAX) {
        pthread_cond_wait(&loop->core_wakes, &loop->lock);
        return;
    }
    struct timespec until;
    uint64_t wait_ms = next - now;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&loop->core_wakes, &loop->lock, &until);
}

static void *core_main(void *user)
{
    struct fl_loop *loop = user;
    for (;;) {
        uint64_t next = turn(loop);
        pthread_mutex_lock(&loop->lock);
        if (!loop->queue && !loop->finished.count && !loop->cancelled && !loop->stopping)
            wait_until(loop, next);
        int ends = loop->stopping && !loop->queue;
        pthread_mutex_unlock(&loop->lock);
        if (ends)
            break;
    }
    fl_server_release_all(loop->server);
    release_turn(loop, 1); /* their answers promise nothing */
    release_turn(loop, 0);
    return NULL;
}

static void *worker_main(void *user)
{
    struct fl_loop *loop = user;
    pthread_mutex_lock(&loop->lock);
    for (;;) {
        while (!loop->todo.count && !loop->worker_stops)
            pthread_cond_wait(&loop->worker_wakes, &loop->lock);
        if (loop->worker_stops)
            break;
        struct fl_job *job = jobs_shift(&loop->todo);
        pthread_mutex_unlock(&loop->lock);
        fl_job_run(job);
        pthread_mutex_lock(&loop->lock);
        jobs_push(&loop->finished, job);
        pthread_cond_signal(&loop->core_wakes);
    }
    pthread_mutex_unlock(&loop->lock);
    return NULL;
}

static void end_worker(struct fl_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->worker_stops = 1;
    pthread_cond_signal(&loop->worker_wakes);
    pthread_mutex_unlock(&loop->lock);
    pthread_join(loop->worker_thread, NULL);
}

/* -- outside ------------------------------------------------------------------------------------------------
 */

enum fl_status fl_loop_submit(struct fl_loop *loop, struct fl_loop_call *call)
{
    enum fl_status st = FL_OK;
    pthread_mutex_lock(&loop->lock);
    if (loop->stopping) {
        st = FL_ERR_STOPPED;
    } else if (loop->waiting == loop->waiting_max) {
        st = FL_ERR_LIMIT;
    } else {
        call->next = NULL;
        call->collected = call->gone = 0;
        *loop->queue_end = call;
        loop->queue_end = &call->next;
        loop->waiting++;
        pthread_cond_signal(&loop->core_wakes);
    }
    pthread_mutex_unlock(&loop->lock);
    return st;
}

void fl_loop_cancel(struct fl_loop *loop, struct fl_loop_call *call)
{
    pthread_mutex_lock(&loop->lock);
    call->gone = 1;
    loop->cancelled = 1;
    pthread_cond_signal(&loop->core_wakes);
    pthread_mutex_unlock(&loop->lock);
}

void fl_loop_count_header(struct fl_loop *loop, const char *run, uint64_t header_bytes)
{
    pthread_mutex_lock(&loop->lock);
    size_t i = 0;
    while (i < loop->header_count && strcmp(loop->headers[i].run, run))
        i++;
    if (i == loop->header_count && i < FL_LIMIT_RUNS) {
        snprintf(loop->headers[i].run, sizeof(loop->headers[i].run), "%s", run);
        loop->headers[i].bytes = 0;
        loop->header_count++;
    }
    if (i < loop->header_count)
        loop->headers[i].bytes += header_bytes;
    pthread_mutex_unlock(&loop->lock);
}

static enum fl_status loop_init(const struct fl_loop_config *config, struct fl_loop *loop,
                                struct fl_error *err)
{
    pthread_condattr_t monotonic;
    loop->config = *config;
    loop->queue_end = &loop->queue;
    loop->waiting_max = loop->slot_count = config->waiting_max;
    pthread_mutex_init(&loop->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&loop->core_wakes, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&loop->worker_wakes, NULL);
    loop->slots = calloc(loop->slot_count, sizeof(struct slot));
    if (!loop->slots)
        return fl_error_nomem(err);
    loop->effects = (struct fl_server_effects){
        .user = loop, .reply = on_reply, .start_job = on_start_job, .issue = on_issue};
    enum fl_status st = fl_server_new(config->env, config->store, config->kernels, &loop->effects,
                                      config->mac_key, &loop->server);
    if (st)
        return fl_error_set(
            err, st,
            "cannot load the server's state: %s; the blob that the log names, or else state.db, "
            "must be put back from a backup, see server/port/README.md",
            fl_status_text(st));
    if (config->snapshots.kept)
        fl_server_limit_snapshots(loop->server, &config->snapshots);
    if (config->threads)
        fl_server_use_threads(loop->server, config->threads);
    return FL_OK;
}

static void loop_done(struct fl_loop *loop)
{
    fl_server_free(loop->server);
    free(loop->slots);
    free(loop->todo.items);
    free(loop->finished.items);
    free(loop->turn_jobs.items);
    free(loop->turn_finished.items);
    pthread_cond_destroy(&loop->core_wakes);
    pthread_cond_destroy(&loop->worker_wakes);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

enum fl_status fl_loop_new(const struct fl_loop_config *config, struct fl_loop **ret_loop,
                           struct fl_error *err)
{
    struct fl_loop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return fl_error_nomem(err);
    enum fl_status st = loop_init(config, loop, err);
    if (st)
        goto out;
    if (pthread_create(&loop->worker_thread, NULL, worker_main, loop)) {
        st = fl_error_set(err, FL_ERR_IO, "cannot start the worker thread: %m");
        goto out;
    }
    if (pthread_create(&loop->core_thread, NULL, core_main, loop)) {
        st = fl_error_set(err, FL_ERR_IO, "cannot start the core thread: %m");
        end_worker(loop);
        goto out;
    }
    *ret_loop = loop;
    loop = NULL;
out:
    if (loop)
        loop_done(loop);
    return st;
}

void fl_loop_stop(struct fl_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->stopping = 1;
    pthread_cond_signal(&loop->core_wakes);
    pthread_mutex_unlock(&loop->lock);
    pthread_join(loop->core_thread, NULL);
    end_worker(loop);
}

void fl_loop_free(struct fl_loop *loop)
{
    if (loop)
        loop_done(loop);
}

enum fl_status fl_loop_once(const struct fl_loop_config *config, struct fl_loop_call *call,
                            struct fl_error *err)
{
    struct fl_loop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return fl_error_nomem(err);
    enum fl_status st = loop_init(config, loop, err);
    if (!st && !(st = fl_loop_submit(loop, call))) {
        turn(loop);
        release_turn(loop, 0); /* of a request that would have to wait */
    }
    loop_done(loop);
    return st;
}
