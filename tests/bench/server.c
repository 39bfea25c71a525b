/* What a server does under load: durable small updates, and a thousand clients that wait. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "client/port/identity.h"
#include "codec/codec.h"
#include "kernels/kernels.h"
#include "lab.h"
#include "platform/env.h"

#define ELEMS          250 /* with their bias 251 parameters: dense payloads of 1 KB */
#define ENROLLING      8   /* at once */
#define DRAWN          32
#define WAIT_MS        60000
#define STACK_BYTES    ((size_t)256 << 10)
#define LATENCIES_MAX  200000
#define BODY_BYTES     4096
#define SETTLE_SECONDS 300 /* that a state of the server is waited for */

struct options {
    struct bench_options common;
    uint64_t connections, waiting, seconds;
};

/* Clients that run at the same time, each in a thread with a connection of its own. */
struct swarm {
    struct lab *lab;
    const char *run;
    int stop_fd; /* readable: everybody stops */
    atomic_int measuring;
    atomic_uint answered; /* given work, or verdicts */
    struct peer *peers;
    size_t count;
    float values[ELEMS + 1];
};

struct peer {
    struct swarm *swarm;
    pthread_t thread;
    char state[FL_PATH_SIZE];
    double answered_at; /* seconds, when it was given work */
    double *latencies;  /* seconds, of its updates while measuring */
    size_t latency_count;
    enum fl_status status;
    struct fl_error err;
};

struct load {
    double updates_per_s, p50_ms, p99_ms, cpu_us_per_update;
};

struct idle {
    uint64_t rss_before, rss_with;
    double median_ms, last_ms, cpu_s;
};

struct figures {
    struct load durable, relaxed;
    struct idle idle;
    size_t enrolled;
    double enrol_s;
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* CPU seconds that the server has used. */
static double server_cpu_s(const struct lab *lab)
{
    char path[64], text[1024];
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)lab->server);
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[size] = '\0';
    const char *at = strrchr(text, ')');
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        return 0;
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

/* --- peers --- */

static enum fl_status ask(struct fl_http *http, struct peer *peer, struct fl_buf *body,
                          struct fl_http_answer *ret_answer)
{
    char path[128];
    snprintf(path, sizeof path, "/v1/runs/%s/work?wait=%d", peer->swarm->run, WAIT_MS);
    return fl_http_request(http,
                           &(struct fl_http_request){.method = "GET",
                                                     .path = path,
                                                     .timeout_ms = 2 * WAIT_MS,
                                                     .answer_limit = FL_LIMIT_SMALL_BODY_BYTES},
                           body, ret_answer, &peer->err);
}

/* Work for this peer, however often it must ask. */
static enum fl_status await_work(struct fl_http *http, struct peer *peer, struct fl_buf *body,
                                 struct fl_work *ret_work)
{
    for (;;) {
        struct fl_http_answer answer;
        enum fl_status st = ask(http, peer, body, &answer);
        if (!st && answer.status == 200)
            return fl_work_decode(fl_buf_view(body), ret_work);
        if (st == FL_ERR_STOPPED || st == FL_ERR_NOMEM)
            return st;
        if (!st && answer.status != 204 && answer.status != 503)
            return fl_error_set(&peer->err, FL_ERR_STATE, "work: HTTP %d", answer.status);
        if (st)
            pause_ms(100 + rand() % 400); /* refused: too many strangers at once */
    }
}

static enum fl_status send_update(struct fl_http *http, struct peer *peer, const struct fl_work *work,
                                  struct fl_buf *body, struct fl_buf *message)
{
    struct swarm *swarm = peer->swarm;
    struct fl_codec_params params = {.id = FL_CODEC_DENSE};
    struct fl_update update = {.round = work->round, .base = work->base, .weight = 1, .steps = 1};
    struct fl_http_answer answer;
    struct fl_buf payload;
    char path[128];

