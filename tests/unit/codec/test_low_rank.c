/* codec/low_rank: PowerSGD's parts, and the absolute bound of the singular-value threshold at every scale. */
#include "test.h"

#include <float.h>

#include "codec/low_rank.h"
#include "draws.h"
#include "fail_alloc.h"

#define MOST 4096

static const size_t shapes[][2] = {{1, 1}, {1, 40}, {40, 1}, {2, 3}, {8, 8}, {30, 20}, {7, 90}, {64, 64}};
#define SHAPES (sizeof shapes / sizeof *shapes)

static double difference2(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

static double squares(const float *a, size_t n)
{
    return fl_kernels_pick()->sum_squares(a, n);
}

/* A matrix of the given rank with singular values near scale, 0.3 scale, 0.09 scale, ... */
static void fill_rank(float *m, size_t rows, size_t columns, size_t rank, double scale, uint64_t seed)
{
    static double sums[MOST];
    static float u[MOST], v[MOST];
    memset(sums, 0, sizeof sums);
    for (size_t j = 0; j < rank; j++) {
        draw_fill(u, rows, DRAW_GAUSSIAN, 1, seed * 100 + j);
        draw_fill(v, columns, DRAW_GAUSSIAN, 1, seed * 100 + 50 + j);
        double length = sqrt(squares(u, rows) * squares(v, columns));
        for (size_t i = 0; i < rows * columns; i++)
            sums[i] += scale * pow(0.3, (double)j) * u[i / columns] * v[i % columns] / length;
    }
    for (size_t i = 0; i < rows * columns; i++)
        m[i] = (float)sums[i];
}

static void power_round(struct fl_low_rank *low_rank, const float *m, float *ret_out)
{
    assert_ok(fl_low_rank_left(low_rank, fl_kernels_pick(), m));
    assert_ok(fl_low_rank_orthonormalise(low_rank, 5));
    assert_ok(fl_low_rank_right(low_rank, fl_kernels_pick(), m));
    fl_low_rank_expand(low_rank, ret_out);
}

/* P P^T M is a projection at every shape and scale: the error never exceeds the matrix, and what is kept and
 * what is left out are orthogonal. */
static void test_power_round_is_a_projection(void **state)
{
    (void)state;
    static float m[MOST], out[MOST];
    static const double scales[] = {1e-30, 1e-12, 1, 1e12, 1e30};
    for (size_t s = 0; s < SHAPES; s++) {
        size_t rows = shapes[s][0], columns = shapes[s][1], n = rows * columns;
        for (size_t c = 0; c < 5; c++) {
            for (size_t rank = 1; rank <= 4; rank++) {
                struct fl_low_rank low_rank;
                draw_fill(m, n, (enum draw)(c % DRAW_KINDS), scales[c], s);
                assert_ok(fl_low_rank_init(&low_rank, rows, columns));
                assert_ok(fl_low_rank_start(&low_rank, rank, 1));
                assert_int_equal(low_rank.rank, fmin((double)rank, fmin((double)rows, (double)columns)));
                for (int round = 0; round < 3; round++) {
                    power_round(&low_rank, m, out);
                    double whole = squares(m, n), kept = squares(out, n), left = difference2(m, out, n);
                    assert_true(left <= whole * (1 + 1e-6));
                    assert_true(fabs(kept + left - whole) <= 1e-5 * whole);
                }
                fl_low_rank_done(&low_rank);
            }
        }
    }
}

/* A zero matrix decodes to zeros, and the warm start that it leaves, all zero, is as good as a random one. */
static void test_power_round_after_a_zero_matrix(void **state)
{
    (void)state;
    static float zero[600], m[600], out[600];
    struct fl_low_rank low_rank;
    fill_rank(m, 30, 20, 2, 1, 1);
    assert_ok(fl_low_rank_init(&low_rank, 30, 20));
    assert_ok(fl_low_rank_start(&low_rank, 2, 1));
    power_round(&low_rank, zero, out);
    assert_true(squares(out, 600) == 0);
    for (int round = 0; round < 2; round++)
        power_round(&low_rank, m, out); /* directions at random, then the matrix's own */
    assert_true(difference2(m, out, 600) < 1e-11 * squares(m, 600));
    fl_low_rank_done(&low_rank);
}

static void test_low_rank_matrices_are_recovered(void **state)
{
    (void)state;
    static float m[MOST], out[MOST];
    for (size_t rank = 1; rank <= 4; rank++) {
        struct fl_low_rank low_rank;
        fill_rank(m, 30, 20, rank, 1e-3, rank);
        assert_ok(fl_low_rank_init(&low_rank, 30, 20));
        assert_ok(fl_low_rank_start(&low_rank, rank, 1));
        power_round(&low_rank, m, out);
        assert_true(difference2(m, out, 600) < 1e-11 * squares(m, 600));
        assert_ok(fl_low_rank_start(&low_rank, rank + 2, 1)); /* two columns too many */
        power_round(&low_rank, m, out);
        assert_true(difference2(m, out, 600) < 1e-11 * squares(m, 600));
        fl_low_rank_done(&low_rank);
    }
}

/* With the warm start, repeated rounds come to the best approximation: the error is that of the singular
 * values that rank 2 leaves out of 5, 4, 3, 2, 1. */
static void test_warm_start_converges_to_the_best(void **state)
{
    (void)state;
    float m[25] = {0}, out[25];
    struct fl_low_rank low_rank;
    double error = INFINITY;
    for (size_t i = 0; i < 5; i++)
        m[i * 5 + i] = 5 - (float)i;
    assert_ok(fl_low_rank_init(&low_rank, 5, 5));
    assert_ok(fl_low_rank_start(&low_rank, 2, 3));
    for (int round = 0; round < 40; round++) {
        power_round(&low_rank, m, out);
        double now = difference2(m, out, 25);
        assert_true(now <= error * (1 + 1e-6));
        error = now;
    }
    assert_true(fabs(error - (9 + 4 + 1)) < 1e-4);
    fl_low_rank_done(&low_rank);
}

/* Three workers: the common result is a low-rank approximation of the mean, the same on all of them. */
static void test_workers_get_the_same_average(void **state)
{
    (void)state;
    enum { ROWS = 12, COLUMNS = 9, N = ROWS * COLUMNS, WORKERS = 3 };
    float m[WORKERS][N], mean[N], out[WORKERS][N];
    struct fl_low_rank low_rank[WORKERS];
    memset(mean, 0, sizeof mean);
    for (size_t w = 0; w < WORKERS; w++) {
        fill_rank(m[w], ROWS, COLUMNS, 1, 1, w);
        for (size_t i = 0; i < N; i++)
            mean[i] += m[w][i] / WORKERS;
        assert_ok(fl_low_rank_init(&low_rank[w], ROWS, COLUMNS));
        assert_ok(fl_low_rank_start(&low_rank[w], 3, 7));
        assert_ok(fl_low_rank_left(&low_rank[w], fl_kernels_pick(), m[w]));
    }
    for (size_t i = 0; i < 3 * ROWS; i++) {
        float sum = low_rank[0].left[i] + low_rank[1].left[i] + low_rank[2].left[i];
        for (size_t w = 0; w < WORKERS; w++)
            low_rank[w].left[i] = sum;
    }
    for (size_t w = 0; w < WORKERS; w++) {
        assert_ok(fl_low_rank_orthonormalise(&low_rank[w], 7));
        assert_ok(fl_low_rank_right(&low_rank[w], fl_kernels_pick(), m[w]));
    }
    for (size_t i = 0; i < 3 * COLUMNS; i++) {
        float average = (low_rank[0].right[i] + low_rank[1].right[i] + low_rank[2].right[i]) / WORKERS;
        for (size_t w = 0; w < WORKERS; w++)
            low_rank[w].right[i] = average;
    }
    for (size_t w = 0; w < WORKERS; w++) {
        fl_low_rank_expand(&low_rank[w], out[w]);
        assert_memory_equal(out[w], out[0], sizeof out[0]);
        fl_low_rank_done(&low_rank[w]);
    }
    assert_true(difference2(out[0], mean, N) < 1e-11 * squares(mean, N)); /* rank 3, so exact up to float32 */
}

static void test_orthonormalise_guards_its_divisions(void **state)
{
    (void)state;
    enum { ROWS = 6, RANK = 6 };
    static const double scales[] = {0, 1e-45, 1e-30, 1, 1e30};
    for (int kind = 0; kind < 3; kind++) { /* zero columns, equal columns, nearly equal ones */
        for (size_t s = 0; s < 5; s++) {
            struct fl_low_rank low_rank;
            assert_ok(fl_low_rank_init(&low_rank, ROWS, 10));
            assert_ok(fl_low_rank_start(&low_rank, RANK, 1));
            for (size_t i = 0; i < ROWS * RANK; i++) {
                double value = kind == 0   ? 0
                               : kind == 1 ? (double)(i % ROWS)
                                           : (double)(i % ROWS) + 1e-7 * (double)i;
                low_rank.left[i] = (float)(i < ROWS ? scales[s] : scales[s] * value);
            }
            assert_ok(fl_low_rank_orthonormalise(&low_rank, 1));
            for (size_t a = 0; a < RANK; a++) {
                for (size_t b = 0; b <= a; b++) {
                    double product = 0;
                    for (size_t i = 0; i < ROWS; i++)
                        product += (double)low_rank.left[a * ROWS + i] * low_rank.left[b * ROWS + i];
                    assert_true(fabs(product - (a == b)) < 1e-6);
                }
            }
            fl_low_rank_done(&low_rank);
        }
    }
}

/* The bound holds for every matrix, scale and tau, cold and warm, and dense is said only instead of breaking
 * it; ranks are always cheaper than dense. */
static void test_threshold_bound_at_every_scale(void **state)
{
    (void)state;
    static float m[MOST], out[MOST];
    size_t dense_count = 0, factor_count = 0;
    for (int exponent = -12; exponent <= 12; exponent += 6) {
        for (size_t s = 0; s < SHAPES; s++) {
            size_t rows = shapes[s][0], columns = shapes[s][1], n = rows * columns;
            for (int kind = 0; kind < DRAW_KINDS + 4; kind++) {
                for (int share = -9; share <= 1; share += 2) { /* tau from 1e-9 of the norm to 10 times it */
                    struct fl_low_rank low_rank;
                    double scale = pow(10, exponent);
                    assert_ok(fl_low_rank_init(&low_rank, rows, columns));
                    for (uint64_t round = 0; round < 2; round++) {
                        int dense = 7;
                        if (kind < DRAW_KINDS)
                            draw_fill(m, n, (enum draw)kind, scale, s + round);
                        else
                            fill_rank(m, rows, columns, (size_t)(kind - DRAW_KINDS), scale, s + round);
                        double tau = fmax(1e-300, pow(10, share) * sqrt(squares(m, n)));
                        assert_ok(fl_low_rank_threshold(&low_rank, fl_kernels_pick(), m, tau, SIZE_MAX, round,
                                                        &dense));
                        assert_true(dense == 0 || dense == 1);
                        dense_count += (size_t)dense;
                        factor_count += !dense;
                        if (dense)
                            continue;
                        assert_true(low_rank.rank == 0 || low_rank.rank * (rows + columns) < n);
                        fl_low_rank_expand(&low_rank, out);
                        assert_true(difference2(m, out, n) <= fl_low_rank_kappa2(rows, columns, tau));
                        assert_true(share < 1 || low_rank.rank == 0);
                    }
                    fl_low_rank_done(&low_rank);
                }
            }
        }
    }
    assert_true(dense_count > 100 && factor_count > 1000);
}

/* Singular values 100, 50, 20, then 16 of 1: tau = 10 keeps three, tau = 0.5 all of them, so dense. */
static void test_threshold_keeps_what_is_above_tau(void **state)
{
    (void)state;
    enum { N = 20 };
    static const struct {
        double tau;
        size_t rank;
        int dense;
    } cases[] = {{200, 0, 0}, {70, 1, 0}, {30, 2, 0}, {10, 3, 0}, {3, 3, 0}, {0.5, 0, 1}};
    float m[N * N] = {0}, out[N * N];
    for (size_t i = 0; i < N; i++)
        m[i * N + i] = i == 0 ? 100 : i == 1 ? -50 : i == 2 ? 20 : i < 19 ? 1 : 0;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct fl_low_rank low_rank;
        assert_ok(fl_low_rank_init(&low_rank, N, N));
        for (uint64_t round = 0; round < 4; round++) { /* cold, then warm */
            int dense;
            assert_ok(fl_low_rank_threshold(&low_rank, fl_kernels_pick(), m, cases[c].tau, SIZE_MAX, round,
                                            &dense));
            assert_int_equal(dense, cases[c].dense);
            assert_int_equal(low_rank.rank, cases[c].rank);
            fl_low_rank_expand(&low_rank, out);
        }
        fl_low_rank_done(&low_rank);
    }
}

