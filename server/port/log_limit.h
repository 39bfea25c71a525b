/*
 * At most one line a second for happenings that strangers can cause at will.
 */
#ifndef FL_SERVER_PORT_LOG_LIMIT_H
#define FL_SERVER_PORT_LOG_LIMIT_H

#include <pthread.h>
#include <time.h>

struct fl_log_limit {
    pthread_mutex_t lock;
    time_t last_s;
    unsigned long suppressed;
};

#define FL_LOG_LIMIT_INIT                                                                                    \
    {                                                                                                        \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                                    \
    }

/* 1 when the line may be written, with how many were not since the last one. Any thread. */
int fl_log_limit_pass(struct fl_log_limit *limit, unsigned long *ret_suppressed);

#endif
