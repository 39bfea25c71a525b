/* codec/sketched: finds what is large, sends it exactly, and fills up with others; both ends agree at every
 * kernel level; what is refused. */
#include "test.h"

#include "codec/floats.h"
#include "codec/heavy.h"
#include "codec/sketched.h"
#include "sample.h"

#define DIM 20000

static const struct fl_codec_params both[] = {
    {.id = FL_CODEC_SKETCH, .ratio = 0.01, .bits = 3, .rank = 2, .seed = 5},
    {.id = FL_CODEC_SKETCH_BLOCK, .ratio = 0.01, .bits = 3, .rank = 2, .seed = 5},
};

static void encode(const struct fl_codec_params *params, const float *p, struct fl_buf *buf, float *q)
{
    struct fl_payload payload;
    fl_buf_clear(buf);
    sample_encode(params, p, DIM, buf);
    assert_ok(fl_payload_check(params, DIM, fl_buf_view(buf), &payload));
    assert_int_equal(payload.count, fl_codec_top_count(params->ratio, DIM));
    fl_payload_decode(&payload, q);
}

static double miss(const float *p, const float *q)
{
    double missed = 0, all = 0;
    for (size_t i = 0; i < DIM; i++) {
        assert_true(q[i] == 0 || q[i] == p[i]);
        missed += ((double)p[i] - q[i]) * ((double)p[i] - q[i]);
        all += (double)p[i] * p[i];
    }
    return all > 0 ? missed / all : 0;
}

/* 100 large coordinates among noise, of which 200 may be sent, at scales from 1e-12 to 1e12. */
static void test_large_coordinates_are_found(void **state)
{
    (void)state;
    static float p[DIM], q[DIM];
    struct fl_buf buf;
    fl_buf_init(&buf, 1 << 20);
    for (size_t c = 0; c < 2; c++) {
        for (int power = -12; power <= 12; power += 6) {
            float unit = (float)pow(10, power);
            sample_fill(p, DIM, 0, 3);
            for (size_t i = 0; i < DIM; i++)
                p[i] *= 0.1f * unit;
            for (size_t i = 0; i < 100; i++)
                p[i * 197 + 3] = (i % 2 ? 10.0f : -10.0f) * unit;
            encode(&both[c], p, &buf, q);
            size_t found = 0;
            for (size_t i = 0; i < 100; i++)
                found += q[i * 197 + 3] != 0;
            assert_in_range(found, 98, 100);
            assert_true(miss(p, q) < 0.03);
        }
    }
    fl_buf_done(&buf);
}

/* Nothing stands out, so that all comes from the seed; then the share in the mean over seeds is k / d. */
static void test_others_from_the_seed_fill_up(void **state)
{
    (void)state;
    static float p[DIM], q[DIM];
    struct fl_buf buf;
    double sum = 0;
    fl_buf_init(&buf, 1 << 20);
    for (size_t i = 0; i < DIM; i++)
        p[i] = i % 3 ? 1.0f : -0.5f;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct fl_codec_params params = both[seed % 2];
        params.seed = seed;
        encode(&params, p, &buf, q);
        size_t sent = 0;
        for (size_t i = 0; i < DIM; i++)
            sent += q[i] != 0;
        assert_int_equal(sent, 200);
        sum += miss(p, q);
    }
    assert_true(fabs(sum / 100 - 0.99) < 0.0005);
    memset(p, 0, sizeof p);
    encode(&both[0], p, &buf, q);
    for (size_t i = 0; i < DIM; i++)
        assert_true(q[i] == 0);
    fl_buf_done(&buf);
}

/* With counters that do not end too early the coordinates are those of the sketch's own search. */
static void test_it_finds_what_the_sketch_says(void **state)
{
    (void)state;
    static float p[DIM], q[DIM];
    static uint32_t indices[200];
    for (size_t c = 0; c < 2; c++) {
        struct fl_codec_params params = both[c];
        struct fl_sketch *sketch;
        struct fl_buf buf;
        size_t count, most = 0;
        params.bits = 8;
        fl_buf_init(&buf, 1 << 20);
        sample_fill(p, DIM, 0.02, 6 + c);
        for (size_t i = 0; i < DIM; i++)
            p[i] *= p[i] * p[i];
        double threshold = sqrt(fl_kernels_pick()->sum_squares(p, DIM) / 200);
        struct fl_sketch_shape shape = {.dim = DIM,
                                        .columns = c ? 992 : 1000,
                                        .rows = 5,
                                        .block = c ? 16 : 1,
                                        .unit_log2 = (int)floor(log2(threshold)),
                                        .seed = params.seed};
        assert_ok(fl_sketch_new(&shape, &sketch));
        assert_ok(fl_sketch_insert(sketch, p, DIM));
        for (size_t i = 0; i < shape.rows * shape.columns; i++)
            most = (size_t)llabs(sketch->cells[i]) > most ? (size_t)llabs(sketch->cells[i]) : most;
        assert_in_range(most, 2, 127);
        assert_ok(fl_heavy_top(sketch, 200, indices, &count));
        assert_true(count > 20);
        encode(&params, p, &buf, q);
        for (size_t i = 0; i < count; i++)
            assert_true(q[indices[i]] == p[indices[i]]);
        fl_sketch_free(sketch);
        fl_buf_done(&buf);
    }
}

