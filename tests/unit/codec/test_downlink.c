/* codec/downlink: publishing, deltas from any version, assignments. */
#include "test.h"

#include <float.h>

#include "codec/downlink.h"
#include "fail_alloc.h"
#include "sample.h"

#define VERSIONS 12

static void test_R19_a_delta_from_any_version_gives_the_same_bits(void **state)
{
    (void)state;
    static double x[SAMPLE_DIM];
    static float x_hat[SAMPLE_DIM], replica[SAMPLE_DIM], history[VERSIONS][SAMPLE_DIM];
    static uint32_t touched[SAMPLE_DIM];
    struct fl_random random;
    fl_random_init(&random, 3, 3);
    memset(x, 0, sizeof x);
    memset(x_hat, 0, sizeof x_hat);
    memset(touched, 0, sizeof touched);
    memcpy(history[0], x_hat, sizeof x_hat);
    for (uint32_t version = 1; version < VERSIONS; version++) {
        for (size_t i = 0; i < SAMPLE_DIM; i++)
            x[i] += (fl_random_double(&random) - 0.5) * (i % 7 ? 1e-3 : 1);
        size_t count;
        assert_ok(fl_publish_threshold(fl_kernels_pick(), x, x_hat, touched, SAMPLE_DIM,
                                       version == VERSIONS - 1 ? 0 : 0.1, version, &count));
        assert_int_equal(count, fl_delta_count(touched, SAMPLE_DIM, version - 1));
        memcpy(history[version], x_hat, sizeof x_hat);
        for (uint32_t have = 0; have <= version; have++) {
            struct fl_buf delta;
            fl_buf_init(&delta, 1 << 20);
            assert_ok(fl_delta_encode(touched, x_hat, SAMPLE_DIM, have, &delta));
            for (uint32_t base = have; base <= version; base++) { /* it may start from an older version too */
                memcpy(replica, history[base], sizeof replica);
                assert_ok(fl_sparse_apply(fl_buf_view(&delta), replica, SAMPLE_DIM));
                assert_memory_equal(replica, x_hat, sizeof replica);
            }
            fl_buf_done(&delta);
        }
    }
    for (size_t i = 0; i < SAMPLE_DIM; i++) /* the last version had lambda_down = 0 (rule R17) */
        assert_true(x_hat[i] == (float)x[i]);
}

static void test_R17_drift_stays_under_lambda_down(void **state)
{
    (void)state;
    static double x[SAMPLE_DIM];
    static float x_hat[SAMPLE_DIM];
    static uint32_t touched[SAMPLE_DIM];
    struct fl_random random;
    size_t count;
    fl_random_init(&random, 3, 4);
    memset(x, 0, sizeof x);
    memset(x_hat, 0, sizeof x_hat);
    for (uint32_t version = 1; version < 30; version++) {
        for (size_t i = 0; i < SAMPLE_DIM; i++)
            x[i] += fl_random_double(&random) - 0.5;
        assert_ok(
            fl_publish_threshold(fl_kernels_pick(), x, x_hat, touched, SAMPLE_DIM, 0.5, version, &count));
        for (size_t i = 0; i < SAMPLE_DIM; i++)
            assert_true(fabs(x[i] - (double)x_hat[i]) < 0.5);
    }
}

static void test_publish_refuses_what_has_no_float(void **state)
{
    (void)state;
    static const double bad[] = {NAN, INFINITY, -INFINITY, 1e39};
    float x_hat[2] = {5, 5};
    uint32_t touched[2] = {1, 1};
    size_t count = 77;
    for (size_t i = 0; i < 4; i++) {
        double x[2] = {1, bad[i]};
        assert_status(fl_publish_threshold(fl_kernels_pick(), x, x_hat, touched, 2, 0, 2, &count),
                      FL_ERR_NOT_FINITE);
    }
    static const double lambdas[] = {-1, NAN, INFINITY};
    for (size_t i = 0; i < 3; i++) {
        double x[2] = {1, 2};
        assert_status(fl_publish_threshold(fl_kernels_pick(), x, x_hat, touched, 2, lambdas[i], 2, &count),
                      FL_ERR_RANGE);
    }
    assert_true(x_hat[0] == 5 && touched[0] == 1 && count == 77);
}

