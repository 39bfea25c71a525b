#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* mbedTLS 3: ca_istrue */

#include "platform/authority.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mbedtls/bignum.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "platform/crypto.h"
#include "platform/crypto_port.h"

#define SERIAL_SIZE   16
#define DNS_NAME_MAX  253
#define NAMES_SIZE    (FL_AUTHORITY_NAMES_MAX * (DNS_NAME_MAX + 3) + 4)
#define DER_SIZE      (NAMES_SIZE + 2048) /* of a certificate: names, and everything else */
#define TIME_SIZE     sizeof("YYYYMMDDhhmmss")
#define LATEST_TIME_S INT64_C(253402300799) /* the end of year 9999, the last that a certificate can name */

struct fl_authority {
    pthread_mutex_t lock; /* signing writes to the key's precomputed tables */
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
};

/* DER of an extension's value. */
struct extension {
    uint8_t der[NAMES_SIZE];
    size_t size; /* 0: left out */
};

/* What stands in one certificate. */
struct request {
    mbedtls_pk_context *subject_key;
    mbedtls_pk_context *issuer_key;
    const char *subject_name;
    const char *issuer_name;
    int64_t not_before_s, not_after_s;
    bool is_authority;
    int path_length; /* of an authority */
    unsigned key_usage;
    const struct extension *extended_usage;
    const struct extension *names;
};

static enum fl_status set_validity(struct request *request, struct fl_validity validity, int64_t latest_s,
                                   struct fl_error *err)
{
    if (validity.life_s < 1 || validity.life_s > FL_AUTHORITY_LIFE_MAX_S)
        return fl_error_set(err, FL_ERR_RANGE, "certificate lifetime: %lld s is outside 1..%lld",
                            (long long)validity.life_s, (long long)FL_AUTHORITY_LIFE_MAX_S);
    if (validity.now_s < FL_AUTHORITY_DAY_S || validity.now_s > LATEST_TIME_S - FL_AUTHORITY_LIFE_MAX_S)
        return fl_error_set(err, FL_ERR_RANGE, "the clock is wrong: %lld seconds since 1970",
                            (long long)validity.now_s);
    if (validity.now_s >= latest_s)
        return fl_error_set(err, FL_ERR_STATE, "the authority's own certificate has expired");
    request->not_before_s = validity.now_s - FL_AUTHORITY_DAY_S;
    request->not_after_s = validity.now_s + validity.life_s;
    if (request->not_after_s > latest_s)
        request->not_after_s = latest_s;
    return FL_OK;
}

static void time_text(int64_t seconds, char ret_text[TIME_SIZE])
{
    time_t at = (time_t)seconds;
    struct tm tm;

    if (!gmtime_r(&at, &tm) || strftime(ret_text, TIME_SIZE, "%Y%m%d%H%M%S", &tm) != TIME_SIZE - 1)
        ret_text[0] = 0; /* the library refuses it */
}

static int set_serial(mbedtls_x509write_cert *cert)
{
    unsigned char serial[SERIAL_SIZE];

    fl_random_bytes(serial, sizeof(serial));
    serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, always the same length (RFC 5280, 4.1.2.2) */
#if MBEDTLS_VERSION_MAJOR < 3
    mbedtls_mpi number;
    mbedtls_mpi_init(&number);
    int code = mbedtls_mpi_read_binary(&number, serial, sizeof(serial));
    if (!code)
        code = mbedtls_x509write_crt_set_serial(cert, &number);
    mbedtls_mpi_free(&number);
    return code;
#else
    return mbedtls_x509write_crt_set_serial_raw(cert, serial, sizeof(serial));
#endif
}

