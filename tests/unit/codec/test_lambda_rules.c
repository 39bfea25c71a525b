/* codec/lambda_rules: the published table, units, budgets met by sampling, and the offline optimum. */
#include "test.h"

#include <float.h>

#include "codec/codec.h"
#include "codec/lambda_rules.h"
#include "draws.h"
#include "fail_alloc.h"

/* Sahu et al. 2021, run script: lambda for k = 0.1 % of d, to the three digits printed (algorithms.md 3.1).
 */
static void test_from_count_reproduces_the_published_table(void **state)
{
    (void)state;
    static const struct {
        double dim, k;
        const char *lambda;
    } rows[] = {
        {11173962, 11174, "4.73e-03"}, {11220132, 11220, "4.72e-03"}, {11260354, 11260, "4.71e-03"},
        {11436256, 11436, "4.68e-03"}, {6166250, 6166, "6.37e-03"},   {6258500, 6258, "6.32e-03"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double lambda, delta;
        char text[32];
        assert_true(nearbyint(rows[i].dim / 1000) == rows[i].k); /* half to even */
        assert_ok(fl_lambda_from_count(rows[i].k, &lambda));
        snprintf(text, sizeof text, "%.2e", lambda);
        assert_string_equal(text, rows[i].lambda);
        assert_ok(fl_lambda_delta_from_count(rows[i].k, 0.1, 20, &delta)); /* 0.1 * 20 gradients' worth */
        assert_true(fabs(delta - 2 * lambda) < 1e-15);
    }
}

static void test_from_accuracy_inverts_its_bound(void **state)
{
    (void)state;
    static const double cases[][4] = {{1e-3, 0.1, 10, 5000}, {1e-9, 2, 0.5, 1}, {1e6, 1e-5, 842.868, 1e8}};
    for (size_t i = 0; i < 3; i++) {
        double epsilon = cases[i][0], step = cases[i][1], smooth = cases[i][2], dim = cases[i][3], lambda;
        assert_ok(fl_lambda_from_accuracy(FL_LAMBDA_SAFE, epsilon, step, smooth, dim, &lambda));
        assert_true(fabs(smooth / 2 * dim * step * step * lambda * lambda / epsilon - 1) < 1e-12);
        assert_ok(fl_lambda_from_accuracy(FL_LAMBDA_RELAXED, epsilon, step, 0, dim, &lambda));
        assert_true(fabs(dim * step * step * lambda * lambda / epsilon - 1) < 1e-12);
    }
}

static void test_wrong_inputs(void **state)
{
    (void)state;
    static const double bad[] = {0, -1, NAN, INFINITY};
    const struct fl_kernels *kernels = fl_kernels_pick();
    double lambda;
    float sampled = 7;
    for (size_t i = 0; i < 4; i++) {
        assert_status(fl_lambda_from_count(bad[i], &lambda), FL_ERR_RANGE);
        assert_status(fl_lambda_delta_from_count(1, bad[i], 1, &lambda), FL_ERR_RANGE);
        assert_status(fl_lambda_delta_from_count(1, 1, bad[i], &lambda), FL_ERR_RANGE);
        assert_status(fl_lambda_from_accuracy(FL_LAMBDA_SAFE, bad[i], 1, 1, 1, &lambda), FL_ERR_RANGE);
        assert_status(fl_lambda_from_accuracy(FL_LAMBDA_SAFE, 1, bad[i], 1, 1, &lambda), FL_ERR_RANGE);
        assert_status(fl_lambda_from_accuracy(FL_LAMBDA_SAFE, 1, 1, bad[i], 1, &lambda), FL_ERR_RANGE);
        assert_status(fl_lambda_from_accuracy(FL_LAMBDA_RELAXED, 1, 1, 1, bad[i], &lambda), FL_ERR_RANGE);
    }
    static float x[FL_LAMBDA_SAMPLE + 1];
    for (size_t n = 1; n <= FL_LAMBDA_SAMPLE + 1; n += FL_LAMBDA_SAMPLE) {
        static const float poison[] = {NAN, INFINITY, -INFINITY};
        for (size_t i = 0; i < 3; i++) {
            x[n - 1] = poison[i];
            assert_status(fl_lambda_from_sample(kernels, x, n, n, 1, &sampled), FL_ERR_NOT_FINITE);
            assert_status(fl_lambda_offline(kernels, x, n, n, &sampled), FL_ERR_NOT_FINITE);
        }
        x[n - 1] = 0;
        assert_status(fl_lambda_from_sample(kernels, x, n, n + 1, 1, &sampled), FL_ERR_RANGE);
        assert_status(fl_lambda_from_sample(kernels, x, n, 0, 1, &sampled), FL_ERR_RANGE);
    }
    assert_status(fl_lambda_from_sample(kernels, x, 0, 1, 1, &sampled), FL_ERR_SHAPE);
    assert_status(fl_lambda_offline(kernels, x, 0, 1, &sampled), FL_ERR_SHAPE);
    assert_true(sampled == 7);
}

#define N 1000000
static float vector[N];

static void test_sampled_lambda_meets_its_count(void **state)
{
    (void)state;
    static const size_t counts[] = {100, 970, 1000, 10000, 100000, 240000};
    for (int kind = 0; kind < DRAW_KINDS; kind++) {
        draw_fill(vector, N, (enum draw)kind, 1e-3, (uint64_t)kind);
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            double expected = (double)counts[c] * FL_LAMBDA_SAMPLE / N;
            for (uint64_t seed = 0; seed < 5; seed++) {
                float lambda, again;
                assert_ok(fl_lambda_from_sample(fl_kernels_pick(), vector, N, counts[c], seed, &lambda));
                assert_ok(fl_lambda_from_sample(fl_kernels_pick(), vector, N, counts[c], seed, &again));
                assert_true(lambda == again);
                double off = (double)draw_count_above(vector, N, lambda) / (double)counts[c] - 1;
                assert_true(fabs(off) <= (expected < 64 ? 0 : 4 / sqrt(expected)));
            }
        }
    }
}

