/*
 * The one list of outcomes of the whole project. Zero is success; every function that can fail returns one of
 * these directly. The sentence of each is fit for a user; callers add what and where.
 */
#ifndef FL_BASE_STATUS_H
#define FL_BASE_STATUS_H

#include <stddef.h>

#define FL_STATUS_LIST(X)                                                                                    \
    X(FL_OK, "success")                                                                                      \
    X(FL_ERR_NOMEM, "out of memory")                                                                         \
    X(FL_ERR_TRUNCATED, "input ends inside a message")                                                       \
    X(FL_ERR_FORMAT, "input does not follow the format")                                                     \
    X(FL_ERR_LIMIT, "declared size is above the limit")                                                      \
    X(FL_ERR_RANGE, "value is outside its allowed range")                                                    \
    X(FL_ERR_SHAPE, "shape differs from the model")                                                          \
    X(FL_ERR_NOT_FINITE, "value is NaN or infinite")                                                         \
    X(FL_ERR_VERSION, "protocol version is not supported")                                                   \
    X(FL_ERR_NOT_FOUND, "no such thing")                                                                     \
    X(FL_ERR_EXISTS, "it exists already")                                                                    \
    X(FL_ERR_STATE, "not possible in the present state")                                                     \
    X(FL_ERR_LOCKED, "another process holds the lock")                                                       \
    X(FL_ERR_CORRUPT, "stored data fails its check")                                                         \
    X(FL_ERR_DIGEST, "digest differs")                                                                       \
    X(FL_ERR_IO, "file or device error")                                                                     \
    X(FL_ERR_NETWORK, "network error")                                                                       \
    X(FL_ERR_TIMEOUT, "time ran out")                                                                        \
    X(FL_ERR_AUTH, "not authenticated or not allowed")                                                       \
    X(FL_ERR_EXPIRED, "the certificate has expired")                                                         \
    X(FL_ERR_CRYPTO, "cryptographic operation failed")                                                       \
    X(FL_ERR_USAGE, "wrong use of the command line")                                                         \
    X(FL_ERR_CONFIG, "configuration is wrong")                                                               \
    X(FL_ERR_STOPPED, "stopped on request")

enum fl_status {
#define X(name, text) name,
    FL_STATUS_LIST(X)
#undef X
};

#define FL_MUST_CHECK __attribute__((warn_unused_result))

/* The sentence of st, static storage; "unknown status" for a value outside the list. */
const char *fl_status_text(enum fl_status st);

/* The identifier of st, e.g. "FL_ERR_NOMEM", static storage. */
const char *fl_status_name(enum fl_status st);

/* 1 and *ret_status when the size characters of name are the identifier of a status, else 0. */
int fl_status_find(const char *name, size_t size, enum fl_status *ret_status);

#endif
