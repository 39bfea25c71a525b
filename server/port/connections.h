/*
 * Who may connect: limits on connections in all, on those of one address, and on strangers, which have not
 * shown a client certificate yet. Where strangers fill their places, one from the address with most of them
 * makes room for a newcomer from an address with fewer, so that nobody can shut others out from one address.
 * Only counts: closing is the caller's business. Not thread-safe.
 */
#ifndef FL_SERVER_PORT_CONNECTIONS_H
#define FL_SERVER_PORT_CONNECTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct sockaddr;

/* IPv4 (mapped), or the upper half of IPv6, which one host may choose all of the lower half from. */
struct fl_address {
    uint8_t bytes[16];
};

struct fl_connection_limits {
    size_t total, strangers, per_address, strangers_per_address; /* each at least 1 */
};

enum fl_admission {
    FL_ADMITTED,
    FL_REFUSED_TOTAL,
    FL_REFUSED_STRANGERS,
    FL_REFUSED_ADDRESS,
    FL_REFUSED_ADDRESS_STRANGERS,
};

/* The caller's storage; the caller reads `known` only. */
struct fl_connection {
    struct fl_connection *older, *newer; /* among strangers */
    struct fl_connection_address *at;    /* NULL: not counted */
    int known;
};

struct fl_connections;

/* All memory is taken here: about 80 bytes for each connection of limits->total. seed: unknown to strangers.
 * FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_connections_new(const struct fl_connection_limits *limits, uint64_t seed,
                                                struct fl_connections **ret_connections);
void fl_connections_free(struct fl_connections *connections);

/* NULL or a socket without addresses: one address for all. */
struct fl_address fl_address_of(const struct sockaddr *from);
uint64_t fl_address_hash(const struct fl_address *address);

/* What fl_connections_admit would say. */
enum fl_admission fl_connections_ask(const struct fl_connections *connections,
                                     const struct fl_address *address);

/* Counts a newcomer, a stranger, unless it is refused. *ret_evicted: the stranger that made room, no longer
 * counted, to be closed; NULL: none. */
enum fl_admission fl_connections_admit(struct fl_connections *connections, const struct fl_address *address,
                                       struct fl_connection *connection, struct fl_connection **ret_evicted);

/* It has shown its certificate; from now on it cannot be evicted. */
void fl_connections_know(struct fl_connections *connections, struct fl_connection *connection);

/* It has ended; harmless for one that is not counted. */
void fl_connections_leave(struct fl_connections *connections, struct fl_connection *connection);

size_t fl_connections_count(const struct fl_connections *connections);
size_t fl_connections_strangers(const struct fl_connections *connections);

/* The setting that refused, e.g. "listen.connections"; "" when admitted. */
const char *fl_admission_setting(enum fl_admission admission);

#endif
