/* codec/coded, codec/values, codec/half: every form of values, what is refused, and the two 16-bit floats. */
#include "test.h"

#include <float.h>

#include "codec/coded.h"
#include "codec/half.h"
#include "sample.h"

static void test_bfloat16_by_table(void **state)
{
    (void)state;
    static const struct {
        float value;
        uint16_t half;
    } cases[] = {
        {0, 0},
        {-0.0f, 0x8000},
        {1, 0x3f80},
        {-2.5f, 0xc020},
        {0x1.01p0f, 0x3f80},     /* a tie: to even, down */
        {0x1.03p0f, 0x3f82},     /* a tie: to even, up */
        {0x1.010002p0f, 0x3f81}, /* just above the tie */
        {FLT_MAX, 0x7f7f},       /* not infinity */
        {-FLT_MAX, 0xff7f},
        {FLT_TRUE_MIN, 0},
        {0x1p-133f, 0x0001},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(fl_bfloat16_from_float(cases[i].value), cases[i].half);
}

static void test_float16_by_table(void **state)
{
    (void)state;
    static const struct {
        float value;
        uint16_t half;
    } cases[] = {
        {0, 0},
        {-0.0f, 0x8000},
        {1, 0x3c00},
        {-2.5f, 0xc100},
        {65504, 0x7bff},
        {65520, 0x7bff}, /* would be infinity */
        {1e30f, 0x7bff},
        {-1e30f, 0xfbff},
        {0x1p-14f, 0x0400},
        {0x1.ff8p-15f, 0x03ff}, /* the largest subnormal */
        {0x1.ffcp-15f, 0x0400}, /* a tie between that and the least normal */
        {0x1p-24f, 0x0001},
        {0x1p-25f, 0x0000}, /* a tie with 0 */
        {0x1.8p-25f, 0x0001},
        {0x1.002p0f, 0x3c00}, /* a tie: to even, down */
        {0x1.006p0f, 0x3c02}, /* a tie: to even, up */
        {FLT_TRUE_MIN, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(fl_float16_from_float(cases[i].value), cases[i].half);
}

static void test_every_finite_half_is_itself(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        float wide = fl_bfloat16_to_float((uint16_t)half), narrow = fl_float16_to_float((uint16_t)half);
        if (isfinite(wide))
            assert_int_equal(fl_bfloat16_from_float(wide), half);
        else
            assert_true((half & 0x7f80) == 0x7f80);
        if (isfinite(narrow))
            assert_int_equal(fl_float16_from_float(narrow), half);
        else
            assert_true((half & 0x7c00) == 0x7c00);
    }
}

/* No half is nearer than the one chosen. */
static void test_halves_are_the_nearest(void **state)
{
    (void)state;
    struct fl_random random;
    fl_random_init(&random, 3, 0);
    for (int i = 0; i < 200000; i++) {
        float value = fl_float_from_bits(fl_random_u32(&random));
        if (!isfinite(value))
            continue;
        uint16_t wide = fl_bfloat16_from_float(value), narrow = fl_float16_from_float(value);
        for (int step = -1; step <= 1; step += 2) {
            double miss = fabs((double)fl_bfloat16_to_float(wide) - value);
            double other = fabs((double)fl_bfloat16_to_float((uint16_t)(wide + step)) - value);
            assert_true(!(other < miss)); /* also when the other is no number */
            miss = fabs((double)fl_float16_to_float(narrow) - value);
            other = fabs((double)fl_float16_to_float((uint16_t)(narrow + step)) - value);
            assert_true(!(other < miss));
        }
    }
}

/* --- the sections --- */

#define COUNT 131

static const struct fl_codec levels_codec = {
    .kind = FL_PAYLOAD_CODED, .support = FL_SUPPORT_ALL, .values = FL_VALUES_LEVELS};

static enum fl_status put_value(void *user, const struct fl_group *group)
{
    float *q = user;
    for (size_t i = 0; i < group->size; i++)
        q[group->indices[i]] = fl_float_from_bits(group->words[i]);
    return FL_OK;
}

static enum fl_status read_back(const struct fl_codec *codec, struct fl_bytes bytes, float *ret_q)
{
    uint64_t dim;
    const uint8_t *first;
    struct fl_cursor cursor = {.bytes = bytes};
    struct fl_payload payload = {.bytes = bytes, .kind = FL_PAYLOAD_CODED, .dim = COUNT};
    enum fl_status st = fl_cursor_bytes(&cursor, 1, &first);
    if (!st)
        st = fl_cursor_varint(&cursor, &dim);
    if (!st)
        st = fl_coded_check_head(codec, COUNT, &cursor, &payload);
    return st ? st : fl_payload_walk(&payload, 0, COUNT, put_value, ret_q);
}

static void write_levels(const struct fl_level_values *levels, struct fl_buf *buf)
{
    assert_ok(fl_coded_write_head(COUNT, FL_SUPPORT_ALL, FL_VALUES_LEVELS, NULL, 0, buf));
    assert_ok(fl_values_write_levels(levels, COUNT, buf));
}

static void test_levels_of_every_width_and_bucket(void **state)
{
    (void)state;
    static const size_t counts[] = {2, 3, 4, 5, 8, 16, 17, 255, 256}, buckets[] = {1, 7, 64, 130, 131, 500};
    float table[256], scales[COUNT], q[COUNT];
    uint8_t codes[COUNT];
    for (size_t c = 0; c < 9; c++) {
        for (size_t b = 0; b < 6; b++) {
            struct fl_level_values levels = {table, counts[c], scales, buckets[b], codes};
            struct fl_buf buf;
            fl_buf_init(&buf, 1 << 20);
            for (size_t i = 0; i < counts[c]; i++)
                table[i] = (float)i / 8 - 1;
            for (size_t i = 0; i < COUNT; i++) {
                codes[i] = (uint8_t)(i * 31 % counts[c]);
                scales[i] = (float)(i % 5) / 4;
            }
            write_levels(&levels, &buf);
            assert_ok(read_back(&levels_codec, fl_buf_view(&buf), q));
            for (size_t i = 0; i < COUNT; i++)
                assert_true(q[i] == scales[i / buckets[b]] * table[codes[i]]);
            for (size_t size = 0; size < buf.size; size++)
                assert_true(read_back(&levels_codec, (struct fl_bytes){buf.data, size}, q) != FL_OK);
            fl_buf_done(&buf);
        }
    }
}

/* A good section: levels -1, 0, 1, one bucket of COUNT values, all of code 1; then one field is spoilt. */
static void test_what_levels_may_not_be(void **state)
{
    (void)state;
    enum {
        HEAD = 1 + 2 + 1,
        BUCKET = HEAD,
        MOST = BUCKET + 2,
        TABLE = MOST + 1,
        SCALES = TABLE + 12,
        CODES = SCALES + 4
    };
    static const struct {
        const char *what;
        size_t at;
        uint8_t bytes[4];
        size_t size;
        enum fl_status expected;
    } cases[] = {
        {"nothing is spoilt", HEAD, {0}, 0, FL_OK},
        {"other forms", HEAD - 1, {0x31}, 1, FL_ERR_FORMAT},
        {"bucket of 0, not in its shortest form", BUCKET, {0x80, 0x00}, 2, FL_ERR_FORMAT},
        {"a table of one level", MOST, {0}, 1, FL_ERR_RANGE},
        {"two levels the same", TABLE, {0, 0, 0, 0}, 4, FL_ERR_RANGE},
        {"levels that fall", TABLE, {0, 0, 0, 0x40}, 4, FL_ERR_RANGE},
        {"a level that is no number", TABLE + 8, {0, 0, 0xc0, 0x7f}, 4, FL_ERR_NOT_FINITE},
        {"an infinite level", TABLE + 8, {0, 0, 0x80, 0x7f}, 4, FL_ERR_NOT_FINITE},
        {"a negative scale", SCALES, {0, 0, 0x80, 0xbf}, 4, FL_ERR_RANGE},
        {"a scale of -0", SCALES, {0, 0, 0, 0x80}, 4, FL_ERR_RANGE},
        {"a scale that is no number", SCALES, {1, 0, 0x80, 0x7f}, 4, FL_ERR_NOT_FINITE},
        {"a code without a level", CODES, {0x57}, 1, FL_ERR_RANGE},
        {"a bit after the last code", CODES + 32, {0x55}, 1, FL_ERR_FORMAT},
    };
    static const float table[] = {-1, 0, 1}, scale = 2;
    uint8_t codes[COUNT];
    float q[COUNT];
    memset(codes, 1, sizeof codes);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_buf buf;
        fl_buf_init(&buf, 1 << 20);
        write_levels(&(struct fl_level_values){table, 3, &scale, COUNT, codes}, &buf);
        assert_int_equal(buf.size, CODES + (COUNT * 2 + 7) / 8);
        memcpy(buf.data + cases[i].at, cases[i].bytes, cases[i].size);
        enum fl_status st = read_back(&levels_codec, fl_buf_view(&buf), q);
        if (st != cases[i].expected)
            fail_msg("%s: %s", cases[i].what, fl_status_name(st));
        fl_buf_done(&buf);
    }
}

/* Kind 8 stands only inside kind 7. */
static void test_a_support_is_no_payload_of_its_own(void **state)
{
    (void)state;
    static const float p[100] = {1, 2, 3};
    struct fl_codec_params params = {.id = FL_CODEC_TOPK_BF16, .ratio = 0.02};
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 1000);
    sample_encode(&params, p, 100, &buf);
    assert_ok(fl_payload_check(&params, 100, fl_buf_view(&buf), &payload));
    assert_int_equal(payload.count, 2);
    assert_int_equal(payload.support.size + payload.values.size + 4, buf.size);
    for (size_t c = 0; c + 1 < SAMPLE_PARAMS; c++)
        assert_status(fl_payload_check(&sample_params[c], 100, payload.support, &payload), FL_ERR_FORMAT);
    fl_buf_done(&buf);
}

