/* `fl-server run create`, `list`, `status`, `stop`, `export`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/progress.h"
#include "platform/signals.h"
#include "protocol/routes.h"
#include "server/port/command_client.h"
#include "server/port/export.h"
#include "server/port/run_spec_file.h"
#include "server/port/run_view.h"

#define PATH_BYTES      256
#define FOLLOW_PAUSE_MS 200
#define FOLLOW_AWAY_MS  120000 /* how long a server may be away, restarting, before follow gives up */

/* "/v1/runs/NAME" and what follows. FL_ERR_USAGE for a bad name. */
static enum fl_status run_path(const char *name, const char *after, char path[PATH_BYTES],
                               struct fl_error *err)
{
    if (!fl_name_valid(name))
        return fl_error_set(err, FL_ERR_USAGE, "%.80s: not a name of a run (1 to %d of a-z A-Z 0-9 . _ -)",
                            name, FL_LIMIT_NAME_BYTES);
    snprintf(path, PATH_BYTES, "/v1/runs/%s%s", name, after);
    return FL_OK;
}

/* The run that an answer is about. */
static const struct fl_json *only_run(const struct fl_json *answer)
{
    return fl_json_at(fl_json_get(answer, "runs"), 0);
}

static enum fl_status create_body(struct fl_bytes spec, const char *initial_model, struct fl_buf *body)
{
    struct fl_json_writer writer;
    fl_json_writer_init(&writer, body);
    fl_json_begin_object(&writer, NULL);
    fl_json_put_bytes(&writer, "spec", spec);
    if (*initial_model)
        fl_json_put_text(&writer, "initial_model", initial_model);
    fl_json_end(&writer);
    return writer.status;
}

int fl_command_run_create(const struct fl_command_call *call)
{
    const struct fl_admin_options *options = call->values;
    struct fl_run_spec spec;
    struct fl_buf file, body;
    struct fl_json *json = NULL;
    char *initial_model = *options->initial_model ? realpath(options->initial_model, NULL) : NULL;
    struct fl_error err;

    if (*options->initial_model && !initial_model)
        return fl_command_fail(call,
                               fl_error_set(&err, FL_ERR_NOT_FOUND, "%s: cannot find the initial model: %m",
                                            options->initial_model),
                               &err);
    fl_buf_init(&file, FL_RUN_SPEC_FILE_BYTES);
    fl_buf_init(&body, 8 * FL_RUN_SPEC_FILE_BYTES);
    enum fl_status st = fl_file_read(call->positional[0], &file, &err);
    if (!st)
        st =
            fl_run_spec_read(call->positional[0], fl_buf_view(&file), &spec, &err); /* errors name the file */
    if (!st && create_body(fl_buf_view(&file), initial_model ? initial_model : "", &body))
        st = fl_error_nomem(&err);
    if (!st) {
        struct fl_bytes view = fl_buf_view(&body);
        st = fl_command_ask(call, "/v1/runs", &view, &json, &err);
    }
    if (!st && options->json)
        fl_command_print_json(call, json);
    else if (!st)
        fl_run_view_totals(only_run(json), call->out);
    fl_json_free(json);
    fl_buf_done(&file);
    fl_buf_done(&body);
    free(initial_model);
    return st ? fl_command_fail(call, st, &err) : FL_EXIT_OK;
}

int fl_command_run_list(const struct fl_command_call *call)
{
    const struct fl_admin_options *options = call->values;
    struct fl_json *json = NULL;
    struct fl_error err;
    enum fl_status st = fl_command_ask(call, "/v1/runs", NULL, &json, &err);
    if (st)
        return fl_command_fail(call, st, &err);
    if (options->json)
        fl_command_print_json(call, json);
    else
        fl_run_view_list(fl_json_get(json, "runs"), call->out);
    fl_json_free(json);
    return FL_EXIT_OK;
}

static void pause_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL); /* a signal ends it early, which is wanted */
}

