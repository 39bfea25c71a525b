/* codec/payload: round trips at every density, hostile bytes, exact sums by range. */
#include "test.h"

#include "fail_alloc.h"
#include "sample.h"

/* q by definition, without any coding; top-k through its own test. */
static float expected_value(const struct fl_codec_params *params, float p)
{
    if (params->id == FL_CODEC_DENSE)
        return p;
    if (fabsf(p) < params->lambda)
        return 0;
    if (params->id == FL_CODEC_THRESHOLD)
        return p;
    float step = ldexpf(1, params->step_log2);
    float level = fminf(floorf(fabsf(p) / step + 0.5f), 0x1p20f);
    return copysignf(level * step, p);
}

static double distance_squares(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum;
}

static double squares_of(const float *x, size_t n)
{
    return fl_kernels_find("portable")->sum_squares(x, n);
}

/* Whether every coordinate that is sent is sent for its own sake: a value may be 0. */
static int has_zeros(const struct fl_codec_params *params)
{
    enum fl_payload_kind kind = fl_payload_kind_of(params);
    return kind == FL_PAYLOAD_CODED || kind == FL_PAYLOAD_PARTS || kind == FL_PAYLOAD_SKETCHED;
}

static int sends_all(const struct fl_codec *codec)
{
    return codec->kind == FL_PAYLOAD_DENSE || codec->kind == FL_PAYLOAD_FACTORED ||
           (codec->kind == FL_PAYLOAD_CODED && codec->support == FL_SUPPORT_ALL);
}

static void check_round_trip(const struct fl_codec_params *params, const float *p, size_t dim)
{
    float *q = malloc(dim * sizeof *q);
    struct fl_payload payload;
    struct fl_buf buf;
    const struct fl_codec *codec = fl_codec_find_id(params->id);
    double squares = 0;
    size_t count = 0;
    fl_buf_init(&buf, 1 << 24);
    assert_non_null(q);
    sample_encode(params, p, dim, &buf);
    assert_ok(fl_payload_check(params, dim, fl_buf_view(&buf), &payload));
    fl_payload_decode(&payload, q);
    for (size_t i = 0; i < dim; i++) {
        if (params->dense_below)
            count += q[i] != 0;
        else if (params->id <= FL_CODEC_INT_THRESHOLD)
            assert_true(q[i] == expected_value(params, p[i]));
        else if (params->id == FL_CODEC_ROUND_RANDOM)
            assert_true(fabsf(p[i] - q[i]) <= 2 * params->lambda ||
                        fabsf(q[i]) == ldexpf(1, params->step_log2 + 20));
        else if (codec->kind < FL_PAYLOAD_CODED)
            assert_true(q[i] == 0 || q[i] == p[i]);
        count += !params->dense_below && (q[i] != 0 || sends_all(codec));
        squares += (double)q[i] * q[i];
    }
    if (has_zeros(params))
        assert_true(count <= payload.count);
    else
        assert_int_equal(payload.count, count);
    assert_int_equal(payload.dim, dim);
    if (codec->class == FL_CLASS_CONTRACTION && codec->id != FL_CODEC_QSPARSE) /* that one only in the mean */
        assert_true(distance_squares(p, q, dim) <= squares_of(p, dim));
    assert_true(fabs(payload.sum_squares - squares) <= 1e-12 * squares);
    assert_true(payload.max_abs == fl_kernels_pick()->max_abs(q, dim));
    fl_buf_done(&buf);
    free(q);
}

static void test_round_trip_at_every_size_and_density(void **state)
{
    (void)state;
    static const size_t dims[] = {1, 2, 63, 64, 65, 511, 1100, 4810, 20000};
    static const double densities[] = {0, 0.0005, 0.01, 0.1, 0.4, 0.9, 1};
    static float p[20000];
    for (size_t d = 0; d < 9; d++) {
        for (size_t k = 0; k < 7; k++) {
            sample_fill(p, dims[d], densities[k], d * 8 + k);
            for (size_t c = 0; c < SAMPLE_ANY; c++)
                check_round_trip(&sample_params[c], p, dims[d]);
        }
    }
    sample_fill(p, SAMPLE_DIM, 0.1, 1);
    for (size_t c = SAMPLE_ANY; c < SAMPLE_PARAMS; c++)
        check_round_trip(&sample_params[c], p, SAMPLE_DIM);
}

