/* base/random: Philox known answers (Random123's kat_vectors), bounds, moments. */
#include "test.h"

#include <math.h>

#include "base/random.h"

static void test_philox_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], block[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t block[4];
        fl_philox(cases[i].counter, cases[i].key, block);
        assert_memory_equal(block, cases[i].block, sizeof block);
    }
}

static void test_below_is_in_range_and_covers_it(void **state)
{
    (void)state;
    struct fl_random random;
    unsigned seen[7] = {0};
    fl_random_init(&random, 5, 1);
    for (int i = 0; i < 7000; i++) {
        uint64_t draw = fl_random_below(&random, 7);
        assert_true(draw < 7);
        seen[draw]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_int_equal(fl_random_below(&random, 0), 0);
}

static void test_normal_moments(void **state)
{
    (void)state;
    struct fl_random random;
    double sums[5] = {0};
    fl_random_init(&random, 4, 0);
    for (int i = 0; i < 100000; i++) {
        double x = fl_random_normal(&random), power = 1;
        for (int j = 1; j <= 4; j++)
            sums[j] += power *= x;
    }
    static const double moments[] = {1, 0, 1, 0, 3}, spread[] = {0, 1, 1.5, 4, 10};
    for (int j = 1; j <= 4; j++)
        assert_true(fabs(sums[j] / 100000 - moments[j]) < 5 * spread[j] / sqrt(100000));
}

static void test_gamma_mean_is_its_shape(void **state)
{
    (void)state;
    static const double shapes[] = {0.3, 1.0, 4.0};
    for (size_t s = 0; s < 3; s++) {
        struct fl_random random;
        double sum = 0;
        fl_random_init(&random, 11, s);
        for (int i = 0; i < 20000; i++)
            sum += exp(fl_random_log_gamma(&random, shapes[s]));
        assert_true(fabs(sum / 20000 - shapes[s]) < 0.05 * (1 + shapes[s]));
    }
    struct fl_random random; /* a shape that underflows as a plain number still has a finite logarithm */
    fl_random_init(&random, 1, 1);
    assert_true(isfinite(fl_random_log_gamma(&random, 1e-4)));
}

static void test_shuffle_is_a_permutation_fixed_by_the_seed(void **state)
{
    (void)state;
    uint32_t a[100], b[100], count[100] = {0};
    for (uint32_t i = 0; i < 100; i++)
        a[i] = b[i] = i;
    struct fl_random random;
    fl_random_init(&random, 3, 0);
    fl_random_shuffle(&random, a, 100);
    fl_random_init(&random, 3, 0);
    fl_random_shuffle(&random, b, 100);
    assert_memory_equal(a, b, sizeof a);
    for (int i = 0; i < 100; i++)
        count[a[i]]++;
    for (int i = 0; i < 100; i++)
        assert_int_equal(count[i], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_below_is_in_range_and_covers_it),
        cmocka_unit_test(test_normal_moments),
        cmocka_unit_test(test_gamma_mean_is_its_shape),
        cmocka_unit_test(test_shuffle_is_a_permutation_fixed_by_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