/* What a 16-bit form rounds away waits in the residual, at scales from 1e-12 to 1e12. */
static void test_what_halves_lose_stays(void **state)
{
    (void)state;
    static const enum fl_codec_id ids[] = {FL_CODEC_TOPK_BF16, FL_CODEC_TOPK_FP16};
    static float delta[SAMPLE_DIM], zero[SAMPLE_DIM], e[SAMPLE_DIM], q[SAMPLE_DIM];
    for (size_t c = 0; c < 2; c++) {
        for (int scale = -12; scale <= 12; scale++) {
            struct fl_codec_params params = {.id = ids[c], .ratio = 0.1};
            struct fl_payload payload;
            struct fl_buf buf;
            fl_buf_init(&buf, 1 << 20);
            sample_fill(delta, SAMPLE_DIM, 0.05, (uint64_t)(scale + 12));
            for (size_t i = 0; i < SAMPLE_DIM; i++)
                delta[i] *= (float)pow(10, scale);
            assert_ok(fl_error_feedback_step(fl_kernels_pick(), &params, delta, zero, SAMPLE_DIM, &buf, e,
                                             &payload));
            fl_payload_decode(&payload, q);
            for (size_t i = 0; i < SAMPLE_DIM; i++)
                assert_true(e[i] == delta[i] - q[i] && fabsf(e[i]) <= fabsf(delta[i]));
            fl_buf_done(&buf);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bfloat16_by_table),
        cmocka_unit_test(test_float16_by_table),
        cmocka_unit_test(test_every_finite_half_is_itself),
        cmocka_unit_test(test_halves_are_the_nearest),
        cmocka_unit_test(test_levels_of_every_width_and_bucket),
        cmocka_unit_test(test_what_levels_may_not_be),
        cmocka_unit_test(test_a_support_is_no_payload_of_its_own),
        cmocka_unit_test(test_what_halves_lose_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
