#include "server/port/watch.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "platform/crypto.h"
#include "server/port/log_limit.h"

#define WATCH_MS 250 /* between two looks */

struct fl_watch {
    struct fl_watch_config config;
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t changed;
    struct fl_connections *connections;
    struct fl_watched *first;
    int stopping;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* -- looking ------------------------------------------------------------------------------------------------
 */

/* Bytes that have come, or that the peer has taken, so far; 0 where the system does not count them. */
static uint64_t moved_bytes(const struct fl_watched *watched)
{
    struct tcp_info info;
    socklen_t size = sizeof info;

    memset(&info, 0, sizeof info);
    if (getsockopt(watched->fd, IPPROTO_TCP, TCP_INFO, &info, &size))
        return 0;
    return watched->phase == FL_WATCH_SENDING ? info.tcpi_bytes_acked : info.tcpi_bytes_received;
}

static const char *phase_name(enum fl_watch_phase phase)
{
    static const char *const names[] = {"handshake", "head", "body", "waiting", "sending", "idle"};
    return names[phase];
}

static void log_address(const struct fl_address *address, char ret_text[INET6_ADDRSTRLEN])
{
    if (!inet_ntop(AF_INET6, address->bytes, ret_text, INET6_ADDRSTRLEN))
        ret_text[0] = 0;
}

static void end_slow(struct fl_watched *watched)
{
    static struct fl_log_limit limit = FL_LOG_LIMIT_INIT;
    unsigned long suppressed;
    char address[INET6_ADDRSTRLEN];

    shutdown(watched->fd, SHUT_RDWR);
    watched->deadline_ms = UINT64_MAX;
    if (watched->phase == FL_WATCH_IDLE || !fl_log_limit_pass(&limit, &suppressed))
        return;
    log_address(&watched->address, address);
    fl_log(FL_LOG_WARN, "server.http", "address=%s phase=%s suppressed=%lu; too slow, connection closed",
           address, phase_name(watched->phase), suppressed);
}

static int has_gone(const struct fl_watched *watched)
{
    struct pollfd at = {.fd = watched->fd, .events = POLLRDHUP};
    return poll(&at, 1, 0) == 1 && at.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static void look(struct fl_watch *watch, struct fl_watched *watched, uint64_t now)
{
    int transfers = watched->phase == FL_WATCH_BODY || watched->phase == FL_WATCH_SENDING;
    uint64_t deadline_ms = watched->deadline_ms;
    uint64_t moved = transfers && deadline_ms != UINT64_MAX ? moved_bytes(watched) : 0;

    if (moved) {
        fl_pace_move(&watched->pace, &watch->config.body, now, moved - watched->moved);
        watched->moved = moved;
        if (watched->pace.deadline_ms < deadline_ms)
            deadline_ms = watched->pace.deadline_ms;
    }
    if (deadline_ms <= now)
        end_slow(watched);
    else if (watched->phase == FL_WATCH_WAITING && has_gone(watched))
        watch->config.gone(watch->config.user, watched->waiting);
}

static void *watch_main(void *user)
{
    struct fl_watch *watch = user;
    pthread_mutex_lock(&watch->lock);
    while (!watch->stopping) {
        struct timespec until;
        uint64_t now = now_ms();
        for (struct fl_watched *at = watch->first; at; at = at->next)
            look(watch, at, now);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (long)WATCH_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&watch->changed, &watch->lock, &until);
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

/* -- coming and going ---------------------------------------------------------------------------------------
 */

static void log_refusal(const struct fl_address *from, enum fl_admission admission)
{
    static struct fl_log_limit limit = FL_LOG_LIMIT_INIT;
    unsigned long suppressed;
    char address[INET6_ADDRSTRLEN];

    if (!fl_log_limit_pass(&limit, &suppressed))
        return;
    log_address(from, address);
    fl_log(FL_LOG_WARN, "server.http", "address=%s limit=%s suppressed=%lu; connection refused", address,
           fl_admission_setting(admission), suppressed);
}

int fl_watch_ask(struct fl_watch *watch, const struct sockaddr *from)
{
    struct fl_address address = fl_address_of(from);
    pthread_mutex_lock(&watch->lock);
    enum fl_admission admission = fl_connections_ask(watch->connections, &address);
    pthread_mutex_unlock(&watch->lock);
    if (admission)
        log_refusal(&address, admission);
    return !admission;
}

/* The watched connection that holds this one. */
static struct fl_watched *watched_of(struct fl_connection *connection)
{
    return (struct fl_watched *)(void *)((char *)connection - offsetof(struct fl_watched, connection));
}

static void set_phase(struct fl_watch *watch, struct fl_watched *watched, enum fl_watch_phase phase,
                      uint64_t bytes)
{
    const struct fl_watch_config *config = &watch->config;
    uint64_t now = now_ms();

    watched->phase = phase;
    watched->waiting = NULL;
    switch (phase) {
    case FL_WATCH_HANDSHAKE:
        watched->deadline_ms = now + config->handshake_ms;
        break;
    case FL_WATCH_HEAD:
        watched->deadline_ms = now + config->head_ms;
        break;
    case FL_WATCH_BODY:
    case FL_WATCH_SENDING:
        watched->deadline_ms = now + fl_pace_longest_ms(&config->body, bytes);
        fl_pace_start(&watched->pace, &config->body, now);
        watched->moved = moved_bytes(watched);
        break;
    case FL_WATCH_WAITING:
        watched->deadline_ms = UINT64_MAX;
        break;
    case FL_WATCH_IDLE:
        watched->deadline_ms = now + (watched->connection.known ? config->idle_ms : config->head_ms);
        break;
    }
}

int fl_watch_begin(struct fl_watch *watch, struct fl_watched *watched, int fd, const struct sockaddr *from)
{
    struct fl_connection *evicted;

    *watched = (struct fl_watched){.fd = fd, .address = fl_address_of(from)};
    pthread_mutex_lock(&watch->lock);
    enum fl_admission admission =
        fl_connections_admit(watch->connections, &watched->address, &watched->connection, &evicted);
    if (evicted)
        shutdown(watched_of(evicted)->fd, SHUT_RDWR);
    if (!admission) {
        set_phase(watch, watched, watch->config.handshake_ms ? FL_WATCH_HANDSHAKE : FL_WATCH_HEAD, 0);
        watched->next = watch->first;
        watched->link = &watch->first;
        if (watched->next)
            watched->next->link = &watched->next;
        watch->first = watched;
    }
    pthread_mutex_unlock(&watch->lock);
    if (!admission)
        return 1;
    shutdown(fd, SHUT_RDWR);
    log_refusal(&watched->address, admission);
    return 0;
}

void fl_watch_end(struct fl_watch *watch, struct fl_watched *watched)
{
    pthread_mutex_lock(&watch->lock);
    fl_connections_leave(watch->connections, &watched->connection);
    *watched->link = watched->next;
    if (watched->next)
        watched->next->link = watched->link;
    pthread_mutex_unlock(&watch->lock);
}

/* Gives up the bodies that the same client is sending elsewhere. */
static void displace_bodies(struct fl_watch *watch, const struct fl_watched *watched)
{
    for (struct fl_watched *at = watch->first; at; at = at->next)
        if (at != watched && at->phase == FL_WATCH_BODY && at->connection.known &&
            !memcmp(at->key, watched->key, sizeof at->key))
            shutdown(at->fd, SHUT_RDWR);
}

void fl_watch_enter(struct fl_watch *watch, struct fl_watched *watched, enum fl_watch_phase phase,
                    uint64_t bytes)
{
    pthread_mutex_lock(&watch->lock);
    set_phase(watch, watched, phase, bytes);
    if (phase == FL_WATCH_BODY && watched->connection.known)
        displace_bodies(watch, watched);
    pthread_mutex_unlock(&watch->lock);
}

void fl_watch_wait(struct fl_watch *watch, struct fl_watched *watched, void *waiting)
{
    pthread_mutex_lock(&watch->lock);
    set_phase(watch, watched, FL_WATCH_WAITING, 0);
    watched->waiting = waiting;
    pthread_mutex_unlock(&watch->lock);
}

void fl_watch_know(struct fl_watch *watch, struct fl_watched *watched, const uint8_t key[FL_DIGEST_SIZE])
{
    pthread_mutex_lock(&watch->lock);
    memcpy(watched->key, key, sizeof watched->key);
    fl_connections_know(watch->connections, &watched->connection);
    pthread_mutex_unlock(&watch->lock);
}

/* -- the watch ----------------------------------------------------------------------------------------------
 */

enum fl_status fl_watch_new(const struct fl_watch_config *config, struct fl_watch **ret_watch,
                            struct fl_error *err)
{
    pthread_condattr_t monotonic;
    uint64_t seed;
    struct fl_watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return fl_error_nomem(err);
    watch->config = *config;
    fl_random_bytes((uint8_t *)&seed, sizeof seed);
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    enum fl_status st = fl_connections_new(&config->limits, seed, &watch->connections);
    if (st)
        fl_error_nomem(err);
    else if (pthread_create(&watch->thread, NULL, watch_main, watch))
        st = fl_error_set(err, FL_ERR_IO, "cannot start the thread that watches connections");
    if (st) {
        fl_watch_free(watch);
        return st;
    }
    *ret_watch = watch;
    return FL_OK;
}

void fl_watch_stop(struct fl_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->stopping = 1;
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
}

void fl_watch_free(struct fl_watch *watch)
{
    if (!watch)
        return;
    fl_connections_free(watch->connections);
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}
