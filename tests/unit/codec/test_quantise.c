/* codec/quantise: against the definition, word by word; mean and variance by many draws with fixed seeds;
 * parts against the whole; ties and ends; fitted levels on vectors from measuring to decoding. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "codec/bucket_stats.h"
#include "codec/levels_alq.h"
#include "codec/levels_amq.h"
#include "codec/quantise.h"

#define N 4096

struct set {
    float table[FL_LEVELS_MAX];
    struct fl_quantise_levels levels;
};

static void make_set(const double *levels, size_t count, struct set *set)
{
    fl_levels_table(levels, count, set->table);
    set->levels = (struct fl_quantise_levels){set->table, count};
}

#define SETS 7
static void pick_set(int which, struct set *set)
{
    static const size_t counts[SETS] = {2, 3, 9, 8, 15, 256, FL_LEVELS_TREE};
    double levels[FL_LEVELS_MAX];
    if (which == 3 || which == 4)
        assert_ok(fl_levels_exponential(0.25, counts[which], levels));
    else if (which == 6)
        fl_levels_dynamic_tree(levels);
    else
        fl_levels_uniform(counts[which], levels);
    make_set(levels, counts[which], set);
}

/* Normal coordinates of unit variance. */
static void fill_normal(float *v, size_t n, uint64_t seed)
{
    struct fl_random random;
    fl_random_init(&random, seed, 9);
    for (size_t i = 0; i < n; i++) {
        double radius = sqrt(-2 * log(fl_random_double(&random)));
        v[i] = (float)(radius * cos(6.283185307179586 * fl_random_double(&random)));
    }
}

/* The same with some zeros and one that is large. */
static void fill(float *v, size_t n, uint64_t seed)
{
    fill_normal(v, n, seed);
    for (size_t i = 3; i < n; i += 50)
        v[i] = 0;
    v[n / 2] = 30;
}

static void test_every_element_by_definition(void **state)
{
    (void)state;
    static float v[N];
    static uint8_t found[N], nearest[N];
    const struct fl_kernels_draw draw = {.seed = 0x123456789abcdef0, .round = 77, .purpose = 5};
    const uint64_t first = (UINT64_C(1) << 34) - 1001; /* both halves of the counter change, not at a block */
    fill(v, N, 1);
    for (int which = 0; which < SETS; which++) {
        struct set set;
        pick_set(which, &set);
        float norm = 31;
        fl_quantise_stochastic(fl_kernels_pick(), &set.levels, v, norm, N, first, &draw, found);
        fl_quantise_nearest(&set.levels, v, norm, N, nearest);
        for (size_t i = 0; i < N; i++) {
            uint64_t block = (first + i) / 4;
            uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 77, 5}, words[4];
            fl_philox(counter, (uint32_t[2]){0x9abcdef0, 0x12345678}, words);
            float r = v[i] / norm;
            size_t low = set.levels.count - 2, best = 0;
            while (low && set.table[low] > r)
                low--;
            double up = ((double)r - set.table[low]) / ((double)set.table[low + 1] - set.table[low]);
            uint64_t threshold = up < 0 ? 0 : (uint64_t)(up * 4294967296.0);
            assert_int_equal(found[i], low + (words[(first + i) % 4] < threshold));
            for (size_t j = 1; j < set.levels.count; j++)
                if (fabs((double)r - set.table[j]) < fabs((double)r - set.table[best]))
                    best = j;
            assert_int_equal(nearest[i], best);
        }
    }
}

static void test_parts_are_the_whole(void **state)
{
    (void)state;
    static float v[N];
    static uint8_t whole[N], parts[N];
    const struct fl_kernels_draw draw = {.seed = 1, .round = 2, .purpose = 3};
    struct set set;
    fill(v, N, 2);
    pick_set(3, &set);
    fl_quantise_stochastic(fl_kernels_pick(), &set.levels, v, 31, N, 0, &draw, whole);
    for (size_t at = 0, size = 1; at < N; at += size, size = size * 2 + 1) {
        size_t n = size < N - at ? size : N - at;
        fl_quantise_stochastic(fl_kernels_pick(), &set.levels, v + at, 31, n, at, &draw, parts + at);
    }
    assert_memory_equal(parts, whole, N);
    const struct fl_kernels_draw others[] = {{2, 2, 3}, {1, 3, 3}, {1, 2, 4}, {UINT64_C(1) << 32 | 1, 2, 3}};
    for (int i = 0; i < 4; i++) {
        size_t different = 0;
        fl_quantise_stochastic(fl_kernels_pick(), &set.levels, v, 31, N, 0, &others[i], parts);
        for (size_t j = 0; j < N; j++)
            different += parts[j] != whole[j];
        assert_true(different > N / 10);
    }
}

