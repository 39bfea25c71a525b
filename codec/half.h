/*
 * float32 to the two 16-bit forms and back: bfloat16 (8 exponent bits) and IEEE binary16. To nearest, ties to
 * even. Finite stays finite: what is too large becomes the largest finite number, so that the rest can wait
 * in a residual.
 */
#ifndef FL_CODEC_HALF_H
#define FL_CODEC_HALF_H

#include "codec/floats.h"

/* Drops the low shift bits of a magnitude, 1 <= shift <= 24, to nearest, ties to even. */
static inline uint32_t fl_half_round(uint32_t magnitude, unsigned shift)
{
    uint32_t half = UINT32_C(1) << (shift - 1), rest = magnitude & ((UINT32_C(1) << shift) - 1);
    uint32_t kept = magnitude >> shift;
    return kept + (rest > half || (rest == half && (kept & 1)));
}

static inline uint16_t fl_bfloat16_from_float(float value)
{
    uint32_t bits = fl_float_bits(value), kept = fl_half_round(bits & FL_FLOAT_MAGNITUDE, 16);
    return (uint16_t)(bits >> 31 << 15 | (kept > 0x7f7f ? 0x7f7f : kept));
}

static inline float fl_bfloat16_to_float(uint16_t half)
{
    return fl_float_from_bits((uint32_t)half << 16);
}

static inline uint16_t fl_float16_from_float(float value)
{
    uint32_t bits = fl_float_bits(value), magnitude = bits & FL_FLOAT_MAGNITUDE, kept;
    unsigned exponent = magnitude >> 23;
    if (exponent >= 113) /* normal there: 2^-14 and above */
        kept = fl_half_round(magnitude - (UINT32_C(112) << 23), 13);
    else if (exponent >= 102) /* a multiple of 2^-24, from 2^-25 up */
        kept = fl_half_round((magnitude & 0x7fffff) | 0x800000, 126 - exponent);
    else
        kept = 0;
    return (uint16_t)(bits >> 31 << 15 | (kept > 0x7bff ? 0x7bff : kept));
}

static inline float fl_float16_to_float(uint16_t half)
{
    uint32_t exponent = half >> 10 & 31, mantissa = half & 0x3ff;
    float magnitude = exponent == 31  ? fl_float_from_bits(FL_FLOAT_INFINITY | mantissa << 13)
                      : exponent != 0 ? fl_float_from_bits((exponent + 112) << 23 | mantissa << 13)
                                      : (float)mantissa * 0x1p-24f;
    return half >> 15 ? -magnitude : magnitude;
}

#endif
