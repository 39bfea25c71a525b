/* protocol/messages: every message there and back, at ordinary and extreme values, and what is refused. */
#include "test.h"

#include <math.h>

#include "fail_alloc.h"
#include "samples.h"

/* One entry a message: encode a sample, or decode bytes and encode what they say. */
typedef enum fl_status (*sample_fn)(int extreme, struct fl_buf *buf);
typedef enum fl_status (*again_fn)(struct fl_bytes bytes, struct fl_buf *buf);

#define MESSAGE(noun, sample)                                                                                \
    static enum fl_status sample##_encode(int extreme, struct fl_buf *buf)                                   \
    {                                                                                                        \
        struct fl_##noun message = sample(extreme);                                                          \
        return fl_##noun##_encode(&message, buf);                                                            \
    }                                                                                                        \
    static enum fl_status sample##_again(struct fl_bytes bytes, struct fl_buf *buf)                          \
    {                                                                                                        \
        struct fl_##noun message;                                                                            \
        enum fl_status st = fl_##noun##_decode(bytes, &message);                                             \
        return st ? st : fl_##noun##_encode(&message, buf);                                                  \
    }

MESSAGE(enroll_request, sample_enroll_request)
MESSAGE(enroll_answer, sample_enroll_answer)
MESSAGE(run_info, sample_run_info)
MESSAGE(work, sample_work)
MESSAGE(update, sample_update)
MESSAGE(update, sample_calibration)
MESSAGE(verdict, sample_verdict)
MESSAGE(proof, sample_proof)
MESSAGE(standing, sample_standing)
MESSAGE(model_message, sample_model_message)

static enum fl_status sample_run_list_encode(int extreme, struct fl_buf *buf)
{
    struct fl_run_info runs[2] = {sample_run_info(0), sample_run_info(1)};
    return fl_run_list_encode(runs, extreme ? 2 : 0, buf);
}

static enum fl_status sample_run_list_again(struct fl_bytes bytes, struct fl_buf *buf)
{
    struct fl_run_info runs[2];
    size_t count;
    enum fl_status st = fl_run_list_decode(bytes, runs, 2, &count);
    return st ? st : fl_run_list_encode(runs, count, buf);
}

static const struct {
    const char *name;
    sample_fn encode;
    again_fn again;
} messages[] = {
#define ROW(name)                                                                                            \
    {                                                                                                        \
#name, sample_##name##_encode, sample_##name##_again                                                 \
    }
    ROW(enroll_request), ROW(enroll_answer), ROW(run_info), ROW(work),
    ROW(update),         ROW(calibration),   ROW(verdict),  ROW(proof),
    ROW(standing),       ROW(model_message), ROW(run_list),
#undef ROW
};
#define MESSAGE_COUNT (sizeof messages / sizeof messages[0])
#define BUF_LIMIT     (1 << 16)

/* Decodes a copy of exactly size bytes, so that a sanitizer sees every read past the end. */
static enum fl_status again_exact(size_t which, const uint8_t *data, size_t size, struct fl_buf *buf)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    enum fl_status st = messages[which].again((struct fl_bytes){copy, size}, buf);
    free(copy);
    return st;
}

static void test_every_message_comes_back_as_it_went(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * MESSAGE_COUNT; i++) {
        struct fl_buf first, second;
        fl_buf_init(&first, BUF_LIMIT);
        fl_buf_init(&second, BUF_LIMIT);
        assert_ok(messages[i / 2].encode(i & 1, &first));
        assert_ok(again_exact(i / 2, first.data, first.size, &second));
        assert_int_equal(first.size, second.size);
        assert_memory_equal(first.data, second.data, first.size);
        fl_buf_done(&first);
        fl_buf_done(&second);
    }
}

