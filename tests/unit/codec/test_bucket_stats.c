/* codec/bucket_stats: small cases by hand, properties at all scales, selection against
 * a sort, statistics that no bucket has. */
#include "test.h"

#include <float.h>
#include <math.h>

#include "base/random.h"
#include "codec/bucket_stats.h"
#include "codec/levels_alq.h"

static void assert_near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%.17g is not %.17g", found, expected);
}

static void test_norms_by_hand(void **state)
{
    (void)state;
    static const float v[] = {3, 0, -4, 0}, zeros[] = {0, -0.0f}, large[] = {FLT_MAX, -FLT_MAX};
    static const float tiny[] = {0x1p-149f, 0, 0x1p-149f};
    float norm;
    assert_ok(fl_bucket_norm(FL_NORM_L2, v, 4, &norm));
    assert_true(norm == 5);
    assert_ok(fl_bucket_norm(FL_NORM_MAX, v, 4, &norm));
    assert_true(norm == 4);
    assert_ok(fl_bucket_norm(FL_NORM_L2, zeros, 2, &norm));
    assert_true(norm == 0);
    assert_ok(fl_bucket_norm(FL_NORM_MAX, large, 2, &norm));
    assert_true(norm == FLT_MAX);
    assert_ok(fl_bucket_norm(FL_NORM_L2, large, 1, &norm));
    assert_true(norm == FLT_MAX);
    norm = 7;
    assert_status(fl_bucket_norm(FL_NORM_L2, large, 2, &norm), FL_ERR_RANGE);
    assert_true(norm == 7);
    assert_ok(fl_bucket_norm(FL_NORM_L2, tiny, 3, &norm));
    assert_true(norm == 0x1p-148f); /* 1.41 units, rounded up */
}

static void test_no_coordinate_is_above_the_norm(void **state)
{
    (void)state;
    struct fl_random random;
    fl_random_init(&random, 1, 1);
    for (int i = 0; i < 20000; i++) {
        float v[3], norm;
        double squares = 0;
        int exponent = (int)fl_random_below(&random, 270) - 145;
        size_t n = 1 + fl_random_below(&random, 3);
        for (size_t j = 0; j < n; j++) {
            v[j] =
                ldexpf(fl_random_float(&random) - 0.5f, exponent - (int)(j * fl_random_below(&random, 20)));
            squares += (double)v[j] * v[j];
        }
        for (int kind = 0; kind < 2; kind++) {
            assert_ok(fl_bucket_norm((enum fl_norm)kind, v, n, &norm));
            for (size_t j = 0; j < n && norm > 0; j++)
                assert_true(fabsf(v[j] / norm) <= 1);
        }
        assert_ok(fl_bucket_norm(FL_NORM_L2, v, n, &norm));
        assert_true(norm >= sqrt(squares) && norm <= sqrt(squares) * (1 + 0x1p-22) + 0x1p-149);
    }
}

static void test_statistics_by_hand(void **state)
{
    (void)state;
    /* two buckets of four, one of zeros, three left over that would be largest */
    static const float v[] = {1, 1, 1, 1, 3, 0, -4, 0, 0, 0, 0, 0, 100, 100, 100};
    struct fl_bucket_stats stats[4];
    struct fl_bucket_top top = {stats, 4, 0};
    assert_ok(fl_bucket_top_add(&top, FL_NORM_L2, v, 15, 4));
    assert_int_equal(top.count, 2);
    assert_true(stats[0].norm == 5 && stats[1].norm == 2);
    assert_near(stats[0].mean, -0.05, 1e-16); /* of 0.6, 0, -0.8, 0 */
    assert_near(stats[0].sigma, sqrt(0.25 - 0.0025), 1e-15);
    assert_true(stats[1].mean == 0.5 && stats[1].sigma == 0);
    top.count = 0;
    assert_ok(fl_bucket_top_add(&top, FL_NORM_MAX, v, 8, 4));
    assert_true(top.count == 2 && stats[0].norm == 4 && stats[0].mean == -0.0625 && stats[1].mean == 1);
    top.count = 0;
    assert_ok(fl_bucket_top_add(&top, FL_NORM_L2, v, 3, 4));
    assert_int_equal(top.count, 0);
}

