#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* mbedTLS 3: what stands in a signature */

#include "platform/cert.h"

#include <arpa/inet.h>
#include <string.h>

#include <mbedtls/md.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "platform/crypto_port.h"

/* GeneralName tags (RFC 5280, 4.2.1.6), context-specific and primitive. */
#define TAG_DNS     0x82
#define TAG_ADDRESS 0x87

static enum fl_status read_name(const mbedtls_x509_buf *name, struct fl_cert_names *names,
                                struct fl_error *err)
{
    int family = name->len == 4 ? AF_INET : AF_INET6;

    if (name->tag != TAG_DNS && name->tag != TAG_ADDRESS)
        return FL_OK;
    if (names->count == FL_AUTHORITY_NAMES_MAX)
        return fl_error_set(err, FL_ERR_LIMIT, "the certificate has more than %d names",
                            FL_AUTHORITY_NAMES_MAX);
    char *text = names->items[names->count];
    if (name->tag == TAG_DNS) {
        if (name->len == 0 || name->len >= FL_CERT_NAME_SIZE || memchr(name->p, 0, name->len))
            return fl_error_set(err, FL_ERR_FORMAT, "the certificate has a malformed name");
        memcpy(text, name->p, name->len);
        text[name->len] = 0;
    } else if ((name->len != 4 && name->len != 16) || !inet_ntop(family, name->p, text, FL_CERT_NAME_SIZE)) {
        return fl_error_set(err, FL_ERR_FORMAT, "the certificate has a malformed address");
    }
    names->count++;
    return FL_OK;
}

enum fl_status fl_cert_names_read(struct fl_bytes pem_or_der, struct fl_cert_names *ret_names,
                                  struct fl_error *err)
{
    mbedtls_x509_crt cert;
    struct fl_cert_names names = {.count = 0};

    mbedtls_x509_crt_init(&cert);
    enum fl_status st = fl_crypto_parse_cert(pem_or_der, &cert, err);
    for (const mbedtls_x509_sequence *at = &cert.subject_alt_names; !st && at && at->buf.p; at = at->next)
        st = read_name(&at->buf, &names, err);
    mbedtls_x509_crt_free(&cert);
    if (!st)
        *ret_names = names;
    return st;
}

enum fl_status fl_cert_chain_check(struct fl_bytes chain_pem, struct fl_bytes root_pem, struct fl_error *err)
{
    const uint32_t time_only = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;
    mbedtls_x509_crt chain, root;
    uint32_t flags = 0;

    mbedtls_x509_crt_init(&chain);
    mbedtls_x509_crt_init(&root);
    enum fl_status st = fl_crypto_parse_cert(chain_pem, &chain, err);
    if (!st)
        st = fl_crypto_parse_cert(root_pem, &root, err);
    if (!st) {
        int code = mbedtls_x509_crt_verify(&chain, &root, NULL, NULL, &flags, NULL, NULL);
        if (code && code != MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)
            st = fl_crypto_error(err, FL_ERR_CRYPTO, "chain of certificates", code);
        else if (flags & ~time_only)
            st = fl_error_set(err, FL_ERR_AUTH, "the certificate was not issued under this root");
    }
    mbedtls_x509_crt_free(&chain);
    mbedtls_x509_crt_free(&root);
    return st;
}

int64_t fl_cert_due_s(const struct fl_cert_info *info, double part)
{
    int64_t life_s = info->not_after_s - info->not_before_s - FL_AUTHORITY_DAY_S;

    return info->not_after_s - (int64_t)(part * (double)(life_s > 0 ? life_s : 0));
}

/* A trust anchor's own signature is what mbedtls_x509_crt_verify leaves out. */
static int verify_self(mbedtls_x509_crt *root)
{
    unsigned char digest[MBEDTLS_MD_MAX_SIZE];
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(root->sig_md);
    int code = info ? mbedtls_md(info, root->tbs.p, root->tbs.len, digest) : MBEDTLS_ERR_X509_BAD_INPUT_DATA;

    if (!code)
        code = mbedtls_pk_verify_ext(root->sig_pk, root->sig_opts, &root->pk, root->sig_md, digest,
                                     mbedtls_md_get_size(info), root->sig.p, root->sig.len);
    return code;
}

enum fl_status fl_cert_root_check(struct fl_bytes root_pem, struct fl_error *err)
{
    mbedtls_x509_crt root;
    enum fl_status st;

    mbedtls_x509_crt_init(&root);
    st = fl_crypto_parse_cert(root_pem, &root, err);
    if (!st) {
        int code = verify_self(&root);
        if (code)
            st = fl_crypto_error(err, FL_ERR_CORRUPT, "the certificate is damaged, or is no root", code);
    }
    mbedtls_x509_crt_free(&root);
    return st;
}

bool fl_crypto_is_pair(const mbedtls_pk_context *public_key, const mbedtls_pk_context *private_key)
{
#if MBEDTLS_VERSION_MAJOR < 3
    return mbedtls_pk_check_pair(public_key, private_key) == 0;
#else
    return mbedtls_pk_check_pair(public_key, private_key, fl_crypto_rng, NULL) == 0;
#endif
}

enum fl_status fl_cert_key_check(struct fl_bytes chain_pem, struct fl_bytes key_pem, struct fl_error *err)
{
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    enum fl_status st;

    mbedtls_x509_crt_init(&chain);
    mbedtls_pk_init(&key);
    st = fl_crypto_parse_cert(chain_pem, &chain, err);
    if (!st)
        st = fl_crypto_parse_key(key_pem, &key, err);
    if (!st && !fl_crypto_is_pair(&chain.pk, &key))
        st = fl_error_set(err, FL_ERR_AUTH, "the key is damaged, or of another certificate");
    mbedtls_x509_crt_free(&chain);
    mbedtls_pk_free(&key);
    return st;
}

struct fl_bytes fl_cert_chain_next(struct fl_bytes chain_pem)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    const uint8_t *at = NULL, *end = chain_pem.data + chain_pem.size;

    if (chain_pem.size > sizeof begin)
        at = memmem(chain_pem.data + sizeof begin, chain_pem.size - sizeof begin, begin, sizeof begin - 1);
    return at ? (struct fl_bytes){at, (size_t)(end - at)} : (struct fl_bytes){NULL, 0};
}
