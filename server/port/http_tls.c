#include "server/port/http_tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/port/log_limit.h"

#define CHAIN_MAX 4 /* certificates of a peer that are looked at */

/* One after the other: sessions may still use an older one, and there is one more every few months only. */
struct credentials {
    struct credentials *older;
    gnutls_certificate_credentials_t handle;
};

struct fl_tls {
    pthread_mutex_t lock;
    struct credentials *newest;
};

/* Whether nothing but the time stands against the peer's chain. A verdict of "expired" alone does not say so:
 * it may stand for the first fault that was found. */
static int only_expired(gnutls_session_t session, gnutls_typed_vdata_st *purpose)
{
    gnutls_certificate_credentials_t credentials = NULL;
    gnutls_x509_trust_list_t trust;
    gnutls_x509_crt_t chain[CHAIN_MAX];
    unsigned count = 0, ready = 0, verdict = GNUTLS_CERT_INVALID;
    const gnutls_datum_t *peers = gnutls_certificate_get_peers(session, &count);

    if (!peers || count == 0 || count > CHAIN_MAX ||
        gnutls_credentials_get(session, GNUTLS_CRD_CERTIFICATE, (void **)&credentials) < 0)
        return 0;
    gnutls_certificate_get_trust_list(credentials, &trust);
    for (; ready < count; ready++) {
        if (gnutls_x509_crt_init(&chain[ready]) < 0)
            break;
        if (gnutls_x509_crt_import(chain[ready], &peers[ready], GNUTLS_X509_FMT_DER) < 0) {
            gnutls_x509_crt_deinit(chain[ready]);
            break;
        }
    }
    if (ready == count &&
        gnutls_x509_trust_list_verify_crt2(trust, chain, count, purpose, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS,
                                           &verdict, NULL) < 0)
        verdict = GNUTLS_CERT_INVALID;
    while (ready > 0)
        gnutls_x509_crt_deinit(chain[--ready]);
    return verdict == 0;
}

/* Runs inside the handshake, also for a peer that shows nothing. */
static int verify_peer(gnutls_session_t session)
{
    static struct fl_log_limit limit = FL_LOG_LIMIT_INIT;
    unsigned count = 0, verdict = 0;
    unsigned long suppressed;
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};

    if (!gnutls_certificate_get_peers(session, &count) || count == 0)
        return 0;
    int failure = gnutls_certificate_verify_peers(session, &purpose, 1, &verdict);
    if (failure == 0 && verdict == 0)
        return 0;
    if (failure == 0 && verdict & GNUTLS_CERT_EXPIRED && only_expired(session, &purpose))
        return 0;
    if (fl_log_limit_pass(&limit, &suppressed))
        fl_log(FL_LOG_WARN, "server.tls", "verdict=0x%x suppressed=%lu; foreign certificate refused", verdict,
               suppressed);
    return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
}

static gnutls_datum_t datum(struct fl_bytes bytes)
{
    return (gnutls_datum_t){.data = (unsigned char *)bytes.data, .size = (unsigned)bytes.size};
}

static void credentials_free(struct credentials *credentials)
{
    while (credentials) {
        struct credentials *older = credentials->older;
        if (credentials->handle)
            gnutls_certificate_free_credentials(credentials->handle);
        free(credentials);
        credentials = older;
    }
}

static enum fl_status credentials_new(struct fl_bytes chain, struct fl_bytes key, struct fl_bytes trust,
                                      struct credentials **ret_credentials, struct fl_error *err)
{
    gnutls_datum_t chain_pem = datum(chain), key_pem = datum(key), trust_pem = datum(trust);
    struct credentials *made = calloc(1, sizeof(*made));
    int failure;

    if (!made)
        return fl_error_nomem(err);
    failure = gnutls_certificate_allocate_credentials(&made->handle);
    if (failure < 0) {
        made->handle = NULL;
        goto out;
    }
    failure = gnutls_certificate_set_x509_key_mem(made->handle, &chain_pem, &key_pem, GNUTLS_X509_FMT_PEM);
    if (failure < 0)
        goto out;
    failure = gnutls_certificate_set_x509_trust_mem(made->handle, &trust_pem, GNUTLS_X509_FMT_PEM);
    if (failure < 0)
        goto out;
    gnutls_certificate_set_verify_function(made->handle, verify_peer);
    *ret_credentials = made;
    return FL_OK;
out:
    credentials_free(made);
    return fl_error_set(err, FL_ERR_CRYPTO, "cannot use the server's certificate: %s",
                        gnutls_strerror(failure));
}

