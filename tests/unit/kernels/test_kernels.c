/* kernels: every table against definitions written out element by element, at awkward sizes. */
#include "test.h"

#include <float.h>
#include <math.h>

#include "base/random.h"
#include "kernels/kernels.h"

#define MOST 1003

static const size_t sizes[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 1003};
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

static double sum_of_run(const float *x, size_t n)
{
    double lane[8] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++)
        lane[i % 8] += (double)x[i] * x[i];
    for (size_t j = 0; j < 8; j++)
        sum += lane[j];
    return sum;
}

static void test_sum_of_squares_has_a_fixed_order(void **state)
{
    const struct fl_kernels *kernels = *state;
    static const size_t more[] = {FL_KERNELS_RUN - 1, FL_KERNELS_RUN, FL_KERNELS_RUN + 1,
                                  3 * FL_KERNELS_RUN + 13};
    static float x[3 * FL_KERNELS_RUN + 13];
    const size_t elems = sizeof x / sizeof x[0];
    fill(x, elems, 3);
    for (size_t s = 0; s < SIZES + 4; s++) {
        size_t n = s < SIZES ? sizes[s] : more[s - SIZES];
        double sum = 0;
        for (size_t at = 0; at < n; at += FL_KERNELS_RUN)
            sum += sum_of_run(x + at, n - at < FL_KERNELS_RUN ? n - at : FL_KERNELS_RUN);
        assert_true(kernels->sum_squares(x, n) == sum);
    }
    /* Here the order shows: 2^54 swallows the ones that are added to it one by one, 511 in its run. */
    for (size_t i = 0; i < elems; i++)
        x[i] = 1;
    x[0] = 0x1p27f;
    assert_true(kernels->sum_squares(x, elems) == 0x1p54 + 7 * 512 + 2 * 4096 + 12);
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

/* Values that are special to a comparison of bits, then random ones, for lambda as the threshold. */
static void fill_special(float *x, size_t n, float lambda, uint64_t stream)
{
    const float special[] = {0.0f,    -0.0f,         FLT_TRUE_MIN,          -FLT_MIN / 3,  lambda,
                             -lambda, lambda * 1.5f, nextafterf(lambda, 0), -2.5f * lambda};
    struct fl_random random;
    fl_random_init(&random, 7, stream);
    for (size_t i = 0; i < n; i++) {
        uint32_t kind = fl_random_u32(&random) % 30;
        x[i] = kind < 9 ? special[kind] : (fl_random_float(&random) - 0.5f) * lambda * 8;
    }
}

/* Rough expectations change the way, never the outcome. */
static const size_t expectations[] = {0, 4, 14, 40, MOST};
#define EXPECTATIONS (sizeof expectations / sizeof expectations[0])

/* p and worst as a + b element by element; the indices with low <= |sum| < high. Returns how many. */
static size_t list_plainly(const float *a, const float *b, size_t n, float low, float high, float *ret_p,
                           uint32_t *ret_indices, uint32_t *worst)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        ret_p[i] = a[i] + b[i];
        float magnitude = fabsf(ret_p[i]);
        uint32_t bits;
        memcpy(&bits, &magnitude, 4);
        *worst = bits > *worst ? bits : *worst;
        if (magnitude >= low && magnitude < high)
            ret_indices[count++] = 4000000000u + (uint32_t)i;
    }
    return count;
}

static void test_added_and_listed(void **state)
{
    const struct fl_kernels *kernels = *state;
    static float a[MOST], b[MOST], p[MOST], sum[MOST];
    static uint32_t indices[MOST + FL_KERNELS_SLACK + 1], listed[MOST];
    for (size_t s = 0; s < SIZES * EXPECTATIONS; s++) {
        size_t n = sizes[s % SIZES];
        uint32_t worst = 5, low, high, most = 5;
        float lambda = ldexpf(1, (int)(s % SIZES * 9) - 60), ceiling = 3 * lambda;
        memcpy(&low, &lambda, 4);
        memcpy(&high, &ceiling, 4);
        fill_special(a, n, lambda, s);
        fill_special(b, n, lambda, s + 100);
        size_t count = list_plainly(a, b, n, lambda, ceiling, sum, listed, &most);
        memcpy(p, a, sizeof p); /* in place */
        indices[n + FL_KERNELS_SLACK] = 0x5a5a;
        assert_int_equal(
            kernels->add_list(p, b, p, n, low, high, 4000000000u, expectations[s / SIZES], indices, &worst),
            count);
        assert_memory_equal(p, sum, n * 4);
        assert_memory_equal(indices, listed, count * 4);
        assert_int_equal(worst, most);
        assert_int_equal(indices[n + FL_KERNELS_SLACK], 0x5a5a);
    }
}

