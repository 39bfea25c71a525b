/* codec/factored: bound and contraction of the two low-rank codecs, what is sent dense, what is refused. */
#include "test.h"

#include "codec/factored.h"
#include "codec/floats.h"
#include "codec/low_rank.h"
#include "sample.h"

static void decode(const struct fl_codec_params *params, const float *p, size_t dim, struct fl_buf *buf,
                   float *q)
{
    struct fl_payload payload;
    sample_encode(params, p, dim, buf);
    assert_ok(fl_payload_check(params, dim, fl_buf_view(buf), &payload));
    fl_payload_decode(&payload, q);
}

static double miss(const float *p, const float *q, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)p[i] - q[i]) * ((double)p[i] - q[i]);
    return sum;
}

/* a b lambda^2 a matrix, whatever it is, at scales from 1e-12 to 1e12; vectors lose nothing. */
static void test_low_rank_is_absolute(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM], q[SAMPLE_DIM];
    for (int power = -12; power <= 12; power += 3) {
        for (int quiet = 0; quiet < 3; quiet++) {
            struct fl_codec_params params = {.id = FL_CODEC_LOW_RANK,
                                             .lambda = (float)pow(10, power),
                                             .tensors = sample_tensors,
                                             .tensor_count = 4};
            struct fl_buf buf;
            fl_buf_init(&buf, 1 << 20);
            sample_fill(p, SAMPLE_DIM, 0.05, (uint64_t)(power + 12));
            for (size_t i = 0; i < SAMPLE_DIM; i++)
                p[i] *= params.lambda * (quiet == 0 ? 0.01f : quiet == 1 ? 1 : 100);
            decode(&params, p, SAMPLE_DIM, &buf, q);
            for (size_t t = 0, at = 0; t < 4; at += fl_codec_tensor_elems(&sample_tensors[t++])) {
                size_t elems = fl_codec_tensor_elems(&sample_tensors[t]);
                double bound = (double)elems * (double)params.lambda * (double)params.lambda;
                double most = sample_tensors[t].columns == 1 ? 0 : bound * (1 + 1e-6);
                assert_true(miss(p + at, q + at, elems) <= most);
            }
            if (quiet == 0)
                assert_true(buf.size < 4 * 74 + 20); /* two vectors, and matrices of rank 0 */
            fl_buf_done(&buf);
        }
    }
}

static void test_matrices_of_low_rank_come_back(void **state)
{
    (void)state;
    static const struct fl_codec_tensor shape = {40, 30};
    static float p[1200], q[1200];
    struct fl_random random;
    fl_random_init(&random, 8, 0);
    for (size_t k = 0; k < 2; k++) {
        float left[40], right[30];
        for (size_t i = 0; i < 40; i++)
            left[i] = fl_random_float(&random) - 0.5f;
        for (size_t j = 0; j < 30; j++)
            right[j] = fl_random_float(&random) - 0.5f;
        for (size_t i = 0; i < 1200; i++)
            p[i] += left[i / 30] * right[i % 30];
    }
    struct fl_codec_params params = {
        .id = FL_CODEC_POWER_SGD, .rank = 2, .tensors = &shape, .tensor_count = 1};
    struct fl_buf buf;
    fl_buf_init(&buf, 1 << 20);
    decode(&params, p, 1200, &buf, q);
    assert_int_equal(buf.size, 1 + 2 + 1 + 2 * 70 * 4);
    for (size_t i = 0; i < 1200; i++)
        assert_true(fabsf(p[i] - q[i]) < 1e-5f);
    fl_buf_done(&buf);
}

