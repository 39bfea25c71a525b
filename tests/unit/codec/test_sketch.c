/* codec/sketch: linearity bit by bit, where cells are, norm, scaling, clearing, refusals. */
#include "test.h"

#include "codec/sketch.h"
#include "draws.h"
#include "fail_alloc.h"

#define DIM 3001

static const struct fl_sketch_shape shapes[] = {
    {.dim = DIM, .columns = 200, .rows = 5, .block = 1, .unit_log2 = -20, .seed = 42},
    {.dim = DIM, .columns = 208, .rows = 5, .block = 16, .unit_log2 = -20, .seed = 42},
    {.dim = DIM, .columns = 202, .rows = 3, .block = 2, .unit_log2 = -149, .seed = 1},
    {.dim = DIM, .columns = 1, .rows = 1, .block = 1, .unit_log2 = 10, .seed = 0},
};
#define SHAPES (sizeof shapes / sizeof *shapes)

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median of an odd number of values. */
static double median_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

static struct fl_sketch *sketch_new(const struct fl_sketch_shape *shape)
{
    struct fl_sketch *sketch = NULL;
    assert_ok(fl_sketch_new(shape, &sketch));
    return sketch;
}

static void assert_same_cells(const struct fl_sketch *a, const struct fl_sketch *b)
{
    assert_memory_equal(a->cells, b->cells, a->shape.rows * a->shape.columns * sizeof *a->cells);
}

/* S(a) + S(b) = S(a + b) in every bit, for multiples of the unit; and S(a) is S of a rounded to it. */
static void test_linear_bit_by_bit(void **state)
{
    (void)state;
    static float a[DIM], b[DIM], sum[DIM], rounded[DIM];
    for (size_t s = 0; s < SHAPES; s++) {
        struct fl_sketch *sa = sketch_new(&shapes[s]), *sb = sketch_new(&shapes[s]),
                         *both = sketch_new(&shapes[s]);
        float unit = ldexpf(1, shapes[s].unit_log2);
        draw_fill(a, DIM, DRAW_PARETO, 300 * (double)unit, s);
        draw_fill(b, DIM, DRAW_GAUSSIAN, 1000 * (double)unit, s);
        for (size_t i = 0; i < DIM; i++) {
            rounded[i] = roundf(a[i] / unit) * unit;
            b[i] = roundf(b[i] / unit) * unit;
            sum[i] = rounded[i] + b[i];
        }
        assert_ok(fl_sketch_insert(sa, rounded, DIM));
        assert_ok(fl_sketch_insert(both, a, DIM));
        assert_same_cells(sa, both);
        assert_ok(fl_sketch_insert(sb, b, DIM));
        fl_sketch_clear(both);
        assert_ok(fl_sketch_insert(both, sum, DIM));
        assert_ok(fl_sketch_merge(sa, sb));
        assert_same_cells(sa, both);
        assert_ok(fl_sketch_scale(sb, -1)); /* and back again */
        assert_ok(fl_sketch_merge(sa, sb));
        fl_sketch_clear(both);
        assert_ok(fl_sketch_insert(both, rounded, DIM));
        assert_same_cells(sa, both);
        fl_sketch_free(sa);
        fl_sketch_free(sb);
        fl_sketch_free(both);
    }
}

