#include "kernels/portable.h"

#include <math.h>
#include <string.h>

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void add(const float *a, const float *b, float *ret_sum, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret_sum[i] = a[i] + b[i];
}

static void subtract(const float *a, const float *b, float *ret_difference, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret_difference[i] = a[i] - b[i];
}

static int all_finite(const float *x, size_t n)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= (float_bits(x[i]) & 0x7f800000u) == 0x7f800000u;
    return !bad;
}

static double sum_squares(const float *x, size_t n)
{
    double lane[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t j = 0; j < 8; j++)
            lane[j] += (double)x[i + j] * (double)x[i + j];
    }
    for (size_t j = 0; i < n; i++, j++)
        lane[j] += (double)x[i] * (double)x[i];
    double sum = lane[0];
    for (size_t j = 1; j < 8; j++)
        sum += lane[j];
    return sum;
}

static float max_abs(const float *x, size_t n)
{
    uint32_t most = 0; /* the bits of non-negative floats are ordered as the floats are */
    for (size_t i = 0; i < n; i++) {
        uint32_t magnitude = float_bits(x[i]) & 0x7fffffffu;
        most = magnitude > most ? magnitude : most;
    }
    float result;
    memcpy(&result, &most, sizeof result);
    return result;
}

static size_t count_band(const float *x, size_t n, float low, float high)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        float magnitude = fabsf(x[i]);
        count += (size_t)((magnitude >= low) & (magnitude < high));
    }
    return count;
}

static void select_band(const float *x, size_t n, float low, float high, uint32_t *ret_indices,
                        uint32_t *ret_bits)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        float magnitude = fabsf(x[i]);
        if (magnitude >= low && magnitude < high) {
            ret_indices[at] = (uint32_t)i;
            ret_bits[at++] = float_bits(x[i]);
        }
    }
}

static size_t publish(const double *x, float *x_hat, uint32_t *touched, size_t n, double lambda_down,
                      uint32_t version)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        float rounded = (float)x[i];
        if (fabs(x[i] - (double)x_hat[i]) >= lambda_down && rounded != x_hat[i]) {
            x_hat[i] = rounded;
            touched[i] = version;
            count++;
        }
    }
    return count;
}

const struct fl_kernels fl_kernels_portable = {
    .name = "portable",
    .add = add,
    .subtract = subtract,
    .all_finite = all_finite,
    .sum_squares = sum_squares,
    .max_abs = max_abs,
    .count_band = count_band,
    .select_band = select_band,
    .publish = publish,
};
