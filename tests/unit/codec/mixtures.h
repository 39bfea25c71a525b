/* What the tests of levels share: distributions of normalised coordinates, plausible and extreme. */
#ifndef FL_TESTS_UNIT_CODEC_MIXTURES_H
#define FL_TESTS_UNIT_CODEC_MIXTURES_H

#include "codec/mixture.h"

#define MIXTURES      6
#define MIXTURE_PARTS 3

struct test_mixture {
    struct fl_mixture_part parts[MIXTURE_PARTS];
    struct fl_mixture mixture;
};

/* 0: coordinates of buckets of 8192, whose mean square is 1/8192. 1: buckets of 64. 2: the largest magnitude
 * is the norm, heavy tails. 3: several widths at once, off centre. 4: wide. 5: almost all in one place. */
static inline void mixture_make(int which, int symmetric, struct test_mixture *ret)
{
    static const double rows[MIXTURES][MIXTURE_PARTS][3] = {
        {{0.5, 0.0001, 0.01104}, {0.3, -0.0002, 0.01104}, {0.2, 0, 0.01104}},
        {{0.4, 0.01, 0.124}, {0.3, -0.02, 0.123}, {0.3, 0, 0.125}},
        {{0.6, 0, 0.02}, {0.3, 0.001, 0.08}, {0.1, 0, 0.3}},
        {{0.3, -0.01, 0.004}, {0.3, 0.05, 0.01}, {0.4, 0.2, 0.05}},
        {{0.5, -0.5, 1}, {0.3, 0, 0.9}, {0.2, 1, 0.5}},
        {{0.9, 0.25, 1e-9}, {0.05, -1, 0.1}, {0.05, 0.3, 0}},
    };
    for (int i = 0; i < MIXTURE_PARTS; i++) {
        ret->parts[i].weight = rows[which][i][0];
        assert_ok(fl_truncated_normal_init(rows[which][i][1], rows[which][i][2], &ret->parts[i].normal));
    }
    ret->mixture = (struct fl_mixture){ret->parts, MIXTURE_PARTS, symmetric};
}

#endif
