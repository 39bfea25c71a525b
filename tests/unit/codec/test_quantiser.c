/* codec/quantiser: what each class promises: means and variances over many seeds, contractions, bounds. */
#include "test.h"

#include "sample.h"

#define DIM   1000
#define DRAWS 400

/* q of p with the seed; nothing stays behind. */
static void quantise(struct fl_codec_params params, uint64_t seed, const float *p, float *q)
{
    struct fl_payload payload;
    struct fl_buf buf;
    params.seed = seed;
    fl_buf_init(&buf, 1 << 20);
    sample_encode(&params, p, DIM, &buf);
    assert_ok(fl_payload_check(&params, DIM, fl_buf_view(&buf), &payload));
    fl_payload_decode(&payload, q);
    fl_buf_done(&buf);
}

static double squares(const float *x, size_t n)
{
    return fl_kernels_find("portable")->sum_squares(x, n);
}

static double miss(const float *p, const float *q)
{
    double sum = 0;
    for (size_t i = 0; i < DIM; i++)
        sum += ((double)p[i] - q[i]) * ((double)p[i] - q[i]);
    return sum;
}

/* The mean of many draws is p, as near as their own spread allows; the spread is within omega. */
static void check_unbiased(struct fl_codec_params params, double omega)
{
    static float p[DIM], q[DIM];
    static double sum[DIM];
    double spread = 0, off = 0;
    memset(sum, 0, sizeof sum);
    sample_fill(p, DIM, 0.1, 11);
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        quantise(params, draw, p, q);
        spread += miss(p, q) / DRAWS;
        for (size_t i = 0; i < DIM; i++)
            sum[i] += (double)q[i];
    }
    for (size_t i = 0; i < DIM; i++)
        off += (sum[i] / DRAWS - (double)p[i]) * (sum[i] / DRAWS - (double)p[i]);
    assert_true(spread > 0 && spread <= omega * squares(p, DIM) * 1.02);
    assert_true(off <= 2 * spread / DRAWS); /* its mean is spread / DRAWS; rare large steps make it wide */
}

static void test_random_rounding_has_the_right_mean_and_variance(void **state)
{
    (void)state;
    /* omega of QSGD: min(B / s^2, sqrt(B) / s); of one bucket. */
    check_unbiased((struct fl_codec_params){.id = FL_CODEC_QSGD, .bits = 4, .bucket = DIM}, sqrt(DIM) / 7);
    check_unbiased((struct fl_codec_params){.id = FL_CODEC_QSGD, .bits = 8, .bucket = 100},
                   100.0 / (127 * 127));
    check_unbiased((struct fl_codec_params){.id = FL_CODEC_QSGD_MAX, .bits = 3, .bucket = 125},
                   sqrt(125) / 3);
    check_unbiased((struct fl_codec_params){.id = FL_CODEC_NUQSGD, .bits = 3, .bucket = 125}, sqrt(125) / 3);
    check_unbiased((struct fl_codec_params){.id = FL_CODEC_ALQ, .bits = 3, .bucket = 125}, sqrt(125) / 3);
    check_unbiased((struct fl_codec_params){.id = FL_CODEC_ALQ_N, .bits = 3, .bucket = 125}, sqrt(125) / 3);
    check_unbiased((struct fl_codec_params){.id = FL_CODEC_AMQ, .bits = 3, .bucket = 125}, sqrt(125) / 3);
    check_unbiased((struct fl_codec_params){.id = FL_CODEC_AMQ_N, .bits = 3, .bucket = 125}, sqrt(125) / 3);
}

static double mean_miss(struct fl_codec_params params, const float *p)
{
    static float q[DIM];
    double sum = 0;
    for (uint64_t draw = 0; draw < 50; draw++) {
        quantise(params, draw, p, q);
        sum += miss(p, q) / 50;
    }
    return sum;
}

/* Levels fitted to the values are worth their name: less noise than uniform ones of as many bits. */
static void test_fitted_levels_are_less_noisy(void **state)
{
    (void)state;
    static float p[DIM];
    struct fl_random random;
    fl_random_init(&random, 5, 0);
    for (size_t i = 0; i < DIM; i++) /* about normal */
        p[i] = fl_random_float(&random) + fl_random_float(&random) + fl_random_float(&random) - 1.5f;
    double uniform = mean_miss((struct fl_codec_params){.id = FL_CODEC_QSGD, .bits = 3, .bucket = 500}, p);
    static const enum fl_codec_id fitted[] = {FL_CODEC_ALQ, FL_CODEC_ALQ_N, FL_CODEC_AMQ, FL_CODEC_AMQ_N};
    for (size_t i = 0; i < 4; i++)
        assert_true(mean_miss((struct fl_codec_params){.id = fitted[i], .bits = 3, .bucket = 500}, p) <
                    uniform / 2);
}