static void test_fields_come_back_one_by_one(void **state)
{
    (void)state;
    struct fl_buf buf;
    fl_buf_init(&buf, BUF_LIMIT);
    struct fl_update sent = sample_update(0), got;
    assert_ok(fl_update_encode(&sent, &buf));
    assert_ok(fl_update_decode(fl_buf_view(&buf), &got));
    assert_int_equal(got.kind, sent.kind);
    assert_int_equal(got.round, sent.round);
    assert_true(fl_version_equal(&got.base, &sent.base));
    assert_int_equal(got.weight, sent.weight);
    assert_int_equal(got.steps, sent.steps);
    assert_true(got.train_loss == sent.train_loss && got.delta_squares == sent.delta_squares);
    assert_true(got.residual_norm == sent.residual_norm && got.dropped == sent.dropped);
    assert_int_equal(got.metrics.examples, sent.metrics.examples);
    assert_int_equal(got.metrics.correct, sent.metrics.correct);
    assert_true(got.metrics.loss_sum == sent.metrics.loss_sum);
    assert_true(fl_bytes_equal(got.payload, sent.payload));

    struct fl_work work = sample_work(1), got_work;
    fl_buf_clear(&buf);
    assert_ok(fl_work_encode(&work, &buf));
    assert_ok(fl_work_decode(fl_buf_view(&buf), &got_work));
    assert_int_equal(got_work.kind, FL_WORK_CALIBRATE);
    assert_int_equal(got_work.seq, UINT64_MAX);
    assert_int_equal(got_work.plan.batch, FL_LIMIT_BATCH);
    assert_true(got_work.plan.momentum == 0x1.fffffep-1f);
    assert_int_equal(got_work.codec.step_log2, -200);
    assert_string_equal(got_work.codec.name, work.codec.name);
    assert_string_equal(got_work.codec.part, work.codec.part);
    assert_int_equal(got_work.codec.dense_below, UINT32_MAX);

    struct fl_run_info info = sample_run_info(1), got_info;
    fl_buf_clear(&buf);
    assert_ok(fl_run_info_encode(&info, &buf));
    assert_ok(fl_run_info_decode(fl_buf_view(&buf), &got_info));
    assert_int_equal(got_info.state, FL_RUN_ENDED);
    assert_int_equal(got_info.model.hidden_count, FL_LIMIT_HIDDEN_LAYERS);
    assert_memory_equal(got_info.model.hidden, info.model.hidden, sizeof info.model.hidden);

    struct fl_model_message model = sample_model_message(1), got_model;
    fl_buf_clear(&buf);
    assert_ok(fl_model_message_encode(&model, &buf));
    assert_ok(fl_model_message_decode(fl_buf_view(&buf), &got_model));
    assert_int_equal(got_model.form, FL_FORM_DELTA);
    assert_true(fl_version_equal(&got_model.from, &model.from));
    fl_buf_done(&buf);
}

static void test_messages_stay_small(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t most;
    } cases[] = {{"update", 130 + 16}, {"calibration", 140}, {"work", 130}, {"verdict", 110}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t j = 0; j < MESSAGE_COUNT; j++)
            if (strcmp(cases[i].name, messages[j].name) == 0) {
                struct fl_buf buf;
                fl_buf_init(&buf, BUF_LIMIT);
                assert_ok(messages[j].encode(0, &buf));
                assert_in_range(buf.size, 1, cases[i].most);
                fl_buf_done(&buf);
            }
}

static void test_head_of_an_update_and_run_list_stay_under_their_limits(void **state)
{
    (void)state;
    struct fl_buf buf;
    fl_buf_init(&buf, FL_LIMIT_RUN_LIST_BYTES);
    struct fl_update update = sample_update(1);
    assert_ok(fl_update_encode(&update, &buf));
    assert_in_range(buf.size - update.payload.size, 1, FL_LIMIT_UPDATE_HEAD_BYTES);
    static struct fl_run_info runs[FL_LIMIT_RUNS + 1];
    for (size_t i = 0; i < FL_LIMIT_RUNS + 1; i++)
        runs[i] = sample_run_info(1);
    fl_buf_clear(&buf);
    assert_ok(fl_run_list_encode(runs, FL_LIMIT_RUNS, &buf));
    size_t count, before = buf.size;
    assert_status(fl_run_list_encode(runs, FL_LIMIT_RUNS + 1, &buf), FL_ERR_LIMIT);
    assert_int_equal(buf.size, before);
    assert_ok(fl_run_list_decode(fl_buf_view(&buf), runs, FL_LIMIT_RUNS, &count));
    assert_int_equal(count, FL_LIMIT_RUNS);
    assert_status(fl_run_list_decode(fl_buf_view(&buf), runs, FL_LIMIT_RUNS - 1, &count), FL_ERR_LIMIT);
    fl_buf_done(&buf);
}

