/* One full round of a large model: where the time goes, stage by stage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "codec/downlink.h"
#include "codec/feedback.h"
#include "kernels/kernels.h"
#include "large.h"
#include "platform/dir.h"
#include "protocol/digest.h"

#define LOG_BYTES ((size_t)64 << 20)
#define REPEATS   3 /* of what is timed in this process; the median counts */

struct options {
    struct bench_options common;
    uint64_t parameters, clients;
    double density;
};

enum stage {
    /* one client, in this process with the client's own code */
    STAGE_COMPRESS,
    STAGE_SAVE_RESIDUAL,
    /* the server, all updates together */
    STAGE_JUDGE,
    STAGE_SPOOL_SYNC,
    STAGE_COMMIT,
    /* the server, the job that makes the version; in the order of enum fl_stage */
    STAGE_JOB,
    STAGE_JOB_END = STAGE_JOB + 10,
    /* seen from clients */
    STAGE_SEND = STAGE_JOB_END,
    STAGE_FETCH,
    STAGE_APPLY,
    STAGE_DIGEST,
    STAGE_SAVE_DELTA,
    STAGES
};

static const struct {
    const char *key, *text;
} stages[STAGES] = {
    [STAGE_COMPRESS] = {"client_compress", "client: error feedback and compression"},
    [STAGE_SAVE_RESIDUAL] = {"client_save_residual", "client: residual and update written and synced"},
    [STAGE_JUDGE] = {"server_judge", "server: updates hashed, decoded, checked, written (all)"},
    [STAGE_SPOOL_SYNC] = {"server_sync_payloads", "server: payload files synced (all)"},
    [STAGE_COMMIT] = {"server_commit", "server: commits (all)"},
    [STAGE_JOB] = {"job_fetch", "version: payloads read (twice)"},
    {"job_check", "version: payloads checked (twice)"},
    {"job_sum", "version: sum"},
    {"job_read", "version: x read and verified"},
    {"job_step", "version: step"},
    {"job_threshold", "version: threshold"},
    {"job_write", "version: state summed and written"},
    {"job_sync", "version: state synced"},
    {"job_digest", "version: digest"},
    {"job_delta", "version: delta made"},
    [STAGE_SEND] = {"client_send", "clients: an update sent until its verdict (mean)"},
    [STAGE_FETCH] = {"client_fetch_delta", "clients: the delta downloaded, all at once (mean)"},
    [STAGE_APPLY] = {"client_apply", "client: delta decoded and applied"},
    [STAGE_DIGEST] = {"client_digest", "client: digest of the model"},
    [STAGE_SAVE_DELTA] = {"client_save_delta", "client: delta written and synced"},
};

struct figures {
    double ms[STAGES];
    double round_ms, version_ms; /* from the first request for work to the last delta; of the job */
    uint64_t update_bytes, delta_bytes;
};

/* --- the server's log --- */

/* Adds up every value of `key` in lines that have `mark`. */
static uint64_t add_up(const char *log, const char *mark, const char *key)
{
    uint64_t sum = 0;

    for (const char *line = log; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        const char *end = strchrnul(line, '\n');
        const char *at = memmem(line, (size_t)(end - line), key, strlen(key));
        if (at && memmem(line, (size_t)(end - line), mark, strlen(mark)))
            sum += strtoull(at + strlen(key), NULL, 10);
    }
    return sum;
}

static void read_stages(const char *log, struct figures *figures)
{
    char key[64];

    figures->ms[STAGE_COMMIT] = (double)add_up(log, "; turn", "commit_us=") / 1e3;
    figures->ms[STAGE_SPOOL_SYNC] = (double)add_up(log, ".update ", "sync_us=") / 1e3;
    figures->ms[STAGE_JUDGE] =
        (double)add_up(log, "; turn", "handle_us=") / 1e3 - figures->ms[STAGE_SPOOL_SYNC];
    for (int i = STAGE_JOB; i < STAGE_JOB_END; i++) {
        snprintf(key, sizeof key, " %s_ms=", stages[i].key + strlen("job_"));
        figures->ms[i] = (double)add_up(log, "; version made", key);
        figures->version_ms += figures->ms[i];
    }
}

static enum fl_status read_log(const struct lab *lab, struct fl_buf *log, struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    enum fl_status st = fl_path_join(lab->folder, "server.log", path, err);

    fl_buf_clear(log);
    if (!st)
        st = fl_file_read(path, log, err);
    return st ? st : fl_buf_append(log, "", 1);
}

