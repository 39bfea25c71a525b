/*
 * codec/grid, rule R8: for the integer hard threshold q, p - q and q + e are exact and |e| <= lambda. Judged
 * in integers: where a level is sent, p is a multiple of 2^(step_log2 - 30) below 2^44 steps, so p, q and e
 * fit into 128 bits in that unit.
 */
#include "test.h"

#include <float.h>

#include "codec/grid.h"
#include "sample.h"

/* value / 2^unit_log2, which must be a whole number below 2^100. */
static __int128 in_units(float value, int unit_log2)
{
    double scaled = ldexp((double)value, -unit_log2);
    assert_true(scaled == floor(scaled) && fabs(scaled) < 0x1p100);
    return (__int128)scaled;
}

static __int128 magnitude(__int128 value)
{
    return value < 0 ? -value : value;
}

/* The level by definition, in integers; lambda in units too. */
static __int128 level_by_definition(__int128 p, __int128 lambda, __int128 step)
{
    __int128 size = magnitude(p);
    if (size < lambda || size >= step << 44)
        return 0;
    __int128 level = (2 * size + step) / (2 * step);
    if (level > FL_CODEC_LEVEL_MAX)
        level = FL_CODEC_LEVEL_MAX;
    return p < 0 ? -level : level;
}

/* Checks e and q that came out of p. */
static void check_one(const struct fl_codec_params *params, float p, float q, float e)
{
    if (q == 0) {
        assert_true(e == p);
        assert_true(fabsf(p) < params->lambda || fabsf(p) >= fl_grid_ceiling(params->step_log2));
        return;
    }
    int unit = params->step_log2 - 30;
    __int128 step = (__int128)1 << 30, lambda = in_units(params->lambda, unit);
    __int128 exact_p = in_units(p, unit), exact_q = in_units(q, unit), exact_e = in_units(e, unit);
    __int128 level = level_by_definition(exact_p, lambda, step);
    assert_true(level != 0 && exact_q == level * step);
    assert_true(exact_p == exact_q + exact_e);
    assert_true(q + e == p && p - q == e);
    if (magnitude(level) < FL_CODEC_LEVEL_MAX)
        assert_true(magnitude(exact_e) <= lambda);
}

/* Sends count values, alone in a vector, through the codec and error feedback, and checks each. */
static void check_values(const struct fl_codec_params *params, const float *p, size_t count)
{
    static float zero[4096], e[4096], q[4096];
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 1 << 20);
    assert_true(count <= 4096);
    assert_ok(fl_error_feedback_step(fl_kernels_pick(), 1, params, p, zero, count, &buf, e, &payload));
    fl_payload_decode(&payload, q);
    for (size_t i = 0; i < count; i++)
        check_one(params, p[i], q[i], e[i]);
    fl_payload_fold(&payload, e);
    for (size_t i = 0; i < count; i++)
        assert_true(e[i] == p[i]);
    fl_buf_done(&buf);
}

/* Every corner in units of lambda and of the step, each with its neighbours and both signs. */
static size_t corners(const struct fl_codec_params *params, float *ret_p)
{
    static const double steps[] = {0.25,         0.5,    0.75,   1,      1.5,          2.5,          3,
                                   1e3,          1e5,    1e6,    1e7,    0x1p19 + 0.5, 0x1p20 - 0.5, 0x1p20,
                                   0x1p20 + 0.5, 0x1p21, 0x1p30, 0x1p43, 0x1.8p43,     0x1p44,       0x1p45,
                                   0x1p60};
    double step = ldexp(1, params->step_log2);
    float base[64];
    size_t bases = 0, count = 0;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        base[bases++] = (float)(steps[i] * step);
    static const float lambdas[] = {0.5f, 1, 1.5f, 2, 3};
    for (size_t i = 0; i < 5; i++)
        base[bases++] = lambdas[i] * params->lambda;
    base[bases++] = FLT_MAX;
    base[bases++] = FLT_MIN;
    base[bases++] = FLT_TRUE_MIN;
    base[bases++] = 0;
    for (size_t i = 0; i < bases; i++) {
        float around[3] = {base[i], nextafterf(base[i], 0), nextafterf(base[i], FLT_MAX)};
        for (size_t j = 0; j < 3; j++) {
            ret_p[count++] = around[j];
            ret_p[count++] = -around[j];
        }
    }
    return count;
}

