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

/* --- levels --- */

#define COUNT 131

static const struct fl_codec_params levels_params = {.id = FL_CODEC_QSGD, .bits = 3, .bucket = 7};

static void write_levels(const struct fl_level_values *levels, struct fl_buf *buf)
{
    assert_ok(fl_coded_write_head(
        &(struct fl_coded_head){.dim = COUNT, .support = FL_SUPPORT_ALL, .values = FL_VALUES_LEVELS}, buf));
    assert_ok(fl_values_write_levels(levels, COUNT, buf));
}

/* Both codings: codes that are evenly spread, and codes most of which are the same. */
static void test_levels_of_every_width_and_bucket(void **state)
{
    (void)state;
    static const size_t counts[] = {2, 3, 4, 5, 8, 16, 17, 255, 256}, buckets[] = {1, 7, 64, 130, 131, 500};
    float table[256], scales[COUNT], q[COUNT];
    uint8_t codes[COUNT];
    int codings[2] = {0, 0};
    for (size_t c = 0; c < 9; c++) {
        for (size_t b = 0; b < 12; b++) {
            struct fl_level_values levels = {table, counts[c], scales, buckets[b % 6], codes};
            struct fl_payload payload;
            struct fl_buf buf;
            fl_buf_init(&buf, 1 << 20);
            for (size_t i = 0; i < counts[c]; i++)
                table[i] = (float)i / 8 - 1;
            for (size_t i = 0; i < COUNT; i++) {
                codes[i] = (uint8_t)(i * 31 % counts[c]);
                if (b >= 6 && i % 16)
                    codes[i] = 1;
                scales[i] = (float)(i % 5) / 4;
            }
            write_levels(&levels, &buf);
            codings[buf.data[4 + (buckets[b % 6] > 127 ? 2 : 1) + 1]]++;
            assert_ok(fl_payload_check(&levels_params, COUNT, fl_buf_view(&buf), &payload));
            fl_payload_decode(&payload, q);
            for (size_t i = 0; i < COUNT; i++)
                assert_true(q[i] == scales[i / levels.bucket] * table[codes[i]]);
            for (size_t size = 0; size < buf.size; size++)
                assert_true(fl_payload_check(&levels_params, COUNT, (struct fl_bytes){buf.data, size},
                                             &payload) != FL_OK);
            fl_buf_done(&buf);
        }
    }
    assert_true(codings[0] > 10 && codings[1] > 10);
}

/* Good bytes for COUNT values in one bucket, levels -1, 0, 1, all of code 1; then a field is spoilt. */
static const uint8_t head[] = {0x17, 0x83, 0x01, 0x30, 0x83, 0x01, 0x02};
static const float levels_table[] = {-1, 0, 1}, levels_scale = 2;
enum { FORMS = 3, BUCKET = 4, MOST = 6, CODING = 7, TABLE = 8, SCALES = 20, AFTER = 24 };

static void put_good(uint8_t coding, const uint8_t *lengths, uint8_t codes, size_t code_bytes,
                     struct fl_buf *buf)
{
    assert_ok(fl_buf_append(buf, head, sizeof head));
    assert_ok(fl_buf_append(buf, &coding, 1));
    assert_ok(fl_buf_append(buf, levels_table, sizeof levels_table));
    assert_ok(fl_buf_append(buf, &levels_scale, sizeof levels_scale));
    if (lengths)
        assert_ok(fl_buf_append(buf, lengths, 2));
    for (size_t i = 0; i < code_bytes; i++)
        assert_ok(fl_buf_append(buf, &codes, 1));
}

struct spoilt {
    const char *what;
    size_t at;
    uint8_t bytes[4];
    size_t size;
    enum fl_status expected;
};

static void check_spoilt(const struct spoilt *spoilt, struct fl_buf *buf)
{
    struct fl_payload payload;
    memcpy(buf->data + spoilt->at, spoilt->bytes, spoilt->size);
    enum fl_status st = fl_payload_check(&levels_params, COUNT, fl_buf_view(buf), &payload);
    if (st != spoilt->expected)
        fail_msg("%s: %s", spoilt->what, fl_status_name(st));
    fl_buf_done(buf);
}

