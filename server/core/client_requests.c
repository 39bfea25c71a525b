/* The requests of clients: enrolment, runs, models; work and updates go on to cohort.h and intake.h. */
#include <stdlib.h>
#include <string.h>

#include "server/core/cohort.h"
#include "server/core/intake.h"
#include "server/core/restore.h"
#include "server/core/snapshots.h"
#include "server/core/state.h"

static void reply_enrol_refused(struct fl_server *server, uint64_t ticket, enum fl_enrol_outcome outcome)
{
    static const struct {
        int http_status;
        enum fl_status error;
        const char *text, *hint;
    } answers[] = {
        [FL_ENROL_BAD_TOKEN] = {403, FL_ERR_AUTH, "the enrolment token is not known",
                                "check the token, or ask for one made by: fl-server token create"},
        [FL_ENROL_EXPIRED] = {403, FL_ERR_AUTH, "the enrolment token has expired",
                              "ask for a new one made by: fl-server token create"},
        [FL_ENROL_VOID] = {403, FL_ERR_AUTH, "the enrolment token was made before the server was restored",
                           "ask for a new one made by: fl-server token create"},
        [FL_ENROL_USED_UP] = {403, FL_ERR_AUTH, "the enrolment token is used up",
                              "ask for a new one made by: fl-server token create --uses N"},
        [FL_ENROL_REVOKED] = {403, FL_ERR_AUTH, "this key is revoked",
                              "make a new key in a fresh state folder and enrol that"},
        [FL_ENROL_NOT_ISSUED] = {500, FL_ERR_CRYPTO, "the certificate could not be issued",
                                 "see the server's log"},
    };

    fl_server_reply_error(server, ticket, answers[outcome].http_status, answers[outcome].error,
                          answers[outcome].text, answers[outcome].hint);
}

static enum fl_status reply_chain(struct fl_server *server, uint64_t ticket, const char *client,
                                  struct fl_bytes chain)
{
    struct fl_enroll_answer answer = {.chain = chain};
    struct fl_buf body;

    memcpy(answer.client, client, sizeof answer.client);
    fl_buf_init(&body, FL_LIMIT_SMALL_BODY_BYTES);
    enum fl_status st = fl_enroll_answer_encode(&answer, &body);
    if (!st)
        st = fl_server_reply_body(server, ticket, NULL, 200, &body);
    fl_buf_done(&body);
    return st;
}

enum fl_status fl_client_enrol(struct fl_server *server, const struct fl_request *request)
{
    struct fl_issuer issuer = {server->effects->issue, server->effects->user};
    struct fl_enroll_request message;
    char client[FL_LIMIT_NAME_BYTES + 1];
    enum fl_enrol_outcome outcome;
    struct fl_buf chain;
    enum fl_status st = fl_enroll_request_decode(request->body, &message);

    if (st) {
        fl_server_reply_error(server, request->ticket, 400, st, "the body is not an enrolment request",
                              "see the enrolment message in protocol/README.md");
        return FL_OK;
    }
    fl_buf_init(&chain, FL_LIMIT_CHAIN_BYTES);
    st = fl_registry_enrol(&server->registry, server->store, server->env, &issuer, message.token,
                           message.name, request->key, request->public_key, &outcome, client, &chain);
    if (!st && outcome != FL_ENROL_DONE)
        reply_enrol_refused(server, request->ticket, outcome);
    else if (!st)
        st = fl_server_stamp(server);
    if (!st && outcome == FL_ENROL_DONE)
        st = reply_chain(server, request->ticket, client, fl_buf_view(&chain));
    fl_buf_done(&chain);
    return st;
}

/* A new certificate for the key and the id that are registered; nothing is written down, so a lost answer
 * costs nothing (rule R22). */
static enum fl_status handle_renew(struct fl_server *server, const struct fl_client *client,
                                   const struct fl_request *request)
{
    uint8_t key[FL_DIGEST_SIZE];
    struct fl_buf chain;
    enum fl_status st = FL_OK;

    server->env->sha256(server->env->user, request->public_key, key);
    if (memcmp(key, client->row.key, sizeof key)) {
        fl_server_reply_error(server, request->ticket, 403, FL_ERR_AUTH,
                              "the certificate's key is not one that can be certified",
                              "enrol again with a key on P-256");
        return FL_OK;
    }
    fl_buf_init(&chain, FL_LIMIT_CHAIN_BYTES);
    if (server->effects->issue(server->effects->user, request->public_key, client->row.id, &chain))
        reply_enrol_refused(server, request->ticket, FL_ENROL_NOT_ISSUED);
    else
        st = reply_chain(server, request->ticket, client->row.id, fl_buf_view(&chain));
    fl_buf_done(&chain);
    return st;
}

static enum fl_status handle_run_list(struct fl_server *server, const struct fl_request *request)
{
    struct fl_run_info *infos = calloc(server->run_count + 1, sizeof *infos);
    struct fl_buf body;
    enum fl_status st;

