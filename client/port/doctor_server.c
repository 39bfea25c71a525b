/* The server: who answers, whether it knows this client, and what it says about the run. */
#include "client/port/doctor_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/port/identity.h"
#include "platform/cert.h"
#include "platform/checks.h"
#include "platform/text.h"
#include "protocol/error_body.h"
#include "protocol/routes.h"

#define REQUEST_TIMEOUT_MS 5000
#define OFFSET_WARN_S      300
#define NAMES_SIZE         512

/* A GET on a connection; the answer's body goes to body. */
static enum fl_status ask(struct fl_http *http, enum fl_route_kind kind, const char *run, size_t limit,
                          struct fl_buf *body, struct fl_http_answer *ret_answer, struct fl_error *err)
{
    struct fl_route route = {.kind = kind};
    char path[FL_ROUTE_TEXT_BYTES];
    snprintf(route.run, sizeof route.run, "%s", run);
    fl_route_to_text(&route, path);
    return fl_http_request(
        http,
        &(struct fl_http_request){
            .method = "GET", .path = path, .timeout_ms = REQUEST_TIMEOUT_MS, .answer_limit = limit},
        body, ret_answer, err);
}

/* One GET on a connection of its own. root empty: whoever answers will do. */
static enum fl_status ask_once(const struct fl_doctor *doctor, struct fl_bytes root, enum fl_route_kind kind,
                               struct fl_buf *body, struct fl_http_answer *ret_answer, struct fl_error *err)
{
    struct fl_http *http = NULL;
    struct fl_clock clock = doctor->clock; /* what the server says now must not hide what the clock says */
    enum fl_status st = fl_http_new(&(struct fl_http_options){.url = doctor->config->server_url,
                                                              .root = root,
                                                              .unverified = !root.size,
                                                              .stop_fd = -1,
                                                              .clock = &clock},
                                    &http, err);
    if (!st)
        st = ask(http, kind, "", FL_LIMIT_CHAIN_BYTES, body, ret_answer, err);
    fl_http_free(http);
    return st;
}

/* The authority of whoever answers there, unverified. 0 when it is no fl-server. */
static int fetch_authority(const struct fl_doctor *doctor, struct fl_cert_info *ret_info)
{
    struct fl_http_answer answer;
    struct fl_buf body;
    struct fl_error err;
    fl_buf_init(&body, FL_LIMIT_CHAIN_BYTES);
    int is_there = !ask_once(doctor, (struct fl_bytes){NULL, 0}, FL_ROUTE_AUTHORITY, &body, &answer, &err) &&
                   answer.status == 200 && !fl_cert_read(fl_buf_view(&body), ret_info, &err);
    fl_buf_done(&body);
    return is_there;
}

/* The handshake failed over the server's certificate: is it another server, another name, or the time? */
static void say_not_trusted(const struct fl_doctor *doctor, const struct fl_error *why)
{
    struct fl_cert_info pinned, theirs;
    struct fl_error err;
    char hex[2 * FL_DIGEST_SIZE + 1];

    if (fl_cert_read(fl_buf_view(&doctor->root), &pinned, &err))
        return; /* it has been read before */
    if (!fetch_authority(doctor, &theirs)) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "server certificate",
                       "whoever answers at %s is no fl-server and has a certificate of another authority: %s",
                       doctor->config->server_url, why->text);
        fl_finding_fix(doctor->findings, "look who it is: openssl s_client -connect HOST:PORT </dev/null; a "
                                         "proxy or firewall that opens TLS "
                                         "must let this server through; else correct server.url");
    } else if (memcmp(pinned.fingerprint, theirs.fingerprint, FL_DIGEST_SIZE) != 0) {
        fl_hex_encode(theirs.fingerprint, sizeof theirs.fingerprint, hex);
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "server certificate",
                       "the fl-server at %s is of another authority, with the fingerprint %s",
                       doctor->config->server_url, hex);
        fl_finding_fix(doctor->findings,
                       "correct server.url; if the operator made the server anew, enrol again in a new "
                       "folder: fl-client "
                       "enroll --server %s --token-file TOKEN --ca-fingerprint FINGERPRINT --state NEWFOLDER",
                       doctor->config->server_url);
    } else {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "server certificate",
                       "it is of the pinned authority, but: %s", why->text);
        fl_finding_fix(doctor->findings,
                       "set the clock if it is wrong (timedatectl set-ntp true); use a name of the server's "
                       "certificate in "
                       "server.url; what it names and when it ends, the operator sees by fl-server doctor");
    }
}

static void say_no_answer(const struct fl_doctor *doctor, enum fl_status st, const struct fl_error *why)
{
    if (st == FL_ERR_CRYPTO) {
        say_not_trusted(doctor, why);
        return;
    }
    fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, st == FL_ERR_TIMEOUT ? "health" : "tls", "%s",
                   why->text);
    fl_finding_fix(
        doctor->findings, "%s",
        st == FL_ERR_TIMEOUT
            ? "the server is overloaded or stopped in the middle: on it, fl-server doctor, then systemctl "
              "restart fl-server"
        : st == FL_ERR_CONFIG
            ? "as it says"
            : "whatever listens there does not speak TLS 1.2 or 1.3 as fl-server does: is the port that of "
              "listen.port, and does a proxy in the way pass TLS through? openssl s_client -connect "
              "HOST:PORT "
              "</dev/null shows what answers");
}

