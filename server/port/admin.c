#include "server/port/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/safetensors.h"
#include "platform/crypto.h"
#include "protocol/routes.h"
#include "server/port/answer.h"
#include "server/port/json.h"
#include "server/port/run_spec_file.h"
#include "server/port/status_json.h"

#define BODY_BYTES   (2 * FL_RUN_SPEC_FILE_BYTES + 1024)
#define ANSWER_BYTES ((size_t)256 << 20)
#define RETRY_MS     1000
#define TTL_MAX_MS   ((uint64_t)366 * 86400000)
#define USES_MAX     1000000

struct admin_call {
    struct fl_loop_call call; /* first: the loop gives it back */
    struct fl_admin *admin;
    struct fl_http_exchange *exchange;
    struct fl_http_answer answer;
    float *x_0; /* RUN_CREATE: owned; NULL: the seeded rule */
};

static const struct admin_route {
    const char *method, *before, *after; /* path is before + name + after; after NULL: before alone */
    enum fl_request_kind kind;
} routes[] = {
    {"POST", "/v1/tokens", NULL, FL_REQUEST_TOKEN_CREATE},
    {"GET", "/v1/clients", NULL, FL_REQUEST_CLIENT_LIST},
    {"POST", "/v1/clients/", "/revoke", FL_REQUEST_CLIENT_REVOKE},
    {"GET", "/v1/runs", NULL, FL_REQUEST_RUN_STATUS},
    {"POST", "/v1/runs", NULL, FL_REQUEST_RUN_CREATE},
    {"GET", "/v1/runs/", "", FL_REQUEST_RUN_STATUS},
    {"POST", "/v1/runs/", "/stop", FL_REQUEST_RUN_STOP},
    {"GET", "/v1/runs/", "/model", FL_REQUEST_RUN_EXPORT},
};

/* 1 when path is this route's, with the name (or "") in ret_name. */
static int match(const struct admin_route *route, const char *path, char ret_name[FL_LIMIT_NAME_BYTES + 1])
{
    ret_name[0] = 0;
    if (!route->after)
        return !strcmp(path, route->before);
    size_t before = strlen(route->before), after = strlen(route->after), size = strlen(path);
    if (size <= before + after || strncmp(path, route->before, before) ||
        strcmp(path + size - after, route->after) || size - before - after > FL_LIMIT_NAME_BYTES)
        return 0;
    memcpy(ret_name, path + before, size - before - after);
    ret_name[size - before - after] = 0;
    return fl_name_valid(ret_name);
}

/* The route of a request; NULL: none, and *ret_allow then names the method that the path has, if any. */
static const struct admin_route *find_route(const struct fl_http_exchange *exchange,
                                            char ret_name[FL_LIMIT_NAME_BYTES + 1], const char **ret_allow)
{
    *ret_allow = NULL;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!match(&routes[i], fl_http_path(exchange), ret_name))
            continue;
        if (!strcmp(routes[i].method, fl_http_method(exchange)))
            return &routes[i];
        *ret_allow = routes[i].method;
    }
    return NULL;
}

static int is_allowed(const struct fl_admin *admin, const struct fl_http_exchange *exchange)
{
    const char *header = fl_http_header(exchange, "Authorization");
    return header && strlen(header) == 7 + FL_ADMIN_TOKEN_BYTES && !strncmp(header, "Bearer ", 7) &&
           fl_secret_equal(header + 7, admin->token, FL_ADMIN_TOKEN_BYTES);
}

static void answer_now(struct fl_http_exchange *exchange, struct fl_http_answer answer)
{
    fl_http_answer(exchange, &answer);
}

