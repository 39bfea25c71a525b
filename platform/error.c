#include "platform/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fl_error_write(struct fl_error *err, const char *format, ...)
{
    int kept = errno;
    char text[FL_ERROR_SIZE]; /* arguments may point into err->text */
    va_list args;

    if (!err)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    memcpy(err->text, text, strlen(text) + 1);
    errno = kept;
}
