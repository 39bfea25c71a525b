/* codec/heavy: heavy hitters found, HEAVYMIX, the second round, and Sketched-SGD composed of them. */
#include "test.h"

#include "codec/heavy.h"
#include "draws.h"
#include "fail_alloc.h"

#define DIM 20000

static struct fl_sketch *sketch_of(const float *x, size_t dim, size_t columns, unsigned block, uint64_t seed)
{
    const struct fl_sketch_shape shape = {
        .dim = dim, .columns = columns, .rows = 5, .block = block, .unit_log2 = -24, .seed = seed};
    struct fl_sketch *sketch = NULL;
    assert_ok(fl_sketch_new(&shape, &sketch));
    assert_ok(fl_sketch_insert(sketch, x, dim));
    return sketch;
}

static int holds(const uint32_t *indices, size_t count, uint32_t wanted)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || indices[i] > indices[i - 1]);
        if (indices[i] == wanted)
            return 1;
    }
    return 0;
}

/* 25 large coordinates over noise, spread or side by side, found by top-k and by HEAVYMIX, both hashes. */
static void test_heavy_hitters_are_found(void **state)
{
    (void)state;
    enum { K = 25 };
    static float x[DIM];
    uint32_t indices[K];
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (unsigned block = 1; block <= 16; block *= 16) {
            size_t apart = seed % 2 ? 1 : 797, count;
            draw_fill(x, DIM, DRAW_GAUSSIAN, 0.05, seed);
            for (size_t i = 0; i < K; i++)
                x[100 + i * apart] = (i % 3 ? 1.0f : -1.0f) * (3.0f + 0.3f * (float)i);
            struct fl_sketch *sketch = sketch_of(x, DIM, 8000, block, seed);
            assert_ok(fl_heavy_top(sketch, K, indices, &count));
            assert_int_equal(count, K);
            for (size_t i = 0; i < K; i++)
                assert_true(holds(indices, K, (uint32_t)(100 + i * apart)));
            double squares = 0;
            for (size_t i = 0; i < DIM; i++)
                squares += (double)x[i] * x[i];
            assert_ok(fl_heavy_mix(sketch, K, 1, indices));
            for (size_t i = 0; i < K; i++) { /* all that are clearly as large as the definition asks */
                double large = fabs((double)x[100 + i * apart]) / sqrt(squares / K);
                assert_true(large < 1.25 || holds(indices, K, (uint32_t)(100 + i * apart)));
            }
            fl_sketch_free(sketch);
        }
    }
}

/* |estimate^2 - x^2| <= eps |x|^2 with columns ~ 1 / eps: with c columns and 5 rows, 8 |x|^2 / c everywhere.
 */
static void test_estimate_error_shrinks_with_the_columns(void **state)
{
    (void)state;
    static float x[DIM], estimates[DIM];
    double squares = 0, before = INFINITY;
    draw_fill(x, DIM, DRAW_PARETO, 1, 1);
    for (size_t i = 0; i < DIM; i++)
        squares += (double)x[i] * x[i];
    for (size_t columns = 64; columns <= 16384; columns *= 4) {
        struct fl_sketch *sketch = sketch_of(x, DIM, columns, 1, 1);
        double worst = 0, sum = 0;
        fl_sketch_estimates(sketch, estimates);
        for (size_t i = 0; i < DIM; i++) {
            double off = (double)estimates[i] - x[i];
            worst = fmax(worst, off * off);
            sum += off * off / DIM;
        }
        assert_true(worst <= 30 * squares / (double)columns);
        assert_true(sum <= 0.5 * squares / (double)columns && sum < before);
        before = sum;
        fl_sketch_free(sketch);
    }
}