static void test_sparse_refuses_wrong_lists(void **state)
{
    (void)state;
    static const struct {
        uint32_t indices[3];
        float values[3];
        size_t dim;
        enum fl_status expected;
    } cases[] = {
        {{0, 1, 2}, {1, 0, -0.0f}, 3, FL_OK},           {{0, 1, 2}, {1, 2, 3}, 2, FL_ERR_SHAPE},
        {{0, 2, 2}, {1, 2, 3}, 9, FL_ERR_SHAPE},        {{0, 2, 1}, {1, 2, 3}, 9, FL_ERR_SHAPE},
        {{0, 1, 2}, {1, 2, NAN}, 9, FL_ERR_NOT_FINITE}, {{0, 1, 2}, {1, -INFINITY, 3}, 9, FL_ERR_NOT_FINITE},
        {{0, 1, 2}, {1, 2, 3}, 0, FL_ERR_SHAPE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_buf buf;
        fl_buf_init(&buf, 1000);
        assert_status(fl_sparse_encode(cases[i].indices, cases[i].values, 3, cases[i].dim, &buf),
                      cases[i].expected);
        assert_int_equal(buf.size != 0, cases[i].expected == FL_OK);
        fl_buf_done(&buf);
    }
}

static void test_assignment_keeps_the_sign_of_zero_and_the_ends_of_32_bits(void **state)
{
    (void)state;
    static const uint32_t indices[] = {0, 5, UINT32_MAX - 1};
    static const float values[] = {-0.0f, FLT_TRUE_MIN, FLT_MAX};
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 1000);
    assert_ok(fl_sparse_encode(indices, values, 3, UINT32_MAX, &buf));
    assert_ok(fl_sparse_check(UINT32_MAX, fl_buf_view(&buf), &payload));
    assert_int_equal(payload.count, 3);
    assert_true(payload.max_abs == FLT_MAX);
    double last = 0;
    fl_payload_add_values(&payload, 1, &last, UINT32_MAX - 1, UINT32_MAX);
    assert_true(last == FLT_MAX);
    fl_buf_clear(&buf);
    float x[2] = {1, 1};
    const float minus = -0.0f;
    assert_ok(fl_sparse_encode(indices, values, 1, 2, &buf));
    assert_ok(fl_sparse_apply(fl_buf_view(&buf), x, 2));
    assert_memory_equal(&x[0], &minus, 4);
    assert_true(x[1] == 1);
    fl_buf_done(&buf);
}

static void test_a_damaged_delta_changes_nothing(void **state)
{
    (void)state;
    static float x[3000], kept[3000];
    uint32_t indices[300];
    float values[300];
    struct fl_buf buf;
    fl_buf_init(&buf, 10000);
    for (uint32_t i = 0; i < 300; i++) {
        indices[i] = i * 10;
        values[i] = (float)i;
    }
    assert_ok(fl_sparse_encode(indices, values, 300, 3000, &buf));
    sample_fill(x, 3000, 0.5, 1);
    memcpy(kept, x, sizeof x);
    for (size_t size = 0; size < buf.size; size++) {
        assert_true(fl_sparse_apply((struct fl_bytes){buf.data, size}, x, 3000) != FL_OK);
        assert_memory_equal(x, kept, sizeof x);
    }
    assert_status(fl_sparse_apply(fl_buf_view(&buf), x, 2999), FL_ERR_SHAPE);
    memset(buf.data + buf.size - 4, 0xff, 4); /* the last value becomes a NaN */
    assert_status(fl_sparse_apply(fl_buf_view(&buf), x, 3000), FL_ERR_NOT_FINITE);
    assert_memory_equal(x, kept, sizeof x);
    fl_buf_done(&buf);
}

static void test_delta_survives_any_failed_allocation(void **state)
{
    (void)state;
    static float x_hat[SAMPLE_DIM];
    static uint32_t touched[SAMPLE_DIM];
    long before = fl_live_allocations();
    sample_fill(x_hat, SAMPLE_DIM, 0.5, 1);
    for (size_t i = 0; i < SAMPLE_DIM; i++)
        touched[i] = (uint32_t)(i % 3);
    for (size_t k = 0;; k++) {
        struct fl_buf delta;
        fl_buf_init(&delta, 1 << 20);
        fl_fail_alloc_after(k);
        enum fl_status st = fl_delta_encode(touched, x_hat, SAMPLE_DIM, 1, &delta);
        fl_fail_alloc_never();
        assert_int_equal(delta.size != 0, st == FL_OK);
        fl_buf_done(&delta);
        assert_int_equal(fl_live_allocations(), before);
        if (st == FL_OK)
            break;
        assert_status(st, FL_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R19_a_delta_from_any_version_gives_the_same_bits),
        cmocka_unit_test(test_R17_drift_stays_under_lambda_down),
        cmocka_unit_test(test_publish_refuses_what_has_no_float),
        cmocka_unit_test(test_sparse_refuses_wrong_lists),
        cmocka_unit_test(test_assignment_keeps_the_sign_of_zero_and_the_ends_of_32_bits),
        cmocka_unit_test(test_a_damaged_delta_changes_nothing),
        cmocka_unit_test(test_delta_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
