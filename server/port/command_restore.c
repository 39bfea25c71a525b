/* `fl-server restore`: in the folder itself, while no server runs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/port/command_client.h"
#include "server/port/config.h"
#include "server/port/deployment.h"
#include "server/port/status_json.h"

#define RESULT_BYTES ((size_t)1 << 20)

struct restore_call {
    struct fl_loop_call call; /* first */
    struct fl_buf json;
    enum fl_status status;
};

static void on_collect(struct fl_loop_call *loop_call, const struct fl_reply *reply)
{
    struct restore_call *call = (struct restore_call *)(void *)loop_call;
    call->status = fl_status_json(FL_REQUEST_RUN_STATUS, reply, &call->json);
}

static void on_release(struct fl_loop_call *loop_call, enum fl_loop_outcome outcome)
{
    struct restore_call *call = (struct restore_call *)(void *)loop_call;
    if (outcome == FL_LOOP_UNAVAILABLE && !call->status)
        call->status = FL_ERR_IO;
}

static enum fl_status restore(const char *dir, const char *guard, struct restore_call *call,
                              struct fl_error *err)
{
    struct fl_deployment deployment;
    enum fl_status st = fl_deployment_open(dir, guard, &deployment, err);

    if (st)
        return st;
    struct fl_loop_config config = fl_deployment_loop(&deployment, 1);
    call->call.request.kind = FL_REQUEST_RESTORED;
    call->call.collect = on_collect;
    call->call.release = on_release;
    st = fl_loop_once(&config, &call->call, err);
    if (!st && call->status)
        st = fl_error_set(err, call->status, "%s: the new epochs could not be written; see the log", dir);
    fl_deployment_close(&deployment);
    return st;
}

static void print_runs(const struct fl_command_call *call, const struct fl_json *runs)
{
    for (size_t i = 0; i < fl_json_count(runs); i++) {
        const struct fl_json *run = fl_json_at(runs, i);
        fprintf(call->out, "run %s: epoch %" PRIu64 ", round %" PRIu64 ", version %" PRIu64 "\n",
                fl_json_text(run, "name"), fl_json_uint(run, "epoch"), fl_json_uint(run, "round"),
                fl_json_uint(run, "version"));
    }
    fprintf(call->out, "every token made before is void; make new ones with: fl-server token create\n");
}

int fl_command_restore(const struct fl_command_call *call)
{
    const struct fl_admin_options *options = call->values;
    struct restore_call restored = {.status = FL_OK};
    struct fl_server_config config;
    struct fl_json *json = NULL;
    struct fl_error err;
    char dir[FL_PATH_SIZE];

    fl_buf_init(&restored.json, RESULT_BYTES);
    char path[FL_PATH_SIZE];
    enum fl_status st = fl_server_config_find(options->dir, options->config, path, dir, &config, &err);
    if (!st)
        st = restore(dir, config.guard, &restored, &err);
    if (!st && fl_json_parse(fl_buf_view(&restored.json), &json))
        st = fl_error_nomem(&err);
    if (!st && options->json)
        fl_command_print_json(call, json);
    else if (!st)
        print_runs(call, fl_json_get(json, "runs"));
    fl_json_free(json);
    fl_buf_done(&restored.json);
    return st ? fl_command_fail(call, st, &err) : FL_EXIT_OK;
}
