/*
 * Looks after the certificates of a running server: renews its own in time (rule R22), and warns of the end
 * of those that nobody renews. Belongs to one thread; issuing goes on in others meanwhile.
 */
#ifndef FL_SERVER_PORT_CERTIFICATE_WATCH_H
#define FL_SERVER_PORT_CERTIFICATE_WATCH_H

#include "server/port/authority.h"
#include "server/port/http_tls.h"

/* Days before the end of root or issuing authority when the warnings begin. */
#define FL_AUTHORITY_WARN_DAYS 365

/* Zeroed, but for files (borrowed). */
struct fl_certificate_watch {
    struct fl_authority_files *files;
    int64_t warn_s;  /* when to warn next */
    int64_t retry_s; /* not to be renewed before, after a failure */
};

/* Reads the lives of certificates to be issued: times like 365d. FL_ERR_CONFIG. */
FL_MUST_CHECK enum fl_status fl_certificate_watch_lives(struct fl_certificate_watch *watch,
                                                        const char *client_life, const char *server_life,
                                                        struct fl_error *err);

/* Does what is due at now_s (seconds since 1970 UTC) and logs it; tls (may be NULL) takes a new certificate
 * up. Returns after how many milliseconds to look again. */
int fl_certificate_watch_look(struct fl_certificate_watch *watch, struct fl_tls *tls, int64_t now_s);

#endif