static int set_extensions(mbedtls_x509write_cert *cert, const struct request *request)
{
    int code = mbedtls_x509write_crt_set_basic_constraints(cert, request->is_authority,
                                                           request->is_authority ? request->path_length : -1);
    if (!code)
        code = mbedtls_x509write_crt_set_key_usage(cert, request->key_usage);
    if (!code)
        code = mbedtls_x509write_crt_set_subject_key_identifier(cert);
    if (!code)
        code = mbedtls_x509write_crt_set_authority_key_identifier(cert);
    if (!code && request->extended_usage)
        code = mbedtls_x509write_crt_set_extension(
            cert, MBEDTLS_OID_EXTENDED_KEY_USAGE, MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0,
            request->extended_usage->der, request->extended_usage->size);
    if (!code && request->names && request->names->size)
        code = mbedtls_x509write_crt_set_extension(cert, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                                   MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0,
                                                   request->names->der, request->names->size);
    return code;
}

/* Signs what request asks for and appends it as PEM. */
static enum fl_status write_cert(const struct request *request, struct fl_buf *ret_pem, struct fl_error *err)
{
    mbedtls_x509write_cert cert;
    unsigned char der[DER_SIZE];
    char not_before[TIME_SIZE], not_after[TIME_SIZE];
    char subject[FL_COMMON_NAME_MAX + sizeof("CN=")], issuer[FL_COMMON_NAME_MAX + sizeof("CN=")];
    int code;

    time_text(request->not_before_s, not_before);
    time_text(request->not_after_s, not_after);
    snprintf(subject, sizeof(subject), "CN=%s", request->subject_name);
    snprintf(issuer, sizeof(issuer), "CN=%s", request->issuer_name);
    mbedtls_x509write_crt_init(&cert);
    mbedtls_x509write_crt_set_version(&cert, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&cert, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&cert, request->subject_key);
    mbedtls_x509write_crt_set_issuer_key(&cert, request->issuer_key);
    code = mbedtls_x509write_crt_set_subject_name(&cert, subject);
    if (!code)
        code = mbedtls_x509write_crt_set_issuer_name(&cert, issuer);
    if (!code)
        code = mbedtls_x509write_crt_set_validity(&cert, not_before, not_after);
    if (!code)
        code = set_serial(&cert);
    if (!code)
        code = set_extensions(&cert, request);
    if (!code)
        code = mbedtls_x509write_crt_der(&cert, der, sizeof(der), fl_crypto_rng, NULL);
    mbedtls_x509write_crt_free(&cert);
    if (code < 0)
        return fl_crypto_error(err, FL_ERR_CRYPTO, "certificate", code);
    return fl_crypto_write_cert(ret_pem, der + sizeof(der) - code, (size_t)code,
                                err); /* written at the end */
}

enum fl_status fl_authority_create_root(struct fl_bytes key_pem, const char *common_name,
                                        struct fl_validity validity, struct fl_buf *ret_pem,
                                        struct fl_error *err)
{
    enum fl_status st;
    mbedtls_pk_context key;
    struct request request = {.subject_key = &key,
                              .issuer_key = &key,
                              .subject_name = common_name,
                              .issuer_name = common_name,
                              .is_authority = true,
                              .path_length = 1,
                              .key_usage = MBEDTLS_X509_KU_KEY_CERT_SIGN};

    mbedtls_pk_init(&key);
    st = fl_common_name_check(common_name, err);
    if (!st)
        st = set_validity(&request, validity, LATEST_TIME_S, err);
    if (!st)
        st = fl_crypto_parse_key(key_pem, &key, err);
    if (!st)
        st = write_cert(&request, ret_pem, err);
    mbedtls_pk_free(&key);
    return st;
}

enum fl_status fl_authority_new(struct fl_bytes cert_pem, struct fl_bytes key_pem,
                                struct fl_authority **ret_authority, struct fl_error *err)
{
    enum fl_status st;
    char name[FL_COMMON_NAME_MAX + 1];
    struct fl_authority *authority = calloc(1, sizeof(*authority));