/* Karimireddy et al., 2019: ||p - q||^2 = (1 - delta) ||p||^2 exactly, delta = ||p||_1^2 / (n ||p||_2^2). */
static void test_sign_is_a_contraction_by_its_own_delta(void **state)
{
    (void)state;
    static float p[DIM], q[DIM];
    for (uint64_t seed = 0; seed < 20; seed++) {
        double ones = 0;
        sample_fill(p, DIM, 0.05, seed);
        for (size_t i = 0; i < DIM; i++)
            ones += fabs((double)p[i]);
        quantise((struct fl_codec_params){.id = FL_CODEC_SIGN, .bucket = DIM}, 0, p, q);
        double delta = ones * ones / (DIM * squares(p, DIM));
        assert_true(fabs(miss(p, q) - (1 - delta) * squares(p, DIM)) <= 1e-6 * squares(p, DIM));
    }
}

static void test_one_bit_sends_the_two_means(void **state)
{
    (void)state;
    static float p[DIM], q[DIM];
    p[0] = -1, p[1] = -3, p[2] = 2, p[3] = 6;
    quantise((struct fl_codec_params){.id = FL_CODEC_ONE_BIT}, 0, p, q);
    assert_true(q[0] == -2 && q[1] == -2 && q[2] == q[3] && fabsf(q[2] - 8.0f / 998) < 1e-6f);
    memset(p, 0, sizeof p);
    quantise((struct fl_codec_params){.id = FL_CODEC_ONE_BIT}, 0, p, q);
    assert_true(squares(q, DIM) < 1e-60); /* one side is empty, the other all zeros */
}

/* In the mean over seeds a contraction with delta = k / (d (1 + omega)): Basu et al., 2019, Lemma 1. */
static void test_qsparse_contracts_in_the_mean(void **state)
{
    (void)state;
    static float p[DIM];
    sample_fill(p, DIM, 0.1, 3);
    double omega = sqrt(50) / 3, delta = 0.1 / (1 + omega);
    assert_true(
        mean_miss((struct fl_codec_params){.id = FL_CODEC_QSPARSE, .ratio = 0.1, .bits = 3, .bucket = 50},
                  p) <= (1 - delta) * squares(p, DIM));
}

/* Absolute at any scale: at most lambda is missed while no value is beyond 128 lambda. */
static void test_the_fixed_tree_is_absolute(void **state)
{
    (void)state;
    static float p[DIM], q[DIM];
    for (int power = -12; power <= 12; power++) {
        float lambda = (float)pow(10, power);
        struct fl_random random;
        fl_random_init(&random, (uint64_t)(power + 12), 0);
        for (size_t i = 0; i < DIM; i++)
            p[i] = (fl_random_float(&random) * 2 - 1) * 128 * lambda;
        quantise((struct fl_codec_params){.id = FL_CODEC_TREE_8_FIXED, .lambda = lambda}, 0, p, q);
        for (size_t i = 0; i < DIM; i++)
            assert_true(fabsf(p[i] - q[i]) <= lambda);
    }
}

static void test_the_same_seed_gives_the_same_bytes_and_another_others(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM];
    sample_fill(p, SAMPLE_DIM, 0.1, 2);
    struct fl_codec_params params = {.id = FL_CODEC_QSGD, .bits = 3, .bucket = 512, .seed = 1};
    struct fl_buf first, second;
    fl_buf_init(&first, 1 << 20);
    fl_buf_init(&second, 1 << 20);
    sample_encode(&params, p, SAMPLE_DIM, &first);
    sample_encode(&params, p, SAMPLE_DIM, &second);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    fl_buf_clear(&second);
    params.seed = 2;
    sample_encode(&params, p, SAMPLE_DIM, &second);
    assert_true(first.size != second.size || memcmp(first.data, second.data, first.size) != 0);
    fl_buf_done(&first);
    fl_buf_done(&second);
}

/* All zeros, and one value among zeros, at sizes around a bucket. */
static void test_quiet_vectors(void **state)
{
    (void)state;
    static const size_t dims[] = {1, 2, 63, 64, 65};
    for (size_t c = 0; c < SAMPLE_ANY; c++) {
        for (size_t d = 0; d < 10; d++) {
            float p[65] = {0}, q[65];
            struct fl_codec_params params = sample_params[c];
            struct fl_payload payload;
            struct fl_buf buf;
            fl_buf_init(&buf, 1 << 20);
            p[dims[d % 5] - 1] = d < 5 ? 0 : -3;
            sample_encode(&params, p, dims[d % 5], &buf);
            assert_ok(fl_payload_check(&params, dims[d % 5], fl_buf_view(&buf), &payload));
            fl_payload_decode(&payload, q);
            for (size_t i = 0; i < dims[d % 5]; i++)
                assert_true(isfinite(q[i]) && (d >= 5 || fabsf(q[i]) < 1e-30f));
            fl_buf_done(&buf);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_rounding_has_the_right_mean_and_variance),
        cmocka_unit_test(test_fitted_levels_are_less_noisy),
        cmocka_unit_test(test_sign_is_a_contraction_by_its_own_delta),
        cmocka_unit_test(test_one_bit_sends_the_two_means),
        cmocka_unit_test(test_qsparse_contracts_in_the_mean),
        cmocka_unit_test(test_the_fixed_tree_is_absolute),
        cmocka_unit_test(test_the_same_seed_gives_the_same_bytes_and_another_others),
        cmocka_unit_test(test_quiet_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