static void test_what_is_not_finite_shows_wherever_it_stands(void **state)
{
    const struct fl_kernels *kernels = *state;
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    static const struct fl_kernels_grid grid = {2, 0.5f, 1 << 20};
    float a[130] = {0}, b[130] = {0}, p[130];
    uint32_t taken[130 + FL_KERNELS_SLACK];
    uint64_t bitmap[3];
    for (size_t i = 0; i < 130 * 3; i++) {
        size_t at = i / 3;
        for (int kind = 0; kind < 3; kind++) {
            uint32_t worst = 0;
            a[at] = kind ? FLT_MAX : bad[at % 4];
            b[at] = kind == 2 ? FLT_MAX : 0; /* the sum overflows */
            size_t count = i % 3 ? kernels->add_pack(a, b, p, 130, 1, 0x7f800000u, i % 3 == 2 ? &grid : NULL,
                                                     bitmap, taken, &worst)
                                 : kernels->add_list(a, b, p, 130, 1, 0x7f800000u, 0, 0, taken, &worst);
            assert_int_equal(count, kind == 1);
            assert_int_equal(worst < 0x7f800000u, kind == 1);
            if (i % 3)
                assert_int_equal(bitmap[0] | bitmap[1] | bitmap[2], kind == 1 ? UINT64_C(1) << at % 64 : 0);
        }
        a[at] = b[at] = 0;
    }
}

static void test_added_and_packed(void **state)
{
    const struct fl_kernels *kernels = *state;
    static float a[MOST], b[MOST], p[MOST], sum[MOST];
    static uint32_t words[MOST + FL_KERNELS_SLACK + 1], listed[MOST];
    static uint64_t bitmap[MOST / 64 + 2];
    for (size_t s = 0; s < SIZES * 3; s++) {
        size_t n = sizes[s % SIZES], at = 0;
        uint32_t worst = 5, low, high, most = 5;
        /* many, few, none */
        float lambda = ldexpf(1, (int)(s % SIZES * 9) - 60), floor = lambda * (float)(s / SIZES * 3 + 1),
              ceiling = 8 * lambda;
        memcpy(&low, &floor, 4);
        memcpy(&high, &ceiling, 4);
        fill_special(a, n, lambda, s);
        fill_special(b, n, lambda, s + 100);
        size_t count = list_plainly(a, b, n, floor, ceiling, sum, listed, &most);
        memcpy(p, a, sizeof p); /* in place */
        words[n + FL_KERNELS_SLACK] = 0x5a5a;
        bitmap[(n + 63) / 64] = 0x5a5a;
        assert_int_equal(kernels->add_pack(p, b, p, n, low, high, NULL, bitmap, words, &worst), count);
        for (size_t i = 0; i < (n + 63) / 64 * 64; i++) {
            uint64_t in = at < count && listed[at] == 4000000000u + i;
            uint32_t bits = 1;
            assert_int_equal(bitmap[i / 64] >> (i % 64) & 1, in);
            if (!in) {
                assert_true(i >= n || memcmp(&p[i], &sum[i], 4) == 0);
                continue;
            }
            memcpy(&bits, &p[i], 4);
            assert_int_equal(bits, 0); /* +0 */
            assert_memory_equal(&words[at++], &sum[i], 4);
        }
        assert_int_equal(at, count);
        assert_int_equal(worst, most);
        assert_int_equal(words[n + FL_KERNELS_SLACK], 0x5a5a);
        assert_int_equal(bitmap[(n + 63) / 64], 0x5a5a);
    }
}

/* What codec/grid.h says, in float64. */
static int32_t level_of(float p, double step)
{
    double level = floor(fabs(p) / step + 0.5);
    level = level > 1 << 20 ? 1 << 20 : level;
    return (int32_t)(p < 0 ? -level : level);
}

