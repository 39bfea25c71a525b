/* codec/codec: the table, which parameters are taken, the rule for lambda, and what encoding refuses. */
#include "test.h"

#include <float.h>

#include "fail_alloc.h"
#include "sample.h"

static void test_table_by_name_and_id(void **state)
{
    (void)state;
    size_t count;
    const struct fl_codec *table = fl_codec_table(&count);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(fl_codec_names[i]);
        assert_string_equal(table[i].name, fl_codec_names[i]);
        assert_ptr_equal(fl_codec_find(table[i].name), &table[i]);
        assert_ptr_equal(fl_codec_find_id((unsigned)table[i].id), &table[i]);
        assert_non_null(table[i].encode);
    }
    assert_null(fl_codec_names[count]);
    assert_null(fl_codec_find("Dense"));
    assert_null(fl_codec_find_id(0));
    assert_null(fl_codec_find_id(6));
}

static void test_parameters(void **state)
{
    (void)state;
    static const struct fl_codec_tensor whole[] = {{10, 1}}, short_by_one[] = {{5, 1}, {2, 2}},
                                        empty[] = {{10, 1}, {0, 1}}, over[] = {{SIZE_MAX, 11}, {11, 1}};
    static const struct {
        struct fl_codec_params params;
        enum fl_status expected;
    } cases[] = {
        {{.id = FL_CODEC_DENSE}, FL_OK},
        {{.id = FL_CODEC_DENSE, .lambda = NAN}, FL_OK}, /* not looked at */
        {{.id = (enum fl_codec_id)0}, FL_ERR_NOT_FOUND},
        {{.id = (enum fl_codec_id)6}, FL_ERR_NOT_FOUND},
        {{.id = FL_CODEC_THRESHOLD, .lambda = 0.3f}, FL_OK},
        {{.id = FL_CODEC_THRESHOLD, .lambda = FLT_TRUE_MIN}, FL_OK},
        {{.id = FL_CODEC_THRESHOLD, .lambda = 0}, FL_ERR_RANGE},
        {{.id = FL_CODEC_THRESHOLD, .lambda = -1}, FL_ERR_RANGE},
        {{.id = FL_CODEC_THRESHOLD, .lambda = NAN}, FL_ERR_RANGE},
        {{.id = FL_CODEC_THRESHOLD, .lambda = INFINITY}, FL_ERR_RANGE},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = 1}, FL_OK},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = 2}, FL_ERR_RANGE},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = -16}, FL_OK},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = -17}, FL_ERR_RANGE},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = 0.75f, .step_log2 = 0}, FL_ERR_RANGE},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = -1, .step_log2 = 1}, FL_ERR_RANGE},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = 0x1p59f, .step_log2 = 60}, FL_OK},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = 0x1p60f, .step_log2 = 61}, FL_ERR_RANGE},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = 0x1p-101f, .step_log2 = -100}, FL_OK},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = 0x1p-102f, .step_log2 = -101}, FL_ERR_RANGE},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = INT32_MAX}, FL_ERR_RANGE},
        {{.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = INT32_MIN}, FL_ERR_RANGE},
        {{.id = FL_CODEC_TOPK, .ratio = 1e-9}, FL_OK},
        {{.id = FL_CODEC_TOPK, .ratio = 1}, FL_OK},
        {{.id = FL_CODEC_TOPK, .ratio = 0}, FL_ERR_RANGE},
        {{.id = FL_CODEC_TOPK, .ratio = 1.0001}, FL_ERR_RANGE},
        {{.id = FL_CODEC_TOPK, .ratio = NAN}, FL_ERR_RANGE},
        {{.id = FL_CODEC_TOPK_TENSOR, .ratio = .1, .tensors = whole, .tensor_count = 1}, FL_OK},
        {{.id = FL_CODEC_TOPK_TENSOR, .ratio = .1}, FL_ERR_SHAPE},
        {{.id = FL_CODEC_TOPK_TENSOR, .ratio = .1, .tensors = short_by_one, .tensor_count = 2}, FL_ERR_SHAPE},
        {{.id = FL_CODEC_TOPK_TENSOR, .ratio = .1, .tensors = empty, .tensor_count = 2}, FL_ERR_SHAPE},
        {{.id = FL_CODEC_TOPK_TENSOR, .ratio = .1, .tensors = over, .tensor_count = 2}, FL_ERR_SHAPE},
        {{.id = FL_CODEC_DENSE, .tensors = short_by_one, .tensor_count = 2}, FL_OK}, /* not looked at */
        {{.id = FL_CODEC_DENSE, .tensors = whole, .tensor_count = 1, .dense_below = 1}, FL_OK},
        {{.id = FL_CODEC_DENSE, .tensors = whole, .tensor_count = 1, .dense_below = SIZE_MAX}, FL_OK},
        {{.id = FL_CODEC_DENSE, .dense_below = 1}, FL_ERR_SHAPE},
        {{.id = FL_CODEC_DENSE, .tensors = short_by_one, .tensor_count = 2, .dense_below = 1}, FL_ERR_SHAPE},
        {{.id = FL_CODEC_TOPK, .tensors = whole, .tensor_count = 1, .dense_below = 11}, FL_ERR_RANGE},
        {{.id = FL_CODEC_INT_THRESHOLD,
          .lambda = 0.75f,
          .tensors = whole,
          .tensor_count = 1,
          .dense_below = 11},
         FL_ERR_RANGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_status(fl_codec_params_check(&cases[i].params, 10), cases[i].expected);
    for (size_t i = 0; i < SAMPLE_PARAMS; i++) {
        assert_ok(fl_codec_params_check(&sample_params[i], SAMPLE_DIM));
        assert_status(fl_codec_params_check(&sample_params[i], 0), FL_ERR_SHAPE);
        if (FL_CODEC_DIM_MAX < SIZE_MAX)
            assert_status(fl_codec_params_check(&sample_params[i], (size_t)(UINT64_C(1) << 32)),
                          FL_ERR_LIMIT);
    }
}

