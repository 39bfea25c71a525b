#include "platform/env.h"

#include <time.h>

#include "platform/crypto.h"

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now = {0, 0};

    clock_gettime(clock, &now); /* cannot fail for the two clocks below */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t fl_monotonic_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t monotonic_ms(void *user)
{
    (void)user;
    return (uint64_t)clock_ms(CLOCK_MONOTONIC);
}

static int64_t wall_ms(void *user)
{
    (void)user;
    return clock_ms(CLOCK_REALTIME);
}

static void entropy(void *user, uint8_t *ret_bytes, size_t size)
{
    (void)user;
    fl_random_bytes(ret_bytes, size);
}

static void sha256(void *user, struct fl_bytes data, uint8_t ret_digest[FL_DIGEST_SIZE])
{
    (void)user;
    fl_sha256(data, ret_digest);
}

static void hmac(void *user, struct fl_bytes key, struct fl_bytes data, uint8_t ret_mac[FL_DIGEST_SIZE])
{
    (void)user;
    fl_hmac_sha256(key, data, ret_mac);
}

struct fl_env fl_env_system(void)
{
    return (struct fl_env){NULL, monotonic_ms, wall_ms, entropy, sha256, hmac};
}
