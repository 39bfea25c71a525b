/*
 * The sentence that goes with a status: what failed, where, and the system's own reason. For users; code
 * decides on the status alone. Every call that takes a `struct fl_error *` accepts NULL.
 */
#ifndef FL_PLATFORM_ERROR_H
#define FL_PLATFORM_ERROR_H

#include "base/status.h"

#define FL_ERROR_SIZE 512

/* Caller storage; text is zero-terminated, cut when too long, and written only by a call that fails. */
struct fl_error {
    char text[FL_ERROR_SIZE];
};

/* Writes the sentence when err is not NULL (printf format; %m is the text of errno, which is kept). */
void fl_error_write(struct fl_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * fl_error_set(err, st, format, ...) writes the sentence and is st, so that
 * `return fl_error_set(err, FL_ERR_IO, "%s: %m", path);` does both. Arguments may point into err->text, which
 * puts words before or after a sentence that is there. A macro, so that the compiler sees that st is an
 * error.
 */
#define fl_error_set(err, st, ...) fl_error_status_((fl_error_write((err), __VA_ARGS__), (st)))

static inline enum fl_status fl_error_status_(enum fl_status st)
{
    return st;
}

/* fl_error_set of "out of memory"; is FL_ERR_NOMEM. */
static inline enum fl_status fl_error_nomem(struct fl_error *err)
{
    return fl_error_set(err, FL_ERR_NOMEM, "%s", fl_status_text(FL_ERR_NOMEM));
}

#endif