/* A page where a message should be (rule R4). */
static void say_not_ours(const struct fl_doctor *doctor, const char *name, int http_status,
                         struct fl_bytes body)
{
    char excerpt[FL_DOCTOR_EXCERPT + 1];
    fl_doctor_excerpt(body, excerpt);
    fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, name, "HTTP %d is no answer of fl-server: %s",
                   http_status, excerpt);
    fl_finding_fix(doctor->findings, "a proxy answers in its place: have it pass TCP and TLS through to "
                                     "fl-server as they are, or go around "
                                     "it (server.url, no_proxy)");
}

static void say_offset(const struct fl_doctor *doctor, int64_t date_s)
{
    int64_t offset_s = doctor->env->wall_ms(doctor->env->user) / 1000 - date_s;
    char there[FL_TIME_TEXT_BYTES];
    if (!date_s)
        return;
    fl_time_to_text(date_s, there);
    int is_off = offset_s > OFFSET_WARN_S || offset_s < -OFFSET_WARN_S;
    fl_finding_add(doctor->findings, is_off ? FL_OUTCOME_WARN : FL_OUTCOME_OK, "time difference",
                   "%" PRId64 " s %s the server, where it is %s", offset_s < 0 ? -offset_s : offset_s,
                   offset_s < 0 ? "behind" : "ahead of", there);
    if (is_off)
        fl_finding_fix(doctor->findings, "on the machine whose clock is wrong: timedatectl set-ntp true");
}

/* Who answers, and that it is well. */
static void check_health(struct fl_doctor *doctor)
{
    struct fl_http_answer answer;
    struct fl_buf body;
    struct fl_error err = {""};
    struct fl_cert_info info;
    char hex[2 * FL_DIGEST_SIZE + 1];

    fl_buf_init(&body, FL_LIMIT_CHAIN_BYTES);
    enum fl_status st = ask_once(doctor, fl_buf_view(&doctor->root), FL_ROUTE_HEALTH, &body, &answer, &err);
    if (st) {
        say_no_answer(doctor, st, &err);
    } else if (answer.status != 200 || !body.size || body.data[0] != '{' ||
               !memmem(body.data, body.size, "\"status\"", 8)) {
        say_not_ours(doctor, "health", answer.status, fl_buf_view(&body));
    } else if (!doctor->root.size && fetch_authority(doctor, &info)) {
        fl_hex_encode(info.fingerprint, sizeof info.fingerprint, hex);
        fl_finding_add(
            doctor->findings, FL_OUTCOME_NOTE, "health",
            "an fl-server answers; its authority's fingerprint is %s, which nothing here can verify", hex);
        fl_finding_fix(doctor->findings,
                       "compare it with the one that the operator gives, before enrolling with it");
    } else {
        doctor->is_reached = doctor->root.size > 0;
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "health", "the fl-server at %s is well%s",
                       doctor->config->server_url, doctor->root.size ? ", under the pinned authority" : "");
    }
    if (!st)
        say_offset(doctor, answer.date_s);
    fl_buf_done(&body);
}

/* The names of the runs that there are, for somebody who has named another one. */
static void list_runs(struct fl_http *http, char ret_names[NAMES_SIZE])
{
    struct fl_http_answer answer;
    struct fl_buf body;
    struct fl_error err;
    struct fl_run_info *runs = calloc(FL_LIMIT_RUNS, sizeof *runs);
    size_t count = 0, used = 0;

    fl_buf_init(&body, FL_LIMIT_RUN_LIST_BYTES);
    ret_names[0] = 0;
    if (!runs || ask(http, FL_ROUTE_RUN_LIST, "", FL_LIMIT_RUN_LIST_BYTES, &body, &answer, &err) ||
        answer.status != 200 || fl_run_list_decode(fl_buf_view(&body), runs, FL_LIMIT_RUNS, &count))
        count = 0;
    for (size_t i = 0; i < count && used < NAMES_SIZE; i++)
        used += (size_t)snprintf(ret_names + used, NAMES_SIZE - used, "%s%s", i ? ", " : "", runs[i].name);
    free(runs);
    fl_buf_done(&body);
}