/* Values from step / 2 up to 2^44 step, close to where levels change, and small ones between them. */
static void fill_levels(float *x, size_t n, float step, uint32_t one_small_in)
{
    struct fl_random random;
    fl_random_init(&random, 3, one_small_in);
    for (size_t i = 0; i < n; i++) {
        float halves = (float)(fl_random_u32(&random) >> fl_random_below(&random, 31) | 1);
        float y = halves * 0.5f * (i % 50 ? 1 : 0x1p12f);
        float near[] = {y, nextafterf(y, 0), nextafterf(y, INFINITY)};
        y = near[i % 3] < 0.5f ? 0.5f : near[i % 3];
        y = fl_random_below(&random, one_small_in) ? y : 0.49f * fl_random_float(&random);
        x[i] = y * step * (fl_random_u32(&random) & 1 ? -1.0f : 1.0f);
    }
}

static void test_R8_levels_are_packed(void **state)
{
    const struct fl_kernels *kernels = *state;
    static float p[MOST], kept[MOST], zero[MOST];
    static uint64_t bitmap[MOST / 64 + 1];
    static uint32_t words[MOST + FL_KERNELS_SLACK];
    for (int step_log2 = -100; step_log2 <= 60; step_log2 += 8) {
        float step = ldexpf(1, step_log2), least = step / 2, most = step * 0x1p44f;
        struct fl_kernels_grid grid = {step, 1 / step, 1 << 20};
        for (uint32_t small = 1; small < 20; small += 6) {
            uint32_t worst = 0, low, high;
            size_t at = 0, n = sizes[SIZES - 1 - small / 6];
            memcpy(&low, &least, 4);
            memcpy(&high, &most, 4);
            fill_levels(p, n, step, small);
            memcpy(kept, p, sizeof p);
            size_t count = kernels->add_pack(p, zero, p, n, low, high, &grid, bitmap, words, &worst);
            for (size_t i = 0; i < n; i++) {
                int in = fabsf(kept[i]) >= least;
                assert_int_equal(bitmap[i / 64] >> (i % 64) & 1, in);
                int32_t level = in ? level_of(kept[i], step) : 0;
                float rest = in ? kept[i] - (float)level * step : kept[i] + 0.0f;
                if (in)
                    assert_int_equal((int32_t)words[at++], level);
                assert_memory_equal(&p[i], &rest, 4);
            }
            assert_int_equal(at, count);
            assert_true(small > 1 ? count > n / 2 : count == 0);
        }
    }
}

static void test_bits_are_listed(void **state)
{
    const struct fl_kernels *kernels = *state;
    static const double densities[] = {0, 1e-3, 1e-2, 3e-2, 0.1, 0.5, 1};
    enum { WORDS = MOST / 64 };
    uint64_t bitmap[WORDS];
    static uint32_t indices[WORDS * 64 + FL_KERNELS_SLACK];
    struct fl_random random;
    fl_random_init(&random, 9, 0);
    for (size_t d = 0; d < 7; d++) {
        for (size_t i = 0; i < WORDS * 64; i++) {
            uint64_t in = fl_random_double(&random) < densities[d];
            bitmap[i / 64] = (i % 64 ? bitmap[i / 64] : 0) | in << (i % 64);
        }
        for (size_t words = 0; words <= WORDS; words++) {
            for (size_t e = 0; e < EXPECTATIONS; e++) {
                size_t at = 0,
                       count = kernels->list_bits(bitmap, words, 4000000000u, expectations[e], indices);
                for (uint32_t i = 0; i < words * 64; i++) {
                    if (bitmap[i / 64] >> (i % 64) & 1)
                        assert_int_equal(indices[at++], 4000000000u + i);
                }
                assert_int_equal(at, count);
            }
        }
    }
}

static void test_R17_publish_is_the_portable_one(void **state)
{
    const struct fl_kernels *kernels = *state, *portable = fl_kernels_find("portable");
    static double x[MOST];
    static float x_hat[MOST], expected[MOST];
    static uint32_t touched[MOST], marks[MOST];
    struct fl_random random;
    fl_random_init(&random, 5, 6);
    for (size_t s = 0; s < SIZES; s++) {
        for (double lambda = 0; lambda < 2; lambda += 0.3) {
            for (size_t i = 0; i < sizes[s]; i++) {
                x_hat[i] = expected[i] = fl_random_float(&random);
                x[i] = x_hat[i] + (i % 3 ? fl_random_double(&random) : 0);
                x[i] = i % 17 ? x[i] : -0.0;
            }
            size_t count = portable->publish(x, expected, marks, sizes[s], lambda, 3);
            assert_int_equal(kernels->publish(x, x_hat, touched, sizes[s], lambda, 3), count);
            assert_memory_equal(x_hat, expected, sizes[s] * 4);
            assert_memory_equal(touched, marks, sizes[s] * 4);
        }
    }
}

