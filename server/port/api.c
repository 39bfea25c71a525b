#include "server/port/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/crypto.h"
#include "protocol/messages.h"
#include "protocol/number.h"
#include "protocol/routes.h"
#include "server/port/answer.h"
#include "server/port/json.h"

#define SPKI_BYTES  512
#define WAIT_MAX_MS 60000
#define RETRY_MS    1000

/* One request; freed when its exchange is done. */
struct api_call {
    struct fl_loop_call call; /* first: the loop gives it back */
    struct fl_api *api;
    struct fl_http_exchange *exchange;
    struct fl_route route;
    struct fl_http_answer answer;
    struct fl_buf public_key;
    int wants_json;
};

/* -- the head -----------------------------------------------------------------------------------------------
 */

/* What a path allows, for 405. */
static const char *allowed_methods(const char *path)
{
    static const char *const methods[] = {"GET", "PUT", "POST"};
    struct fl_route route;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (fl_route_parse(methods[i], path, &route) != FL_ERR_STATE)
            return methods[i];
    return NULL;
}

static struct fl_http_answer refuse_route(enum fl_status st, const char *path)
{
    struct fl_http_answer answer;
    switch (st) {
    case FL_ERR_STATE:
        answer = fl_answer_error(405, st, "this path has another method", "the Allow header names it");
        answer.allow = allowed_methods(path);
        return answer;
    case FL_ERR_VERSION:
        return fl_answer_error(404, st, "this server speaks version 1 of the protocol",
                               "use paths that begin with /v1, or update this server");
    case FL_ERR_FORMAT:
        return fl_answer_error(400, st, "the path has a malformed run name or sequence number",
                               "names are 1 to 64 of a-z A-Z 0-9 . _ -; sequence numbers start from 1");
    default:
        return fl_answer_error(404, st, "there is no such path", "protocol/README.md lists the routes");
    }
}

static int is_open(enum fl_route_kind kind)
{
    return kind == FL_ROUTE_HEALTH || kind == FL_ROUTE_AUTHORITY || kind == FL_ROUTE_ENROLL;
}

static void answer_now(struct fl_http_exchange *exchange, struct fl_http_answer answer)
{
    fl_http_answer(exchange, &answer);
}

/* 0: an enrolment from there may be tried now. */
static uint64_t enrolment_wait_ms(struct fl_api *api, const struct fl_http_exchange *exchange)
{
    pthread_mutex_lock(&api->lock);
    uint64_t wait_ms = fl_rate_take(&api->enrolments, fl_http_peer_address(exchange),
                                    api->env->monotonic_ms(api->env->user));
    pthread_mutex_unlock(&api->lock);
    return wait_ms;
}

static void on_head(void *user, struct fl_http_exchange *exchange, size_t *ret_body_limit)
{
    struct fl_api *api = user;
    const char *path = fl_http_path(exchange);
    struct fl_route route;
    enum fl_status st = fl_route_parse(fl_http_method(exchange), path, &route);

    if (st) {
        answer_now(exchange, refuse_route(st, path));
        return;
    }
    const struct fl_tls_peer *peer = fl_http_peer(exchange);
    if (!is_open(route.kind) && !peer) {
        answer_now(exchange, fl_answer_error(401, FL_ERR_AUTH, "this route needs a client certificate",
                                             "enrol with `fl-client enroll`, or show the certificate and key "
                                             "of an enrolled client (curl: --cert, --key)"));
        return;
    }
    if (!is_open(route.kind) && route.kind != FL_ROUTE_RENEW && peer->not_after_s < (int64_t)time(NULL)) {
        answer_now(exchange, fl_answer_error(403, FL_ERR_EXPIRED, "this client's certificate has expired",
                                             "renew it by POST /v1/renew, as fl-client does by itself"));
        return;
    }
    uint64_t wait_ms = route.kind == FL_ROUTE_ENROLL ? enrolment_wait_ms(api, exchange) : 0;
    if (wait_ms) {
        answer_now(exchange, fl_answer_too_many("too many enrolments were tried from this address", wait_ms));
        return;
    }
    struct api_call *call = calloc(1, sizeof(*call));
    if (!call) {
        answer_now(exchange, fl_answer_unavailable("out of memory", RETRY_MS));
        return;
    }
    call->api = api;
    call->exchange = exchange;
    call->route = route;
    fl_buf_init(&call->public_key, SPKI_BYTES);
    fl_http_set_data(exchange, call);
    *ret_body_limit = route.kind == FL_ROUTE_UPDATE ? api->update_bytes
                      : route.kind == FL_ROUTE_ENROLL || route.kind == FL_ROUTE_RECEIPT
                          ? FL_LIMIT_SMALL_BODY_BYTES
                          : 0;
}

/* -- replies ------------------------------------------------------------------------------------------------
 */

static struct fl_http_answer message_answer(const struct api_call *call, const struct fl_reply *reply)
{
    struct fl_http_answer answer = {.status = reply->http_status, .retry_after_ms = reply->retry_after_ms};
    struct fl_buf json;

