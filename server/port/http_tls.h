/*
 * TLS of the listener by GnuTLS: TLS 1.2 and 1.3 only; a client certificate is asked for, and one that our
 * authority did not issue (or that has expired) ends the handshake. Whether its key is still registered is
 * the core's business, per request. Sessions are GnuTLS handles as libmicrohttpd gives them.
 */
#ifndef FL_SERVER_PORT_HTTP_TLS_H
#define FL_SERVER_PORT_HTTP_TLS_H

#include "base/bytes.h"
#include "base/env.h"
#include "platform/error.h"

#define FL_TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct fl_tls;

/* PEM: the server's chain and key, and the authority that issues client certificates. FL_ERR_CRYPTO. */
FL_MUST_CHECK enum fl_status fl_tls_new(struct fl_bytes chain, struct fl_bytes key, struct fl_bytes trust,
                                        struct fl_tls **ret_tls, struct fl_error *err);
void fl_tls_free(struct fl_tls *tls);

/* Prepares a new session, before its handshake; tls must outlive it. */
FL_MUST_CHECK enum fl_status fl_tls_attach(struct fl_tls *tls, void *session);

/* After the handshake: SHA-256 of the peer's public key (SPKI DER). FL_ERR_AUTH: it showed no certificate. */
FL_MUST_CHECK enum fl_status fl_tls_peer_key(void *session, uint8_t ret_key[FL_DIGEST_SIZE]);

#endif
