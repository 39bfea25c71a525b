/* kernels: every table against definitions written out element by element, at awkward sizes. */
#include "test.h"

#include <float.h>
#include <math.h>

#include "base/random.h"
#include "kernels/kernels.h"

#define MOST 1003

static const size_t sizes[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 1003};
#define SIZES (sizeof sizes / sizeof sizes[0])

static void fill(float *x, size_t n, uint64_t stream)
{
    struct fl_random random;
    fl_random_init(&random, 42, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = ldexpf(fl_random_float(&random) - 0.5f, (int)fl_random_below(&random, 40) - 20);
}

static void test_add_and_subtract(void **state)
{
    const struct fl_kernels *kernels = *state;
    float a[MOST], b[MOST], got[MOST];
    fill(a, MOST, 0);
    fill(b, MOST, 1);
    for (size_t s = 0; s < SIZES; s++) {
        kernels->add(a, b, got, sizes[s]);
        for (size_t i = 0; i < sizes[s]; i++)
            assert_true(got[i] == a[i] + b[i]);
        kernels->subtract(a, b, got, sizes[s]);
        for (size_t i = 0; i < sizes[s]; i++)
            assert_true(got[i] == a[i] - b[i]);
    }
    memcpy(got, a, sizeof a); /* in place */
    kernels->add(got, b, got, MOST);
    assert_true(got[500] == a[500] + b[500]);
}

static void test_finite_sees_one_bad_element_anywhere(void **state)
{
    const struct fl_kernels *kernels = *state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    float x[MOST];
    fill(x, MOST, 2);
    x[3] = FLT_MAX;
    x[4] = -FLT_TRUE_MIN;
    assert_true(kernels->all_finite(x, MOST));
    assert_true(kernels->all_finite(x, 0));
    for (size_t i = 0; i < MOST; i++) {
        float kept = x[i];
        x[i] = bad[i % 3];
        assert_false(kernels->all_finite(x, MOST));
        assert_true(kernels->all_finite(x, i));
        x[i] = kept;
    }
}

static double sum_of_run(const float *x, size_t n)
{
    double lane[8] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++)
        lane[i % 8] += (double)x[i] * x[i];
    for (size_t j = 0; j < 8; j++)
        sum += lane[j];
    return sum;
}

static void test_sum_of_squares_has_a_fixed_order(void **state)
{
    const struct fl_kernels *kernels = *state;
    static const size_t more[] = {FL_KERNELS_RUN - 1, FL_KERNELS_RUN, FL_KERNELS_RUN + 1,
                                  3 * FL_KERNELS_RUN + 13};
    static float x[3 * FL_KERNELS_RUN + 13];
    const size_t elems = sizeof x / sizeof x[0];
    fill(x, elems, 3);
    for (size_t s = 0; s < SIZES + 4; s++) {
        size_t n = s < SIZES ? sizes[s] : more[s - SIZES];
        double sum = 0;
        for (size_t at = 0; at < n; at += FL_KERNELS_RUN)
            sum += sum_of_run(x + at, n - at < FL_KERNELS_RUN ? n - at : FL_KERNELS_RUN);
        assert_true(kernels->sum_squares(x, n) == sum);
    }
    /* Here the order shows: 2^54 swallows the ones that are added to it one by one, 511 in its run. */
    for (size_t i = 0; i < elems; i++)
        x[i] = 1;
    x[0] = 0x1p27f;
    assert_true(kernels->sum_squares(x, elems) == 0x1p54 + 7 * 512 + 2 * 4096 + 12);
}

static void test_max_abs(void **state)
{
    const struct fl_kernels *kernels = *state;
    float x[MOST];
    fill(x, MOST, 4);
    for (size_t s = 0; s < SIZES; s++) {
        float most = 0;
        for (size_t i = 0; i < sizes[s]; i++)
            most = fmaxf(most, fabsf(x[i]));
        assert_true(kernels->max_abs(x, sizes[s]) == most);
    }
    static const float tiny[] = {-FLT_TRUE_MIN, 0.0f, -0.0f};
    assert_true(kernels->max_abs(tiny, 3) == FLT_TRUE_MIN);
    assert_true(kernels->max_abs(tiny + 1, 2) == 0);
}