static void on_head(void *user, struct fl_http_exchange *exchange, size_t *ret_body_limit)
{
    struct fl_admin *admin = user;
    char name[FL_LIMIT_NAME_BYTES + 1];
    const char *allow;

    if (!is_allowed(admin, exchange)) {
        answer_now(exchange,
                   fl_answer_error(401, FL_ERR_AUTH, "this listener needs the admin token",
                                   "Authorization: Bearer TOKEN, with the text of admin.token in the "
                                   "server's folder"));
        return;
    }
    const struct admin_route *route = find_route(exchange, name, &allow);
    if (!route) {
        struct fl_http_answer answer =
            allow ? fl_answer_error(405, FL_ERR_STATE, "this path has another method",
                                    "the Allow header names it")
                  : fl_answer_error(404, FL_ERR_NOT_FOUND, "there is no such path",
                                    "server/port/admin.h lists the routes");
        answer.allow = allow;
        answer_now(exchange, answer);
        return;
    }
    struct admin_call *call = calloc(1, sizeof(*call));
    if (!call) {
        answer_now(exchange, fl_answer_unavailable("out of memory", RETRY_MS));
        return;
    }
    struct fl_request *request = &call->call.request;
    call->admin = admin;
    call->exchange = exchange;
    request->kind = route->kind;
    request->since_round = UINT64_MAX;
    memcpy(route->kind == FL_REQUEST_CLIENT_REVOKE ? request->client : request->run, name, sizeof(name));
    fl_http_set_data(exchange, call);
    *ret_body_limit = BODY_BYTES;
}

static void on_collect(struct fl_loop_call *loop_call, const struct fl_reply *reply)
{
    struct admin_call *call = (struct admin_call *)(void *)loop_call;
    const struct fl_request *request = &loop_call->request;
    struct fl_buf json;

    call->answer = fl_answer_of_reply(reply);
    if (reply->text)
        return;
    if (request->kind == FL_REQUEST_RUN_EXPORT) {
        call->answer.body = fl_shared_ref(reply->body);
        call->answer.content_type = FL_MEDIA_MSGPACK;
        return;
    }
    fl_buf_init(&json, ANSWER_BYTES);
    if (fl_status_json(request->kind, reply, &json)) {
        fl_buf_done(&json);
        call->answer = fl_answer_unavailable("out of memory", RETRY_MS);
        return;
    }
    call->answer = fl_answer_buf(reply->http_status, &json, FL_MEDIA_JSON);
}

static void on_release(struct fl_loop_call *loop_call, enum fl_loop_outcome outcome)
{
    struct admin_call *call = (struct admin_call *)(void *)loop_call;
    if (outcome == FL_LOOP_UNAVAILABLE) {
        fl_shared_unref(call->answer.body);
        call->answer =
            fl_answer_unavailable("the request could not be handled; nothing of it happened", RETRY_MS);
    }
    fl_http_answer(call->exchange, &call->answer);
}

/* -- bodies -------------------------------------------------------------------------------------------------
 */

static enum fl_status read_token(const struct fl_json *body, struct fl_request *request, struct fl_error *err)
{
    if (!fl_json_find_uint(body, "uses", &request->token_uses) || request->token_uses < 1 ||
        request->token_uses > USES_MAX)
        return fl_error_set(err, FL_ERR_RANGE, "uses: a whole number 1..%d is wanted", USES_MAX);
    if (!fl_json_find_uint(body, "ttl_ms", &request->token_ttl_ms) || request->token_ttl_ms < 1 ||
        request->token_ttl_ms > TTL_MAX_MS)
        return fl_error_set(err, FL_ERR_RANGE, "ttl_ms: a whole number 1..%llu is wanted",
                            (unsigned long long)TTL_MAX_MS);
    return FL_OK;
}

/* The first model of a new run (rule R18), from a file that the server itself can read. */
static enum fl_status read_x_0(struct admin_call *call, const char *path, struct fl_error *err)
{
    struct fl_request *request = &call->call.request;

