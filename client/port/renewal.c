#include "client/port/renewal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "client/core/backoff.h"
#include "platform/cert.h"
#include "platform/text.h"
#include "protocol/error_body.h"
#include "protocol/routes.h"

#define REQUEST_TIMEOUT_MS 30000
#define REST_MS            3600000 /* where asking sooner would not help */
#define SHOWN_BYTES        300     /* of an answer, in an error */

static int64_t now_s(const struct fl_renewal *renewal)
{
    return fl_clock_now_s(renewal->clock);
}

static uint64_t now_ms(const struct fl_renewal *renewal)
{
    const struct fl_env *env = renewal->clock->env;
    return env->monotonic_ms(env->user);
}

static int has_expired(const struct fl_renewal *renewal)
{
    return renewal->is_wanted || now_s(renewal) > renewal->ends_s;
}

/* Between 8/30 and 10/30 of the life, so that clients enrolled together do not come together. */
static void plan(struct fl_renewal *renewal, const struct fl_cert_info *info)
{
    const struct fl_env *env = renewal->clock->env;
    uint8_t chance;

    env->entropy(env->user, &chance, 1);
    renewal->ends_s = info->not_after_s;
    renewal->due_s = fl_cert_due_s(info, (8 + 2 * chance / 255.0) / 30);
    renewal->is_wanted = 0;
    renewal->attempts = 0;
}

static enum fl_status read_present(const char *path, struct fl_cert_info *ret_info, struct fl_error *err)
{
    struct fl_buf pem;

    fl_buf_init(&pem, FL_IDENTITY_PEM_BYTES);
    enum fl_status st = fl_file_read(path, &pem, err);
    if (!st && fl_cert_read(fl_buf_view(&pem), ret_info, err))
        st = fl_error_set(err, FL_ERR_CORRUPT, "%s: %s", path, err ? err->text : "");
    fl_buf_done(&pem);
    return st;
}

enum fl_status fl_renewal_init(struct fl_renewal *ret_renewal, const char *state_dir, const char *url,
                               int stop_fd, struct fl_clock *clock, struct fl_error *err)
{
    struct fl_identity identity;
    struct fl_cert_info info;
    enum fl_status st = fl_identity_paths(state_dir, &identity, err);

    if (!st)
        st = read_present(identity.cert_path, &info, err);
    if (st)
        return st == FL_ERR_NOT_FOUND ? FL_ERR_AUTH : st;
    *ret_renewal =
        (struct fl_renewal){.state_dir = state_dir, .url = url, .stop_fd = stop_fd, .clock = clock};
    plan(ret_renewal, &info);
    return FL_OK;
}

int fl_renewal_notice(struct fl_renewal *renewal, int http_status, struct fl_bytes body)
{
    struct fl_error_body error;

    if (http_status != 403 || fl_error_body_read(body, &error) || error.status != FL_ERR_EXPIRED)
        return 0;
    renewal->is_wanted = 1;
    return 1;
}

/* The new certificate must be this client's, under the pinned root. */
static enum fl_status check_chain(const struct fl_identity *identity, struct fl_bytes chain,
                                  struct fl_cert_info *ret_info, struct fl_error *err)
{
    struct fl_cert_info present, info;
    struct fl_buf root;

    fl_buf_init(&root, FL_IDENTITY_PEM_BYTES);
    enum fl_status st = read_present(identity->cert_path, &present, err);
    if (!st)
        st = fl_file_read(identity->root_path, &root, err);
    if (!st)
        st = fl_cert_chain_check(chain, fl_buf_view(&root), err);
    if (!st)
        st = fl_cert_read(chain, &info, err);
    if (!st && (memcmp(info.key_fingerprint, present.key_fingerprint, FL_DIGEST_SIZE) ||
                strcmp(info.common_name, present.common_name)))
        st = fl_error_set(err, FL_ERR_CRYPTO, "the server answered another client's certificate");
    if (!st)
        *ret_info = info;
    fl_buf_done(&root);
    return st;
}

static enum fl_status refused(const struct fl_renewal *renewal, int http_status, struct fl_bytes body,
                              struct fl_error *err)
{
    struct fl_error_body error;

