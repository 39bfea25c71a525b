#include "client/port/http.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

#include "client/port/tls_hook.h"
#include "platform/text.h"

#define CONNECT_TIMEOUT_MS 10000L
#define IDLE_TIMEOUT_S     60L
#define RESUMES_MAX        8 /* of one answer in a row that bring less than this: */
#define RESUME_BYTES       65536
#define RESUME_PAUSE_MS    1000 /* before a server is asked again that does not answer; times the attempt */
#define POLL_MS            1000
#define ETAG_BYTES         160
#define URL_BYTES          2048

struct fl_http {
    CURLM *multi; /* keeps the connection */
    CURL *easy;
    struct curl_slist *headers;
    char url[URL_BYTES];
    int stop_fd;
    struct fl_clock *clock; /* may be NULL */
    struct fl_tls_hook hook;
    int verified;   /* 1: who answers is the server that the root vouches for */
    int64_t date_s; /* of the answer; 0: none yet */
    char error[CURL_ERROR_SIZE];
};

/* One transfer. */
struct transfer {
    struct fl_http *http;
    struct fl_buf *body;
    struct fl_bytes upload;
    size_t uploaded;
    size_t resume_at; /* bytes of the body that are there already */
    int started;      /* a byte of this transfer's body has come */
    int over_limit;
    char etag[ETAG_BYTES];
    enum fl_status status;
};

static size_t write_body(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    long code = 0;
    size *= count;
    if (!t->started) {
        t->started = 1;
        curl_easy_getinfo(t->http->easy, CURLINFO_RESPONSE_CODE, &code);
        if (code != 206)
            fl_buf_clear(t->body);
    }
    t->status = fl_buf_append(t->body, data, size);
    return t->status ? 0 : size;
}

static size_t read_body(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t left = t->upload.size - t->uploaded;
    size *= count;
    if (size > left)
        size = left;
    memcpy(data, t->upload.data + t->uploaded, size);
    t->uploaded += size;
    return size;
}

static int seek_body(void *user, curl_off_t offset, int origin)
{
    struct transfer *t = user;
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > t->upload.size)
        return CURL_SEEKFUNC_FAIL;
    t->uploaded = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* The server's time, but nothing past the end of its own certificate: a clock gone wrong there must not lock
 * this client out for good. */
static void read_date(struct fl_http *http, const char *data, size_t size)
{
    char text[64];
    if (size >= sizeof text)
        return;
    memcpy(text, data, size);
    text[size] = 0;
    int64_t date_s = (int64_t)curl_getdate(text, NULL);
    http->date_s = date_s > 0 ? date_s : 0;
    if (http->clock && http->verified && date_s > 0 && date_s < http->hook.peer_ends_s)
        fl_clock_saw(http->clock, date_s);
}

static size_t read_header(char *data, size_t size, size_t count, void *user)
{
    static const char name[] = "etag:", date[] = "date:";
    struct transfer *t = user;
    size *= count;
    if (size > sizeof date && strncasecmp(data, date, sizeof date - 1) == 0)
        read_date(t->http, data + sizeof date - 1, size - (sizeof date - 1));
    if (size > sizeof name && strncasecmp(data, name, sizeof name - 1) == 0) {
        const char *from = memchr(data, '"', size);
        size_t left = from ? size - (size_t)(from - data) : 0;
        const char *to = left > 1 ? memchr(from + 1, '"', left - 1) : NULL;
        if (to && (size_t)(to + 1 - from) < sizeof t->etag) {
            memcpy(t->etag, from, (size_t)(to + 1 - from));
            t->etag[to + 1 - from] = 0;
        }
    }
    return size;
}

/* Before each handshake. */
static CURLcode on_tls(CURL *easy, void *ssl_ctx, void *user)
{
    struct fl_http *http = user;
    (void)easy;
    http->hook.now_s = http->clock ? fl_clock_now_s(http->clock) : (int64_t)time(NULL);
    return fl_tls_hook_attach(ssl_ctx, &http->hook) ? CURLE_OUT_OF_MEMORY : CURLE_OK;
}