    if (path[0] != '/')
        return fl_error_set(err, FL_ERR_RANGE, "initial_model: %.200s: an absolute path is wanted", path);
    call->x_0 = malloc(fl_model_spec_elems(&request->spec.model) * sizeof(*call->x_0));
    if (!call->x_0)
        return fl_error_nomem(err);
    request->x_0 = call->x_0;
    return fl_safetensors_read(path, &request->spec.model, call->x_0, err);
}

static enum fl_status read_run(struct admin_call *call, const struct fl_json *body, struct fl_error *err)
{
    const char *x_0 = fl_json_text(body, "initial_model");
    char reason[FL_LIMIT_TEXT_BYTES + 1];
    struct fl_run_spec *spec = &call->call.request.spec;
    enum fl_status st = fl_run_spec_read("spec", fl_bytes_from_text(fl_json_text(body, "spec")), spec, err);

    if (st || !*x_0)
        return st;
    st = fl_run_spec_check(spec, reason); /* before its model says how much to read */
    return st ? fl_error_set(err, st, "%s", reason) : read_x_0(call, x_0, err);
}

static enum fl_status read_body(struct admin_call *call, struct fl_error *err)
{
    struct fl_request *request = &call->call.request;
    struct fl_json *body = NULL;
    enum fl_status st = fl_json_parse(fl_http_body(call->exchange), &body);

    if (st)
        return fl_error_set(err, st, "the body is not JSON");
    if (request->kind == FL_REQUEST_TOKEN_CREATE)
        st = read_token(body, request, err);
    else
        st = read_run(call, body, err);
    fl_json_free(body);
    return st;
}

static enum fl_status read_since(struct admin_call *call, struct fl_error *err)
{
    const char *since = fl_http_query(call->exchange, "since");
    char *end;
    if (!since)
        return FL_OK;
    unsigned long long round = strtoull(since, &end, 10);
    if (*since < '0' || *since > '9' || *end)
        return fl_error_set(err, FL_ERR_FORMAT, "since: a whole number is wanted");
    call->call.request.since_round = round;
    return FL_OK;
}

static void on_request(void *user, struct fl_http_exchange *exchange)
{
    struct fl_admin *admin = user;
    struct admin_call *call = fl_http_data(exchange);
    struct fl_request *request = &call->call.request;
    struct fl_error err;
    enum fl_status st = FL_OK;

    call->call.collect = on_collect;
    call->call.release = on_release;
    if (request->kind == FL_REQUEST_TOKEN_CREATE || request->kind == FL_REQUEST_RUN_CREATE)
        st = read_body(call, &err);
    else if (request->kind == FL_REQUEST_RUN_STATUS)
        st = read_since(call, &err);
    if (st) {
        answer_now(exchange, fl_answer_error(400, st, err.text, NULL));
        return;
    }
    if (fl_loop_submit(admin->loop, &call->call))
        answer_now(exchange,
                   fl_answer_unavailable("the server is stopping, or too many requests wait", RETRY_MS));
}

static void on_refuse(void *user, struct fl_http_exchange *exchange, enum fl_status st)
{
    (void)user;
    answer_now(exchange, st == FL_ERR_LIMIT
                             ? fl_answer_too_long(fl_http_body_limit(exchange), NULL)
                             : fl_answer_unavailable("too many bodies are being read", RETRY_MS));
}

static void on_gone(void *user, struct fl_http_exchange *exchange)
{
    struct fl_admin *admin = user;
    struct admin_call *call = fl_http_data(exchange);
    fl_loop_cancel(admin->loop, &call->call);
}

static void on_done(void *user, struct fl_http_exchange *exchange, uint64_t response_header_bytes)
{
    (void)user;
    (void)response_header_bytes;
    struct admin_call *call = fl_http_data(exchange);

    if (call)
        free(call->x_0);
    free(call);
}

struct fl_http_handler fl_admin_handler(struct fl_admin *admin)
{
    return (struct fl_http_handler){.user = admin,
                                    .head = on_head,
                                    .request = on_request,
                                    .refuse = on_refuse,
                                    .gone = on_gone,
                                    .done = on_done};
}
