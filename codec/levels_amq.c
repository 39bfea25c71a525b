#include "codec/levels_amq.h"

#include <math.h>

#include "codec/levels_alq.h"

static double within(double p, size_t count)
{
    return fmin(fmax(p, fl_levels_exponential_least(count)), FL_LEVELS_EXPONENTIAL_MOST);
}

double fl_levels_amq_gradient(const struct fl_mixture *mixture, size_t count, double p)
{
    struct fl_mixture both = *mixture;
    double levels[FL_LEVELS_MAX], sum = 0, power = 1; /* power: p^(j-1) */
    both.symmetric = 1;
    if (fl_levels_exponential(p, count, levels))
        return NAN;
    for (size_t j = 1; j < count / 2; j++, power *= p)
        sum += 2 * fl_levels_gradient(&both, levels, count, count - 1 - j) * (double)j * power;
    return sum;
}

static double psi_of(const struct fl_mixture *mixture, size_t count, double p)
{
    double levels[FL_LEVELS_MAX];
    if (fl_levels_exponential(p, count, levels))
        return INFINITY;
    return fl_levels_psi(mixture, levels, count);
}

/* Descends from p; the last point is the best. */
static double descend(const struct fl_mixture *mixture, size_t count, unsigned steps, double *p)
{
    double psi = psi_of(mixture, count, *p), rate = FL_LEVELS_AMQ_LEARNING_RATE;
    double gradient = fl_levels_amq_gradient(mixture, count, *p);
    for (unsigned step = 0; step < steps && fabs(rate * gradient) > 1e-9 * *p; step++) {
        double next = within(*p - rate * gradient, count), next_psi = psi_of(mixture, count, next);
        if (next_psi >= psi) {
            rate *= 0.25;
            continue;
        }
        *p = next;
        psi = next_psi;
        rate *= 2;
        gradient = fl_levels_amq_gradient(mixture, count, next);
    }
    return psi;
}

double fl_levels_amq(const struct fl_mixture *mixture, size_t count, unsigned steps, double previous,
                     double *ret_p)
{
    const double starts[] = {0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, previous > 0 ? previous : 0.5,
                             0.6,   0.8,   0.9};
    double best = INFINITY;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        double p = within(starts[i], count), psi = descend(mixture, count, steps, &p);
        if (psi < best) {
            best = psi;
            *ret_p = p;
        }
    }
    return best;
}