static void test_clustered_support(void **state)
{
    (void)state;
    static float p[70000];
    memset(p, 0, sizeof p);
    for (size_t i = 30000; i < 31000; i++) /* full ranges, and many empty ones */
        p[i] = (float)i;
    for (size_t i = 60000; i < 70000; i += 3)
        p[i] = -(float)i;
    for (size_t c = 0; c < SAMPLE_ANY; c++)
        check_round_trip(&sample_params[c], p, 70000);
}

static void test_nothing_to_send_is_a_payload_for_thresholds(void **state)
{
    (void)state;
    static const float p[100] = {0.5f};
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 100);
    sample_encode(&sample_params[2], p, 100, &buf);
    assert_int_equal(buf.size, 5);
    assert_ok(fl_payload_check(&sample_params[2], 100, fl_buf_view(&buf), &payload));
    assert_int_equal(payload.count, 0);
    fl_buf_done(&buf);
}

static void test_a_payload_of_other_parameters_is_refused(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM];
    sample_fill(p, SAMPLE_DIM, 0.1, 4);
    for (size_t made = 0; made < SAMPLE_PARAMS; made++) {
        struct fl_payload payload;
        struct fl_buf buf;
        fl_buf_init(&buf, 1 << 20);
        sample_encode(&sample_params[made], p, SAMPLE_DIM, &buf);
        for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
            enum fl_status st = fl_payload_check(&sample_params[c], SAMPLE_DIM, fl_buf_view(&buf), &payload);
            const struct fl_codec *other = fl_codec_find_id(sample_params[c].id);
            const struct fl_codec *codec = fl_codec_find_id(sample_params[made].id);
            if (sample_params[c].dense_below != sample_params[made].dense_below ||
                other->kind != codec->kind || other->support != codec->support ||
                other->values != codec->values)
                assert_status(st, FL_ERR_FORMAT);
            else if (codec->kind == FL_PAYLOAD_SKETCHED && c != made)
                assert_status(st, FL_ERR_RANGE);          /* another table */
            else if (codec->support >= FL_SUPPORT_RANDOM) /* another ratio is another number of values */
                assert_true((st == FL_OK) == (sample_params[c].ratio == sample_params[made].ratio));
            else if (codec->uses_ratio && sample_params[c].ratio < sample_params[made].ratio)
                assert_status(st, FL_ERR_RANGE);  /* a larger k */
            else if (codec->on_grid && c != made) /* all of them have another grid or lambda */
                assert_status(st, FL_ERR_RANGE);
            else if (codec->kind == FL_PAYLOAD_FACTORED && c != made)
                assert_true(st == FL_OK || st == FL_ERR_RANGE); /* a rank beyond the agreed one */
            else
                assert_ok(st); /* quantisers read each other: the table travels */
        }
        assert_status(fl_payload_check(&sample_params[0], SAMPLE_DIM - 1, fl_buf_view(&buf), &payload),
                      made ? FL_ERR_FORMAT : FL_ERR_SHAPE);
        fl_buf_done(&buf);
    }
    struct fl_codec_params other = sample_params[1];
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 1 << 20);
    sample_encode(&other, p, SAMPLE_DIM, &buf);
    other.lambda = nextafterf(other.lambda, 0);
    assert_status(fl_payload_check(&other, SAMPLE_DIM, fl_buf_view(&buf), &payload), FL_ERR_RANGE);
    fl_buf_done(&buf);
}

static void test_topk_tensor_share_is_checked(void **state)
{
    (void)state;
    static const struct fl_codec_tensor made_for[] = {{2, 1}, {4, 2}}, agreed[] = {{2, 4}, {2, 1}};
    static const float p[10] = {1, 0, 2, 3, 4, 0, 0, 0, 0, 0};
    struct fl_codec_params params = {
        .id = FL_CODEC_TOPK_TENSOR, .ratio = 0.5, .tensors = made_for, .tensor_count = 2};
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 1000);
    sample_encode(&params, p, 10, &buf);
    assert_ok(fl_payload_check(&params, 10, fl_buf_view(&buf), &payload));
    assert_int_equal(payload.count, 4);
    params.tensors = agreed; /* allows four in the first eight */
    assert_ok(fl_payload_check(&params, 10, fl_buf_view(&buf), &payload));
    params.ratio = 0.375;
    assert_status(fl_payload_check(&params, 10, fl_buf_view(&buf), &payload), FL_ERR_RANGE);
    fl_buf_done(&buf);
}

