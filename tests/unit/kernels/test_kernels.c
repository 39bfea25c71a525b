/* kernels: every table against definitions written out element by element, at awkward sizes. */
#include "test.h"

#include <float.h>
#include <math.h>

#include "base/random.h"
#include "kernels/kernels.h"

#define MOST 1003

static const size_t sizes[] = {0, 1, 7, 8, 9, 31, 33, 64, 1003};
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

static void test_sum_of_squares_has_a_fixed_order(void **state)
{
    const struct fl_kernels *kernels = *state;
    float x[MOST];
    fill(x, MOST, 3);
    for (size_t s = 0; s < SIZES; s++) {
        double lane[8] = {0}, sum = 0;
        for (size_t i = 0; i < sizes[s]; i++)
            lane[i % 8] += (double)x[i] * x[i];
        for (size_t j = 0; j < 8; j++)
            sum += lane[j];
        assert_true(kernels->sum_squares(x, sizes[s]) == sum);
    }
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

static void test_tables_are_found_by_name(void **state)
{
    const struct fl_kernels *kernels = *state;
    assert_ptr_equal(fl_kernels_find(kernels->name), kernels);
    assert_non_null(fl_kernels_find("portable"));
    assert_null(fl_kernels_find("none such"));
    assert_non_null(fl_kernels_pick());
}

int main(void)
{
    const struct fl_kernels *kernels = fl_kernels_pick();
#define CASE(test) cmocka_unit_test_prestate(test, (void *)(uintptr_t)kernels)
    const struct CMUnitTest tests[] = {
        CASE(test_add_and_subtract),
        CASE(test_finite_sees_one_bad_element_anywhere),
        CASE(test_sum_of_squares_has_a_fixed_order),
        CASE(test_max_abs),
        CASE(test_band_holds_its_lower_and_not_its_upper_edge),
        CASE(test_select_agrees_with_count),
        CASE(test_R17_publish_where_the_drift_reaches_lambda_down),
        CASE(test_tables_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
