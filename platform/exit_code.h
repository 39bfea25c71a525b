/*
 * The exit codes that both programs share, documented in every --help and in the guides.
 */
#ifndef FL_PLATFORM_EXIT_CODE_H
#define FL_PLATFORM_EXIT_CODE_H

#include "base/status.h"

#define FL_EXIT_CODE_LIST(X)                                                                                 \
    X(FL_EXIT_OK, 0, "success")                                                                              \
    X(FL_EXIT_FAILED, 1, "failed")                                                                           \
    X(FL_EXIT_USAGE, 2, "wrong use of the command line")                                                     \
    X(FL_EXIT_CONFIG, 3, "configuration is wrong")                                                           \
    X(FL_EXIT_NETWORK, 4, "network error or peer unreachable")                                               \
    X(FL_EXIT_AUTH, 5, "not authenticated or not allowed")                                                   \
    X(FL_EXIT_LOCKED, 6, "state folder is locked by another process")                                        \
    X(FL_EXIT_CORRUPT, 7, "local data or state is damaged")                                                  \
    X(FL_EXIT_INPUT, 8, "input data is wrong")                                                               \
    X(FL_EXIT_INTERRUPTED, 130, "interrupted")

enum fl_exit_code {
#define X(name, code, text) name = code,
    FL_EXIT_CODE_LIST(X)
#undef X
};

/* The exit code that reports st. */
enum fl_exit_code fl_exit_code_from_status(enum fl_status st);

/* One line a code ("  0    success"), for --help and the reference page; static storage. */
const char *fl_exit_code_help(void);

#endif
