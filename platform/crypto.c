#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* mbedTLS 3: a request's signature has no getter */

#include "platform/crypto.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include "platform/crypto_port.h"

#define HMAC_BLOCK  64   /* bytes of SHA-256's block, RFC 2104's B */
#define TEXT_SIZE   4096 /* of a key or request as PEM */
#define PUBLIC_SIZE 512  /* of a public key as DER; more is not P-256 */

/* DER of every SubjectPublicKeyInfo on P-256 up to its 64-byte point (RFC 5480): id-ecPublicKey, prime256v1,
 * uncompressed. */
static const uint8_t p256_prefix[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                      0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                      0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};

#if MBEDTLS_VERSION_MAJOR < 3
#define sha256_starts(ctx)             mbedtls_sha256_starts_ret(ctx, 0)
#define sha256_update(ctx, data, size) mbedtls_sha256_update_ret(ctx, data, size)
#define sha256_finish(ctx, digest)     mbedtls_sha256_finish_ret(ctx, digest)
#define parse_key(key, data, size)     mbedtls_pk_parse_key(key, data, size, NULL, 0)
#else
#define sha256_starts(ctx)             mbedtls_sha256_starts(ctx, 0)
#define sha256_update(ctx, data, size) mbedtls_sha256_update(ctx, data, size)
#define sha256_finish(ctx, digest)     mbedtls_sha256_finish(ctx, digest)
#define parse_key(key, data, size)     mbedtls_pk_parse_key(key, data, size, NULL, 0, fl_crypto_rng, NULL)
#endif

/* SHA-256 of first followed by second. Built-in SHA-256 cannot fail; should a hardware one do, the digest
 * becomes random, so that it matches nothing. */
static void sha256_of_two(struct fl_bytes first, struct fl_bytes second, uint8_t *ret_digest)
{
    mbedtls_sha256_context ctx;
    int failed;

    mbedtls_sha256_init(&ctx);
    failed = sha256_starts(&ctx);
    if (!failed && first.size)
        failed = sha256_update(&ctx, first.data, first.size);
    if (!failed && second.size)
        failed = sha256_update(&ctx, second.data, second.size);
    if (!failed)
        failed = sha256_finish(&ctx, ret_digest);
    if (failed)
        fl_random_bytes(ret_digest, FL_DIGEST_SIZE);
    mbedtls_sha256_free(&ctx);
}

void fl_sha256(struct fl_bytes data, uint8_t ret_digest[FL_DIGEST_SIZE])
{
    sha256_of_two(data, (struct fl_bytes){NULL, 0}, ret_digest);
}

void fl_hmac_sha256(struct fl_bytes key, struct fl_bytes data, uint8_t ret_mac[FL_DIGEST_SIZE])
{
    uint8_t block[HMAC_BLOCK] = {0}, pad[HMAC_BLOCK], inner[FL_DIGEST_SIZE];

    if (key.size > HMAC_BLOCK)
        fl_sha256(key, block);
    else if (key.size)
        memcpy(block, key.data, key.size);
    for (size_t i = 0; i < HMAC_BLOCK; i++)
        pad[i] = block[i] ^ 0x36;
    sha256_of_two((struct fl_bytes){pad, sizeof(pad)}, data, inner);
    for (size_t i = 0; i < HMAC_BLOCK; i++)
        pad[i] = block[i] ^ 0x5c;
    sha256_of_two((struct fl_bytes){pad, sizeof(pad)}, (struct fl_bytes){inner, sizeof(inner)}, ret_mac);
    fl_secret_wipe(block, sizeof(block));
    fl_secret_wipe(pad, sizeof(pad));
}

bool fl_secret_equal(const void *a, const void *b, size_t size)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t differs = 0;

    for (size_t i = 0; i < size; i++)
        differs |= x[i] ^ y[i];
    return differs == 0;
}

void fl_secret_wipe(void *secret, size_t size)
{
    explicit_bzero(secret, size);
}

void fl_random_bytes(void *ret_bytes, size_t size)
{
    uint8_t *at = ret_bytes;

    /* getrandom fails only when a signal comes in; weaker bytes are never handed out. */
    while (size) {
        ssize_t got = getrandom(at, size, 0);
        if (got <= 0)
            continue;
        at += got;
        size -= (size_t)got;
    }
}

int fl_crypto_rng(void *user, unsigned char *ret_bytes, size_t size)
{
    (void)user;
    fl_random_bytes(ret_bytes, size);
    return 0;
}

