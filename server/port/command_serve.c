/* `fl-server serve`. */
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "platform/signals.h"
#include "server/port/api.h"
#include "server/port/certificate_watch.h"
#include "server/port/commands.h"
#include "server/port/config.h"
#include "server/port/deployment.h"
#include "server/port/listen.h"
#include "server/port/store_sqlite.h"

#define ADMIN_THREADS     2
#define ADMIN_CONNECTIONS 64
#define ADMIN_BODY_BYTES  ((size_t)16 << 20)
#define PORT_MODE         0644
#define MMAP_BYTES        131072 /* blocks from this size on go back to the system when they are freed */

/* Everything that runs, in the order in which it starts. */
struct serving {
    struct fl_deployment deployment;
    int is_open;
    struct fl_loop *loop;
    struct fl_tls *tls;
    struct fl_api api;
    struct fl_admin admin;
    struct fl_http *clients, *operators;
    struct fl_certificate_watch certificates;
    uint16_t port;
};

static int64_t wall_s(void)
{
    return (int64_t)time(NULL);
}

/* As many descriptors as the system lets us have; too few for the connections asked for is worth a word. */
static void raise_file_limit(uint64_t connections)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < connections + FL_SERVER_SPARE_FILES)
        fl_log(FL_LOG_WARN, "server", "files=%llu connections=%llu; some connections may be refused",
               (unsigned long long)limit.rlim_cur, (unsigned long long)connections);
}

static enum fl_status copy_root(struct serving *serving, struct fl_error *err)
{
    struct fl_buf copy;
    const struct fl_buf *root = &serving->deployment.authority.root_pem;
    fl_buf_init(&copy, root->size);
    enum fl_status st = fl_buf_append(&copy, root->data, root->size);
    if (!st)
        st = fl_shared_new(&copy, &serving->api.root_pem);
    fl_buf_done(&copy);
    return st ? fl_error_nomem(err) : FL_OK;
}

static enum fl_status start_clients(struct serving *serving, const struct fl_server_config *config,
                                    struct fl_error *err)
{
    struct fl_authority_files *authority = &serving->deployment.authority;
    struct fl_http_config http = {
        .chain = fl_authority_files_chain(authority),
        .key = fl_authority_files_key(authority),
        .threads = (unsigned)config->threads,
        .watch = {.limits = {.total = config->connections,
                             .strangers = config->strangers,
                             .per_address = config->per_address,
                             .strangers_per_address = config->strangers_per_address},
                  .handshake_ms = config->handshake_ms,
                  .head_ms = config->head_ms,
                  .idle_ms = config->idle_ms,
                  .body = {.grace_ms = config->body_ms, .min_rate = config->min_rate}},
        .in_flight_bytes = (size_t)config->in_flight_bytes,
        .handler = fl_api_handler(&serving->api),
    };
    enum fl_status st = copy_root(serving, err);
    if (!st)
        st = fl_tls_new(http.chain, http.key, fl_buf_view(&authority->trust_pem), &serving->tls, err);
    if (!st)
        st = fl_listen_tcp(config->address, (uint16_t)config->port, &http.listen_fd, &serving->port, err);
    if (st)
        return st;
    http.tls = serving->tls;
    serving->api.loop = serving->loop;
    serving->api.update_bytes = (size_t)config->update_bytes;
    serving->api.env = &serving->deployment.env;
    fl_api_init(&serving->api, config->enrolments_per_minute);
    st = fl_http_start(&http, &serving->clients, err);
    if (st)
        close(http.listen_fd);
    return st;
}

static enum fl_status start_operators(struct serving *serving, const struct fl_server_config *config,
                                      struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    struct fl_http_config http = {
        .threads = ADMIN_THREADS,
        .watch = {.limits = {.total = ADMIN_CONNECTIONS,
                             .strangers = ADMIN_CONNECTIONS,
                             .per_address = ADMIN_CONNECTIONS,
                             .strangers_per_address = ADMIN_CONNECTIONS},
                  .head_ms = config->head_ms,
                  .idle_ms = config->idle_ms,
                  .body = {.grace_ms = config->body_ms, .min_rate = config->min_rate}},
        .in_flight_bytes = ADMIN_BODY_BYTES,
        .handler = fl_admin_handler(&serving->admin),
    };
    enum fl_status st = fl_path_join(serving->deployment.dir, FL_ADMIN_SOCKET, path, err);
    if (!st)
        st = fl_listen_unix(path, &http.listen_fd, err);
    if (st)
        return st;
    serving->admin.loop = serving->loop;
    memcpy(serving->admin.token, serving->deployment.admin_token, sizeof(serving->admin.token));
    st = fl_http_start(&http, &serving->operators, err);
    if (st)
        close(http.listen_fd);
    return st;
}