    if (call->wants_json) {
        fl_buf_init(&json, 8 * FL_LIMIT_RUN_LIST_BYTES);
        if (fl_json_from_msgpack(fl_shared_view(reply->body), &json)) {
            fl_buf_done(&json);
            return fl_answer_unavailable("the answer cannot be rendered as JSON", RETRY_MS);
        }
        answer = fl_answer_buf(reply->http_status, &json, FL_MEDIA_JSON);
        answer.retry_after_ms = reply->retry_after_ms;
        return answer;
    }
    answer.body = fl_shared_ref(reply->body);
    answer.content_type = FL_MEDIA_MSGPACK;
    return answer;
}

/* The version as entity tag; parts are given of snapshots only. */
static void tag_model(struct fl_http_answer *answer, const struct fl_reply *reply)
{
    if (answer->status != 200 || !reply->body)
        return;
    fl_version_to_text(&reply->version, answer->etag);
    answer->whole_only = !reply->in_parts;
}

static void on_collect(struct fl_loop_call *loop_call, const struct fl_reply *reply)
{
    struct api_call *call = (struct api_call *)(void *)loop_call;
    call->answer = reply->body ? message_answer(call, reply) : fl_answer_of_reply(reply);
    if (call->route.kind == FL_ROUTE_MODEL)
        tag_model(&call->answer, reply);
}

static void on_release(struct fl_loop_call *loop_call, enum fl_loop_outcome outcome)
{
    struct api_call *call = (struct api_call *)(void *)loop_call;
    if (outcome == FL_LOOP_UNAVAILABLE) {
        fl_shared_unref(call->answer.body);
        call->answer =
            fl_answer_unavailable("the request could not be handled; nothing of it happened", RETRY_MS);
    }
    fl_http_answer(call->exchange, &call->answer);
}

/* -- requests -----------------------------------------------------------------------------------------------
 */

/* The snapshot of which a part is asked for, by its entity tag (rule R16); anything else is no such wish. */
static void read_want(struct api_call *call)
{
    struct fl_request *request = &call->call.request;
    const char *tag = fl_http_header(call->exchange, "If-Range");
    char text[FL_HTTP_ETAG_BYTES];
    size_t size = tag ? strlen(tag) : 0;

    if (!fl_http_header(call->exchange, "Range") || size < 3 || size - 2 >= sizeof(text) || tag[0] != '"' ||
        tag[size - 1] != '"')
        return;
    memcpy(text, tag + 1, size - 2);
    text[size - 2] = '\0';
    request->has_want = fl_version_from_text(text, &request->want) == FL_OK;
}

/* Query parameters of work, model and update. */
static enum fl_status read_query(struct api_call *call)
{
    struct fl_request *request = &call->call.request;
    const char *have = fl_http_query(call->exchange, FL_QUERY_HAVE);
    const char *wait = fl_http_query(call->exchange, FL_QUERY_WAIT);
    const char *epoch = fl_http_query(call->exchange, FL_QUERY_EPOCH);

    if (have) {
        request->has_have = 1;
        if (fl_version_from_text(have, &request->have))
            return FL_ERR_FORMAT;
    }
    if (call->route.kind == FL_ROUTE_UPDATE && epoch) {
        request->has_epoch = 1;
        if (fl_number_parse(epoch, strlen(epoch), &request->epoch))
            return FL_ERR_FORMAT;
    }
    if (call->route.kind != FL_ROUTE_WORK || !wait)
        return FL_OK;
    if (fl_number_parse(wait, strlen(wait), &request->wait_ms))
        return FL_ERR_FORMAT;
    if (request->wait_ms > WAIT_MAX_MS)
        request->wait_ms = WAIT_MAX_MS;
    return FL_OK;
}

/* The key that the CSR proves possession of. */
static enum fl_status read_enrolment(struct api_call *call, struct fl_error *err)
{
    struct fl_enroll_request message;
    struct fl_request *request = &call->call.request;
    enum fl_status st = fl_enroll_request_decode(request->body, &message);
    if (st)
        return fl_error_set(err, st, "malformed enrolment request: %s", fl_status_text(st));
    st = fl_csr_public_key(message.csr, &call->public_key, err);
    if (st)
        return st;
    request->public_key = fl_buf_view(&call->public_key);
    fl_sha256(request->public_key, request->key);
    return FL_OK;
}

static enum fl_request_kind request_kind(enum fl_route_kind kind)
{
    switch (kind) {
    case FL_ROUTE_ENROLL:
        return FL_REQUEST_ENROLL;
    case FL_ROUTE_RENEW:
        return FL_REQUEST_RENEW;
    case FL_ROUTE_RUN:
        return FL_REQUEST_RUN_INFO;
    case FL_ROUTE_WORK:
        return FL_REQUEST_WORK;
    case FL_ROUTE_MODEL:
        return FL_REQUEST_MODEL;
    case FL_ROUTE_UPDATE:
        return FL_REQUEST_UPDATE;
    case FL_ROUTE_RECEIPT:
        return FL_REQUEST_RECEIPT;
    case FL_ROUTE_RUN_LIST:
    case FL_ROUTE_HEALTH:
    case FL_ROUTE_AUTHORITY:
        break;
    }
    return FL_REQUEST_RUN_LIST;
}