enum fl_status fl_crypto_error(struct fl_error *err, enum fl_status st, const char *what, int code)
{
    static const int out_of_memory[] = {MBEDTLS_ERR_X509_ALLOC_FAILED, MBEDTLS_ERR_PK_ALLOC_FAILED,
                                        MBEDTLS_ERR_PEM_ALLOC_FAILED,  MBEDTLS_ERR_ECP_ALLOC_FAILED,
                                        MBEDTLS_ERR_MPI_ALLOC_FAILED,  MBEDTLS_ERR_ASN1_ALLOC_FAILED};
    char reason[128];

    for (size_t i = 0; i < sizeof(out_of_memory) / sizeof(out_of_memory[0]); i++)
        if (code == out_of_memory[i])
            return fl_error_nomem(err);
    mbedtls_strerror(code, reason, sizeof(reason));
    return fl_error_set(err, st, "%s: %s", what, reason);
}

/* A copy with a zero after it, which mbedTLS's PEM reader asks for; wiped and freed by text_free. */
struct text {
    unsigned char *data;
    size_t size;       /* without the zero */
    size_t parse_size; /* what the parsers want: PEM with its zero, DER without */
};

static enum fl_status text_copy(struct fl_bytes pem_or_der, struct text *ret_text, struct fl_error *err)
{
    static const char pem_mark[] = "-----BEGIN ";
    struct text text = {NULL, pem_or_der.size, pem_or_der.size};

    if (pem_or_der.size > FL_CRYPTO_INPUT_MAX)
        return fl_error_set(err, FL_ERR_LIMIT, "key or certificate is longer than %zu bytes",
                            FL_CRYPTO_INPUT_MAX);
    text.data = malloc(text.size + 1);
    if (!text.data)
        return fl_error_nomem(err);
    if (text.size)
        memcpy(text.data, pem_or_der.data, text.size);
    text.data[text.size] = 0;
    if (memmem(text.data, text.size, pem_mark, sizeof(pem_mark) - 1))
        text.parse_size++;
    *ret_text = text;
    return FL_OK;
}

static void text_free(struct text *text)
{
    if (text->data)
        fl_secret_wipe(text->data, text->size);
    free(text->data);
}

enum fl_status fl_crypto_write_spki(mbedtls_pk_context *key, struct fl_buf *ret_spki, struct fl_error *err)
{
    unsigned char der[PUBLIC_SIZE];
    int size = mbedtls_pk_write_pubkey_der(key, der, sizeof(der));
    const unsigned char *start;

    /* The library writes at the buffer's end. A key that does not fit is not on P-256 either. */
    if (size != (int)sizeof(p256_prefix) + 64)
        return fl_error_set(err, FL_ERR_FORMAT, "key is not on the curve P-256");
    start = der + sizeof(der) - size;
    if (memcmp(start, p256_prefix, sizeof(p256_prefix)) != 0)
        return fl_error_set(err, FL_ERR_FORMAT, "key is not on the curve P-256");
    if (!ret_spki)
        return FL_OK;
    enum fl_status st = fl_buf_append(ret_spki, start, (size_t)size);
    return st ? fl_error_set(err, st, "public key: %s", fl_status_text(st)) : FL_OK;
}

enum fl_status fl_crypto_parse_key(struct fl_bytes pem_or_der, mbedtls_pk_context *key, struct fl_error *err)
{
    struct text text;
    enum fl_status st = text_copy(pem_or_der, &text, err);

    if (st)
        return st;
    int code = parse_key(key, text.data, text.parse_size);
    text_free(&text);
    if (code)
        return fl_crypto_error(err, FL_ERR_FORMAT, "private key does not parse", code);
    return fl_crypto_write_spki(key, NULL, err);
}

enum fl_status fl_crypto_parse_cert(struct fl_bytes pem_or_der, mbedtls_x509_crt *cert, struct fl_error *err)
{
    struct text text;
    enum fl_status st = text_copy(pem_or_der, &text, err);

    if (st)
        return st;
    int code = mbedtls_x509_crt_parse(cert, text.data, text.parse_size);
    text_free(&text);
    if (code > 0) /* so many certificates of a PEM bundle were skipped */
        return fl_error_set(err, FL_ERR_FORMAT, "certificate does not parse: %d of the bundle are damaged",
                            code);
    if (code)
        return fl_crypto_error(err, FL_ERR_FORMAT, "certificate does not parse", code);
    return FL_OK;
}

enum fl_status fl_crypto_write_cert(struct fl_buf *ret_pem, const unsigned char *der, size_t size,
                                    struct fl_error *err)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----\n", end[] = "-----END CERTIFICATE-----\n";
    size_t room = size * 4 / 3 + size / 32 + 128, written = 0; /* base64 in lines of 64 */
    unsigned char *pem = malloc(room);

    if (!pem)
        return fl_error_nomem(err);
    int code = mbedtls_pem_write_buffer(begin, end, der, size, pem, room, &written);
    enum fl_status st = code ? fl_crypto_error(err, FL_ERR_CRYPTO, "certificate as PEM", code)
                             : fl_buf_append(ret_pem, pem, strlen((const char *)pem));
    free(pem);
    return code || !st ? st : fl_error_set(err, st, "certificate: %s", fl_status_text(st));
}

