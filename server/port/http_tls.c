#include "server/port/http_tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>

#include "base/log.h"
#include "server/port/log_limit.h"

struct fl_tls {
    gnutls_certificate_credentials_t credentials;
};

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
    if (fl_log_limit_pass(&limit, &suppressed))
        fl_log(FL_LOG_WARN, "server.tls",
               "verdict=0x%x suppressed=%lu; foreign or expired certificate refused", verdict, suppressed);
    return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
}

static gnutls_datum_t datum(struct fl_bytes bytes)
{
    return (gnutls_datum_t){.data = (unsigned char *)bytes.data, .size = (unsigned)bytes.size};
}

enum fl_status fl_tls_new(struct fl_bytes chain, struct fl_bytes key, struct fl_bytes trust,
                          struct fl_tls **ret_tls, struct fl_error *err)
{
    gnutls_datum_t chain_pem = datum(chain), key_pem = datum(key), trust_pem = datum(trust);
    struct fl_tls *tls = calloc(1, sizeof(*tls));
    int failure;

    if (!tls)
        return fl_error_nomem(err);
    failure = gnutls_certificate_allocate_credentials(&tls->credentials);
    if (failure < 0) {
        tls->credentials = NULL;
        goto out;
    }
    failure =
        gnutls_certificate_set_x509_key_mem(tls->credentials, &chain_pem, &key_pem, GNUTLS_X509_FMT_PEM);
    if (failure < 0)
        goto out;
    failure = gnutls_certificate_set_x509_trust_mem(tls->credentials, &trust_pem, GNUTLS_X509_FMT_PEM);
    if (failure < 0)
        goto out;
    gnutls_certificate_set_verify_function(tls->credentials, verify_peer);
    *ret_tls = tls;
    return FL_OK;
out:
    fl_tls_free(tls);
    return fl_error_set(err, FL_ERR_CRYPTO, "cannot use the server's certificate: %s",
                        gnutls_strerror(failure));
}

void fl_tls_free(struct fl_tls *tls)
{
    if (tls && tls->credentials)
        gnutls_certificate_free_credentials(tls->credentials);
    free(tls);
}

enum fl_status fl_tls_attach(struct fl_tls *tls, void *session)
{
    if (gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0)
        return FL_ERR_CRYPTO;
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
    return FL_OK;
}

enum fl_status fl_tls_peer_key(void *session, uint8_t ret_key[FL_DIGEST_SIZE])
{
    unsigned count = 0;
    size_t size = FL_DIGEST_SIZE;
    gnutls_x509_crt_t certificate;
    const gnutls_datum_t *peers = gnutls_certificate_get_peers(session, &count);

    if (!peers || count == 0)
        return FL_ERR_AUTH;
    if (gnutls_x509_crt_init(&certificate) < 0)
        return FL_ERR_NOMEM;
    int failure = gnutls_x509_crt_import(certificate, &peers[0], GNUTLS_X509_FMT_DER);
    if (failure >= 0) /* the key id is the digest of the SubjectPublicKeyInfo */
        failure = gnutls_x509_crt_get_key_id(certificate, GNUTLS_KEYID_USE_SHA256, ret_key, &size);
    gnutls_x509_crt_deinit(certificate);
    return failure < 0 || size != FL_DIGEST_SIZE ? FL_ERR_CRYPTO : FL_OK;
}
