/* codec/parts: each tensor as its own codec has it, small ones dense, for every codec; wrong payloads. */
#include "test.h"

#include "codec/parts.h"
#include "sample.h"

/* Borders of what is dense: none, the smallest, one with as many elements as the border and the others below,
 * and all. */
static const size_t borders[] = {1, 11, 640, SAMPLE_DIM + 1};
#define BORDERS (sizeof borders / sizeof borders[0])

static struct fl_codec_params in_parts(const struct fl_codec_params *params, size_t dense_below)
{
    struct fl_codec_params ret = *params;
    ret.tensors = sample_tensors;
    ret.tensor_count = 4;
    ret.dense_below = dense_below;
    return ret;
}

static void open_parts(const struct fl_codec_params *params, const float *p, struct fl_buf *buf,
                       struct fl_payload *ret_payload)
{
    fl_buf_init(buf, 1 << 20);
    sample_encode(params, p, SAMPLE_DIM, buf);
    assert_ok(fl_payload_check(params, SAMPLE_DIM, fl_buf_view(buf), ret_payload));
    assert_int_equal(ret_payload->kind, FL_PAYLOAD_PARTS);
    assert_false(ret_payload->on_grid);
}

static void test_every_codec_compresses_each_tensor_by_itself(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM], q[SAMPLE_DIM], own_q[SAMPLE_DIM];
    sample_fill(p, SAMPLE_DIM, 0.1, 1);
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        for (size_t b = 0; b < BORDERS; b++) {
            struct fl_codec_params params = in_parts(&sample_params[c], borders[b]);
            struct fl_payload payload, own;
            struct fl_buf buf, own_buf;
            size_t count = 0, start = 0, bytes = 3;
            open_parts(&params, p, &buf, &payload);
            fl_payload_decode(&payload, q);
            for (size_t t = 0; t < 4; t++) { /* the codec of each tensor, without any parts */
                size_t elems = fl_codec_tensor_elems(&sample_tensors[t]);
                struct fl_codec_params alone = sample_params[c];
                alone.tensors = &sample_tensors[t];
                alone.tensor_count = 1;
                alone.dense_below = 0;
                alone.seed = fl_mix64(sample_params[c].seed, t);
                if (elems < borders[b])
                    alone.id = FL_CODEC_DENSE;
                fl_buf_init(&own_buf, 1 << 20);
                sample_encode(&alone, p + start, elems, &own_buf);
                assert_ok(fl_payload_check(&alone, elems, fl_buf_view(&own_buf), &own));
                fl_payload_decode(&own, own_q + start);
                if (elems < borders[b])
                    assert_memory_equal(own_q + start, p + start, elems * sizeof *p);
                count += own.count;
                bytes += own_buf.size + (own_buf.size < 128 ? 1 : own_buf.size < 16384 ? 2 : 3);
                start += elems;
                fl_buf_done(&own_buf);
            }
            assert_memory_equal(q, own_q, sizeof q);
            assert_int_equal(payload.count, count);
            assert_int_equal(buf.size, bytes);
            fl_buf_done(&buf);
        }
    }
}

