#include "client/port/identity.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "client/core/backoff.h"
#include "platform/cert.h"
#include "platform/crypto.h"
#include "platform/dir.h"
#include "protocol/error_body.h"
#include "protocol/routes.h"

#define ATTEMPTS           6
#define REQUEST_TIMEOUT_MS 30000

enum fl_status fl_identity_paths(const char *state_dir, struct fl_identity *ret_identity,
                                 struct fl_error *err)
{
    struct fl_identity identity;
    enum fl_status st = fl_path_join(state_dir, "root.pem", identity.root_path, err);
    if (!st)
        st = fl_path_join(state_dir, "key.pem", identity.key_path, err);
    if (!st)
        st = fl_path_join(state_dir, "client.pem", identity.cert_path, err);
    if (!st)
        *ret_identity = identity;
    return st;
}

/* Reads one file of the identity. A file that is there and cannot be used is damage. */
static enum fl_status read_pem(const char *path, struct fl_buf *pem, struct fl_error *err)
{
    enum fl_status st = fl_file_read(path, pem, err);
    return st == FL_ERR_LIMIT ? FL_ERR_CORRUPT : st;
}

static enum fl_status name_damage(const char *path, enum fl_status st, struct fl_error *err)
{
    if (!st || st == FL_ERR_NOMEM)
        return st;
    return fl_error_set(err, FL_ERR_CORRUPT,
                        "%s: %s; root.pem, key.pem and client.pem belong together: put them back from a "
                        "backup of the state folder, or enrol again in a new one",
                        path, err ? err->text : "");
}

/* Are the three files whole, and of one enrolment? A damaged one would otherwise fail every connection. */
static enum fl_status check_identity(const struct fl_identity *identity, struct fl_bytes root,
                                     struct fl_error *err)
{
    struct fl_buf key, chain;
    fl_buf_init(&key, FL_IDENTITY_PEM_BYTES);
    fl_buf_init(&chain, FL_IDENTITY_PEM_BYTES);
    enum fl_status st = read_pem(identity->cert_path, &chain, err);
    if (!st)
        st = read_pem(identity->key_path, &key, err);
    if (!st)
        st = name_damage(identity->root_path, fl_cert_root_check(root, err), err);
    if (!st)
        st = name_damage(identity->cert_path, fl_cert_chain_check(fl_buf_view(&chain), root, err), err);
    if (!st)
        st = name_damage(identity->key_path, fl_cert_key_check(fl_buf_view(&chain), fl_buf_view(&key), err),
                         err);
    if (key.data)
        fl_secret_wipe(key.data, key.size);
    fl_buf_done(&key);
    fl_buf_done(&chain);
    return st;
}

enum fl_status fl_identity_check(const char *state_dir, struct fl_identity *ret_identity,
                                 struct fl_buf *ret_root, struct fl_error *err)
{
    enum fl_status st = fl_identity_paths(state_dir, ret_identity, err);
    if (!st)
        st = read_pem(ret_identity->root_path, ret_root, err);
    if (!st)
        st = check_identity(ret_identity, fl_buf_view(ret_root), err);
    if (st == FL_ERR_NOT_FOUND)
        st = fl_error_set(err, FL_ERR_AUTH, "%s is not enrolled: run `fl-client enroll` first (%s)",
                          state_dir, err ? err->text : "");
    return st;
}

enum fl_status fl_identity_connect(const char *state_dir, const char *url, int stop_fd,
                                   struct fl_clock *clock, struct fl_http **ret_http, struct fl_error *err)
{
    struct fl_identity identity;
    struct fl_buf root;
    fl_buf_init(&root, FL_IDENTITY_PEM_BYTES);
    enum fl_status st = fl_identity_check(state_dir, &identity, &root, err);
    if (!st)
        st = fl_http_new(&(struct fl_http_options){.url = url,
                                                   .root = fl_buf_view(&root),
                                                   .cert_path = identity.cert_path,
                                                   .key_path = identity.key_path,
                                                   .stop_fd = stop_fd,
                                                   .clock = clock},
                         ret_http, err);
    fl_buf_done(&root);
    return st;
}