static void test_R8_corners_of_every_step(void **state)
{
    (void)state;
    float p[512];
    for (int lambda_log2 = FL_CODEC_STEP_LOG2_MIN - 1; lambda_log2 < FL_CODEC_STEP_LOG2_MAX; lambda_log2++) {
        for (int shift = 0; shift <= FL_CODEC_FINEST_SHIFT; shift++) {
            struct fl_codec_params params = {.id = FL_CODEC_INT_THRESHOLD,
                                             .lambda = ldexpf(1, lambda_log2),
                                             .step_log2 = lambda_log2 + 1 - shift};
            if (params.step_log2 >= FL_CODEC_STEP_LOG2_MIN)
                check_values(&params, p, corners(&params, p));
        }
    }
}

static void test_R8_random_values_at_scales_from_1e12th_to_1e12(void **state)
{
    (void)state;
    static float p[4096];
    struct fl_random random;
    fl_random_init(&random, 8, 8);
    for (double scale = 1e-12; scale < 2e12; scale *= 10) {
        for (int shift = 0; shift <= FL_CODEC_FINEST_SHIFT; shift += shift < 3 ? 1 : 7) {
            float lambda = fl_lambda_nearest_power(scale);
            int lambda_log2;
            assert_ok(fl_lambda_log2(lambda, &lambda_log2));
            struct fl_codec_params params = {
                .id = FL_CODEC_INT_THRESHOLD, .lambda = lambda, .step_log2 = lambda_log2 + 1 - shift};
            for (size_t i = 0; i < 4096; i++) {
                float spread = ldexpf(fl_random_float(&random) - 0.5f, (int)fl_random_below(&random, 60) - 8);
                p[i] = i % 4 ? (fl_random_float(&random) - 0.5f) * 8 * lambda : spread * lambda;
            }
            check_values(&params, p, 4096);
        }
    }
}

static void test_R8_ties_go_away_from_zero_so_lambda_itself_is_sent(void **state)
{
    (void)state;
    struct fl_codec_params params = {.id = FL_CODEC_INT_THRESHOLD, .lambda = 0.25f, .step_log2 = -1};
    static const float p[] = {0.25f, -0.25f, 0x1.fffffep-3f, 0.75f, -0.75f, 0.5f, 0.74f};
    static const float expected[] = {0.5f, -0.5f, 0, 1, -1, 0.5f, 0.5f};
    float q[7];
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 100);
    sample_encode(&params, p, 7, &buf);
    assert_ok(fl_payload_check(&params, 7, fl_buf_view(&buf), &payload));
    fl_payload_decode(&payload, q);
    assert_memory_equal(q, expected, sizeof q);
    fl_buf_done(&buf);
}

static void test_R8_levels_stop_at_the_cap_and_the_rest_stays(void **state)
{
    (void)state;
    struct fl_codec_params params = {.id = FL_CODEC_INT_THRESHOLD, .lambda = 0.5f, .step_log2 = 0};
    static const float p[] = {0x1p20f, 0x1p20f + 0.25f, 0x1p20f + 5, -0x1p43f, -0x1p44f, FLT_MAX};
    static const int32_t levels[] = {1 << 20, 1 << 20, 1 << 20, -(1 << 20), 0, 0};
    int64_t sum[6] = {0};
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 100);
    sample_encode(&params, p, 6, &buf);
    assert_ok(fl_payload_check(&params, 6, fl_buf_view(&buf), &payload));
    assert_int_equal(payload.level_max, 1 << 20);
    fl_payload_add_levels(&payload, 3, sum, 0, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(sum[i], 3 * (int64_t)levels[i]);
    fl_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R8_corners_of_every_step),
        cmocka_unit_test(test_R8_random_values_at_scales_from_1e12th_to_1e12),
        cmocka_unit_test(test_R8_ties_go_away_from_zero_so_lambda_itself_is_sent),
        cmocka_unit_test(test_R8_levels_stop_at_the_cap_and_the_rest_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