static void test_random_words_are_those_of_the_counter(void **state)
{
    const struct fl_kernels *kernels = *state;
    static const uint64_t firsts[] = {
        0, 1, 3, 7, UINT64_C(1) << 20, (UINT64_C(1) << 34) - 133, UINT64_MAX / 2};
    static const struct fl_kernels_draw draws[] = {
        {0, 0, 0}, {0x123456789abcdef0, 77, 5}, {UINT64_MAX, UINT32_MAX, UINT32_MAX}};
    static uint32_t got[MOST + 1];
    for (size_t s = 0; s < SIZES * 7 * 3; s++) {
        size_t n = sizes[s % SIZES];
        uint64_t first = firsts[s / SIZES % 7];
        const struct fl_kernels_draw *draw = &draws[s / SIZES / 7];
        const uint32_t key[2] = {(uint32_t)draw->seed, (uint32_t)(draw->seed >> 32)};
        got[n] = 0x5a5a;
        kernels->draw(draw, first, n, got);
        for (size_t i = 0; i < n; i++) {
            uint64_t block = (first + i) / 4;
            uint32_t words[4],
                counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), draw->round, draw->purpose};
            fl_philox(counter, key, words);
            assert_int_equal(got[i], words[(first + i) % 4]);
        }
        assert_int_equal(got[n], 0x5a5a);
    }
}

/* Words at random, and those that lie where a decision changes. */
static void fill_words(uint32_t *words, size_t n, uint64_t stream)
{
    static const uint32_t edges[] = {0, 1, UINT32_MAX, UINT32_MAX - 1, 0x80000000u, 0x7fffffffu};
    struct fl_random random;
    fl_random_init(&random, 13, stream);
    for (size_t i = 0; i < n; i++)
        words[i] = i % 7 < 6 && i % 2 ? edges[i % 7] : fl_random_u32(&random);
}

static void test_levels_are_rounded_at_random(void **state)
{
    const struct fl_kernels *kernels = *state;
    static float p[MOST];
    static uint32_t words[MOST], got[MOST];
    const float special[] = {0.0f, -0.0f, FLT_TRUE_MIN, -FLT_MIN, FLT_MAX, -FLT_MAX};
    for (int step_log2 = -100; step_log2 <= 60; step_log2 += 5) {
        float step = ldexpf(1, step_log2);
        struct fl_kernels_grid grid = {step, 1 / step, 1 << 20};
        for (size_t s = 0; s < SIZES; s++) {
            fill_levels(p, sizes[s], step, 3);
            fill_words(words, sizes[s], s);
            for (size_t i = 5; i < sizes[s]; i += 9)
                p[i] = i % 2 ? special[i % 6] : ldexpf(p[i], 20 - (int)(i % 60));
            kernels->round_levels(p, words, sizes[s], &grid, got);
            for (size_t i = 0; i < sizes[s]; i++) {
                double x = fabs((double)p[i]) / step, low = floor(x);
                double level = x >= 0x1p44 ? 0 : low + (words[i] < floor((x - low) * 0x1p32));
                level = level > 1 << 20 ? 1 << 20 : level;
                assert_true((int32_t)got[i] == (p[i] < 0 ? -level : level));
            }
        }
    }
}

static void test_powers_of_two_are_rounded_at_random(void **state)
{
    const struct fl_kernels *kernels = *state;
    static uint32_t bits[MOST], words[MOST], got[MOST];
    static float p[MOST];
    for (size_t s = 0; s < SIZES; s++) {
        fill_words(bits, sizes[s], 1000 + s);
        fill_words(words, sizes[s], s);
        for (size_t i = 0; i < sizes[s]; i++) {
            bits[i] = (bits[i] & 0x7f800000u) == 0x7f800000u ? bits[i] & ~0x40000000u : bits[i];
            bits[i] = i % 5 ? bits[i] : bits[i] & 0x807fffffu; /* subnormal */
        }
        memcpy(p, bits, sizes[s] * 4);
        kernels->round_powers(p, words, sizes[s], got);
        for (size_t i = 0; i < sizes[s]; i++) {
            int exponent;
            double m = 2 * frexp(fabs((double)p[i]), &exponent), low = ldexp(1, exponent - 1);
            if (fabsf(p[i]) < FLT_MIN) {
                m = 1 + fabs((double)p[i]) / (double)FLT_MIN;
                low = 0;
            }
            double high = low > 0 ? fmin(2 * low, 0x1p127) : (double)FLT_MIN;
            float q = (float)copysign(words[i] < 0x1p32 * (m - 1) ? high : low, (double)p[i]);
            q = q == 0 ? 0.0f : q;
            assert_memory_equal(&got[i], &q, 4);
        }
    }
}