/* The table is the one that the formula gives: an insert against sign and column of each coordinate. */
static void test_cells_are_where_locate_says(void **state)
{
    (void)state;
    static float x[DIM], estimates[DIM];
    for (size_t s = 0; s < SHAPES; s++) {
        struct fl_sketch *sketch = sketch_new(&shapes[s]), *expected = sketch_new(&shapes[s]);
        float unit = ldexpf(1, shapes[s].unit_log2);
        draw_fill(x, DIM, DRAW_LAPLACE, 100 * (double)unit, s);
        assert_ok(fl_sketch_insert(sketch, x, DIM));
        for (unsigned row = 0; row < shapes[s].rows; row++) {
            for (size_t i = 0; i < DIM; i++) {
                size_t column;
                int sign;
                fl_sketch_locate(sketch, row, i, &column, &sign);
                assert_true(column < shapes[s].columns && column % shapes[s].block == i % shapes[s].block);
                expected->cells[row * shapes[s].columns + column] += sign * lroundf(x[i] / unit);
            }
        }
        assert_same_cells(sketch, expected);
        fl_sketch_estimates(sketch, estimates);
        for (size_t i = 0; i < DIM; i++) {
            double votes[5];
            for (unsigned row = 0; row < shapes[s].rows; row++) {
                size_t column;
                int sign;
                fl_sketch_locate(sketch, row, i, &column, &sign);
                votes[row] = (double)(sign * sketch->cells[row * shapes[s].columns + column]) * (double)unit;
            }
            double estimate = fl_sketch_estimate(sketch, i);
            assert_true(estimate == median_of(votes, shapes[s].rows) && estimates[i] == (float)estimate);
        }
        double sums[5] = {0};
        for (size_t i = 0; i < shapes[s].rows * shapes[s].columns; i++)
            sums[i / shapes[s].columns] += (double)sketch->cells[i] * (double)sketch->cells[i];
        assert_true(fl_sketch_norm(sketch) == sqrt(median_of(sums, shapes[s].rows)) * (double)unit);
        fl_sketch_free(sketch);
        fl_sketch_free(expected);
    }
}

static void test_norm(void **state)
{
    (void)state;
    static float x[DIM];
    for (int kind = 0; kind < DRAW_KINDS; kind++) {
        struct fl_sketch_shape shape = {
            .dim = DIM, .columns = 1600, .rows = 5, .block = kind % 2 ? 16 : 1, .unit_log2 = -30, .seed = 3};
        struct fl_sketch *sketch = sketch_new(&shape);
        double squares = 0;
        draw_fill(x, DIM, (enum draw)kind, 1e3, 1);
        for (size_t i = 0; i < DIM; i++)
            squares += (double)x[i] * x[i];
        assert_true(fl_sketch_norm(sketch) == 0);
        assert_ok(fl_sketch_insert(sketch, x, DIM));
        assert_true(fabs(fl_sketch_norm(sketch) / sqrt(squares) - 1) < 0.1);
        fl_sketch_free(sketch);
    }
}

static void test_scaling(void **state)
{
    (void)state;
    static const struct {
        int64_t cell;
        double factor;
        int64_t expected;
    } cases[] = {
        {5, 0.5, 3},
        {-5, 0.5, -3},
        {5, -0.5, -3},
        {7, 0, 0},
        {3, 0x1p60, INT64_C(3) << 60},
        {9, 1e-300, 0},
        {1, 0x1p62, INT64_C(1) << 62},
        {10, 0.04999, 0},
        {10, 0.05, 1},
        {1, 0x1p-1, 1},
        {1, 0x1.fffffffffffffp-2, 0},
        {INT64_C(4000000000000000001), 1, INT64_C(4000000000000000001)},
        {INT64_C(1) << 62, 0x1p-62, 1},
        {INT64_C(4000000000000000001), -1, INT64_C(-4000000000000000001)},
        {1, 0x1p-1074, 0},
        {INT64_C(1) << 62, 0x1p-63, 1},
        {(INT64_C(1) << 62) - 1, 0x1p-63, 0},
    };
    struct fl_sketch_shape shape = {.dim = 1, .columns = 1, .rows = 1, .block = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fl_sketch *sketch = sketch_new(&shape);
        sketch->cells[0] = cases[i].cell;
        sketch->load = (uint64_t)llabs(cases[i].cell);
        assert_ok(fl_sketch_scale(sketch, cases[i].factor));
        assert_true(sketch->cells[0] == cases[i].expected);
        assert_true(sketch->load >= (uint64_t)llabs(cases[i].expected));
        fl_sketch_free(sketch);
    }
    static const double too_much[] = {0x1p63, 0x1.0000000000001p62, -1e300};
    for (size_t i = 0; i < 3; i++) {
        struct fl_sketch *sketch = sketch_new(&shape);
        sketch->cells[0] = 1;
        sketch->load = 1;
        assert_status(fl_sketch_scale(sketch, too_much[i]), FL_ERR_RANGE);
        assert_status(fl_sketch_scale(sketch, NAN), FL_ERR_NOT_FINITE);
        assert_status(fl_sketch_scale(sketch, INFINITY), FL_ERR_NOT_FINITE);
        assert_int_equal(sketch->cells[0], 1);
        fl_sketch_free(sketch);
    }
}