static void test_scale_does_not_matter(void **state)
{
    (void)state;
    static float v[N], scaled[N];
    static uint8_t one[N], two[N];
    const struct fl_kernels_draw draw = {.seed = 4};
    struct set set;
    fill(v, N, 3);
    pick_set(2, &set);
    fl_quantise_stochastic(fl_kernels_pick(), &set.levels, v, 31, N, 0, &draw, one);
    for (int power = -90; power <= 110; power += 20) {
        for (int i = 0; i < N; i++)
            scaled[i] = ldexpf(v[i], power);
        fl_quantise_stochastic(fl_kernels_pick(), &set.levels, scaled, ldexpf(31, power), N, 0, &draw, two);
        assert_memory_equal(one, two, N);
    }
}

/* One machine's bits are every machine's bits: FNV-1a over all sets, computed once. */
static void test_bits_are_the_same_everywhere(void **state)
{
    (void)state;
    static float v[N];
    static uint8_t found[N];
    struct fl_random random;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    fl_random_init(&random, 12, 0);
    for (int i = 0; i < N; i++)
        v[i] = fl_random_float(&random) - 0.5f;
    for (int which = 0; which < 5;
         which++) { /* the sets whose levels need no rounded arithmetic of a library */
        struct set set;
        pick_set(which, &set);
        fl_quantise_stochastic(fl_kernels_pick(), &set.levels, v, 0.7f, N, 12345,
                               &(struct fl_kernels_draw){6, 7, 8}, found);
        for (int i = 0; i < N; i++)
            hash = (hash ^ found[i]) * UINT64_C(0x100000001b3);
    }
    assert_true(hash == UINT64_C(0x223584f042625d1b));
}

static void test_levels_stay_and_ends_hold(void **state)
{
    (void)state;
    for (int which = 0; which < SETS; which++) {
        struct set set;
        static uint8_t found[FL_LEVELS_MAX];
        static float decoded[FL_LEVELS_MAX];
        pick_set(which, &set);
        size_t count = set.levels.count;
        for (uint32_t round = 0; round < 50; round++) {
            fl_quantise_stochastic(fl_kernels_pick(), &set.levels, set.table, 1, count, 0,
                                   &(struct fl_kernels_draw){1, round, 0}, found);
            for (size_t i = 0; i < count; i++)
                assert_int_equal(found[i], i);
        }
        fl_quantise_nearest(&set.levels, set.table, 1, count, found);
        fl_quantise_decode(&set.levels, found, 2, count, decoded);
        for (size_t i = 0; i < count; i++)
            assert_true(decoded[i] == 2 * set.table[i]);
        static const float outside[] = {-1.5f, 2, -1e30f, 1e30f, INFINITY, -INFINITY};
        static const int upper[] = {0, 1, 0, 1, 1, 0};
        fl_quantise_stochastic(fl_kernels_pick(), &set.levels, outside, 1, 6, 0,
                               &(struct fl_kernels_draw){1, 0, 0}, found);
        for (int i = 0; i < 6; i++)
            assert_int_equal(found[i], upper[i] ? count - 1 : 0);
    }
}

