/* codec/truncated_normal and codec/mixture: integrals against a fine numeric quadrature of the definition in
 * long double, at tiny, usual and wide sigma and with means at the edges; the inverse against the
 * distribution. */
#include "test.h"

#include <math.h>

#include "codec/mixture.h"
#include "codec/root.h"

static const double means[] = {0, 1e-4, -0.3, 0.999, 1, -1};
static const double sigmas[] = {0, 1e-9, 1e-3, 0.011, 0.2, 1};
#define MEANS  (sizeof means / sizeof means[0])
#define SIGMAS (sizeof sigmas / sizeof sigmas[0])

/* Simpson's rule over the part of [a, b] within 12 sigma of the mean, in units of sigma. */
static struct fl_moments by_definition(double mean, double sigma, double a, double b)
{
    enum { STEPS = 20000 };
    long double s = fmax(sigma, FL_TRUNCATED_NORMAL_SIGMA_MIN), root2 = sqrtl(2),
                peak = 1 / sqrtl(8 * atanl(1));
    long double from = ((long double)a - mean) / s, to = ((long double)b - mean) / s;
    long double low = fmaxl(from, -12), high = fminl(to, 12), step = (high - low) / STEPS, sum[4] = {0};
    long double inside = 0.5L * (erfcl((-1 - (long double)mean) / s / root2) - erfcl((1 - mean) / s / root2));
    for (int i = 0; i <= STEPS && high > low; i++) {
        long double x = low + i * step, up = s * (x - from), down = s * (to - x);
        long double w = step / 3 *
                        (i == 0 || i == STEPS ? 1
                         : i % 2              ? 4
                                              : 2) *
                        peak * expl(-x * x / 2) / inside;
        sum[0] += w;
        sum[1] += w * up;
        sum[2] += w * down;
        sum[3] += w * up * down;
    }
    return (struct fl_moments){(double)sum[0], (double)sum[1], (double)sum[2], (double)sum[3]};
}

/* relative, and absolute where less than 1e-25 of the mass is concerned */
static void assert_close(double found, double expected, double scale)
{
    if (!(fabs(found - expected) <= 1e-10 * fabs(expected) + 1e-25 * scale))
        fail_msg("%.17g is not %.17g", found, expected);
}

static void check_interval(const struct fl_truncated_normal *normal, double a, double b)
{
    struct fl_moments found, expected = by_definition(normal->mean, normal->sigma, a, b);
    fl_truncated_normal_moments(normal, a, b, &found);
    assert_close(found.mass, expected.mass, 1);
    assert_close(found.rise, expected.rise, b - a);
    assert_close(found.fall, expected.fall, b - a);
    assert_close(found.product, expected.product, (b - a) * (b - a));
    assert_true(found.mass >= 0 && found.rise >= 0 && found.fall >= 0 && found.product >= 0);
}

static void test_integrals_against_quadrature(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEANS; i++) {
        for (size_t j = 0; j < SIGMAS; j++) {
            struct fl_truncated_normal normal;
            assert_ok(fl_truncated_normal_init(means[i], sigmas[j], &normal));
            assert_true(normal.inside >= 0.47 && normal.inside <= 1);
            double m = normal.mean, s = normal.sigma;
            static const double ends[] = {-1e9, -7.19, -7,   -3, -1, -0.3, 0,  1e-6,
                                          0.25, 0.49,  0.51, 2,  6,  6.19, 1e9};
            for (size_t k = 0; k < 15; k++)
                for (size_t l = k; l < 15; l++)
                    check_interval(&normal, fmax(-1, fmin(1, m + s * ends[k])),
                                   fmax(-1, fmin(1, m + s * ends[l])));
            check_interval(&normal, -1, 1);
        }
    }
}

static void test_whole_interval_is_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEANS; i++) {
        for (size_t j = 0; j < SIGMAS; j++) {
            struct fl_truncated_normal normal;
            struct fl_moments m;
            assert_ok(fl_truncated_normal_init(means[i], sigmas[j], &normal));
            fl_truncated_normal_moments(&normal, -1, 1, &m);
            assert_true(fabs(m.mass - 1) < 1e-13 && fabs(m.rise + m.fall - 2) < 1e-12);
        }
    }
}

static void test_what_no_bucket_can_have_is_refused(void **state)
{
    (void)state;
    struct fl_truncated_normal normal;
    static const double wrong[][2] = {{1.0001, 0.1}, {-2, 0.1}, {0, -1e-9}, {0, 1.01}};
    for (size_t i = 0; i < 4; i++)
        assert_status(fl_truncated_normal_init(wrong[i][0], wrong[i][1], &normal), FL_ERR_RANGE);
    assert_status(fl_truncated_normal_init(NAN, 0.1, &normal), FL_ERR_NOT_FINITE);
    assert_status(fl_truncated_normal_init(0, INFINITY, &normal), FL_ERR_NOT_FINITE);
}