/* Clearing takes out the cells of the given coordinates and no others; the bound becomes the largest left. */
static void test_clearing_cells(void **state)
{
    (void)state;
    static const uint32_t indices[] = {0, 17, 1500, DIM - 1};
    static float x[DIM];
    draw_fill(x, DIM, DRAW_LAPLACE, 1e-3, 1);
    for (size_t s = 0; s < 2; s++) {
        struct fl_sketch *sketch = sketch_new(&shapes[s]), *whole = sketch_new(&shapes[s]);
        size_t cells = shapes[s].rows * shapes[s].columns, cleared = 0;
        uint64_t most = 0;
        assert_ok(fl_sketch_insert(sketch, x, DIM));
        assert_ok(fl_sketch_merge(whole, sketch));
        fl_sketch_clear_cells(sketch, indices, 4);
        for (unsigned row = 0; row < shapes[s].rows; row++) {
            for (size_t i = 0; i < 4; i++) {
                size_t column;
                int sign;
                fl_sketch_locate(sketch, row, indices[i], &column, &sign);
                assert_int_equal(sketch->cells[row * shapes[s].columns + column], 0);
            }
        }
        for (size_t i = 0; i < cells; i++) {
            uint64_t size = (uint64_t)llabs(sketch->cells[i]);
            cleared += sketch->cells[i] == 0 && whole->cells[i] != 0;
            assert_true(sketch->cells[i] == 0 || sketch->cells[i] == whole->cells[i]);
            most = size > most ? size : most;
        }
        assert_in_range(cleared, 5, 20);
        assert_true(sketch->load == most);
        fl_sketch_free(sketch);
        fl_sketch_free(whole);
    }
}

static void test_wrong_shapes(void **state)
{
    (void)state;
    static const struct fl_sketch_shape good = {.dim = 10, .columns = 16, .rows = 3, .block = 1};
    struct fl_sketch_shape bad[14];
    enum fl_status expected[14];
    struct fl_sketch *sketch = NULL;
    for (size_t i = 0; i < 14; i++) {
        bad[i] = good;
        expected[i] = i < 12 ? FL_ERR_SHAPE : FL_ERR_RANGE;
    }
    bad[0].dim = 0;
    bad[1].dim = (size_t)UINT32_MAX + 1;
    bad[2].columns = 0;
    bad[3].columns = (size_t)UINT32_MAX + 1;
    bad[4].rows = 0;
    bad[5].rows = 2;
    bad[6].rows = 65;
    bad[7].block = 0;
    bad[8].block = 3;
    bad[9].block = 32;
    bad[10].block = 16, bad[10].columns = 24;
    bad[11].rows = 64;
    bad[12].unit_log2 = -150;
    bad[13].unit_log2 = 128;
    for (size_t i = 0; i < 14; i++)
        assert_status(fl_sketch_new(&bad[i], &sketch), expected[i]);
    assert_null(sketch);
}

