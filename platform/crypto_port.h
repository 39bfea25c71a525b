/*
 * What crypto.c, authority.c and cert.c, the files that wrap mbedTLS, share. For those only; the library's
 * structs are named, not included.
 */
#ifndef FL_PLATFORM_CRYPTO_PORT_H
#define FL_PLATFORM_CRYPTO_PORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/status.h"
#include "platform/error.h"

struct mbedtls_pk_context;
struct mbedtls_x509_crt;

/* The kernel's generator in the shape that mbedTLS asks for. */
int fl_crypto_rng(void *user, unsigned char *ret_bytes, size_t size);

/* "what: reason of the library's code" with FL_ERR_NOMEM for its allocation failures, else st. */
enum fl_status fl_crypto_error(struct fl_error *err, enum fl_status st, const char *what, int code);

/* Reads a P-256 private key into an initialised, empty context. */
FL_MUST_CHECK enum fl_status fl_crypto_parse_key(struct fl_bytes pem_or_der, struct mbedtls_pk_context *key,
                                                 struct fl_error *err);

/* Reads certificates into an initialised, empty list. */
FL_MUST_CHECK enum fl_status fl_crypto_parse_cert(struct fl_bytes pem_or_der, struct mbedtls_x509_crt *cert,
                                                  struct fl_error *err);

/* Does the private key belong to the public one? */
bool fl_crypto_is_pair(const struct mbedtls_pk_context *public_key,
                       const struct mbedtls_pk_context *private_key);

/* Appends a certificate's DER as PEM. */
FL_MUST_CHECK enum fl_status fl_crypto_write_cert(struct fl_buf *ret_pem, const unsigned char *der,
                                                  size_t size, struct fl_error *err);

/* Checks that the key is on P-256 and, when ret_spki is not NULL, appends its SubjectPublicKeyInfo. */
FL_MUST_CHECK enum fl_status fl_crypto_write_spki(struct mbedtls_pk_context *key, struct fl_buf *ret_spki,
                                                  struct fl_error *err);

/* The subject's common name ("" when it is none that fl_common_name_check takes), with its zero. */
void fl_crypto_common_name(const struct mbedtls_x509_crt *cert, char *ret_name, size_t size);

/* FL_ERR_RANGE unless name has 1..FL_COMMON_NAME_MAX allowed characters, no space at its ends. */
FL_MUST_CHECK enum fl_status fl_common_name_check(const char *name, struct fl_error *err);

#endif
