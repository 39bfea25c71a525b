/* The operator's requests: tokens, clients, runs. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/core/restore.h"
#include "server/core/round.h"
#include "server/core/state.h"

#define TOKEN_USES_MAX   1000000
#define TOKEN_TTL_MAX_MS (3650ull * 86400000)

static void refuse(struct fl_server *server, const struct fl_request *request, int http_status,
                   enum fl_status error, const char *text, const char *hint)
{
    fl_server_reply_error(server, request->ticket, http_status, error, text, hint);
}

static enum fl_status token_create(struct fl_server *server, const struct fl_request *request)
{
    char token[FL_LIMIT_TOKEN_BYTES + 1];
    enum fl_status st;

    if (request->token_uses < 1 || request->token_uses > TOKEN_USES_MAX || request->token_ttl_ms < 1 ||
        request->token_ttl_ms > TOKEN_TTL_MAX_MS) {
        refuse(server, request, 400, FL_ERR_RANGE, "uses or life of the token is out of range",
               "uses from 1 to 1000000, life up to 3650 days");
        return FL_OK;
    }
    st = fl_registry_token(&server->registry, server->store, server->env, request->token_uses,
                           request->token_ttl_ms, token);
    if (!st)
        st = fl_server_stamp(server);
    if (!st)
        fl_server_reply(server, request->ticket, NULL,
                        &(struct fl_reply){.http_status = 200, .token = token});
    memset(token, 0, sizeof token);
    return st;
}

/* The losses of one client, one for each run, into losses[] (NULL: nowhere); how many. */
static size_t client_losses(const struct fl_server *server, size_t slot, struct fl_client_loss *losses)
{
    size_t count = 0;

    for (size_t i = 0; i < server->run_count; i++) {
        const struct fl_run *run = server->runs[i];
        const struct fl_member *member = slot < run->member_slots ? run->members[slot] : NULL;
        if (!member || member->lost_last_seq == 0)
            continue;
        if (losses)
            losses[count] = (struct fl_client_loss){run->row.name, member->lost, member->lost_first_seq,
                                                    member->lost_last_seq};
        count++;
    }
    return count;
}

static enum fl_status client_list(struct fl_server *server, const struct fl_request *request)
{
    const struct fl_registry *registry = &server->registry;
    struct fl_client_status *clients = calloc(registry->client_count + 1, sizeof *clients);
    struct fl_client_loss *losses = NULL;
    size_t used = 0;

    for (size_t i = 0; i < registry->client_count; i++)
        used += client_losses(server, i, NULL);
    losses = calloc(used + 1, sizeof *losses);
    used = 0;

    if (!clients || !losses) {
        free(clients);
        free(losses);
        return FL_ERR_NOMEM;
    }
    for (size_t i = 0; i < registry->client_count; i++) {
        const struct fl_client_row *row = &registry->clients[i]->row;
        memcpy(clients[i].id, row->id, sizeof row->id);
        memcpy(clients[i].name, row->name, sizeof row->name);
        clients[i].enrolled_wall_ms = row->enrolled_wall_ms;
        clients[i].seen_wall_ms = row->seen_wall_ms;
        clients[i].revoked = row->revoked;
        clients[i].losses = losses + used;
        clients[i].loss_count = client_losses(server, i, losses + used);
        used += clients[i].loss_count;
    }
    fl_server_reply(
        server, request->ticket, NULL,
        &(struct fl_reply){.http_status = 200, .clients = clients, .client_count = registry->client_count});
    free(clients);
    free(losses);
    return FL_OK;
}

static enum fl_status client_revoke(struct fl_server *server, const struct fl_request *request)
{
    struct fl_client *client;
    enum fl_status st = fl_registry_by_prefix(&server->registry, request->client, &client);

    if (st) {
        refuse(server, request, st == FL_ERR_STATE ? 409 : 404, st,
               st == FL_ERR_STATE ? "several clients have an id that begins so"
                                  : "no client has an id that begins so",
               "fl-server clients list shows the ids");
        return FL_OK;
    }
    st = fl_registry_revoke(&server->registry, server->store, client);
    if (!st)
        st = fl_server_stamp(server);
    if (st)
        return st;
    for (size_t i = server->parked_count; i-- > 0;)
        if (server->parked[i].client == client) {
            struct fl_parked parked = fl_server_unpark(server, i);
            fl_server_reply_error(server, parked.ticket, 403, FL_ERR_AUTH, "this client has been revoked",
                                  "ask the operator; a new key must be enrolled with a new token");
        }
    fl_log(FL_LOG_INFO, "server", "client=%.8s; revoked", client->row.id);
    fl_server_reply(server, request->ticket, NULL, &(struct fl_reply){.http_status = 200});
    return FL_OK;
}

static void reply_run(struct fl_server *server, const struct fl_request *request, const struct fl_run *run)
{
    struct fl_run_status status;

    fl_run_status_fill(run, fl_server_waiting(server, run), &status);
    fl_server_reply(server, request->ticket, NULL,
                    &(struct fl_reply){.http_status = 200, .runs = &status, .run_count = 1});
}

static int compare_runs(const void *a, const void *b)
{
    struct fl_run *const *left = a, *const *right = b;

    return strcmp((*left)->row.name, (*right)->row.name);
}