static void make_mixture(struct fl_mixture_part *parts, struct fl_mixture *mixture, int symmetric)
{
    static const double rows[4][3] = {
        {0.1, 1e-4, 0.003}, {0.2, -0.002, 0.01}, {0.3, 0.01, 0.05}, {0.4, 0.2, 1e-7}};
    for (size_t i = 0; i < 4; i++) {
        parts[i].weight = rows[i][0];
        assert_ok(fl_truncated_normal_init(rows[i][1], rows[i][2], &parts[i].normal));
    }
    *mixture = (struct fl_mixture){parts, 4, symmetric};
}

static void test_mixture_is_the_weighted_sum(void **state)
{
    (void)state;
    struct fl_mixture_part parts[4];
    struct fl_mixture mixture, mirrored;
    struct fl_moments sum, m, left, right;
    make_mixture(parts, &mixture, 0);
    make_mixture(parts, &mirrored, 1);
    fl_mixture_moments(&mixture, -0.01, 0.2, &sum);
    for (size_t i = 0; i < 4; i++) {
        fl_truncated_normal_moments(&parts[i].normal, -0.01, 0.2, &m);
        sum.mass -= parts[i].weight * m.mass;
        sum.product -= parts[i].weight * m.product;
    }
    assert_true(fabs(sum.mass) < 1e-15 && fabs(sum.product) < 1e-15);
    fl_mixture_moments(&mirrored, 0.001, 0.3, &right);
    fl_mixture_moments(&mirrored, -0.3, -0.001, &left);
    assert_true(fabs(left.mass - right.mass) < 1e-15 && fabs(left.rise - right.fall) < 1e-15);
    fl_mixture_moments(&mixture, -0.3, -0.001, &left);
    fl_mixture_moments(&mixture, 0.001, 0.3, &m);
    assert_true(fabs(0.5 * (left.mass + m.mass) - right.mass) < 1e-15);
    assert_true(fabs(0.5 * (left.fall + m.rise) - right.rise) < 1e-15);
    double r = 0.012, mean = fl_mixture_density(&mixture, r) + fl_mixture_density(&mixture, -r);
    assert_true(fabs(fl_mixture_density(&mirrored, r) - 0.5 * mean) < 1e-12);
}

static void test_quantile_inverts_the_distribution(void **state)
{
    (void)state;
    struct fl_mixture_part parts[4];
    struct fl_mixture mixture;
    struct fl_moments m;
    for (int symmetric = 0; symmetric < 2; symmetric++) {
        make_mixture(parts, &mixture, symmetric);
        double before = -1;
        for (int i = 1; i < 200; i++) {
            double x = fl_mixture_quantile(&mixture, -1, 1, i / 200.0);
            assert_true(x > before && x < 1);
            before = x;
            fl_mixture_moments(&mixture, -1, x, &m);
            assert_true(fabs(m.mass - i / 200.0) <
                        1e-9); /* the density reaches 1.6e6: an ulp of x is 4e-11 */
        }
    }
}

/* x^3 - 2, where Newton's first steps from 0.5 leave the bracket; the slope of a wall is useless. */
static double cube(const void *user, double x, double *ret_slope)
{
    *ret_slope = 3 * x * x;
    return x * x * x - *(const double *)user;
}

static double wall(const void *user, double x, double *ret_slope)
{
    *ret_slope = 0;
    return x < *(const double *)user ? -1 : 1;
}

static void test_root_of_easy_and_hard_functions(void **state)
{
    (void)state;
    double two = 2, tiny = 1e-30, at = 0.123456789;
    assert_true(fabs(fl_root_find(cube, &two, 0, 100) - cbrt(2)) < 1e-15);
    assert_true(fabs(fl_root_find(cube, &tiny, 0, 1) - 1e-10) < 1e-24);
    assert_true(fabs(fl_root_find(wall, &at, -1, 1) - at) < 1e-15);
    assert_true(fabs(fl_root_find(cube, &two, -1, 1) - 1) < 1e-15);
    assert_true(fabs(fl_root_find(cube, &two, 2, 3) - 2) < 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integrals_against_quadrature),
        cmocka_unit_test(test_whole_interval_is_one),
        cmocka_unit_test(test_what_no_bucket_can_have_is_refused),
        cmocka_unit_test(test_mixture_is_the_weighted_sum),
        cmocka_unit_test(test_quantile_inverts_the_distribution),
        cmocka_unit_test(test_root_of_easy_and_hard_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
