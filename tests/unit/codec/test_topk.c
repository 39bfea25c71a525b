/* codec/topk: the selection against a full sort, ties, zeros, and the contraction property. */
#include "test.h"

#include "codec/topk.h"
#include "sample.h"

#define N 2000

static const float *sorted_by; /* qsort has no user pointer */

static int by_magnitude_then_index(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    float x = fabsf(sorted_by[i]), y = fabsf(sorted_by[j]);
    if (x != y)
        return x > y ? -1 : 1;
    return i < j ? -1 : i > j;
}

/* chosen[i] = 1 for the k first by definition, zeros left out. */
static size_t choose_by_sorting(const float *x, size_t n, size_t k, char *chosen)
{
    static uint32_t order[N];
    size_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
        chosen[i] = 0;
    }
    sorted_by = x;
    qsort(order, n, sizeof *order, by_magnitude_then_index);
    for (size_t i = 0; i < k; i++) {
        if (x[order[i]] != 0) {
            chosen[order[i]] = 1;
            count++;
        }
    }
    return count;
}

static void check(const float *x, size_t n, size_t k)
{
    static uint32_t indices[N], bits[N];
    static char chosen[N];
    size_t expected = choose_by_sorting(x, n, k, chosen);
    assert_int_equal(fl_topk_select(x, n, k, 1000, indices, bits), expected);
    for (size_t i = 0; i < expected; i++) {
        assert_true(indices[i] >= 1000 && chosen[indices[i] - 1000]);
        assert_true(i == 0 || indices[i] > indices[i - 1]);
        assert_memory_equal(&bits[i], &x[indices[i] - 1000], 4);
    }
}

static void test_selection_equals_sorting(void **state)
{
    (void)state;
    static float x[N];
    struct fl_random random;
    fl_random_init(&random, 1, 2);
    for (int kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < N; i++) {
            float sign = fl_random_u32(&random) & 1 ? 1.0f : -1.0f;
            int exponent = (int)fl_random_below(&random, 250) - 140;
            float choices[] = {fl_random_float(&random) - 0.5f, ldexpf(fl_random_float(&random), exponent),
                               sign * (float)fl_random_below(&random, 4), sign * 1e-40f};
            x[i] = choices[kind];
        }
        static const size_t ks[] = {1, 2, 20, 999, 1999, 2000};
        for (size_t i = 0; i < 6; i++)
            check(x, N, ks[i]);
        check(x, 1, 1);
        check(x, 2, 1);
    }
}

static void test_ties_go_to_the_smallest_index(void **state)
{
    (void)state;
    static const float x[] = {1, -2, 2, 0, -2, 2};
    uint32_t indices[6], bits[6];
    assert_int_equal(fl_topk_select(x, 6, 2, 0, indices, bits), 2);
    assert_int_equal(indices[0], 1);
    assert_int_equal(indices[1], 2);
}

static void test_zeros_are_not_sent(void **state)
{
    (void)state;
    static const float x[] = {0, -0.0f, 3, 0};
    uint32_t indices[4], bits[4];
    assert_int_equal(fl_topk_select(x, 4, 4, 0, indices, bits), 1);
    assert_int_equal(indices[0], 2);
    assert_int_equal(fl_topk_select(x, 2, 1, 0, indices, bits), 0);
}

static void test_topk_is_a_contraction(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM], zero[SAMPLE_DIM], e[SAMPLE_DIM];
    static const double ratios[] = {0.001, 0.01, 0.1, 0.5, 1};
    for (size_t r = 0; r < 5; r++) {
        for (int tensors = 0; tensors < 2; tensors++) {
            struct fl_codec_params params = {.id = tensors ? FL_CODEC_TOPK_TENSOR : FL_CODEC_TOPK,
                                             .ratio = ratios[r],
                                             .tensors = sample_tensors,
                                             .tensor_count = 4};
            struct fl_payload payload;
            struct fl_buf buf;
            double whole = 0, left = 0;
            fl_buf_init(&buf, 1 << 20);
            sample_fill(p, SAMPLE_DIM, 0.05, r);
            assert_ok(fl_error_feedback_step(fl_kernels_pick(), 1, &params, p, zero, SAMPLE_DIM, &buf, e,
                                             &payload));
            for (size_t i = 0; i < SAMPLE_DIM; i++) {
                whole += (double)p[i] * p[i];
                left += (double)e[i] * e[i];
            }
            size_t k = 0; /* per tensor the contraction is the worst tensor's */
            double delta = 1;
            for (size_t t = 0; t < 4; t++) {
                size_t share = fl_codec_top_count(ratios[r], fl_codec_tensor_elems(&sample_tensors[t]));
                k += share;
                delta = fmin(delta, (double)share / (double)fl_codec_tensor_elems(&sample_tensors[t]));
            }
            if (!tensors) {
                k = fl_codec_top_count(ratios[r], SAMPLE_DIM);
                delta = (double)k / SAMPLE_DIM;
            }
            assert_int_equal(payload.count, k);
            assert_true(left <= (1 - delta) * whole * (1 + 1e-12));
            fl_buf_done(&buf);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection_equals_sorting),
        cmocka_unit_test(test_ties_go_to_the_smallest_index),
        cmocka_unit_test(test_zeros_are_not_sent),
        cmocka_unit_test(test_topk_is_a_contraction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
