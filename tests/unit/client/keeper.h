/*
 * An engine that keeps copies of replica and residual as a device does, in memory of its own, and holds them
 * against the host's whenever it compresses: what the core forgets to tell it fails the test.
 */
#ifndef FL_TESTS_UNIT_CLIENT_KEEPER_H
#define FL_TESTS_UNIT_CLIENT_KEEPER_H

#include "client/core/client.h"

struct keeper {
    struct fl_engine base;
    struct fl_host_engine host;
    size_t elems;
    float *replica, *residual, *end, *pending; /* shape (elems) */
    int in_use, has_residual, has_pending;
    unsigned assigned, replaced, committed, folded; /* how often, but for the first time in use */
    enum fl_status fails;                           /* of the next compress */
};

void keeper_init(struct keeper *keeper, size_t elems);
void keeper_done(struct keeper *keeper);
void keeper_use(struct keeper *keeper, struct fl_client *client);

#endif
