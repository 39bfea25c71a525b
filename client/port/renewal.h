/*
 * Keeps the client's certificate alive (rule R22): asks the server for a new one for the same key when less
 * than a third of its life is left, or when it has expired. Not for making an identity: see identity.h.
 */
#ifndef FL_CLIENT_PORT_RENEWAL_H
#define FL_CLIENT_PORT_RENEWAL_H

#include "client/port/clock.h"
#include "client/port/identity.h"

/* Caller storage; one thread at a time. */
struct fl_renewal {
    const char *state_dir, *url; /* borrowed */
    int stop_fd;
    struct fl_clock *clock; /* borrowed */
    int64_t due_s, ends_s;  /* of the present certificate */
    uint64_t rest_until_ms; /* env's monotonic clock: not tried again before */
    uint32_t attempts;      /* in a row that failed */
    int is_wanted;          /* 1: the server finds the certificate expired */
};

/* Reads the certificate of an enrolled folder. FL_ERR_AUTH when there is none; FL_ERR_FORMAT, FL_ERR_IO. */
FL_MUST_CHECK enum fl_status fl_renewal_init(struct fl_renewal *ret_renewal, const char *state_dir,
                                             const char *url, int stop_fd, struct fl_clock *clock,
                                             struct fl_error *err);

/* Takes note when an answer says that the certificate has expired; 1 when it does. */
int fl_renewal_notice(struct fl_renewal *renewal, int http_status, struct fl_bytes body);

/*
 * Does what is due, if anything: a new certificate is checked, written atomically, and *http replaced by a
 * connection that shows it. What may get better by itself (no network, server busy) is logged and tried again
 * at a later call; FL_OK then too. FL_ERR_AUTH: refused, the client has to be enrolled again; FL_ERR_IO: an
 * expired certificate's successor cannot be written.
 */
FL_MUST_CHECK enum fl_status fl_renewal_keep(struct fl_renewal *renewal, struct fl_http **http,
                                             struct fl_error *err);

#endif