static void test_nearest_ties_and_error(void **state)
{
    (void)state;
    static const float table[] = {-1, 0, 0.5f, 1}, v[] = {-0.5f, 0.25f, 0.75f, 0.2500001f, -0.4999f, 9, -9};
    static const uint8_t expected[] = {0, 1, 2, 2, 1, 3, 0};
    struct set tree;
    uint8_t found[7];
    fl_quantise_nearest(&(struct fl_quantise_levels){table, 4}, v, 1, 7, found);
    assert_memory_equal(found, expected, 7);
    pick_set(6, &tree);
    for (int i = -10000; i <= 10000; i++) { /* half of the widest gap, and more at the end without a level */
        float r = (float)i / 10000;
        fl_quantise_nearest(&tree.levels, &r, 1, 1, found);
        assert_true(fabsf(r - tree.table[found[0]]) < 0.0071f);
    }
}

/* What rounding r must have: the expected square of the error, and the variance of that square. */
static void expect_moments(const struct set *set, float r, double *ret_variance, double *ret_spread)
{
    size_t j = 1;
    while (j < set->levels.count - 1 && set->table[j] < r)
        j++;
    double down = (double)r - set->table[j - 1], up = set->table[j] - (double)r;
    double variance = up * down, fourth = variance * (up * up * up + down * down * down) / (up + down);
    *ret_variance = variance;
    *ret_spread = fmax(0, fourth - variance * variance);
}

/* Draws for one coordinate: the mean and the mean square error within five standard deviations of what they
 * must be. */
static void check_moments(const struct set *set, float r, uint64_t seed)
{
    enum { DRAWS = 40000 };
    static float v[DRAWS];
    static uint8_t found[DRAWS];
    double sum = 0, squares = 0, variance, spread;
    for (int i = 0; i < DRAWS; i++)
        v[i] = r;
    expect_moments(set, r, &variance, &spread);
    fl_quantise_stochastic(fl_kernels_pick(), &set->levels, v, 1, DRAWS, 0,
                           &(struct fl_kernels_draw){seed, 0, 0}, found);
    for (int i = 0; i < DRAWS; i++) {
        double away = (double)set->table[found[i]] - r;
        sum += away;
        squares += away * away;
    }
    assert_true(fabs(sum / DRAWS) <= 5 * sqrt(variance / DRAWS) + 1e-12);
    assert_true(fabs(squares / DRAWS - variance) <= 5 * sqrt(spread / DRAWS) + 1e-12);
}

static void test_mean_and_variance_of_a_coordinate(void **state)
{
    (void)state;
    static const float rs[] = {-1, -0.97f, -0.3f, -1e-3f, 0, 1e-7f, 0.01f, 0.5f, 0.77f, 1};
    for (int which = 0; which < 6; which++) {
        struct set set;
        pick_set(which, &set);
        for (size_t i = 0; i < sizeof rs / sizeof rs[0]; i++)
            check_moments(&set, rs[i], 100 * (uint64_t)which + i);
    }
}

/* Mean of many decoded rounds is the vector, and the error is under QSGD's bound min(B/s^2, sqrt(B)/s) |v|^2.
 */
static void test_qsgd_is_unbiased_and_within_its_bound(void **state)
{
    (void)state;
    enum { B = 512, ROUNDS = 400 };
    static float v[B], decoded[B];
    static double sum[B];
    static uint8_t found[B];
    fill(v, B, 5);
    for (uint32_t s = 1; s <= 64; s *= 4) {
        double levels[FL_LEVELS_MAX], error = 0, squares = 0, away = 0;
        float norm;
        struct set set;
        fl_levels_uniform(2 * s + 1, levels);
        make_set(levels, 2 * s + 1, &set);
        assert_ok(fl_bucket_norm(FL_NORM_L2, v, B, &norm));
        memset(sum, 0, sizeof sum);
        for (uint32_t round = 0; round < ROUNDS; round++) {
            fl_quantise_stochastic(fl_kernels_pick(), &set.levels, v, norm, B, 0,
                                   &(struct fl_kernels_draw){s, round, 1}, found);
            fl_quantise_decode(&set.levels, found, norm, B, decoded);
            for (int i = 0; i < B; i++) {
                sum[i] += decoded[i];
                error += pow((double)decoded[i] - v[i], 2) / ROUNDS;
            }
        }
        for (int i = 0; i < B; i++) {
            squares += (double)v[i] * v[i];
            away += pow(sum[i] / ROUNDS - v[i], 2);
        }
        assert_true(error <= fmin(B / (double)(s * s), sqrt(B) / s) * squares);
        /* the mean of independent rounds has an expected square error of error / ROUNDS, spread over 512
         * coordinates */
        assert_true(away < 1.5 * error / ROUNDS);
    }
}

