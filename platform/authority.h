/*
 * The certificate authority of a deployment: a root, an issuing authority under it, and leaves that are for a
 * client or for a server, never both (rule R21). Keys come from crypto.h; where they are kept is not decided
 * here.
 */
#ifndef FL_PLATFORM_AUTHORITY_H
#define FL_PLATFORM_AUTHORITY_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "platform/error.h"

#define FL_AUTHORITY_DAY_S      86400
#define FL_AUTHORITY_LIFE_MAX_S ((int64_t)36500 * FL_AUTHORITY_DAY_S)
#define FL_AUTHORITY_NAMES_MAX  16 /* subject alternative names of one certificate */

/* Certificates begin a day before now_s (rule R22; seconds since 1970 UTC) and end life_s after it. */
struct fl_validity {
    int64_t now_s;
    int64_t life_s; /* 1..FL_AUTHORITY_LIFE_MAX_S */
};

/* Appends a self-signed root certificate (CA, path length 1) for the private key, as PEM. */
FL_MUST_CHECK enum fl_status fl_authority_create_root(struct fl_bytes key_pem, const char *common_name,
                                                      struct fl_validity validity, struct fl_buf *ret_pem,
                                                      struct fl_error *err);

struct fl_authority; /* certificate and key, parsed; any thread may use it */

/* Reads a CA certificate (PEM; of several the first) and its private key, and checks that they belong
 * together. FL_ERR_FORMAT, FL_ERR_AUTH when they do not. Freed by fl_authority_free. */
FL_MUST_CHECK enum fl_status fl_authority_new(struct fl_bytes cert_pem, struct fl_bytes key_pem,
                                              struct fl_authority **ret_authority, struct fl_error *err);
void fl_authority_free(struct fl_authority *authority);

/* Appends the certificate of an issuing authority (CA, path length 0) signed by root, as PEM. key_pem: the
 * issuing authority's private key. Never outlives root. */
FL_MUST_CHECK enum fl_status fl_authority_create_issuer(struct fl_authority *root, struct fl_bytes key_pem,
                                                        const char *common_name, struct fl_validity validity,
                                                        struct fl_buf *ret_pem, struct fl_error *err);

enum fl_leaf_profile {
    FL_LEAF_CLIENT, /* extended key usage clientAuth only */
    FL_LEAF_SERVER, /* extended key usage serverAuth only, with names */
};

struct fl_leaf {
    enum fl_leaf_profile profile;
    const char *common_name;
    struct fl_validity validity;
    const char *const *names; /* of a server: DNS names and IP addresses as text; a client has none */
    size_t name_count;
};

/*
 * Appends the leaf's certificate and then the authority's own, as PEM: the chain to present, root left out.
 * spki: the public key, SubjectPublicKeyInfo DER on P-256 (fl_csr_public_key, fl_key_public). Serial: 126
 * random bits. The leaf never outlives the authority. FL_ERR_RANGE for a bad name, number of names or life.
 */
FL_MUST_CHECK enum fl_status fl_authority_issue(struct fl_authority *authority, struct fl_bytes spki,
                                                const struct fl_leaf *leaf, struct fl_buf *ret_pem,
                                                struct fl_error *err);

#endif