enum fl_status fl_tls_new(struct fl_bytes chain, struct fl_bytes key, struct fl_bytes trust,
                          struct fl_tls **ret_tls, struct fl_error *err)
{
    struct fl_tls *tls = calloc(1, sizeof(*tls));

    if (!tls)
        return fl_error_nomem(err);
    enum fl_status st = credentials_new(chain, key, trust, &tls->newest, err);
    if (st) {
        free(tls);
        return st;
    }
    pthread_mutex_init(&tls->lock, NULL);
    *ret_tls = tls;
    return FL_OK;
}

void fl_tls_free(struct fl_tls *tls)
{
    if (!tls)
        return;
    credentials_free(tls->newest);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

enum fl_status fl_tls_reload(struct fl_tls *tls, struct fl_bytes chain, struct fl_bytes key,
                             struct fl_bytes trust, struct fl_error *err)
{
    struct credentials *made;
    enum fl_status st = credentials_new(chain, key, trust, &made, err);

    if (st)
        return st;
    pthread_mutex_lock(&tls->lock);
    made->older = tls->newest;
    tls->newest = made;
    pthread_mutex_unlock(&tls->lock);
    return FL_OK;
}

/* The peer's Finished message has arrived. The pointer of the session store, which servers of this kind
 * do not have, is the one that libmicrohttpd leaves to us. */
static int on_finished(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                       const gnutls_datum_t *message)
{
    const struct fl_tls_hook *hook = gnutls_db_get_ptr(session);
    (void)type;
    (void)when;
    (void)message;
    if (incoming)
        hook->finished(hook->user);
    return 0;
}

enum fl_status fl_tls_attach(struct fl_tls *tls, void *session, const struct fl_tls_hook *hook)
{
    gnutls_db_set_ptr(session, (void *)hook);
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_POST, on_finished);
    pthread_mutex_lock(&tls->lock);
    gnutls_certificate_credentials_t handle = tls->newest->handle;
    pthread_mutex_unlock(&tls->lock);
    if (gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, handle) < 0)
        return FL_ERR_CRYPTO;
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
    return FL_OK;
}

static void read_public_key(gnutls_x509_crt_t certificate, struct fl_tls_peer *peer)
{
    gnutls_pubkey_t key;
    size_t size = sizeof(peer->public_key);

    peer->public_key_size = 0;
    if (gnutls_pubkey_init(&key) < 0)
        return;
    if (gnutls_pubkey_import_x509(key, certificate, 0) >= 0 &&
        gnutls_pubkey_export(key, GNUTLS_X509_FMT_DER, peer->public_key, &size) >= 0)
        peer->public_key_size = size;
    gnutls_pubkey_deinit(key);
}

enum fl_status fl_tls_peer_read(void *session, struct fl_tls_peer *ret_peer)
{
    unsigned count = 0;
    size_t size = FL_DIGEST_SIZE;
    gnutls_x509_crt_t certificate;
    struct fl_tls_peer peer;
    const gnutls_datum_t *peers = gnutls_certificate_get_peers(session, &count);

    if (!peers || count == 0)
        return FL_ERR_AUTH;
    if (gnutls_x509_crt_init(&certificate) < 0)
        return FL_ERR_NOMEM;
    int failure = gnutls_x509_crt_import(certificate, &peers[0], GNUTLS_X509_FMT_DER);
    if (failure >= 0) /* the key id is the digest of the SubjectPublicKeyInfo */
        failure = gnutls_x509_crt_get_key_id(certificate, GNUTLS_KEYID_USE_SHA256, peer.key, &size);
    if (failure >= 0) {
        peer.not_after_s = (int64_t)gnutls_x509_crt_get_expiration_time(certificate);
        read_public_key(certificate, &peer);
    }
    gnutls_x509_crt_deinit(certificate);
    if (failure < 0 || size != FL_DIGEST_SIZE)
        return FL_ERR_CRYPTO;
    *ret_peer = peer;
    return FL_OK;
}

void fl_tls_version(char *ret_text, size_t size)
{
    snprintf(ret_text, size, "GnuTLS %s", gnutls_check_version(NULL));
}
