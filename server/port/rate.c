#include "server/port/rate.h"

#include <string.h>

#include "base/random.h"

#define MINUTE_MS 60000

void fl_rate_init(struct fl_rate *rate, uint64_t per_minute, uint64_t seed)
{
    memset(rate, 0, sizeof *rate);
    rate->per_minute = per_minute;
    rate->seed = seed;
}

uint64_t fl_rate_take(struct fl_rate *rate, uint64_t key, uint64_t now_ms)
{
    size_t place = (size_t)(fl_mix64(rate->seed, key) % FL_RATE_PLACES);
    uint64_t *spent = &rate->places[place].spent;
    uint64_t passed_ms = now_ms - rate->places[place].seen_ms;
    uint64_t regained = (passed_ms < MINUTE_MS ? passed_ms : MINUTE_MS) * rate->per_minute;
    uint64_t most = (rate->per_minute - 1) * MINUTE_MS; /* that may be spent before one more */

    *spent -= regained < *spent ? regained : *spent;
    rate->places[place].seen_ms = now_ms;
    if (*spent > most)
        return (*spent - most + rate->per_minute - 1) / rate->per_minute;
    *spent += MINUTE_MS;
    return 0;
}