/* Sums by range, and what is subtracted and folded, are those of the decoded values. */
static void test_R12_parts_are_added_by_any_range(void **state)
{
    (void)state;
    static const size_t cuts[] = {0, 1, 63, 4095, 4096, 4097, 4150, 4160, 4799, 4800, 4801, SAMPLE_DIM};
    static float p[SAMPLE_DIM], q[SAMPLE_DIM], x[SAMPLE_DIM];
    static double sum[SAMPLE_DIM];
    static int64_t levels[SAMPLE_DIM];
    sample_fill(p, SAMPLE_DIM, 0.05, 2);
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        struct fl_codec_params params = in_parts(&sample_params[c], 65);
        struct fl_payload payload;
        struct fl_buf buf;
        open_parts(&params, p, &buf, &payload);
        fl_payload_decode(&payload, q);
        memset(sum, 0, sizeof sum);
        for (size_t i = 0; i + 1 < sizeof cuts / sizeof cuts[0]; i++)
            fl_payload_add_values(&payload, 0.3, sum + cuts[i], cuts[i], cuts[i + 1]);
        memcpy(x, p, sizeof x);
        fl_payload_subtract(&payload, x);
        for (size_t i = 0; i < SAMPLE_DIM; i++) {
            assert_true(sum[i] == 0.3 * (double)q[i]);
            assert_true(x[i] == p[i] - q[i]);
        }
        fl_payload_fold(&payload, x);
        for (size_t i = 0; i < SAMPLE_DIM; i++)
            assert_true(x[i] == (p[i] - q[i]) + q[i]);
        fl_payload_add_levels(&payload, 1, levels, 0, SAMPLE_DIM); /* there is no one grid */
        for (size_t i = 0; i < SAMPLE_DIM; i++)
            assert_true(levels[i] == 0);
        fl_buf_done(&buf);
    }
}

static void test_R25_sent_and_residual_add_up_in_parts(void **state)
{
    (void)state;
    static float delta[SAMPLE_DIM], residual[SAMPLE_DIM], kept[SAMPLE_DIM], plain[SAMPLE_DIM], q[SAMPLE_DIM];
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        const struct fl_codec *codec = fl_codec_find_id(sample_params[c].id);
        memset(residual, 0, sizeof residual);
        for (uint64_t round = 0; round < 3 * BORDERS; round++) {
            struct fl_codec_params params = in_parts(&sample_params[c], borders[round % BORDERS]);
            struct fl_payload payload, checked;
            struct fl_buf buf, plain_buf;
            fl_buf_init(&buf, 1 << 20);
            fl_buf_init(&plain_buf, 1 << 20);
            sample_fill(delta, SAMPLE_DIM, 0.02, round);
            memcpy(kept, residual, sizeof kept);
            assert_ok(fl_error_feedback_plain(fl_kernels_pick(), &params, delta, kept, SAMPLE_DIM, &plain_buf,
                                              plain, &payload));
            assert_ok(fl_error_feedback_step(fl_kernels_pick(), 1, &params, delta, kept, SAMPLE_DIM, &buf,
                                             residual, &payload));
            assert_ok(fl_payload_check(&params, SAMPLE_DIM, fl_buf_view(&buf), &checked));
            assert_true(payload.kind == checked.kind && payload.dim == checked.dim &&
                        payload.count == checked.count && payload.max_abs == checked.max_abs &&
                        payload.sum_squares == checked.sum_squares &&
                        fl_bytes_equal(payload.bytes, checked.bytes));
            assert_true(fl_bytes_equal(fl_buf_view(&buf), fl_buf_view(&plain_buf)));
            assert_memory_equal(residual, plain, sizeof plain);
            fl_payload_decode(&payload, q);
            for (size_t i = 0; i < SAMPLE_DIM; i++) {
                float p = delta[i] + kept[i];
                if (fl_codec_is_exact(codec))
                    assert_true((double)q[i] + (double)residual[i] == (double)p);
                else
                    assert_true(residual[i] == (fl_codec_has_feedback(codec) ? p - q[i] : 0));
            }
            fl_buf_done(&buf);
            fl_buf_done(&plain_buf);
        }
    }
}

/* Three tensors of 2, 3 and 4 elements; the first and the second are dense. */
static const struct fl_codec_tensor small[] = {{2, 1}, {3, 1}, {2, 2}};
static const struct fl_codec_params small_params = {
    .id = FL_CODEC_TOPK, .ratio = 0.25, .tensors = small, .tensor_count = 3, .dense_below = 4};

/* Pieces of such a payload in hexadecimal: what comes before the parts, and parts with their sizes. */
#define HEAD  "1a09"
#define TWO   "0a11020000803f00000040"
#define THREE "0e11030000803f0000004000000000"
#define FOUR  "08940401040000803f"