    if (!infos)
        return FL_ERR_NOMEM;
    for (size_t i = 0; i < server->run_count; i++)
        fl_run_info_fill(server->runs[i], &infos[i]);
    fl_buf_init(&body, (server->run_count + 1) * FL_LIMIT_SMALL_BODY_BYTES);
    st = fl_run_list_encode(infos, server->run_count, &body);
    if (!st)
        st = fl_server_reply_body(server, request->ticket, NULL, 200, &body);
    fl_buf_done(&body);
    free(infos);
    return st;
}

/* Whether have names a version of this run that a delta may start from; of which epoch does not matter, since
 * number and digest say which values they are. */
static int can_patch(const struct fl_run *run, const struct fl_version *have)
{
    return have->number < run->row.version &&
           !memcmp(&run->digests[have->number], &have->digest, sizeof have->digest);
}

static enum fl_status fill_snapshot(struct fl_server *server, struct fl_run *run,
                                    const struct fl_snapshot *snapshot, struct fl_reply *reply)
{
    reply->version = fl_snapshots_version(run, snapshot);
    reply->in_parts = 1;
    return fl_snapshots_body(server, run, snapshot, &reply->body);
}

/* A delta; or a snapshot, when that is no larger and of a later version than the client holds. */
static enum fl_status fill_delta(struct fl_server *server, struct fl_run *run, const struct fl_version *have,
                                 struct fl_reply *reply)
{
    struct fl_snapshot snapshot;
    enum fl_status st = fl_published_delta(run->model, have, 0, &reply->body);

    if (st != FL_ERR_LIMIT)
        return st;
    st = fl_snapshots_offer(server, run, &snapshot);
    if (st)
        return st;
    return snapshot.number > have->number ? fill_snapshot(server, run, &snapshot, reply)
                                          : fl_published_delta(run->model, have, 1, &reply->body);
}

static enum fl_status handle_model(struct fl_server *server, struct fl_run *run,
                                   const struct fl_request *request)
{
    struct fl_reply reply = {.http_status = 200, .version = run->model->version};
    struct fl_snapshot snapshot;
    int is_rest = request->has_want && fl_snapshots_find(run, &request->want, &snapshot);
    enum fl_status st;

    if (request->has_have && fl_version_same_model(&request->have, &run->model->version)) {
        reply.http_status = 204;
        fl_server_reply(server, request->ticket, run, &reply);
        return FL_OK;
    }
    if (is_rest) {
        st = fill_snapshot(server, run, &snapshot, &reply);
    } else if (request->has_have && can_patch(run, &request->have)) {
        st = fill_delta(server, run, &request->have, &reply);
    } else {
        st = fl_snapshots_offer(server, run, &snapshot);
        if (!st)
            st = fill_snapshot(server, run, &snapshot, &reply);
    }
    if (st)
        return st;
    if (!is_rest) /* all of it was counted when it began */
        run->row.bytes.downlink_dense += 4 * (uint64_t)run->elems;
    fl_server_reply(server, request->ticket, is_rest ? NULL : run, &reply);
    fl_shared_unref(reply.body);
    return FL_OK;
}

static enum fl_status handle_run_request(struct fl_server *server, struct fl_client *client,
                                         const struct fl_request *request)
{
    struct fl_run *run = fl_server_run(server, request->run);

    if (!run) {
        fl_server_reply_error(server, request->ticket, 404, FL_ERR_NOT_FOUND, "there is no run of this name",
                              "GET /v1/runs lists the runs of this server");
        return FL_OK;
    }
    run->row.bytes.uplink_header += request->header_bytes;
    switch (request->kind) {
    case FL_REQUEST_WORK:
        return fl_cohort_work(server, run, client, request);
    case FL_REQUEST_MODEL:
        return handle_model(server, run, request);
    case FL_REQUEST_UPDATE:
        return fl_intake_update(server, run, client, request);
    case FL_REQUEST_RECEIPT:
        return fl_restore_show(server, run, client, request);
    default:
        return fl_server_reply_info(server, request->ticket, run, 200);
    }
}

enum fl_status fl_client_handle(struct fl_server *server, const struct fl_request *request)
{
    struct fl_client *client = fl_registry_by_key(&server->registry, request->key);
    enum fl_status st;

    if (!client || client->row.revoked) {
        fl_server_reply_error(server, request->ticket, 403, FL_ERR_AUTH,
                              client ? "this client has been revoked" : "this client is not registered here",
                              client ? "ask the operator; a new key must be enrolled with a new token"
                                     : "enrol it with a token made by: fl-server token create");
        return FL_OK;
    }
    st = fl_registry_seen(server->store, client, server->env->wall_ms(server->env->user));
    if (st)
        return st;
    switch (request->kind) {
    case FL_REQUEST_RENEW:
        return handle_renew(server, client, request);
    case FL_REQUEST_RUN_LIST:
        return handle_run_list(server, request);
    default:
        return handle_run_request(server, client, request);
    }
}
