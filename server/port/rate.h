/*
 * How often something may happen: as much as a minute's allowance at once, then evenly (a token bucket). One
 * object counts for many keys in fixed memory: keys that fall into the same place share its allowance. Not
 * thread-safe, no clock.
 */
#ifndef FL_SERVER_PORT_RATE_H
#define FL_SERVER_PORT_RATE_H

#include <stdint.h>

#define FL_RATE_PLACES 1024

struct fl_rate {
    uint64_t per_minute; /* 1 to 2^32 */
    uint64_t seed;       /* unknown to those who choose keys */
    struct {
        uint64_t spent; /* of an allowance, in units of 1/60000 */
        uint64_t seen_ms;
    } places[FL_RATE_PLACES];
};

void fl_rate_init(struct fl_rate *rate, uint64_t per_minute, uint64_t seed);

/* 0: it may happen, and counts. Else the milliseconds after which it may. */
uint64_t fl_rate_take(struct fl_rate *rate, uint64_t key, uint64_t now_ms);

#endif
