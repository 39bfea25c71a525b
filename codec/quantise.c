#include "codec/quantise.h"

/* Elements that random words are drawn for at once. */
#define BATCH 512

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

void fl_quantise_stochastic(const struct fl_kernels *kernels, const struct fl_quantise_levels *levels,
                            const float *v, float norm, size_t n, uint64_t first,
                            const struct fl_kernels_draw *draw, uint8_t *ret_indices)
{
    uint32_t words[BATCH];
    for (size_t at = 0, size; at < n; at += size) {
        size = n - at < BATCH ? n - at : BATCH;
        kernels->draw(draw, first + at, size, words);
        kernels->round_table(levels->table, levels->count, v + at, norm, words, size, ret_indices + at);
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
