/* What a server does under load: durable small updates, and a thousand clients that wait. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "codec/codec.h"
#include "kernels/kernels.h"
#include "swarm.h"

#define ELEMS          250 /* with their bias 251 parameters: dense payloads of 1 KB */
#define DRAWN          32
#define LATENCIES_MAX  200000
#define BODY_BYTES     4096
#define SETTLE_SECONDS 300 /* that a state of the server is waited for */

struct options {
    struct bench_options common;
    uint64_t connections, waiting, seconds;
};

/* What a peer does and has seen. */
struct record {
    struct scene *scene;
    double answered_at; /* seconds, when it was given work */
    double *latencies;  /* seconds, of its updates while measuring; NULL: it sends none */
    size_t latency_count;
};

struct scene {
    struct swarm swarm;
    struct record *records; /* of the peers */
    atomic_int measuring;
    atomic_uint answered; /* given work, or verdicts */
    float values[ELEMS + 1];
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

/* --- peers --- */

static enum fl_status encode_update(const struct scene *scene, const struct fl_work *work,
                                    struct fl_buf *message)
{
    struct fl_codec_params params = {.id = FL_CODEC_DENSE};
    struct fl_update update = {.round = work->round, .base = work->base, .weight = 1, .steps = 1};
    struct fl_buf payload;

    fl_buf_init(&payload, BODY_BYTES);
    enum fl_status st = fl_codec_encode(fl_kernels_pick(), &params, scene->values, ELEMS + 1, &payload);
    update.payload = fl_buf_view(&payload);
    if (!st)
        st = fl_update_encode(&update, message);
    fl_buf_done(&payload);
    return st;
}

static enum fl_status send_update(struct peer *peer, struct fl_http *http, const struct fl_work *work)
{
    struct record *record = peer->own;
    struct scene *scene = record->scene;
    struct fl_buf message;

    fl_buf_init(&message, BODY_BYTES);
    enum fl_status st = encode_update(scene, work, &message);
    int counts = atomic_load(&scene->measuring);
    double start = bench_now_s();
    if (!st)
        st = swarm_send(peer, http, work, fl_buf_view(&message));
    if (!st)
        atomic_fetch_add(&scene->answered, 1);
    if (!st && counts && atomic_load(&scene->measuring) && record->latency_count < LATENCIES_MAX)
        record->latencies[record->latency_count++] = bench_now_s() - start;
    fl_buf_done(&message);
    return st;
}

static enum fl_status act(struct peer *peer, struct fl_http *http, const struct fl_work *work)
{
    struct record *record = peer->own;

    if (record->latencies)
        return send_update(peer, http, work);
    record->answered_at = bench_now_s(); /* one answer is all that was waited for */
    atomic_fetch_add(&record->scene->answered, 1);
    return FL_ERR_STOPPED;
}

static enum fl_status create_run(struct scene *scene, const char *name, size_t target, struct fl_error *err)
{
    char text[512];

    snprintf(text, sizeof text,
             "name: %s\nrounds: 1000000\nmodel:\n  kind: logistic\n  inputs: %d\n  outputs: 1\ncodec:\n"
             "  name: dense\nround:\n  target: %zu\n  minimum: %zu\n  deadline_ms: 3600000\n",
             name, ELEMS, target, target);
    scene->swarm.run = name;
    atomic_store(&scene->answered, 0);
    return lab_create_run(scene->swarm.lab, text, err);
}

/* --- updates --- */

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static enum fl_status collect(const struct scene *scene, size_t count, double seconds, double cpu_s,
                              struct load *ret_load, struct fl_error *err)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        total += scene->records[i].latency_count;
    double *all = total ? malloc(total * sizeof *all) : NULL;
    if (!all)
        return fl_error_set(err, FL_ERR_STATE, "no update was accepted");
    for (size_t i = 0; i < count; i++) {
        memcpy(all + at, scene->records[i].latencies, scene->records[i].latency_count * sizeof *all);
        at += scene->records[i].latency_count;
    }
    qsort(all, total, sizeof *all, compare_doubles);
    ret_load->updates_per_s = (double)total / seconds;
    ret_load->p50_ms = all[total / 2] * 1e3;
    ret_load->p99_ms = all[total * 99 / 100] * 1e3;
    ret_load->cpu_us_per_update = cpu_s / (double)total * 1e6;
    free(all);
    return FL_OK;
}