static void test_the_same_bytes_at_every_kernel_level(void **state)
{
    (void)state;
    static float p[DIM];
    sample_fill(p, DIM, 0.02, 9);
    for (size_t c = 0; c < 2; c++) {
        struct fl_buf first, other;
        fl_buf_init(&first, 1 << 20);
        fl_buf_init(&other, 1 << 20);
        assert_ok(fl_codec_encode(fl_kernels_find("portable"), &both[c], p, DIM, &first));
        assert_ok(fl_codec_encode(fl_kernels_pick(), &both[c], p, DIM, &other));
        assert_true(fl_bytes_equal(fl_buf_view(&first), fl_buf_view(&other)));
        fl_buf_done(&first);
        fl_buf_done(&other);
    }
}

/* The table never has more counters than the vector has elements, but for one block a row. */
static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        enum fl_codec_id id;
        size_t dim;
        double ratio;
        unsigned rank, bits;
        size_t counters, values;
    } cases[] = {
        {FL_CODEC_SKETCH, 20000, 0.01, 2, 3, 5 * 1000, 200},
        {FL_CODEC_SKETCH_BLOCK, 20000, 0.01, 2, 3, 5 * 992, 200},
        {FL_CODEC_SKETCH, 20000, 1, 2, 3, 5 * 4000, 20000},
        {FL_CODEC_SKETCH, 20000, 0.01, 31, 8, 63 * 315, 200},
        {FL_CODEC_SKETCH, 1, 1, 1, 2, 3, 1},
        {FL_CODEC_SKETCH_BLOCK, 1, 1, 31, 2, 63 * 16, 1},
    };
    static float p[DIM];
    sample_fill(p, DIM, 0.02, 9);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct fl_codec_params params = {
            .id = cases[c].id, .ratio = cases[c].ratio, .rank = cases[c].rank, .bits = cases[c].bits};
        struct fl_buf buf;
        fl_buf_init(&buf, 1 << 20);
        sample_encode(&params, p, cases[c].dim, &buf);
        size_t least = (cases[c].counters * cases[c].bits + 7) / 8 + 4 * cases[c].values;
        assert_in_range(buf.size, least + 12, least + 32);
        fl_buf_done(&buf);
    }
    struct fl_codec_params params = both[0];
    params.rank = FL_SKETCHED_RANK_MAX + 1;
    assert_status(fl_codec_params_check(&params, DIM), FL_ERR_RANGE);
}

