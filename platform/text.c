#include "platform/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

void fl_size_to_text(uint64_t bytes, char text[FL_SIZE_TEXT_BYTES])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        snprintf(text, FL_SIZE_TEXT_BYTES, "%" PRIu64 " B", bytes);
        return;
    }
    for (; value >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        value /= 1024;
    snprintf(text, FL_SIZE_TEXT_BYTES, "%.1f %s", value, units[unit]);
}

void fl_time_to_text(int64_t time_s, char text[FL_TIME_TEXT_BYTES])
{
    time_t at = (time_t)time_s;
    struct tm tm;

    if (!gmtime_r(&at, &tm) || !strftime(text, FL_TIME_TEXT_BYTES, "%Y-%m-%d %H:%M:%S UTC", &tm))
        snprintf(text, FL_TIME_TEXT_BYTES, "%" PRId64, time_s);
}
