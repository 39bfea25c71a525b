#include "client/port/stop_watch.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void *watch_thread(void *user)
{
    struct fl_stop_watch *watch = user;
    struct pollfd fds[] = {{.fd = watch->stop_fd, .events = POLLIN}, {.fd = watch->end_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    if (fds[0].revents)
        atomic_store(&watch->stop, 1);
    return NULL;
}

enum fl_status fl_stop_watch_begin(struct fl_stop_watch *watch, int stop_fd, struct fl_error *err)
{
    atomic_init(&watch->stop, 0);
    watch->stop_fd = stop_fd;
    watch->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->end_fd < 0)
        return fl_error_set(err, FL_ERR_IO, "eventfd: %m");
    errno = pthread_create(&watch->thread, NULL, watch_thread, watch);
    if (errno) {
        fl_error_set(err, FL_ERR_IO, "thread: %m");
        close(watch->end_fd);
        return FL_ERR_IO;
    }
    return FL_OK;
}

const atomic_int *fl_stop_watch_flag(const struct fl_stop_watch *watch)
{
    return &watch->stop;
}

void fl_stop_watch_end(struct fl_stop_watch *watch)
{
    const uint64_t one = 1;
    if (write(watch->end_fd, &one, sizeof one) == sizeof one)
        pthread_join(watch->thread, NULL);
    close(watch->end_fd);
}
