#include "codec/block_int.h"

#include <math.h>

#include "codec/floats.h"

#define EXPONENT_BIAS 126

static double numerator(const struct fl_block_int *block)
{
    return (double)INT32_MAX - block->contributors;
}

uint8_t fl_block_int_exponent(const float *x, size_t n)
{
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t magnitude = fl_float_bits(x[i]) & FL_FLOAT_MAGNITUDE;
        most = magnitude > most ? magnitude : most;
    }
    return (uint8_t)(most >> 23);
}

double fl_block_int_factor(const struct fl_block_int *block)
{
    return ldexp(numerator(block) / block->contributors, EXPONENT_BIAS - block->exponent);
}

int32_t fl_block_int_quantise(const struct fl_block_int *block, float x)
{
    int32_t q = (int32_t)round((double)x * fl_block_int_factor(block));
    if (isinf(fl_block_int_value(block, q)))
        q -= q > 0 ? 1 : -1;
    return q;
}

int fl_block_int_fits(const struct fl_block_int *block, int32_t q)
{
    int64_t all = (int64_t)q * block->contributors;
    return all <= INT32_MAX && all >= -INT32_MAX;
}

float fl_block_int_value(const struct fl_block_int *block, int32_t q)
{
    double quotient = (double)q * block->contributors / numerator(block);
    return (float)ldexp(quotient, block->exponent - EXPONENT_BIAS);
}

enum fl_status fl_block_int_add(const int32_t *q, size_t count, int32_t *sum)
{
    int32_t total;
    for (size_t i = 0; i < count; i++) {
        if (__builtin_add_overflow(sum[i], q[i], &total))
            return FL_ERR_RANGE;
    }
    for (size_t i = 0; i < count; i++)
        sum[i] += q[i];
    return FL_OK;
}

void fl_block_int_mean(const struct fl_block_int *block, const int32_t *sum, size_t count, uint32_t messages,
                       float *ret_mean)
{
    double divisor = fl_block_int_factor(block) * messages;
    for (size_t i = 0; i < count; i++)
        ret_mean[i] = (float)((double)sum[i] / divisor);
}
