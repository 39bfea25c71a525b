#include "client/port/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "client/port/compute.h"
#include "client/port/identity.h"
#include "client/port/renewal.h"
#include "client/port/state_files.h"
#include "client/port/stop_watch.h"
#include "client/trainer/builtin.h"
#include "platform/dir.h"
#include "platform/signals.h"

#define REQUEST_TIMEOUT_MS 30000 /* of a request that is answered at once */
#define POLL_MARGIN_MS     15000 /* on top of what the server may let us wait */
#define PATH_BYTES         (FL_ROUTE_TEXT_BYTES + FL_VERSION_TEXT_BYTES + 64)

struct runner {
    const struct fl_client_config *config;
    const struct fl_env *env;
    struct fl_clock clock;
    struct fl_http *http;
    struct fl_renewal renewal;
    struct fl_state_files files;
    struct fl_client *client;
    struct fl_data data;
    struct fl_trainer *trainer; /* the host's; made when the model is known */
    struct fl_compute compute;
    struct fl_stop_watch watch;
    struct fl_buf answer;
    struct fl_error error; /* of the last effect that failed */
};

static void write_path(const struct fl_client_effect *effect, char path[PATH_BYTES])
{
    char have[FL_VERSION_TEXT_BYTES];
    fl_route_to_text(&effect->route, path);
    size_t at = strlen(path);
    const char *separator = "?";
    if (effect->has_have) {
        fl_version_to_text(&effect->have, have);
        at += (size_t)snprintf(path + at, PATH_BYTES - at, "?have=%s", have);
        separator = "&";
    }
    if (effect->has_epoch)
        snprintf(path + at, PATH_BYTES - at, "?epoch=%" PRIu64, effect->epoch);
    if (effect->poll_ms)
        snprintf(path + at, PATH_BYTES - at, "%swait=%" PRIu64, separator, effect->poll_ms);
}

static void do_request(struct runner *r, const struct fl_client_effect *effect, struct fl_client_event *event)
{
    char path[PATH_BYTES];
    struct fl_http_answer answer;
    int is_update = effect->route.kind == FL_ROUTE_UPDATE, is_model = effect->route.kind == FL_ROUTE_MODEL;
    write_path(effect, path);
    *event = (struct fl_client_event){.kind = FL_CLIENT_ANSWERED};
    event->status = fl_http_request(
        r->http,
        &(struct fl_http_request){
            .method = is_update || effect->route.kind == FL_ROUTE_RECEIPT ? "PUT" : "GET",
            .path = path,
            .body = effect->body,
            .timeout_ms = is_update || is_model                 ? 0
                          : effect->route.kind == FL_ROUTE_WORK ? effect->poll_ms + POLL_MARGIN_MS
                                                                : REQUEST_TIMEOUT_MS,
            .answer_limit = effect->answer_limit,
            .resumable = is_model,
        },
        &r->answer, &answer, &r->error);
    if (event->status) {
        if (event->status != FL_ERR_STOPPED)
            fl_log(FL_LOG_WARN, "client.http", "%s", r->error.text);
        return;
    }
    if (fl_renewal_notice(&r->renewal, answer.status, fl_buf_view(&r->answer))) {
        event->status = FL_ERR_EXPIRED; /* asked again once the certificate is renewed */
        return;
    }
    event->http_status = answer.status;
    event->retry_after_ms = answer.retry_after_ms;
    event->body = fl_buf_view(&r->answer);
    if (answer.status >= 400 && r->answer.size && r->answer.data[0] == '{')
        fl_log(FL_LOG_WARN, "client.http", "path=%s http=%d: %.*s", path, answer.status,
               (int)(r->answer.size < 400 ? r->answer.size : 400), (const char *)r->answer.data);
}

