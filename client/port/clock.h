/*
 * The time at which certificates are judged (rule R22): the latest of the system's clock, the time of this
 * build and the time last seen from the server, so that a device whose clock was never set can work. Not for
 * deadlines, which are fl_env's monotonic clock.
 */
#ifndef FL_CLIENT_PORT_CLOCK_H
#define FL_CLIENT_PORT_CLOCK_H

#include <stdint.h>

#include "base/env.h"
#include "platform/error.h"
#include "platform/file.h"

#define FL_CLOCK_FILE                                                                                        \
    "time" /* in the state folder: the time last seen, seconds since 1970 UTC, and a check */

/* Caller storage; one thread at a time. */
struct fl_clock {
    const struct fl_env *env; /* borrowed */
    char path[FL_PATH_SIZE];
    int64_t seen_s;      /* newest time of the server; 0: none */
    uint64_t seen_at_ms; /* env's monotonic clock then */
    int64_t stored_s;    /* as the file has it */
    int is_read_only;    /* set to 1 after opening: the file stays as it is */
};

/* Takes up what an earlier process has seen; a missing or damaged file is none. FL_ERR_LIMIT, FL_ERR_NOMEM.
 */
FL_MUST_CHECK enum fl_status fl_clock_open(struct fl_clock *ret_clock, const char *state_dir,
                                           const struct fl_env *env, struct fl_error *err);

/* Seconds since 1970 UTC. */
int64_t fl_clock_now_s(const struct fl_clock *clock);

/* Where that comes from, for a person: "the system's clock", ...; static. */
const char *fl_clock_source(const struct fl_clock *clock);

/* The server, verified, has said that it is date_s: never goes back; written to the file once an hour of it.
 */
void fl_clock_saw(struct fl_clock *clock, int64_t date_s);

/* When this program was built, seconds since 1970 UTC. */
int64_t fl_clock_build_s(void);

#endif
