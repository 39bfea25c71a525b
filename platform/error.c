#include "platform/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum fl_status fl_error_set(struct fl_error *err, enum fl_status st, const char *format, ...)
{
    int kept = errno;
    char text[FL_ERROR_SIZE]; /* arguments may point into err->text */
    va_list args;

    if (!err)
        return st;
    va_start(args, format);
    errno = kept;
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    memcpy(err->text, text, strlen(text) + 1);
    errno = kept;
    return st;
}

enum fl_status fl_error_nomem(struct fl_error *err)
{
    return fl_error_set(err, FL_ERR_NOMEM, "%s", fl_status_text(FL_ERR_NOMEM));
}
