#include "codec/topk.h"

#include <math.h>
#include <string.h>

#include "codec/floats.h"

#define DIGIT_BITS 11
#define DIGITS     (1u << DIGIT_BITS)
#define SAMPLE     ((size_t)1 << 15)

static uint32_t magnitude_at(const void *x, size_t i)
{
    uint32_t bits;
    memcpy(&bits, (const char *)x + i * sizeof bits, sizeof bits);
    return bits & FL_FLOAT_MAGNITUDE;
}

/* Found 11 bits at a time from the top. */
uint32_t fl_topk_kth(const void *x, size_t n, size_t stride, size_t k, size_t *ret_equal)
{
    uint32_t prefix = 0, mask = 0;
    for (int shift = 22; shift >= 0; shift -= DIGIT_BITS) {
        size_t counts[DIGITS] = {0};
        for (size_t i = 0; i < n; i++) {
            uint32_t magnitude = magnitude_at(x, i * stride);
            if ((magnitude & mask) == prefix)
                counts[magnitude >> shift & (DIGITS - 1)]++;
        }
        uint32_t digit = DIGITS - 1;
        for (; counts[digit] < k; digit--)
            k -= counts[digit];
        prefix |= digit << shift;
        mask |= (DIGITS - 1) << shift;
    }
    *ret_equal = k;
    return prefix;
}

float fl_topk_magnitude(const float *x, size_t n, size_t stride, size_t k)
{
    size_t equal;
    return fl_float_from_bits(fl_topk_kth(x, n, stride, k, &equal));
}

size_t fl_topk_select(const float *x, size_t n, size_t k, uint32_t base, uint32_t *ret_indices,
                      uint32_t *ret_bits)
{
    size_t equal, at = 0;
    uint32_t least = fl_topk_kth(x, n, 1, k, &equal);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = fl_float_bits(x[i]), magnitude = bits & FL_FLOAT_MAGNITUDE;
        if (magnitude < least || !magnitude || (magnitude == least && !equal))
            continue;
        equal -= magnitude == least;
        ret_indices[at] = base + (uint32_t)i;
        ret_bits[at++] = bits;
    }
    return at;
}

/* One element, at random, of each of SAMPLE equal parts. */
uint32_t fl_topk_bound(const float *a, const float *b, size_t n, size_t k, size_t *ret_most)
{
    uint32_t sample[SAMPLE];
    uint64_t random = n, stride = n / SAMPLE;
    size_t equal;
    for (size_t j = 0; j < SAMPLE; j++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t i = j * stride + (size_t)((random >> 32) * stride >> 32);
        sample[j] = fl_float_bits(a[i] + b[i]);
    }
    double expected = (double)k / (double)n * (double)SAMPLE, margin = 5 * sqrt(expected) + 10;
    *ret_most = (size_t)((expected + 3 * margin) / (double)SAMPLE * (double)n);
    if (expected + margin >= (double)SAMPLE) {
        *ret_most = n;
        return 1;
    }
    uint32_t bound = fl_topk_kth(sample, SAMPLE, 1, (size_t)(expected + margin), &equal);
    return bound ? bound : 1;
}
