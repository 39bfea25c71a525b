/*
 * The clients' side: protocol/README.md over the TLS listener. Turns exchanges into requests of the core and
 * its replies into answers. Not for the operator: see admin.h.
 */
#ifndef FL_SERVER_PORT_API_H
#define FL_SERVER_PORT_API_H

#include <pthread.h>

#include "server/port/http_mhd.h"
#include "server/port/loop.h"
#include "server/port/rate.h"

struct fl_api {
    struct fl_loop *loop;
    struct fl_shared *root_pem; /* answered by GET /v1/authority; borrowed */
    size_t update_bytes;        /* most bytes of an update's body */
    const struct fl_env *env;   /* borrowed */
    pthread_mutex_t lock;       /* over what follows */
    struct fl_rate enrolments;  /* by address */
};

/* Sets the limits of enrolment and the lock, once the other fields are there. */
void fl_api_init(struct fl_api *api, uint64_t enrolments_per_minute);
void fl_api_done(struct fl_api *api);

/* The handler for a listener; api must outlive it. */
struct fl_http_handler fl_api_handler(struct fl_api *api);

#endif
