#include "platform/exit_code.h"

enum fl_exit_code fl_exit_code_from_status(enum fl_status st)
{
    switch (st) {
    case FL_OK:
        return FL_EXIT_OK;
    case FL_ERR_USAGE:
        return FL_EXIT_USAGE;
    case FL_ERR_CONFIG:
        return FL_EXIT_CONFIG;
    case FL_ERR_NETWORK:
    case FL_ERR_TIMEOUT:
        return FL_EXIT_NETWORK;
    case FL_ERR_AUTH:
    case FL_ERR_EXPIRED:
        return FL_EXIT_AUTH;
    case FL_ERR_LOCKED:
        return FL_EXIT_LOCKED;
    case FL_ERR_CORRUPT:
    case FL_ERR_DIGEST:
        return FL_EXIT_CORRUPT;
    case FL_ERR_TRUNCATED:
    case FL_ERR_FORMAT:
    case FL_ERR_LIMIT:
    case FL_ERR_RANGE:
    case FL_ERR_SHAPE:
    case FL_ERR_NOT_FINITE:
        return FL_EXIT_INPUT;
    case FL_ERR_STOPPED:
        return FL_EXIT_INTERRUPTED;
    case FL_ERR_NOMEM:
    case FL_ERR_VERSION:
    case FL_ERR_NOT_FOUND:
    case FL_ERR_EXISTS:
    case FL_ERR_STATE:
    case FL_ERR_IO:
    case FL_ERR_CRYPTO:
        break;
    }
    return FL_EXIT_FAILED;
}

const char *fl_exit_code_help(void)
{
    return ""
#define X(name, code, text) "  " #code "\t" text "\n"
        FL_EXIT_CODE_LIST(X)
#undef X
            ;
}
