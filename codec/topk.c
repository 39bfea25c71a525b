#include "codec/topk.h"

#include "codec/floats.h"

#define DIGIT_BITS 11
#define DIGITS     (1u << DIGIT_BITS)

/* The k-th largest magnitude of n elements, stride apart, as bits (ordered like the floats), found 11 bits at
 * a time from the top; how many of the k are equal to it goes to ret_equal. */
static uint32_t kth_magnitude(const float *x, size_t n, size_t stride, size_t k, size_t *ret_equal)
{
    uint32_t prefix = 0, mask = 0;
    for (int shift = 22; shift >= 0; shift -= DIGIT_BITS) {
        size_t counts[DIGITS] = {0};
        for (size_t i = 0; i < n; i++) {
            uint32_t magnitude = fl_float_bits(x[i * stride]) & FL_FLOAT_MAGNITUDE;
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
    return fl_float_from_bits(kth_magnitude(x, n, stride, k, &equal));
}

size_t fl_topk_select(const float *x, size_t n, size_t k, uint32_t base, uint32_t *ret_indices,
                      uint32_t *ret_bits)
{
    size_t equal, at = 0;
    uint32_t least = kth_magnitude(x, n, 1, k, &equal);
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
