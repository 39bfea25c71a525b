#include "codec/lambda_rules.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "codec/topk.h"

/* Below this many survivors a sample says too little about the tail. */
#define SURVIVORS_LEAST 64

static int is_positive(double value)
{
    return isfinite(value) && value > 0;
}

enum fl_status fl_lambda_from_count(double k, double *ret_lambda)
{
    return fl_lambda_delta_from_count(k, 1, 1, ret_lambda);
}

enum fl_status fl_lambda_delta_from_count(double k, double step_size, double steps, double *ret_lambda)
{
    if (!is_positive(k) || !is_positive(step_size) || !is_positive(steps))
        return FL_ERR_RANGE;
    *ret_lambda = step_size * steps / (2 * sqrt(k));
    return FL_OK;
}

enum fl_status fl_lambda_from_accuracy(enum fl_lambda_accuracy form, double epsilon, double step_size,
                                       double smoothness, double dim, double *ret_lambda)
{
    double scale = form == FL_LAMBDA_SAFE ? smoothness / 2 : 1;
    if (!is_positive(epsilon) || !is_positive(step_size) || !is_positive(scale) || !is_positive(dim))
        return FL_ERR_RANGE;
    *ret_lambda = sqrt(epsilon / (scale * dim)) / step_size;
    return FL_OK;
}

size_t fl_lambda_budget_count(size_t dim, size_t bytes, double value_bits)
{
    size_t fits = 0, above = dim; /* the bits of k coordinates grow with k <= dim */
    while (fits < above) {
        size_t k = fits + (above - fits + 1) / 2;
        double bits = (double)k * (log2((double)dim / (double)k) + 1.5 + value_bits);
        if (bits <= 8 * (double)bytes)
            fits = k;
        else
            above = k - 1;
    }
    return fits;
}

static enum fl_status check(const struct fl_kernels *kernels, const float *x, size_t n, size_t count)
{
    if (n == 0)
        return FL_ERR_SHAPE;
    if (count == 0 || count > n)
        return FL_ERR_RANGE;
    return kernels->all_finite(x, n) ? FL_OK : FL_ERR_NOT_FINITE;
}

/* One element of each of FL_LAMBDA_SAMPLE parts of x, whose sizes differ by at most 1. */
static void draw_sample(const float *x, size_t n, uint64_t seed, float *ret_sample)
{
    struct fl_random random;
    fl_random_init(&random, seed, 0);
    size_t start = 0, part = n / FL_LAMBDA_SAMPLE, longer = n % FL_LAMBDA_SAMPLE;
    for (size_t i = 0; i < FL_LAMBDA_SAMPLE; i++) {
        size_t size = part + (i < longer);
        ret_sample[i] = x[start + fl_random_below(&random, size)];
        start += size;
    }
}

enum fl_status fl_lambda_from_sample(const struct fl_kernels *kernels, const float *x, size_t n, size_t count,
                                     uint64_t seed, float *ret_lambda)
{
    double survivors = (double)count * ((double)FL_LAMBDA_SAMPLE / (double)n);
    if (n <= FL_LAMBDA_SAMPLE || survivors < SURVIVORS_LEAST)
        return fl_lambda_offline(kernels, x, n, count, ret_lambda);
    enum fl_status st = check(kernels, x, n, count);
    if (st)
        return st;
    float *sample = malloc(FL_LAMBDA_SAMPLE * sizeof *sample);
    if (!sample)
        return FL_ERR_NOMEM;
    draw_sample(x, n, seed, sample);
    *ret_lambda = fmaxf(FLT_MIN, fl_topk_magnitude(sample, FL_LAMBDA_SAMPLE, 1, (size_t)(survivors + 0.5)));
    free(sample);
    return FL_OK;
}

enum fl_status fl_lambda_offline(const struct fl_kernels *kernels, const float *stacked, size_t n,
                                 size_t total, float *ret_lambda)
{
    enum fl_status st = check(kernels, stacked, n, total);
    if (st)
        return st;
    *ret_lambda = fmaxf(FLT_MIN, fl_topk_magnitude(stacked, n, 1, total));
    return FL_OK;
}