/* Large values at a fixed distance, or all at the end: the sample must see their true share. */
static void test_sample_sees_all_of_the_vector(void **state)
{
    (void)state;
    static const struct {
        size_t n, large, period; /* period 0: the last ones */
    } cases[] = {{FL_LAMBDA_SAMPLE * 15, FL_LAMBDA_SAMPLE, 15}, {N, 17000, 0}};
    for (size_t c = 0; c < 2; c++) {
        size_t n = cases[c].n, large = cases[c].large, period = cases[c].period;
        draw_fill(vector, n, DRAW_LAPLACE, 1e-3, 1);
        for (size_t i = 0; i < n; i++)
            vector[i] += (period ? i % period == 0 : i >= n - large) ? 10 : 0;
        for (uint64_t seed = 0; seed < 5; seed++) {
            float lambda;
            assert_ok(fl_lambda_from_sample(fl_kernels_pick(), vector, n, large / 2, seed, &lambda));
            double survivors = (double)(large / 2) * FL_LAMBDA_SAMPLE / (double)n;
            double off = (double)draw_count_above(vector, n, lambda) / (double)(large / 2) - 1;
            assert_true(fabs(off) < 4 / sqrt(survivors));
        }
    }
}

/* A budget of bytes against what the encoder really makes of it. */
static void test_byte_budgets(void **state)
{
    (void)state;
    static const size_t budgets[] = {2000, 20000, 200000};
    for (int kind = 0; kind < DRAW_KINDS; kind++) {
        draw_fill(vector, N, (enum draw)kind, 1, 3);
        for (size_t b = 0; b < 3; b++) {
            struct fl_codec_params params = {.id = FL_CODEC_THRESHOLD};
            struct fl_buf payload;
            size_t count = fl_lambda_budget_count(N, budgets[b], 32);
            double survivors = (double)count * FL_LAMBDA_SAMPLE / N;
            double tolerance = 0.05 + (survivors < 64 ? 0 : 4 / sqrt(survivors));
            fl_buf_init(&payload, 1 << 22);
            assert_ok(fl_lambda_from_sample(fl_kernels_pick(), vector, N, count, 1, &params.lambda));
            assert_ok(fl_codec_encode(fl_kernels_pick(), &params, vector, N, &payload));
            assert_true(fabs((double)payload.size / (double)budgets[b] - 1) < tolerance);
            fl_buf_done(&payload);
        }
    }
    size_t count = fl_lambda_budget_count(N, 1000, 2.5); /* the most that fit, by the formula */
    assert_true((double)count * (log2((double)N / (double)count) + 4) <= 8000);
    assert_true((double)(count + 1) * (log2((double)N / (double)(count + 1)) + 4) > 8000);
    assert_int_equal(fl_lambda_budget_count(N, 0, 32), 0);
    assert_int_equal(fl_lambda_budget_count(N, 6, 32), 0); /* one takes 32 + 19.9 + 1.5 bits */
    assert_int_equal(fl_lambda_budget_count(N, 7, 32), 1);
    assert_int_equal(fl_lambda_budget_count(10, 1000, 32), 10);
    assert_int_equal(fl_lambda_budget_count(1, 1000, 0), 1);
}