static void test_scale_changes_the_norm_only(void **state)
{
    (void)state;
    enum { ELEMS = 512 };
    static float v[ELEMS], scaled[ELEMS];
    struct fl_random random;
    struct fl_bucket_stats stats[2];
    fl_random_init(&random, 2, 1);
    for (int i = 0; i < ELEMS; i++)
        v[i] = fl_random_float(&random) - 0.4f;
    for (int power = -100; power <= 100; power += 50) {
        for (int i = 0; i < ELEMS; i++)
            scaled[i] = ldexpf(v[i], power);
        struct fl_bucket_top one = {&stats[0], 1, 0}, two = {&stats[1], 1, 0};
        assert_ok(fl_bucket_top_add(&one, FL_NORM_L2, v, ELEMS, ELEMS));
        assert_ok(fl_bucket_top_add(&two, FL_NORM_L2, scaled, ELEMS, ELEMS));
        assert_true(stats[1].norm == ldexp(stats[0].norm, power));
        assert_true(stats[1].mean == stats[0].mean && stats[1].sigma == stats[0].sigma);
        double square = stats[0].mean * stats[0].mean + stats[0].sigma * stats[0].sigma;
        assert_near(square, 1.0 / ELEMS, 1e-6 / ELEMS); /* the sum of all r^2 is 1 */
    }
}

static void test_the_largest_buckets_are_kept(void **state)
{
    (void)state;
    enum { BUCKETS = 300, ROOM = 40 };
    static float v[2 * BUCKETS];
    struct fl_bucket_stats stats[ROOM], all[BUCKETS];
    struct fl_bucket_top top = {stats, ROOM, 0}, everything = {all, BUCKETS, 0};
    struct fl_random random;
    fl_random_init(&random, 3, 1);
    for (int i = 0; i < BUCKETS; i++) { /* many equal norms, told apart by their mean */
        v[2 * i] = (float)(1 + fl_random_below(&random, 20));
        v[2 * i + 1] = ldexpf(1, -12) * (float)i;
    }
    assert_ok(fl_bucket_top_add(&top, FL_NORM_MAX, v, BUCKETS, 2)); /* in two parts */
    assert_ok(fl_bucket_top_add(&top, FL_NORM_MAX, v + BUCKETS, BUCKETS, 2));
    assert_ok(fl_bucket_top_add(&everything, FL_NORM_MAX, v, 2 * BUCKETS, 2));
    assert_true(top.count == ROOM && everything.count == BUCKETS);
    assert_memory_equal(stats, all, sizeof stats);
    for (int i = 1; i < BUCKETS; i++) {
        assert_true(all[i].norm <= all[i - 1].norm);
        assert_true(all[i].norm < all[i - 1].norm || all[i].mean > all[i - 1].mean);
    }
}

static void test_a_norm_too_large_stops_the_measuring(void **state)
{
    (void)state;
    static const float v[] = {1, 1, FLT_MAX, FLT_MAX, 2, 2};
    struct fl_bucket_stats stats[3];
    struct fl_bucket_top top = {stats, 3, 0};
    assert_status(fl_bucket_top_add(&top, FL_NORM_L2, v, 6, 2), FL_ERR_RANGE);
    assert_true(top.count == 1 && stats[0].sigma < 1e-7);
}

static void test_mixtures_from_statistics(void **state)
{
    (void)state;
    static const struct fl_bucket_stats stats[] = {{3, 0.5, 0.1}, {1, -0.25, 0.2}};
    struct fl_mixture_part parts[2], pooled;
    size_t made;
    assert_ok(fl_bucket_mix(stats, 2, parts, &made));
    assert_int_equal(made, 2);
    assert_true(parts[0].weight == 0.75 && parts[1].weight == 0.25);
    assert_true(parts[0].normal.mean == 0.5 && parts[0].normal.sigma == 0.1 && parts[1].normal.sigma == 0.2);
    assert_ok(fl_bucket_pool(stats, 2, &pooled));
    assert_true(pooled.weight == 1 && pooled.normal.mean == 0.125);
    /* as the authors write it, with unbiased variances of buckets of B: the sum of var (B - 1) over the sum
     * of B */
    double b = 64, unbiased = 0.01 * b / (b - 1) + 0.04 * b / (b - 1);
    assert_near(pooled.normal.sigma, sqrt(unbiased * (b - 1) / (2 * b)), 1e-15);
}