    fl_buf_init(&payload, BODY_BYTES);
    fl_buf_clear(message);
    enum fl_status st = fl_codec_encode(fl_kernels_pick(), &params, swarm->values, ELEMS + 1, &payload);
    update.payload = fl_buf_view(&payload);
    if (!st)
        st = fl_update_encode(&update, message);
    fl_buf_done(&payload);
    if (st)
        return st;
    snprintf(path, sizeof path, "/v1/runs/%s/updates/%llu", swarm->run, (unsigned long long)work->seq);
    int counts = atomic_load(&swarm->measuring);
    double start = now_s();
    st = fl_http_request(http,
                         &(struct fl_http_request){.method = "PUT",
                                                   .path = path,
                                                   .body = fl_buf_view(message),
                                                   .timeout_ms = WAIT_MS,
                                                   .answer_limit = FL_LIMIT_SMALL_BODY_BYTES},
                         body, &answer, &peer->err);
    if (!st && answer.status != 201)
        st = fl_error_set(&peer->err, FL_ERR_STATE, "update: HTTP %d: %.*s", answer.status,
                          (int)(body->size < 200 ? body->size : 200), (const char *)body->data);
    if (!st)
        atomic_fetch_add(&swarm->answered, 1);
    if (!st && counts && atomic_load(&swarm->measuring) && peer->latency_count < LATENCIES_MAX)
        peer->latencies[peer->latency_count++] = now_s() - start;
    return st;
}

static void *peer_main(void *user)
{
    struct peer *peer = user;
    struct swarm *swarm = peer->swarm;
    struct fl_http *http = NULL;
    struct fl_buf body, message;
    struct fl_work work;

    fl_buf_init(&body, 0);
    fl_buf_init(&message, BODY_BYTES);
    enum fl_status st =
        fl_identity_connect(peer->state, swarm->lab->url, swarm->stop_fd, NULL, &http, &peer->err);
    while (!st) {
        st = await_work(http, peer, &body, &work);
        if (!st && peer->latencies)
            st = send_update(http, peer, &work, &body, &message);
        else if (!st) { /* one answer is all that was waited for */
            peer->answered_at = now_s();
            atomic_fetch_add(&swarm->answered, 1);
            break;
        }
    }
    peer->status = st == FL_ERR_STOPPED ? FL_OK : st;
    fl_http_free(http);
    fl_buf_done(&body);
    fl_buf_done(&message);
    return NULL;
}

static enum fl_status start_peer(struct peer *peer, struct fl_error *err)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    int failed = pthread_create(&peer->thread, &small, peer_main, peer);
    pthread_attr_destroy(&small);
    return failed ? fl_error_set(err, FL_ERR_IO, "cannot start a thread: %s", strerror(failed)) : FL_OK;
}

