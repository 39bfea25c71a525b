#include "server/port/http_mhd.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "server/port/http_range.h"
#include "server/port/log_limit.h"

#define DRAIN_BYTES      ((uint64_t)1 << 20) /* read and thrown away so that an early answer arrives */
#define CONNECTION_BYTES ((size_t)32 << 10)  /* of libmicrohttpd for each connection */
#define LEAST_RATE       4096                /* bytes a second of a body, on average, either way */
#define WATCH_MS         500                 /* between two looks at deadlines and peers that have gone */
#define STOP_WAIT_MS     2000                /* for answers to reach their peers when stopping */

struct connection {
    struct connection *next, **link;
    struct fl_http_exchange *exchange; /* the one now going on, NULL between two */
    uint64_t deadline_ms;              /* UINT64_MAX: none */
    int fd;
    void *session; /* NULL: no TLS */
    int has_peer;  /* -1: not looked at yet */
    struct fl_tls_peer peer;
};

struct fl_http_exchange {
    struct fl_http *http;
    struct connection *owner;
    struct MHD_Connection *mhd;
    char *path;
    char method[12];
    uint64_t header_bytes, response_header_bytes, drained;
    size_t body_limit;
    struct fl_buf body;
    void *data;
    int head_done, dispatched;
    pthread_mutex_t lock; /* over what follows */
    int answered, suspended;
    struct fl_http_answer answer;
};

struct fl_http {
    struct fl_http_config config;
    struct MHD_Daemon *daemon;
    atomic_size_t in_flight_bytes;
    pthread_t watch_thread;
    pthread_mutex_t lock; /* over what follows; taken before the lock of an exchange */
    pthread_cond_t changed;
    struct connection *connections;
    size_t exchanges;
    int stopping;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void set_deadline(struct fl_http *http, struct connection *connection, uint64_t from_now_ms)
{
    pthread_mutex_lock(&http->lock);
    connection->deadline_ms = from_now_ms == UINT64_MAX ? UINT64_MAX : now_ms() + from_now_ms;
    pthread_mutex_unlock(&http->lock);
}

static uint64_t transfer_ms(struct fl_http *http, uint64_t bytes)
{
    return http->config.head_ms + bytes / LEAST_RATE * 1000;
}

/* -- connections --------------------------------------------------------------------------------------------
 */

static void connection_starts(struct fl_http *http, struct MHD_Connection *mhd, void **socket_context)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *connection = calloc(1, sizeof(*connection));

    *socket_context = connection; /* NULL: every request of this connection is refused */
    if (!connection)
        return;
    connection->fd = info->connect_fd;
    connection->has_peer = -1;
    if (http->config.tls) {
        info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        connection->session = info->tls_session;
        if (fl_tls_attach(http->config.tls, connection->session)) {
            /* Without our credentials nobody would verify the peer. */
            shutdown(connection->fd, SHUT_RDWR);
        }
    }
    pthread_mutex_lock(&http->lock);
    connection->deadline_ms = now_ms() + http->config.head_ms;
    connection->next = http->connections;
    connection->link = &http->connections;
    if (connection->next)
        connection->next->link = &connection->next;
    http->connections = connection;
    pthread_mutex_unlock(&http->lock);
}

static void connection_ends(struct fl_http *http, void **socket_context)
{
    struct connection *connection = *socket_context;
    if (!connection)
        return;
    pthread_mutex_lock(&http->lock);
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    pthread_mutex_unlock(&http->lock);
    free(connection);
    *socket_context = NULL;
}

static void on_connection(void *user, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_starts(user, mhd, socket_context);
    else
        connection_ends(user, socket_context);
}

/* -- the watch: absolute deadlines, and peers that leave while they wait
 * ------------------------------------- */