static enum fl_status run_create(struct fl_server *server, const struct fl_request *request)
{
    struct fl_run_context context = fl_server_context(server);
    char reason[FL_LIMIT_TEXT_BYTES + 1];
    struct fl_run **grown;
    struct fl_run *run;
    enum fl_status st;

    if (fl_run_spec_check(&request->spec, reason)) {
        refuse(server, request, 400, FL_ERR_RANGE, reason, "correct the run spec");
        return FL_OK;
    }
    if (fl_server_run(server, request->spec.name)) {
        refuse(server, request, 409, FL_ERR_EXISTS, "there is a run of this name already",
               "choose another name");
        return FL_OK;
    }
    if (server->run_count >= FL_LIMIT_RUNS) {
        refuse(server, request, 409, FL_ERR_LIMIT, "the server holds as many runs as it can",
               "start another server");
        return FL_OK;
    }
    grown = realloc(server->runs, (server->run_count + 1) * sizeof(struct fl_run *));
    if (!grown)
        return FL_ERR_NOMEM;
    server->runs = grown;
    st = fl_run_create(&context, &request->spec, request->x_0, &run);
    if (st)
        return st;
    server->runs[server->run_count++] = run;
    st = fl_server_stamp(server);
    if (st)
        return st;
    qsort(server->runs, server->run_count, sizeof(struct fl_run *), compare_runs);
    fl_log(FL_LOG_INFO, "server", "run=%s parameters=%zu codec=%s dense_below=%lu rounds=%llu; created",
           run->row.name, run->elems, run->codec->name, (unsigned long)run->spec.dense_below,
           (unsigned long long)run->spec.rounds);
    reply_run(server, request, run);
    return FL_OK;
}

static enum fl_status all_status(struct fl_server *server, const struct fl_request *request)
{
    struct fl_run_status *statuses = calloc(server->run_count + 1, sizeof *statuses);

    if (!statuses)
        return FL_ERR_NOMEM;
    for (size_t i = 0; i < server->run_count; i++)
        fl_run_status_fill(server->runs[i], fl_server_waiting(server, server->runs[i]), &statuses[i]);
    fl_server_reply(server, request->ticket, NULL,
                    &(struct fl_reply){.http_status = 200, .runs = statuses, .run_count = server->run_count});
    free(statuses);
    return FL_OK;
}

static void run_status(struct fl_server *server, const struct fl_request *request, const struct fl_run *run)
{
    struct fl_run_status status;
    size_t skip = 0;

    fl_run_status_fill(run, fl_server_waiting(server, run), &status);
    while (skip < run->history_count && run->history[skip].round < request->since_round)
        skip++;
    fl_server_reply(server, request->ticket, NULL,
                    &(struct fl_reply){.http_status = 200,
                                       .runs = &status,
                                       .run_count = 1,
                                       .rounds = run->history_count > skip ? run->history + skip : NULL,
                                       .round_count = run->history_count - skip});
}

static enum fl_status run_export(struct fl_server *server, const struct fl_request *request,
                                 const struct fl_run *run)
{
    struct fl_reply reply = {.http_status = 200, .version = run->model->version, .model = run->spec.model};
    enum fl_status st = fl_published_copy(run->model, &reply.body);

    if (st)
        return st;
    fl_server_reply(server, request->ticket, NULL, &reply);
    fl_shared_unref(reply.body);
    return FL_OK;
}

static enum fl_status one_run(struct fl_server *server, const struct fl_request *request)
{
    struct fl_run *run = fl_server_run(server, request->run);
    enum fl_status st = FL_OK;

    if (!run) {
        refuse(server, request, 404, FL_ERR_NOT_FOUND, "there is no run of this name",
               "fl-server run list shows the runs");
        return FL_OK;
    }
    if (request->kind == FL_REQUEST_RUN_EXPORT)
        return run_export(server, request, run);
    if (request->kind == FL_REQUEST_RUN_STATUS) {
        run_status(server, request, run);
        return FL_OK;
    }
    st = fl_round_stop(server, run);
    if (!st)
        reply_run(server, request, run);
    return st;
}

static enum fl_status restored(struct fl_server *server, const struct fl_request *request)
{
    enum fl_status st = FL_OK;

    if (!server->restored_at_start) /* else it was noticed already */
        st = fl_restore_begin(server, 0, "the operator says that a backup was restored");
    return st ? st : all_status(server, request);
}

enum fl_status fl_operator_handle(struct fl_server *server, const struct fl_request *request)
{
    switch (request->kind) {
    case FL_REQUEST_TOKEN_CREATE:
        return token_create(server, request);
    case FL_REQUEST_CLIENT_LIST:
        return client_list(server, request);
    case FL_REQUEST_CLIENT_REVOKE:
        return client_revoke(server, request);
    case FL_REQUEST_RUN_CREATE:
        return run_create(server, request);
    case FL_REQUEST_RESTORED:
        return restored(server, request);
    case FL_REQUEST_RUN_STATUS:
        return request->run[0] ? one_run(server, request) : all_status(server, request);
    default:
        return one_run(server, request);
    }
}
