#include "client/port/tls_hook.h"

#include <pthread.h>
#include <time.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int hook_index = -1; /* where a SSL_CTX keeps its hook */

static void make_index(void)
{
    hook_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static struct fl_tls_hook *hook_of(const SSL *ssl)
{
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), hook_index);
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm;
    return time && ASN1_TIME_to_tm(time, &tm) ? (int64_t)timegm(&tm) : 0;
}

static int on_certificate(int is_good, X509_STORE_CTX *context)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct fl_tls_hook *hook = hook_of(ssl);
    const X509 *cert = X509_STORE_CTX_get_current_cert(context);

    if (cert && X509_STORE_CTX_get_error_depth(context) == 0)
        hook->peer_ends_s = seconds_of(X509_get0_notAfter(cert));
    if (is_good)
        return 1;
    if (X509_STORE_CTX_get_error(context) == X509_V_ERR_CERT_NOT_YET_VALID) {
        X509_STORE_CTX_set_error(context, X509_V_OK);
        return 1;
    }
    hook->peer_has_expired = X509_STORE_CTX_get_error(context) == X509_V_ERR_CERT_HAS_EXPIRED;
    return 0;
}

/* Which alerts say that the certificate shown will not do (RFC 8446, 6.2). */
static int refuses_certificate(int alert)
{
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
        return 1;
    default:
        return 0;
    }
}

/* Only of a server that has proven to hold its key, which the end of the handshake does (rule R4): its
 * certificate anybody can show. In TLS 1.2 alerts of the handshake are open to all in the way, and count for
 * nothing; of 1.3 this one comes after it. */
static void on_info(const SSL *ssl, int where, int value)
{
    int is_proven = SSL_is_init_finished(ssl) && SSL_get_verify_result(ssl) == X509_V_OK;
    if (is_proven && (where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && refuses_certificate(value & 0xff))
        hook_of(ssl)->is_refused = 1;
}

enum fl_status fl_tls_hook_attach(void *ssl_ctx, struct fl_tls_hook *hook)
{
    SSL_CTX *context = ssl_ctx;

    pthread_once(&index_once, make_index);
    if (hook_index < 0 || !SSL_CTX_set_ex_data(context, hook_index, hook))
        return FL_ERR_NOMEM;
    hook->peer_has_expired = 0;
    hook->is_refused = 0;
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context), (time_t)hook->now_s);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_certificate);
    SSL_CTX_set_info_callback(context, on_info);
    return FL_OK;
}
