/* codec/levels_alq: the gradient against finite differences, every coordinate step against
 * Psi, results against starts, order, symmetry, optimality, the published levels. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "codec/levels_alq.h"
#include "mixtures.h"

static const size_t counts[] = {2, 3, 4, 5, 8, 15, 16, 64};
#define COUNTS (sizeof counts / sizeof counts[0])

static void check_levels(const double *levels, size_t count, int symmetric)
{
    assert_true(levels[0] == -1 && levels[count - 1] == 1);
    for (size_t i = 1; i < count; i++)
        assert_true(levels[i] > levels[i - 1]);
    for (size_t i = 0; symmetric && i < count; i++)
        assert_true(levels[i] == -levels[count - 1 - i]);
}

static void test_gradient_of_a_level_against_differences(void **state)
{
    (void)state;
    for (int which = 0; which < MIXTURES - 1; which++) {
        for (int symmetric = 0; symmetric < 2; symmetric++) {
            struct test_mixture t;
            double levels[9];
            mixture_make(which, symmetric, &t);
            for (size_t count = 8; count <= 9; count++) {
                assert_ok(fl_levels_exponential(0.3, count, levels));
                for (size_t j = count / 2 + (count % 2); j + 1 < count; j++) {
                    double l = levels[j], h = 1e-4 * l, psi[2];
                    for (int side = 0; side < 2; side++) {
                        levels[j] = side ? l + h : l - h;
                        levels[count - 1 - j] = symmetric ? -levels[j] : levels[count - 1 - j];
                        psi[side] = fl_levels_psi(&t.mixture, levels, count);
                    }
                    levels[j] = l;
                    levels[count - 1 - j] = -l;
                    double found = fl_levels_gradient(&t.mixture, levels, count, j) * (symmetric ? 2 : 1);
                    double expected = (psi[1] - psi[0]) / (2 * h);
                    assert_true(fabs(found - expected) < 1e-6 * fabs(found) + 1e-9);
                }
            }
        }
    }
}

static void test_every_coordinate_step_lowers_psi(void **state)
{
    (void)state;
    for (int which = 0; which < MIXTURES; which++) {
        for (int symmetric = 0; symmetric < 2; symmetric++) {
            struct test_mixture t;
            mixture_make(which, symmetric, &t);
            for (size_t c = 2; c < COUNTS; c++) {
                for (int start = 0; start < FL_LEVELS_STARTS; start++) {
                    size_t count = counts[c], first = symmetric ? (count + 1) / 2 : 1;
                    double levels[64];
                    if (!fl_levels_begin((enum fl_levels_start)start, &t.mixture, count, levels))
                        continue;
                    check_levels(levels, count, symmetric);
                    double psi = fl_levels_psi(&t.mixture, levels, count), begin = psi;
                    for (int sweep = 0; sweep < 3; sweep++) {
                        for (size_t j = first; j + 1 < count; j++) {
                            fl_levels_alq_step(&t.mixture, levels, count, j);
                            double next = fl_levels_psi(&t.mixture, levels, count);
                            assert_true(next <= psi * (1 + 1e-9));
                            psi = next;
                        }
                        check_levels(levels, count, symmetric);
                    }
                    /* it moves: at count 4 and 5 a wide distribution may begin almost where it ends */
                    assert_true(psi < begin || which == 4);
                }
            }
        }
    }
}

/* After a step the level is where Psi is least: the gradient is zero, and a step to either side is worse. */
static void test_a_step_ends_at_the_minimum(void **state)
{
    (void)state;
    for (int which = 0; which < MIXTURES - 1; which++) {
        for (int symmetric = 0; symmetric < 2; symmetric++) {
            struct test_mixture t;
            double levels[8];
            mixture_make(which, symmetric, &t);
            assert_ok(fl_levels_exponential(0.3, 8, levels));
            for (size_t j = symmetric ? 4 : 1; j < 7; j++) {
                fl_levels_alq_step(&t.mixture, levels, 8, j);
                double least = fl_levels_psi(&t.mixture, levels, 8), l = levels[j];
                assert_true(fabs(fl_levels_gradient(&t.mixture, levels, 8, j)) < 1e-11);
                for (int side = -1; side <= 1; side += 2) {
                    levels[j] = l * (1 + 0.01 * side);
                    if (symmetric)
                        levels[7 - j] = -levels[j];
                    assert_true(fl_levels_psi(&t.mixture, levels, 8) >= least);
                }
                levels[j] = l;
                if (symmetric)
                    levels[7 - j] = -l;
            }
        }
    }
}