    if (!authority)
        return fl_error_nomem(err);
    pthread_mutex_init(&authority->lock, NULL);
    mbedtls_x509_crt_init(&authority->cert);
    mbedtls_pk_init(&authority->key);
    st = fl_crypto_parse_cert(cert_pem, &authority->cert, err);
    if (!st)
        st = fl_crypto_parse_key(key_pem, &authority->key, err);
    if (st)
        goto out;
    fl_crypto_common_name(&authority->cert, name, sizeof(name));
    if (!fl_crypto_is_pair(&authority->cert.pk, &authority->key)) {
        st = fl_error_set(err, FL_ERR_AUTH, "the authority's key does not belong to its certificate");
        goto out;
    }
    if (!authority->cert.ca_istrue || !name[0]) {
        st = fl_error_set(err, FL_ERR_AUTH, "not the certificate of an authority made here");
        goto out;
    }
    *ret_authority = authority;
    authority = NULL;
out:
    fl_authority_free(authority);
    return st;
}

void fl_authority_free(struct fl_authority *authority)
{
    if (!authority)
        return;
    mbedtls_x509_crt_free(&authority->cert);
    mbedtls_pk_free(&authority->key);
    pthread_mutex_destroy(&authority->lock);
    free(authority);
}

/* Completes request with the authority as issuer, and signs it. */
static enum fl_status sign(struct fl_authority *authority, struct request *request,
                           struct fl_validity validity, struct fl_buf *ret_pem, struct fl_error *err)
{
    enum fl_status st;
    char issuer_name[FL_COMMON_NAME_MAX + 1];
    const mbedtls_x509_time *end = &authority->cert.valid_to;
    struct tm tm = {.tm_year = end->year - 1900,
                    .tm_mon = end->mon - 1,
                    .tm_mday = end->day,
                    .tm_hour = end->hour,
                    .tm_min = end->min,
                    .tm_sec = end->sec};

    st = set_validity(request, validity, (int64_t)timegm(&tm), err);
    if (st)
        return st;
    fl_crypto_common_name(&authority->cert, issuer_name, sizeof(issuer_name));
    request->issuer_name = issuer_name;
    request->issuer_key = &authority->key;
    pthread_mutex_lock(&authority->lock);
    st = write_cert(request, ret_pem, err);
    pthread_mutex_unlock(&authority->lock);
    return st;
}

enum fl_status fl_authority_create_issuer(struct fl_authority *root, struct fl_bytes key_pem,
                                          const char *common_name, struct fl_validity validity,
                                          struct fl_buf *ret_pem, struct fl_error *err)
{
    enum fl_status st;
    mbedtls_pk_context key;
    struct request request = {.subject_key = &key,
                              .subject_name = common_name,
                              .is_authority = true,
                              .path_length = 0,
                              .key_usage = MBEDTLS_X509_KU_KEY_CERT_SIGN};

    mbedtls_pk_init(&key);
    st = fl_common_name_check(common_name, err);
    if (!st)
        st = fl_crypto_parse_key(key_pem, &key, err);
    if (!st)
        st = sign(root, &request, validity, ret_pem, err);
    mbedtls_pk_free(&key);
    return st;
}

static bool dns_name_fits(const char *name)
{
    size_t size = strlen(name);
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";
    size_t start = strncmp(name, "*.", 2) == 0 ? 2 : 0;

    return size > start && size <= DNS_NAME_MAX && strspn(name + start, allowed) == size - start &&
           name[start] != '.' && name[start] != '-';
}

/* One GeneralName (RFC 5280, 4.2.1.6) at der: [7] iPAddress or [2] dNSName; returns its size, 0 when text is
 * neither. */
static size_t write_name(const char *text, uint8_t *der)
{
    uint8_t address[sizeof(struct in6_addr)];
    const void *value = address;
    size_t size, head = 2;
    uint8_t tag = 0x87;

    if (inet_pton(AF_INET, text, address) == 1) {
        size = sizeof(struct in_addr);
    } else if (inet_pton(AF_INET6, text, address) == 1) {
        size = sizeof(struct in6_addr);
    } else if (dns_name_fits(text)) {
        tag = 0x82;
        value = text;
        size = strlen(text);
    } else {
        return 0;
    }
    der[0] = tag;
    if (size < 128) {
        der[1] = (uint8_t)size;
    } else {
        der[1] = 0x81;
        der[2] = (uint8_t)size;
        head = 3;
    }
    memcpy(der + head, value, size);
    return head + size;
}

