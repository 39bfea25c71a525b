/* codec/levels: the fixed sets by their definitions, Psi and shares against sums over a fine grid, tables. */
#include "test.h"

#include <float.h>
#include <math.h>

#include "codec/levels.h"
#include "mixtures.h"

static void assert_near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%.17g is not %.17g", found, expected);
}

static void check_set(const double *levels, size_t count)
{
    for (size_t i = 1; i < count; i++)
        assert_true(levels[i] > levels[i - 1]);
    assert_true(levels[0] >= -1 && levels[count - 1] == 1);
}

static void test_uniform_levels(void **state)
{
    (void)state;
    double levels[FL_LEVELS_MAX];
    fl_levels_uniform(3, levels);
    assert_true(levels[0] == -1 && levels[1] == 0 && levels[2] == 1);
    fl_levels_uniform(9, levels); /* QSGD with s = 4 */
    for (int i = 0; i < 9; i++)
        assert_true(levels[i] == (i - 4) / 4.0);
    fl_levels_uniform(8, levels);
    for (int i = 0; i < 8; i++)
        assert_near(levels[i], -1 + i * 2 / 7.0, 1e-15);
    for (size_t count = 2; count <= FL_LEVELS_MAX; count++) {
        fl_levels_uniform(count, levels);
        check_set(levels, count);
        assert_true(levels[0] == -1 && levels[count / 2] == -levels[(count - 1) / 2]);
    }
}

static void test_exponential_levels(void **state)
{
    (void)state;
    double levels[FL_LEVELS_MAX];
    static const double even[] = {-1, -0.5, -0.25, 0.25, 0.5, 1}, odd[] = {-1, -0.5, 0, 0.5, 1};
    assert_ok(fl_levels_exponential(0.5, 6, levels));
    assert_memory_equal(levels, even, sizeof even);
    assert_ok(fl_levels_exponential(0.5, 5, levels));
    assert_memory_equal(levels, odd, sizeof odd);
    for (size_t count = 2; count <= FL_LEVELS_MAX; count++) {
        double ps[] = {fl_levels_exponential_least(count), 0.5, FL_LEVELS_EXPONENTIAL_MOST};
        for (int i = 0; i < 3; i++) {
            float table[FL_LEVELS_MAX];
            assert_ok(fl_levels_exponential(ps[i], count, levels));
            check_set(levels, count);
            for (size_t j = 0; j < count; j++) {
                table[j] = (float)levels[j];
                assert_true(j == 0 || table[j] > table[j - 1]);
            }
        }
        assert_status(fl_levels_exponential(ps[0] * 0.999, count, levels), FL_ERR_RANGE);
    }
    static const double wrong[] = {0, -0.5, 1, 0.9999, 2, NAN};
    for (int i = 0; i < 6; i++)
        assert_status(fl_levels_exponential(wrong[i], 8, levels), FL_ERR_RANGE);
}

static void test_dynamic_tree(void **state)
{
    (void)state;
    double levels[FL_LEVELS_TREE], widest = 0;
    fl_levels_dynamic_tree(levels);
    check_set(levels, FL_LEVELS_TREE);
    assert_true(levels[127] == 0);
    assert_near(levels[128], 0.55e-6, 1e-20);  /* i = 0: the middle of [0.1, 1] */
    assert_near(levels[129], 0.325e-5, 1e-20); /* i = 1: of two parts */
    assert_near(levels[130], 0.775e-5, 1e-20);
    assert_near(levels[254], 0.1 + 0.9 * 63.5 / 64, 1e-15);
    assert_near(levels[0], -0.99296875, 1e-15);
    for (int i = 1; i < 127; i++)
        assert_true(levels[127 - i] == -levels[127 + i]);
    for (int i = 1; i < FL_LEVELS_TREE; i++)
        widest = fmax(widest, levels[i] - levels[i - 1]);
    assert_near(widest, 0.9 / 64, 1e-15);
}

/* Psi and shares by adding up density over cells of a grid that is fine around every part. */
static void sum_cells(const struct fl_mixture *mixture, const double *levels, size_t count, double *ret_psi,
                      double *ret_shares)
{
    enum { CELLS = 400000 };
    *ret_psi = 0;
    memset(ret_shares, 0, count * sizeof *ret_shares);
    size_t j = 1;
    for (int i = 0; i < CELLS; i++) {
        double r = -1 + (2.0 * i + 1) / CELLS, mass = fl_mixture_density(mixture, r) * 2 / CELLS;
        while (j < count - 1 && r > levels[j])
            j++;
        double up = (r - levels[j - 1]) / (levels[j] - levels[j - 1]);
        *ret_psi += mass * fl_levels_variance(levels, count, r);
        ret_shares[j] += mass * up;
        ret_shares[j - 1] += mass * (1 - up);
    }
}

