/* codec/rounding: neighbours only, the right mean and variance, corners of the grid and of float32. */
#include "test.h"

#include <float.h>

#include "codec/floats.h"
#include "codec/rounding.h"
#include "sample.h"

#define DIM   1000
#define DRAWS 4000

/* The one level of p. */
static double level_of(float p, int step_log2, uint64_t seed)
{
    uint32_t index = 9, level = 0;
    size_t count = fl_rounding_levels(fl_kernels_pick(), &p, 1, step_log2, seed, NULL, NULL);
    assert_int_equal(fl_rounding_levels(fl_kernels_pick(), &p, 1, step_log2, seed, &index, &level), count);
    assert_true(count == 0 || (index == 0 && level != 0));
    return (int32_t)level;
}

static void test_corners_of_the_grid(void **state)
{
    (void)state;
    static const struct {
        float p; /* in steps */
        double low, high;
    } cases[] = {
        {0, 0, 0},
        {-0.0f, 0, 0},
        {1, 1, 1},
        {-7, -7, -7},
        {0.5f, 0, 1},
        {-2.25f, -3, -2},
        {0x1p-40f, 0, 0}, /* rarer than a word of 32 bits can tell */
        {0x1.fffffep-1f, 0, 1},
        {0x1p20f, 0x1p20, 0x1p20},
        {0x1.fffffep19f, 0x1p20 - 1, 0x1p20},
        {-0x1.000008p20f, -0x1p20, -0x1p20}, /* cut off */
        {0x1.fffffep43f, 0x1p20, 0x1p20},
        {0x1p44f, 0, 0},
        {-0x1p60f, 0, 0},
    };
    static const int steps[] = {FL_CODEC_STEP_LOG2_MIN, -3, 0, 17, FL_CODEC_STEP_LOG2_MAX};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t k = 0; k < 5; k++) {
            for (uint64_t seed = 0; seed < 40; seed++) {
                double level = level_of(ldexpf(cases[i].p, steps[k]), steps[k], seed);
                assert_true(level == cases[i].low || level == cases[i].high);
            }
        }
    }
    assert_true(level_of(FLT_TRUE_MIN, FL_CODEC_STEP_LOG2_MIN, 1) == 0);
}

/* Both neighbours, each as often as it should be: four standard deviations of a share of DRAWS. */
static void test_shares_on_the_grid(void **state)
{
    (void)state;
    static const float cases[] = {0.5f, 0.01f, 0.99f, 3.25f, -0.3f, -1000.75f};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double sum = 0, share = fabs((double)cases[i]) - floor(fabs((double)cases[i]));
        for (uint64_t seed = 0; seed < DRAWS; seed++)
            sum += level_of(cases[i], 0, seed);
        assert_true(fabs(sum / DRAWS - (double)cases[i]) <= 4 * sqrt(share * (1 - share) / DRAWS));
    }
}

static uint32_t natural(float p, uint64_t seed)
{
    uint32_t bits;
    fl_rounding_natural(fl_kernels_pick(), &p, 1, 0, seed, &bits);
    return bits;
}

static void test_corners_of_powers_of_two(void **state)
{
    (void)state;
    static const struct {
        float p, low, high;
    } cases[] = {
        {0, 0, 0},
        {-0.0f, 0, 0},
        {1, 1, 1},
        {-4, -4, -4},
        {1.5f, 1, 2},
        {-0.3f, -0.5f, -0.25f},
        {FLT_MIN, FLT_MIN, FLT_MIN},
        {0x1p-127f, 0, FLT_MIN},
        {-0x1p-127f, 0, -FLT_MIN},
        {FLT_TRUE_MIN, 0, FLT_MIN},
        {0x1p127f, 0x1p127f, 0x1p127f},
        {FLT_MAX, 0x1p127f, 0x1p127f}, /* there is no larger one */
        {-FLT_MAX, -0x1p127f, -0x1p127f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint64_t seed = 0; seed < 200; seed++) {
            uint32_t bits = natural(cases[i].p, seed);
            assert_true(bits == (cases[i].low == 0 ? 0 : fl_float_bits(cases[i].low)) ||
                        bits == (cases[i].high == 0 ? 0 : fl_float_bits(cases[i].high)));
        }
    }
}

