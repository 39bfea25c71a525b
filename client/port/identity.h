/*
 * Who this client is: the state folder with the authority's root, the client's key and its certificate. Made
 * once by enrolment (rule R20), read by every run.
 */
#ifndef FL_CLIENT_PORT_IDENTITY_H
#define FL_CLIENT_PORT_IDENTITY_H

#include "base/env.h"
#include "client/port/http.h"
#include "platform/file.h"
#include "protocol/messages.h"

#define FL_IDENTITY_PEM_BYTES ((size_t)64 << 10) /* of any of the files */

struct fl_identity {
    char root_path[FL_PATH_SIZE]; /* PEM of the authority's root */
    char key_path[FL_PATH_SIZE];  /* PEM, mode 0600 */
    char cert_path[FL_PATH_SIZE]; /* PEM chain; there once enrolment is complete */
};

/* The paths in a state folder. FL_ERR_LIMIT. */
FL_MUST_CHECK enum fl_status fl_identity_paths(const char *state_dir, struct fl_identity *ret_identity,
                                               struct fl_error *err);

/* Whether the three files are whole and of one enrolment; appends the root to ret_root. FL_ERR_AUTH when the
 * folder is not enrolled; FL_ERR_CORRUPT, FL_ERR_IO, FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_identity_check(const char *state_dir, struct fl_identity *ret_identity,
                                               struct fl_buf *ret_root, struct fl_error *err);

/* A connection as this identity; clock (of this folder, may be NULL) is borrowed for its life. FL_ERR_AUTH
 * when the folder is not enrolled; failures of fl_http_new. */
FL_MUST_CHECK enum fl_status fl_identity_connect(const char *state_dir, const char *url, int stop_fd,
                                                 struct fl_clock *clock, struct fl_http **ret_http,
                                                 struct fl_error *err);

struct fl_enroll_options {
    const char *url;
    const char *token;       /* ID.SECRET */
    const char *fingerprint; /* SHA-256 of the root certificate's DER: 64 hexadecimal digits */
    const char *state_dir;   /* made where it is missing */
    const char *name;        /* for people; may be empty */
    int stop_fd;
};

/*
 * Enrols: fetches the root unverified, compares its fingerprint, makes and stores the key, and only then
 * sends token and request over a connection that the root verifies. Can be repeated after any failure: the
 * key is kept, and the server answers the same key with the same certificate. Network errors are retried with
 * back-off a few times.
 *
 * FL_ERR_EXISTS when the folder is enrolled already; FL_ERR_AUTH: another fingerprint, or the token is
 * refused; FL_ERR_LOCKED, FL_ERR_CONFIG (bad fingerprint, token or URL), FL_ERR_NETWORK, FL_ERR_STOPPED,
 * FL_ERR_IO, FL_ERR_CRYPTO, FL_ERR_NOMEM.
 */
FL_MUST_CHECK enum fl_status fl_identity_enroll(const struct fl_enroll_options *options,
                                                const struct fl_env *env, char *ret_client,
                                                struct fl_error *err);

#endif
