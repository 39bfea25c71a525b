/* codec/state: what codecs keep between payloads is seen for what it is, and changes the payloads as their
 * methods say. */
#include "test.h"

#include "codec/floats.h"
#include "codec/low_rank.h"
#include "codec/sidco.h"
#include "codec/state.h"
#include "fail_alloc.h"
#include "sample.h"

/* Payload of p from what is kept; what it leaves takes its place. */
static void encode_on(struct fl_codec_params params, const float *p, size_t dim, struct fl_buf *kept,
                      struct fl_buf *payload)
{
    struct fl_buf next;
    fl_buf_init(&next, fl_codec_state_limit(&params, dim));
    struct fl_codec_state state = {fl_buf_view(kept), &next};
    params.state = &state;
    fl_buf_clear(payload);
    sample_encode(&params, p, dim, payload);
    fl_buf_done(kept);
    *kept = next;
}

/* Of each codec that keeps something a row of sample_params. */
static size_t with_state(const struct fl_codec_params *ret_params[16])
{
    size_t count = 0;
    for (size_t c = 0; c < SAMPLE_PARAMS; c++)
        if (fl_codec_keeps_state(fl_codec_find_id(sample_params[c].id)))
            ret_params[count++] = &sample_params[c];
    return count;
}

static void test_only_these_codecs_keep_something(void **state)
{
    (void)state;
    static const char *const names[] = {
        "power-sgd", "sidco-exponential", "sidco-pareto", "sidco-gamma", "adaqs", "dqsgd"};
    size_t count, found = 0;
    const struct fl_codec *table = fl_codec_table(&count);
    for (size_t i = 0; i < count; i++) {
        int named = 0;
        for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
            named |= strcmp(names[n], table[i].name) == 0;
        assert_int_equal(fl_codec_keeps_state(&table[i]), named);
        found += (size_t)named;
    }
    assert_int_equal(found, sizeof names / sizeof names[0]);
    /* others leave the buffer alone, and no bytes are theirs */
    static const float p[] = {1, 2, 3};
    struct fl_buf kept, payload;
    fl_buf_init(&kept, 0);
    fl_buf_init(&payload, 1000);
    encode_on((struct fl_codec_params){.id = FL_CODEC_TOPK, .ratio = 0.5}, p, 3, &kept, &payload);
    assert_int_equal(kept.size, 0);
    assert_false(fl_codec_state_fits(&(struct fl_codec_params){.id = FL_CODEC_TOPK, .ratio = 0.5}, 3,
                                     fl_bytes_from_text("FLC1 any bytes of any codec")));
    fl_buf_done(&payload);
}

static void test_a_state_fits_its_own_codec_model_and_settings_only(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM];
    const struct fl_codec_params *rows[16];
    size_t count = with_state(rows);
    sample_fill(p, SAMPLE_DIM, 0.1, 3);
    for (size_t r = 0; r < count; r++) {
        struct fl_buf kept, payload;
        fl_buf_init(&kept, 0);
        fl_buf_init(&payload, 1 << 20);
        assert_false(fl_codec_state_fits(rows[r], SAMPLE_DIM, fl_buf_view(&kept)));
        encode_on(*rows[r], p, SAMPLE_DIM, &kept, &payload);
        assert_true(kept.size <= fl_codec_state_limit(rows[r], SAMPLE_DIM));
        assert_true(fl_codec_state_fits(rows[r], SAMPLE_DIM, fl_buf_view(&kept)));
        for (size_t other = 0; other < count; other++)
            assert_int_equal(fl_codec_state_fits(rows[other], SAMPLE_DIM, fl_buf_view(&kept)), other == r);
        struct fl_codec_params changed = *rows[r];
        changed.seed++; /* which is another one in every round */
        assert_true(fl_codec_state_fits(&changed, SAMPLE_DIM, fl_buf_view(&kept)));
        changed.ratio = changed.ratio * 0.5;
        changed.bits = changed.bits ? 7 : 0;
        changed.rank = changed.rank ? 3 : 0;
        assert_false(fl_codec_state_fits(&changed, SAMPLE_DIM, fl_buf_view(&kept)));
        if (!rows[r]->tensors)
            assert_false(fl_codec_state_fits(rows[r], SAMPLE_DIM - 1, fl_buf_view(&kept)));
        static const struct fl_codec_tensor turned[] = {{64, 64}, {64, 1}, {64, 10}, {10, 1}};
        changed = *rows[r];
        changed.tensors = turned;
        assert_int_equal(fl_codec_state_fits(&changed, SAMPLE_DIM, fl_buf_view(&kept)),
                         !fl_codec_find_id(changed.id)->uses_tensors);
        fl_buf_done(&kept);
        fl_buf_done(&payload);
    }
}

