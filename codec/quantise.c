#include "codec/quantise.h"

#include <math.h>

#include "codec/draw.h"

/* Largest i <= count - 2 with table[i] <= r, 0 when there is none. */
static size_t below(const struct fl_quantise_levels *levels, float r)
{
    size_t low = 0, size = levels->count - 1; /* the answer is in [low, low + size) */
    while (size > 1) {
        size_t half = size / 2;
        low = levels->table[low + half] <= r ? low + half : low;
        size -= half;
    }
    return low;
}

/* Of 2^32 words, how many round r up from table[i]: 0 for r below the table, 2^32 from table[i + 1] on. */
static uint64_t words_up(const struct fl_quantise_levels *levels, size_t i, float r)
{
    double a = levels->table[i], c = levels->table[i + 1];
    return (uint64_t)(fmax(0, fmin(1, (r - a) / (c - a))) * 0x1p32);
}

void fl_quantise_stochastic(const struct fl_quantise_levels *levels, const float *v, float norm, size_t n,
                            uint64_t first, const struct fl_quantise_draw *draw, uint8_t *ret_indices)
{
    struct fl_draw words = {.seed = draw->seed, .round = draw->round, .purpose = draw->purpose};
    for (size_t i = 0; i < n; i++) {
        float r = v[i] / norm;
        size_t low = below(levels, r);
        ret_indices[i] = (uint8_t)(low + (fl_draw_word(&words, first + i) < words_up(levels, low, r)));
    }
}

void fl_quantise_nearest(const struct fl_quantise_levels *levels, const float *v, float norm, size_t n,
                         uint8_t *ret_indices)
{
    for (size_t i = 0; i < n; i++) {
        float r = v[i] / norm;
        size_t low = below(levels, r);
        double down = (double)r - levels->table[low], up = levels->table[low + 1] - (double)r;
        ret_indices[i] = (uint8_t)(low + (up < down));
    }
}

void fl_quantise_decode(const struct fl_quantise_levels *levels, const uint8_t *indices, float norm, size_t n,
                        float *ret_v)
{
    for (size_t i = 0; i < n; i++)
        ret_v[i] = levels->table[indices[i]] * norm;
}