static int speaks_openssl(void)
{
    const char *name = curl_version_info(CURLVERSION_NOW)->ssl_version;
    return name && strncmp(name, "OpenSSL/", strlen("OpenSSL/")) == 0;
}

enum fl_status fl_http_new(const struct fl_http_options *options, struct fl_http **ret_http,
                           struct fl_error *err)
{
    size_t size = strlen(options->url);
    while (size && options->url[size - 1] == '/')
        size--;
    if (strncmp(options->url, "https://", 8) != 0 || size <= 8 || size >= URL_BYTES / 2 ||
        memchr(options->url + 8, '/', size - 8) || strpbrk(options->url, " \t\r\n?#@"))
        return fl_error_set(err, FL_ERR_CONFIG, "server URL %s: expected https://HOST:PORT", options->url);
    if (!options->unverified && !options->root.size)
        return fl_error_set(err, FL_ERR_CONFIG, "no certificate of an authority to trust");
    if (!speaks_openssl())
        return fl_error_set(err, FL_ERR_CONFIG,
                            "this libcurl does its TLS by %s: install the one with OpenSSL "
                            "(Debian: libcurl4)",
                            curl_version_info(CURLVERSION_NOW)->ssl_version);
    struct fl_http *http = calloc(1, sizeof *http);
    if (!http)
        return fl_error_nomem(err);
    memcpy(http->url, options->url, size);
    http->stop_fd = options->stop_fd;
    http->clock = options->clock;
    http->verified = !options->unverified;
    http->multi = curl_multi_init();
    http->easy = curl_easy_init();
    http->headers = curl_slist_append(NULL, "Accept: application/msgpack");
    struct curl_slist *more =
        http->headers ? curl_slist_append(http->headers, "Content-Type: application/msgpack") : NULL;
    if (!http->multi || !http->easy || !more) {
        fl_http_free(http);
        return fl_error_nomem(err);
    }
    CURLcode rc = CURLE_OK;
#define SET(option, value)                                                                                   \
    if (!rc)                                                                                                 \
    rc = curl_easy_setopt(http->easy, option, value)
    SET(CURLOPT_ERRORBUFFER, http->error);
    SET(CURLOPT_USERAGENT, "fl-client/" FL_VERSION);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_HTTPHEADER, http->headers);
    SET(CURLOPT_WRITEFUNCTION, write_body);
    SET(CURLOPT_HEADERFUNCTION, read_header);
    SET(CURLOPT_READFUNCTION, read_body);
    SET(CURLOPT_SEEKFUNCTION, seek_body);
    if (options->unverified) {
        SET(CURLOPT_SSL_VERIFYPEER, 0L);
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
    } else {
        struct curl_blob blob = {.data = (void *)(uintptr_t)options->root.data,
                                 .len = options->root.size,
                                 .flags = CURL_BLOB_COPY};
        SET(CURLOPT_CAINFO_BLOB, &blob);
        SET(CURLOPT_CAPATH, NULL);
        SET(CURLOPT_SSL_CTX_DATA, http);
        SET(CURLOPT_SSL_CTX_FUNCTION, on_tls);
    }
    if (options->cert_path) {
        SET(CURLOPT_SSLCERT, options->cert_path);
        SET(CURLOPT_SSLKEY, options->key_path);
    }
#undef SET
    if (rc) {
        fl_http_free(http);
        return fl_error_set(err, FL_ERR_NETWORK, "libcurl: %s", curl_easy_strerror(rc));
    }
    *ret_http = http;
    return FL_OK;
}

void fl_http_free(struct fl_http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->easy);
    if (http->multi)
        curl_multi_cleanup(http->multi);
    curl_slist_free_all(http->headers);
    free(http);
}