/* Prints the rounds from *next on that have closed, and moves *next behind them. */
static void print_closed(const struct fl_command_call *call, const struct fl_json *answer, uint64_t *next,
                         struct fl_progress *progress)
{
    const struct fl_json *run = only_run(answer), *history = fl_json_get(answer, "rounds");
    const struct fl_admin_options *options = call->values;
    uint64_t rounds = fl_json_uint(run, "rounds");
    char line[FL_ROUND_LINE_BYTES];

    for (size_t i = 0; i < fl_json_count(history); i++) {
        const struct fl_json *round = fl_json_at(history, i);
        if (!fl_json_bool(round, "closed") || fl_json_uint(round, "round") < *next)
            continue;
        *next = fl_json_uint(round, "round") + 1;
        if (options->json) {
            fl_command_print_json(call, round);
            continue;
        }
        fl_run_view_round(round, rounds, line);
        fl_progress_line(progress, "%s", line);
    }
    if (!options->json && progress->terminal)
        fl_progress_show(progress, *next ? *next - 1 : 0, rounds, "%llu/%llu updates of this round",
                         (unsigned long long)fl_json_uint(run, "accepted"),
                         (unsigned long long)fl_json_uint(run, "target"));
}

static enum fl_status follow(const struct fl_command_call *call, struct fl_admin_client *client,
                             struct fl_progress *progress, struct fl_error *err)
{
    uint64_t next = 0;
    long away_ms = 0;

    while (!fl_signals_stop_requested()) {
        struct fl_json *answer = NULL;
        char path[PATH_BYTES], since[48];
        snprintf(since, sizeof(since), "?since=%llu", (unsigned long long)next);
        enum fl_status st = run_path(call->positional[0], since, path, err);
        if (!st)
            st = fl_command_get(client, path, &answer, err);
        if (st && (st != FL_ERR_NETWORK || (away_ms += FOLLOW_PAUSE_MS) > FOLLOW_AWAY_MS))
            return st;
        if (!st) {
            away_ms = 0;
            print_closed(call, answer, &next, progress);
            int ended = !strcmp(fl_json_text(only_run(answer), "state"), "ended");
            fl_json_free(answer);
            if (ended)
                return FL_OK;
        }
        pause_ms(FOLLOW_PAUSE_MS);
    }
    return fl_error_set(err, FL_ERR_STOPPED, "stopped; the run goes on");
}

static enum fl_status show_status(const struct fl_command_call *call, struct fl_admin_client *client,
                                  struct fl_error *err)
{
    const struct fl_admin_options *options = call->values;
    struct fl_progress plain;
    struct fl_json *answer = NULL;
    char path[PATH_BYTES];
    uint64_t next = 0;

    enum fl_status st = run_path(call->positional[0], "?since=0", path, err);
    if (!st)
        st = fl_command_get(client, path, &answer, err);
    if (st)
        return st;
    if (options->json) {
        fl_command_print_json(call, answer);
    } else {
        fl_progress_init(&plain, call->out);
        plain.terminal = false; /* the rounds so far, without a bar */
        print_closed(call, answer, &next, &plain);
        fl_run_view_totals(only_run(answer), call->out);
    }
    fl_json_free(answer);
    return FL_OK;
}

int fl_command_run_status(const struct fl_command_call *call)
{
    const struct fl_admin_options *options = call->values;
    struct fl_admin_client *client = NULL;
    struct fl_progress progress;
    struct fl_error err;
    enum fl_status st = fl_command_connect(call, &client, &err);

    fl_progress_init(&progress, call->out);
    if (!st && options->follow) {
        st = fl_signals_install(&err);
        if (!st)
            st = follow(call, client, &progress, &err);
        fl_progress_done(&progress);
    } else if (!st) {
        st = show_status(call, client, &err);
    }
    fl_admin_client_free(client);
    return st ? fl_command_fail(call, st, &err) : FL_EXIT_OK;
}

