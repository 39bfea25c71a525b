/* Float32 and float64 seen as bits and back. */
#ifndef FL_CODEC_FLOATS_H
#define FL_CODEC_FLOATS_H

#include <stdint.h>
#include <string.h>

#define FL_FLOAT_MAGNITUDE 0x7fffffffu
#define FL_FLOAT_INFINITY  0x7f800000u

static inline uint32_t fl_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float fl_float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t fl_double_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double fl_double_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int fl_float_bits_finite(uint32_t bits)
{
    return (bits & FL_FLOAT_INFINITY) != FL_FLOAT_INFINITY;
}

#endif