/* Horvath et al.: unbiased, variance at most p^2 / 8, reached at 4/3 of a power. */
static void test_mean_and_variance_of_powers_of_two(void **state)
{
    (void)state;
    static const float cases[] = {0x1.555556p0f, 1.1f, -1.9f, 3e-20f, -0x1p-128f, 1e30f};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double sum = 0, spread = 0, p = (double)cases[i];
        for (uint64_t seed = 0; seed < DRAWS; seed++) {
            double q = (double)fl_float_from_bits(natural(cases[i], seed));
            sum += q / DRAWS;
            spread += (q - p) * (q - p) / DRAWS;
        }
        assert_true(spread > 0 && fabs(sum - p) <= 4 * sqrt(spread / DRAWS));
        if (fabs(p) >= (double)FLT_MIN)
            assert_true(spread <= p * p / 8 * 1.1);
    }
}

static void test_parts_give_the_same_as_the_whole(void **state)
{
    (void)state;
    static float p[DIM];
    static uint32_t whole[DIM], parts[DIM];
    static const size_t cuts[] = {0, 1, 3, 64, 130, 999, DIM};
    sample_fill(p, DIM, 0.3, 1);
    fl_rounding_natural(fl_kernels_pick(), p, DIM, 0, 7, whole);
    for (size_t i = 0; i + 1 < sizeof cuts / sizeof cuts[0]; i++)
        fl_rounding_natural(fl_kernels_pick(), p + cuts[i], cuts[i + 1] - cuts[i], cuts[i], 7,
                            parts + cuts[i]);
    assert_memory_equal(whole, parts, sizeof whole);
}

/* Absolute at any scale: less than a step is missed, and it averages out over seeds. */
static void test_the_grid_is_absolute_and_unbiased(void **state)
{
    (void)state;
    static float p[DIM], q[DIM];
    for (int scale = -40; scale <= 40; scale += 10) {
        struct fl_codec_params params = {
            .id = FL_CODEC_ROUND_RANDOM, .lambda = ldexpf(1, scale), .step_log2 = scale + 1};
        double off = 0, step = ldexp(1, scale + 1);
        static double sum[DIM];
        memset(sum, 0, sizeof sum);
        sample_fill(p, DIM, 0.1, (uint64_t)(scale + 40));
        for (size_t i = 0; i < DIM; i++)
            p[i] *= params.lambda;
        for (; params.seed < 400; params.seed++) {
            struct fl_payload payload;
            struct fl_buf buf;
            fl_buf_init(&buf, 1 << 20);
            sample_encode(&params, p, DIM, &buf);
            assert_ok(fl_payload_check(&params, DIM, fl_buf_view(&buf), &payload));
            assert_int_equal(payload.on_grid, 1);
            fl_payload_decode(&payload, q);
            for (size_t i = 0; i < DIM; i++) {
                assert_true(fabs((double)p[i] - (double)q[i]) < step);
                sum[i] += (double)q[i] / 400;
            }
            fl_buf_done(&buf);
        }
        for (size_t i = 0; i < DIM; i++)
            off += (sum[i] - (double)p[i]) * (sum[i] - (double)p[i]);
        assert_true(off <= 1.2 * DIM * step * step / 4 / 400); /* variance at most step^2 / 4 each */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corners_of_the_grid),
        cmocka_unit_test(test_shares_on_the_grid),
        cmocka_unit_test(test_corners_of_powers_of_two),
        cmocka_unit_test(test_mean_and_variance_of_powers_of_two),
        cmocka_unit_test(test_parts_give_the_same_as_the_whole),
        cmocka_unit_test(test_the_grid_is_absolute_and_unbiased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