/* --- a client's part --- */

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* What a client does with numbers and files, and how long it takes. */
struct work {
    struct large *large;
    struct fl_bytes delta;
    float *replica, *residual, *left;
    struct fl_digest_tree *tree;
    struct fl_buf payload;
    char folder[FL_PATH_SIZE];
};

static enum fl_status save(const struct work *work, const char *name, struct fl_bytes bytes,
                           struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    enum fl_status st = fl_path_join(work->folder, name, path, err);

    if (!st)
        st = fl_file_write_durable(path, bytes, FL_FILE_SECRET, err);
    return st ? st : fl_dir_sync(work->folder, err);
}

static enum fl_status do_stage(struct work *work, enum stage stage, struct fl_error *err)
{
    size_t elems = (size_t)work->large->options.elems;
    struct fl_codec_params params = large_codec();
    struct fl_model_message message;
    struct fl_payload checked;

    switch (stage) {
    case STAGE_COMPRESS:
        fl_buf_clear(&work->payload);
        return fl_error_feedback_step(fl_kernels_pick(), 1, &params, work->large->values, work->residual,
                                      elems, &work->payload, work->left, &checked);
    case STAGE_SAVE_RESIDUAL: {
        enum fl_status st = save(work, "update", fl_buf_view(&work->payload), err);
        struct fl_bytes residual = {(const uint8_t *)work->left, elems * sizeof *work->left};
        return st ? st : save(work, "residual", residual, err);
    }
    case STAGE_APPLY: {
        enum fl_status st = fl_model_message_decode(work->delta, &message);
        return st ? st : fl_sparse_apply(message.data, work->replica, elems);
    }
    case STAGE_DIGEST:
        fl_digest_tree_touch_all(work->tree);
        (void)fl_digest_tree_get(work->tree, work->replica);
        return FL_OK;
    default:
        return save(work, "delta", work->delta, err);
    }
}

static enum fl_status time_stages(struct work *work, struct figures *figures, struct fl_error *err)
{
    static const enum stage own[] = {STAGE_COMPRESS, STAGE_SAVE_RESIDUAL, STAGE_APPLY, STAGE_DIGEST,
                                     STAGE_SAVE_DELTA};
    enum fl_status st = FL_OK;

    for (size_t i = 0; i < sizeof own / sizeof own[0] && !st; i++) {
        double seconds[REPEATS];
        for (size_t j = 0; j < REPEATS && !st; j++) {
            double start = bench_now_s();
            st = do_stage(work, own[i], err);
            seconds[j] = bench_now_s() - start;
        }
        qsort(seconds, REPEATS, sizeof seconds[0], compare_doubles);
        figures->ms[own[i]] = seconds[REPEATS / 2] * 1e3;
    }
    return st && !err->text[0] ? fl_error_set(err, st, "a client's part: %s", fl_status_text(st)) : st;
}

static enum fl_status measure_client(struct large *large, struct figures *figures, struct fl_error *err)
{
    size_t elems = (size_t)large->options.elems;
    struct work work = {.large = large, .delta = fl_buf_view(&large->swarm.peers[0].body)};
    enum fl_status st = fl_digest_tree_new(elems, &work.tree);

    work.replica = calloc(elems, sizeof *work.replica);
    work.residual = calloc(elems, sizeof *work.residual);
    work.left = calloc(elems, sizeof *work.left);
    fl_buf_init(&work.payload, fl_limit_model_body_bytes(elems));
    if (st || !work.replica || !work.residual || !work.left)
        st = fl_error_nomem(err);
    memcpy(work.folder, large->swarm.lab->folder, sizeof work.folder);
    if (!st) {
        large_fill_values(large, 0, 1);
        for (size_t i = 0; i < elems; i++) /* what stays in the residual has values everywhere */
            work.residual[i] = (float)(i % 5) * 1e-5f;
        st = time_stages(&work, figures, err);
    }
    fl_digest_tree_free(work.tree);
    free(work.replica);
    free(work.residual);
    free(work.left);
    fl_buf_done(&work.payload);
    return st;
}

/* --- all of it --- */

static enum fl_status measure_round(struct large *large, struct figures *figures, struct fl_error *err)
{
    struct fl_buf log;
    size_t clients = large->swarm.count, before;
    enum fl_status st = large_play(large, 1, err); /* everything is warm, and everybody has a version */