/* A limit on the rank turns what would need more into dense, and changes nothing else. */
static void test_threshold_with_a_largest_rank(void **state)
{
    (void)state;
    static float m[600], out[600];
    fill_rank(m, 30, 20, 4, 1, 3); /* singular values near 1, 0.3, 0.09, 0.027; kappa = 4.5 tau */
    for (size_t most = 0; most <= 5; most++) {
        struct fl_low_rank low_rank;
        int dense;
        assert_ok(fl_low_rank_init(&low_rank, 30, 20));
        for (uint64_t round = 0; round < 2; round++) {
            assert_ok(fl_low_rank_threshold(&low_rank, fl_kernels_pick(), m, 0.002, most, round, &dense));
            assert_int_equal(dense, most < 4);
            assert_int_equal(low_rank.rank, most < 4 ? 0 : 4);
        }
        assert_ok(fl_low_rank_threshold(&low_rank, fl_kernels_pick(), m, 5, most, 1, &dense));
        assert_true(dense == 0 && low_rank.rank == 0);
        fl_low_rank_expand(&low_rank, out);
        assert_true(squares(out, 600) == 0);
        fl_low_rank_done(&low_rank);
    }
}

/* Quiet matrices cost nothing, also after a loud round; a zero matrix too. */
static void test_quiet_matrices_have_rank_0(void **state)
{
    (void)state;
    static float loud[600], quiet[600], zero[600];
    struct fl_low_rank low_rank;
    int dense;
    fill_rank(loud, 30, 20, 2, 10, 1);
    draw_fill(quiet, 600, DRAW_GAUSSIAN, 0.05,
              1); /* largest singular value near 0.05 (sqrt(30) + sqrt(20)) */
    assert_ok(fl_low_rank_init(&low_rank, 30, 20));
    const float *order[] = {quiet, zero, loud, quiet, loud, zero};
    static const size_t ranks[] = {0, 0, 2, 0, 2, 0};
    for (size_t i = 0; i < 6; i++) {
        assert_ok(fl_low_rank_threshold(&low_rank, fl_kernels_pick(), order[i], 1, SIZE_MAX, i, &dense));
        assert_int_equal(dense, 0);
        assert_int_equal(low_rank.rank, ranks[i]);
    }
    fl_low_rank_done(&low_rank);
}

