#include "codec/truncated_normal.h"

#include <math.h>
#include <stddef.h>

/* Abscissae on [-1, 1] and weights of a Gauss-Legendre rule, the positive half (Abramowitz and Stegun,
 * table 25.4). */
struct rule {
    int halves;
    double x[5], w[5];
};

static const struct rule six_points = {3,
                                       {0.23861918608319691, 0.66120938646626451, 0.93246951420315203},
                                       {0.46791393457269105, 0.36076157304813861, 0.17132449237917035}};
static const struct rule ten_points = {
    5,
    {0.14887433898163121, 0.43339539412924719, 0.67940956829902441, 0.86506336668898451, 0.97390652851717172},
    {0.29552422471475287, 0.26926671930999636, 0.21908636251598204, 0.14945134915058059,
     0.06667134430868814}};

static double phi(double x)
{
    return 0.3989422804014326779 * exp(-0.5 * x * x);
}

/* Standard normal mass of [a, b] for a + b >= 0, without the difference of two numbers close to 1. */
static double upper_mass(double a, double b)
{
    double tail = erfc(b * M_SQRT1_2);
    return a > 0 ? 0.5 * (erfc(a * M_SQRT1_2) - tail) : 0.5 * (erf(-a * M_SQRT1_2) + 1 - tail);
}

/* Short intervals: every term is positive, so that nothing cancels. */
static struct fl_moments by_quadrature(const struct rule *rule, double a, double width)
{
    struct fl_moments m = {0, 0, 0, 0};
    for (int i = 0; i < 2 * rule->halves; i++) {
        double x = i % 2 ? rule->x[i / 2] : -rule->x[i / 2];
        double up = 0.5 * width * (1 + x), down = 0.5 * width * (1 - x);
        double w = 0.5 * width * rule->w[i / 2] * phi(a + up);
        m.mass += w;
        m.rise += w * up;
        m.fall += w * down;
        m.product += w * up * down;
    }
    return m;
}

/* Long intervals with a + b >= 0, from the integrals of 1, x and x^2 against the density. */
static struct fl_moments by_differences(double a, double b)
{
    double at_a = phi(a), at_b = phi(b);
    double zeroth = upper_mass(a, b), first = at_a - at_b, second = zeroth + a * at_a - b * at_b;
    return (struct fl_moments){zeroth, fmax(0, first - a * zeroth), fmax(0, b * zeroth - first),
                               fmax(0, (a + b) * first - second - a * b * zeroth)};
}

/* Of the standard normal over [a, b], width = b - a given apart: it may be far smaller than a. */
static struct fl_moments standard_moments(double a, double b, double width)
{
    if (width <= 0.5)
        return by_quadrature(width <= 0.2 ? &six_points : &ten_points, a, width);
    if (a + b >= 0)
        return by_differences(a, b);
    struct fl_moments m = by_differences(-b, -a);
    return (struct fl_moments){m.mass, m.fall, m.rise, m.product};
}

enum fl_status fl_truncated_normal_init(double mean, double sigma, struct fl_truncated_normal *ret_normal)
{
    if (!isfinite(mean) || !isfinite(sigma))
        return FL_ERR_NOT_FINITE;
    if (fabs(mean) > 1 || sigma < 0 || sigma > 1)
        return FL_ERR_RANGE;
    sigma = fmax(sigma, FL_TRUNCATED_NORMAL_SIGMA_MIN);
    double a = (-1 - mean) / sigma, b = (1 - mean) / sigma;
    double inside = a + b >= 0 ? upper_mass(a, b) : upper_mass(-b, -a);
    *ret_normal = (struct fl_truncated_normal){mean, sigma, inside};
    return FL_OK;
}

double fl_truncated_normal_density(const struct fl_truncated_normal *normal, double r)
{
    return phi((r - normal->mean) / normal->sigma) / (normal->sigma * normal->inside);
}

void fl_truncated_normal_moments(const struct fl_truncated_normal *normal, double a, double b,
                                 struct fl_moments *ret_moments)
{
    double sigma = normal->sigma;
    struct fl_moments m =
        standard_moments((a - normal->mean) / sigma, (b - normal->mean) / sigma, (b - a) / sigma);
    double scale = 1 / normal->inside;
    *ret_moments = (struct fl_moments){m.mass * scale, m.rise * (scale * sigma), m.fall * (scale * sigma),
                                       m.product * (scale * sigma * sigma)};
}