/* Whatever the bytes are, encoding goes on: as from the state when they fit, else as from none; of a payload
 * in parts, each part by itself. */
static void test_damaged_bytes_are_a_fresh_start(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM], later[SAMPLE_DIM];
    const struct fl_codec_params *rows[16];
    size_t count = with_state(rows);
    sample_fill(p, SAMPLE_DIM, 0.1, 4);
    sample_fill(later, SAMPLE_DIM, 0.3, 5);
    for (size_t r = 0; r < count; r++) {
        struct fl_buf kept, spoilt, fresh, payload;
        fl_buf_init(&kept, 0);
        fl_buf_init(&fresh, 1 << 20);
        fl_buf_init(&payload, 1 << 20);
        encode_on(*rows[r], p, SAMPLE_DIM, &kept, &payload);
        sample_encode(rows[r], later, SAMPLE_DIM, &fresh);
        for (size_t at = 0; at < kept.size; at = at < 64 ? at + 1 : at + 97) {
            for (int how = 0; how < 3; how++) { /* cut there, a bit turned, all ones: NaN */
                fl_buf_init(&spoilt, fl_codec_state_limit(rows[r], SAMPLE_DIM));
                assert_ok(fl_buf_append(&spoilt, kept.data, kept.size));
                if (how == 0)
                    fl_buf_truncate(&spoilt, at);
                else
                    memset(spoilt.data + at, how == 1 ? spoilt.data[at] ^ 0x40 : 0xff,
                           how == 1 || kept.size - at < 8 ? 1 : 8);
                int fits = fl_codec_state_fits(rows[r], SAMPLE_DIM, fl_buf_view(&spoilt));
                assert_false(fits && (how == 0 || at < 16));
                encode_on(*rows[r], later, SAMPLE_DIM, &spoilt, &payload);
                if (!fits && !rows[r]->dense_below)
                    assert_true(fl_bytes_equal(fl_buf_view(&payload), fl_buf_view(&fresh)));
                assert_true(fl_codec_state_fits(rows[r], SAMPLE_DIM, fl_buf_view(&spoilt)));
                fl_buf_done(&spoilt);
            }
        }
        fl_buf_done(&kept);
        fl_buf_done(&fresh);
        fl_buf_done(&payload);
    }
}

/* One power iteration from the factor before, as in the paper; and on a matrix that stays it finds the best.
 */
static void test_power_sgd_starts_from_its_last_factor(void **state)
{
    (void)state;
    static const struct fl_codec_tensor shape = {24, 16};
    static const struct fl_codec_params params = {
        .id = FL_CODEC_POWER_SGD, .rank = 2, .tensors = &shape, .tensor_count = 1, .seed = 6};
    const struct fl_kernels *kernels = fl_kernels_pick();
    float p[384], q[384], expected[384];
    double missed[2] = {0};
    struct fl_low_rank factors;
    struct fl_buf kept, payload;
    struct fl_payload checked;
    fl_buf_init(&kept, 0);
    fl_buf_init(&payload, 1 << 16);
    assert_ok(fl_low_rank_init(&factors, 24, 16));
    assert_ok(fl_low_rank_start(&factors, 2, 1));
    sample_fill(p, 384, 0.2, 9);
    for (int round = 0; round < 30; round++) {
        if (round) { /* of the first one only the factor is taken */
            assert_ok(fl_low_rank_left(&factors, kernels, p));
            assert_ok(fl_low_rank_orthonormalise(&factors, fl_mix64(params.seed, 0)));
            assert_ok(fl_low_rank_right(&factors, kernels, p));
            fl_low_rank_expand(&factors, expected);
        }
        encode_on(params, p, 384, &kept, &payload);
        assert_int_equal(kept.size, FL_CODEC_STATE_HEAD_BYTES + 2 * 16 * 4);
        assert_ok(fl_payload_check(&params, 384, fl_buf_view(&payload), &checked));
        fl_payload_decode(&checked, q);
        if (round)
            assert_memory_equal(q, expected, sizeof q);
        for (size_t i = 0; i < 32; i++)
            factors.right[i] =
                fl_float_from_bits(fl_load_le32(kept.data + FL_CODEC_STATE_HEAD_BYTES + 4 * i));
        double miss = 0;
        for (size_t i = 0; i < 384; i++)
            miss += ((double)p[i] - q[i]) * ((double)p[i] - q[i]);
        missed[round > 0] = miss;
    }
    assert_true(missed[1] < missed[0]);
    fl_low_rank_done(&factors);
    fl_buf_done(&kept);
    fl_buf_done(&payload);
}