/* Ends peers that were started, and says what went wrong with the first that failed. */
static enum fl_status stop_peers(struct swarm *swarm, size_t started, struct fl_error *err)
{
    enum fl_status st = FL_OK;
    eventfd_write(swarm->stop_fd, 1);
    for (size_t i = 0; i < started; i++) {
        pthread_join(swarm->peers[i].thread, NULL);
        if (!st && swarm->peers[i].status)
            st = fl_error_set(err, swarm->peers[i].status, "client %zu: %s", i, swarm->peers[i].err.text);
    }
    eventfd_t value;
    eventfd_read(swarm->stop_fd, &value);
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

static enum fl_status enrol_all(struct swarm *swarm, struct fl_error *err)
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

/* --- the server --- */

static enum fl_status change_setting(struct lab *lab, const char *from, const char *to, struct fl_error *err)
{
    struct fl_buf old, new;
    fl_buf_init(&old, 1 << 16);
    fl_buf_init(&new, 1 << 16);
    enum fl_status st = fl_file_read(lab->config, &old, err);
    const uint8_t *at = st ? NULL : memmem(old.data, old.size, from, strlen(from));
    if (!st && !at)
        st = fl_error_set(err, FL_ERR_FORMAT, "%s: no line \"%s\"", lab->config, from);
    if (!st) {
        const uint8_t *rest = at + strlen(from);
        st = fl_buf_append(&new, old.data, (size_t)(at - old.data));
        if (!st)
            st = fl_buf_append(&new, to, strlen(to));
        if (!st)
            st = fl_buf_append(&new, rest, (size_t)(old.data + old.size - rest));
        if (!st)
            st = fl_file_write_atomic(lab->config, fl_buf_view(&new), FL_FILE_SECRET, err);
    }
    fl_buf_done(&old);
    fl_buf_done(&new);
    return st;
}

static enum fl_status create_run(struct lab *lab, const char *name, size_t target, struct fl_error *err)
{
    char path[FL_PATH_SIZE], text[512];
    struct fl_buf output;
    snprintf(text, sizeof text,
             "name: %s\nrounds: 1000000\nmodel:\n  kind: logistic\n  inputs: %d\n  outputs: 1\ncodec:\n"
             "  name: dense\nround:\n  target: %zu\n  minimum: %zu\n  deadline_ms: 3600000\n",
             name, ELEMS, target, target);
    enum fl_status st = lab_write(lab, "run.yaml", text, path, err);
    if (st)
        return st;
    const char *const words[] = {lab->server_program, "run", "create", path, "--dir",
                                 lab->server_folder,  NULL};
    fl_buf_init(&output, 1 << 20);
    st = lab_call(words, &output, err);
    fl_buf_done(&output);
    return st;
}

/* Waits until the run has so many waiting clients. */
static enum fl_status await_waiting(struct lab *lab, const char *run, size_t wanted, struct fl_error *err)
{
    const char *const words[] = {lab->server_program, "run",    "status", run, "--dir",
                                 lab->server_folder,  "--json", NULL};
    unsigned long waiting = 0;
    for (double end = now_s() + SETTLE_SECONDS; now_s() < end; pause_ms(100)) {
        static const char key[] = "\"waiting\":";
        struct fl_buf output;
        fl_buf_init(&output, 1 << 20);
        enum fl_status st = lab_call(words, &output, err);
        if (!st)
            st = fl_buf_append(&output, "", 1);
        const char *at = st ? NULL : strstr((const char *)output.data, key);
        waiting = at ? strtoul(at + sizeof key - 1, NULL, 10) : 0;
        fl_buf_done(&output);
        if (st || waiting == wanted)
            return st;
    }
    return fl_error_set(err, FL_ERR_STATE, "run %s: %lu clients wait, expected %zu", run, waiting, wanted);
}

/* --- updates --- */

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static enum fl_status collect(const struct swarm *swarm, size_t count, double seconds, double cpu_s,
                              struct load *ret_load, struct fl_error *err)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        total += swarm->peers[i].latency_count;
    double *all = total ? malloc(total * sizeof *all) : NULL;
    if (!all)
        return fl_error_set(err, FL_ERR_STATE, "no update was accepted");
    for (size_t i = 0; i < count; i++) {
        memcpy(all + at, swarm->peers[i].latencies, swarm->peers[i].latency_count * sizeof *all);
        at += swarm->peers[i].latency_count;
    }
    qsort(all, total, sizeof *all, compare_doubles);
    ret_load->updates_per_s = (double)total / seconds;
    ret_load->p50_ms = all[total / 2] * 1e3;
    ret_load->p99_ms = all[total * 99 / 100] * 1e3;
    ret_load->cpu_us_per_update = cpu_s / (double)total * 1e6;
    free(all);
    return FL_OK;
}

/* Rounds of as many updates as there are connections, for some seconds after three rounds of warming up. */
static enum fl_status measure_updates(struct swarm *swarm, const struct options *options, const char *run,
                                      struct load *ret_load, struct fl_error *err)
{
    size_t count = (size_t)options->connections, started = 0;
    enum fl_status st = create_run(swarm->lab, run, count, err);
    swarm->run = run;
    atomic_store(&swarm->answered, 0);
    for (; started < count && !st; started++) {
        struct peer *peer = &swarm->peers[started];
        peer->latency_count = 0;
        peer->latencies = malloc(LATENCIES_MAX * sizeof(double));
        st = peer->latencies ? start_peer(peer, err) : fl_error_nomem(err);
    }
    if (!st) {
        for (double end = now_s() + SETTLE_SECONDS;
             atomic_load(&swarm->answered) < 3 * count && now_s() < end;)
            pause_ms(10);
        double start = now_s(), cpu = server_cpu_s(swarm->lab);
        atomic_store(&swarm->measuring, 1);
        pause_ms((long)options->seconds * 1000);
        atomic_store(&swarm->measuring, 0);
        double seconds = now_s() - start;
        cpu = server_cpu_s(swarm->lab) - cpu;
        st = stop_peers(swarm, started, err);
        if (!st)
            st = collect(swarm, started, seconds, cpu, ret_load, err);
    }
    for (size_t i = 0; i < started; i++) {
        free(swarm->peers[i].latencies);
        swarm->peers[i].latencies = NULL;
    }
    return st;
}

/* --- waiting --- */

