#include "codec/sidco.h"

#include <float.h>
#include <math.h>

#include "codec/floats.h"

#define FIRST_SHARE   0.25
#define OBSERVED_EACH 5
#define PARETO_LIMIT  1e-6 /* |k| below it: the exponential limit */
#define SPREAD_LEAST  1e-6 /* variance over squared mean below it: all equal */

enum fl_status fl_sidco_init(enum fl_sidco_fit fit, double ratio, struct fl_sidco *ret_sidco)
{
    if (!(ratio > 0 && ratio <= 1))
        return FL_ERR_RANGE;
    double most = ceil(-log2(ratio));
    *ret_sidco = (struct fl_sidco){
        .fit = fit, .ratio = ratio, .stages = 1, .stages_max = most < 1 ? 1 : (unsigned)most, .direction = 1};
    return FL_OK;
}

void fl_sidco_observe(struct fl_sidco *sidco, size_t count, size_t n)
{
    sidco->shares += (double)count / ((double)n * sidco->ratio);
    if (++sidco->observed < OBSERVED_EACH)
        return;
    double average = sidco->shares / OBSERVED_EACH;
    int off = (average < 0.8) - (average > 1.2), off_before = (sidco->last < 0.8) - (sidco->last > 1.2);
    if (sidco->last > 0 && off && off == off_before && off * (average - sidco->last) <= 0)
        sidco->direction = -sidco->direction;
    int step = off * sidco->direction;
    if (step > 0 && sidco->stages < sidco->stages_max)
        sidco->stages++;
    if (step < 0 && sidco->stages > 1)
        sidco->stages--;
    sidco->last = average;
    sidco->shares = 0;
    sidco->observed = 0;
}

#define SAVED_BYTES 22

enum fl_status fl_sidco_save(const struct fl_sidco *sidco, struct fl_buf *out)
{
    uint8_t bytes[SAVED_BYTES] = {(uint8_t)sidco->direction, (uint8_t)sidco->observed};
    fl_store_le32(bytes + 2, sidco->stages);
    fl_store_le64(bytes + 6, fl_double_bits(sidco->shares));
    fl_store_le64(bytes + 14, fl_double_bits(sidco->last));
    return fl_buf_append(out, bytes, sizeof bytes);
}

enum fl_status fl_sidco_load(struct fl_sidco *sidco, struct fl_bytes bytes)
{
    const uint8_t *at = bytes.data;
    if (bytes.size != SAVED_BYTES || (at[0] != 1 && at[0] != 0xff) || at[1] >= OBSERVED_EACH)
        return FL_ERR_CORRUPT;
    uint32_t stages = fl_load_le32(at + 2);
    double shares = fl_double_from_bits(fl_load_le64(at + 6));
    double last = fl_double_from_bits(fl_load_le64(at + 14));
    if (stages < 1 || stages > sidco->stages_max || !(shares >= 0 && isfinite(shares)) ||
        !(last >= 0 && isfinite(last)))
        return FL_ERR_CORRUPT;
    sidco->direction = at[0] == 1 ? 1 : -1;
    sidco->observed = at[1];
    sidco->stages = stages;
    sidco->shares = shares;
    sidco->last = last;
    return FL_OK;
}

/* Moments of |x[i]| - least over the elements that are not zero and not below least. */
struct moments {
    size_t count;
    double mean, variance, mean_log; /* mean_log: of ln |x[i]|, only with a gamma fit */
};

static struct moments moments_above(const float *x, size_t n, float least, int with_log)
{
    struct moments m = {0};
    double sum = 0, squares = 0, logs = 0;
    for (size_t i = 0; i < n; i++) {
        float magnitude = fabsf(x[i]);
        if (magnitude < least || magnitude == 0)
            continue;
        double excess = (double)magnitude - (double)least;
        m.count++;
        sum += excess;
        squares += excess * excess;
        if (with_log)
            logs += log((double)magnitude);
    }
    if (m.count) {
        m.mean = sum / (double)m.count;
        m.variance = fmax(0, squares / (double)m.count - m.mean * m.mean);
        m.mean_log = logs / (double)m.count;
    }
    return m;
}