static void test_top_count_is_at_least_one(void **state)
{
    (void)state;
    assert_int_equal(fl_codec_top_count(0.01, 4810), 48);
    assert_int_equal(fl_codec_top_count(0.01, 99), 1);
    assert_int_equal(fl_codec_top_count(1e-9, 1), 1);
    assert_int_equal(fl_codec_top_count(1, 4810), 4810);
    assert_int_equal(fl_codec_top_count(1, UINT32_MAX), UINT32_MAX);
}

static void test_lambda_from_rms(void **state)
{
    (void)state;
    static const struct {
        double rms;
        float lambda;
    } cases[] = {
        {1, 4},           {0.25, 1},           {0.25 * 1.41, 1}, {0.25 * 1.42, 2},
        {0.25 * 0.71, 1}, {0.25 * 0.70, 0.5f}, {0, 0x1p-80f},    {-1, 0x1p-80f},
        {NAN, 0x1p-80f},  {1e-300, 0x1p-80f},  {1e300, 0x1p59f}, {INFINITY, 0x1p59f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float lambda = fl_lambda_from_rms(cases[i].rms);
        assert_true(lambda == cases[i].lambda);
        int lambda_log2;
        assert_ok(fl_lambda_log2(lambda, &lambda_log2));
        assert_true(ldexpf(1, lambda_log2) == lambda);
        for (int finer = 0; finer < FL_CODEC_FINEST_SHIFT; finer++) { /* every allowed step is sound there */
            struct fl_codec_params params = {
                .id = FL_CODEC_INT_THRESHOLD, .lambda = lambda, .step_log2 = lambda_log2 + 1 - finer};
            assert_ok(fl_codec_params_check(&params, 1));
        }
    }
    int untouched = 5;
    assert_status(fl_lambda_log2(3, &untouched), FL_ERR_RANGE);
    assert_status(fl_lambda_log2(0, &untouched), FL_ERR_RANGE);
    assert_status(fl_lambda_log2(NAN, &untouched), FL_ERR_RANGE);
    assert_status(fl_lambda_log2(FLT_TRUE_MIN, &untouched), FL_ERR_RANGE);
    assert_int_equal(untouched, 5);
}

static void test_R8_input_that_is_not_finite_is_refused_before_anything_is_written(void **state)
{
    (void)state;
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    static const size_t places[] = {0, 1, SAMPLE_DIM / 2, SAMPLE_DIM - 1};
    static float p[SAMPLE_DIM];
    struct fl_buf payload;
    fl_buf_init(&payload, 1 << 20);
    assert_ok(fl_buf_append(&payload, "kept", 4));
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        for (size_t i = 0; i < 16; i++) {
            sample_fill(p, SAMPLE_DIM, 0.02, c);
            p[places[i / 4]] = bad[i % 4];
            assert_status(fl_codec_encode(fl_kernels_pick(), &sample_params[c], p, SAMPLE_DIM, &payload),
                          FL_ERR_NOT_FINITE);
            assert_int_equal(payload.size, 4);
        }
    }
    fl_buf_done(&payload);
}