/* A copy that ends where its memory ends, so that AddressSanitizer sees a read too far. */
static enum fl_status check_exact(const struct fl_codec_params *params, size_t dim, const uint8_t *data,
                                  size_t size, float *q, struct fl_payload *ret_payload)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    long before = fl_live_allocations();
    fl_fail_alloc_after(0); /* checking and decoding allocate nothing */
    enum fl_status st = fl_payload_check(params, dim, (struct fl_bytes){copy, size}, ret_payload);
    if (!st)
        fl_payload_decode(ret_payload, q);
    fl_fail_alloc_never();
    assert_int_equal(fl_live_allocations(), before);
    free(copy);
    return st;
}

/* What an accepted payload promises, whatever made it. */
static void check_promises(const struct fl_codec_params *params, const struct fl_payload *payload,
                           const float *q)
{
    size_t count = 0;
    int on_grid = fl_codec_sums_levels(params);
    float step = ldexpf(1, params->step_log2);
    for (size_t i = 0; i < payload->dim; i++) {
        assert_true(isfinite(q[i]));
        count += q[i] != 0;
        if (params->id == FL_CODEC_THRESHOLD && !params->dense_below && q[i] != 0)
            assert_true(fabsf(q[i]) >= params->lambda);
        if (on_grid && q[i] != 0) {
            float level = q[i] / step;
            assert_true(level == rintf(level) && fabsf(level) <= 0x1p20f && fabsf(q[i]) >= params->lambda);
        }
    }
    int zero_is_a_value = params->id == FL_CODEC_DENSE || payload->kind >= FL_PAYLOAD_CODED;
    assert_true(zero_is_a_value ? count <= payload->count : count == payload->count);
}

/* Bytes tried one by one at the start, where header, directory and codes are; then plain values are sampled.
 * The largest vector takes longest, and its payloads begin with few such bytes. */
static size_t next_place(size_t at, size_t dim)
{
    return at < (dim == SAMPLE_DIM ? 120 : 700) ? at + 1 : at + (dim == SAMPLE_DIM ? 241 : 41);
}

static void check_damage(const struct fl_codec_params *params, size_t dim, double density)
{
    static const uint8_t flips[] = {0x01, 0x80, 0xff, 0x54};
    static float p[SAMPLE_DIM], q[SAMPLE_DIM];
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 1 << 20);
    sample_fill(p, dim, density, dim);
    sample_encode(params, p, dim, &buf);
    for (size_t size = 0; size < buf.size; size = next_place(size, dim))
        assert_true(check_exact(params, dim, buf.data, size, q, &payload) != FL_OK);
    assert_ok(fl_buf_append(&buf, "", 1));
    assert_true(check_exact(params, dim, buf.data, buf.size, q, &payload) != FL_OK);
    fl_buf_truncate(&buf, buf.size - 1);
    for (size_t at = 0; at < buf.size; at = next_place(at, dim)) {
        for (size_t f = 0; f < 4; f++) {
            buf.data[at] ^= flips[f];
            if (!check_exact(params, dim, buf.data, buf.size, q, &payload))
                check_promises(params, &payload, q);
            buf.data[at] ^= flips[f];
        }
    }
    fl_buf_done(&buf);
}

static void test_every_truncation_and_every_flip_is_refused_or_harmless(void **state)
{
    (void)state;
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        if (c >= SAMPLE_ANY) {
            check_damage(&sample_params[c], SAMPLE_DIM, 0.1);
            continue;
        }
        check_damage(&sample_params[c], 1200, 0.002);
        check_damage(&sample_params[c], 300, 0.3);
        check_damage(&sample_params[c], 1300, 0.9); /* several ranges */
    }
}

