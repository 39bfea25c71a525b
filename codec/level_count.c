#include "codec/level_count.h"

#include <math.h>

void fl_level_count_check(struct fl_level_count *state, double mean, double sigma)
{
    double ratio = fabs(mean) / sigma;
    if (!isfinite(ratio) || !isfinite(sigma))
        return;
    if (state->reference == 0) {
        state->reference = ratio;
    } else if (ratio <= 0.5 * state->reference) {
        state->levels = state->levels > state->most / 2 ? state->most : 2 * state->levels;
        state->reference = ratio;
    }
}

uint32_t fl_level_count_of_norm(double norm, double unit, uint32_t least, uint32_t most)
{
    double wanted = floor(norm / unit + 0.5);
    if (!(wanted > least))
        return least;
    return wanted < most ? (uint32_t)wanted : most;
}
