#include "codec/sampled_threshold.h"

#include <math.h>

#include "base/random.h"
#include "codec/topk.h"
#include "kernels/dgc.h"

size_t fl_threshold_cap(double ratio, size_t n)
{
    double count = ceil(ratio * (double)n * (1 - 0x1p-50)); /* 0.1 * 30 is just above 3 */
    return count < 1 ? 1 : count > (double)n ? n : (size_t)count;
}

struct fl_threshold_sample fl_threshold_draw_sample(size_t n, double ratio, uint64_t seed)
{
    struct fl_threshold_sample sample;
    double wanted = fmax(0.01 * (double)n, 2 / ratio);
    sample.stride = wanted >= (double)n ? 1 : (size_t)((double)n / wanted);
    sample.stride -= sample.stride % 2 == 0;
    struct fl_random random;
    fl_random_init(&random, seed, 0);
    sample.start = (size_t)fl_random_below(&random, sample.stride);
    sample.count = (n - sample.start - 1) / sample.stride + 1;
    sample.rank = fl_threshold_cap(ratio, sample.count);
    return sample;
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
    struct fl_threshold_sample sample = fl_threshold_draw_sample(n, ratio, seed);
    float threshold =
        fmaxf(FLT_MIN, fl_topk_magnitude(x + sample.start, sample.count, sample.stride, sample.rank));
    enum fl_dgc_verdict verdict = FL_DGC_LOWER;
    for (int round = 0; round < FL_DGC_ROUNDS_MAX && verdict == FL_DGC_LOWER; round++)
        verdict = fl_dgc_judge(kernels->count_band(x, n, threshold, INFINITY), target, &threshold);
    if (verdict == FL_DGC_EXACT)
        threshold = fl_topk_magnitude(x, n, 1, target);
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