/* Repeats a request that brings no answer, 429 or 5xx, a few times. */
static enum fl_status request(struct fl_http *http, const struct fl_http_request *what,
                              const struct fl_env *env, int stop_fd, struct fl_buf *ret_body,
                              struct fl_http_answer *ret_answer, struct fl_error *err)
{
    for (uint32_t attempt = 0;; attempt++) {
        enum fl_status st = fl_http_request(http, what, ret_body, ret_answer, err);
        int busy = !st && (ret_answer->status >= 500 || ret_answer->status == 429);
        int again = st == FL_ERR_NETWORK || st == FL_ERR_TIMEOUT || busy;
        if (!again || attempt + 1 == ATTEMPTS) {
            if (busy)
                st = fl_error_set(err, FL_ERR_NETWORK, "%s %s: HTTP %d", what->method, what->path,
                                  ret_answer->status);
            return st;
        }
        uint64_t wait_ms = fl_backoff_ms(env, attempt, st ? 0 : ret_answer->retry_after_ms);
        struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
        fl_log(FL_LOG_WARN, "client.enroll", "path=%s status=%s; trying again in %" PRIu64 " ms", what->path,
               fl_status_name(st), wait_ms);
        if (poll(&stop, 1, (int)wait_ms) > 0)
            return fl_error_set(err, FL_ERR_STOPPED, "stopped on request");
    }
}

/* ret_root: the one certificate that the fingerprint pins, whatever else the peer sent with it. */
static enum fl_status pin_root(const uint8_t pinned[FL_DIGEST_SIZE], struct fl_bytes sent,
                               struct fl_buf *ret_root, struct fl_error *err)
{
    char hex[2 * FL_DIGEST_SIZE + 1];
    struct fl_cert_info info;
    enum fl_status st = fl_cert_read(sent, &info, err);
    if (st)
        return st;
    if (fl_secret_equal(info.fingerprint, pinned, FL_DIGEST_SIZE))
        return fl_cert_to_pem(sent, ret_root, err);
    fl_hex_encode(info.fingerprint, sizeof info.fingerprint, hex);
    return fl_error_set(err, FL_ERR_AUTH,
                        "the server's authority has the fingerprint %s, not the one given: the token was not "
                        "sent",
                        hex);
}

/* GET /v1/authority on a connection that nothing verifies. */
static enum fl_status fetch_root(const struct fl_enroll_options *options, const struct fl_env *env,
                                 struct fl_buf *ret_root, struct fl_error *err)
{
    uint8_t pinned[FL_DIGEST_SIZE];
    struct fl_http *http = NULL;
    struct fl_http_answer answer;
    struct fl_buf body;
    struct fl_route route = {.kind = FL_ROUTE_AUTHORITY};
    char path[FL_ROUTE_TEXT_BYTES];
    if (fl_hex_decode(options->fingerprint, pinned, sizeof pinned))
        return fl_error_set(err, FL_ERR_CONFIG, "fingerprint %s: expected 64 hexadecimal digits",
                            options->fingerprint);
    fl_buf_init(&body, FL_LIMIT_CHAIN_BYTES);
    fl_route_to_text(&route, path);
    enum fl_status st = fl_http_new(
        &(struct fl_http_options){.url = options->url, .unverified = 1, .stop_fd = options->stop_fd}, &http,
        err);
    if (!st)
        st = request(http,
                     &(struct fl_http_request){.method = "GET",
                                               .path = path,
                                               .timeout_ms = REQUEST_TIMEOUT_MS,
                                               .answer_limit = FL_LIMIT_CHAIN_BYTES},
                     env, options->stop_fd, &body, &answer, err);
    fl_http_free(http);
    if (!st && answer.status != 200)
        st = fl_error_set(err, FL_ERR_NETWORK, "%s%s: HTTP %d, is this an fl-server?", options->url, path,
                          answer.status);
    if (!st)
        st = pin_root(pinned, fl_buf_view(&body), ret_root, err);
    fl_buf_done(&body);
    return st;
}

/* The key that is there already, or a new one, stored before it is used. */
static enum fl_status provide_key(const struct fl_identity *identity, struct fl_buf *ret_key,
                                  struct fl_error *err)
{
    enum fl_status st = fl_file_read(identity->key_path, ret_key, err);
    if (st != FL_ERR_NOT_FOUND)
        return st;
    st = fl_key_generate(ret_key, err);
    return st ? st : fl_file_write_atomic(identity->key_path, fl_buf_view(ret_key), FL_FILE_SECRET, err);
}

static enum fl_status encode_request(const struct fl_enroll_options *options, struct fl_bytes key,
                                     struct fl_buf *ret_body, struct fl_error *err)
{
    struct fl_enroll_request message = {0};
    struct fl_buf pem, der;
    fl_buf_init(&pem, FL_IDENTITY_PEM_BYTES);
    fl_buf_init(&der, FL_LIMIT_CSR_BYTES);
    enum fl_status st = FL_OK;
    if (!options->token[0] || strlen(options->token) >= sizeof message.token ||
        strlen(options->name) >= sizeof message.name)
        st = fl_error_set(err, FL_ERR_CONFIG, "token or name is empty or too long");
    if (!st)
        st = fl_csr_create(key, "fl-client", &pem, err);
    if (!st)
        st = fl_csr_to_der(fl_buf_view(&pem), &der, err);
    if (!st) {
        strcpy(message.token, options->token);
        strcpy(message.name, options->name);
        message.csr = fl_buf_view(&der);
        st = fl_enroll_request_encode(&message, ret_body);
        fl_secret_wipe(&message, sizeof message);
        if (st)
            fl_error_set(err, st, "enrolment request: %s", fl_status_text(st));
    }
    fl_buf_done(&pem);
    fl_buf_done(&der);
    return st;
}

