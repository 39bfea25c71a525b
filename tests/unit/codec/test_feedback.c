/* codec/feedback: what is sent and what stays add up to what there was, over many rounds, for every codec. */
#include "test.h"

#include <float.h>

#include "fail_alloc.h"
#include "sample.h"

static void test_R25_sent_and_residual_add_up_over_rounds(void **state)
{
    (void)state;
    static float delta[SAMPLE_DIM], e_old[SAMPLE_DIM], e_new[SAMPLE_DIM], q[SAMPLE_DIM];
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        const struct fl_codec *codec = fl_codec_find_id(sample_params[c].id);
        memset(e_old, 0, sizeof e_old);
        for (uint64_t round = 0; round < 20; round++) {
            struct fl_payload payload;
            struct fl_buf buf;
            fl_buf_init(&buf, 1 << 20);
            sample_fill(delta, SAMPLE_DIM, 0.02, round);
            assert_ok(fl_error_feedback_step(fl_kernels_pick(), 1, &sample_params[c], delta, e_old,
                                             SAMPLE_DIM, &buf, e_new, &payload));
            fl_payload_decode(&payload, q);
            for (size_t i = 0; i < SAMPLE_DIM; i++) {
                float p = delta[i] + e_old[i];
                if (fl_codec_is_exact(codec) ||
                    (codec->id == FL_CODEC_ROUND_RANDOM && fabsf(p) >= sample_params[c].lambda))
                    assert_true((double)q[i] + (double)e_new[i] == (double)p); /* both fit 53 bits together */
                else if (fl_codec_has_feedback(codec))
                    assert_true(e_new[i] == p - q[i]); /* one float32 operation */
                else
                    assert_true(e_new[i] == 0);
                float bound = (codec->id == FL_CODEC_ROUND_RANDOM ? 2 : 1) * sample_params[c].lambda;
                if (codec->class == FL_CLASS_ABSOLUTE && codec->id != FL_CODEC_LOW_RANK &&
                    fabsf(e_new[i]) > bound)
                    assert_true(
                        payload.level_max == FL_CODEC_LEVEL_MAX ||
                        (codec->id == FL_CODEC_TREE_8_FIXED && fabsf(p) > 128 * sample_params[c].lambda));
            }
            memcpy(e_old, e_new, sizeof e_old);
            fl_buf_done(&buf);
        }
    }
}

static void test_R6_folding_back_restores_what_the_payload_took(void **state)
{
    (void)state;
    static float delta[SAMPLE_DIM], e_old[SAMPLE_DIM], e_new[SAMPLE_DIM];
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        struct fl_payload payload;
        struct fl_buf buf;
        fl_buf_init(&buf, 1 << 20);
        sample_fill(delta, SAMPLE_DIM, 0.1, c);
        sample_fill(e_old, SAMPLE_DIM, 0, c + 100);
        assert_ok(fl_error_feedback_step(fl_kernels_pick(), 1, &sample_params[c], delta, e_old, SAMPLE_DIM,
                                         &buf, e_new, &payload));
        const struct fl_codec *codec = fl_codec_find_id(sample_params[c].id);
        static float q[SAMPLE_DIM];
        fl_payload_decode(&payload, q);
        fl_payload_fold(&payload, e_new);
        for (size_t i = 0; i < SAMPLE_DIM; i++) {
            float p = delta[i] + e_old[i];
            assert_true(fl_codec_is_exact(codec)       ? e_new[i] == p
                        : fl_codec_has_feedback(codec) ? e_new[i] == (p - q[i]) + q[i]
                                                       : e_new[i] == q[i]);
        }
        fl_buf_done(&buf);
    }
}