/* The thresholds of the paper's loop: one of the stages that there are, one observation. */
static void test_sidco_follows_its_stages(void **state)
{
    (void)state;
    static float p[20000];
    const struct fl_kernels *kernels = fl_kernels_pick();
    struct fl_codec_params params = {.id = FL_CODEC_SIDCO_EXPONENTIAL, .ratio = 0.01};
    struct fl_random random;
    struct fl_sidco sidco;
    struct fl_buf kept, payload;
    unsigned least = 99, most = 0;
    fl_random_init(&random, 3, 0);
    fl_buf_init(&kept, 0);
    fl_buf_init(&payload, 1 << 20);
    for (int round = 0; round < 60; round++) {
        struct fl_payload checked;
        int heavy = round / 20 % 2; /* the distribution changes, and the stages have to */
        for (size_t i = 0; i < 20000; i++) {
            double magnitude = -log(fl_random_double(&random));
            p[i] = (float)(heavy ? magnitude * magnitude * magnitude : magnitude);
        }
        float threshold = 0;
        if (round) {
            assert_ok(fl_sidco_init(FL_SIDCO_EXPONENTIAL, params.ratio, &sidco));
            assert_ok(fl_sidco_load(&sidco, (struct fl_bytes){kept.data + FL_CODEC_STATE_HEAD_BYTES,
                                                              kept.size - FL_CODEC_STATE_HEAD_BYTES}));
            least = sidco.stages < least ? sidco.stages : least;
            most = sidco.stages > most ? sidco.stages : most;
            assert_ok(fl_sidco_threshold(&sidco, kernels, p, 20000, &threshold));
        }
        encode_on(params, p, 20000, &kept, &payload);
        assert_ok(fl_payload_check(&params, 20000, fl_buf_view(&payload), &checked));
        if (round) {
            size_t reach = kernels->count_band(p, 20000, threshold, INFINITY);
            assert_int_equal(checked.count, reach < 200 ? reach : 200);
        }
    }
    assert_true(most > least);
    fl_buf_done(&kept);
    fl_buf_done(&payload);
}

/* Each part goes on from what it left itself: as the tensor alone does. */
static void test_parts_keep_a_state_each(void **state)
{
    (void)state;
    static const struct fl_codec_tensor shapes[] = {{8, 5}, {3, 1}, {6, 7}};
    static const struct fl_codec_params whole = {.id = FL_CODEC_POWER_SGD,
                                                 .rank = 1,
                                                 .seed = 3,
                                                 .tensors = shapes,
                                                 .tensor_count = 3,
                                                 .dense_below = 10};
    float p[85], q[85], alone[42];
    struct fl_buf kept, kept_last, payload;
    struct fl_payload checked;
    fl_buf_init(&kept, 0);
    fl_buf_init(&kept_last, 0);
    fl_buf_init(&payload, 1 << 16);
    for (uint64_t round = 0; round < 4; round++) {
        struct fl_codec_params last = {.id = FL_CODEC_POWER_SGD,
                                       .rank = 1,
                                       .seed = fl_mix64(3, 2),
                                       .tensors = &shapes[2],
                                       .tensor_count = 1};
        sample_fill(p, 85, 0.3, round);
        encode_on(whole, p, 85, &kept, &payload);
        assert_int_equal(kept.size, 2 * (4 + FL_CODEC_STATE_HEAD_BYTES) + 4 * (5 + 7));
        assert_true(fl_codec_state_fits(&whole, 85, fl_buf_view(&kept)));
        assert_ok(fl_payload_check(&whole, 85, fl_buf_view(&payload), &checked));
        fl_payload_decode(&checked, q);
        encode_on(last, p + 43, 42, &kept_last, &payload);
        assert_ok(fl_payload_check(&last, 42, fl_buf_view(&payload), &checked));
        fl_payload_decode(&checked, alone);
        assert_memory_equal(q + 43, alone, sizeof alone);
        assert_memory_equal(q + 40, p + 40, 3 * sizeof *p);
    }
    fl_buf_done(&kept);
    fl_buf_done(&kept_last);
    fl_buf_done(&payload);
}

static size_t levels_in(const struct fl_buf *payload, size_t dim)
{
    return (size_t)payload->data[dim < 128 ? 4 : 5] + 1; /* kind, d, forms, bucket of one byte */
}