static void test_psi_and_shares_are_what_they_say(void **state)
{
    (void)state;
    for (int which = 0; which < MIXTURES - 1; which++) { /* the last is too narrow for a grid */
        struct test_mixture t;
        double levels[16], shares[16], sums[16], psi, sum = 0;
        mixture_make(which, which % 2, &t);
        assert_ok(fl_levels_exponential(0.3, 15, levels));
        sum_cells(&t.mixture, levels, 15, &psi, sums);
        fl_levels_shares(&t.mixture, levels, 15, shares);
        assert_near(fl_levels_psi(&t.mixture, levels, 15), psi, 1e-6 * psi);
        for (int i = 0; i < 15; i++) {
            assert_near(shares[i], sums[i], 1e-5);
            sum += shares[i];
        }
        assert_near(sum, 1, 1e-12);
    }
}

static void test_variance_of_one_coordinate(void **state)
{
    (void)state;
    static const double levels[] = {-1, -0.5, 0.25, 1};
    static const double rows[][2] = {{-1, 0},   {-0.75, 0.0625}, {-0.5, 0}, {0, 0.125},
                                     {0.25, 0}, {0.5, 0.125},    {1, 0}};
    for (size_t i = 0; i < 7; i++)
        assert_near(fl_levels_variance(levels, 4, rows[i][0]), rows[i][1], 1e-16);
}

static void test_tables_are_increasing_whatever_the_levels(void **state)
{
    (void)state;
    static const double sets[][6] = {
        {-1, -0.5, -0.0, 0.1, 0.2, 1},
        {-1, -1e-60, -1e-61, 1e-61, 1e-60, 1},
        {-1, 0.25 - 1e-12, 0.25, 0.25 + 1e-12, 0.25 + 2e-12, 1},
        {-1, 1 - 4e-12, 1 - 3e-12, 1 - 2e-12, 1 - 1e-12, 1},
        {-1, -1 + 1e-12, -1 + 2e-12, -1 + 3e-12, -1 + 4e-12, 1},
    };
    for (size_t i = 0; i < 5; i++) {
        float table[6];
        fl_levels_table(sets[i], 6, table);
        assert_ok(fl_levels_check(table, 6));
        for (int j = 0; j < 6; j++)
            assert_near(table[j], sets[i][j], 4e-7);
    }
}

static void test_tables_from_elsewhere(void **state)
{
    (void)state;
    static const float good[] = {-1, 0, 1}, equal[] = {-1, 0, 0, 1}, falling[] = {-1, 0.5f, 0.25f, 1};
    static const float low[] = {-1.5f, 0, 1}, short_[] = {-1, 0, 0.9f}, late[] = {-0.9f, 0, 1},
                       minus[] = {-1, -0.0f, 1};
    static const float nan_[] = {-1, NAN, 1}, inf[] = {-1, 0, INFINITY};
    float many[FL_LEVELS_MAX + 1] = {-1};
    assert_ok(fl_levels_check(good, 3));
    assert_status(fl_levels_check(good, 1), FL_ERR_LIMIT);
    assert_status(fl_levels_check(many, FL_LEVELS_MAX + 1), FL_ERR_LIMIT);
    assert_status(fl_levels_check(equal, 4), FL_ERR_RANGE);
    assert_status(fl_levels_check(falling, 4), FL_ERR_RANGE);
    assert_status(fl_levels_check(low, 3), FL_ERR_RANGE);
    assert_status(fl_levels_check(short_, 3), FL_ERR_RANGE);
    assert_status(fl_levels_check(late, 3), FL_ERR_RANGE);
    assert_status(fl_levels_check(minus, 3), FL_ERR_RANGE);
    assert_status(fl_levels_check(nan_, 3), FL_ERR_NOT_FINITE);
    assert_status(fl_levels_check(inf, 3), FL_ERR_NOT_FINITE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uniform_levels),
        cmocka_unit_test(test_exponential_levels),
        cmocka_unit_test(test_dynamic_tree),
        cmocka_unit_test(test_psi_and_shares_are_what_they_say),
        cmocka_unit_test(test_variance_of_one_coordinate),
        cmocka_unit_test(test_tables_are_increasing_whatever_the_levels),
        cmocka_unit_test(test_tables_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