    fl_buf_init(&log, LOG_BYTES);
    if (!st)
        st = read_log(large->swarm.lab, &log, err);
    before = log.size ? log.size - 1 : 0;
    double start = bench_now_s();
    if (!st)
        st = large_play(large, 1, err);
    figures->round_ms = (bench_now_s() - start) * 1e3;
    if (!st)
        st = read_log(large->swarm.lab, &log, err);
    if (!st)
        read_stages((const char *)log.data + before, figures);
    fl_buf_done(&log);
    for (size_t i = 0; i < clients; i++) {
        figures->ms[STAGE_SEND] += large->all[i].send_s * 1e3 / (double)clients;
        figures->ms[STAGE_FETCH] += large->all[i].fetch_s * 1e3 / (double)clients;
    }
    figures->update_bytes = large->all[0].sent_bytes;
    figures->delta_bytes = large->all[0].fetched_bytes;
    return st ? st : measure_client(large, figures, err);
}

static enum fl_status measure(const struct options *options, struct lab *lab, struct large *large,
                              struct figures *figures, struct fl_error *err)
{
    struct large_options large_options = {
        .elems = options->parameters, .clients = options->clients, .density = options->density};
    enum fl_status st = lab_begin(&options->common, (unsigned)options->clients, lab, err);

    if (!st)
        st = lab_change_setting(lab, "level: info", "level: debug", err);
    if (!st)
        st = large_begin(large, lab, &large_options, err);
    return st ? st : measure_round(large, figures, err);
}

static void print(const struct fl_command_call *call, const struct large *large,
                  const struct figures *figures)
{
    const struct options *options = call->values;
    int json = options->common.json;

    fprintf(call->out,
            json ? "{\"parameters\": %llu, \"clients\": %llu, \"density\": %g, \"update_bytes\": %llu, "
                   "\"delta_bytes\": %llu, \"round_ms\": %.0f, \"version_ms\": %.0f, \"stages_ms\": {"
                 : "%llu parameters, %llu clients, density %g; an update %llu bytes, the delta %llu bytes\n"
                   "%10.0f ms  the round, from the clients' start to the last delta, without training\n"
                   "%10.0f ms  of it for the version\n",
            (unsigned long long)large->options.elems, (unsigned long long)large->options.clients,
            large->options.density, (unsigned long long)figures->update_bytes,
            (unsigned long long)figures->delta_bytes, figures->round_ms, figures->version_ms);
    for (int i = 0; i < STAGES; i++) {
        if (json)
            fprintf(call->out, "%s\"%s\": %.1f", i ? ", " : "", stages[i].key, figures->ms[i]);
        else
            fprintf(call->out, "%10.1f ms  %s\n", figures->ms[i], stages[i].text);
    }
    fputs(json ? "}}\n" : "", call->out);
}

static int run(const struct fl_command_call *call)
{
    struct lab lab = {.server = 0};
    struct large large = {.all = NULL};
    struct figures figures = {.round_ms = 0};
    struct fl_error err = {""};
    enum fl_status st = measure(call->values, &lab, &large, &figures, &err);

    if (!st)
        st = lab_stop_server(&lab, &err);
    lab_end(&lab);
    if (st)
        fprintf(call->err, "fl-bench round: %s\n", err.text[0] ? err.text : fl_status_text(st));
    else
        print(call, &large, &figures);
    large_end(&large);
    return (int)fl_exit_code_from_status(st);
}

static const struct fl_setting rows[] = {
    BENCH_ROWS(struct options),
    {.key = "parameters",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct options, parameters),
     .min = 1000,
     .max = 268435456,
     .def = "10000000",
     .help = "of the model"},
    {.key = "clients",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct options, clients),
     .min = 1,
     .max = 1000,
     .def = "8",
     .help = "that send an update in the round"},
    {.key = "density",
     .type = FL_SETTING_DOUBLE,
     FL_SETTING_FIELD(struct options, density),
     .min = 1e-6,
     .max = 1,
     .def = "0.01",
     .help = "share of its coordinates that a client sends"},
};

const struct fl_command bench_round = {
    .words = "round",
    .summary = "one round of a large model, stage by stage",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
    .values_size = sizeof(struct options),
    .examples = "  fl-bench round\n  fl-bench round --clients 64 --json\n",
    .run = run,
};
