#include "codec/levels_alq.h"

#include <math.h>
#include <string.h>

#include "codec/root.h"

/* First level that is searched. */
static size_t first_inner(const struct fl_mixture *mixture, size_t count)
{
    return mixture->symmetric ? (count + 1) / 2 : 1;
}

/* 1 when level j and its neighbour below are l and -l, and move together. */
static int is_innermost_pair(const struct fl_mixture *mixture, size_t count, size_t j)
{
    return mixture->symmetric && 2 * j == count;
}

static void mirror(const struct fl_mixture *mixture, double *levels, size_t count)
{
    for (size_t i = 0; mixture->symmetric && i < count / 2; i++)
        levels[i] = -levels[count - 1 - i];
}

int fl_levels_begin(enum fl_levels_start start, const struct fl_mixture *mixture, size_t count,
                    double *ret_levels)
{
    if (start == FL_LEVELS_UNIFORM)
        fl_levels_uniform(count, ret_levels);
    else if (start == FL_LEVELS_EXPONENTIAL)
        return fl_levels_exponential(0.5, count, ret_levels) == FL_OK;
    else {
        ret_levels[0] = -1;
        ret_levels[count - 1] = 1;
        if (mixture->symmetric && count % 2)
            ret_levels[count / 2] = 0;
        for (size_t i = first_inner(mixture, count); i + 1 < count; i++)
            ret_levels[i] = fl_mixture_quantile(mixture, -1, 1, (double)i / (double)(count - 1));
        mirror(mixture, ret_levels, count);
        for (size_t i = 1; i < count; i++)
            if (!(ret_levels[i] > ret_levels[i - 1]))
                return 0;
    }
    return 1;
}

/* An innermost pair -l, l below c, for a symmetric F. Psi around it is the integral of l^2 - r^2 over [-l, l]
 * and twice that of (c - r)(r - l) over [l, c]; this is half its derivative in l. */
struct pair {
    const struct fl_mixture *mixture;
    double above;
};

static double pair_gradient(const void *user, double l, double *ret_slope)
{
    const struct pair *pair = user;
    struct fl_moments inside, outside;
    fl_mixture_moments(pair->mixture, -l, l, &inside);
    fl_mixture_moments(pair->mixture, l, pair->above, &outside);
    *ret_slope = inside.mass + (pair->above + l) * fl_mixture_density(pair->mixture, l);
    return l * inside.mass - outside.fall;
}

double fl_levels_gradient(const struct fl_mixture *mixture, const double *levels, size_t count, size_t j)
{
    struct fl_moments below, above;
    double slope;
    if (is_innermost_pair(mixture, count, j))
        return pair_gradient(&(struct pair){mixture, levels[j + 1]}, levels[j], &slope);
    fl_mixture_moments(mixture, levels[j - 1], levels[j], &below);
    fl_mixture_moments(mixture, levels[j], levels[j + 1], &above);
    return below.rise - above.fall;
}

static void move(const struct fl_mixture *mixture, double *levels, size_t count, size_t j, double to)
{
    double below = is_innermost_pair(mixture, count, j) ? 0 : levels[j - 1];
    if (!(to > below && to < levels[j + 1]))
        return;
    levels[j] = to;
    if (mixture->symmetric)
        levels[count - 1 - j] = -to;
}

void fl_levels_alq_step(const struct fl_mixture *mixture, double *levels, size_t count, size_t j)
{
    double a = levels[j - 1], c = levels[j + 1];
    struct fl_moments m;
    if (is_innermost_pair(mixture, count, j)) {
        fl_mixture_moments(mixture, 0, c, &m);
        if (m.mass > 0)
            move(mixture, levels, count, j, fl_root_find(pair_gradient, &(struct pair){mixture, c}, 0, c));
        return;
    }
    fl_mixture_moments(mixture, a, c, &m);
    if (m.mass > 0) /* F(c) - F(a) - rise / (c - a), as a sum of positive terms */
        move(mixture, levels, count, j, fl_mixture_quantile(mixture, a, c, m.fall / (c - a)));
}

/* Takes levels over when they are the best so far. */
static void keep_best(const double *levels, double psi, size_t count, double *best, double *best_psi)
{
    if (psi < *best_psi) {
        *best_psi = psi;
        memcpy(best, levels, count * sizeof *levels);
    }
}

double fl_levels_alq(const struct fl_mixture *mixture, size_t count, unsigned sweeps, double *ret_levels)
{
    double levels[FL_LEVELS_MAX], best = INFINITY;
    for (int start = 0; start < FL_LEVELS_STARTS; start++) {
        if (!fl_levels_begin((enum fl_levels_start)start, mixture, count, levels))
            continue;
        double psi = fl_levels_psi(mixture, levels, count), before = INFINITY;
        keep_best(levels, psi, count, ret_levels, &best);
        for (unsigned sweep = 0; sweep < sweeps && before - psi > 1e-6 * psi; sweep++) {
            for (size_t j = first_inner(mixture, count); j + 1 < count; j++)
                fl_levels_alq_step(mixture, levels, count, j);
            before = psi;
            psi = fl_levels_psi(mixture, levels, count);
        }
        keep_best(levels, psi, count, ret_levels, &best);
    }
    return best;
}

double fl_levels_alq_gradient(const struct fl_mixture *mixture, size_t count, unsigned steps, double rate,
                              double *ret_levels)
{
    double levels[FL_LEVELS_MAX], best = INFINITY;
    for (int start = 0; start < FL_LEVELS_STARTS; start++) {
        if (!fl_levels_begin((enum fl_levels_start)start, mixture, count, levels))
            continue;
        keep_best(levels, fl_levels_psi(mixture, levels, count), count, ret_levels, &best);
        for (unsigned step = 0; step < steps; step++) {
            for (size_t j = first_inner(mixture, count); j + 1 < count; j++) {
                double below = is_innermost_pair(mixture, count, j) ? 0 : levels[j - 1];
                double room = 0.5 * fmin(levels[j] - below, levels[j + 1] - levels[j]);
                double gradient = fl_levels_gradient(mixture, levels, count, j);
                move(mixture, levels, count, j,
                     levels[j] - copysign(fmin(rate * fabs(gradient), room), gradient));
            }
            keep_best(levels, fl_levels_psi(mixture, levels, count), count, ret_levels, &best);
        }
    }
    return best;
}
