/* codec/block_int: no overflow at the limit, zero and denormal blocks, sums within their bound. */
#include "test.h"

#include <float.h>

#include "codec/block_int.h"
#include "sample.h"

static const uint32_t contributors[] = {
    1, 2, 3, 7, 64, 257, 65535, 65536, 1000003, UINT32_C(1) << 30, FL_BLOCK_INT_CONTRIBUTORS_MAX};
#define CONTRIBUTORS (sizeof contributors / sizeof contributors[0])

static void test_exponents_are_above_every_magnitude(void **state)
{
    (void)state;
    static const struct {
        float x[2];
        int exponent;
    } cases[] = {
        {{0, -0.0f}, 0},   {{FLT_TRUE_MIN, 0}, 0}, {{0, -0x1.fffffcp-127f}, 0}, /* the largest denormal */
        {{FLT_MIN, 0}, 1}, {{1, -0.5f}, 127},      {{1, -1.999f}, 127},
        {{-2, 1}, 128},    {{FLT_MAX, 1}, 254},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int exponent = fl_block_int_exponent(cases[i].x, 2);
        assert_int_equal(exponent, cases[i].exponent);
        for (size_t k = 0; k < 2; k++)
            assert_true(fabs((double)cases[i].x[k]) < ldexp(1, exponent - 126));
    }
    assert_int_equal(fl_block_int_exponent(cases[4].x, 0), 0);
}

/* n times the largest value of a block is still an int32, for every n; the looser factor is not. */
static void test_the_sum_of_as_many_as_planned_never_overflows(void **state)
{
    (void)state;
    static const float mosts[] = {FLT_TRUE_MIN, FLT_MIN, 1, 0x1.fffffep0f, 0.75f, 0x1.fffffep126f, FLT_MAX};
    for (size_t i = 0; i < CONTRIBUTORS; i++) {
        for (size_t k = 0; k < 14; k++) {
            float most = k % 2 ? -mosts[k / 2] : mosts[k / 2];
            struct fl_block_int block = {fl_block_int_exponent(&most, 1), contributors[i]};
            int32_t q = fl_block_int_quantise(&block, most);
            assert_true(fl_block_int_fits(&block, q));
            assert_true(llabs((long long)q * contributors[i]) <= INT32_MAX);
            assert_true(isfinite(fl_block_int_value(&block, q)));
        }
    }
    struct fl_block_int block = {127, 65536};
    double loose = (double)INT32_MAX / (65536 * 2.0);
    assert_true(round(0x1.fffffep0 * loose) * 65536 > INT32_MAX);
    assert_true(fl_block_int_quantise(&block, 0x1.fffffep0f) == 32767);
}

