/*
 * Digests, random bytes, P-256 keys, certificate signing requests, and what stands in a certificate. Issuing
 * certificates is in authority.h; TLS is elsewhere (libcurl, GnuTLS). Any thread may call any of this.
 *
 * Inputs called pem_or_der may be either; PEM needs no final zero. Outputs are appended to a caller's buffer
 * as PEM text without a final zero, or as DER where said. On failure output buffers are unchanged.
 * FL_ERR_FORMAT: input does not parse; FL_ERR_CRYPTO: an operation failed; FL_ERR_NOMEM, FL_ERR_LIMIT
 * (buffer).
 */
#ifndef FL_PLATFORM_CRYPTO_H
#define FL_PLATFORM_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/env.h"
#include "base/status.h"
#include "platform/error.h"

#define FL_CRYPTO_INPUT_MAX ((size_t)64 << 10) /* bytes of any PEM or DER that is parsed */
#define FL_COMMON_NAME_MAX  64                 /* letters of a common name: A-Z a-z 0-9 space . _ - */

/* SHA-256 (FIPS 180-4). Never fails. */
void fl_sha256(struct fl_bytes data, uint8_t ret_digest[FL_DIGEST_SIZE]);

/* HMAC-SHA-256 (RFC 2104), any length of key. Never fails, allocates nothing. */
void fl_hmac_sha256(struct fl_bytes key, struct fl_bytes data, uint8_t ret_mac[FL_DIGEST_SIZE]);

/* True when size bytes are equal; the time taken does not depend on where they differ. */
bool fl_secret_equal(const void *a, const void *b, size_t size);

/* Overwrites a secret; the compiler does not leave it out. */
void fl_secret_wipe(void *secret, size_t size);

/* Fills size bytes from the kernel's generator (getrandom); waits at early boot until that is seeded. */
void fl_random_bytes(void *ret_bytes, size_t size);

/* Makes a P-256 key pair; appends the private key as PEM. The caller wipes it. */
FL_MUST_CHECK enum fl_status fl_key_generate(struct fl_buf *ret_pem, struct fl_error *err);

/* Appends the public half of a P-256 private key as SubjectPublicKeyInfo DER. */
FL_MUST_CHECK enum fl_status fl_key_public(struct fl_bytes pem_or_der, struct fl_buf *ret_spki,
                                           struct fl_error *err);

/* Appends a request for the private key, as PEM, signed with SHA-256. FL_ERR_RANGE for a bad common name. */
FL_MUST_CHECK enum fl_status fl_csr_create(struct fl_bytes key_pem_or_der, const char *common_name,
                                           struct fl_buf *ret_pem, struct fl_error *err);

/* Appends the DER of a request, which is what travels. */
FL_MUST_CHECK enum fl_status fl_csr_to_der(struct fl_bytes pem_or_der, struct fl_buf *ret_der,
                                           struct fl_error *err);

/*
 * Checks a request's own signature and appends its public key as SubjectPublicKeyInfo DER. Whatever else it
 * asks for is ignored (rule R21); mbedTLS 3 refuses requests with critical extensions that it does not know.
 * FL_ERR_AUTH when the signature is wrong, FL_ERR_FORMAT when the key is not on P-256.
 */
FL_MUST_CHECK enum fl_status fl_csr_public_key(struct fl_bytes pem_or_der, struct fl_buf *ret_spki,
                                               struct fl_error *err);

struct fl_cert_info {
    uint8_t fingerprint[FL_DIGEST_SIZE];      /* SHA-256 of the certificate's DER */
    uint8_t key_fingerprint[FL_DIGEST_SIZE];  /* SHA-256 of its SubjectPublicKeyInfo DER */
    int64_t not_before_s, not_after_s;        /* seconds since 1970 UTC */
    char common_name[FL_COMMON_NAME_MAX + 1]; /* "" when it has none or one that we would not issue */
    bool is_authority;
};

/* Reads the first certificate of pem_or_der. */
FL_MUST_CHECK enum fl_status fl_cert_read(struct fl_bytes pem_or_der, struct fl_cert_info *ret_info,
                                          struct fl_error *err);

/* Appends the first certificate of pem_or_der as PEM, and nothing of what else stands there: what may be
 * trusted once fl_cert_read has shown its fingerprint to be the one expected. */
FL_MUST_CHECK enum fl_status fl_cert_to_pem(struct fl_bytes pem_or_der, struct fl_buf *ret_pem,
                                            struct fl_error *err);

/* "mbedTLS 3.6.4" */
void fl_crypto_version(char *ret_text, size_t size);

#endif