static enum fl_status status_of(const struct transfer *t, CURLcode rc)
{
    if (rc && t->http->hook.is_refused)
        return FL_ERR_AUTH;
    switch (rc) {
    case CURLE_OK:
        return FL_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return FL_ERR_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return FL_ERR_NOMEM;
    case CURLE_WRITE_ERROR:
        return t->status ? t->status : FL_ERR_NETWORK;
    case CURLE_FILESIZE_EXCEEDED:
        return FL_ERR_LIMIT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return FL_ERR_CRYPTO;
    case CURLE_SSL_CERTPROBLEM:
        return FL_ERR_AUTH;
    default:
        return FL_ERR_NETWORK;
    }
}

/* Runs the prepared easy handle to its end, or until the stop descriptor is readable. */
static enum fl_status perform(struct transfer *t)
{
    struct fl_http *http = t->http;
    enum fl_status st = FL_ERR_NETWORK;
    int running = 1, left;
    if (curl_multi_add_handle(http->multi, http->easy))
        return FL_ERR_NETWORK;
    for (;;) {
        struct curl_waitfd stop = {.fd = http->stop_fd, .events = CURL_WAIT_POLLIN};
        if (curl_multi_perform(http->multi, &running))
            break;
        CURLMsg *message = curl_multi_info_read(http->multi, &left);
        if (message && message->msg == CURLMSG_DONE) {
            st = status_of(t, message->data.result);
            if (st && !http->error[0])
                snprintf(http->error, sizeof http->error, "%s", curl_easy_strerror(message->data.result));
            break;
        }
        if (curl_multi_poll(http->multi, &stop, http->stop_fd >= 0, POLL_MS, NULL))
            break;
        if (stop.revents & CURL_WAIT_POLLIN) {
            st = FL_ERR_STOPPED;
            break;
        }
    }
    curl_multi_remove_handle(http->multi, http->easy);
    return st;
}

/* Sets what differs from request to request; the handle keeps its other options. */
static CURLcode prepare(struct transfer *t, const struct fl_http_request *request, const char *url,
                        struct curl_slist *headers, const char *range)
{
    CURL *easy = t->http->easy;
    int put = strcmp(request->method, "PUT") == 0, post = strcmp(request->method, "POST") == 0;
    CURLcode rc = CURLE_OK;
#define SET(option, value)                                                                                   \
    if (!rc)                                                                                                 \
    rc = curl_easy_setopt(easy, option, value)
    SET(CURLOPT_URL, url);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_READDATA, t);
    SET(CURLOPT_SEEKDATA, t);
    SET(CURLOPT_RANGE, range);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->answer_limit);
    SET(CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT, request->timeout_ms ? 0L : 1L);
    SET(CURLOPT_LOW_SPEED_TIME, request->timeout_ms ? 0L : IDLE_TIMEOUT_S);
    SET(CURLOPT_CUSTOMREQUEST, put ? "PUT" : NULL);
    if (put || post) { /* as POST, libcurl waits for 100-continue only where the body is above 1 MiB */
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, NULL);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
#undef SET
    return rc;
}

/* One attempt; resumes where ret_body ends when etag is known. */
static enum fl_status attempt(struct transfer *t, const struct fl_http_request *request, const char *url,
                              long *ret_code)
{
    struct fl_http *http = t->http;
    struct curl_slist own = {.next = http->headers};
    char range[32], if_range[ETAG_BYTES + 16];
    struct curl_slist *headers = http->headers;
    const char *use_range = NULL;

    t->started = 0;
    t->uploaded = 0;
    http->error[0] = 0;
    http->date_s = 0;
    if (t->body->size) {
        snprintf(range, sizeof range, "%zu-", t->body->size);
        snprintf(if_range, sizeof if_range, "If-Range: %s", t->etag);
        own.data = if_range;
        headers = &own;
        use_range = range;
    }
    CURLcode rc = prepare(t, request, url, headers, use_range);
    if (rc)
        return status_of(t, rc);
    enum fl_status st = perform(t);
    *ret_code = 0;
    curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, ret_code);
    return st;
}