/* All wait but one; then that one asks too, the round opens, and everybody is given work. */
static enum fl_status measure_wake(struct swarm *swarm, struct idle *ret_idle, struct fl_error *err)
{
    size_t started = 0;
    enum fl_status st = create_run(swarm->lab, "all", swarm->count, err);
    swarm->run = "all";
    atomic_store(&swarm->answered, 0);
    ret_idle->rss_before = lab_memory(swarm->lab->server, "VmRSS");
    for (; started + 1 < swarm->count && !st; started++)
        st = start_peer(&swarm->peers[started], err);
    if (!st)
        st = await_waiting(swarm->lab, "all", started, err);
    ret_idle->rss_with = lab_memory(swarm->lab->server, "VmRSS");
    double idle_cpu = server_cpu_s(swarm->lab);
    pause_ms(2000);
    ret_idle->cpu_s = (server_cpu_s(swarm->lab) - idle_cpu) / 2;
    double start = now_s();
    if (!st && !(st = start_peer(&swarm->peers[started], err)))
        started++;
    for (double end = start + SETTLE_SECONDS; !st && atomic_load(&swarm->answered) < swarm->count;)
        if (now_s() > end)
            st = fl_error_set(err, FL_ERR_TIMEOUT, "only %u clients were woken",
                              atomic_load(&swarm->answered));
        else
            pause_ms(5);
    enum fl_status ended = stop_peers(swarm, started, st ? NULL : err);
    st = st ? st : ended;
    double *at = st ? NULL : malloc(swarm->count * sizeof *at);
    if (!at)
        return st ? st : fl_error_nomem(err);
    for (size_t i = 0; i < swarm->count; i++)
        at[i] = (swarm->peers[i].answered_at - start) * 1e3;
    qsort(at, swarm->count, sizeof *at, compare_doubles);
    ret_idle->median_ms = at[swarm->count / 2];
    ret_idle->last_ms = at[swarm->count - 1];
    free(at);
    return FL_OK;
}

/* Rule R15 with as many: the drawn are woken, nobody else is, and a client's new request displaces its old.
 */
static enum fl_status check_R15_only_the_drawn_are_woken(struct swarm *swarm, struct fl_error *err)
{
    size_t started = 0, left = swarm->count - DRAWN;
    enum fl_status st = create_run(swarm->lab, "few", DRAWN, err);
    swarm->run = "few";
    atomic_store(&swarm->answered, 0);
    for (; started < swarm->count && !st; started++)
        st = start_peer(&swarm->peers[started], err);
    if (!st)
        st = await_waiting(swarm->lab, "few", left, err);
    pause_ms(1000);
    if (!st && atomic_load(&swarm->answered) != DRAWN)
        st = fl_error_set(err, FL_ERR_STATE, "rule R15: %u clients were woken, %d were drawn",
                          atomic_load(&swarm->answered), DRAWN);
    if (!st)
        st = await_waiting(swarm->lab, "few", left, err);
    enum fl_status ended = stop_peers(swarm, started, st ? NULL : err);
    return st ? st : ended;
}

/* --- all of it --- */

static enum fl_status measure(struct swarm *swarm, const struct options *options, struct figures *ret,
                              struct fl_error *err)
{
    struct lab *lab = swarm->lab;
    double start = now_s();
    enum fl_status st =
        change_setting(lab, "enrolments_per_minute: 600", "enrolments_per_minute: 1000000", err);
    if (!st)
        st = lab_start_server(lab, err);
    if (!st)
        st = enrol_all(swarm, err);
    ret->enrolled = swarm->count;
    ret->enrol_s = now_s() - start;
    if (!st)
        st = measure_updates(swarm, options, "durable", &ret->durable, err);
    if (!st)
        st = lab_stop_server(lab, err);
    if (!st)
        st = lab_start_server(lab, err); /* afresh, so that the memory is that of waiting */
    if (!st)
        st = measure_wake(swarm, &ret->idle, err);
    if (!st)
        st = check_R15_only_the_drawn_are_woken(swarm, err);
    if (!st)
        st = lab_stop_server(lab, err);
    if (!st)
        st = change_setting(lab, "durability: full", "durability: off", err);
    if (!st)
        st = lab_start_server(lab, err);
    if (!st)
        st = measure_updates(swarm, options, "relaxed", &ret->relaxed, err);
    return st ? st : lab_stop_server(lab, err);
}

