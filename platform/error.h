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

/*
 * Writes the sentence (printf format; %m is the text of errno) when err is not NULL, and returns st, so that
 * `return fl_error_set(err, FL_ERR_IO, "%s: %m", path);` does both. errno is kept. Arguments may point into
 * err->text, which puts words before or after a sentence that is there.
 */
enum fl_status fl_error_set(struct fl_error *err, enum fl_status st, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* fl_error_set of "out of memory"; returns FL_ERR_NOMEM. */
enum fl_status fl_error_nomem(struct fl_error *err);

#endif