static void answer_open(struct api_call *call)
{
    struct fl_buf buf;
    if (call->route.kind == FL_ROUTE_AUTHORITY) {
        answer_now(call->exchange, (struct fl_http_answer){.status = 200,
                                                           .body = fl_shared_ref(call->api->root_pem),
                                                           .content_type = "application/x-pem-file"});
        return;
    }
    fl_buf_init(&buf, 64);
    if (fl_buf_printf(&buf, "{\"status\":\"ok\"}"))
        answer_now(call->exchange, fl_answer_unavailable("out of memory", RETRY_MS));
    else
        answer_now(call->exchange, fl_answer_buf(200, &buf, FL_MEDIA_JSON));
}

static int accepts_msgpack(const struct fl_http_exchange *exchange)
{
    const char *accept = fl_http_header(exchange, "Accept");
    return accept && strstr(accept, FL_MEDIA_MSGPACK);
}

static void on_request(void *user, struct fl_http_exchange *exchange)
{
    struct fl_api *api = user;
    struct api_call *call = fl_http_data(exchange);
    struct fl_request *request = &call->call.request;
    const struct fl_tls_peer *peer = fl_http_peer(exchange);
    struct fl_error err;

    if (call->route.kind == FL_ROUTE_HEALTH || call->route.kind == FL_ROUTE_AUTHORITY) {
        answer_open(call);
        return;
    }
    call->call.collect = on_collect;
    call->call.release = on_release;
    call->wants_json = call->route.kind != FL_ROUTE_MODEL && !accepts_msgpack(exchange);
    request->kind = request_kind(call->route.kind);
    request->seq = call->route.seq;
    request->body = fl_http_body(exchange);
    request->header_bytes = fl_http_header_bytes(exchange);
    memcpy(request->run, call->route.run, sizeof(request->run));
    if (peer) {
        memcpy(request->key, peer->key, FL_DIGEST_SIZE);
        request->public_key = (struct fl_bytes){peer->public_key, peer->public_key_size};
    }
    if (call->route.kind == FL_ROUTE_MODEL)
        read_want(call);
    if (read_query(call)) {
        answer_now(exchange, fl_answer_error(400, FL_ERR_FORMAT, "malformed query parameter",
                                             "have=EPOCH.NUMBER.DIGEST, wait=MILLISECONDS, epoch=EPOCH"));
        return;
    }
    if (call->route.kind == FL_ROUTE_ENROLL) {
        enum fl_status st = read_enrolment(call, &err);
        if (st) {
            answer_now(exchange, fl_answer_error(400, st, err.text, "see protocol/README.md, section 4.1"));
            return;
        }
    }
    if (fl_loop_submit(api->loop, &call->call))
        answer_now(exchange,
                   fl_answer_unavailable("the server is stopping, or too many requests wait", RETRY_MS));
}

static void on_refuse(void *user, struct fl_http_exchange *exchange, enum fl_status st)
{
    const struct api_call *call = fl_http_data(exchange);
    int is_update = call->route.kind == FL_ROUTE_UPDATE;
    (void)user;
    if (st == FL_ERR_LIMIT)
        answer_now(exchange, fl_answer_too_long(fl_http_body_limit(exchange),
                                                is_update ? "limits.update_bytes" : NULL));
    else if (!fl_http_peer(exchange))
        answer_now(exchange,
                   fl_answer_too_many("too many peers without a certificate are sending", RETRY_MS));
    else
        answer_now(exchange,
                   fl_answer_unavailable(
                       "as many bodies are being read as limits.in_flight_bytes has room for", RETRY_MS));
}

static void on_gone(void *user, struct fl_http_exchange *exchange)
{
    struct fl_api *api = user;
    struct api_call *call = fl_http_data(exchange);
    fl_loop_cancel(api->loop, &call->call);
}

static void on_done(void *user, struct fl_http_exchange *exchange, uint64_t response_header_bytes)
{
    struct fl_api *api = user;
    struct api_call *call = fl_http_data(exchange);
    if (!call)
        return;
    if (call->route.run[0] && fl_http_peer(exchange))
        fl_loop_count_header(api->loop, call->route.run, response_header_bytes);
    fl_buf_done(&call->public_key);
    free(call);
}

void fl_api_init(struct fl_api *api, uint64_t enrolments_per_minute)
{
    uint64_t seed;
    fl_random_bytes(&seed, sizeof(seed));
    fl_rate_init(&api->enrolments, enrolments_per_minute, seed);
    pthread_mutex_init(&api->lock, NULL);
}

void fl_api_done(struct fl_api *api)
{
    pthread_mutex_destroy(&api->lock);
}

struct fl_http_handler fl_api_handler(struct fl_api *api)
{
    return (struct fl_http_handler){.user = api,
                                    .head = on_head,
                                    .request = on_request,
                                    .refuse = on_refuse,
                                    .gone = on_gone,
                                    .done = on_done};
}
