/* codec/level_count: both rules by table. */
#include "test.h"

#include <math.h>

#include "codec/level_count.h"

static void test_adaqs_doubles_when_noise_grows(void **state)
{
    (void)state;
    struct fl_level_count count = {.levels = 3, .most = 20};
    static const struct {
        double mean, sigma;
        uint32_t levels;
    } rows[] = {
        {0.8, 1, 3},   /* the reference */
        {0.5, 1, 3},   /* not yet half */
        {-0.4, 1, 6},  /* half, of either sign */
        {0.4, 1.9, 6}, /* half of the new reference is 0.2 */
        {NAN, 1, 6},       {1, 0, 6},  {1, INFINITY, 6}, {0, 0, 6},
        {0.4, 2, 12},      {5, 1, 12}, {0.01, 1, 20}, /* no more than most */
        {0.000001, 1, 20},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fl_level_count_check(&count, rows[i].mean, rows[i].sigma);
        assert_int_equal(count.levels, rows[i].levels);
    }
}

static void test_dqsgd_follows_the_norm(void **state)
{
    (void)state;
    static const struct {
        double norm, unit;
        uint32_t levels;
    } rows[] = {{0, 1, 2},    {1.4, 1, 2},     {2.4, 1, 2},       {2.5, 1, 3}, {7, 2, 4},
                {1e9, 1, 64}, {1, 1e-300, 64}, {INFINITY, 1, 64}, {NAN, 1, 2}, {1e-300, 1, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(fl_level_count_of_norm(rows[i].norm, rows[i].unit, 2, 64), rows[i].levels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adaqs_doubles_when_noise_grows),
        cmocka_unit_test(test_dqsgd_follows_the_norm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
