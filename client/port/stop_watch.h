/*
 * Turns a descriptor that becomes readable into a flag that a busy loop can look at: a thread of its own
 * waits for it. Not for handling signals (platform/signals.h).
 */
#ifndef FL_CLIENT_PORT_STOP_WATCH_H
#define FL_CLIENT_PORT_STOP_WATCH_H

#include <pthread.h>
#include <stdatomic.h>

#include "platform/error.h"

/* Caller storage; must not move between begin and end. */
struct fl_stop_watch {
    atomic_int stop;
    int stop_fd, end_fd;
    pthread_t thread;
};

/* Starts to watch stop_fd (borrowed). FL_ERR_IO. */
FL_MUST_CHECK enum fl_status fl_stop_watch_begin(struct fl_stop_watch *watch, int stop_fd,
                                                 struct fl_error *err);

/* Non-zero once stop_fd was readable. */
const atomic_int *fl_stop_watch_flag(const struct fl_stop_watch *watch);

/* Ends the thread. */
void fl_stop_watch_end(struct fl_stop_watch *watch);

#endif
