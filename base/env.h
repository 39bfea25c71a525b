/*
 * What the outside gives a core: time, entropy and the digest of bytes. Cores take a `struct fl_env`, so the
 * same code runs in production and in a simulation with a made-up clock and a seeded source of entropy.
 */
#ifndef FL_BASE_ENV_H
#define FL_BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define FL_DIGEST_SIZE 32 /* bytes of SHA-256, and of HMAC-SHA-256 */

struct fl_env {
    void *user; /* first argument of every call */
    /* Milliseconds since an arbitrary start; never goes back. Any thread. */
    uint64_t (*monotonic_ms)(void *user);
    /* Milliseconds since 1970 UTC; may jump. For records only, never for deadlines. */
    int64_t (*wall_ms)(void *user);
    /* Fills size bytes that nobody can guess (in simulations: seeded). */
    void (*entropy)(void *user, uint8_t *ret_bytes, size_t size);
    /* SHA-256 of data. */
    void (*sha256)(void *user, struct fl_bytes data, uint8_t ret_digest[FL_DIGEST_SIZE]);
    /* HMAC-SHA-256 of data. */
    void (*hmac)(void *user, struct fl_bytes key, struct fl_bytes data, uint8_t ret_mac[FL_DIGEST_SIZE]);
};

#endif
