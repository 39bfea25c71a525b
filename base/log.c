#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static enum fl_log_level least = FL_LOG_INFO;

void fl_log_set_level(enum fl_log_level level)
{
    least = level;
}

void fl_log(enum fl_log_level level, const char *component, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if (level < least)
        return;
    char line[1024];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    int used = (int)strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    used += snprintf(line + used, sizeof line - (size_t)used, ".%03ldZ %-5s %s  ", now.tv_nsec / 1000000,
                     names[level], component);
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line + used, sizeof line - (size_t)used - 1, format, args);
    va_end(args);
    if (wanted > 0)
        used += wanted;
    if (used > (int)sizeof line - 2)
        used = (int)sizeof line - 2;
    for (int i = 0; i < used; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = ' '; /* one happening stays one line, whatever a peer put into a name */
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)used) < 0)
        return; /* nobody is left to tell */
}
