#include "base/status.h"

#include <string.h>

static const struct {
    const char *name;
    const char *text;
} rows[] = {
#define X(name, text) {#name, text},
    FL_STATUS_LIST(X)
#undef X
};

const char *fl_status_text(enum fl_status st)
{
    return (size_t)st < sizeof rows / sizeof rows[0] ? rows[st].text : "unknown status";
}

const char *fl_status_name(enum fl_status st)
{
    return (size_t)st < sizeof rows / sizeof rows[0] ? rows[st].name : "FL_ERR_UNKNOWN";
}

int fl_status_find(const char *name, size_t size, enum fl_status *ret_status)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strlen(rows[i].name) == size && memcmp(rows[i].name, name, size) == 0) {
            *ret_status = (enum fl_status)i;
            return 1;
        }
    return 0;
}