static enum fl_status port_path(const struct serving *serving, const struct fl_server_config *config,
                                char path[FL_PATH_SIZE], struct fl_error *err)
{
    if (!config->port_file[0])
        return fl_path_join(serving->deployment.dir, FL_DEPLOYMENT_PORT, path, err);
    memcpy(path, config->port_file, strlen(config->port_file) + 1);
    return FL_OK;
}

static enum fl_status write_port(const struct serving *serving, const struct fl_server_config *config,
                                 struct fl_error *err)
{
    char path[FL_PATH_SIZE], text[8];
    enum fl_status st = port_path(serving, config, path, err);
    snprintf(text, sizeof(text), "%u\n", serving->port);
    return st ? st : fl_file_write_atomic(path, fl_bytes_from_text(text), PORT_MODE, err);
}

static enum fl_status start(struct serving *serving, const char *dir, const struct fl_server_config *config,
                            struct fl_error *err)
{
    enum fl_status st = fl_signals_install(err);
    if (!st)
        st = fl_deployment_open(dir, config->guard, &serving->deployment, err);
    if (st)
        return st;
    serving->is_open = 1;
    if (config->durability == FL_DURABILITY_OFF) {
        fl_log(FL_LOG_WARN, "server.store",
               "store.durability=off; nothing is synced to disk: for "
               "measurements only, a power cut may lose updates that were accepted");
        st = fl_store_forgo_durability(serving->deployment.store, err);
        if (st)
            return st;
    }
    serving->certificates.files = &serving->deployment.authority;
    st = fl_certificate_watch_lives(&serving->certificates, config->client_life, config->server_life, err);
    if (st)
        return st;
    (void)fl_certificate_watch_look(&serving->certificates, NULL, wall_s());
    struct fl_loop_config loop =
        fl_deployment_loop(&serving->deployment, (size_t)config->connections + ADMIN_CONNECTIONS);
    loop.threads = (unsigned)config->sum_threads;
    loop.snapshots = (struct fl_snapshot_limits){(size_t)config->snapshots_kept, config->snapshots_keep_ms};
    if ((st = fl_loop_new(&loop, &serving->loop, err)) || (st = start_operators(serving, config, err)) ||
        (st = start_clients(serving, config, err)))
        return st;
    return write_port(serving, config, err);
}

static void stop(struct serving *serving, const struct fl_server_config *config)
{
    char path[FL_PATH_SIZE];
    if (serving->loop)
        fl_loop_stop(serving->loop); /* answers everything, so that the listeners can end */
    fl_http_stop(serving->clients);
    fl_http_stop(serving->operators);
    if (serving->api.env)
        fl_api_done(&serving->api);
    fl_loop_free(serving->loop);
    fl_tls_free(serving->tls);
    fl_shared_unref(serving->api.root_pem);
    if (!serving->is_open)
        return;
    if (serving->port && port_path(serving, config, path, NULL) == FL_OK)
        unlink(path);
    if (serving->operators && fl_path_join(serving->deployment.dir, FL_ADMIN_SOCKET, path, NULL) == FL_OK)
        unlink(path);
    fl_deployment_close(&serving->deployment);
}

int fl_command_serve(const struct fl_command_call *call)
{
    struct fl_server_config *config = call->values;
    struct serving serving = {0};
    char dir[FL_PATH_SIZE];
    struct fl_error err;
    enum fl_status st = fl_server_config_state(call->config_path, config->state, dir, &err);

    if (!st)
        st = fl_server_config_guard(call->config_path, config, &err);
    fl_log_set_level((enum fl_log_level)config->log_level);
    mallopt(M_MMAP_THRESHOLD,
            MMAP_BYTES); /* else it grows with the bodies, and what they took stays resident */
    if (!st)
        st = fl_server_config_check(config, &err);
    if (!st) {
        raise_file_limit(config->connections);
        st = start(&serving, dir, config, &err);
    }
    if (!st) {
        struct pollfd signals = {.fd = fl_signals_fd(), .events = POLLIN};
        fprintf(call->out, "fl-server %s ready on %s port %u, state in %s\n", FL_VERSION, config->address,
                serving.port, dir);
        fflush(call->out);
        while (!fl_signals_stop_requested()) {
            int wait_ms = fl_certificate_watch_look(&serving.certificates, serving.tls, wall_s());
            poll(&signals, 1, wait_ms);
        }
        fl_log(FL_LOG_INFO, "server", "stopping");
    }
    stop(&serving, config);
    return st ? fl_command_fail(call, st, &err) : FL_EXIT_OK;
}