    if (http_status >= 500)
        return fl_error_set(err, FL_ERR_NETWORK, "HTTP %d", http_status);
    if (fl_error_body_read(body, &error))
        return fl_error_set(err, FL_ERR_NETWORK,
                            "HTTP %d is no answer of fl-server, a proxy may be in the way: see `fl-client "
                            "doctor`",
                            http_status);
    if (http_status != 401 && http_status != 403 && !has_expired(renewal))
        return fl_error_set(err, FL_ERR_STATE, "HTTP %d: does this server know how to renew?", http_status);
    return fl_error_set(err, FL_ERR_AUTH,
                        "the server does not renew this client's certificate (HTTP %d: %.*s). The state is "
                        "kept, but this identity is at its end: ask the operator for a token and enrol "
                        "again, in a new folder",
                        http_status, (int)(body.size < SHOWN_BYTES ? body.size : SHOWN_BYTES),
                        body.data ? (const char *)body.data : "");
}

/* One try. */
static enum fl_status renew(struct fl_renewal *renewal, struct fl_http **http, struct fl_error *err)
{
    struct fl_identity identity;
    struct fl_http_answer answer;
    struct fl_enroll_answer message;
    struct fl_cert_info info;
    struct fl_http *fresh;
    struct fl_buf body;
    char path[FL_ROUTE_TEXT_BYTES];

    fl_route_to_text(&(struct fl_route){.kind = FL_ROUTE_RENEW}, path);
    fl_buf_init(&body, FL_LIMIT_SMALL_BODY_BYTES);
    enum fl_status st = fl_identity_paths(renewal->state_dir, &identity, err);
    if (!st)
        st = fl_http_request(*http,
                             &(struct fl_http_request){.method = "POST",
                                                       .path = path,
                                                       .timeout_ms = REQUEST_TIMEOUT_MS,
                                                       .answer_limit = FL_LIMIT_SMALL_BODY_BYTES},
                             &body, &answer, err);
    if (!st && answer.status != 200)
        st = refused(renewal, answer.status, fl_buf_view(&body), err);
    if (!st && fl_enroll_answer_decode(fl_buf_view(&body), &message))
        st = fl_error_set(err, FL_ERR_NETWORK, "the answer is not a certificate");
    if (!st)
        st = check_chain(&identity, message.chain, &info, err);
    if (!st)
        st = fl_file_write_atomic(identity.cert_path, message.chain, 0644, err);
    if (!st)
        plan(renewal, &info);
    if (!st) /* what is connected shows the old one */
        st = fl_identity_connect(renewal->state_dir, renewal->url, renewal->stop_fd, renewal->clock, &fresh,
                                 err);
    if (!st) {
        fl_http_free(*http);
        *http = fresh;
    }
    fl_buf_done(&body);
    return st;
}

enum fl_status fl_renewal_keep(struct fl_renewal *renewal, struct fl_http **http, struct fl_error *err)
{
    char ends[FL_TIME_TEXT_BYTES];
    struct fl_error why = {""};
    uint64_t wait_ms = REST_MS;

    if (!renewal->is_wanted && (now_s(renewal) < renewal->due_s || now_ms(renewal) < renewal->rest_until_ms))
        return FL_OK;
    int expired = has_expired(renewal);
    enum fl_status st = renew(renewal, http, &why);
    fl_time_to_text(renewal->ends_s, ends);
    if (!st) {
        wait_ms = now_s(renewal) < renewal->due_s ? 0 : REST_MS; /* due at once: clocks disagree */
        fl_log(FL_LOG_INFO, "client.identity", "ends=\"%s\"; the certificate is renewed", ends);
    } else if (st == FL_ERR_AUTH || (expired && st == FL_ERR_IO)) {
        return fl_error_set(err, st, "%s", why.text);
    } else if (st != FL_ERR_STOPPED) {
        if (expired || st == FL_ERR_NETWORK || st == FL_ERR_TIMEOUT)
            wait_ms = fl_backoff_ms(renewal->clock->env, renewal->attempts++, 0);
        fl_log(FL_LOG_WARN, "client.identity",
               "status=%s ends=\"%s\"; the certificate %s and could not be renewed, trying again: %s",
               fl_status_name(st), ends, expired ? "has expired" : "is near its end", why.text);
    }
    renewal->rest_until_ms = now_ms(renewal) + wait_ms;
    return FL_OK;
}