static enum fl_status explain(const struct fl_http *http, enum fl_status st, const char *method,
                              const char *url, struct fl_error *err)
{
    char now[FL_TIME_TEXT_BYTES];
    const char *why = http->error[0] ? http->error : fl_status_text(st);

    if (st == FL_ERR_AUTH && http->hook.is_refused)
        return fl_error_set(err, st, "%s %s: the server refuses this client's certificate: %s", method, url,
                            why);
    if (st != FL_ERR_CRYPTO || !http->hook.peer_has_expired)
        return fl_error_set(err, st, "%s %s: %s", method, url, why);
    fl_time_to_text(http->hook.now_s, now);
    return fl_error_set(err, st,
                        "%s %s: the server's certificate has expired, if it is %s (by %s). If it is not, set "
                        "the clock: timedatectl set-ntp true. If it is, the operator has to renew that "
                        "certificate: fl-server doctor",
                        method, url, now, http->clock ? fl_clock_source(http->clock) : "the system's clock");
}

void fl_http_version(char *ret_text, size_t size)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    snprintf(ret_text, size, "libcurl %s with %s", info->version,
             info->ssl_version ? info->ssl_version : "no TLS");
}

/* FL_ERR_STOPPED when the stop descriptor was readable meanwhile. */
static enum fl_status pause_ms(const struct fl_http *http, int ms)
{
    struct pollfd stop = {.fd = http->stop_fd, .events = POLLIN};

    return poll(&stop, 1, ms) > 0 ? FL_ERR_STOPPED : FL_OK;
}

/* After an attempt that has failed with st: 1 when the rest of the body may be asked for. *resumes counts
 * attempts in a row that brought little. */
static int may_resume(const struct transfer *t, enum fl_status *st, size_t before, int *resumes)
{
    size_t after = t->body->size;

    if ((*st != FL_ERR_NETWORK && *st != FL_ERR_TIMEOUT) || !after || !t->etag[0])
        return 0;
    if (after > before + RESUME_BYTES)
        *resumes = 0;
    if (++*resumes > RESUMES_MAX)
        return 0;
    if (after > before)
        return 1;
    if (pause_ms(t->http, RESUME_PAUSE_MS * *resumes)) /* the server may be starting again */
        *st = FL_ERR_STOPPED;
    return *st != FL_ERR_STOPPED;
}

enum fl_status fl_http_request(struct fl_http *http, const struct fl_http_request *request,
                               struct fl_buf *ret_body, struct fl_http_answer *ret_answer,
                               struct fl_error *err)
{
    struct transfer t = {.http = http, .body = ret_body, .upload = request->body};
    char url[URL_BYTES];
    long code = 0;
    enum fl_status st = FL_ERR_NETWORK;

    snprintf(url, sizeof url, "%s%s", http->url, request->path);
    fl_buf_done(ret_body);
    fl_buf_init(ret_body, request->answer_limit);
    for (int resumes = 0;;) {
        size_t before = ret_body->size;
        st = attempt(&t, request, url, &code);
        if (code == 416 && before) { /* what we have is no part of what is there now */
            fl_buf_clear(ret_body);
            t.etag[0] = 0;
            continue;
        }
        if (!st || !request->resumable || (code && code != 200 && code != 206) ||
            !may_resume(&t, &st, before, &resumes))
            break;
    }
    if (st)
        return explain(http, st, request->method, url, err);
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(http->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    if (code != 200 && code != 206 && !t.started)
        fl_buf_clear(ret_body);
    *ret_answer = (struct fl_http_answer){
        .status = code == 206 ? 200 : (int)code,
        .retry_after_ms = retry_after_s > 0 ? (uint64_t)retry_after_s * 1000 : 0,
        .date_s = http->date_s,
    };
    return FL_OK;
}