static void test_adaqs_doubles_its_levels_as_the_mean_fades(void **state)
{
    (void)state;
    float p[100];
    const struct fl_codec_params params = {.id = FL_CODEC_ADAQS, .bits = 4, .bucket = 50};
    struct fl_buf kept, payload;
    fl_buf_init(&kept, 0);
    fl_buf_init(&payload, 1 << 16);
    for (int round = 1; round <= 25; round++) {
        /* mean over sigma is 1 in the first period, then a quarter of it in each: halved, and never again */
        float mean = round <= 5 ? 1 : round <= 15 ? 0.25f : 0.01f;
        size_t expected = round < 10 ? 3 : round < 20 ? 5 : 9;
        for (size_t i = 0; i < 100; i++)
            p[i] = mean + (i % 2 ? 1.0f : -1.0f);
        encode_on(params, p, 100, &kept, &payload);
        assert_int_equal(levels_in(&payload, 100), expected);
    }
    fl_buf_done(&kept);
    fl_buf_done(&payload);
}

static void test_dqsgd_takes_levels_by_the_norm(void **state)
{
    (void)state;
    static const struct {
        float scale;
        size_t levels;
    } rounds[] = {{8, 15}, {8, 15}, {4, 9}, {2, 5}, {0.01f, 3}, {0, 3}, {100, 15}};
    float p[100];
    const struct fl_codec_params params = {.id = FL_CODEC_DQSGD, .bits = 4, .bucket = 50};
    struct fl_buf kept, payload;
    fl_buf_init(&kept, 0);
    fl_buf_init(&payload, 1 << 16);
    for (size_t r = 0; r < sizeof rounds / sizeof rounds[0]; r++) {
        for (size_t i = 0; i < 100; i++)
            p[i] = rounds[r].scale * (i % 3 ? 1.0f : -1.0f);
        encode_on(params, p, 100, &kept, &payload);
        assert_int_equal(levels_in(&payload, 100), rounds[r].levels);
    }
    fl_buf_done(&kept);
    fl_buf_done(&payload);
}

static void test_failures_leave_the_payload(void **state)
{
    (void)state;
    static float p[SAMPLE_DIM];
    const struct fl_codec_params *rows[16];
    size_t count = with_state(rows);
    sample_fill(p, SAMPLE_DIM, 0.1, 4);
    for (size_t r = 0; r < count; r++) {
        for (size_t allocations = 0;; allocations++) {
            struct fl_buf next, payload;
            struct fl_codec_params params = *rows[r];
            struct fl_codec_state kept = {.next = &next};
            long before = fl_live_allocations();
            params.state = &kept;
            fl_buf_init(&next, fl_codec_state_limit(rows[r], SAMPLE_DIM));
            fl_buf_init(&payload, 1 << 20);
            fl_fail_alloc_after(allocations);
            enum fl_status st = fl_codec_encode(fl_kernels_pick(), &params, p, SAMPLE_DIM, &payload);
            fl_fail_alloc_never();
            assert_int_equal(payload.size != 0, st == FL_OK);
            fl_buf_done(&next);
            fl_buf_done(&payload);
            assert_int_equal(fl_live_allocations(), before);
            if (!st)
                break;
            assert_status(st, FL_ERR_NOMEM);
        }
        struct fl_buf next, payload;
        struct fl_codec_params params = *rows[r];
        struct fl_codec_state kept = {.next = &next};
        params.state = &kept;
        fl_buf_init(&next, FL_CODEC_STATE_HEAD_BYTES + 7);
        fl_buf_init(&payload, 1 << 20);
        assert_status(fl_codec_encode(fl_kernels_pick(), &params, p, SAMPLE_DIM, &payload), FL_ERR_LIMIT);
        assert_int_equal(payload.size, 0);
        fl_buf_done(&next);
        fl_buf_done(&payload);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_these_codecs_keep_something),
        cmocka_unit_test(test_a_state_fits_its_own_codec_model_and_settings_only),
        cmocka_unit_test(test_damaged_bytes_are_a_fresh_start),
        cmocka_unit_test(test_power_sgd_starts_from_its_last_factor),
        cmocka_unit_test(test_sidco_follows_its_stages),
        cmocka_unit_test(test_parts_keep_a_state_each),
        cmocka_unit_test(test_adaqs_doubles_its_levels_as_the_mean_fades),
        cmocka_unit_test(test_dqsgd_takes_levels_by_the_norm),
        cmocka_unit_test(test_failures_leave_the_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
