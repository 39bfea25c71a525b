#include "server/port/connections.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/random.h"

#define IPV6_NETWORK_BYTES 8

struct fl_connection_address {
    struct fl_connection_address *next; /* in its bucket, or among the free ones */
    struct fl_address address;
    size_t total, strangers;
};

struct fl_connections {
    struct fl_connection_limits limits;
    uint64_t seed;
    size_t total, strangers;
    struct fl_connection *oldest, *newest; /* strangers */
    struct fl_connection_address *addresses, *free_addresses;
    struct fl_connection_address **buckets;
    size_t bucket_mask;
};

struct fl_address fl_address_of(const struct sockaddr *from)
{
    struct fl_address address = {{0}};

    if (from && from->sa_family == AF_INET) {
        memset(address.bytes + 10, 0xff, 2);
        memcpy(address.bytes + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    } else if (from && from->sa_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
        memcpy(address.bytes, in6, IN6_IS_ADDR_V4MAPPED(in6) ? sizeof address.bytes : IPV6_NETWORK_BYTES);
    }
    return address;
}

uint64_t fl_address_hash(const struct fl_address *address)
{
    return fl_mix64(fl_load_le64(address->bytes), fl_load_le64(address->bytes + 8));
}

enum fl_status fl_connections_new(const struct fl_connection_limits *limits, uint64_t seed,
                                  struct fl_connections **ret_connections)
{
    struct fl_connections *connections = calloc(1, sizeof *connections);
    size_t buckets = 16;

    if (!connections)
        return FL_ERR_NOMEM;
    while (buckets < limits->total)
        buckets *= 2;
    connections->limits = *limits;
    connections->seed = seed;
    connections->bucket_mask = buckets - 1;
    connections->buckets = calloc(buckets, sizeof connections->buckets[0]);
    connections->addresses = calloc(limits->total, sizeof connections->addresses[0]);
    if (!connections->buckets || !connections->addresses) {
        fl_connections_free(connections);
        return FL_ERR_NOMEM;
    }
    for (size_t i = 0; i < limits->total; i++) {
        connections->addresses[i].next = connections->free_addresses;
        connections->free_addresses = &connections->addresses[i];
    }
    *ret_connections = connections;
    return FL_OK;
}

void fl_connections_free(struct fl_connections *connections)
{
    if (!connections)
        return;
    free(connections->buckets);
    free(connections->addresses);
    free(connections);
}

static struct fl_connection_address **bucket_of(const struct fl_connections *connections,
                                                const struct fl_address *address)
{
    uint64_t hash = fl_mix64(connections->seed, fl_address_hash(address));
    return &connections->buckets[hash & connections->bucket_mask];
}

static struct fl_connection_address *find_address(const struct fl_connections *connections,
                                                  const struct fl_address *address)
{
    struct fl_connection_address *at = *bucket_of(connections, address);
    while (at && memcmp(&at->address, address, sizeof *address))
        at = at->next;
    return at;
}

/* The oldest stranger of the address with most of them, if a newcomer's has fewer even with the newcomer. */
static struct fl_connection *pick_victim(const struct fl_connections *connections, size_t strangers_there)
{
    struct fl_connection *victim = NULL;
    size_t most = strangers_there + 1;
    for (struct fl_connection *at = connections->oldest; at; at = at->newer)
        if (at->at->strangers > most) {
            most = at->at->strangers;
            victim = at;
        }
    return victim;
}

static enum fl_admission decide(const struct fl_connections *connections, const struct fl_address *address,
                                struct fl_connection **ret_victim)
{
    const struct fl_connection_limits *limits = &connections->limits;
    const struct fl_connection_address *at = find_address(connections, address);

    *ret_victim = NULL;
    if (at && at->total >= limits->per_address)
        return FL_REFUSED_ADDRESS;
    if (at && at->strangers >= limits->strangers_per_address)
        return FL_REFUSED_ADDRESS_STRANGERS;
    if (connections->total < limits->total && connections->strangers < limits->strangers)
        return FL_ADMITTED;
    *ret_victim = pick_victim(connections, at ? at->strangers : 0);
    if (*ret_victim)
        return FL_ADMITTED;
    return connections->total < limits->total ? FL_REFUSED_STRANGERS : FL_REFUSED_TOTAL;
}

enum fl_admission fl_connections_ask(const struct fl_connections *connections,
                                     const struct fl_address *address)
{
    struct fl_connection *victim;
    return decide(connections, address, &victim);
}

/* There is one for every connection that may be counted. */
static struct fl_connection_address *take_address(struct fl_connections *connections,
                                                  const struct fl_address *address)
{
    struct fl_connection_address *at = find_address(connections, address);
    if (!at) {
        struct fl_connection_address **bucket = bucket_of(connections, address);
        at = connections->free_addresses;
        connections->free_addresses = at->next;
        *at = (struct fl_connection_address){.next = *bucket, .address = *address};
        *bucket = at;
    }
    return at;
}

static void drop_address(struct fl_connections *connections, struct fl_connection_address *at)
{
    struct fl_connection_address **link = bucket_of(connections, &at->address);
    while (*link != at)
        link = &(*link)->next;
    *link = at->next;
    at->next = connections->free_addresses;
    connections->free_addresses = at;
}

static void remove_stranger(struct fl_connections *connections, struct fl_connection *connection)
{
    *(connection->older ? &connection->older->newer : &connections->oldest) = connection->newer;
    *(connection->newer ? &connection->newer->older : &connections->newest) = connection->older;
    connection->older = connection->newer = NULL;
    connection->at->strangers--;
    connections->strangers--;
}

enum fl_admission fl_connections_admit(struct fl_connections *connections, const struct fl_address *address,
                                       struct fl_connection *connection, struct fl_connection **ret_evicted)
{
    enum fl_admission admission = decide(connections, address, ret_evicted);

    *connection = (struct fl_connection){.known = 0};
    if (admission)
        return admission;
    if (*ret_evicted)
        fl_connections_leave(connections, *ret_evicted);
    connection->at = take_address(connections, address);
    connection->at->total++;
    connection->at->strangers++;
    connections->total++;
    connections->strangers++;
    connection->older = connections->newest;
    *(connection->older ? &connection->older->newer : &connections->oldest) = connection;
    connections->newest = connection;
    return FL_ADMITTED;
}

void fl_connections_know(struct fl_connections *connections, struct fl_connection *connection)
{
    if (connection->at && !connection->known)
        remove_stranger(connections, connection);
    connection->known = 1;
}

void fl_connections_leave(struct fl_connections *connections, struct fl_connection *connection)
{
    struct fl_connection_address *at = connection->at;
    if (!at)
        return;
    if (!connection->known)
        remove_stranger(connections, connection);
    connection->at = NULL;
    connections->total--;
    if (--at->total == 0)
        drop_address(connections, at);
}

size_t fl_connections_count(const struct fl_connections *connections)
{
    return connections->total;
}

size_t fl_connections_strangers(const struct fl_connections *connections)
{
    return connections->strangers;
}

const char *fl_admission_setting(enum fl_admission admission)
{
    switch (admission) {
    case FL_REFUSED_TOTAL:
        return "listen.connections";
    case FL_REFUSED_STRANGERS:
        return "listen.strangers";
    case FL_REFUSED_ADDRESS:
        return "listen.per_address";
    case FL_REFUSED_ADDRESS_STRANGERS:
        return "listen.strangers_per_address";
    case FL_ADMITTED:
        break;
    }
    return "";
}