/* 3 rows of 20 columns, counters of 3 bits: 23 bytes; 4 of 200 coordinates. */
static void test_what_is_refused(void **state)
{
    (void)state;
    enum {
        SHAPE = 3,
        COLUMNS = 6,
        COUNTERS = 15,
        COUNT = COUNTERS + 23,
        HEAVY,
        TIES,
        LEAST,
        VALUES,
        SIZE = VALUES + 16
    };
    static const struct fl_codec_params params = {
        .id = FL_CODEC_SKETCH, .ratio = 0.02, .bits = 3, .rank = 1, .seed = 1};
    static const struct {
        const char *what;
        size_t at;
        uint8_t bytes[4];
        size_t count, size;
        enum fl_status expected;
    } cases[] = {
        {"nothing is spoilt", 0, {0x1b}, 1, SIZE, FL_OK},
        {"a bitmap flag", 0, {0x9b}, 1, SIZE, FL_ERR_FORMAT},
        {"another size", 1, {0xc9, 1}, 2, SIZE, FL_ERR_SHAPE},
        {"an even number of rows", SHAPE, {2}, 1, SIZE, FL_ERR_RANGE},
        {"more rows than agreed", SHAPE, {5}, 1, SIZE, FL_ERR_RANGE},
        {"65 rows", SHAPE, {65}, 1, SIZE, FL_ERR_RANGE},
        {"another block than agreed", SHAPE + 1, {2}, 1, SIZE, FL_ERR_RANGE},
        {"no block", SHAPE + 1, {0}, 1, SIZE, FL_ERR_RANGE},
        {"a block of 32", SHAPE + 1, {32}, 1, SIZE, FL_ERR_RANGE},
        {"other bits than agreed", SHAPE + 2, {2}, 1, SIZE, FL_ERR_RANGE},
        {"nine bits", SHAPE + 2, {9}, 1, SIZE, FL_ERR_RANGE},
        {"one bit", SHAPE + 2, {1}, 1, SIZE, FL_ERR_RANGE},
        {"no columns", COLUMNS, {0}, 1, SIZE, FL_ERR_RANGE},
        {"columns beyond the end", COLUMNS, {127}, 1, SIZE, FL_ERR_TRUNCATED},
        {"columns not as agreed", COLUMNS, {9}, 1, SIZE, FL_ERR_RANGE},
        {"the counter without an opposite", COUNTERS, {4}, 1, SIZE, FL_ERR_RANGE},
        {"bits behind the last counter", COUNTERS + 22, {0x80}, 1, SIZE, FL_ERR_FORMAT},
        {"another count than agreed", COUNT, {3}, 1, SIZE, FL_ERR_RANGE},
        {"more heavy ones than coordinates", HEAVY, {5, 1, 1}, 3, SIZE, FL_ERR_RANGE},
        {"heavy ones that are not there", HEAVY, {1, 1, 1}, 3, SIZE, FL_ERR_FORMAT},
        {"heavy ones without a magnitude", HEAVY, {1, 1, 0}, 3, SIZE, FL_ERR_RANGE},
        {"heavy ones without ties", HEAVY, {1, 0, 1}, 3, SIZE, FL_ERR_RANGE},
        {"more ties than heavy ones", HEAVY, {1, 2, 1}, 3, SIZE, FL_ERR_RANGE},
        {"a magnitude and no heavy ones", HEAVY, {0, 0, 1}, 3, SIZE, FL_ERR_RANGE},
        {"a magnitude beyond the bits", HEAVY, {1, 1, 4}, 3, SIZE, FL_ERR_RANGE},
        {"a value that is no number", VALUES, {0, 0, 0xc0, 0x7f}, 4, SIZE, FL_ERR_NOT_FINITE},
        {"a byte too few", 0, {0x1b}, 1, SIZE - 1, FL_ERR_TRUNCATED},
        {"a byte too many", 0, {0x1b}, 1, SIZE + 1, FL_ERR_FORMAT},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        uint8_t bytes[SIZE + 1] = {0x1b, 0xc8, 1, 3, 1, 3, 20};
        struct fl_payload payload;
        bytes[COUNT] = 4;
        memcpy(bytes + cases[c].at, cases[c].bytes, cases[c].count);
        enum fl_status st = fl_payload_check(&params, 200, (struct fl_bytes){bytes, cases[c].size}, &payload);
        if (st != cases[c].expected)
            fail_msg("%s: %s", cases[c].what, fl_status_name(st));
    }
}

/* A heavy one too many or too few, by one tie: the table says otherwise. */
static void test_counts_that_the_table_does_not_bear_out(void **state)
{
    (void)state;
    static float p[DIM], q[DIM];
    sample_fill(p, DIM, 0.02, 11);
    for (size_t c = 0; c < 2; c++) {
        struct fl_payload payload;
        struct fl_buf buf;
        fl_buf_init(&buf, 1 << 20);
        encode(&both[c], p, &buf, q);
        size_t counters = (5 * (c ? 992 : 1000) * 3 + 7) / 8;
        uint8_t *found = buf.data + 4 + 3 + 2 + 8 + counters; /* kind, d, shape, columns, seed */
        size_t end = buf.size - counters - 17 - (size_t)4 * 200;
        assert_int_equal(found[0], 0xc8);     /* 200 */
        for (size_t at = 2; at < end; at++) { /* heavy ones, ties, the least magnitude */
            uint8_t was = found[at];
            found[at] = (uint8_t)(was ^ 1);
            assert_true(fl_payload_check(&both[c], DIM, fl_buf_view(&buf), &payload) != FL_OK);
            found[at] = was;
        }
        assert_ok(fl_payload_check(&both[c], DIM, fl_buf_view(&buf), &payload));
        fl_buf_done(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_coordinates_are_found),
        cmocka_unit_test(test_others_from_the_seed_fill_up),
        cmocka_unit_test(test_it_finds_what_the_sketch_says),
        cmocka_unit_test(test_the_same_bytes_at_every_kernel_level),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_counts_that_the_table_does_not_bear_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