static void watch_one(struct fl_http *http, struct connection *connection, uint64_t now)
{
    struct fl_http_exchange *exchange = connection->exchange;
    struct pollfd at = {.fd = connection->fd, .events = POLLRDHUP};

    if (connection->deadline_ms <= now) {
        connection->deadline_ms = UINT64_MAX;
        shutdown(connection->fd, SHUT_RDWR);
    }
    if (!exchange)
        return;
    pthread_mutex_lock(&exchange->lock);
    if (exchange->suspended && !exchange->answered && poll(&at, 1, 0) == 1 &&
        at.revents & (POLLRDHUP | POLLHUP | POLLERR))
        http->config.handler.gone(http->config.handler.user, exchange);
    pthread_mutex_unlock(&exchange->lock);
}

static void wait_ms(struct fl_http *http, uint64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += (time_t)(ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&http->changed, &http->lock, &until);
}

static void *watch_main(void *user)
{
    struct fl_http *http = user;
    pthread_mutex_lock(&http->lock);
    while (!http->stopping) {
        uint64_t now = now_ms();
        for (struct connection *at = http->connections; at; at = at->next)
            watch_one(http, at, now);
        wait_ms(http, WATCH_MS);
    }
    pthread_mutex_unlock(&http->lock);
    return NULL;
}

/* -- answers ------------------------------------------------------------------------------------------------
 */

void fl_http_answer(struct fl_http_exchange *exchange, const struct fl_http_answer *answer)
{
    pthread_mutex_lock(&exchange->lock);
    exchange->answer = *answer;
    exchange->answered = 1;
    struct MHD_Connection *resume = exchange->suspended ? exchange->mhd : NULL;
    if (resume)
        MHD_resume_connection(resume);
    pthread_mutex_unlock(&exchange->lock);
}

static void unref_body(void *body)
{
    fl_shared_unref(body);
}

static struct MHD_Response *response_of(struct fl_shared *body, struct fl_range range)
{
    if (!body || range.size == 0) {
        fl_shared_unref(body);
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    }
    const uint8_t *data = fl_shared_view(body).data + range.offset;
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback_cls(range.size, (void *)data, unref_body, body);
    if (!response)
        fl_shared_unref(body);
    return response;
}

/* A header of the answer; failure means that memory is short, and the header is missing. */
static void add_header(struct fl_http_exchange *exchange, struct MHD_Response *response, const char *name,
                       const char *format, ...)
{
    char value[FL_HTTP_ETAG_BYTES + 64];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    if (MHD_add_response_header(response, name, value) == MHD_YES)
        exchange->response_header_bytes += strlen(name) + strlen(value) + 4;
}

static void add_headers(struct fl_http_exchange *exchange, struct MHD_Response *response,
                        enum fl_range_kind kind, struct fl_range range, size_t total)
{
    const struct fl_http_answer *answer = &exchange->answer;
    if (answer->content_type)
        add_header(exchange, response, "Content-Type", "%s", answer->content_type);
    if (answer->allow)
        add_header(exchange, response, "Allow", "%s", answer->allow);
    if (answer->retry_after_ms)
        add_header(exchange, response, "Retry-After", "%llu",
                   (unsigned long long)((answer->retry_after_ms + 999) / 1000));
    if (answer->etag[0]) {
        add_header(exchange, response, "ETag", "\"%s\"", answer->etag);
        add_header(exchange, response, "Accept-Ranges", answer->whole_only ? "none" : "bytes");
    }
    if (kind == FL_RANGE_PART)
        add_header(exchange, response, "Content-Range", "bytes %zu-%zu/%zu", range.offset,
                   range.offset + range.size - 1, total);
    else if (kind == FL_RANGE_UNSATISFIABLE)
        add_header(exchange, response, "Content-Range", "bytes */%zu", total);
}

static enum MHD_Result send_answer(struct fl_http_exchange *exchange)
{
    struct fl_http_answer *answer = &exchange->answer;
    size_t total = fl_shared_view(answer->body).size;
    struct fl_range range = {.offset = 0, .size = total};
    enum fl_range_kind kind = FL_RANGE_WHOLE;
    char length[24];