static void test_mix_fills_up_from_the_seed(void **state)
{
    (void)state;
    enum { N = 50, K = 10 };
    static float x[N];
    uint32_t indices[K], again[K], counts[N] = {0};
    for (int heavy = 0; heavy <= 3; heavy++) {
        memset(x, 0, sizeof x);
        memset(counts, 0, sizeof counts);
        for (int i = 0; i < heavy; i++)
            x[7 + 10 * i] = 5;
        if (heavy == 3)
            x[40] = 1; /* below norm / sqrt(k) = 8.7 / 3.2: one among the others */
        struct fl_sketch *sketch = sketch_of(x, N, 400, 1, 3);
        for (uint64_t seed = 0; seed < 4000; seed++) {
            assert_ok(fl_heavy_mix(sketch, K, seed, indices));
            assert_ok(fl_heavy_mix(sketch, K, seed, again));
            assert_memory_equal(indices, again, sizeof indices);
            for (size_t i = 0; i < K; i++) {
                assert_true(indices[i] < N && (i == 0 || indices[i] > indices[i - 1]));
                counts[indices[i]]++;
            }
        }
        for (int i = 0; i < N; i++) {
            double chance = (double)(K - heavy) / (N - heavy), mean = 4000 * chance;
            if (x[i] == 5)
                assert_int_equal(counts[i], 4000);
            else
                assert_true(fabs(counts[i] - mean) < 5 * sqrt(mean * (1 - chance)));
        }
        assert_ok(fl_heavy_mix(sketch, 1, 0, indices));
        fl_sketch_free(sketch);
    }
    struct fl_sketch *sketch = sketch_of(x, N, 400, 1, 3);
    uint32_t all[N];
    assert_ok(fl_heavy_mix(sketch, N, 0, all)); /* k = dim: everything */
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(all[i], i);
    size_t count = 7;
    assert_status(fl_heavy_mix(sketch, 0, 0, all), FL_ERR_RANGE);
    assert_status(fl_heavy_mix(sketch, N + 1, 0, all), FL_ERR_RANGE);
    assert_status(fl_heavy_top(sketch, 0, all, &count), FL_ERR_RANGE);
    assert_status(fl_heavy_top(sketch, N + 1, all, &count), FL_ERR_RANGE);
    fl_sketch_clear(sketch); /* an empty sketch has no heavy hitters */
    assert_int_equal(count, 7);
    assert_ok(fl_heavy_top(sketch, 5, all, &count));
    assert_int_equal(count, 0);
    fl_sketch_free(sketch);
}

static void test_second_round_keeps_the_largest(void **state)
{
    (void)state;
    static const uint32_t candidates[] = {2, 3, 5, 8, 13, 21, 34};
    static const float sums[] = {1, -3, 0, 3, -0.0f, 3, 2};
    static const struct {
        size_t k, count;
        uint32_t indices[5];
        float values[5];
    } cases[] = {
        {1, 1, {3}, {-3}},
        {2, 2, {3, 8}, {-3, 3}},
        {3, 3, {3, 8, 21}, {-3, 3, 3}},
        {4, 4, {3, 8, 21, 34}, {-3, 3, 3, 2}},
        {7, 5, {2, 3, 8, 21, 34}, {1, -3, 3, 3, 2}},
    };
    uint32_t indices[7];
    float values[7];
    size_t count = 99;
    for (size_t c = 0; c < 5; c++) {
        assert_ok(fl_heavy_keep(candidates, sums, 7, cases[c].k, indices, values, &count));
        assert_int_equal(count, cases[c].count);
        assert_memory_equal(indices, cases[c].indices, count * sizeof *indices);
        assert_memory_equal(values, cases[c].values, count * sizeof *values);
    }
    static const float bad[] = {1, NAN, 1};
    assert_status(fl_heavy_keep(candidates, bad, 3, 1, indices, values, &count), FL_ERR_NOT_FINITE);
    assert_status(fl_heavy_keep(candidates, sums, 7, 0, indices, values, &count), FL_ERR_RANGE);
    assert_status(fl_heavy_keep(candidates, sums, 7, 8, indices, values, &count), FL_ERR_RANGE);
}

/* Four workers on a quadratic whose curvature falls off: Sketched-SGD with k = 10 of 1000, P = 4. The merged
 * sketch is the sketch of the sum, and the loss falls far below what the same number of values sent at
 * random places reach. */
static double sketched_sgd(int at_random)
{
    enum { N = 1000, WORKERS = 4, K = 10, P = 4, STEPS = 300 };
    static float x[N], target[N], v[WORKERS][N];
    memset(x, 0, sizeof x);
    memset(v, 0, sizeof v);
    draw_fill(target, N, DRAW_PARETO, 1, 8);
    for (uint64_t step = 0; step < STEPS; step++) {
        struct fl_sketch *merged = NULL;
        uint32_t candidates[P * K], kept[K];
        float sums[P * K], values[K];
        size_t count = P * K;
        for (int w = 0; w < WORKERS; w++) {
            for (size_t i = 0; i < N; i++)
                v[w][i] += 0.05f * (x[i] - target[i] * (1 + 0.5f * (float)(w - 1)));
            struct fl_sketch *sketch = sketch_of(v[w], N, 100, 1, step);
            if (merged) {
                assert_ok(fl_sketch_merge(merged, sketch));
                fl_sketch_free(sketch);
            } else {
                merged = sketch;
            }
        }
        if (at_random)
            fl_sketch_clear(merged);
        if (at_random)
            assert_ok(fl_heavy_mix(merged, P * K, step, candidates));
        else
            assert_ok(fl_heavy_top(merged, P * K, candidates, &count));
        for (size_t i = 0; i < count; i++) {
            sums[i] = 0;
            for (int w = 0; w < WORKERS; w++)
                sums[i] += v[w][candidates[i]];
        }
        assert_ok(fl_heavy_keep(candidates, sums, count, K, kept, values, &count));
        for (size_t i = 0; i < count; i++) {
            x[kept[i]] -= values[i] / WORKERS;
            for (int w = 0; w < WORKERS; w++)
                v[w][kept[i]] = 0;
        }
        fl_sketch_free(merged);
    }
    double loss = 0;
    for (size_t i = 0; i < N; i++)
        loss += pow(x[i] - 1.25 * target[i], 2); /* mean of the workers' targets */
    return loss;
}