static void test_R8_error_stays_under_lambda_at_scales_from_1e12th_to_1e12(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM], zero[SAMPLE_DIM], e[SAMPLE_DIM];
    for (double scale = 1e-12; scale < 2e12; scale *= 10) {
        struct fl_codec_params params = {.id = FL_CODEC_THRESHOLD, .lambda = (float)scale};
        for (int grid = 0; grid < 2; grid++) {
            struct fl_payload payload;
            struct fl_buf buf;
            fl_buf_init(&buf, 1 << 20);
            sample_fill(p, SAMPLE_DIM, 0.1, 6);
            for (size_t i = 0; i < SAMPLE_DIM; i++)
                p[i] *= params.lambda;
            p[0] = params.lambda;
            p[1] = nextafterf(params.lambda, 0);
            assert_ok(fl_error_feedback_step(fl_kernels_pick(), 1, &params, p, zero, SAMPLE_DIM, &buf, e,
                                             &payload));
            for (size_t i = 0; i < SAMPLE_DIM; i++)
                assert_true(grid ? fabsf(e[i]) <= params.lambda : fabsf(e[i]) < params.lambda);
            assert_true(e[0] == (grid ? -params.lambda : 0)); /* lambda itself is sent */
            assert_true(e[1] == p[1]);                        /* one step below it is not */
            fl_buf_done(&buf);
            params.id = FL_CODEC_INT_THRESHOLD;
            params.lambda = fl_lambda_nearest_power(scale);
            assert_ok(fl_lambda_log2(params.lambda, &params.step_log2));
            params.step_log2++;
        }
    }
}

static void test_R8_a_sum_that_overflows_is_refused_and_nothing_is_touched(void **state)
{
    (void)state;
    float delta[] = {1, FLT_MAX}, residual[] = {2, FLT_MAX}, ret[2];
    const float kept[] = {2, FLT_MAX};
    struct fl_payload payload = {.dim = 99};
    struct fl_buf buf;
    fl_buf_init(&buf, 100);
    for (size_t c = 0; c < SAMPLE_ANY; c++) {
        assert_status(fl_error_feedback_step(fl_kernels_pick(), 1, &sample_params[c], delta, residual, 2,
                                             &buf, ret, &payload),
                      FL_ERR_NOT_FINITE);
        assert_memory_equal(residual, kept, sizeof kept);
        assert_int_equal(buf.size, 0);
        assert_int_equal(payload.dim, 99);
    }
    fl_buf_done(&buf);
}

static void test_failed_allocations_leave_residual_and_payload(void **state)
{
    (void)state;
    static float delta[SAMPLE_DIM], residual[SAMPLE_DIM], kept[SAMPLE_DIM], ret[SAMPLE_DIM];
    long before = fl_live_allocations();
    sample_fill(delta, SAMPLE_DIM, 0.1, 1);
    sample_fill(residual, SAMPLE_DIM, 0, 2);
    memcpy(kept, residual, sizeof kept);
    for (size_t c = 0; c < SAMPLE_PARAMS; c++) {
        for (size_t k = 0;; k++) {
            struct fl_payload payload;
            struct fl_buf buf;
            fl_buf_init(&buf, 1 << 20);
            fl_fail_alloc_after(k);
            enum fl_status st = fl_error_feedback_step(fl_kernels_pick(), 1, &sample_params[c], delta,
                                                       residual, SAMPLE_DIM, &buf, ret, &payload);
            fl_fail_alloc_never();
            assert_memory_equal(residual, kept, sizeof kept);
            assert_int_equal(buf.size != 0, st == FL_OK);
            fl_buf_done(&buf);
            assert_int_equal(fl_live_allocations(), before);
            if (st == FL_OK)
                break;
            assert_status(st, FL_ERR_NOMEM);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R25_sent_and_residual_add_up_over_rounds),
        cmocka_unit_test(test_R6_folding_back_restores_what_the_payload_took),
        cmocka_unit_test(test_R8_error_stays_under_lambda_at_scales_from_1e12th_to_1e12),
        cmocka_unit_test(test_R8_a_sum_that_overflows_is_refused_and_nothing_is_touched),
        cmocka_unit_test(test_failed_allocations_leave_residual_and_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
