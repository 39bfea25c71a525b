/*
 * HTTPS requests to one server over one connection that is kept: libcurl behind one small interface. Not for
 * what is asked or what answers mean. One object belongs to one thread at a time.
 */
#ifndef FL_CLIENT_PORT_HTTP_H
#define FL_CLIENT_PORT_HTTP_H

#include <stdint.h>

#include "base/bytes.h"
#include "client/port/clock.h"
#include "platform/error.h"

struct fl_http;

struct fl_http_options {
    const char *url;        /* "https://host:port", no path; borrowed until fl_http_new returns */
    struct fl_bytes root;   /* PEM of the only authority to trust (rule R20) */
    int unverified;         /* 1: whoever answers will do; root is not used */
    const char *cert_path;  /* client certificate chain, PEM; NULL: none */
    const char *key_path;   /* its key */
    int stop_fd;            /* readable when a request has to be given up; -1: never */
    struct fl_clock *clock; /* judges certificates, learns from answers (rule R22); borrowed for the object's
                               life; NULL: the system's clock does */
};

struct fl_http_request {
    const char *method;   /* "GET", "POST", "PUT" */
    const char *path;     /* with query, begins with a slash */
    struct fl_bytes body; /* POST, PUT: a message */
    uint64_t timeout_ms;  /* for the whole of it; 0: as long as bytes move (60 s without is the end) */
    size_t answer_limit;  /* largest body of the answer, bytes */
    int resumable;        /* 1: a body that breaks off is asked for from there on, by Range and If-Range */
};

struct fl_http_answer {
    int status;              /* of HTTP */
    uint64_t retry_after_ms; /* 0: not given */
    int64_t date_s;          /* the time there, seconds since 1970 UTC; 0: not given */
};

/* FL_ERR_CONFIG for a URL that is not https://HOST[:PORT], FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_http_new(const struct fl_http_options *options, struct fl_http **ret_http,
                                         struct fl_error *err);
void fl_http_free(struct fl_http *http);

/*
 * ret_body is cleared first and holds the body of the answer, whatever its status. FL_ERR_NETWORK,
 * FL_ERR_TIMEOUT, FL_ERR_STOPPED, FL_ERR_LIMIT (body larger than answer_limit), FL_ERR_CRYPTO (the server's
 * certificate is not what the root says, or has expired), FL_ERR_AUTH (own certificate or key cannot be used,
 * or the server refuses it in the handshake), FL_ERR_NOMEM.
 */
FL_MUST_CHECK enum fl_status fl_http_request(struct fl_http *http, const struct fl_http_request *request,
                                             struct fl_buf *ret_body, struct fl_http_answer *ret_answer,
                                             struct fl_error *err);

/* "libcurl 8.14.1 with OpenSSL/3.5.1" */
void fl_http_version(char *ret_text, size_t size);

#endif
