/*
 * An HTTP listener on libmicrohttpd, with or without TLS: reads requests with a cap on their bodies, hands
 * each to a handler, and sends the answer whenever it comes, from any thread. Ranges of an answer with an
 * entity tag are its business too. Not for routes or meanings: see api.h and admin.h.
 */
#ifndef FL_SERVER_PORT_HTTP_MHD_H
#define FL_SERVER_PORT_HTTP_MHD_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/env.h"
#include "base/shared.h"
#include "platform/error.h"
#include "server/port/http_tls.h"
#include "server/port/watch.h"

#define FL_HTTP_ETAG_BYTES 96

struct fl_http;          /* the listener */
struct fl_http_exchange; /* one request and its answer */

struct fl_http_answer {
    int status;
    struct fl_shared *body;        /* its reference goes over to the listener; NULL: none */
    const char *content_type;      /* static; of body */
    const char *allow;             /* static; of a 405; NULL: none */
    uint64_t retry_after_ms;       /* 0: none */
    char etag[FL_HTTP_ETAG_BYTES]; /* without quotes; "": none, and no ranges */
    int whole_only;                /* 1: no ranges although it has a tag */
};

/* Called by the listener's threads, with user first. */
struct fl_http_handler {
    void *user;
    /* The head has arrived: fills *ret_body_limit, the most bytes the body may have; or answers already, and
     * then the body is thrown away and request is not called. */
    void (*head)(void *user, struct fl_http_exchange *exchange, size_t *ret_body_limit);
    /* The whole request has arrived: fl_http_answer() now or later. */
    void (*request)(void *user, struct fl_http_exchange *exchange);
    /* The body cannot be taken and must be answered now: FL_ERR_LIMIT: it is longer than
     * fl_http_body_limit(); FL_ERR_NOMEM: as many bodies as may be are being read. */
    void (*refuse)(void *user, struct fl_http_exchange *exchange, enum fl_status st);
    /* The peer has gone while the answer is awaited; it should come soon, to nobody. */
    void (*gone)(void *user, struct fl_http_exchange *exchange);
    /* The answer has been sent or has failed; the exchange ends with this call. */
    void (*done)(void *user, struct fl_http_exchange *exchange, uint64_t response_header_bytes);
};

struct fl_http_config {
    int listen_fd;              /* bound and listening; closed by fl_http_stop */
    struct fl_tls *tls;         /* NULL: none */
    struct fl_bytes chain, key; /* PEM with a zero behind its end, for TLS; borrowed during the start */
    unsigned threads;
    struct fl_watch_config watch; /* limits and deadlines; gone and user are the listener's */
    size_t in_flight_bytes;       /* of all bodies being read at once, but for those of strangers */
    struct fl_http_handler handler;
};

FL_MUST_CHECK enum fl_status fl_http_start(const struct fl_http_config *config, struct fl_http **ret_http,
                                           struct fl_error *err);

/* Ends the listener; every exchange must have been answered. NULL is accepted. */
void fl_http_stop(struct fl_http *http);

/* Answers, once for each exchange; any thread. After this the exchange is the listener's, but for done. */
void fl_http_answer(struct fl_http_exchange *exchange, const struct fl_http_answer *answer);

/* Facts of a request; views last until it is answered. */
const char *fl_http_method(const struct fl_http_exchange *exchange);
const char *fl_http_path(const struct fl_http_exchange *exchange); /* decoded, without query */
struct fl_bytes fl_http_body(const struct fl_http_exchange *exchange);
uint64_t fl_http_header_bytes(const struct fl_http_exchange *exchange); /* request line and headers */
/* Only from head and request; NULL: not there. */
const char *fl_http_query(const struct fl_http_exchange *exchange, const char *name);
const char *fl_http_header(const struct fl_http_exchange *exchange, const char *name);
/* NULL: the peer showed no certificate. */
const struct fl_tls_peer *fl_http_peer(const struct fl_http_exchange *exchange);

uint64_t fl_http_peer_address(const struct fl_http_exchange *exchange); /* a hash */
size_t fl_http_body_limit(const struct fl_http_exchange *exchange);     /* what head has filled in */

/* What the handler keeps with an exchange; NULL at first. */
void fl_http_set_data(struct fl_http_exchange *exchange, void *data);
void *fl_http_data(const struct fl_http_exchange *exchange);

/* "libmicrohttpd 0.9.77" */
void fl_mhd_version(char *ret_text, size_t size);

#endif