int fl_command_run_stop(const struct fl_command_call *call)
{
    const struct fl_admin_options *options = call->values;
    struct fl_bytes body = fl_bytes_from_text("{}");
    struct fl_json *json = NULL;
    struct fl_error err;
    char path[PATH_BYTES];

    enum fl_status st = run_path(call->positional[0], "/stop", path, &err);
    if (!st)
        st = fl_command_ask(call, path, &body, &json, &err);
    if (st)
        return fl_command_fail(call, st, &err);
    if (options->json)
        fl_command_print_json(call, json);
    else
        fprintf(call->out, "stopping: updates already accepted go into a last version\n");
    fl_json_free(json);
    return FL_EXIT_OK;
}

/* -- export -------------------------------------------------------------------------------------------------
 */

static enum fl_status read_model_spec(const struct fl_json *run, struct fl_model_spec *ret_spec,
                                      struct fl_error *err)
{
    const struct fl_json *model = fl_json_get(run, "model"), *hidden = fl_json_get(model, "hidden");
    struct fl_model_spec spec = {0};

    spec.inputs = (uint32_t)fl_json_uint(model, "inputs");
    spec.outputs = (uint32_t)fl_json_uint(model, "outputs");
    for (size_t i = 0; i < fl_json_count(hidden) && i < FL_LIMIT_HIDDEN_LAYERS; i++)
        spec.hidden[spec.hidden_count++] = (uint32_t)fl_json_item_uint(hidden, i);
    if (fl_model_kind_find(fl_json_text(model, "kind"), &spec.kind) || fl_model_spec_check(&spec))
        return fl_error_set(err, FL_ERR_FORMAT, "the server's answer does not describe a model");
    *ret_spec = spec;
    return FL_OK;
}

static void print_export(const struct fl_command_call *call, const struct fl_model_message *message)
{
    const struct fl_admin_options *options = call->values;
    char version[FL_VERSION_TEXT_BYTES];
    struct fl_buf json;
    struct fl_json_writer writer;

    fl_version_to_text(&message->version, version);
    if (!options->json) {
        fprintf(call->out, "%s: version %s, %llu parameters\n", options->to, version,
                (unsigned long long)message->elems);
        return;
    }
    fl_buf_init(&json, 2 * FL_PATH_SIZE);
    fl_json_writer_init(&writer, &json);
    fl_json_begin_object(&writer, NULL);
    fl_json_put_text(&writer, "path", options->to);
    fl_json_put_text(&writer, "version", version);
    fl_json_put_uint(&writer, "elems", message->elems);
    fl_json_end(&writer);
    fprintf(call->out, "%.*s\n", (int)json.size, json.data ? (const char *)json.data : "");
    fl_buf_done(&json);
}

int fl_command_run_export(const struct fl_command_call *call)
{
    const struct fl_admin_options *options = call->values;
    struct fl_admin_client *client = NULL;
    struct fl_model_message message;
    struct fl_model_spec model;
    struct fl_json *status = NULL;
    struct fl_buf answer;
    struct fl_error err;
    char path[PATH_BYTES];

    fl_buf_init(&answer, fl_limit_model_body_bytes(FL_LIMIT_MODEL_ELEMS));
    enum fl_status st = fl_command_connect(call, &client, &err);
    if (!st)
        st = run_path(call->positional[0], "", path, &err);
    if (!st)
        st = fl_command_get(client, path, &status, &err);
    if (!st)
        st = read_model_spec(only_run(status), &model, &err);
    if (!st)
        st = run_path(call->positional[0], "/model", path, &err);
    if (!st)
        st = fl_admin_client_call(client, path, NULL, &answer, &err);
    if (!st && fl_model_message_decode(fl_buf_view(&answer), &message))
        st = fl_error_set(&err, FL_ERR_FORMAT, "the server's answer is not a model");
    if (!st)
        st = fl_export(options->to, call->positional[0], &model, &message, &err);
    if (!st)
        print_export(call, &message);
    fl_json_free(status);
    fl_buf_done(&answer);
    fl_admin_client_free(client);
    return st ? fl_command_fail(call, st, &err) : FL_EXIT_OK;
}
