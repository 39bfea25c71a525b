#include "codec/mixture.h"

#include "codec/root.h"

double fl_mixture_density(const struct fl_mixture *mixture, double r)
{
    double sum = 0;
    for (size_t i = 0; i < mixture->count; i++) {
        const struct fl_mixture_part *part = &mixture->parts[i];
        double density = fl_truncated_normal_density(&part->normal, r);
        if (mixture->symmetric)
            density = 0.5 * (density + fl_truncated_normal_density(&part->normal, -r));
        sum += part->weight * density;
    }
    return sum;
}

void fl_mixture_moments(const struct fl_mixture *mixture, double a, double b, struct fl_moments *ret_moments)
{
    struct fl_moments sum = {0, 0, 0, 0}, m;
    for (size_t i = 0; i < mixture->count; i++) {
        const struct fl_mixture_part *part = &mixture->parts[i];
        double weight = mixture->symmetric ? 0.5 * part->weight : part->weight;
        fl_truncated_normal_moments(&part->normal, a, b, &m);
        if (mixture->symmetric) { /* r -> -r exchanges the two ends */
            struct fl_moments mirror;
            fl_truncated_normal_moments(&part->normal, -b, -a, &mirror);
            m = (struct fl_moments){m.mass + mirror.mass, m.rise + mirror.fall, m.fall + mirror.rise,
                                    m.product + mirror.product};
        }
        sum.mass += weight * m.mass;
        sum.rise += weight * m.rise;
        sum.fall += weight * m.fall;
        sum.product += weight * m.product;
    }
    *ret_moments = sum;
}

struct quantile {
    const struct fl_mixture *mixture;
    double a, mass;
};

static double mass_above(const void *user, double x, double *ret_slope)
{
    const struct quantile *wanted = user;
    struct fl_moments m;
    fl_mixture_moments(wanted->mixture, wanted->a, x, &m);
    *ret_slope = fl_mixture_density(wanted->mixture, x);
    return m.mass - wanted->mass;
}

double fl_mixture_quantile(const struct fl_mixture *mixture, double a, double b, double mass)
{
    struct quantile wanted = {mixture, a, mass};
    return fl_root_find(mass_above, &wanted, a, b);
}
