#include "codec/sampled_threshold.h"

#include <float.h>
#include <math.h>

#include "base/random.h"
#include "codec/topk.h"

#define ROUNDS_MAX 10

size_t fl_threshold_cap(double ratio, size_t n)
{
    double count = ceil(ratio * (double)n * (1 - 0x1p-50)); /* 0.1 * 30 is just above 3 */
    return count < 1 ? 1 : count > (double)n ? n : (size_t)count;
}

static float threshold_of_sample(const float *x, size_t n, double ratio, uint64_t seed)
{
    double wanted = fmax(0.01 * (double)n, 2 / ratio);
    size_t stride = wanted >= (double)n ? 1 : (size_t)((double)n / wanted);
    stride -= stride % 2 == 0;
    struct fl_random random;
    fl_random_init(&random, seed, 0);
    size_t start = (size_t)fl_random_below(&random, stride), samples = (n - start - 1) / stride + 1;
    return fl_topk_magnitude(x + start, samples, stride, fl_threshold_cap(ratio, samples));
}

enum fl_status fl_threshold_dgc(const struct fl_kernels *kernels, const float *x, size_t n, double ratio,
                                uint64_t seed, float *ret_threshold)
{
    if (n == 0)
        return FL_ERR_SHAPE;
    if (!(ratio > 0 && ratio <= 1))
        return FL_ERR_RANGE;
    if (!kernels->all_finite(x, n))
        return FL_ERR_NOT_FINITE;
    size_t target = fl_threshold_cap(ratio, n);
    float threshold = fmaxf(FLT_MIN, threshold_of_sample(x, n, ratio, seed));
    for (int round = 0; round < ROUNDS_MAX; round++) {
        double share = (double)kernels->count_band(x, n, threshold, INFINITY) / (double)target;
        if (share > 1.3)
            threshold = fl_topk_magnitude(x, n, 1, target);
        if (share >= 0.8 || threshold == FLT_MIN)
            break;
        threshold = fmaxf(FLT_MIN, 0.8f * threshold);
    }
    *ret_threshold = threshold;
    return FL_OK;
}

size_t fl_threshold_select(const struct fl_kernels *kernels, const float *x, size_t n, float threshold,
                           size_t cap, uint32_t *ret_indices, uint32_t *ret_bits)
{
    size_t count = kernels->count_band(x, n, threshold, INFINITY);
    if (count > cap)
        return fl_topk_select(x, n, cap, 0, ret_indices, ret_bits);
    kernels->select_band(x, n, threshold, INFINITY, ret_indices, ret_bits);
    return count;
}