static void test_every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * MESSAGE_COUNT; i++) {
        struct fl_buf buf, again;
        fl_buf_init(&buf, BUF_LIMIT);
        fl_buf_init(&again, BUF_LIMIT);
        assert_ok(messages[i / 2].encode(i & 1, &buf));
        for (size_t size = 0; size < buf.size; size++)
            assert_status(again_exact(i / 2, buf.data, size, &again), FL_ERR_TRUNCATED);
        fl_buf_done(&buf);
        fl_buf_done(&again);
    }
}

/* Whatever a flipped byte turns a message into: it is refused, or it is a message that comes back as it went.
 */
static void test_every_flipped_byte_is_survived(void **state)
{
    (void)state;
    static const uint8_t flips[] = {0x01, 0x10, 0x7f, 0x80, 0xff};
    for (size_t i = 0; i < 2 * MESSAGE_COUNT; i++) {
        struct fl_buf buf, first, second;
        fl_buf_init(&buf, BUF_LIMIT);
        fl_buf_init(&first, BUF_LIMIT);
        fl_buf_init(&second, BUF_LIMIT);
        assert_ok(messages[i / 2].encode(i & 1, &buf));
        for (size_t at = 0; at < buf.size; at++)
            for (size_t f = 0; f < sizeof flips; f++) {
                buf.data[at] ^= flips[f];
                fl_buf_clear(&first);
                fl_buf_clear(&second);
                if (again_exact(i / 2, buf.data, buf.size, &first) == FL_OK) {
                    assert_ok(again_exact(i / 2, first.data, first.size, &second));
                    assert_true(fl_bytes_equal(fl_buf_view(&first), fl_buf_view(&second)));
                }
                buf.data[at] ^= flips[f];
            }
        fl_buf_done(&buf);
        fl_buf_done(&first);
        fl_buf_done(&second);
    }
}

static void test_messages_survive_failed_allocations(void **state)
{
    (void)state;
    long before = fl_live_allocations();
    for (size_t i = 0; i < 2 * MESSAGE_COUNT; i++)
        for (size_t k = 0;; k++) {
            struct fl_buf buf;
            fl_buf_init(&buf, BUF_LIMIT);
            fl_fail_alloc_after(k);
            enum fl_status st = messages[i / 2].encode(i & 1, &buf);
            fl_fail_alloc_never();
            if (st) {
                assert_status(st, FL_ERR_NOMEM);
                assert_int_equal(buf.size, 0);
            }
            fl_buf_done(&buf);
            assert_int_equal(fl_live_allocations(), before);
            if (!st)
                break;
        }
}