/* SEQUENCE of names, always with a two-byte length where one byte does not do. */
static enum fl_status write_names(const struct fl_leaf *leaf, struct extension *names, struct fl_error *err)
{
    uint8_t body[NAMES_SIZE];
    size_t size = 0, head;

    for (size_t i = 0; i < leaf->name_count; i++) {
        size_t added = write_name(leaf->names[i], body + size);
        if (!added)
            return fl_error_set(err, FL_ERR_RANGE, "\"%.80s\" is neither a DNS name nor an IP address",
                                leaf->names[i]);
        size += added;
    }
    names->der[0] = 0x30;
    if (size < 128) {
        names->der[1] = (uint8_t)size;
        head = 2;
    } else if (size < 256) {
        names->der[1] = 0x81;
        names->der[2] = (uint8_t)size;
        head = 3;
    } else {
        names->der[1] = 0x82;
        names->der[2] = (uint8_t)(size >> 8);
        names->der[3] = (uint8_t)size;
        head = 4;
    }
    memcpy(names->der + head, body, size);
    names->size = size ? head + size : 0;
    return FL_OK;
}

/* SEQUENCE of one purpose: id-kp-serverAuth 1.3.6.1.5.5.7.3.1 or id-kp-clientAuth ...3.2. */
static void write_extended_usage(enum fl_leaf_profile profile, struct extension *usage)
{
    const uint8_t der[] = {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06,
                           0x01, 0x05, 0x05, 0x07, 0x03, profile == FL_LEAF_SERVER ? 0x01 : 0x02};

    memcpy(usage->der, der, sizeof(der));
    usage->size = sizeof(der);
}

static enum fl_status check_leaf(const struct fl_leaf *leaf, struct fl_error *err)
{
    enum fl_status st = fl_common_name_check(leaf->common_name, err);

    if (st)
        return st;
    if (leaf->profile == FL_LEAF_CLIENT && leaf->name_count)
        return fl_error_set(err, FL_ERR_RANGE, "a client's certificate has no DNS names or addresses");
    if (leaf->profile == FL_LEAF_SERVER && !leaf->name_count)
        return fl_error_set(err, FL_ERR_RANGE, "a server's certificate needs a DNS name or address");
    if (leaf->name_count > FL_AUTHORITY_NAMES_MAX)
        return fl_error_set(err, FL_ERR_RANGE, "%zu names are more than %d", leaf->name_count,
                            FL_AUTHORITY_NAMES_MAX);
    return FL_OK;
}

enum fl_status fl_authority_issue(struct fl_authority *authority, struct fl_bytes spki,
                                  const struct fl_leaf *leaf, struct fl_buf *ret_pem, struct fl_error *err)
{
    enum fl_status st;
    mbedtls_pk_context key;
    struct extension usage, names;
    size_t before = ret_pem->size;
    struct request request = {.subject_key = &key,
                              .subject_name = leaf->common_name,
                              .key_usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE,
                              .extended_usage = &usage,
                              .names = &names};

    mbedtls_pk_init(&key);
    st = check_leaf(leaf, err);
    if (!st)
        st = write_names(leaf, &names, err);
    if (st)
        goto out;
    write_extended_usage(leaf->profile, &usage);
    int code = mbedtls_pk_parse_public_key(&key, spki.data, spki.size);
    if (code) {
        st = fl_crypto_error(err, FL_ERR_FORMAT, "public key does not parse", code);
        goto out;
    }
    st = fl_crypto_write_spki(&key, NULL, err);
    if (!st)
        st = sign(authority, &request, leaf->validity, ret_pem, err);
    if (!st)
        st = fl_crypto_write_cert(ret_pem, authority->cert.raw.p, authority->cert.raw.len, err);
out:
    if (st)
        fl_buf_truncate(ret_pem, before);
    mbedtls_pk_free(&key);
    return st;
}
