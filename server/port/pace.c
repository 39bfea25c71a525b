#include "server/port/pace.h"

#define BYTES_MAX ((uint64_t)1 << 50) /* of one step; more would overflow the arithmetic */

void fl_pace_start(struct fl_pace *pace, const struct fl_pace_rule *rule, uint64_t now_ms)
{
    *pace = (struct fl_pace){.deadline_ms = now_ms + rule->grace_ms};
}

void fl_pace_move(struct fl_pace *pace, const struct fl_pace_rule *rule, uint64_t now_ms, uint64_t bytes)
{
    uint64_t worth = (bytes < BYTES_MAX ? bytes : BYTES_MAX) * 1000 + pace->rest;

    pace->deadline_ms += worth / rule->min_rate;
    pace->rest = worth % rule->min_rate;
    if (pace->deadline_ms > now_ms + rule->grace_ms)
        fl_pace_start(pace, rule, now_ms);
}

uint64_t fl_pace_longest_ms(const struct fl_pace_rule *rule, uint64_t bytes)
{
    return rule->grace_ms + (bytes < BYTES_MAX ? bytes : BYTES_MAX) * 1000 / rule->min_rate;
}