static void test_encoders_refuse_what_decoders_would(void **state)
{
    (void)state;
    struct fl_update update[8];
    for (size_t i = 0; i < 8; i++)
        update[i] = sample_update(0);
    update[0].weight = 0;
    update[1].weight = FL_LIMIT_WEIGHT + 1;
    update[2].residual_norm = NAN;
    update[3].train_loss = INFINITY;
    update[4].metrics.correct = update[4].metrics.examples + 1;
    update[5].kind = FL_WORK_CALIBRATE; /* with a payload */
    update[6].residual_norm = -1;
    update[7].kind = (enum fl_work_kind)2;
    static const enum fl_status expected[8] = {FL_ERR_RANGE,      FL_ERR_RANGE, FL_ERR_NOT_FINITE,
                                               FL_ERR_NOT_FINITE, FL_ERR_RANGE, FL_ERR_RANGE,
                                               FL_ERR_RANGE,      FL_ERR_RANGE};
    struct fl_buf buf;
    fl_buf_init(&buf, BUF_LIMIT);
    assert_ok(fl_buf_append(&buf, "kept", 4));
    for (size_t i = 0; i < 8; i++) {
        assert_status(fl_update_encode(&update[i], &buf), expected[i]);
        assert_int_equal(buf.size, 4);
    }
    struct fl_model_message model = sample_model_message(1);
    model.from.number = model.version.number;
    assert_status(fl_model_message_encode(&model, &buf), FL_ERR_RANGE);
    model = sample_model_message(0);
    model.elems = 5;
    assert_status(fl_model_message_encode(&model, &buf), FL_ERR_SHAPE);
    struct fl_verdict verdict = sample_verdict(0);
    strcpy(verdict.reason, "two\nlines");
    assert_status(fl_verdict_encode(&verdict, &buf), FL_ERR_FORMAT);
    struct fl_work work = sample_work(0);
    work.plan.steps = 0;
    assert_status(fl_work_encode(&work, &buf), FL_ERR_RANGE);
    work = sample_work(0);
    work.codec.dense_below = 64; /* without parts */
    assert_status(fl_work_encode(&work, &buf), FL_ERR_RANGE);
    strcpy(work.codec.name, FL_CODEC_SPEC_PARTS); /* of nothing */
    assert_status(fl_work_encode(&work, &buf), FL_ERR_RANGE);
    struct fl_run_info info = sample_run_info(0);
    strcpy(info.name, "../up");
    assert_status(fl_run_info_encode(&info, &buf), FL_ERR_FORMAT);
    fl_buf_done(&buf);
}

static void test_verdicts_have_a_name_and_a_status(void **state)
{
    (void)state;
    static const struct {
        enum fl_verdict_kind kind;
        const char *name;
        int status;
    } cases[] = {{FL_VERDICT_ACCEPTED, "accepted", 201},
                 {FL_VERDICT_LATE, "late", 409},
                 {FL_VERDICT_ENDED, "ended", 410},
                 {FL_VERDICT_INVALID, "invalid", 422},
                 {FL_VERDICT_CONFLICT, "conflict", 412}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(fl_verdict_name(cases[i].kind), cases[i].name);
        assert_int_equal(fl_verdict_http_status(cases[i].kind), cases[i].status);
    }
}

static void test_version_text(void **state)
{
    (void)state;
    struct fl_version extreme = sample_version(1), back;
    char text[FL_VERSION_TEXT_BYTES];
    fl_version_to_text(&extreme, text);
    assert_string_equal(text, "18446744073709551615.18446744073709551615.ffffffffffffffffffffffffffffffff");
    assert_ok(fl_version_from_text(text, &back));
    assert_true(fl_version_equal(&extreme, &back));
    static const struct {
        const char *text;
        enum fl_status expected;
    } cases[] = {
        {"0.0.00000000000000000000000000000000", FL_OK},
        {"", FL_ERR_FORMAT},
        {"1", FL_ERR_FORMAT},
        {"1.2", FL_ERR_FORMAT},
        {"1.2.", FL_ERR_FORMAT},
        {"1.2.0000000000000000000000000000000", FL_ERR_FORMAT},
        {"1.2.000000000000000000000000000000000", FL_ERR_FORMAT},
        {"1.2.0000000000000000000000000000000g", FL_ERR_FORMAT},
        {".2.00000000000000000000000000000000", FL_ERR_FORMAT},
        {"01.2.00000000000000000000000000000000", FL_ERR_FORMAT},
        {"-1.2.00000000000000000000000000000000", FL_ERR_FORMAT},
        {"1.18446744073709551616.00000000000000000000000000000000", FL_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_status(fl_version_from_text(cases[i].text, &back), cases[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_comes_back_as_it_went),
        cmocka_unit_test(test_fields_come_back_one_by_one),
        cmocka_unit_test(test_messages_stay_small),
        cmocka_unit_test(test_head_of_an_update_and_run_list_stay_under_their_limits),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_every_flipped_byte_is_survived),
        cmocka_unit_test(test_messages_survive_failed_allocations),
        cmocka_unit_test(test_encoders_refuse_what_decoders_would),
        cmocka_unit_test(test_verdicts_have_a_name_and_a_status),
        cmocka_unit_test(test_version_text),
    };
    return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}
