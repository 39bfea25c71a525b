#include "base/status.h"

#include <stddef.h>

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
