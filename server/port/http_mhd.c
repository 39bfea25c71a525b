#include "server/port/http_mhd.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "server/port/body_pool.h"
#include "server/port/http_range.h"
#include "server/port/log_limit.h"

#define DRAIN_BYTES       ((uint64_t)1 << 20) /* read and thrown away so that an early answer arrives */
#define CONNECTION_BYTES  ((size_t)32 << 10)  /* of libmicrohttpd for each connection */
#define SPARE_CONNECTIONS 64                  /* of each thread, that are being refused or end */
#define STRANGER_BYTES    ((size_t)2 << 20)   /* of all bodies of peers without a certificate */
#define STREAM_BYTES      ((size_t)64 << 10)  /* read at once of a body that is not in memory */
#define STOP_WAIT_MS      2000                /* for answers to reach their peers when stopping */

struct connection {
    struct fl_watched watched;
    struct fl_http *http;
    struct fl_tls_hook hook;
    void *session; /* NULL: no TLS */
    int has_peer;  /* 1: it has shown a certificate */
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
    struct fl_body_pool *pool; /* that body is of */
    struct fl_body body;
    size_t body_size;
    void *data;
    int head_done, dispatched;
    pthread_mutex_t lock; /* over what follows */
    int answered, suspended;
    struct fl_http_answer answer;
};

struct fl_http {
    struct fl_http_config config;
    struct MHD_Daemon *daemon;
    struct fl_watch *watch;
    struct fl_body_pool *bodies, *strangers; /* of peers with a certificate; of those without */
    pthread_mutex_t lock;                    /* over what follows */
    pthread_cond_t changed;
    size_t exchanges;
};

/* -- connections --------------------------------------------------------------------------------------------
 */

static const struct sockaddr *peer_address(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : NULL;
}

/* In the handshake, when it is over. */
static void on_handshake(void *user)
{
    struct connection *connection = user;
    struct fl_watch *watch = connection->http->watch;
    connection->has_peer = fl_tls_peer_read(connection->session, &connection->peer) == FL_OK;
    if (connection->has_peer)
        fl_watch_know(watch, &connection->watched, connection->peer.key);
    fl_watch_enter(watch, &connection->watched, FL_WATCH_HEAD, 0);
}

/* Takes the session over; without our credentials nobody would verify the peer. */
static enum fl_status attach_tls(struct connection *connection, struct MHD_Connection *mhd)
{
    struct fl_tls *tls = connection->http->config.tls;
    const union MHD_ConnectionInfo *info =
        tls ? MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
    if (!tls)
        return FL_OK;
    connection->session = info->tls_session;
    connection->hook = (struct fl_tls_hook){.finished = on_handshake, .user = connection};
    return fl_tls_attach(tls, connection->session, &connection->hook);
}

/* Leaves *socket_context NULL where every request of the connection is refused. */
static void connection_starts(struct fl_http *http, struct MHD_Connection *mhd, void **socket_context)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *connection = calloc(1, sizeof(*connection));
    int fd = info->connect_fd;

    *socket_context = NULL;
    if (!connection) {
        shutdown(fd, SHUT_RDWR);
        return;
    }
    connection->http = http;
    if (!fl_watch_begin(http->watch, &connection->watched, fd, peer_address(mhd))) {
        free(connection);
        return;
    }
    *socket_context = connection;
    if (attach_tls(connection, mhd))
        shutdown(fd, SHUT_RDWR);
}

static void on_connection(void *user, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct fl_http *http = user;
    struct connection *connection = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_starts(http, mhd, socket_context);
    } else if (connection) {
        fl_watch_end(http->watch, &connection->watched);
        free(connection);
        *socket_context = NULL;
    }
}

/* Refuses before anything is made for the connection; fl_watch_begin decides. */
static enum MHD_Result on_accept(void *user, const struct sockaddr *from, socklen_t size)
{
    struct fl_http *http = user;
    (void)size;
    return fl_watch_ask(http->watch, from) ? MHD_YES : MHD_NO;
}