static void test_payload_is_unchanged_by_any_failed_allocation(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM];
    long before = fl_live_allocations();
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        sample_fill(p, SAMPLE_DIM, 0.4, 9);
        for (size_t k = 0;; k++) {
            struct fl_buf payload;
            fl_buf_init(&payload, 1 << 20);
            assert_ok(fl_buf_append(&payload, "kept", 4));
            fl_fail_alloc_after(k);
            enum fl_status st =
                fl_codec_encode(fl_kernels_pick(), &sample_params[c], p, SAMPLE_DIM, &payload);
            fl_fail_alloc_never();
            assert_memory_equal(payload.data, "kept", 4);
            if (st)
                assert_int_equal(payload.size, 4);
            fl_buf_done(&payload);
            assert_int_equal(fl_live_allocations(), before);
            if (st == FL_OK)
                break;
            assert_status(st, FL_ERR_NOMEM);
        }
    }
}

static void test_a_full_buffer_is_a_limit_and_the_exact_size_fits(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM];
    sample_fill(p, SAMPLE_DIM, 0.02, 3);
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        struct fl_buf whole, tight;
        fl_buf_init(&whole, 1 << 20);
        sample_encode(&sample_params[c], p, SAMPLE_DIM, &whole);
        fl_buf_init(&tight, whole.size - 1);
        assert_status(fl_codec_encode(fl_kernels_pick(), &sample_params[c], p, SAMPLE_DIM, &tight),
                      FL_ERR_LIMIT);
        assert_int_equal(tight.size, 0);
        fl_buf_done(&tight);
        struct fl_payload made;
        assert_ok(fl_payload_check(&sample_params[c], SAMPLE_DIM, fl_buf_view(&whole), &made));
        fl_buf_init(&tight, whole.size + (made.adaptive ? SAMPLE_DIM : 0)); /* made from a larger one */
        sample_encode(&sample_params[c], p, SAMPLE_DIM, &tight);
        assert_memory_equal(tight.data, whole.data, whole.size); /* and the same bytes each time */
        fl_buf_done(&tight);
        fl_buf_done(&whole);
    }
}

static void test_a_typical_update_is_small(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM];
    size_t total = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fl_buf payload;
        fl_buf_init(&payload, 1 << 20);
        sample_fill(p, SAMPLE_DIM, 65.0 / SAMPLE_DIM, seed);
        sample_encode(&sample_params[2], p, SAMPLE_DIM, &payload);
        total += payload.size;
        fl_buf_done(&payload);
    }
    assert_in_range(total / 20, 60, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_by_name_and_id),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_top_count_is_at_least_one),
        cmocka_unit_test(test_lambda_from_rms),
        cmocka_unit_test(test_R8_input_that_is_not_finite_is_refused_before_anything_is_written),
        cmocka_unit_test(test_payload_is_unchanged_by_any_failed_allocation),
        cmocka_unit_test(test_a_full_buffer_is_a_limit_and_the_exact_size_fits),
        cmocka_unit_test(test_a_typical_update_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