static void test_buckets_that_are_close_become_one_part(void **state)
{
    (void)state;
    static const struct {
        struct fl_bucket_stats second;
        size_t parts;
    } rows[] = {
        {{1, 0.5, 0.1}, 1},    {{1, 0.5049, 0.1}, 1}, {{1, 0.4951, 0.1049}, 1}, {{1, 0.5, 0.0951}, 1},
        {{1, 0.5051, 0.1}, 2}, {{1, 0.5, 0.1051}, 2}, {{1, -0.5, 0.1}, 2},      {{1, 0.5, 0}, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fl_bucket_stats stats[] = {{3, 0.5, 0.1}, rows[i].second};
        struct fl_mixture_part parts[2];
        size_t made;
        assert_ok(fl_bucket_mix(stats, 2, parts, &made));
        assert_int_equal(made, rows[i].parts);
        double mean = 0, square = 0, weight = 0; /* those of all together stay */
        for (size_t j = 0; j < made; j++) {
            const struct fl_truncated_normal *normal = &parts[j].normal;
            weight += parts[j].weight;
            mean += parts[j].weight * normal->mean;
            square += parts[j].weight * (normal->sigma * normal->sigma + normal->mean * normal->mean);
        }
        const struct fl_bucket_stats *b = &rows[i].second;
        assert_near(weight, 1, 1e-15);
        assert_near(mean, 0.75 * 0.5 + 0.25 * b->mean, 1e-15);
        assert_near(square, 0.75 * 0.26 + 0.25 * (b->sigma * b->sigma + b->mean * b->mean), 1e-15);
    }
}

/* Joined or not, levels that are fitted are as good. */
static void test_joining_costs_no_quality(void **state)
{
    (void)state;
    enum { B = 512, BUCKETS = 40 };
    static float v[B * BUCKETS];
    struct fl_bucket_stats stats[BUCKETS];
    struct fl_bucket_top top = {stats, BUCKETS, 0};
    struct fl_mixture_part joined[BUCKETS], apart[BUCKETS];
    struct fl_random random;
    double levels[2][8], total = 0;
    fl_random_init(&random, 4, 1);
    for (int i = 0; i < B * BUCKETS; i++) /* sums of four uniform numbers, drifting from bucket to bucket */
        for (int j = 0; j < 4; j++)
            v[i] += fl_random_float(&random) - 0.5f + 0.005f * (float)(i / B);
    assert_ok(fl_bucket_top_add(&top, FL_NORM_L2, v, B * BUCKETS, B));
    struct fl_mixture with = {joined, 0, 0}, without = {apart, BUCKETS, 0};
    assert_ok(fl_bucket_mix(stats, BUCKETS, joined, &with.count));
    assert_true(with.count > 1 && with.count < BUCKETS);
    for (int i = 0; i < BUCKETS; i++)
        total += stats[i].norm;
    for (int i = 0; i < BUCKETS; i++) {
        apart[i].weight = stats[i].norm / total;
        assert_ok(fl_truncated_normal_init(stats[i].mean, stats[i].sigma, &apart[i].normal));
    }
    fl_levels_alq(&with, 8, FL_LEVELS_ALQ_SWEEPS, levels[0]);
    fl_levels_alq(&without, 8, FL_LEVELS_ALQ_SWEEPS, levels[1]);
    assert_true(fl_levels_psi(&without, levels[0], 8) < 1.001 * fl_levels_psi(&without, levels[1], 8));
}

static void test_statistics_that_no_bucket_has(void **state)
{
    (void)state;
    static const struct {
        struct fl_bucket_stats stats;
        enum fl_status mixed, pooled;
    } rows[] = {
        {{0, 0, 0.1}, FL_ERR_RANGE, FL_OK},
        {{-1, 0, 0.1}, FL_ERR_RANGE, FL_OK},
        {{1e39, 0, 0.1}, FL_ERR_RANGE, FL_OK},
        {{NAN, 0, 0.1}, FL_ERR_NOT_FINITE, FL_OK},
        {{INFINITY, 0, 0.1}, FL_ERR_NOT_FINITE, FL_OK},
        {{1, 1.5, 0.1}, FL_ERR_RANGE, FL_ERR_RANGE},
        {{1, NAN, 0.1}, FL_ERR_NOT_FINITE, FL_ERR_NOT_FINITE},
        {{1, 0, -0.1}, FL_ERR_RANGE, FL_ERR_RANGE},
        {{1, 0, 1.1}, FL_ERR_RANGE, FL_ERR_RANGE},
        {{1, 0, INFINITY}, FL_ERR_NOT_FINITE, FL_ERR_NOT_FINITE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fl_bucket_stats both[] = {{1, 0, 0.1}, rows[i].stats};
        struct fl_mixture_part parts[2];
        size_t made = 7;
        assert_status(fl_bucket_mix(both, 2, parts, &made), rows[i].mixed);
        assert_int_equal(made, 7);
        assert_status(fl_bucket_pool(both, 2, parts), rows[i].pooled);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norms_by_hand),
        cmocka_unit_test(test_no_coordinate_is_above_the_norm),
        cmocka_unit_test(test_statistics_by_hand),
        cmocka_unit_test(test_scale_changes_the_norm_only),
        cmocka_unit_test(test_the_largest_buckets_are_kept),
        cmocka_unit_test(test_a_norm_too_large_stops_the_measuring),
        cmocka_unit_test(test_mixtures_from_statistics),
        cmocka_unit_test(test_buckets_that_are_close_become_one_part),
        cmocka_unit_test(test_joining_costs_no_quality),
        cmocka_unit_test(test_statistics_that_no_bucket_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