static double pareto_threshold(const struct moments *m, double share)
{
    double spread = m->mean * m->mean / m->variance;
    double k = 0.5 * (spread - 1), b = 0.5 * m->mean * (spread + 1);
    return fabs(k) < PARETO_LIMIT ? -b * log(share) : b * -expm1(k * log(share)) / k;
}

/* x^a e^-x / Gamma(a + 1) */
static double gamma_weight(double a, double x)
{
    int sign;
    return exp(a * log(x) - x - lgamma_r(a + 1, &sign));
}

double fl_sidco_gamma_upper(double a, double x)
{
    if (x <= 0)
        return 1;
    if (x < a + 1) { /* 1 - P: the terms shrink at once */
        double sum = 1, term = 1;
        for (double n = 1; term > sum * 1e-16; n++)
            sum += term *= x / (a + n);
        return fmax(0, 1 - gamma_weight(a, x) * sum);
    }
    double b = x + 1 - a, c = 1e300, d = 1 / b, fraction = d, change = 0;
    for (double i = 1; fabs(change - 1) > 1e-15 && i < 1e6; i++) { /* Lentz's method */
        double numerator = -i * (i - a);
        b += 2;
        d = 1 / (numerator * d + b);
        c = b + numerator / c;
        change = d * c;
        fraction *= change;
    }
    return gamma_weight(a, x) * a * fraction;
}

/* x with Q(a, x) = share, by bisection of ln x: Q falls from 1 to 0. */
static double gamma_quantile(double a, double share)
{
    double low = -700, high = log(a + 1000);
    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (low + high);
        if (fl_sidco_gamma_upper(a, exp(middle)) > share)
            low = middle;
        else
            high = middle;
    }
    return exp(low);
}

static double gamma_threshold(const struct moments *m, double share)
{
    double l = log(m->mean) - m->mean_log;
    if (l < SPREAD_LEAST)
        return m->mean;
    double a = (3 - l + sqrt((l - 3) * (l - 3) + 24 * l)) / (12 * l);
    return m->mean / a * gamma_quantile(a, share);
}

/* How far above the threshold before it, or above 0, the next threshold lies. */
static double fitted(enum fl_sidco_fit fit, const struct moments *m, double share)
{
    if (fit == FL_SIDCO_EXPONENTIAL)
        return -m->mean * log(share);
    if (m->variance <= SPREAD_LEAST * m->mean * m->mean)
        return m->mean;
    return fit == FL_SIDCO_GAMMA ? gamma_threshold(m, share) : pareto_threshold(m, share);
}

enum fl_status fl_sidco_threshold(const struct fl_sidco *sidco, const struct fl_kernels *kernels,
                                  const float *x, size_t n, float *ret_threshold)
{
    if (n == 0)
        return FL_ERR_SHAPE;
    if (!kernels->all_finite(x, n))
        return FL_ERR_NOT_FINITE;
    float most = kernels->max_abs(x, n), threshold = 0;
    enum fl_sidco_fit fit = sidco->fit;
    struct moments m = moments_above(x, n, 0, fit == FL_SIDCO_GAMMA);
    double wanted = sidco->ratio * (double)n, share = wanted / (double)m.count; /* of those not zero */
    unsigned stages = share < FIRST_SHARE ? sidco->stages : 1;
    double later = stages > 1 ? pow(share / FIRST_SHARE, 1.0 / (stages - 1)) : 1;
    for (unsigned stage = 0; stage < stages && (double)m.count > wanted; stage++) {
        double next = (double)threshold + fitted(fit, &m, stages == 1 ? share : stage ? later : FIRST_SHARE);
        threshold = (float)fmin(next, (double)most);
        if (stage == 0 && fit == FL_SIDCO_GAMMA)
            fit = FL_SIDCO_PARETO;
        if (stage + 1 < stages)
            m = moments_above(x, n, threshold, 0);
    }
    *ret_threshold = fmaxf(FLT_MIN, threshold);
    return FL_OK;
}