static void test_what_fits(void **state)
{
    (void)state;
    static const struct {
        uint32_t n;
        int32_t most;
    } cases[] = {{1, INT32_MAX}, {2, INT32_MAX / 2}, {65536, 32767}, {FL_BLOCK_INT_CONTRIBUTORS_MAX, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_block_int block = {127, cases[i].n};
        assert_true(fl_block_int_fits(&block, cases[i].most) && fl_block_int_fits(&block, -cases[i].most));
        assert_true(!fl_block_int_fits(&block, -cases[i].most - 1));
        assert_true(cases[i].most == INT32_MAX || !fl_block_int_fits(&block, cases[i].most + 1));
    }
}

/* Each value is missed by at most half a unit; what is 0 stays 0, also among denormals. */
static void test_values_are_within_half_a_unit(void **state)
{
    (void)state;
    static float x[SAMPLE_DIM];
    for (int scale = -148; scale <= 120; scale += 4) {
        sample_fill(x, SAMPLE_DIM, 0.1, (uint64_t)(scale + 148));
        for (size_t i = 0; i < SAMPLE_DIM; i++)
            x[i] = ldexpf(x[i], scale);
        for (size_t c = 0; c < CONTRIBUTORS; c++) {
            struct fl_block_int block = {fl_block_int_exponent(x, SAMPLE_DIM), contributors[c]};
            double unit = 1 / fl_block_int_factor(&block);
            assert_true(fl_block_int_value(&block, fl_block_int_quantise(&block, 0)) == 0);
            for (size_t i = 0; i < SAMPLE_DIM; i++) {
                float value = fl_block_int_value(&block, fl_block_int_quantise(&block, x[i]));
                double miss = fabs((double)value - (double)x[i]);
                double rounding = 0x1p-24 * fabs((double)value) + 0x1p-150;
                assert_true(miss <= unit / 2 * (1 + 0x1p-40) + rounding);
            }
        }
    }
}

/* Messages of one shared exponent: integers add up exactly, the mean is within half a unit and a rounding. */
static void test_messages_with_a_shared_exponent_add_up(void **state)
{
    (void)state;
    enum { N = 64, VALUES = 256 };
    static float x[N][VALUES], mean[VALUES];
    int32_t sum[VALUES] = {0}, q[VALUES];
    double exact[VALUES] = {0};
    struct fl_block_int block = {0, N};
    for (size_t m = 0; m < N; m++) {
        sample_fill(x[m], VALUES, 0.2, m);
        uint8_t exponent = fl_block_int_exponent(x[m], VALUES);
        block.exponent = exponent > block.exponent ? exponent : block.exponent;
    }
    for (uint32_t messages = 1; messages <= N; messages++) { /* any may be missing */
        for (size_t i = 0; i < VALUES; i++) {
            q[i] = fl_block_int_quantise(&block, x[messages - 1][i]);
            exact[i] += (double)x[messages - 1][i];
        }
        assert_ok(fl_block_int_add(q, VALUES, sum));
        fl_block_int_mean(&block, sum, VALUES, messages, mean);
        for (size_t i = 0; i < VALUES; i++)
            assert_true(fabs((double)mean[i] - exact[i] / messages) <=
                        0.5 / fl_block_int_factor(&block) + 0x1p-24 * fabs((double)mean[i]));
    }
}

static void test_one_message_too_many_is_refused(void **state)
{
    (void)state;
    enum { N = 65536 };
    struct fl_block_int block = {127, N};
    int32_t q[2] = {1, fl_block_int_quantise(&block, -0x1.fffffep0f)}, sum[2] = {0, 0};
    for (size_t m = 0; m < N; m++)
        assert_ok(fl_block_int_add(q, 2, sum));
    assert_true(sum[0] == N && sum[1] == -32767 * N);
    for (size_t m = 0; m < 2; m++)
        assert_ok(fl_block_int_add(q, 2, sum));
    const int32_t kept[2] = {sum[0], sum[1]};
    assert_status(fl_block_int_add(q, 2, sum), FL_ERR_RANGE);
    assert_memory_equal(sum, kept, sizeof kept);
}

/* By name, for one contributor and for many. */
static void test_payloads_of_every_count_of_contributors(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM], q[SAMPLE_DIM];
    sample_fill(p, SAMPLE_DIM, 0.1, 3);
    p[0] = FLT_MAX;
    memset(p + 128, 0, 64 * sizeof *p);
    p[200] = FLT_TRUE_MIN;
    for (size_t c = 0; c < CONTRIBUTORS; c++) {
        struct fl_codec_params params = {
            .id = FL_CODEC_BLOCK_INT, .bucket = 64, .contributors = contributors[c]};
        struct fl_payload payload;
        struct fl_buf buf;
        fl_buf_init(&buf, 1 << 20);
        sample_encode(&params, p, SAMPLE_DIM, &buf);
        assert_ok(fl_payload_check(&params, SAMPLE_DIM, fl_buf_view(&buf), &payload));
        fl_payload_decode(&payload, q);
        for (size_t i = 0; i < SAMPLE_DIM; i++) {
            size_t first = i / 64 * 64, size = SAMPLE_DIM - first < 64 ? SAMPLE_DIM - first : 64;
            struct fl_block_int block = {fl_block_int_exponent(p + first, size), contributors[c]};
            assert_true(q[i] == fl_block_int_value(&block, fl_block_int_quantise(&block, p[i])));
        }
        params.contributors = contributors[c] % 2 + 1; /* not what was made: the payload tells */
        assert_status(fl_payload_check(&params, SAMPLE_DIM, fl_buf_view(&buf), &payload),
                      params.contributors == contributors[c] ? FL_OK : FL_ERR_RANGE);
        fl_buf_done(&buf);
    }
    struct fl_codec_params params = {
        .id = FL_CODEC_BLOCK_INT, .bucket = 64, .contributors = FL_BLOCK_INT_CONTRIBUTORS_MAX + 1};
    assert_status(fl_codec_params_check(&params, SAMPLE_DIM), FL_ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exponents_are_above_every_magnitude),
        cmocka_unit_test(test_the_sum_of_as_many_as_planned_never_overflows),
        cmocka_unit_test(test_what_fits),
        cmocka_unit_test(test_values_are_within_half_a_unit),
        cmocka_unit_test(test_messages_with_a_shared_exponent_add_up),
        cmocka_unit_test(test_one_message_too_many_is_refused),
        cmocka_unit_test(test_payloads_of_every_count_of_contributors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