static void say_refused(const struct fl_doctor *doctor, const struct fl_http_answer *answer,
                        const struct fl_error_body *error, struct fl_bytes body)
{
    char words[FL_PATH_SIZE];
    if (error->status == FL_ERR_EXPIRED) {
        fl_finding_add(doctor->findings, FL_OUTCOME_WARN, "login",
                       "the server finds this client's certificate expired");
        fl_finding_fix(doctor->findings, "fl-client run %s renews it first thing",
                       fl_doctor_config_words(doctor, words));
    } else if (answer->status == 429 || answer->status >= 500) {
        fl_finding_add(doctor->findings, FL_OUTCOME_WARN, "login", "the server is busy (HTTP %d): %.*s",
                       answer->status, (int)body.size, (const char *)body.data);
        fl_finding_fix(doctor->findings, "try again later; on the server: fl-server doctor");
    } else {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "login",
                       "the server refuses this client (HTTP %d): %.*s", answer->status, (int)body.size,
                       (const char *)body.data);
        fl_finding_fix(
            doctor->findings,
            "`fl-server clients list` tells the operator whether it is revoked or unknown. If it should take "
            "part: fl-client enroll --server %s --token-file TOKEN --ca-fingerprint FINGERPRINT --state "
            "NEWFOLDER",
            doctor->config->server_url);
    }
}

/* The run is there and can be read: tells of it and keeps it for later checks. */
static void take_run(struct fl_doctor *doctor, struct fl_bytes body)
{
    struct fl_run_info info;
    enum fl_status st = fl_run_info_decode(body, &info);
    if (st == FL_ERR_VERSION) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "protocol",
                       "the server speaks another major version than this fl-client " FL_VERSION);
        fl_finding_fix(doctor->findings, "install the fl-client of the server's release");
        return;
    }
    if (st) {
        say_not_ours(doctor, "run", 200, body);
        return;
    }
    fl_finding_add(doctor->findings, FL_OUTCOME_OK, "login", "the server knows this client");
    if (fl_model_spec_check(&info.model) || fl_buf_append(&doctor->run, body.data, body.size)) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "run",
                       "the model of run %s is none that this fl-client knows", info.name);
        fl_finding_fix(doctor->findings, "install the fl-client of the server's release");
        return;
    }
    fl_finding_add(doctor->findings, info.state == FL_RUN_ENDED ? FL_OUTCOME_NOTE : FL_OUTCOME_OK, "run",
                   "%s: %s, round %" PRIu64 " of %" PRIu64 ", %" PRIu64 " parameters", info.name,
                   info.state == FL_RUN_ENDED ? "ended" : "active", info.round, info.rounds,
                   fl_model_spec_elems(&info.model));
    if (info.state == FL_RUN_ENDED)
        fl_finding_fix(doctor->findings, "nothing, or name another run in `run`");
}

static void take_answer(struct fl_doctor *doctor, struct fl_http *http, int has_run,
                        const struct fl_http_answer *answer, struct fl_bytes body)
{
    struct fl_error_body error;
    char names[NAMES_SIZE];

    if (answer->status == 200 && has_run) {
        take_run(doctor, body);
    } else if (answer->status == 200) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "login", "the server knows this client");
    } else if (fl_error_body_read(body, &error)) {
        say_not_ours(doctor, "login", answer->status, body);
    } else if (answer->status == 404 && has_run) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "login", "the server knows this client");
        list_runs(http, names);
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "run", "the server has no run %s; it has: %s",
                       doctor->config->run, names[0] ? names : "none");
        fl_finding_fix(doctor->findings,
                       "correct `run` in the configuration, or the operator makes it: fl-server run "
                       "create SPEC");
    } else {
        say_refused(doctor, answer, &error, body);
    }
}

/* As this client. Reading a run takes nobody's work and displaces nobody's long poll. */
static void check_login(struct fl_doctor *doctor)
{
    const char *run = fl_name_valid(doctor->config->run) ? doctor->config->run : "";
    struct fl_clock clock = doctor->clock;
    struct fl_http_answer answer;
    struct fl_http *http = NULL;
    struct fl_buf body;
    struct fl_error err = {""};

    fl_buf_init(&body, FL_LIMIT_RUN_LIST_BYTES);
    enum fl_status st =
        fl_identity_connect(doctor->config->state, doctor->config->server_url, -1, &clock, &http, &err);
    if (!st)
        st = ask(http, run[0] ? FL_ROUTE_RUN : FL_ROUTE_RUN_LIST, run, FL_LIMIT_RUN_LIST_BYTES, &body,
                 &answer, &err);
    if (!st) {
        take_answer(doctor, http, run[0] != 0, &answer, fl_buf_view(&body));
    } else {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "login", "%s", err.text);
        fl_finding_fix(doctor->findings, "%s",
                       st == FL_ERR_AUTH
                           ? "this identity is not one of that server's: ask the operator for a token and "
                             "enrol again in a new folder with `fl-client enroll`"
                           : "try again; if it stays: fl-server doctor on the server");
    }
    fl_http_free(http);
    fl_buf_done(&body);
}

void fl_doctor_check_server(struct fl_doctor *doctor)
{
    if (!doctor->config->server_url[0] || !fl_doctor_check_reach(doctor))
        return;
    check_health(doctor);
    if (doctor->is_reached && doctor->is_enrolled)
        check_login(doctor);
}
