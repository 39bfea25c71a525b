/*
 * How long a transfer may take: a deadline that moves on with the bytes that arrive, by what they are worth
 * at the least rate, but never further than the grace ahead. A trickle is cut off after about one grace, a
 * slow but steady transfer never, and a burst buys no time for a stall. No clock, no sockets: see watch.h.
 */
#ifndef FL_SERVER_PORT_PACE_H
#define FL_SERVER_PORT_PACE_H

#include <stdint.h>

struct fl_pace_rule {
    uint64_t grace_ms; /* within which something must come */
    uint64_t min_rate; /* bytes a second, at least 1 */
};

struct fl_pace {
    uint64_t deadline_ms;
    uint64_t rest; /* thousandths of bytes that are not yet worth a millisecond */
};

void fl_pace_start(struct fl_pace *pace, const struct fl_pace_rule *rule, uint64_t now_ms);

/* bytes have moved since the last call. */
void fl_pace_move(struct fl_pace *pace, const struct fl_pace_rule *rule, uint64_t now_ms, uint64_t bytes);

/* The longest that a transfer of so many bytes may take, milliseconds: grace + bytes / min_rate. */
uint64_t fl_pace_longest_ms(const struct fl_pace_rule *rule, uint64_t bytes);

#endif
