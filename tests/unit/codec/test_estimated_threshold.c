/* codec/estimated_threshold: about k of the largest, never more than k, from vectors of several shapes. */
#include "test.h"

#include <float.h>

#include "codec/estimated_threshold.h"
#include "sample.h"

#define LARGE 200000

static const enum fl_codec_id ids[] = {FL_CODEC_TOPK_SAMPLED, FL_CODEC_SIDCO_EXPONENTIAL,
                                       FL_CODEC_SIDCO_PARETO, FL_CODEC_SIDCO_GAMMA,
                                       FL_CODEC_THRESHOLD_SAMPLED};
#define IDS (sizeof ids / sizeof ids[0])

static void test_only_these_codecs_have_one(void **state)
{
    (void)state;
    static const float x[] = {1, 2};
    float threshold = 5;
    size_t count, found = 0;
    const struct fl_codec *table = fl_codec_table(&count);
    for (size_t i = 0; i < count; i++) {
        struct fl_codec_params params = {.id = table[i].id, .ratio = 0.5};
        int is = fl_threshold_is_estimated(table[i].id);
        assert_status(fl_threshold_estimate(fl_kernels_pick(), &params, x, 2, &threshold),
                      is ? FL_OK : FL_ERR_NOT_FOUND);
        found += is != 0;
    }
    assert_int_equal(found, IDS);
}

/* What is sent: at most k, the largest, as they are. Returns how many. */
static size_t check_sent(const struct fl_codec_params *params, const float *p, size_t n)
{
    static float q[LARGE];
    float least = INFINITY, most = 0;
    struct fl_payload payload;
    struct fl_buf buf;
    fl_buf_init(&buf, 1 << 24);
    sample_encode(params, p, n, &buf);
    assert_ok(fl_payload_check(params, n, fl_buf_view(&buf), &payload));
    fl_payload_decode(&payload, q);
    for (size_t i = 0; i < n; i++) {
        assert_true(q[i] == 0 || q[i] == p[i]);
        if (q[i] != 0)
            least = fminf(least, fabsf(q[i]));
        else
            most = fmaxf(most, fabsf(p[i]));
    }
    assert_true(least >= most);
    assert_true(payload.count <= fl_codec_top_count(params->ratio, n));
    fl_buf_done(&buf);
    return payload.count;
}

/* -ln u: exponential magnitudes; squared they have a heavier tail. */
static void fill(float *x, size_t n, int heavy, float unit)
{
    struct fl_random random;
    fl_random_init(&random, 7, 0);
    for (size_t i = 0; i < n; i++) {
        double magnitude = -log(fl_random_double(&random));
        x[i] = unit *
               (float)((fl_random_u32(&random) & 1 ? 1 : -1) * (heavy ? magnitude * magnitude : magnitude));
    }
}

static void test_near_the_wanted_count_at_scales_from_1e12th_to_1e12(void **state)
{
    (void)state;
    static float x[LARGE];
    static const double ratios[] = {0.001, 0.01, 0.1};
    for (int power = -12; power <= 12; power += 6) {
        for (int heavy = 0; heavy < 2; heavy++) {
            fill(x, LARGE, heavy, (float)pow(10, power));
            for (size_t i = 0; i < 3 * IDS; i++) {
                struct fl_codec_params params = {.id = ids[i / 3], .ratio = ratios[i % 3], .seed = i};
                double wanted = (double)fl_codec_top_count(params.ratio, LARGE);
                assert_true((double)check_sent(&params, x, LARGE) >= 0.5 * wanted);
            }
        }
    }
}

static void test_odd_vectors(void **state)
{
    (void)state;
    float x[100];
    for (size_t i = 0; i < IDS; i++) {
        struct fl_codec_params params = {.id = ids[i], .ratio = 0.05};
        memset(x, 0, sizeof x);
        assert_int_equal(check_sent(&params, x, 100), 0); /* nothing is above */
        assert_int_equal(check_sent(&params, x, 1), 0);
        x[40] = FLT_TRUE_MIN; /* below the least threshold: waits */
        assert_int_equal(check_sent(&params, x, 100), 0);
        x[41] = -3;
        assert_int_equal(check_sent(&params, x, 100), 1);
        for (size_t k = 0; k < 100; k++)
            x[k] = 2;
        assert_int_equal(check_sent(&params, x, 100), 5); /* ties: the first */
        x[99] = FLT_MAX;
        assert_in_range(check_sent(&params, x, 100), 1, 5);
        params.ratio = 1;
        assert_int_equal(check_sent(&params, x, 100), 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_these_codecs_have_one),
        cmocka_unit_test(test_near_the_wanted_count_at_scales_from_1e12th_to_1e12),
        cmocka_unit_test(test_odd_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