static void test_merge_refusals(void **state)
{
    (void)state;
    const struct fl_sketch_shape good = {.dim = 10, .columns = 16, .rows = 3, .block = 1};
    struct fl_sketch_shape other[6] = {good, good, good, good, good, good};
    static const float ones[11] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    other[0].dim = 11;
    other[1].columns = 32;
    other[2].rows = 5;
    other[3].block = 2;
    other[4].unit_log2 = 1;
    other[5].seed = 1;
    struct fl_sketch *sketch = sketch_new(&good), *before = sketch_new(&good);
    assert_ok(fl_sketch_insert(sketch, ones, 10));
    assert_ok(fl_sketch_insert(before, ones, 10));
    for (size_t i = 0; i < 6; i++) {
        struct fl_sketch *with = sketch_new(&other[i]);
        assert_ok(fl_sketch_insert(with, ones, other[i].dim));
        assert_status(fl_sketch_merge(sketch, with), FL_ERR_SHAPE);
        assert_same_cells(sketch, before);
        fl_sketch_free(with);
    }
    assert_ok(fl_sketch_merge(sketch, sketch)); /* itself: doubled */
    assert_ok(fl_sketch_scale(before, 2));
    assert_same_cells(sketch, before);
    fl_sketch_free(sketch);
    fl_sketch_free(before);
}

/* At the bound no cell overflows, and one more is refused with nothing changed. */
static void test_overflow_edges(void **state)
{
    (void)state;
    enum { N = 1025 };
    struct fl_sketch_shape shape = {.dim = N, .columns = 1, .rows = 3, .block = 1};
    struct fl_sketch *sketch = sketch_new(&shape), *before = sketch_new(&shape);
    static float x[N];
    x[0] = 0x1p52f;
    assert_status(fl_sketch_insert(sketch, x, N), FL_ERR_RANGE);
    for (size_t i = 0; i < N; i++)
        x[i] = i < 1024 ? 0x1.fffffep51f : 0;
    x[1024] = 1;
    assert_ok(fl_sketch_insert(sketch, x, N)); /* 2^62 - 2^38 + 1 */
    assert_ok(fl_sketch_insert(before, x, N));
    assert_status(fl_sketch_insert(sketch, x, N), FL_ERR_RANGE);
    assert_status(fl_sketch_merge(sketch, before), FL_ERR_RANGE);
    assert_status(fl_sketch_scale(sketch, 1.001), FL_ERR_RANGE);
    assert_same_cells(sketch, before);
    memset(x, 0, sizeof x);
    x[5] = 0x1p38f;
    assert_status(fl_sketch_insert(sketch, x, N), FL_ERR_RANGE);
    x[5] = 0x1p37f;
    assert_ok(fl_sketch_insert(sketch, x, N));
    assert_true(sketch->load == FL_SKETCH_LOAD_MAX - (UINT64_C(1) << 37) + 1);
    x[7] = NAN;
    x[5] = 0x1p60f; /* both wrong: what is not finite is told */
    fl_sketch_clear(before);
    assert_ok(fl_sketch_merge(before, sketch));
    assert_status(fl_sketch_insert(sketch, x, N), FL_ERR_NOT_FINITE);
    x[7] = -INFINITY;
    assert_status(fl_sketch_insert(sketch, x, N), FL_ERR_NOT_FINITE);
    assert_status(fl_sketch_insert(sketch, x, N - 1), FL_ERR_SHAPE);
    assert_same_cells(sketch, before);
    fl_sketch_free(sketch);
    fl_sketch_free(before);
}

static void test_survives_any_failed_allocation(void **state)
{
    (void)state;
    long before = fl_live_allocations();
    for (size_t k = 0;; k++) {
        struct fl_sketch *sketch = NULL;
        fl_fail_alloc_after(k);
        enum fl_status st = fl_sketch_new(&shapes[0], &sketch);
        fl_fail_alloc_never();
        fl_sketch_free(sketch);
        assert_int_equal(fl_live_allocations(), before);
        if (st == FL_OK)
            break;
        assert_status(st, FL_ERR_NOMEM);
        assert_null(sketch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_bit_by_bit),
        cmocka_unit_test(test_cells_are_where_locate_says),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_scaling),
        cmocka_unit_test(test_clearing_cells),
        cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_merge_refusals),
        cmocka_unit_test(test_overflow_edges),
        cmocka_unit_test(test_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