static void test_sketched_sgd_composed(void **state)
{
    (void)state;
    double sketched = sketched_sgd(0), random = sketched_sgd(1);
    assert_true(sketched < 0.5 * random);
}

/* FetchSGD: all memory in two tables at the server, momentum and error feedback by linear operations on them,
 * masking by clearing cells. Four clients that keep nothing. */
static void test_fetch_sgd_composed(void **state)
{
    (void)state;
    enum { N = 1000, CLIENTS = 4, K = 20, STEPS = 1000 };
    static float x[N], target[N], gradient[N], zero[N];
    double before = 0, after = 0;
    memset(x, 0, sizeof x);
    draw_fill(target, N, DRAW_PARETO, 1, 8);
    struct fl_sketch *momentum = sketch_of(zero, N, 400, 1, 1), *error = sketch_of(zero, N, 400, 1, 1);
    for (int step = 0; step < STEPS; step++) {
        assert_ok(fl_sketch_scale(momentum, 0.5));
        for (int c = 0; c < CLIENTS; c++) {
            for (size_t i = 0; i < N; i++)
                gradient[i] = 0.005f * (x[i] - target[i] * (1 + 0.5f * (float)(c - 1)));
            struct fl_sketch *sketch = sketch_of(gradient, N, 400, 1, 1);
            assert_ok(fl_sketch_merge(momentum, sketch));
            fl_sketch_free(sketch);
        }
        assert_ok(fl_sketch_merge(error, momentum));
        uint32_t indices[K];
        size_t count;
        assert_ok(fl_heavy_top(error, K, indices, &count));
        for (size_t i = 0; i < count; i++)
            x[indices[i]] -= (float)fl_sketch_estimate(error, indices[i]);
        fl_sketch_clear_cells(error, indices, count);
        fl_sketch_clear_cells(momentum, indices, count);
        for (size_t i = 0; i < count; i++)
            assert_true(fl_sketch_estimate(error, indices[i]) == 0);
    }
    for (size_t i = 0; i < N; i++) {
        before += pow(1.25 * target[i], 2);
        after += pow(x[i] - 1.25 * target[i], 2);
    }
    assert_true(after < 0.1 * before);
    fl_sketch_free(momentum);
    fl_sketch_free(error);
}

static void test_survives_any_failed_allocation(void **state)
{
    (void)state;
    static float x[500];
    uint32_t indices[20];
    size_t count;
    draw_fill(x, 500, DRAW_LAPLACE, 1, 1);
    struct fl_sketch *sketch = sketch_of(x, 500, 64, 1, 1);
    long before = fl_live_allocations();
    for (int mix = 0; mix < 2; mix++) {
        for (size_t k = 0;; k++) {
            memset(indices, 0xee, sizeof indices);
            fl_fail_alloc_after(k);
            enum fl_status st =
                mix ? fl_heavy_mix(sketch, 20, 1, indices) : fl_heavy_top(sketch, 20, indices, &count);
            fl_fail_alloc_never();
            assert_int_equal(fl_live_allocations(), before);
            if (st == FL_OK)
                break;
            assert_status(st, FL_ERR_NOMEM);
            assert_int_equal(indices[0], 0xeeeeeeee);
        }
    }
    fl_sketch_free(sketch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heavy_hitters_are_found),
        cmocka_unit_test(test_estimate_error_shrinks_with_the_columns),
        cmocka_unit_test(test_mix_fills_up_from_the_seed),
        cmocka_unit_test(test_second_round_keeps_the_largest),
        cmocka_unit_test(test_sketched_sgd_composed),
        cmocka_unit_test(test_fetch_sgd_composed),
        cmocka_unit_test(test_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
