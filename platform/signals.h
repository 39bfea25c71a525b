/*
 * SIGINT and SIGTERM as a request to stop that loops can poll. The second such signal ends the process at
 * once. SIGPIPE is ignored: writes report EPIPE instead.
 */
#ifndef FL_PLATFORM_SIGNALS_H
#define FL_PLATFORM_SIGNALS_H

#include <stdbool.h>

#include "base/status.h"
#include "platform/error.h"

/* Once, from main, before threads start. FL_ERR_IO. */
FL_MUST_CHECK enum fl_status fl_signals_install(struct fl_error *err);

/* True from the first SIGINT or SIGTERM on. Any thread. */
bool fl_signals_stop_requested(void);

/* A descriptor that is readable (poll: POLLIN) from then on; never read or close it. -1 before install. */
int fl_signals_fd(void);

#endif