/* For some seconds after three rounds of warming up. */
static enum fl_status measure_load(struct scene *scene, const struct options *options, size_t count,
                                   struct load *ret_load, struct fl_error *err)
{
    struct swarm *swarm = &scene->swarm;
    enum fl_status st = swarm_start(swarm, count, err);
    for (double end = bench_now_s() + SETTLE_SECONDS;
         !st && atomic_load(&scene->answered) < 3 * count && bench_now_s() < end;)
        bench_pause_ms(10);
    double start = bench_now_s(), cpu = lab_cpu_s(swarm->lab);
    atomic_store(&scene->measuring, 1);
    if (!st)
        bench_pause_ms((long)options->seconds * 1000);
    atomic_store(&scene->measuring, 0);
    double seconds = bench_now_s() - start;
    cpu = lab_cpu_s(swarm->lab) - cpu;
    enum fl_status ended = swarm_stop(swarm, st ? NULL : err);
    st = st ? st : ended;
    return st ? st : collect(scene, count, seconds, cpu, ret_load, err);
}

/* Rounds of as many updates as there are connections. */
static enum fl_status measure_updates(struct scene *scene, const struct options *options, const char *run,
                                      struct load *ret_load, struct fl_error *err)
{
    size_t count = (size_t)options->connections;
    enum fl_status st = create_run(scene, run, count, err);
    for (size_t i = 0; i < count && !st; i++) {
        scene->records[i].latency_count = 0;
        scene->records[i].latencies = malloc(LATENCIES_MAX * sizeof(double));
        st = scene->records[i].latencies ? FL_OK : fl_error_nomem(err);
    }
    if (!st)
        st = measure_load(scene, options, count, ret_load, err);
    for (size_t i = 0; i < count; i++) {
        free(scene->records[i].latencies);
        scene->records[i].latencies = NULL;
    }
    return st;
}

/* --- waiting --- */

/* The last one asks too, the round opens, and everybody is given work. */
static enum fl_status wake(struct scene *scene, struct idle *ret_idle, struct fl_error *err)
{
    struct swarm *swarm = &scene->swarm;
    double start = bench_now_s(), *at = malloc(swarm->count * sizeof *at);
    enum fl_status st = at ? swarm_start(swarm, swarm->count, err) : fl_error_nomem(err);
    for (double end = start + SETTLE_SECONDS; !st && atomic_load(&scene->answered) < swarm->count;)
        if (bench_now_s() > end)
            st = fl_error_set(err, FL_ERR_TIMEOUT, "only %u clients were woken",
                              atomic_load(&scene->answered));
        else
            bench_pause_ms(5);
    for (size_t i = 0; i < swarm->count && !st; i++)
        at[i] = (scene->records[i].answered_at - start) * 1e3;
    if (!st) {
        qsort(at, swarm->count, sizeof *at, compare_doubles);
        ret_idle->median_ms = at[swarm->count / 2];
        ret_idle->last_ms = at[swarm->count - 1];
    }
    free(at);
    return st;
}

/* All wait but one; then that one asks too. */
static enum fl_status measure_wake(struct scene *scene, struct idle *ret_idle, struct fl_error *err)
{
    struct swarm *swarm = &scene->swarm;
    enum fl_status st = create_run(scene, "all", swarm->count, err);
    ret_idle->rss_before = lab_memory(swarm->lab->server, "VmRSS");
    if (!st)
        st = swarm_start(swarm, swarm->count - 1, err);
    if (!st)
        st = swarm_await(swarm, "waiting", swarm->count - 1, 0, err);
    ret_idle->rss_with = lab_memory(swarm->lab->server, "VmRSS");
    double idle_cpu = lab_cpu_s(swarm->lab);
    bench_pause_ms(2000);
    ret_idle->cpu_s = (lab_cpu_s(swarm->lab) - idle_cpu) / 2;
    if (!st)
        st = wake(scene, ret_idle, err);
    enum fl_status ended = swarm_stop(swarm, st ? NULL : err);
    return st ? st : ended;
}