static void test_band_holds_its_lower_and_not_its_upper_edge(void **state)
{
    const struct fl_kernels *kernels = *state;
    const float x[] = {0.5f, -0.5f, nextafterf(0.5f, 0), 2.0f, -2.0f, nextafterf(2.0f, 0), 0, FLT_MAX};
    uint32_t indices[8], bits[8];
    assert_int_equal(kernels->count_band(x, 8, 0.5f, 2.0f), 3);
    kernels->select_band(x, 8, 0.5f, 2.0f, indices, bits);
    assert_int_equal(indices[0], 0);
    assert_int_equal(indices[1], 1);
    assert_int_equal(indices[2], 5);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(&bits[i], &x[indices[i]], 4);
    assert_int_equal(kernels->count_band(x, 8, 0.5f, INFINITY), 6);
}

static void test_select_agrees_with_count(void **state)
{
    const struct fl_kernels *kernels = *state;
    float x[MOST];
    uint32_t indices[MOST], bits[MOST];
    fill(x, MOST, 5);
    for (size_t s = 0; s < SIZES; s++) {
        for (float low = 1e-6f; low < 1e5f; low *= 10) {
            size_t count = kernels->count_band(x, sizes[s], low, INFINITY), at = 0;
            kernels->select_band(x, sizes[s], low, INFINITY, indices, bits);
            for (size_t i = 0; i < sizes[s]; i++) {
                if (fabsf(x[i]) >= low) {
                    assert_int_equal(indices[at], i);
                    at++;
                }
            }
            assert_int_equal(at, count);
        }
    }
}

static void test_R17_publish_where_the_drift_reaches_lambda_down(void **state)
{
    const struct fl_kernels *kernels = *state;
    const double x[] = {1.0, 1.25, 1.2499999, 1.0 + 1e-12, 3.0, -0.25};
    float x_hat[] = {1, 1, 1, 1, 5, 0};
    uint32_t touched[6] = {7, 7, 7, 7, 7, 7};
    assert_int_equal(kernels->publish(x, x_hat, touched, 6, 0.25, 9), 3);
    const uint32_t expected[] = {7, 9, 7, 7, 9, 9};
    assert_memory_equal(touched, expected, sizeof expected);
    assert_true(x_hat[1] == 1.25f && x_hat[2] == 1 && x_hat[4] == 3 && x_hat[5] == -0.25f);
    /* lambda_down = 0: all that differs as float32, and only that */
    assert_int_equal(kernels->publish(x, x_hat, touched, 6, 0, 10), 1);
    assert_int_equal(touched[2], 10);
    for (size_t i = 0; i < 6; i++)
        assert_true(x_hat[i] == (float)x[i]);
    assert_int_equal(kernels->publish(x, x_hat, touched, 6, 0, 11), 0);
}

/* Values that are special to a comparison of bits, then random ones, for lambda as the threshold. */
static void fill_special(float *x, size_t n, float lambda, uint64_t stream)
{
    const float special[] = {0.0f,    -0.0f,         FLT_TRUE_MIN,          -FLT_MIN / 3,  lambda,
                             -lambda, lambda * 1.5f, nextafterf(lambda, 0), -2.5f * lambda};
    struct fl_random random;
    fl_random_init(&random, 7, stream);
    for (size_t i = 0; i < n; i++) {
        uint32_t kind = fl_random_u32(&random) % 30;
        x[i] = kind < 9 ? special[kind] : (fl_random_float(&random) - 0.5f) * lambda * 8;
    }
}

static void test_first_phase_adds_and_marks(void **state)
{
    const struct fl_kernels *kernels = *state;
    static float a[MOST], b[MOST], p[MOST];
    uint64_t mask[MOST / 64 + 2];
    for (size_t s = 0; s < SIZES; s++) {
        size_t n = sizes[s], words = (n + 63) / 64, count = 0;
        uint32_t worst = 5, low, high, most = 5;
        float lambda = ldexpf(1, (int)(s * 9) - 60), ceiling = 3 * lambda;
        memcpy(&low, &lambda, 4);
        memcpy(&high, &ceiling, 4);
        fill_special(a, n, lambda, s);
        fill_special(b, n, lambda, s + 100);
        memcpy(p, a, sizeof p); /* in place */
        mask[words] = 0x5a5a;
        size_t got = kernels->add_mask(p, b, p, n, low, high, mask, &worst);
        for (size_t i = 0; i < n; i++) {
            float sum = a[i] + b[i], magnitude = fabsf(sum);
            uint32_t bits;
            memcpy(&bits, &magnitude, 4);
            most = bits > most ? bits : most;
            assert_memory_equal(&p[i], &sum, 4);
            assert_int_equal(mask[i / 64] >> (i % 64) & 1, magnitude >= lambda && magnitude < ceiling);
            count += magnitude >= lambda && magnitude < ceiling;
        }
        assert_int_equal(got, count);
        assert_int_equal(worst, most);
        assert_int_equal(mask[words], 0x5a5a);
        if (n % 64)
            assert_int_equal(mask[words - 1] >> (n % 64), 0);
    }
}