static void test_never_zero(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 1000, N};
    float lambda;
    for (size_t s = 0; s < 3; s++) {
        memset(vector, 0, sizeof vector);
        assert_ok(fl_lambda_from_sample(fl_kernels_pick(), vector, sizes[s], sizes[s], 1, &lambda));
        assert_true(lambda == FLT_MIN);
        assert_ok(fl_lambda_offline(fl_kernels_pick(), vector, sizes[s], 1, &lambda));
        assert_true(lambda == FLT_MIN);
        for (size_t i = 0; i < sizes[s]; i++)
            vector[i] = -3;
        assert_ok(fl_lambda_from_sample(fl_kernels_pick(), vector, sizes[s], sizes[s], 1, &lambda));
        assert_true(lambda == 3);
    }
    draw_fill(vector, N, DRAW_SPARSE, 1, 1); /* half of it asked for, three quarters are zero */
    assert_ok(fl_lambda_from_sample(fl_kernels_pick(), vector, N, N / 2, 1, &lambda));
    assert_true(lambda == FLT_MIN);
}

/* Stacked error of top-k in each of T rounds against hard threshold with the T k-th largest magnitude. */
static void test_offline_lambda_beats_topk_on_any_sequence(void **state)
{
    (void)state;
    enum { ROUNDS = 100, DIM = 200, K = 7, ALL = ROUNDS * DIM };
    for (int kind = 0; kind < DRAW_KINDS; kind++) {
        for (int decay = 0; decay < 3; decay++) { /* none, slow, fast */
            static float x[ALL];
            double topk = 0, threshold = 0, exact = 0;
            for (size_t t = 0; t < ROUNDS; t++)
                draw_fill(x + t * DIM, DIM, (enum draw)kind, pow(1 - 0.04 * decay, (double)t), t);
            float lambda;
            assert_ok(fl_lambda_offline(fl_kernels_pick(), x, ALL, ROUNDS * K, &lambda));
            for (size_t t = 0; t < ROUNDS; t++) {
                float least;
                assert_ok(fl_lambda_offline(fl_kernels_pick(), x + t * DIM, DIM, K, &least));
                for (size_t i = t * DIM; i < (t + 1) * DIM; i++) {
                    topk += fabsf(x[i]) < least ? (double)x[i] * x[i] : 0;
                    threshold += fabsf(x[i]) < lambda ? (double)x[i] * x[i] : 0;
                    exact += (double)x[i] * x[i];
                }
            }
            assert_int_equal(draw_count_above(x, ALL, lambda), ROUNDS * K);
            assert_true(threshold < topk && topk < exact);
        }
    }
}

static void test_survives_a_failed_allocation(void **state)
{
    (void)state;
    float lambda = 7;
    draw_fill(vector, N, DRAW_LAPLACE, 1, 1);
    fl_fail_alloc_after(0);
    enum fl_status st = fl_lambda_from_sample(fl_kernels_pick(), vector, N, N / 10, 1, &lambda);
    fl_fail_alloc_never();
    assert_status(st, FL_ERR_NOMEM);
    assert_true(lambda == 7);
    long before = fl_live_allocations();
    assert_ok(fl_lambda_from_sample(fl_kernels_pick(), vector, N, N / 10, 1, &lambda));
    assert_int_equal(fl_live_allocations(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_count_reproduces_the_published_table),
        cmocka_unit_test(test_from_accuracy_inverts_its_bound),
        cmocka_unit_test(test_wrong_inputs),
        cmocka_unit_test(test_sampled_lambda_meets_its_count),
        cmocka_unit_test(test_sample_sees_all_of_the_vector),
        cmocka_unit_test(test_byte_budgets),
        cmocka_unit_test(test_never_zero),
        cmocka_unit_test(test_offline_lambda_beats_topk_on_any_sequence),
        cmocka_unit_test(test_survives_a_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