/* Appends text without its zero. */
static enum fl_status append_text(struct fl_buf *buf, const unsigned char *text, struct fl_error *err)
{
    enum fl_status st = fl_buf_append(buf, text, strlen((const char *)text));
    return st ? fl_error_set(err, st, "PEM text: %s", fl_status_text(st)) : FL_OK;
}

enum fl_status fl_key_generate(struct fl_buf *ret_pem, struct fl_error *err)
{
    enum fl_status st;
    mbedtls_pk_context key;
    unsigned char pem[TEXT_SIZE];
    int code;

    mbedtls_pk_init(&key);
    code = mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (!code)
        code = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), fl_crypto_rng, NULL);
    if (!code)
        code = mbedtls_pk_write_key_pem(&key, pem, sizeof(pem));
    if (code) {
        st = fl_crypto_error(err, FL_ERR_CRYPTO, "key generation", code);
        goto out;
    }
    st = append_text(ret_pem, pem, err);
out:
    fl_secret_wipe(pem, sizeof(pem));
    mbedtls_pk_free(&key);
    return st;
}

enum fl_status fl_key_public(struct fl_bytes pem_or_der, struct fl_buf *ret_spki, struct fl_error *err)
{
    enum fl_status st;
    mbedtls_pk_context key;

    mbedtls_pk_init(&key);
    st = fl_crypto_parse_key(pem_or_der, &key, err);
    if (!st)
        st = fl_crypto_write_spki(&key, ret_spki, err);
    mbedtls_pk_free(&key);
    return st;
}

static bool common_name_fits(const char *name, size_t size)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ._-";

    if (size == 0 || size > FL_COMMON_NAME_MAX || name[0] == ' ' || name[size - 1] == ' ')
        return false;
    for (size_t i = 0; i < size; i++)
        if (!memchr(allowed, name[i], sizeof(allowed) - 1))
            return false;
    return true;
}

enum fl_status fl_common_name_check(const char *name, struct fl_error *err)
{
    if (common_name_fits(name, strnlen(name, FL_COMMON_NAME_MAX + 1)))
        return FL_OK;
    return fl_error_set(err, FL_ERR_RANGE,
                        "common name must be 1 to %d of A-Z a-z 0-9 . _ - and inner spaces",
                        FL_COMMON_NAME_MAX);
}

enum fl_status fl_csr_create(struct fl_bytes key_pem_or_der, const char *common_name, struct fl_buf *ret_pem,
                             struct fl_error *err)
{
    enum fl_status st;
    mbedtls_pk_context key;
    mbedtls_x509write_csr csr;
    unsigned char pem[TEXT_SIZE];
    char subject[FL_COMMON_NAME_MAX + sizeof("CN=")];
    int code;

    mbedtls_pk_init(&key);
    mbedtls_x509write_csr_init(&csr);
    st = fl_common_name_check(common_name, err);
    if (!st)
        st = fl_crypto_parse_key(key_pem_or_der, &key, err);
    if (st)
        goto out;
    snprintf(subject, sizeof(subject), "CN=%s", common_name);
    mbedtls_x509write_csr_set_md_alg(&csr, MBEDTLS_MD_SHA256);
    mbedtls_x509write_csr_set_key(&csr, &key);
    code = mbedtls_x509write_csr_set_subject_name(&csr, subject);
    if (!code)
        code = mbedtls_x509write_csr_pem(&csr, pem, sizeof(pem), fl_crypto_rng, NULL);
    if (code) {
        st = fl_crypto_error(err, FL_ERR_CRYPTO, "certificate request", code);
        goto out;
    }
    st = append_text(ret_pem, pem, err);
out:
    mbedtls_x509write_csr_free(&csr);
    mbedtls_pk_free(&key);
    return st;
}

/* The check that mbedtls_x509_csr_parse leaves out: the request is signed by the key that it names. */
static enum fl_status csr_verify(mbedtls_x509_csr *csr, struct fl_error *err)
{
    unsigned char digest[MBEDTLS_MD_MAX_SIZE];
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(csr->sig_md);

    if (!info || (csr->sig_md != MBEDTLS_MD_SHA256 && csr->sig_md != MBEDTLS_MD_SHA384 &&
                  csr->sig_md != MBEDTLS_MD_SHA512))
        return fl_error_set(err, FL_ERR_AUTH, "certificate request is not signed with SHA-256, 384 or 512");
    int code = mbedtls_md(info, csr->cri.p, csr->cri.len, digest);
    if (!code)
        code = mbedtls_pk_verify_ext(csr->sig_pk, csr->sig_opts, &csr->pk, csr->sig_md, digest,
                                     mbedtls_md_get_size(info), csr->sig.p, csr->sig.len);
    if (code)
        return fl_crypto_error(err, FL_ERR_AUTH, "signature of the certificate request", code);
    return FL_OK;
}

