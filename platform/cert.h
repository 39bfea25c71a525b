/*
 * What a certificate that is there already says about itself: names, and whether a chain leads to a root. Not
 * for the time, which is the caller's to judge (rule R22), nor for issuing (authority.h). Any thread.
 */
#ifndef FL_PLATFORM_CERT_H
#define FL_PLATFORM_CERT_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/status.h"
#include "platform/authority.h"
#include "platform/crypto.h"
#include "platform/error.h"

#define FL_CERT_NAME_SIZE 256 /* bytes of a DNS name or an address as text, with its zero */

struct fl_cert_names {
    char items[FL_AUTHORITY_NAMES_MAX][FL_CERT_NAME_SIZE];
    size_t count;
};

/* The DNS names and IP addresses of the first certificate; kinds that we never issue are left out.
 * FL_ERR_FORMAT, FL_ERR_LIMIT (more than FL_AUTHORITY_NAMES_MAX), FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_cert_names_read(struct fl_bytes pem_or_der, struct fl_cert_names *ret_names,
                                                struct fl_error *err);

/* Whether the signatures of a chain (PEM, leaf first) lead to the root, whatever the time. FL_ERR_AUTH when
 * they do not, FL_ERR_FORMAT, FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_cert_chain_check(struct fl_bytes chain_pem, struct fl_bytes root_pem,
                                                 struct fl_error *err);

/* Whether a root (PEM) is whole: its own signature, which a look at a chain leaves out. FL_ERR_CORRUPT when
 * it is not, FL_ERR_FORMAT, FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_cert_root_check(struct fl_bytes root_pem, struct fl_error *err);

/* Whether a private key (PEM) is that of the chain's first certificate. FL_ERR_AUTH when it is not,
 * FL_ERR_FORMAT, FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_cert_key_check(struct fl_bytes chain_pem, struct fl_bytes key_pem,
                                               struct fl_error *err);

/* What of a chain (PEM) follows its first certificate; empty when nothing does. */
struct fl_bytes fl_cert_chain_next(struct fl_bytes chain_pem);

/* When a certificate should be renewed: as soon as less than part (0 to 1) of its life is left, seconds since
 * 1970 UTC. Its life is counted from a day after its beginning, when it was issued (rule R22). */
int64_t fl_cert_due_s(const struct fl_cert_info *info, double part);

#endif
