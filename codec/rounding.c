#include "codec/rounding.h"

#include <math.h>

#include "codec/draw.h"
#include "codec/floats.h"
#include "codec/grid.h"

#define MANTISSA    0x7fffffu
#define POWER_MOST  0x7f000000u /* 2^127 */
#define POWER_SHIFT 23

static int32_t random_level(float p, double inverse_step, uint32_t word)
{
    double x = fabs((double)p) * inverse_step, low = floor(x);
    if (low >= (double)FL_CODEC_LEVEL_MAX)
        return p < 0 ? -FL_CODEC_LEVEL_MAX : FL_CODEC_LEVEL_MAX;
    int32_t magnitude = (int32_t)low + (word < (uint32_t)((x - low) * 0x1p32));
    return p < 0 ? -magnitude : magnitude;
}

size_t fl_rounding_levels(const float *p, size_t n, int step_log2, uint64_t seed, uint32_t *ret_indices,
                          uint32_t *ret_levels)
{
    struct fl_draw draw = {.seed = seed};
    float ceiling = fl_grid_ceiling(step_log2);
    double inverse_step = ldexp(1.0, -step_log2);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t level = fabsf(p[i]) < ceiling ? random_level(p[i], inverse_step, fl_draw_word(&draw, i)) : 0;
        if (level && ret_indices) {
            ret_indices[count] = (uint32_t)i;
            ret_levels[count] = (uint32_t)level;
        }
        count += level != 0;
    }
    return count;
}

void fl_rounding_natural(const float *p, size_t n, uint64_t first, uint64_t seed, uint32_t *ret_words)
{
    struct fl_draw draw = {.seed = seed};
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = fl_float_bits(p[i]), magnitude = bits & FL_FLOAT_MAGNITUDE;
        uint32_t up = fl_draw_word(&draw, first + i) < (magnitude & MANTISSA) << (32 - POWER_SHIFT);
        uint32_t power = (magnitude & ~MANTISSA) + (up << POWER_SHIFT);
        power = power > POWER_MOST ? POWER_MOST : power;
        ret_words[i] = power ? (bits & ~FL_FLOAT_MAGNITUDE) | power : 0;
    }
}