static enum fl_status train(struct runner *r, const struct fl_client_effect *effect,
                            struct fl_client_event *event)
{
    struct fl_trainer *trainer = effect->start ? r->trainer : fl_device_trainer(r->compute.device);
    enum fl_status st = fl_trainer_evaluate(trainer, effect->start, &event->metrics);
    if (st == FL_ERR_NOT_FINITE)
        fl_log(FL_LOG_WARN, "client.round", "status=%s: the loss of the server's model is not finite",
               fl_status_name(st));
    else if (st)
        return st;
    return fl_trainer_train(trainer, effect->start, &effect->plan, r->config->time_budget_ms,
                            fl_stop_watch_flag(&r->watch), effect->end, &event->report);
}

static void do_train(struct runner *r, const struct fl_client_effect *effect, struct fl_client_event *event)
{
    *event = (struct fl_client_event){.kind = FL_CLIENT_TRAINED};
    event->status = train(r, effect, event);
}

static void do_save(struct runner *r, const struct fl_client_effect *effect, struct fl_client_event *event)
{
    *event = (struct fl_client_event){.kind = FL_CLIENT_SAVED};
    event->status = fl_state_files_save(&r->files, r->client, effect, &r->error);
    if (event->status)
        fl_log(FL_LOG_ERROR, "client.state", "%s", r->error.text);
}

static void do_wait(const struct fl_client_effect *effect, struct fl_client_event *event)
{
    struct pollfd stop = {.fd = fl_signals_fd(), .events = POLLIN};
    *event = (struct fl_client_event){.kind = FL_CLIENT_TIMER};
    (void)poll(&stop, 1, (int)effect->wait_ms);
}

/* Before work is asked for: a client whose data do not fit the model takes no place in a round. */
static enum fl_status make_trainer(struct runner *r, struct fl_error *err)
{
    const struct fl_run_info *info = fl_client_run_info(r->client);
    enum fl_status st =
        fl_trainer_new_builtin(&info->model, &r->data.train, &r->data.test, r->env, &r->trainer, err);
    if (st)
        return fl_error_set(err, st, "run %s and the data of this client do not fit: %s", r->config->run,
                            err ? err->text : "");
    return fl_compute_begin(&r->compute, &info->model, &r->data, r->env, r->client, err);
}

static enum fl_status loop(struct runner *r, struct fl_error *err)
{
    struct fl_client_event event = {.kind = FL_CLIENT_STARTED};
    struct fl_client_effect effect;
    enum fl_status st;
    for (;;) {
        if (fl_signals_stop_requested())
            event = (struct fl_client_event){.kind = FL_CLIENT_STOP_REQUESTED};
        fl_client_next(r->client, &event, &effect);
        fl_buf_done(&r->answer); /* a model's body must not lie there while this one trains */
        if (!r->trainer && effect.kind == FL_CLIENT_REQUEST && effect.route.kind == FL_ROUTE_WORK) {
            st = make_trainer(r, err);
            if (st)
                return st;
        }
        switch (effect.kind) {
        case FL_CLIENT_REQUEST:
            st = fl_renewal_keep(&r->renewal, &r->http, err);
            if (st)
                return st;
            do_request(r, &effect, &event);
            break;
        case FL_CLIENT_TRAIN:
            do_train(r, &effect, &event);
            break;
        case FL_CLIENT_SAVE:
            do_save(r, &effect, &event);
            break;
        case FL_CLIENT_WAIT:
            do_wait(&effect, &event);
            break;
        case FL_CLIENT_STOP:
            fl_log(effect.status && effect.status != FL_ERR_STOPPED ? FL_LOG_ERROR : FL_LOG_INFO,
                   "client.run", "run=%s status=%s: %s", r->config->run, fl_status_name(effect.status),
                   effect.reason);
            return effect.status ? fl_error_set(err, effect.status, "%s", effect.reason) : FL_OK;
        }
    }
}

