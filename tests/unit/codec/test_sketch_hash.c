/* codec/sketch: the hash is the documented one, its moments, and what they promise of estimates. */
#include "test.h"

#include "codec/sketch.h"
#include "draws.h"

#define DIM 3001

static struct fl_sketch *sketch_new(const struct fl_sketch_shape *shape)
{
    struct fl_sketch *sketch = NULL;
    assert_ok(fl_sketch_new(shape, &sketch));
    return sketch;
}

/* Known cells for a known seed, computed by an independent program: both ends must agree for ever. */
static void test_hash_is_the_documented_one(void **state)
{
    (void)state;
    static const struct fl_sketch_shape shape = {
        .dim = UINT32_MAX, .columns = 1000, .rows = 1, .block = 1, .unit_log2 = 0, .seed = 7};
    struct fl_sketch *sketch = sketch_new(&shape);
    static const uint64_t coefficients[6] = {1234567890123456789u, 123456789012345678u, 2000000000000000003u,
                                             2305843009213693949u, 987654321098765432u, 2305843009213693950u};
    size_t folds; /* 1 * 1 + (P - 1) is P, which is 0 */
    int sign_there;
    sketch->hash.rows[0][0] = 1;
    sketch->hash.rows[0][1] = 2305843009213693950u;
    fl_sketch_locate(sketch, 0, 1, &folds, &sign_there);
    assert_int_equal(folds, 0);
    static const struct {
        size_t i, column;
        int sign;
    } known[] = {{0, 53, 1},   {1, 588, -1},         {2, 124, 1},
                 {64, 319, 1}, {123456789, 232, -1}, {4294967294, 917, -1}};
    memcpy(sketch->hash.rows[0], coefficients, sizeof coefficients);
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        size_t column;
        int sign;
        fl_sketch_locate(sketch, 0, known[k].i, &column, &sign);
        assert_int_equal(column, known[k].column);
        assert_int_equal(sign, known[k].sign);
    }
    fl_sketch_free(sketch);
}

/* Over many seeds: a pair shares a column with probability 1 / groups, a sign has mean 0, and so has the
 * product of two, three and four signs; elements of one block never meet. */
static void test_hash_moments(void **state)
{
    (void)state;
    static const size_t four[] = {5, 1005, 2000, 2999};
    for (unsigned block = 1; block <= 16; block *= 16) {
        struct fl_sketch_shape shape = {.dim = DIM, .columns = 64, .rows = 1, .block = block};
        double met = 0, neighbours = 0, sums[5] = {0}, runs = 20000, spread[64] = {0};
        for (uint64_t seed = 0; seed < 20000; seed++) {
            size_t columns[4];
            int signs[4], product = 1;
            shape.seed = seed;
            struct fl_sketch *sketch = sketch_new(&shape);
            for (size_t i = 0; i < 4; i++) {
                fl_sketch_locate(sketch, 0, four[i], &columns[i], &signs[i]);
                sums[i + 1] += product *= signs[i];
            }
            size_t far, near;
            fl_sketch_locate(sketch, 0, 1005 + 16, &far, &signs[0]);
            met += far == columns[1];
            spread[columns[0]]++;
            fl_sketch_locate(sketch, 0, 1004, &near, &signs[0]);
            assert_true(block == 1 || near != columns[1]);
            neighbours += signs[0] * signs[1];
            fl_sketch_free(sketch);
        }
        double groups = 64.0 / block;
        assert_true(fabs(neighbours) < 5 * sqrt(runs));
        assert_true(fabs(met - runs / groups) < 5 * sqrt(runs / groups));
        for (size_t i = 1; i <= 4; i++)
            assert_true(fabs(sums[i]) < 5 * sqrt(runs));
        for (size_t c = 0; c < 64; c++)
            assert_true(c % block == four[0] % block
                            ? fabs(spread[c] - runs / groups) < 5 * sqrt(runs / groups)
                            : spread[c] == 0);
    }
}

/* The mean of the estimates of one row over seeds is the coordinate, their variance at most |x|^2 / columns.
 */
static void test_estimates_are_unbiased(void **state)
{
    (void)state;
    enum { N = 200, RUNS = 4000, COLUMNS = 32 };
    float x[N];
    double norm = 0;
    draw_fill(x, N, DRAW_LAPLACE, 1, 1);
    for (size_t i = 0; i < N; i++)
        norm += (double)x[i] * x[i];
    for (unsigned block = 1; block <= 16; block *= 4) {
        double sums[N] = {0}, squares[N] = {0};
        for (uint64_t seed = 0; seed < RUNS; seed++) {
            struct fl_sketch_shape shape = {
                .dim = N, .columns = COLUMNS, .rows = 1, .block = block, .unit_log2 = -30, .seed = seed};
            struct fl_sketch *sketch = sketch_new(&shape);
            assert_ok(fl_sketch_insert(sketch, x, N));
            for (size_t i = 0; i < N; i++) {
                double off = fl_sketch_estimate(sketch, i) - (double)x[i];
                sums[i] += off;
                squares[i] += off * off;
            }
            fl_sketch_free(sketch);
        }
        double variance = 0;
        for (size_t i = 0; i < N; i++) {
            assert_true(fabs(sums[i] / RUNS) < 5 * sqrt(norm / COLUMNS / RUNS) * 1.3);
            variance += squares[i] / RUNS / N;
        }
        assert_true(variance < 1.1 * norm / COLUMNS && variance > 0.8 * norm / COLUMNS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_is_the_documented_one),
        cmocka_unit_test(test_hash_moments),
        cmocka_unit_test(test_estimates_are_unbiased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