    if (answer->etag[0] && !answer->whole_only && answer->status == MHD_HTTP_OK) {
        kind = fl_range_parse(fl_http_header(exchange, "Range"), fl_http_header(exchange, "If-Range"),
                              answer->etag, total, &range);
        if (kind == FL_RANGE_PART) {
            answer->status = MHD_HTTP_PARTIAL_CONTENT;
        } else if (kind == FL_RANGE_UNSATISFIABLE) {
            answer->status = MHD_HTTP_RANGE_NOT_SATISFIABLE;
            range.size = 0;
        }
    }
    struct MHD_Response *response = response_of(answer->body, range);
    answer->body = NULL;
    if (!response)
        return MHD_NO;
    add_headers(exchange, response, kind, range, total);
    /* What the library adds: status line, Date, Content-Length, the empty line. */
    exchange->response_header_bytes +=
        (size_t)snprintf(length, sizeof(length), "%zu", range.size) + strlen("HTTP/1.1 200 OK\r\n") +
        strlen("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n") + strlen("Content-Length: \r\n") + 2;
    set_deadline(exchange->http, exchange->owner, transfer_ms(exchange->http, range.size));
    enum MHD_Result queued = MHD_queue_response(exchange->mhd, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* -- requests -----------------------------------------------------------------------------------------------
 */

static void *on_request_line(void *user, const char *uri, struct MHD_Connection *mhd)
{
    struct fl_http *http = user;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *owner = info ? info->socket_context : NULL;
    struct fl_http_exchange *exchange = owner ? calloc(1, sizeof(*exchange)) : NULL;
    (void)uri;

    if (!exchange)
        return NULL;
    exchange->http = http;
    exchange->owner = owner;
    exchange->mhd = mhd;
    fl_buf_init(&exchange->body, 0);
    pthread_mutex_init(&exchange->lock, NULL);
    pthread_mutex_lock(&http->lock);
    owner->exchange = exchange;
    owner->deadline_ms = now_ms() + http->config.head_ms;
    http->exchanges++;
    pthread_mutex_unlock(&http->lock);
    return exchange;
}

static void on_completed(void *user, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct fl_http *http = user;
    struct fl_http_exchange *exchange = *context;
    (void)mhd;
    (void)code;

    if (!exchange)
        return;
    *context = NULL;
    pthread_mutex_lock(&http->lock);
    exchange->owner->exchange = NULL;
    exchange->owner->deadline_ms = now_ms() + http->config.idle_ms;
    pthread_mutex_unlock(&http->lock);
    pthread_mutex_lock(&exchange->lock); /* whoever has answered may still be about to let go of it */
    pthread_mutex_unlock(&exchange->lock);
    if (exchange->head_done)
        http->config.handler.done(http->config.handler.user, exchange, exchange->response_header_bytes);
    fl_shared_unref(exchange->answer.body);
    atomic_fetch_sub(&http->in_flight_bytes, exchange->body.capacity);
    fl_buf_done(&exchange->body);
    pthread_mutex_destroy(&exchange->lock);
    free(exchange->path);
    free(exchange);
    pthread_mutex_lock(&http->lock);
    http->exchanges--;
    pthread_cond_broadcast(&http->changed);
    pthread_mutex_unlock(&http->lock);
}

static void read_peer(struct connection *connection)
{
    if (connection->has_peer < 0)
        connection->has_peer =
            connection->session && fl_tls_peer_read(connection->session, &connection->peer) == FL_OK;
}

/* Bytes the head declares for the body; UINT64_MAX when it does not say (chunked). */
static uint64_t declared_bytes(const struct fl_http_exchange *exchange)
{
    const char *length = fl_http_header(exchange, "Content-Length");
    if (fl_http_header(exchange, "Transfer-Encoding"))
        return UINT64_MAX;
    return length ? strtoull(length, NULL, 10) : 0;
}

static enum MHD_Result take_head(struct fl_http_exchange *exchange, const char *method, const char *path)
{
    struct fl_http *http = exchange->http;
    const struct fl_http_handler *handler = &http->config.handler;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    uint64_t declared = declared_bytes(exchange);
    const char *expect = fl_http_header(exchange, "Expect");

    exchange->path = strdup(path);
    if (!exchange->path)
        return MHD_NO;
    snprintf(exchange->method, sizeof(exchange->method), "%s", method);
    exchange->header_bytes = info ? info->header_size : 0;
    read_peer(exchange->owner);
    exchange->head_done = 1;
    handler->head(handler->user, exchange, &exchange->body_limit);
    if (!exchange->answered && declared != UINT64_MAX && declared > exchange->body_limit)
        handler->refuse(handler->user, exchange, FL_ERR_LIMIT);
    exchange->body.limit = exchange->body_limit;
    if (declared == UINT64_MAX)
        set_deadline(http, exchange->owner, transfer_ms(http, exchange->body_limit));
    else if (declared)
        set_deadline(http, exchange->owner, transfer_ms(http, declared));
    /* An answer queued here closes the connection, which is right only when a body would follow that is not
     * to be sent, or is too long to be drained. */
    if (exchange->answered && declared &&
        ((expect && !strcasecmp(expect, "100-continue")) ||
         (declared != UINT64_MAX && declared > DRAIN_BYTES)))
        return send_answer(exchange);
    return MHD_YES;
}

/* Grows the body's memory within the listener's budget. */
static enum fl_status keep_body(struct fl_http_exchange *exchange, const char *data, size_t size)
{
    struct fl_http *http = exchange->http;
    struct fl_buf *body = &exchange->body;
    size_t before = body->capacity;

    if (body->limit - body->size < size)
        return FL_ERR_LIMIT;
    if (atomic_load(&http->in_flight_bytes) + size > http->config.in_flight_bytes)
        return FL_ERR_NOMEM;
    enum fl_status st = fl_buf_append(body, data, size);
    atomic_fetch_add(&http->in_flight_bytes, body->capacity - before);
    return st;
}

static enum MHD_Result take_body(struct fl_http_exchange *exchange, const char *data, size_t size)
{
    const struct fl_http_handler *handler = &exchange->http->config.handler;
    if (!exchange->answered) {
        enum fl_status st = keep_body(exchange, data, size);
        if (st)
            handler->refuse(handler->user, exchange, st);
        return MHD_YES;
    }
    exchange->drained += size;
    return exchange->drained > DRAIN_BYTES ? MHD_NO : MHD_YES;
}

static enum MHD_Result take_end(struct fl_http_exchange *exchange)
{
    const struct fl_http_handler *handler = &exchange->http->config.handler;
    if (!exchange->dispatched && !exchange->answered) {
        exchange->dispatched = 1;
        set_deadline(exchange->http, exchange->owner, UINT64_MAX);
        handler->request(handler->user, exchange);
    }
    pthread_mutex_lock(&exchange->lock);
    exchange->suspended = !exchange->answered;
    if (exchange->suspended)
        MHD_suspend_connection(exchange->mhd);
    int answered = exchange->answered;
    pthread_mutex_unlock(&exchange->lock);
    return answered ? send_answer(exchange) : MHD_YES;
}

static enum MHD_Result on_access(void *user, struct MHD_Connection *mhd, const char *path, const char *method,
                                 const char *version, const char *data, size_t *size, void **context)
{
    struct fl_http_exchange *exchange = *context;
    (void)user;
    (void)mhd;
    (void)version;

    if (!exchange)
        return MHD_NO;
    if (!exchange->head_done)
        return take_head(exchange, method, path);
    if (*size) {
        enum MHD_Result taken = take_body(exchange, data, *size);
        *size = 0;
        return taken;
    }
    return take_end(exchange);
}

/* -- the listener -------------------------------------------------------------------------------------------
 */

static void on_library_log(void *user, const char *format, va_list args)
{
    static struct fl_log_limit limit = FL_LOG_LIMIT_INIT;
    unsigned long suppressed;
    char text[256];
    (void)user;

    if (!fl_log_limit_pass(&limit, &suppressed))
        return;
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\r\n")] = 0;
    fl_log(FL_LOG_DEBUG, "server.http", "suppressed=%lu; %s", suppressed, text);
}

static struct MHD_Daemon *start_daemon(struct fl_http *http)
{
    const struct fl_http_config *config = &http->config;
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (config->tls ? MHD_USE_TLS : 0u);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)config->key.data},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)config->chain.data},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)FL_TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

    return MHD_start_daemon(flags, 0, NULL, NULL, on_access, http, MHD_OPTION_EXTERNAL_LOGGER, on_library_log,
                            http, MHD_OPTION_LISTEN_SOCKET, config->listen_fd, MHD_OPTION_THREAD_POOL_SIZE,
                            config->threads, MHD_OPTION_CONNECTION_LIMIT, config->connections,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_NOTIFY_COMPLETED,
                            on_completed, http, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, http,
                            MHD_OPTION_ARRAY, config->tls ? tls : none, MHD_OPTION_END);
}

