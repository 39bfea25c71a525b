/*
 * TLS of the listener by GnuTLS: TLS 1.2 and 1.3 only; a client certificate is asked for, and one that our
 * authority did not issue ends the handshake. One that is only expired passes (rule R22): what it may still
 * ask for, and whether its key is registered, is decided per request. Sessions are GnuTLS handles as
 * libmicrohttpd gives them.
 */
#ifndef FL_SERVER_PORT_HTTP_TLS_H
#define FL_SERVER_PORT_HTTP_TLS_H

#include "base/bytes.h"
#include "base/env.h"
#include "platform/error.h"

#define FL_TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

#define FL_TLS_PUBLIC_KEY_BYTES 128

struct fl_tls;

/* Any thread may call any of these.
 * PEM: the server's chain and key, and the authority that issues client certificates. FL_ERR_CRYPTO. */
FL_MUST_CHECK enum fl_status fl_tls_new(struct fl_bytes chain, struct fl_bytes key, struct fl_bytes trust,
                                        struct fl_tls **ret_tls, struct fl_error *err);
void fl_tls_free(struct fl_tls *tls);

/* Sessions that begin from now on see this chain and key; those that go on keep what they saw. */
FL_MUST_CHECK enum fl_status fl_tls_reload(struct fl_tls *tls, struct fl_bytes chain, struct fl_bytes key,
                                           struct fl_bytes trust, struct fl_error *err);

/* Who hears of the end of a handshake, inside of it. */
struct fl_tls_hook {
    void (*finished)(void *user);
    void *user;
};

/* Prepares a new session, before its handshake; tls and hook must outlive it. */
FL_MUST_CHECK enum fl_status fl_tls_attach(struct fl_tls *tls, void *session, const struct fl_tls_hook *hook);

/* What the peer's certificate says. */
struct fl_tls_peer {
    uint8_t key[FL_DIGEST_SIZE];                 /* SHA-256 of its public key (SPKI DER) */
    int64_t not_after_s;                         /* last second of its life, since 1970 UTC */
    uint8_t public_key[FL_TLS_PUBLIC_KEY_BYTES]; /* SPKI DER; longer ones than P-256's are left out */
    size_t public_key_size;
};

/* After the handshake. FL_ERR_AUTH: the peer showed no certificate. */
FL_MUST_CHECK enum fl_status fl_tls_peer_read(void *session, struct fl_tls_peer *ret_peer);

/* "GnuTLS 3.7.9" */
void fl_tls_version(char *ret_text, size_t size);

#endif