static void test_values_are_rounded_to_a_table_at_random(void **state)
{
    const struct fl_kernels *kernels = *state;
    static const size_t counts[] = {2, 3, 4, 7, 15, 16, 17, 100, 255, 256};
    static float v[MOST], table[256];
    static uint32_t words[MOST];
    static uint8_t got[MOST + 1];
    struct fl_random random;
    fl_random_init(&random, 15, 16);
    for (size_t c = 0; c < 10; c++) {
        table[0] = -1;
        for (size_t i = 1; i < counts[c]; i++)
            table[i] = table[i - 1] + (float)(fl_random_double(&random) * 2 / (double)counts[c]) + 0x1p-20f;
        for (size_t s = 0; s < SIZES; s++) {
            size_t n = sizes[s];
            float norm = s % 3 ? 0.7f : 3e-38f;
            fill_words(words, n, s);
            for (size_t i = 0; i < n; i++) {
                v[i] = (fl_random_float(&random) - 0.5f) * 2.2f * norm;
                v[i] = i % 11 ? v[i] : table[i % counts[c]] * norm;
            }
            got[n] = 0x5a;
            kernels->round_table(table, counts[c], v, norm, words, n, got);
            for (size_t i = 0; i < n; i++) {
                size_t low = counts[c] - 2;
                float r = v[i] / norm;
                while (low && table[low] > r)
                    low--;
                double share = ((double)r - table[low]) / ((double)table[low + 1] - table[low]);
                share = fmax(0, fmin(1, share));
                assert_int_equal(got[i], low + (words[i] < floor(share * 0x1p32)));
            }
            assert_int_equal(got[n], 0x5a);
        }
    }
}

static void test_tables_are_found_by_name(void **state)
{
    const struct fl_kernels *kernels = *state;
    assert_ptr_equal(fl_kernels_find(kernels->name), kernels);
    assert_non_null(fl_kernels_find("portable"));
    assert_null(fl_kernels_find("none such"));
    assert_non_null(fl_kernels_pick());
}

static void test_the_environment_can_name_a_table(void **state)
{
    (void)state;
    const struct fl_kernels *fastest = fl_kernels_pick();
    setenv("FL_KERNELS", "portable", 1);
    assert_string_equal(fl_kernels_pick()->name, "portable");
    setenv("FL_KERNELS", "none such", 1);
    assert_ptr_equal(fl_kernels_pick(), fastest);
    unsetenv("FL_KERNELS");
}

static int run_all(const struct fl_kernels *kernels)
{
#define CASE(test) cmocka_unit_test_prestate(test, (void *)(uintptr_t)kernels)
    const struct CMUnitTest tests[] = {
        CASE(test_add_and_subtract),
        CASE(test_finite_sees_one_bad_element_anywhere),
        CASE(test_sum_of_squares_has_a_fixed_order),
        CASE(test_max_abs),
        CASE(test_band_holds_its_lower_and_not_its_upper_edge),
        CASE(test_select_agrees_with_count),
        CASE(test_R17_publish_where_the_drift_reaches_lambda_down),
        CASE(test_R17_publish_is_the_portable_one),
        CASE(test_added_and_listed),
        CASE(test_what_is_not_finite_shows_wherever_it_stands),
        CASE(test_added_and_packed),
        CASE(test_R8_levels_are_packed),
        CASE(test_bits_are_listed),
        CASE(test_random_words_are_those_of_the_counter),
        CASE(test_levels_are_rounded_at_random),
        CASE(test_powers_of_two_are_rounded_at_random),
        CASE(test_values_are_rounded_to_a_table_at_random),
        CASE(test_tables_are_found_by_name),
        CASE(test_the_environment_can_name_a_table),
    };
    return cmocka_run_group_tests_name(kernels->name, tests, NULL, NULL);
}

int main(void)
{
    static const char *const names[] = {"portable", "avx2", "avx512", "neon"};
    int failed = 0;
    unsetenv("FL_KERNELS");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct fl_kernels *kernels = fl_kernels_find(names[i]);
        if (kernels)
            failed += run_all(kernels);
        else
            printf("[ SKIPPED ] %s: not on this machine\n", names[i]);
    }
    return failed;
}
