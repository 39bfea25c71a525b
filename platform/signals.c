#include "platform/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/exit_code.h"

static atomic_bool stop_requested;
static atomic_int event_fd = -1;

static void on_signal(int number)
{
    const uint64_t one = 1;
    int kept = errno;

    (void)number;
    if (atomic_exchange(&stop_requested, true))
        _exit(FL_EXIT_INTERRUPTED);
    /* Cannot fail: the counter is far from full. */
    if (write(event_fd, &one, sizeof(one)) < 0)
        _exit(FL_EXIT_INTERRUPTED);
    errno = kept;
}

enum fl_status fl_signals_install(struct fl_error *err)
{
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigemptyset(&stop.sa_mask);
    sigaddset(&stop.sa_mask, SIGINT);
    sigaddset(&stop.sa_mask, SIGTERM);
    sigemptyset(&ignore.sa_mask);
    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd < 0)
        return fl_error_set(err, FL_ERR_IO, "eventfd: %m");
    if (sigaction(SIGINT, &stop, NULL) != 0 || sigaction(SIGTERM, &stop, NULL) != 0 ||
        sigaction(SIGPIPE, &ignore, NULL) != 0)
        return fl_error_set(err, FL_ERR_IO, "signal handlers: %m");
    return FL_OK;
}

bool fl_signals_stop_requested(void)
{
    return stop_requested;
}

int fl_signals_fd(void)
{
    return event_fd;
}
