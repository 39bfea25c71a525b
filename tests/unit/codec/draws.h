/* Vectors of known distributions, the same for the same seed. */
#ifndef FL_TESTS_UNIT_CODEC_DRAWS_H
#define FL_TESTS_UNIT_CODEC_DRAWS_H

#include <math.h>

#include "base/random.h"

enum draw {
    DRAW_GAUSSIAN, /* variance 1 */
    DRAW_LAPLACE,  /* mean magnitude 1 */
    DRAW_PARETO,   /* P(|x| > t) = (1 + t)^-4 */
    DRAW_SPARSE,   /* Laplace, but three quarters exactly zero */
    DRAW_KINDS
};

static inline void draw_fill(float *x, size_t n, enum draw kind, double scale, uint64_t seed)
{
    struct fl_random random;
    fl_random_init(&random, seed, 77);
    for (size_t i = 0; i < n; i++) {
        double u = fl_random_double(&random), magnitude = 0;
        if (kind == DRAW_GAUSSIAN)
            magnitude = fabs(fl_random_normal(&random));
        else if (kind == DRAW_LAPLACE)
            magnitude = -log(u);
        else if (kind == DRAW_PARETO)
            magnitude = pow(u, -0.25) - 1;
        else if (fl_random_u32(&random) % 4 == 0)
            magnitude = -log(u);
        x[i] = (float)(scale * (fl_random_u32(&random) & 1 ? magnitude : -magnitude));
    }
}

static inline size_t draw_count_above(const float *x, size_t n, float threshold)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += fabsf(x[i]) >= threshold;
    return count;
}

#endif
