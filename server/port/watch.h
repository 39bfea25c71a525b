/*
 * Watches the connections of a listener: admits or refuses them by the limits of connections.h, ends those
 * that take longer than they may, and notices peers that leave while they wait for an answer. Ending means
 * shutdown(2): whoever reads the socket sees its end and cleans up. Any thread.
 */
#ifndef FL_SERVER_PORT_WATCH_H
#define FL_SERVER_PORT_WATCH_H

#include <stdint.h>

#include "base/env.h"
#include "platform/error.h"
#include "server/port/connections.h"
#include "server/port/pace.h"

enum fl_watch_phase {
    FL_WATCH_HANDSHAKE, /* within handshake_ms */
    FL_WATCH_HEAD,      /* within head_ms */
    FL_WATCH_BODY,      /* at the pace of body, and within the time that its bytes take at the least rate */
    FL_WATCH_WAITING,   /* for the server: as long as it takes, while the peer is there */
    FL_WATCH_SENDING,   /* as BODY */
    FL_WATCH_IDLE,      /* between two requests: idle_ms; for strangers head_ms */
};

struct fl_watch_config {
    struct fl_connection_limits limits;
    uint64_t handshake_ms; /* 0: connections begin with a head */
    uint64_t head_ms, idle_ms;
    struct fl_pace_rule body;
    /* The peer has gone; waiting is what fl_watch_wait was given. Called under the watch's lock. */
    void (*gone)(void *user, void *waiting);
    void *user;
};

struct fl_watch;

/* One connection, in the caller's storage, which is the watch's from fl_watch_begin to fl_watch_end. */
struct fl_watched {
    struct fl_watched *next, **link;
    struct fl_connection connection;
    struct fl_address address;
    int fd;
    enum fl_watch_phase phase;
    uint64_t deadline_ms;
    struct fl_pace pace;
    uint64_t moved; /* bytes the socket had received or delivered when last looked at */
    void *waiting;
    uint8_t key[FL_DIGEST_SIZE]; /* once known */
};

/* Starts the thread that looks at them. */
FL_MUST_CHECK enum fl_status fl_watch_new(const struct fl_watch_config *config, struct fl_watch **ret_watch,
                                          struct fl_error *err);
void fl_watch_stop(struct fl_watch *watch); /* ends the thread; once */
void fl_watch_free(struct fl_watch *watch); /* stopped, and without connections; NULL is accepted */

/* 1 when a newcomer from there would be admitted; 0, and a line in the log, when not. */
int fl_watch_ask(struct fl_watch *watch, const struct sockaddr *from);

/* 1: admitted and watched. 0: refused; the socket is shut down, and fl_watch_end must not be called. */
int fl_watch_begin(struct fl_watch *watch, struct fl_watched *watched, int fd, const struct sockaddr *from);
void fl_watch_end(struct fl_watch *watch, struct fl_watched *watched);

/* bytes: of BODY and SENDING. */
void fl_watch_enter(struct fl_watch *watch, struct fl_watched *watched, enum fl_watch_phase phase,
                    uint64_t bytes);

/* Enters WAITING, of which gone() will hear if need be, until another phase is entered. */
void fl_watch_wait(struct fl_watch *watch, struct fl_watched *watched, void *waiting);

/* The peer has shown a certificate for this key. A body that a peer with the same key is sending on another
 * connection is given up when this one enters BODY: a client sends one update at a time. */
void fl_watch_know(struct fl_watch *watch, struct fl_watched *watched, const uint8_t key[FL_DIGEST_SIZE]);

#endif