/* The core with what the state folder holds. */
static enum fl_status load(struct runner *r, struct fl_error *err)
{
    struct fl_client_options options = {.env = r->env,
                                        .kernels = fl_kernels_pick(),
                                        .threads = (unsigned)r->config->threads,
                                        .poll_ms = r->config->poll_ms,
                                        .resync = r->config->resync,
                                        .keep_history = r->config->keep_history};
    strcpy(options.run, r->config->run);
    enum fl_status st = fl_client_new(&options, &r->client);
    if (st)
        return fl_error_nomem(err);
    struct fl_client_reader reader = fl_state_files_reader(&r->files);
    st = fl_client_load(r->client, &reader);
    if (st)
        return fl_error_set(err, st, "%s/%s%s%s", r->files.dir, fl_client_reason(r->client),
                            r->files.error.text[0] ? ": " : "", r->files.error.text);
    return fl_state_files_sweep(&r->files, r->client, err);
}

/* After a resync the books begin anew: those before stay, under a name that tells where they end. */
static enum fl_status set_history_aside(const struct runner *r, uint64_t next_seq, struct fl_error *err)
{
    char name[64], from[FL_PATH_SIZE], to[FL_PATH_SIZE];
    snprintf(name, sizeof name, "history.before-%" PRIu64 ".%lld", next_seq,
             (long long)(r->env->wall_ms(r->env->user) / 1000));
    enum fl_status st = fl_path_join(r->files.dir, "history", from, err);
    if (!st)
        st = fl_path_join(r->files.dir, name, to, err);
    if (!st && rename(from, to) && errno != ENOENT)
        st = fl_error_set(err, FL_ERR_IO, "%s: cannot be set aside as %s: %m", from, name);
    return st ? st : fl_dir_sync(r->files.dir, err);
}

/* From the state folder to the end of the run, or to what stops it. */
static enum fl_status take_part(struct runner *r, struct fl_error *err)
{
    enum fl_status st = load(r, err);
    if (!st)
        st = loop(r, err);
    if (!st && r->config->resync)
        st = set_history_aside(r, fl_client_manifest(r->client)->next_seq, err);
    fl_trainer_free(r->trainer);
    fl_client_free(r->client);
    r->trainer = NULL;
    r->client = NULL;
    return st;
}

enum fl_status fl_runner_run(struct fl_client_config *config, const struct fl_env *env, struct fl_error *err)
{
    struct runner r = {.config = config, .env = env};
    struct fl_lock lock = {.fd = -1};
    struct fl_data_config data_config;
    enum fl_status st;

    if (!fl_name_valid(config->run))
        return fl_error_set(err, FL_ERR_CONFIG, "run: %s is no name of a run", config->run);
    st = fl_config_data(&config->data, &data_config, err);
    if (st)
        return st;
    if (!config->resync)
        st = fl_compute_init(&r.compute, config, err);
    if (st)
        return st;
    fl_buf_init(&r.answer, 0);
    st = fl_clock_open(&r.clock, config->state, env, err);
    if (!st)
        st = fl_identity_connect(config->state, config->server_url, fl_signals_fd(), &r.clock, &r.http, err);
    if (!st)
        st = fl_renewal_init(&r.renewal, config->state, config->server_url, fl_signals_fd(), &r.clock, err);
    if (!st)
        st = fl_lock_take(config->state, &lock, err);
    if (!st && !config->resync)
        st = fl_data_load(&data_config, &r.data, err);
    if (!st)
        st = fl_state_files_open(&r.files, config->state, config->run, err);
    if (!st && !config->resync)
        st = fl_state_files_check(&r.files, err);
    if (!st)
        st = fl_stop_watch_begin(&r.watch, fl_signals_fd(), err);
    if (!st) {
        fl_log(FL_LOG_INFO, "client.run", "run=%s server=%s examples=%zu test=%zu: started", config->run,
               config->server_url, r.data.train.rows, r.data.test.rows);
        st = take_part(&r, err);
        if (st && fl_compute_falls_back(&r.compute, err))
            st = take_part(&r, err);
        fl_stop_watch_end(&r.watch);
    }
    fl_compute_done(&r.compute);
    fl_data_done(&r.data);
    fl_buf_done(&r.answer);
    fl_http_free(r.http);
    fl_lock_release(&lock);
    return st;
}