static void print_load(const struct fl_command_call *call, const char *name, const struct load *load,
                       int json)
{
    fprintf(call->out,
            json ? "\"%s\": {\"updates_per_s\": %.1f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, "
                   "\"server_cpu_us_per_update\": %.1f}, "
                 : "%-26s %8.0f updates/s   p50 %7.2f ms   p99 %7.2f ms   %7.0f us of CPU each\n",
            name, load->updates_per_s, load->p50_ms, load->p99_ms, load->cpu_us_per_update);
}

static void print(const struct fl_command_call *call, const struct figures *figures)
{
    const struct options *options = call->values;
    const struct idle *idle = &figures->idle;
    int json = options->common.json;
    double each = ((double)idle->rss_with - (double)idle->rss_before) / (double)figures->enrolled;

    if (json)
        fprintf(call->out, "{\"connections\": %llu, ", (unsigned long long)options->connections);
    print_load(call, json ? "durable" : "updates, durable", &figures->durable, json);
    print_load(call, json ? "durability_off" : "updates, durability off", &figures->relaxed, json);
    fprintf(call->out,
            json
                ? "\"durable_share\": %.3f, \"waiting\": %zu, \"enrol_s\": %.1f, \"rss_before_bytes\": %llu, "
                  "\"rss_waiting_bytes\": %llu, \"rss_per_client_bytes\": %.0f, \"wake_median_ms\": %.1f, "
                  "\"wake_last_ms\": %.1f, \"waiting_cpu_share\": %.4f}\n"
                : "durable / durability off   %8.3f\nclients waiting            %8zu   enrolled in %.1f s\n"
                  "server, before and with    %8llu and %llu bytes resident, %.0f a client\n"
                  "woken                      median %.1f ms, last %.1f ms\n"
                  "CPU while they wait        %8.4f of a core\n",
            figures->durable.updates_per_s / figures->relaxed.updates_per_s, figures->enrolled,
            figures->enrol_s, (unsigned long long)idle->rss_before, (unsigned long long)idle->rss_with, each,
            idle->median_ms, idle->last_ms, idle->cpu_s);
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

static int run(const struct fl_command_call *call)
{
    const struct options *options = call->values;
    struct lab lab = {.server = 0};
    struct figures figures = {0};
    struct fl_error err = {""};
    struct swarm swarm = {.lab = &lab, .count = (size_t)options->waiting};
    if (swarm.count < options->connections)
        swarm.count = (size_t)options->connections;
    for (size_t i = 0; i <= ELEMS; i++)
        swarm.values[i] = 1e-6f * (float)(i + 1);
    swarm.stop_fd = eventfd(0, EFD_CLOEXEC);
    swarm.peers = calloc(swarm.count, sizeof *swarm.peers);
    enum fl_status st = swarm.peers ? raise_file_limit(swarm.count, &err) : fl_error_nomem(&err);
    for (size_t i = 0; i < swarm.count && !st; i++)
        swarm.peers[i].swarm = &swarm;
    if (!st)
        st = lab_begin(&options->common, (unsigned)swarm.count, &lab, &err);
    if (!st)
        st = measure(&swarm, options, &figures, &err);
    lab_end(&lab);
    free(swarm.peers);
    close(swarm.stop_fd);
    if (st)
        fprintf(call->err, "fl-bench server: %s\n", err.text[0] ? err.text : fl_status_text(st));
    else
        print(call, &figures);
    return (int)fl_exit_code_from_status(st);
}

static const struct fl_setting rows[] = {
    BENCH_ROWS(struct options),
    {.key = "connections",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct options, connections),
     .min = 1,
     .max = 256,
     .def = "64",
     .help = "clients that send updates, and updates of a round"},
    {.key = "waiting",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct options, waiting),
     .min = 2 * DRAWN,
     .max = 2000,
     .def = "1000",
     .help = "clients that wait for work"},
    {.key = "seconds",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct options, seconds),
     .min = 1,
     .max = 600,
     .def = "10",
     .help = "that updates are sent for, twice"},
};

const struct fl_command bench_server = {
    .words = "server",
    .summary = "small updates with and without durability, and clients that wait",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
    .values_size = sizeof(struct options),
    .examples = "  fl-bench server --json\n",
    .run = run,
};