/* Quantises all buckets, adding up squared errors, what they must be, and the variance of that, over squared
 * norms. */
static void measure_error(const struct set *set, const float *v, size_t elems, size_t buckets, double ret[3])
{
    static float decoded[N];
    static uint8_t found[N];
    double norms = 0;
    ret[0] = ret[1] = ret[2] = 0;
    for (size_t i = 0; i < buckets; i++, v += elems) {
        float norm;
        assert_ok(fl_bucket_norm(FL_NORM_L2, v, elems, &norm));
        double square = (double)norm * norm, variance, spread;
        const struct fl_kernels_draw draw = {.seed = 9, .round = 1};
        fl_quantise_stochastic(fl_kernels_pick(), &set->levels, v, norm, elems, i * elems, &draw, found);
        fl_quantise_decode(&set->levels, found, norm, elems, decoded);
        for (size_t j = 0; j < elems; j++) {
            expect_moments(set, v[j] / norm, &variance, &spread);
            ret[0] += pow((double)decoded[j] - v[j], 2);
            ret[1] += square * variance;
            ret[2] += square * square * spread;
        }
        norms += square * (double)elems;
    }
    ret[0] /= norms;
    ret[1] /= norms;
    ret[2] /= norms * norms;
}

/* From vectors to levels to indices: the error that is measured is the one that Psi promised. */
static void test_fitted_levels_keep_their_promise(void **state)
{
    (void)state;
    enum { B = 2048, BUCKETS = 64 };
    static float v[B * BUCKETS];
    struct fl_bucket_stats stats[BUCKETS];
    struct fl_mixture_part parts[BUCKETS];
    struct fl_bucket_top top = {stats, BUCKETS, 0};
    double levels[4][8], errors[4][3], p;
    fill_normal(v, B * BUCKETS, 6);
    for (int i = 0; i < B * BUCKETS; i++)
        v[i] *= (float)(1 + i / B % 3);
    assert_ok(fl_bucket_top_add(&top, FL_NORM_L2, v, B * BUCKETS, B));
    for (int pooled = 0; pooled < 2; pooled++) {
        struct fl_mixture mixture = {parts, 1, 0};
        assert_ok(pooled ? fl_bucket_pool(stats, BUCKETS, parts)
                         : fl_bucket_mix(stats, BUCKETS, parts, &mixture.count));
        fl_levels_alq(&mixture, 8, FL_LEVELS_ALQ_SWEEPS, levels[0]);
        fl_levels_amq(&mixture, 8, FL_LEVELS_AMQ_STEPS, 0, &p);
        assert_ok(fl_levels_exponential(p, 8, levels[1]));
        assert_ok(fl_levels_exponential(0.5, 8, levels[2]));
        fl_levels_uniform(8, levels[3]);
        for (int k = 0; k < 4; k++) {
            struct set set;
            make_set(levels[k], 8, &set);
            measure_error(&set, v, B, BUCKETS, errors[k]);
            assert_true(fabs(errors[k][1] / fl_levels_psi(&mixture, levels[k], 8) - 1) < 0.03);
            assert_true(fabs(errors[k][0] - errors[k][1]) < 5 * sqrt(errors[k][2]));
            /* ALQ below AMQ below exponential below uniform levels */
            assert_true(k == 0 || errors[k - 1][1] < errors[k][1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_element_by_definition),
        cmocka_unit_test(test_parts_are_the_whole),
        cmocka_unit_test(test_scale_does_not_matter),
        cmocka_unit_test(test_bits_are_the_same_everywhere),
        cmocka_unit_test(test_levels_stay_and_ends_hold),
        cmocka_unit_test(test_nearest_ties_and_error),
        cmocka_unit_test(test_mean_and_variance_of_a_coordinate),
        cmocka_unit_test(test_qsgd_is_unbiased_and_within_its_bound),
        cmocka_unit_test(test_fitted_levels_keep_their_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
