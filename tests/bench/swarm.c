#include "swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define ENROLLING      8 /* at once */
#define WAIT_MS        60000
#define STACK_BYTES    ((size_t)256 << 10)
#define SETTLE_SECONDS 300

double bench_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void bench_pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static enum fl_status raise_file_limit(uint64_t clients, struct fl_error *err)
{
    struct rlimit limit;
    uint64_t wanted = 8 * clients + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return fl_error_set(err, FL_ERR_IO, "getrlimit: %m");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < wanted)
        return fl_error_set(err, FL_ERR_CONFIG, "%llu open files are allowed, %llu are needed: ulimit -n",
                            (unsigned long long)limit.rlim_cur, (unsigned long long)wanted);
    return FL_OK;
}

enum fl_status swarm_init(struct swarm *swarm, struct lab *lab, size_t count, struct fl_error *err)
{
    *swarm = (struct swarm){.lab = lab, .stop_fd = -1, .count = count};
    enum fl_status st = raise_file_limit(count, err);
    if (st)
        return st;
    swarm->peers = calloc(count, sizeof *swarm->peers);
    swarm->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (!swarm->peers || swarm->stop_fd < 0)
        return fl_error_nomem(err);
    for (size_t i = 0; i < count; i++) {
        swarm->peers[i].swarm = swarm;
        fl_buf_init(&swarm->peers[i].body, 0);
    }
    return FL_OK;
}

void swarm_done(struct swarm *swarm)
{
    for (size_t i = 0; swarm->peers && i < swarm->count; i++)
        fl_buf_done(&swarm->peers[i].body);
    if (swarm->peers)
        close(swarm->stop_fd);
    free(swarm->peers);
    swarm->peers = NULL;
}

/* --- a peer --- */

/* Work for this peer, however often it must ask. */
static enum fl_status await_work(struct peer *peer, struct fl_http *http, struct fl_work *ret_work)
{
    char path[128];
    snprintf(path, sizeof path, "/v1/runs/%s/work?wait=%d", peer->swarm->run, WAIT_MS);
    for (;;) {
        struct fl_http_answer answer;
        enum fl_status st =
            fl_http_request(http,
                            &(struct fl_http_request){.method = "GET",
                                                      .path = path,
                                                      .timeout_ms = 2 * WAIT_MS,
                                                      .answer_limit = FL_LIMIT_SMALL_BODY_BYTES},
                            &peer->body, &answer, &peer->err);
        if (!st && answer.status == 200)
            return fl_work_decode(fl_buf_view(&peer->body), ret_work);
        if (st == FL_ERR_STOPPED || st == FL_ERR_NOMEM)
            return st;
        if (!st && answer.status == 410)
            return FL_ERR_STOPPED;
        if (!st && answer.status != 204 && answer.status != 503)
            return fl_error_set(&peer->err, FL_ERR_STATE, "work: HTTP %d", answer.status);
        if (st)
            bench_pause_ms(100 + rand() % 400); /* refused: too many strangers at once */
    }
}

static void *peer_main(void *user)
{
    struct peer *peer = user;
    struct fl_http *http = NULL;
    struct fl_work work;

    enum fl_status st = fl_identity_connect(peer->state, peer->swarm->lab->url, peer->swarm->stop_fd, NULL,
                                            &http, &peer->err);
    while (!st) {
        st = await_work(peer, http, &work);
        if (!st)
            st = peer->swarm->act(peer, http, &work);
    }
    peer->status = st == FL_ERR_STOPPED ? FL_OK : st;
    fl_http_free(http);
    return NULL;
}

enum fl_status swarm_start(struct swarm *swarm, size_t count, struct fl_error *err)
{
    for (; swarm->started < count; swarm->started++) {
        struct peer *peer = &swarm->peers[swarm->started];
        pthread_attr_t small;
        peer->status = FL_OK;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, STACK_BYTES);
        int failed = pthread_create(&peer->thread, &small, peer_main, peer);
        pthread_attr_destroy(&small);
        if (failed)
            return fl_error_set(err, FL_ERR_IO, "cannot start a thread: %s", strerror(failed));
    }
    return FL_OK;
}