/* POST /v1/enroll on a connection that root has verified. */
static enum fl_status send_request(const struct fl_enroll_options *options, const struct fl_env *env,
                                   struct fl_clock *clock, struct fl_bytes root, struct fl_bytes body,
                                   struct fl_buf *answer_body, struct fl_enroll_answer *ret_message,
                                   struct fl_error *err)
{
    struct fl_http *http = NULL;
    struct fl_http_answer answer;
    char path[FL_ROUTE_TEXT_BYTES];
    struct fl_route route = {.kind = FL_ROUTE_ENROLL};
    fl_route_to_text(&route, path);
    enum fl_status st = fl_http_new(
        &(struct fl_http_options){
            .url = options->url, .root = root, .stop_fd = options->stop_fd, .clock = clock},
        &http, err);
    if (!st)
        st = request(http,
                     &(struct fl_http_request){.method = "POST",
                                               .path = path,
                                               .body = body,
                                               .timeout_ms = REQUEST_TIMEOUT_MS,
                                               .answer_limit = FL_LIMIT_SMALL_BODY_BYTES},
                     env, options->stop_fd, answer_body, &answer, err);
    fl_http_free(http);
    if (st)
        return st;
    struct fl_error_body error;
    if (answer.status != 200 && fl_error_body_read(fl_buf_view(answer_body), &error))
        return fl_error_set(err, FL_ERR_NETWORK,
                            "%s%s: HTTP %d is no answer of fl-server, a proxy may be in the way",
                            options->url, path, answer.status);
    if (answer.status != 200)
        return fl_error_set(err, answer.status == 400 ? FL_ERR_FORMAT : FL_ERR_AUTH,
                            "the server refused the enrolment (HTTP %d): %.*s", answer.status,
                            (int)answer_body->size, answer_body->data ? (const char *)answer_body->data : "");
    st = fl_enroll_answer_decode(fl_buf_view(answer_body), ret_message);
    return st ? fl_error_set(err, st, "the server's answer to the enrolment: %s", fl_status_text(st)) : FL_OK;
}

enum fl_status fl_identity_enroll(const struct fl_enroll_options *options, const struct fl_env *env,
                                  char *ret_client, struct fl_error *err)
{
    struct fl_identity identity;
    struct fl_lock lock = {.fd = -1};
    struct fl_buf root, key, body, answer_body;
    struct fl_enroll_answer answer;
    struct fl_clock clock;
    uint64_t size;
    fl_buf_init(&root, FL_IDENTITY_PEM_BYTES);
    fl_buf_init(&key, FL_IDENTITY_PEM_BYTES);
    fl_buf_init(&body, FL_LIMIT_SMALL_BODY_BYTES);
    fl_buf_init(&answer_body, FL_LIMIT_SMALL_BODY_BYTES);

    enum fl_status st = fl_identity_paths(options->state_dir, &identity, err);
    if (!st)
        st = fl_dir_make(options->state_dir, FL_DIR_PRIVATE, err);
    if (!st)
        st = fl_lock_take(options->state_dir, &lock, err);
    if (!st && fl_file_size(identity.cert_path, &size, NULL) == FL_OK)
        st = fl_error_set(err, FL_ERR_EXISTS, "%s is enrolled already (%s is there)", options->state_dir,
                          identity.cert_path);
    if (!st)
        st = fl_clock_open(&clock, options->state_dir, env, err);
    if (!st)
        st = fetch_root(options, env, &root, err);
    if (!st)
        st = provide_key(&identity, &key, err);
    if (!st)
        st = encode_request(options, fl_buf_view(&key), &body, err);
    if (!st)
        st = send_request(options, env, &clock, fl_buf_view(&root), fl_buf_view(&body), &answer_body, &answer,
                          err);
    if (!st)
        st = fl_file_write_atomic(identity.root_path, fl_buf_view(&root), 0644, err);
    if (!st)
        st = fl_file_write_atomic(identity.cert_path, answer.chain, 0644, err);
    if (!st)
        strcpy(ret_client, answer.client);
    if (key.data)
        fl_secret_wipe(key.data, key.size);
    if (body.data)
        fl_secret_wipe(body.data, body.size);
    fl_buf_done(&root);
    fl_buf_done(&key);
    fl_buf_done(&body);
    fl_buf_done(&answer_body);
    fl_lock_release(&lock);
    return st;
}