static void http_free(struct fl_http *http)
{
    pthread_cond_destroy(&http->changed);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

enum fl_status fl_http_start(const struct fl_http_config *config, struct fl_http **ret_http,
                             struct fl_error *err)
{
    pthread_condattr_t monotonic;
    struct fl_http *http = calloc(1, sizeof(*http));
    if (!http)
        return fl_error_nomem(err);
    http->config = *config;
    pthread_mutex_init(&http->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&http->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    http->daemon = start_daemon(http);
    if (!http->daemon) {
        http_free(http);
        return fl_error_set(err, FL_ERR_IO, "cannot start the HTTP listener");
    }
    if (pthread_create(&http->watch_thread, NULL, watch_main, http)) {
        MHD_stop_daemon(http->daemon);
        http_free(http);
        return fl_error_set(err, FL_ERR_IO, "cannot start the thread that watches connections");
    }
    *ret_http = http;
    return FL_OK;
}

void fl_http_stop(struct fl_http *http)
{
    if (!http)
        return;
    uint64_t until = now_ms() + STOP_WAIT_MS;
    pthread_mutex_lock(&http->lock);
    for (uint64_t now = now_ms(); http->exchanges && now < until; now = now_ms())
        wait_ms(http, until - now);
    http->stopping = 1;
    pthread_cond_broadcast(&http->changed);
    pthread_mutex_unlock(&http->lock);
    pthread_join(http->watch_thread, NULL);
    MHD_stop_daemon(http->daemon);
    http_free(http);
}

/* -- facts of a request -------------------------------------------------------------------------------------
 */

const char *fl_http_method(const struct fl_http_exchange *exchange)
{
    return exchange->method;
}

const char *fl_http_path(const struct fl_http_exchange *exchange)
{
    return exchange->path;
}

struct fl_bytes fl_http_body(const struct fl_http_exchange *exchange)
{
    return fl_buf_view(&exchange->body);
}

uint64_t fl_http_header_bytes(const struct fl_http_exchange *exchange)
{
    return exchange->header_bytes;
}

const char *fl_http_query(const struct fl_http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->mhd, MHD_GET_ARGUMENT_KIND, name);
}

const char *fl_http_header(const struct fl_http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, name);
}

const struct fl_tls_peer *fl_http_peer(const struct fl_http_exchange *exchange)
{
    return exchange->owner->has_peer > 0 ? &exchange->owner->peer : NULL;
}

void fl_http_set_data(struct fl_http_exchange *exchange, void *data)
{
    exchange->data = data;
}

void *fl_http_data(const struct fl_http_exchange *exchange)
{
    return exchange->data;
}