enum fl_status swarm_stop(struct swarm *swarm, struct fl_error *err)
{
    enum fl_status st = FL_OK;
    eventfd_t value;
    eventfd_write(swarm->stop_fd, 1);
    for (size_t i = 0; i < swarm->started; i++) {
        pthread_join(swarm->peers[i].thread, NULL);
        if (!st && swarm->peers[i].status)
            st = fl_error_set(err, swarm->peers[i].status, "client %zu: %s", i, swarm->peers[i].err.text);
    }
    swarm->started = 0;
    eventfd_read(swarm->stop_fd, &value);
    return st;
}

enum fl_status swarm_send(struct peer *peer, struct fl_http *http, const struct fl_work *work,
                          struct fl_bytes update)
{
    struct fl_http_answer answer;
    char path[128];

    snprintf(path, sizeof path, "/v1/runs/%s/updates/%llu", peer->swarm->run, (unsigned long long)work->seq);
    enum fl_status st = fl_http_request(http,
                                        &(struct fl_http_request){.method = "PUT",
                                                                  .path = path,
                                                                  .body = update,
                                                                  .timeout_ms = WAIT_MS,
                                                                  .answer_limit = FL_LIMIT_SMALL_BODY_BYTES},
                                        &peer->body, &answer, &peer->err);
    if (!st && answer.status != 201)
        st =
            fl_error_set(&peer->err, FL_ERR_STATE, "update: HTTP %d: %.*s", answer.status,
                         (int)(peer->body.size < 200 ? peer->body.size : 200), (const char *)peer->body.data);
    return st;
}

/* --- enrolment --- */

struct enrolling {
    struct swarm *swarm;
    pthread_t thread;
    size_t first;
    enum fl_status status;
    struct fl_error err;
};

static void *enrol_main(void *user)
{
    struct enrolling *own = user;
    for (size_t i = own->first; i < own->swarm->count && !own->status; i += ENROLLING) {
        char name[32];
        snprintf(name, sizeof name, "client-%zu", i);
        own->status = lab_enroll(own->swarm->lab, name, own->swarm->peers[i].state, &own->err);
    }
    return NULL;
}

enum fl_status swarm_enrol(struct swarm *swarm, struct fl_error *err)
{
    struct enrolling all[ENROLLING];
    enum fl_status st = FL_OK;
    for (size_t i = 0; i < ENROLLING; i++) {
        all[i] = (struct enrolling){.swarm = swarm, .first = i};
        if (pthread_create(&all[i].thread, NULL, enrol_main, &all[i]))
            return fl_error_set(err, FL_ERR_IO, "cannot start a thread");
    }
    for (size_t i = 0; i < ENROLLING; i++) {
        pthread_join(all[i].thread, NULL);
        if (all[i].status && !st)
            st = fl_error_set(err, all[i].status, "%s", all[i].err.text);
    }
    return st;
}

enum fl_status swarm_await(struct swarm *swarm, const char *key, uint64_t wanted, int at_least,
                           struct fl_error *err)
{
    struct lab *lab = swarm->lab;
    const char *const words[] = {lab->server_program, "run",    "status", swarm->run, "--dir",
                                 lab->server_folder,  "--json", NULL};
    unsigned long long value = 0;
    char name[80];

    snprintf(name, sizeof name, "\"%s\":", key);
    for (double end = bench_now_s() + SETTLE_SECONDS; bench_now_s() < end; bench_pause_ms(100)) {
        struct fl_buf output;
        fl_buf_init(&output, 1 << 20);
        enum fl_status st = lab_call(words, &output, err);
        if (!st)
            st = fl_buf_append(&output, "", 1);
        const char *at = st ? NULL : strstr((const char *)output.data, name);
        value = at ? strtoull(at + strlen(name), NULL, 10) : 0;
        fl_buf_done(&output);
        if (st || value == wanted || (at_least && value > wanted))
            return st;
    }
    return fl_error_set(err, FL_ERR_STATE, "run %s: %s is %llu, expected %llu", swarm->run, key, value,
                        (unsigned long long)wanted);
}