static void test_threshold_is_deterministic(void **state)
{
    (void)state;
    static float m[600], out[2][600];
    fill_rank(m, 30, 20, 4, 1, 3);
    for (int run = 0; run < 2; run++) {
        struct fl_low_rank low_rank;
        int dense;
        assert_ok(fl_low_rank_init(&low_rank, 30, 20));
        for (uint64_t round = 0; round < 3; round++)
            assert_ok(fl_low_rank_threshold(&low_rank, fl_kernels_pick(), m, 0.05, SIZE_MAX, round, &dense));
        assert_int_equal(dense, 0);
        assert_true(low_rank.rank >= 3);
        fl_low_rank_expand(&low_rank, out[run]);
        fl_low_rank_done(&low_rank);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
}

static void test_wrong_inputs(void **state)
{
    (void)state;
    static const float poison[] = {NAN, INFINITY, -INFINITY};
    static const double bad_tau[] = {0, -1, NAN, INFINITY};
    struct fl_low_rank low_rank = {0};
    float m[12] = {1, 2, 3}, before[6];
    int dense = 7;
    assert_status(fl_low_rank_init(&low_rank, 0, 3), FL_ERR_SHAPE);
    assert_status(fl_low_rank_init(&low_rank, 3, 0), FL_ERR_SHAPE);
    assert_status(fl_low_rank_init(&low_rank, SIZE_MAX / 4, 3), FL_ERR_SHAPE);
    assert_ok(fl_low_rank_init(&low_rank, 4, 3));
    assert_status(fl_low_rank_start(&low_rank, 0, 1), FL_ERR_RANGE);
    assert_ok(fl_low_rank_start(&low_rank, 2, 1));
    memcpy(before, low_rank.right, sizeof before);
    for (size_t i = 0; i < 4; i++)
        assert_status(fl_low_rank_threshold(&low_rank, fl_kernels_pick(), m, bad_tau[i], SIZE_MAX, 1, &dense),
                      FL_ERR_RANGE);
    for (size_t i = 0; i < 3; i++) {
        m[11] = poison[i];
        assert_status(fl_low_rank_left(&low_rank, fl_kernels_pick(), m), FL_ERR_NOT_FINITE);
        assert_status(fl_low_rank_right(&low_rank, fl_kernels_pick(), m), FL_ERR_NOT_FINITE);
        assert_status(fl_low_rank_threshold(&low_rank, fl_kernels_pick(), m, 1, SIZE_MAX, 1, &dense),
                      FL_ERR_NOT_FINITE);
    }
    assert_int_equal(dense, 7);
    assert_memory_equal(before, low_rank.right, sizeof before);
    for (size_t i = 0; i < 12; i++)
        m[i] = FLT_MAX;
    assert_status(fl_low_rank_left(&low_rank, fl_kernels_pick(), m), FL_ERR_RANGE);
    assert_ok(fl_low_rank_threshold(&low_rank, fl_kernels_pick(), m, 1, SIZE_MAX, 1,
                                    &dense)); /* no factors: dense */
    assert_int_equal(dense, 1);
    m[0] = 1;
    low_rank.right[5] = NAN;
    memset(m, 0, sizeof m);
    assert_status(fl_low_rank_left(&low_rank, fl_kernels_pick(), m), FL_ERR_NOT_FINITE);
    low_rank.left[7] = INFINITY;
    assert_status(fl_low_rank_orthonormalise(&low_rank, 1), FL_ERR_NOT_FINITE);
    fl_low_rank_done(&low_rank);
}

static void test_survives_any_failed_allocation(void **state)
{
    (void)state;
    static float m[600];
    fill_rank(m, 30, 20, 3, 1, 3);
    long before = fl_live_allocations();
    for (size_t k = 0;; k++) {
        struct fl_low_rank low_rank = {0};
        int dense = 7;
        fl_fail_alloc_after(k);
        enum fl_status st = fl_low_rank_init(&low_rank, 30, 20);
        if (!st)
            st = fl_low_rank_start(&low_rank, 1, 1);
        size_t rank = low_rank.rank;
        if (!st)
            st = fl_low_rank_threshold(&low_rank, fl_kernels_pick(), m, 0.01, SIZE_MAX, 1, &dense);
        fl_fail_alloc_never();
        assert_true(!st || (dense == 7 && low_rank.rank == rank));
        fl_low_rank_done(&low_rank);
        assert_int_equal(fl_live_allocations(), before);
        if (st == FL_OK) {
            assert_true(k > 6 && dense == 0);
            break;
        }
        assert_status(st, FL_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_round_is_a_projection),
        cmocka_unit_test(test_power_round_after_a_zero_matrix),
        cmocka_unit_test(test_low_rank_matrices_are_recovered),
        cmocka_unit_test(test_warm_start_converges_to_the_best),
        cmocka_unit_test(test_workers_get_the_same_average),
        cmocka_unit_test(test_orthonormalise_guards_its_divisions),
        cmocka_unit_test(test_threshold_bound_at_every_scale),
        cmocka_unit_test(test_threshold_keeps_what_is_above_tau),
        cmocka_unit_test(test_threshold_with_a_largest_rank),
        cmocka_unit_test(test_quiet_matrices_have_rank_0),
        cmocka_unit_test(test_threshold_is_deterministic),
        cmocka_unit_test(test_wrong_inputs),
        cmocka_unit_test(test_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