static void test_results_are_ordered_and_no_worse_than_any_start(void **state)
{
    (void)state;
    for (int which = 0; which < MIXTURES; which++) {
        for (int symmetric = 0; symmetric < 2; symmetric++) {
            struct test_mixture t;
            mixture_make(which, symmetric, &t);
            for (size_t c = 0; c < COUNTS; c++) {
                size_t count = counts[c];
                double descent[64], gradient[64], begin[64], least = INFINITY;
                double psi = fl_levels_alq(&t.mixture, count, FL_LEVELS_ALQ_SWEEPS, descent);
                double slow = fl_levels_alq_gradient(&t.mixture, count, FL_LEVELS_ALQ_STEPS,
                                                     FL_LEVELS_ALQ_LEARNING_RATE, gradient);
                check_levels(descent, count, symmetric);
                check_levels(gradient, count, symmetric);
                assert_true(psi == fl_levels_psi(&t.mixture, descent, count));
                assert_true(slow == fl_levels_psi(&t.mixture, gradient, count));
                for (int start = 0; start < FL_LEVELS_STARTS; start++)
                    if (fl_levels_begin((enum fl_levels_start)start, &t.mixture, count, begin))
                        least = fmin(least, fl_levels_psi(&t.mixture, begin, count));
                assert_true(psi <= least && slow <= least);
                assert_true(count < 4 || psi < least);
                assert_true(psi <= slow * (1 + 1e-6)); /* true on these, no theorem */
            }
        }
    }
}

static void test_256_levels(void **state)
{
    (void)state;
    struct test_mixture t;
    double levels[FL_LEVELS_MAX], uniform[FL_LEVELS_MAX];
    float table[FL_LEVELS_MAX];
    for (int which = 0; which < MIXTURES; which++) {
        mixture_make(which, which % 2, &t);
        double psi = fl_levels_alq(&t.mixture, FL_LEVELS_MAX, 3, levels);
        check_levels(levels, FL_LEVELS_MAX, which % 2);
        fl_levels_uniform(FL_LEVELS_MAX, uniform);
        assert_true(psi < fl_levels_psi(&t.mixture, uniform, FL_LEVELS_MAX));
        fl_levels_table(levels, FL_LEVELS_MAX, table);
        assert_ok(fl_levels_check(table, FL_LEVELS_MAX));
    }
}

/* Any small change of all levels together is worse: what descent found is a local minimum, not a standstill.
 */
static void test_result_is_a_local_minimum(void **state)
{
    (void)state;
    struct test_mixture t;
    struct fl_random random;
    double levels[8], other[8];
    fl_random_init(&random, 7, 0);
    for (int which = 0; which < 4; which++) {
        mixture_make(which, 0, &t);
        double psi = fl_levels_alq(&t.mixture, 8, 200, levels);
        for (int i = 0; i < 200; i++) {
            for (int j = 0; j < 8; j++)
                other[j] = j % 7 ? levels[j] * (1 + 0.04 * (fl_random_double(&random) - 0.5)) : levels[j];
            assert_true(fl_levels_psi(&t.mixture, other, 8) > psi * (1 - 1e-6));
        }
    }
}

/*
 * The authors' notebook has 0.0049, 0.018, 0.128 and 1 for ResNet-32 at 3 bits in buckets of 8192. The norm
 * gives coordinates of such buckets a standard deviation of 0.011 (the sum of their squares is 1), which
 * fixes the inner levels; the outer ones depend on tails that we do not have.
 */
static void test_levels_near_the_published_ones(void **state)
{
    (void)state;
    struct test_mixture t;
    double levels[8];
    mixture_make(0, 1, &t);
    fl_levels_alq(&t.mixture, 8, FL_LEVELS_ALQ_SWEEPS, levels);
    assert_true(fabs(levels[4] - 0.0049) < 0.0003);
    assert_true(fabs(levels[5] - 0.018) < 0.003);
    assert_true(levels[6] > levels[5] && levels[6] < 0.128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient_of_a_level_against_differences),
        cmocka_unit_test(test_every_coordinate_step_lowers_psi),
        cmocka_unit_test(test_a_step_ends_at_the_minimum),
        cmocka_unit_test(test_results_are_ordered_and_no_worse_than_any_start),
        cmocka_unit_test(test_256_levels),
        cmocka_unit_test(test_result_is_a_local_minimum),
        cmocka_unit_test(test_levels_near_the_published_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