static void test_random_bytes_behind_a_good_header(void **state)
{
    (void)state;
    static float q[SAMPLE_DIM];
    struct fl_random random;
    fl_random_init(&random, 77, 0);
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[64] = {0x13, 0xca, 0x25, 0, 0x01, 0};
        struct fl_payload payload;
        for (size_t i = 5; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(fl_random_u32(&random) & fl_random_u32(&random));
        bytes[3] = (uint8_t)fl_random_below(&random, 100);
        bytes[5] = 0;
        size_t size = fl_random_below(&random, 65);
        if (!check_exact(&sample_params[2], SAMPLE_DIM, bytes, size, q, &payload))
            check_promises(&sample_params[2], &payload, q);
    }
}

static void test_R8_levels_are_summed_exactly(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM], q[SAMPLE_DIM];
    static int64_t sum[SAMPLE_DIM], expected[SAMPLE_DIM];
    memset(sum, 0, sizeof sum);
    memset(expected, 0, sizeof expected);
    for (uint64_t client = 0; client < 20; client++) {
        struct fl_payload payload;
        struct fl_buf buf;
        int64_t weight = (int64_t)client * 1000003 + 1;
        fl_buf_init(&buf, 1 << 20);
        sample_fill(p, SAMPLE_DIM, 0.2, client);
        sample_encode(&sample_params[4], p, SAMPLE_DIM, &buf);
        assert_ok(fl_payload_check(&sample_params[4], SAMPLE_DIM, fl_buf_view(&buf), &payload));
        fl_payload_add_levels(&payload, weight, sum, 0, SAMPLE_DIM);
        fl_payload_decode(&payload, q);
        for (size_t i = 0; i < SAMPLE_DIM; i++)
            expected[i] += weight * (int64_t)(q[i] * 2); /* step 1/2 */
        fl_buf_done(&buf);
    }
    assert_memory_equal(sum, expected, sizeof sum);
}

static void test_R12_sums_by_range_are_the_whole_sum(void **state)
{
    (void)state;
    static const size_t dim = 70000, cuts[] = {0, 1, 2, 100, 511, 512, 4096, 30007, 69999, 70000};
    static float p[70000];
    static double whole[70000], part[70000];
    static int64_t level_whole[70000], level_part[70000];
    static const double densities[] = {0.001, 0.05, 0.6};
    for (size_t c = 0; c < SAMPLE_ANY; c++) {
        for (size_t k = 0; k < 3; k++) {
            struct fl_payload payload;
            struct fl_buf buf;
            fl_buf_init(&buf, 1 << 24);
            sample_fill(p, dim, densities[k], c);
            sample_encode(&sample_params[c], p, dim, &buf);
            assert_ok(fl_payload_check(&sample_params[c], dim, fl_buf_view(&buf), &payload));
            memset(whole, 0, sizeof whole);
            memset(part, 0, sizeof part);
            memset(level_whole, 0, sizeof level_whole);
            memset(level_part, 0, sizeof level_part);
            fl_payload_add_values(&payload, 0.3, whole, 0, dim);
            fl_payload_add_levels(&payload, 3, level_whole, 0, dim);
            for (size_t i = 0; i + 1 < sizeof cuts / sizeof cuts[0]; i++) {
                fl_payload_add_values(&payload, 0.3, part + cuts[i], cuts[i], cuts[i + 1]);
                fl_payload_add_levels(&payload, 3, level_part + cuts[i], cuts[i], cuts[i + 1]);
            }
            assert_memory_equal(whole, part, sizeof whole);
            assert_memory_equal(level_whole, level_part, sizeof level_whole);
            fl_buf_done(&buf);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_at_every_size_and_density),
        cmocka_unit_test(test_clustered_support),
        cmocka_unit_test(test_nothing_to_send_is_a_payload_for_thresholds),
        cmocka_unit_test(test_a_payload_of_other_parameters_is_refused),
        cmocka_unit_test(test_topk_tensor_share_is_checked),
        cmocka_unit_test(test_every_truncation_and_every_flip_is_refused_or_harmless),
        cmocka_unit_test(test_random_bytes_behind_a_good_header),
        cmocka_unit_test(test_R8_levels_are_summed_exactly),
        cmocka_unit_test(test_R12_sums_by_range_are_the_whole_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