enum fl_status fl_csr_to_der(struct fl_bytes pem_or_der, struct fl_buf *ret_der, struct fl_error *err)
{
    enum fl_status st;
    mbedtls_x509_csr csr;
    struct text text;

    st = text_copy(pem_or_der, &text, err);
    if (st)
        return st;
    mbedtls_x509_csr_init(&csr);
    int code = mbedtls_x509_csr_parse(&csr, text.data, text.parse_size);
    if (code)
        st = fl_crypto_error(err, FL_ERR_FORMAT, "certificate request does not parse", code);
    if (!st)
        st = fl_buf_append(ret_der, csr.raw.p, csr.raw.len);
    mbedtls_x509_csr_free(&csr);
    text_free(&text);
    return st;
}

enum fl_status fl_csr_public_key(struct fl_bytes pem_or_der, struct fl_buf *ret_spki, struct fl_error *err)
{
    enum fl_status st;
    mbedtls_x509_csr csr;
    struct text text;

    st = text_copy(pem_or_der, &text, err);
    if (st)
        return st;
    mbedtls_x509_csr_init(&csr);
    int code = mbedtls_x509_csr_parse(&csr, text.data, text.parse_size);
    if (code)
        st = fl_crypto_error(err, FL_ERR_FORMAT, "certificate request does not parse", code);
    if (!st)
        st = fl_crypto_write_spki(&csr.pk, NULL, err);
    if (!st)
        st = csr_verify(&csr, err);
    if (!st)
        st = fl_crypto_write_spki(&csr.pk, ret_spki, err);
    mbedtls_x509_csr_free(&csr);
    text_free(&text);
    return st;
}

void fl_crypto_common_name(const mbedtls_x509_crt *cert, char *ret_name, size_t size)
{
    ret_name[0] = 0;
    for (const mbedtls_x509_name *at = &cert->subject; at; at = at->next) {
        if (at->oid.len != MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_CN) ||
            memcmp(at->oid.p, MBEDTLS_OID_AT_CN, at->oid.len) != 0)
            continue;
        if (at->val.len < size && common_name_fits((const char *)at->val.p, at->val.len)) {
            memcpy(ret_name, at->val.p, at->val.len);
            ret_name[at->val.len] = 0;
        }
        return;
    }
}

static int64_t unix_seconds(const mbedtls_x509_time *time)
{
    struct tm tm = {.tm_year = time->year - 1900,
                    .tm_mon = time->mon - 1,
                    .tm_mday = time->day,
                    .tm_hour = time->hour,
                    .tm_min = time->min,
                    .tm_sec = time->sec};
    return (int64_t)timegm(&tm);
}

enum fl_status fl_cert_read(struct fl_bytes pem_or_der, struct fl_cert_info *ret_info, struct fl_error *err)
{
    enum fl_status st;
    mbedtls_x509_crt cert;
    struct fl_cert_info info = {0};

    mbedtls_x509_crt_init(&cert);
    st = fl_crypto_parse_cert(pem_or_der, &cert, err);
    if (st)
        goto out;
    fl_sha256((struct fl_bytes){cert.raw.p, cert.raw.len}, info.fingerprint);
    fl_sha256((struct fl_bytes){cert.pk_raw.p, cert.pk_raw.len}, info.key_fingerprint);
    info.not_before_s = unix_seconds(&cert.valid_from);
    info.not_after_s = unix_seconds(&cert.valid_to);
    info.is_authority = cert.ca_istrue;
    fl_crypto_common_name(&cert, info.common_name, sizeof(info.common_name));
    *ret_info = info;
out:
    mbedtls_x509_crt_free(&cert);
    return st;
}

enum fl_status fl_cert_to_pem(struct fl_bytes pem_or_der, struct fl_buf *ret_pem, struct fl_error *err)
{
    mbedtls_x509_crt cert;

    mbedtls_x509_crt_init(&cert);
    enum fl_status st = fl_crypto_parse_cert(pem_or_der, &cert, err);
    if (!st)
        st = fl_crypto_write_cert(ret_pem, cert.raw.p, cert.raw.len, err);
    mbedtls_x509_crt_free(&cert);
    return st;
}

void fl_crypto_version(char *ret_text, size_t size)
{
    char number[16]; /* as long as mbedTLS wants it */

    mbedtls_version_get_string(number);
    snprintf(ret_text, size, "mbedTLS %s", number);
}