static void test_first_phase_sees_what_is_not_finite_anywhere(void **state)
{
    const struct fl_kernels *kernels = *state;
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    float a[130] = {0}, b[130] = {0}, p[130];
    uint64_t mask[3];
    for (size_t i = 0; i < 130; i++) {
        uint32_t worst = 0;
        a[i] = bad[i % 4];
        kernels->add_mask(a, b, p, 130, 1, 0x7f800000u, mask, &worst);
        assert_true(worst >= 0x7f800000u);
        assert_int_equal(mask[0] | mask[1] | mask[2], 0);
        a[i] = FLT_MAX;
        worst = 0;
        kernels->add_mask(a, b, p, 130, 1, 0x7f800000u, mask, &worst);
        assert_true(worst < 0x7f800000u);
        b[i] = FLT_MAX; /* the sum overflows */
        kernels->add_mask(a, b, p, 130, 1, 0x7f800000u, mask, &worst);
        assert_true(worst == 0x7f800000u);
        a[i] = b[i] = 0;
    }
}

/* mask gets about density * n random bits of the n; how many. */
static size_t fill_mask(uint64_t *mask, size_t n, double density, uint64_t stream)
{
    struct fl_random random;
    size_t count = 0;
    fl_random_init(&random, 9, stream);
    memset(mask, 0, (n + 63) / 64 * sizeof *mask);
    for (size_t i = 0; i < n; i++) {
        uint64_t in = fl_random_double(&random) < density;
        mask[i / 64] |= in << (i % 64);
        count += in;
    }
    return count;
}

static const double densities[] = {0, 1e-3, 1e-2, 3e-2, 0.1, 0.5, 1};
#define DENSITIES (sizeof densities / sizeof densities[0])

static void test_second_phase_takes_values(void **state)
{
    const struct fl_kernels *kernels = *state;
    static float p[MOST], kept[MOST];
    uint64_t mask[MOST / 64 + 1];
    static uint32_t indices[MOST + FL_KERNELS_SLACK], words[MOST + FL_KERNELS_SLACK];
    for (size_t s = 0; s < SIZES; s++) {
        for (size_t d = 0; d < DENSITIES; d++) {
            size_t n = sizes[s], count = fill_mask(mask, n, densities[d], s), at = 0;
            fill(p, n, s);
            memcpy(kept, p, sizeof p);
            kernels->take_values(p, n, mask, count, 4000000000u, indices, words);
            for (size_t i = 0; i < n; i++) {
                uint32_t bits;
                memcpy(&bits, &p[i], 4);
                if (!(mask[i / 64] >> (i % 64) & 1)) {
                    assert_memory_equal(&p[i], &kept[i], 4);
                    continue;
                }
                assert_int_equal(bits, 0); /* +0 */
                assert_int_equal(indices[at], 4000000000u + i);
                assert_memory_equal(&words[at++], &kept[i], 4);
            }
            assert_int_equal(at, count);
        }
    }
}

/* What codec/grid.h says, in float64. */
static int32_t level_of(float p, double step)
{
    double level = floor(fabs(p) / step + 0.5);
    level = level > 1 << 20 ? 1 << 20 : level;
    return (int32_t)(p < 0 ? -level : level);
}

