#include "codec/levels.h"

#include <math.h>

void fl_levels_uniform(size_t count, double *ret_levels)
{
    double gaps = (double)(count - 1);
    for (size_t i = 0; i < count; i++)
        ret_levels[i] = (2 * (double)i - gaps) / gaps;
}

double fl_levels_exponential_least(size_t count)
{
    size_t most = count / 2 - 1; /* exponent of the level next to the middle, which stays above 2^-140 */
    return most ? exp2(-140.0 / (double)most) : 0x1p-140;
}

enum fl_status fl_levels_exponential(double p, size_t count, double *ret_levels)
{
    if (!(p >= fl_levels_exponential_least(count) && p <= FL_LEVELS_EXPONENTIAL_MOST))
        return FL_ERR_RANGE;
    double level = 1;
    if (count % 2)
        ret_levels[count / 2] = 0;
    for (size_t i = 0; i < count / 2; i++, level *= p) {
        ret_levels[i] = -level;
        ret_levels[count - 1 - i] = level;
    }
    return FL_OK;
}

void fl_levels_dynamic_tree(double ret_levels[FL_LEVELS_TREE])
{
    static const double powers[] = {1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1};
    size_t above = FL_LEVELS_TREE / 2 - 1; /* where zero is */
    size_t below = above;
    ret_levels[above++] = 0;
    for (int i = 0; i < 7; i++) {
        int parts = 1 << i;
        for (int j = 0; j < parts; j++) {
            double middle = (0.1 + 0.9 * (j + 0.5) / parts) / powers[i];
            ret_levels[above++] = middle;
            ret_levels[--below] = -middle;
        }
    }
    ret_levels[above] = 1;
}

double fl_levels_psi(const struct fl_mixture *mixture, const double *levels, size_t count)
{
    double sum = 0;
    struct fl_moments m;
    for (size_t i = 1; i < count; i++) {
        fl_mixture_moments(mixture, levels[i - 1], levels[i], &m);
        sum += m.product;
    }
    return sum;
}

double fl_levels_variance(const double *levels, size_t count, double r)
{
    size_t i = 1;
    while (i < count - 1 && r > levels[i])
        i++;
    return (levels[i] - r) * (r - levels[i - 1]);
}

void fl_levels_shares(const struct fl_mixture *mixture, const double *levels, size_t count,
                      double *ret_shares)
{
    struct fl_moments m;
    ret_shares[0] = 0;
    for (size_t i = 1; i < count; i++) {
        double gap = levels[i] - levels[i - 1];
        fl_mixture_moments(mixture, levels[i - 1], levels[i], &m);
        ret_shares[i - 1] += m.fall / gap;
        ret_shares[i] = m.rise / gap;
    }
}

void fl_levels_table(const double *levels, size_t count, float *ret_table)
{
    for (size_t i = 0; i < count; i++) {
        ret_table[i] = (float)levels[i] + 0.0f; /* -0 becomes 0 */
        if (i && ret_table[i] <= ret_table[i - 1])
            ret_table[i] = nextafterf(ret_table[i - 1], INFINITY);
    }
    float top = (float)levels[count - 1]; /* what was pushed up to it or above makes room again */
    for (size_t i = count; i-- && ret_table[i] > top; top = nextafterf(top, -INFINITY))
        ret_table[i] = top;
}

enum fl_status fl_levels_check(const float *table, size_t count)
{
    if (count < 2 || count > FL_LEVELS_MAX)
        return FL_ERR_LIMIT;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(table[i]))
            return FL_ERR_NOT_FINITE;
        if ((i && table[i] <= table[i - 1]) || (table[i] == 0 && signbit(table[i])))
            return FL_ERR_RANGE;
    }
    return table[0] == -1 && table[count - 1] == 1 ? FL_OK : FL_ERR_RANGE;
}
