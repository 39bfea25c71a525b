/*
 * What http_curl.c asks of the TLS library behind libcurl, which has to be OpenSSL: certificates judged at a
 * time of our choice (rule R22), and why a handshake failed. The only file that knows OpenSSL.
 */
#ifndef FL_CLIENT_PORT_TLS_HOOK_H
#define FL_CLIENT_PORT_TLS_HOOK_H

#include <stdint.h>

#include "base/status.h"

/* Of one connection after the other; must outlive them. */
struct fl_tls_hook {
    int64_t now_s;        /* in: the time to judge by, seconds since 1970 UTC */
    int64_t peer_ends_s;  /* end of the server's certificate; 0: not seen yet */
    int peer_has_expired; /* 1: that, or the end of an authority above it, is why the handshake failed */
    int is_refused;       /* 1: the server, verified, refused our certificate by a TLS alert */
};

/* Prepares a SSL_CTX, as libcurl gives it before a handshake. A certificate of the trusted authority that has
 * not begun yet at now_s is accepted: its signature shows that it is later. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_tls_hook_attach(void *ssl_ctx, struct fl_tls_hook *hook);

#endif