/* Rank 1 of 2 x 2 has as many numbers as the matrix; of 3 x 3 fewer, rank 2 more. */
static void test_what_is_no_cheaper_is_dense(void **state)
{
    (void)state;
    static const struct {
        struct fl_codec_tensor shape;
        unsigned rank;
        int dense;
    } cases[] = {{{2, 2}, 1, 1}, {{3, 3}, 1, 0},   {{3, 3}, 2, 1},  {{9, 1}, 1, 1},
                 {{1, 9}, 1, 1}, {{10, 64}, 8, 0}, {{10, 64}, 9, 1}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        float p[640], q[640];
        size_t dim = fl_codec_tensor_elems(&cases[c].shape);
        struct fl_codec_params params = {
            .id = FL_CODEC_POWER_SGD, .rank = cases[c].rank, .tensors = &cases[c].shape, .tensor_count = 1};
        struct fl_buf buf;
        fl_buf_init(&buf, 1 << 20);
        for (size_t i = 0; i < dim; i++)
            p[i] = (float)(i * i % 7) - 3;
        decode(&params, p, dim, &buf, q);
        assert_int_equal(buf.data[dim > 127 ? 3 : 2] == 0, cases[c].dense);
        if (cases[c].dense)
            assert_memory_equal(p, q, dim * sizeof *p);
        fl_buf_done(&buf);
    }
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct fl_codec_tensor shapes[] = {{3, 4}, {3, 1}};
    static const struct fl_codec_params params = {
        .id = FL_CODEC_POWER_SGD, .rank = 1, .tensors = shapes, .tensor_count = 2};
    enum { FORM = 2, LEFT = 3, SECOND = LEFT + 28, SIZE = SECOND + 13 };
    static const struct {
        const char *what;
        size_t at;
        uint8_t bytes[4];
        size_t count, size;
        enum fl_status expected;
    } cases[] = {
        {"nothing is spoilt", 0, {0x19}, 1, SIZE, FL_OK},
        {"a bitmap flag", 0, {0x99}, 1, SIZE, FL_ERR_FORMAT},
        {"another size", 1, {14}, 1, SIZE, FL_ERR_SHAPE},
        {"rank 2, which is no cheaper", FORM, {3}, 1, SIZE, FL_ERR_RANGE},
        {"rank 0 and bytes that are left", FORM, {1}, 1, SIZE, FL_ERR_FORMAT},
        {"a factor that is no number", LEFT, {0, 0, 0xc0, 0x7f}, 4, SIZE, FL_ERR_NOT_FINITE},
        {"a product that is infinite", LEFT, {0xff, 0xff, 0x7f, 0x7f}, 4, SIZE, FL_ERR_NOT_FINITE},
        {"a vector of rank 1", SECOND, {2}, 1, SIZE, FL_ERR_RANGE},
        {"a value that is infinite", SECOND + 1, {0, 0, 0x80, 0x7f}, 4, SIZE, FL_ERR_NOT_FINITE},
        {"a byte too few", 0, {0x19}, 1, SIZE - 1, FL_ERR_TRUNCATED},
        {"a byte too many", 0, {0x19}, 1, SIZE + 1, FL_ERR_FORMAT},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        uint8_t bytes[SIZE + 1] = {0x19, 15, 2};
        struct fl_payload payload;
        for (size_t i = 0; i < 7; i++) /* factors of 4 */
            fl_store_le32(bytes + LEFT + 4 * i, fl_float_bits(4));
        memcpy(bytes + cases[c].at, cases[c].bytes, cases[c].count);
        enum fl_status st = fl_payload_check(&params, 15, (struct fl_bytes){bytes, cases[c].size}, &payload);
        if (st != cases[c].expected)
            fail_msg("%s: %s", cases[c].what, fl_status_name(st));
    }
}

/* Reading costs d times the rank, so a rank that no sender writes is refused. */
static void test_no_rank_above_the_most(void **state)
{
    (void)state;
    static const struct fl_codec_tensor shape = {80, 80};
    static const struct fl_codec_params params = {
        .id = FL_CODEC_LOW_RANK, .lambda = 1, .tensors = &shape, .tensor_count = 1};
    for (size_t rank = FL_FACTORED_RANK_MAX; rank <= FL_FACTORED_RANK_MAX + 1; rank++) {
        static uint8_t bytes[4 + (FL_FACTORED_RANK_MAX + 1) * 160 * 4] = {0x19, 0x80, 0x32};
        struct fl_payload payload;
        bytes[3] = (uint8_t)(rank + 1);
        assert_int_equal(
            fl_payload_check(&params, 6400, (struct fl_bytes){bytes, 4 + rank * 160 * 4}, &payload),
            rank > FL_FACTORED_RANK_MAX ? FL_ERR_RANGE : FL_OK);
    }
}

struct seen {
    const float *q;
    uint64_t next;
};

static enum fl_status see(void *user, const struct fl_group *group)
{
    struct seen *seen = user;
    for (size_t i = 0; i < group->size; i++) {
        assert_int_equal(group->indices[i], seen->next++);
        assert_int_equal(group->words[i], fl_float_bits(seen->q[group->indices[i]]));
    }
    return FL_OK;
}

/* A range is read by itself: threads that share a matrix do not each read all of it. */
static void test_ranges_are_read_by_themselves(void **state)
{
    (void)state;
    static const struct fl_codec_tensor shapes[] = {{30, 20}, {20, 1}, {17, 23}};
    enum { DIM = 600 + 20 + 17 * 23 };
    static const uint64_t cuts[] = {0, 1, 64, 333, 599, 600, 601, 620, 700, DIM};
    static const struct fl_codec_params params = {
        .id = FL_CODEC_POWER_SGD, .rank = 3, .tensors = shapes, .tensor_count = 3};
    enum { CUTS = sizeof cuts / sizeof cuts[0] };
    float p[DIM], q[DIM];
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 1 << 20);
    sample_fill(p, DIM, 0.05, 3);
    decode(&params, p, DIM, &buf, q);
    assert_ok(fl_payload_check(&params, DIM, fl_buf_view(&buf), &payload));
    for (size_t from = 0; from < CUTS; from++) {
        for (size_t to = from; to < CUTS; to++) {
            struct seen seen = {q, cuts[from]};
            assert_ok(fl_payload_walk(&payload, cuts[from], cuts[to], see, &seen));
            assert_int_equal(seen.next, cuts[to]);
        }
    }
    fl_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_low_rank_is_absolute),
        cmocka_unit_test(test_matrices_of_low_rank_come_back),
        cmocka_unit_test(test_what_is_no_cheaper_is_dense),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_no_rank_above_the_most),
        cmocka_unit_test(test_ranges_are_read_by_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