static void test_R8_second_phase_takes_levels(void **state)
{
    const struct fl_kernels *kernels = *state;
    static float p[MOST], kept[MOST];
    uint64_t mask[MOST / 64 + 1];
    static uint32_t indices[MOST + FL_KERNELS_SLACK], words[MOST + FL_KERNELS_SLACK];
    struct fl_random random;
    fl_random_init(&random, 3, 4);
    for (int step_log2 = -100; step_log2 <= 60; step_log2 += 8) {
        float step = ldexpf(1, step_log2);
        struct fl_kernels_grid grid = {step, 1 / step, 1 << 20};
        for (size_t d = 1; d < DENSITIES; d++) {
            size_t count = fill_mask(mask, MOST, densities[d], d), at = 0;
            for (size_t i = 0; i < MOST; i++) {
                /* close to where levels change, from step / 2 up to 2^44 step */
                float halves = (float)(fl_random_u32(&random) >> fl_random_below(&random, 31) | 1);
                float x = halves * 0.5f * (i % 50 ? 1 : 0x1p12f);
                float near[] = {x, nextafterf(x, 0), nextafterf(x, INFINITY)};
                x = near[i % 3] < 0.5f ? 0.5f : near[i % 3];
                p[i] = x * step * (i & 1 ? -1.0f : 1.0f);
            }
            memcpy(kept, p, sizeof p);
            kernels->take_levels(p, MOST, mask, count, 17, &grid, indices, words);
            for (size_t i = 0; i < MOST; i++) {
                if (!(mask[i / 64] >> (i % 64) & 1)) {
                    assert_memory_equal(&p[i], &kept[i], 4);
                    continue;
                }
                int32_t level = level_of(kept[i], step);
                float rest = kept[i] - (float)level * step;
                assert_int_equal(indices[at], 17 + i);
                assert_int_equal((int32_t)words[at++], level);
                assert_memory_equal(&p[i], &rest, 4);
            }
            assert_int_equal(at, count);
        }
    }
}

static void test_R17_publish_is_the_portable_one(void **state)
{
    const struct fl_kernels *kernels = *state, *portable = fl_kernels_find("portable");
    static double x[MOST];
    static float x_hat[MOST], expected[MOST];
    static uint32_t touched[MOST], marks[MOST];
    struct fl_random random;
    fl_random_init(&random, 5, 6);
    for (size_t s = 0; s < SIZES; s++) {
        for (double lambda = 0; lambda < 2; lambda += 0.3) {
            for (size_t i = 0; i < sizes[s]; i++) {
                x_hat[i] = expected[i] = fl_random_float(&random);
                x[i] = x_hat[i] + (i % 3 ? fl_random_double(&random) : 0);
                x[i] = i % 17 ? x[i] : -0.0;
            }
            size_t count = portable->publish(x, expected, marks, sizes[s], lambda, 3);
            assert_int_equal(kernels->publish(x, x_hat, touched, sizes[s], lambda, 3), count);
            assert_memory_equal(x_hat, expected, sizes[s] * 4);
            assert_memory_equal(touched, marks, sizes[s] * 4);
        }
    }
}

static void test_tables_are_found_by_name(void **state)
{
    const struct fl_kernels *kernels = *state;
    assert_ptr_equal(fl_kernels_find(kernels->name), kernels);
    assert_non_null(fl_kernels_find("portable"));
    assert_null(fl_kernels_find("none such"));
    assert_non_null(fl_kernels_pick());
}

static void test_the_environment_can_name_a_table(void **state)
{
    (void)state;
    const struct fl_kernels *fastest = fl_kernels_pick();
    setenv("FL_KERNELS", "portable", 1);
    assert_string_equal(fl_kernels_pick()->name, "portable");
    setenv("FL_KERNELS", "none such", 1);
    assert_ptr_equal(fl_kernels_pick(), fastest);
    unsetenv("FL_KERNELS");
}

static int run_all(const struct fl_kernels *kernels)
{
#define CASE(test) cmocka_unit_test_prestate(test, (void *)(uintptr_t)kernels)
    const struct CMUnitTest tests[] = {
        CASE(test_add_and_subtract),
        CASE(test_finite_sees_one_bad_element_anywhere),
        CASE(test_sum_of_squares_has_a_fixed_order),
        CASE(test_max_abs),
        CASE(test_band_holds_its_lower_and_not_its_upper_edge),
        CASE(test_select_agrees_with_count),
        CASE(test_R17_publish_where_the_drift_reaches_lambda_down),
        CASE(test_R17_publish_is_the_portable_one),
        CASE(test_first_phase_adds_and_marks),
        CASE(test_first_phase_sees_what_is_not_finite_anywhere),
        CASE(test_second_phase_takes_values),
        CASE(test_R8_second_phase_takes_levels),
        CASE(test_tables_are_found_by_name),
        CASE(test_the_environment_can_name_a_table),
    };
    return cmocka_run_group_tests_name(kernels->name, tests, NULL, NULL);
}

int main(void)
{
    static const char *const names[] = {"portable", "avx2", "avx512", "neon"};
    int failed = 0;
    unsetenv("FL_KERNELS");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct fl_kernels *kernels = fl_kernels_find(names[i]);
        if (kernels)
            failed += run_all(kernels);
        else
            printf("[ SKIPPED ] %s: not on this machine\n", names[i]);
    }
    return failed;
}