static void test_what_levels_may_not_be(void **state)
{
    (void)state;
    static const struct spoilt cases[] = {
        {"nothing is spoilt", FORMS, {0}, 0, FL_OK},
        {"other forms", FORMS, {0x31}, 1, FL_ERR_FORMAT},
        {"a bucket of 0, not in its shortest form", BUCKET, {0x80, 0x00}, 2, FL_ERR_FORMAT},
        {"a table of one level", MOST, {0}, 1, FL_ERR_RANGE},
        {"an unknown coding", CODING, {2}, 1, FL_ERR_RANGE},
        {"two levels the same", TABLE, {0, 0, 0, 0}, 4, FL_ERR_RANGE},
        {"levels that fall", TABLE, {0, 0, 0, 0x40}, 4, FL_ERR_RANGE},
        {"a level that is no number", TABLE + 8, {0, 0, 0xc0, 0x7f}, 4, FL_ERR_NOT_FINITE},
        {"an infinite level", TABLE + 8, {0, 0, 0x80, 0x7f}, 4, FL_ERR_NOT_FINITE},
        {"a negative scale", SCALES, {0, 0, 0x80, 0xbf}, 4, FL_ERR_RANGE},
        {"a scale of -0", SCALES, {0, 0, 0, 0x80}, 4, FL_ERR_RANGE},
        {"a scale that is no number", SCALES, {1, 0, 0x80, 0x7f}, 4, FL_ERR_NOT_FINITE},
        {"a code without a level", AFTER, {0x57}, 1, FL_ERR_RANGE},
        {"a bit after the last code", AFTER + 32, {0x55}, 1, FL_ERR_FORMAT},
        {"a product that is infinite", SCALES, {0, 0, 0x7f, 0x7f}, 4, FL_OK}, /* every code is of level 0 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_buf buf;
        fl_buf_init(&buf, 1000);
        put_good(0, NULL, 0x55, 32, &buf);
        assert_ok(fl_buf_append(&buf, "\x15", 1));
        check_spoilt(&cases[i], &buf);
    }
}

static void test_what_a_huffman_code_may_not_be(void **state)
{
    (void)state;
    static const uint8_t lengths[] = {0x12, 0x02}; /* 2, 1, 2: code 1 is the bit 0 */
    static const struct spoilt cases[] = {
        {"nothing is spoilt", CODING, {0}, 0, FL_OK},
        {"lengths that leave bits without a meaning", AFTER, {0x22}, 1, FL_ERR_FORMAT},
        {"lengths of too many codes", AFTER, {0x11}, 1, FL_ERR_FORMAT},
        {"a half byte after the lengths", AFTER + 1, {0x12}, 1, FL_ERR_FORMAT},
        {"two bits more than there are", AFTER + 2, {0x03}, 1, FL_OK}, /* code 2, and 129 of the rest */
        {"a bit after the last code", AFTER + 18, {0x80}, 1, FL_ERR_FORMAT},
        {"a table that Huffman does not know", MOST, {3}, 1, FL_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_buf buf;
        fl_buf_init(&buf, 1000);
        put_good(1, lengths, 0, 17, &buf);
        check_spoilt(&cases[i], &buf);
    }
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 1000);
    put_good(1, lengths, 0, 16, &buf);
    assert_status(fl_payload_check(&levels_params, COUNT, fl_buf_view(&buf), &payload), FL_ERR_TRUNCATED);
    fl_buf_done(&buf);
    put_good(1, lengths, 0, 18, &buf);
    assert_status(fl_payload_check(&levels_params, COUNT, fl_buf_view(&buf), &payload), FL_ERR_FORMAT);
    fl_buf_done(&buf);
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
    for (size_t c = 0; c < SAMPLE_ANY; c++)
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
        for (int power = -12; power <= 12; power++) {
            struct fl_codec_params params = {.id = ids[c], .ratio = 0.1};
            struct fl_payload payload;
            struct fl_buf buf;
            fl_buf_init(&buf, 1 << 20);
            sample_fill(delta, SAMPLE_DIM, 0.05, (uint64_t)(power + 12));
            for (size_t i = 0; i < SAMPLE_DIM; i++)
                delta[i] *= (float)pow(10, power);
            assert_ok(fl_error_feedback_step(fl_kernels_pick(), 1, &params, delta, zero, SAMPLE_DIM, &buf, e,
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
        cmocka_unit_test(test_what_a_huffman_code_may_not_be),
        cmocka_unit_test(test_a_support_is_no_payload_of_its_own),
        cmocka_unit_test(test_what_halves_lose_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
