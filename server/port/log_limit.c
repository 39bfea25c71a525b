#include "server/port/log_limit.h"

int fl_log_limit_pass(struct fl_log_limit *limit, unsigned long *ret_suppressed)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&limit->lock);
    int pass = limit->last_s == 0 || now.tv_sec != limit->last_s;
    if (pass) {
        limit->last_s = now.tv_sec;
        *ret_suppressed = limit->suppressed;
        limit->suppressed = 0;
    } else {
        limit->suppressed++;
    }
    pthread_mutex_unlock(&limit->lock);
    return pass;
}