static struct fl_bytes from_hex(const char *hex, uint8_t room[64])
{
    size_t size = strlen(hex) / 2;
    assert_true(size <= 64);
    assert_ok(fl_hex_decode(hex, room, size));
    return (struct fl_bytes){room, size};
}

static void test_wrong_parts_are_refused_for_their_reason(void **state)
{
    (void)state;
    static const struct {
        const char *name, *hex;
        enum fl_status expected;
    } cases[] = {
        {"right", HEAD TWO THREE FOUR, FL_OK},
        {"another version", "2a09" TWO THREE FOUR, FL_ERR_VERSION},
        {"bitmap flag", "9a09" TWO THREE FOUR, FL_ERR_FORMAT},
        {"adaptive flag", "5a09" TWO THREE FOUR, FL_ERR_FORMAT},
        {"another size", "1a0a" TWO THREE FOUR, FL_ERR_SHAPE},
        {"a part too few", HEAD TWO THREE, FL_ERR_TRUNCATED},
        {"a part too many", HEAD TWO THREE FOUR FOUR, FL_ERR_FORMAT},
        {"an empty part too many", HEAD TWO THREE FOUR "00", FL_ERR_FORMAT},
        {"parts in another order", HEAD THREE TWO FOUR, FL_ERR_SHAPE},
        {"an empty part", HEAD TWO "00" FOUR, FL_ERR_TRUNCATED},
        {"a part that ends early", HEAD TWO "0d11030000803f00000040000000" FOUR, FL_ERR_TRUNCATED},
        {"a byte after a part", HEAD TWO "0f11030000803f000000400000000000" FOUR, FL_ERR_FORMAT},
        {"a size past the end", HEAD TWO THREE "09940401040000803f", FL_ERR_TRUNCATED},
        {"a size of 2^35 - 1", HEAD TWO THREE "ffffffff7f940401040000803f", FL_ERR_TRUNCATED},
        {"a size in a longer form", HEAD TWO THREE "8800940401040000803f", FL_ERR_FORMAT},
        {"a dense part that is not", HEAD "08940201010000803f" THREE FOUR, FL_ERR_FORMAT},
        {"dense where the codec is due", HEAD TWO THREE "12110400000000000000000000000000000000",
         FL_ERR_FORMAT},
        {"more coordinates than the tensor's share", HEAD TWO THREE "0c940402050000803f0000803f",
         FL_ERR_RANGE},
        {"parts inside a part", HEAD "0d1a02" TWO THREE FOUR, FL_ERR_FORMAT},
        {"a value that is not finite", HEAD "0a11020000807f00000040" THREE FOUR, FL_ERR_NOT_FINITE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_payload payload;
        uint8_t room[64];
        enum fl_status st = fl_payload_check(&small_params, 9, from_hex(cases[i].hex, room), &payload);
        if (st != cases[i].expected)
            fail_msg("%s: %s", cases[i].name, fl_status_name(st));
    }
}

static void test_the_encoder_writes_what_is_made_by_hand(void **state)
{
    (void)state;
    static const float p[] = {1, 2, 1, 2, 0, 0, 0, 1, 0};
    struct fl_payload payload;
    struct fl_buf buf;
    uint8_t room[64];
    fl_buf_init(&buf, 100);
    sample_encode(&small_params, p, 9, &buf);
    assert_true(fl_bytes_equal(fl_buf_view(&buf), from_hex(HEAD TWO THREE FOUR, room)));
    assert_ok(fl_payload_check(&small_params, 9, fl_buf_view(&buf), &payload));
    assert_int_equal(payload.count, 6);
    assert_true(payload.sum_squares == 11 && payload.max_abs == 2);
    fl_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_codec_compresses_each_tensor_by_itself),
        cmocka_unit_test(test_R12_parts_are_added_by_any_range),
        cmocka_unit_test(test_R25_sent_and_residual_add_up_in_parts),
        cmocka_unit_test(test_wrong_parts_are_refused_for_their_reason),
        cmocka_unit_test(test_the_encoder_writes_what_is_made_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