/* The peer of an exchange may have left; by the watch. */
static void on_gone(void *user, void *waiting)
{
    struct fl_http *http = user;
    struct fl_http_exchange *exchange = waiting;
    pthread_mutex_lock(&exchange->lock);
    if (exchange->suspended && !exchange->answered)
        http->config.handler.gone(http->config.handler.user, exchange);
    pthread_mutex_unlock(&exchange->lock);
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

/* A part of a body that is read while it is sent. */
struct streamed {
    struct fl_shared *body;
    struct fl_range range;
};

static ssize_t read_streamed(void *user, uint64_t at, char *to, size_t most)
{
    struct streamed *streamed = user;
    size_t left = streamed->range.size - (size_t)at, size = left < most ? left : most;

    return fl_shared_read(streamed->body, streamed->range.offset + (size_t)at, (uint8_t *)to, size)
               ? MHD_CONTENT_READER_END_WITH_ERROR
               : (ssize_t)size;
}

static void free_streamed(void *user)
{
    struct streamed *streamed = user;

    fl_shared_unref(streamed->body);
    free(streamed);
}

static struct MHD_Response *stream_of(struct fl_shared *body, struct fl_range range)
{
    struct streamed *streamed = malloc(sizeof(*streamed));
    struct MHD_Response *response = NULL;

    if (streamed) {
        *streamed = (struct streamed){body, range};
        response = MHD_create_response_from_callback(range.size, STREAM_BYTES, read_streamed, streamed,
                                                     free_streamed);
    }
    if (!response) {
        fl_shared_unref(body);
        free(streamed);
    }
    return response;
}

static struct MHD_Response *response_of(struct fl_shared *body, struct fl_range range)
{
    if (!body || range.size == 0) {
        fl_shared_unref(body);
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    }
    if (fl_shared_view(body).size < fl_shared_size(body))
        return stream_of(body, range);
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
    size_t total = fl_shared_size(answer->body);
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
    fl_watch_enter(exchange->http->watch, &exchange->owner->watched, FL_WATCH_SENDING, range.size);
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
    pthread_mutex_init(&exchange->lock, NULL);
    fl_watch_enter(http->watch, &owner->watched, FL_WATCH_HEAD, 0);
    pthread_mutex_lock(&http->lock);
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
    fl_watch_enter(http->watch, &exchange->owner->watched, FL_WATCH_IDLE, 0);
    pthread_mutex_lock(&exchange->lock); /* whoever has answered may still be about to let go of it */
    pthread_mutex_unlock(&exchange->lock);
    if (exchange->head_done)
        http->config.handler.done(http->config.handler.user, exchange, exchange->response_header_bytes);
    fl_shared_unref(exchange->answer.body);
    fl_body_pool_give(exchange->pool, &exchange->body);
    pthread_mutex_destroy(&exchange->lock);
    free(exchange->path);
    free(exchange);
    pthread_mutex_lock(&http->lock);
    http->exchanges--;
    pthread_cond_broadcast(&http->changed);
    pthread_mutex_unlock(&http->lock);
}

/* Bytes the head declares for the body; UINT64_MAX when it does not say (chunked). */
static uint64_t declared_bytes(const struct fl_http_exchange *exchange)
{
    const char *length = fl_http_header(exchange, "Content-Length");
    if (fl_http_header(exchange, "Transfer-Encoding"))
        return UINT64_MAX;
    return length ? strtoull(length, NULL, 10) : 0;
}

/* Refuses the body, or reserves the memory for all of it. */
static void reserve_body(struct fl_http_exchange *exchange, uint64_t declared)
{
    const struct fl_http_handler *handler = &exchange->http->config.handler;
    uint64_t bytes = declared == UINT64_MAX ? exchange->body_limit : declared;
    enum fl_status st = FL_ERR_LIMIT;

    if (bytes && bytes <= exchange->body_limit) {
        exchange->pool = exchange->owner->has_peer || !exchange->http->config.tls ? exchange->http->bodies
                                                                                  : exchange->http->strangers;
        st = fl_body_pool_take(exchange->pool, (size_t)bytes, &exchange->body) ? FL_ERR_NOMEM : FL_OK;
    }
    if (st)
        handler->refuse(handler->user, exchange, st);
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
    exchange->head_done = 1;
    handler->head(handler->user, exchange, &exchange->body_limit);
    if (!exchange->answered && declared)
        reserve_body(exchange, declared);
    if (declared)
        fl_watch_enter(http->watch, &exchange->owner->watched, FL_WATCH_BODY,
                       declared == UINT64_MAX ? exchange->body_limit : declared);
    /* An answer queued here closes the connection, which is right only when a body would follow that is not
     * to be sent, or is too long to be drained. */
    if (exchange->answered && declared &&
        ((expect && !strcasecmp(expect, "100-continue")) ||
         (declared != UINT64_MAX && declared > DRAIN_BYTES)))
        return send_answer(exchange);
    return MHD_YES;
}

static enum MHD_Result take_body(struct fl_http_exchange *exchange, const char *data, size_t size)
{
    const struct fl_http_handler *handler = &exchange->http->config.handler;
    if (!exchange->answered && size <= exchange->body_limit - exchange->body_size &&
        size <= exchange->body.capacity - exchange->body_size) {
        memcpy(exchange->body.data + exchange->body_size, data, size);
        exchange->body_size += size;
        return MHD_YES;
    }
    if (!exchange->answered) /* a chunked one that goes on */
        handler->refuse(handler->user, exchange, FL_ERR_LIMIT);
    exchange->drained += size;
    return exchange->drained > DRAIN_BYTES ? MHD_NO : MHD_YES;
}

static enum MHD_Result take_end(struct fl_http_exchange *exchange)
{
    const struct fl_http_handler *handler = &exchange->http->config.handler;
    if (!exchange->dispatched && !exchange->answered) {
        exchange->dispatched = 1;
        fl_watch_wait(exchange->http->watch, &exchange->owner->watched, exchange);
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
    /* Each thread may take as many as there may be, and some that will be refused: the watch decides. */
    size_t connections = config->threads * (config->watch.limits.total + SPARE_CONNECTIONS);
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

    return MHD_start_daemon(flags, 0, on_accept, http, on_access, http, MHD_OPTION_EXTERNAL_LOGGER,
                            on_library_log, http, MHD_OPTION_LISTEN_SOCKET, config->listen_fd,
                            MHD_OPTION_THREAD_POOL_SIZE, config->threads, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_NOTIFY_COMPLETED,
                            on_completed, http, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, http,
                            MHD_OPTION_ARRAY, config->tls ? tls : none, MHD_OPTION_END);
}

static void http_free(struct fl_http *http)
{
    fl_watch_free(http->watch);
    fl_body_pool_free(http->bodies);
    fl_body_pool_free(http->strangers);
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
    http->config.watch.gone = on_gone;
    http->config.watch.user = http;
    enum fl_status st = fl_body_pool_new(config->in_flight_bytes, &http->bodies);
    if (!st)
        st = fl_body_pool_new(STRANGER_BYTES, &http->strangers);
    if (st)
        fl_error_nomem(err);
    else
        st = fl_watch_new(&http->config.watch, &http->watch, err);
    if (st) {
        http_free(http);
        return st;
    }
    http->daemon = start_daemon(http);
    if (!http->daemon) {
        fl_watch_stop(http->watch);
        http_free(http);
        return fl_error_set(err, FL_ERR_IO, "cannot start the HTTP listener");
    }
    *ret_http = http;
    return FL_OK;
}

/* Until every exchange is over, or STOP_WAIT_MS have passed. */
static void await_exchanges(struct fl_http *http)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_WAIT_MS / 1000;
    pthread_mutex_lock(&http->lock);
    while (http->exchanges && !pthread_cond_timedwait(&http->changed, &http->lock, &until))
        ;
    pthread_mutex_unlock(&http->lock);
}

void fl_http_stop(struct fl_http *http)
{
    if (!http)
        return;
    await_exchanges(http);
    fl_watch_stop(http->watch);
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
    return (struct fl_bytes){exchange->body.data, exchange->body_size};
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
    return exchange->owner->has_peer ? &exchange->owner->peer : NULL;
}

uint64_t fl_http_peer_address(const struct fl_http_exchange *exchange)
{
    return fl_address_hash(&exchange->owner->watched.address);
}

size_t fl_http_body_limit(const struct fl_http_exchange *exchange)
{
    return exchange->body_limit;
}

void fl_http_set_data(struct fl_http_exchange *exchange, void *data)
{
    exchange->data = data;
}

void *fl_http_data(const struct fl_http_exchange *exchange)
{
    return exchange->data;
}

void fl_mhd_version(char *ret_text, size_t size)
{
    snprintf(ret_text, size, "libmicrohttpd %s", MHD_get_version());
}
