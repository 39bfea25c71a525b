/*
 * The authority of one deployment in its folder (DIR/authority): root, issuing authority and the server's own
 * certificate, each with its key (0600). Made once by `fl-server init`; used by `serve` to speak TLS and to
 * issue client certificates (rule R21).
 */
#ifndef FL_SERVER_PORT_AUTHORITY_H
#define FL_SERVER_PORT_AUTHORITY_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/env.h"
#include "platform/cert.h"
#include "platform/error.h"
#include "platform/file.h"

struct fl_authority_files {
    char dir[FL_PATH_SIZE];
    struct fl_authority *issuing;
    struct fl_buf root_pem;                   /* the root's certificate */
    struct fl_buf trust_pem;                  /* whom a client certificate must chain to */
    struct fl_buf server_pem;                 /* chain that the server presents, with a zero behind its end */
    struct fl_buf server_key;                 /* with a zero behind its end; wiped by done */
    uint8_t fingerprint[FL_DIGEST_SIZE];      /* SHA-256 of the root certificate's DER */
    struct fl_cert_info root, issuer, server; /* what the three certificates say */
    int64_t client_life_s, server_life_s;     /* of certificates to be issued; may be changed after loading */
};

/* Makes dir and everything in it. names: DNS names and addresses of the server. */
FL_MUST_CHECK enum fl_status fl_authority_files_create(const char *dir, const char *const *names,
                                                       size_t name_count, int64_t now_s,
                                                       struct fl_error *err);

/* Reads what serving needs; the root's key is not touched. */
FL_MUST_CHECK enum fl_status fl_authority_files_load(const char *dir, struct fl_authority_files *ret_files,
                                                     struct fl_error *err);

/*
 * Gives the server a new certificate for the same key and names when less than a third of the life of the
 * present one is left, and the issuing authority lasts longer than that one does: writes it to the
 * folder and replaces server_pem; *ret_renewed is 1 then, else 0. On failure the present one stays.
 */
FL_MUST_CHECK enum fl_status fl_authority_files_renew(struct fl_authority_files *files, int64_t now_s,
                                                      int *ret_renewed, struct fl_error *err);

/* When that will be, seconds since 1970 UTC. */
int64_t fl_authority_files_due_s(const struct fl_authority_files *files);

/* server_pem and server_key without the zero behind their end. */
struct fl_bytes fl_authority_files_chain(const struct fl_authority_files *files);
struct fl_bytes fl_authority_files_key(const struct fl_authority_files *files);

void fl_authority_files_done(struct fl_authority_files *files);

/* Appends the chain of a new client certificate for the key (SPKI DER). */
FL_MUST_CHECK enum fl_status fl_authority_files_issue(struct fl_authority_files *files,
                                                      struct fl_bytes public_key, const char *client_id,
                                                      int64_t now_s, struct fl_buf *chain,
                                                      struct fl_error *err);

#endif