/* Rule R15 with as many: the drawn are woken, nobody else is, and a client's new request displaces its old.
 */
static enum fl_status check_R15_only_the_drawn_are_woken(struct scene *scene, struct fl_error *err)
{
    struct swarm *swarm = &scene->swarm;
    size_t left = swarm->count - DRAWN;
    enum fl_status st = create_run(scene, "few", DRAWN, err);
    if (!st)
        st = swarm_start(swarm, swarm->count, err);
    if (!st)
        st = swarm_await(swarm, "waiting", left, 0, err);
    bench_pause_ms(1000);
    if (!st && atomic_load(&scene->answered) != DRAWN)
        st = fl_error_set(err, FL_ERR_STATE, "rule R15: %u clients were woken, %d were drawn",
                          atomic_load(&scene->answered), DRAWN);
    if (!st)
        st = swarm_await(swarm, "waiting", left, 0, err);
    enum fl_status ended = swarm_stop(swarm, st ? NULL : err);
    return st ? st : ended;
}

/* --- all of it --- */

static enum fl_status measure(struct scene *scene, const struct options *options, struct figures *ret,
                              struct fl_error *err)
{
    struct lab *lab = scene->swarm.lab;
    double start = bench_now_s();
    enum fl_status st =
        lab_change_setting(lab, "enrolments_per_minute: 600", "enrolments_per_minute: 1000000", err);
    if (!st)
        st = lab_start_server(lab, err);
    if (!st)
        st = swarm_enrol(&scene->swarm, err);
    ret->enrolled = scene->swarm.count;
    ret->enrol_s = bench_now_s() - start;
    if (!st)
        st = measure_updates(scene, options, "durable", &ret->durable, err);
    if (!st)
        st = lab_stop_server(lab, err);
    if (!st)
        st = lab_start_server(lab, err); /* afresh, so that the memory is that of waiting */
    if (!st)
        st = measure_wake(scene, &ret->idle, err);
    if (!st)
        st = check_R15_only_the_drawn_are_woken(scene, err);
    if (!st)
        st = lab_stop_server(lab, err);
    if (!st)
        st = lab_change_setting(lab, "durability: full", "durability: off", err);
    if (!st)
        st = lab_start_server(lab, err);
    if (!st)
        st = measure_updates(scene, options, "relaxed", &ret->relaxed, err);
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

static int run(const struct fl_command_call *call)
{
    const struct options *options = call->values;
    uint64_t count = options->waiting < options->connections ? options->connections : options->waiting;
    struct lab lab = {.server = 0};
    struct figures figures = {0};
    struct fl_error err = {""};
    struct scene scene = {.swarm = {.count = 0}};
    enum fl_status st = swarm_init(&scene.swarm, &lab, (size_t)count, &err);
    scene.swarm.act = act;
    for (size_t i = 0; i <= ELEMS; i++)
        scene.values[i] = 1e-6f * (float)(i + 1);
    scene.records = calloc((size_t)count, sizeof *scene.records);
    if (!st && !scene.records)
        st = fl_error_nomem(&err);
    for (size_t i = 0; i < count && !st; i++) {
        scene.records[i].scene = &scene;
        scene.swarm.peers[i].own = &scene.records[i];
    }
    if (!st)
        st = lab_begin(&options->common, (unsigned)count, &lab, &err);
    if (!st)
        st = measure(&scene, options, &figures, &err);
    lab_end(&lab);
    swarm_done(&scene.swarm);
    free(scene.records);
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
