/* Verdicts on updates: a table of everything wrong beside what is right, replays, lateness. */
#include "test.h"

#include <math.h>

#include "bench.h"
#include "server/core/intake.h"

/* A run of two clients that waits for both, so one update never closes the round. */
static struct bench *start(struct fl_run_spec *ret_spec, uint64_t rounds)
{
    struct bench *bench = calloc(1, sizeof *bench);

    bench_init(bench, 0);
    bench_enrol(bench, 2);
    *ret_spec = bench_spec("run", 2, rounds);
    bench_create_run(bench, ret_spec);
    return bench;
}

static void stop(struct bench *bench)
{
    bench_done(bench);
    free(bench);
}

/* Both clients ask; the round opens. */
static void both_get_work(struct bench *bench, const struct fl_run_spec *spec, struct fl_work work[2])
{
    struct fl_request *request;
    uint64_t tickets[2];

    for (int i = 0; i < 2; i++) {
        tickets[i] = bench_request(bench, FL_REQUEST_WORK, spec->name, i, &request);
        request->wait_ms = 60000;
    }
    assert_ok(bench_turn(bench, 1));
    for (int i = 0; i < 2; i++) {
        assert_non_null(bench_answer(bench, tickets[i]));
        assert_ok(fl_work_decode(fl_shared_view(bench_answer(bench, tickets[i])->body), &work[i]));
    }
}

static struct fl_verdict put_update(struct bench *bench, const char *run, size_t client, uint64_t seq,
                                    const struct fl_update *update, int *ret_http_status)
{
    struct fl_buf body;

    fl_buf_init(&body, 1 << 20);
    assert_ok(fl_update_encode(update, &body));
    const struct bench_answer *answer = bench_put(bench, run, client, seq, fl_buf_view(&body));
    *ret_http_status = answer->http_status;
    fl_buf_done(&body);
    return bench_verdict(answer);
}

enum spoil {
    NOTHING,
    OTHER_EPOCH,
    SEQ_ZERO,
    SEQ_GAP,
    ROUND_AHEAD,
    ROUND_NOT_ASSIGNED,
    OTHER_KIND,
    BASE_NUMBER,
    BASE_DIGEST,
    PAYLOAD_EMPTY,
    PAYLOAD_CUT,
    PAYLOAD_LONG,
    PAYLOAD_OTHER_CODEC,
    PAYLOAD_OTHER_LAMBDA,
};

static void test_R3_every_verdict_by_table(void **state)
{
    (void)state;
    static const struct {
        enum spoil spoil;
        int http_status;
        enum fl_verdict_kind kind;
        int consumes; /* the sequence number */
    } cases[] = {
        {NOTHING, 201, FL_VERDICT_ACCEPTED, 1},
        {OTHER_EPOCH, 412, FL_VERDICT_CONFLICT, 0},
        {SEQ_ZERO, 412, FL_VERDICT_CONFLICT, 0},
        {SEQ_GAP, 412, FL_VERDICT_CONFLICT, 0},
        {ROUND_AHEAD, 422, FL_VERDICT_INVALID, 1},
        {ROUND_NOT_ASSIGNED, 422, FL_VERDICT_INVALID, 1},
        {OTHER_KIND, 409, FL_VERDICT_LATE, 1}, /* calibration is over, or never was */
        {BASE_NUMBER, 422, FL_VERDICT_INVALID, 1},
        {BASE_DIGEST, 422, FL_VERDICT_INVALID, 1},
        {PAYLOAD_EMPTY, 422, FL_VERDICT_INVALID, 1},
        {PAYLOAD_CUT, 422, FL_VERDICT_INVALID, 1},
        {PAYLOAD_LONG, 422, FL_VERDICT_INVALID, 1},
        {PAYLOAD_OTHER_CODEC, 422, FL_VERDICT_INVALID, 1},
        {PAYLOAD_OTHER_LAMBDA, 422, FL_VERDICT_INVALID, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_run_spec spec, other;
        struct bench *bench = start(&spec, 3);
        struct fl_work work[2], wrong;
        struct fl_buf payload;
        int http_status;
        both_get_work(bench, &spec, work);
        fl_buf_init(&payload, 1 << 20);
        struct fl_update update = bench_update(&spec, 0, &work[0], &payload);
        uint64_t seq = work[0].seq;
        assert_int_equal(seq, 1);
        switch (cases[i].spoil) {
        case NOTHING:
            break;
        case OTHER_EPOCH:
            update.base.epoch++;
            break;
        case SEQ_ZERO:
            seq = 0;
            break;
        case SEQ_GAP:
            seq = 2;
            break;
        case ROUND_AHEAD:
            update.round = 2;
            break;
        case ROUND_NOT_ASSIGNED:
            update.round = 0;
            break;
        case OTHER_KIND:
            update.kind = FL_WORK_CALIBRATE;
            update.payload.size = 0;
            break;
        case BASE_NUMBER:
            update.base.number = 1;
            break;
        case BASE_DIGEST:
            update.base.digest.bytes[3] ^= 1;
            break;
        case PAYLOAD_EMPTY:
            update.payload.size = 0;
            break;
        case PAYLOAD_CUT:
            update.payload.size--;
            break;
        case PAYLOAD_LONG:
            assert_ok(fl_buf_append(&payload, "x", 1));
            update.payload = fl_buf_view(&payload);
            break;
        case PAYLOAD_OTHER_CODEC:
            other = spec;
            strcpy(other.codec.name, "dense");
            fl_buf_clear(&payload);
            update = bench_update(&other, 0, &work[0], &payload);
            break;
        case PAYLOAD_OTHER_LAMBDA:
            wrong = work[0];
            wrong.codec.lambda *= 2;
            wrong.codec.step_log2++;
            fl_buf_clear(&payload);
            update = bench_update(&spec, 0, &wrong, &payload);
            break;
        }
        struct fl_verdict verdict = put_update(bench, "run", 0, seq, &update, &http_status);
        assert_int_equal(http_status, cases[i].http_status);
        assert_int_equal(verdict.kind, cases[i].kind);
        assert_int_equal(verdict.seq, seq);
        assert_int_equal(verdict.epoch, work[0].base.epoch);
        assert_int_equal(verdict.expected_seq, cases[i].consumes ? 2 : 1);
        assert_int_equal(verdict.reason[0] == '\0', cases[i].kind == FL_VERDICT_ACCEPTED);
        /* what is terminal is durable: the server knows it after a crash */
        bench_restart(bench);
        put_update(bench, "run", 0, seq, &update, &http_status);
        assert_int_equal(http_status, cases[i].http_status == 201 ? 200 : cases[i].http_status);
        fl_buf_done(&payload);
        stop(bench);
    }
}

static void test_body_that_is_no_update_consumes_nothing(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct bench *bench = start(&spec, 3);
    struct fl_work work[2];
    struct fl_buf body;
    static const char *const bodies[] = {"", "\xc1", "garbage", "\x81\xa1v\x09", "\x80"};

    both_get_work(bench, &spec, work);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const struct bench_answer *answer = bench_put(bench, "run", 0, 1, fl_bytes_from_text(bodies[i]));
        assert_int_equal(answer->http_status, 400);
        assert_true(answer->text[0] != '\0');
    }
    fl_buf_init(&body, 1 << 20);
    bench_update_body(&spec, 0, &work[0], &body);
    for (size_t size = 0; size < body.size; size += 7)
        assert_int_equal(bench_put(bench, "run", 0, 1, (struct fl_bytes){body.data, size})->http_status, 400);
    assert_int_equal(bench_put(bench, "run", 0, 1, fl_buf_view(&body))->http_status, 201);
    fl_buf_done(&body);
    stop(bench);
}

static void test_R1_R2_R4_same_seq_and_digest_same_verdict(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct bench *bench = start(&spec, 3);
    struct fl_work work[2];
    struct fl_buf body, other;
    uint8_t digest[FL_DIGEST_SIZE], nothing[FL_DIGEST_SIZE] = {0};
    const struct bench_answer *answer;

    both_get_work(bench, &spec, work);
    fl_buf_init(&body, 1 << 20);
    fl_buf_init(&other, 1 << 20);
    bench_update_body(&spec, 0, &work[0], &body);
    bench_update_body(&spec, 1, &work[0], &other);
    answer = bench_put(bench, "run", 0, 1, fl_buf_view(&body));
    assert_int_equal(answer->http_status, 201);
    struct fl_shared *first = fl_shared_ref(answer->body);
    struct fl_verdict verdict = bench_verdict(answer);
    fl_sha256(fl_buf_view(&body), digest);
    assert_memory_equal(verdict.digest, digest, sizeof digest); /* R4: it echoes what was judged */
    assert_memory_not_equal(verdict.receipt, nothing, sizeof nothing);
    for (int i = 0; i < 3; i++) {
        answer = bench_put(bench, "run", 0, 1, fl_buf_view(&body));
        assert_int_equal(answer->http_status, 200);
        assert_true(fl_bytes_equal(fl_shared_view(answer->body), fl_shared_view(first)));
        if (i == 1)
            bench_restart(bench);
    }
    answer = bench_put(bench, "run", 0, 1, fl_buf_view(&other)); /* a fork */
    assert_int_equal(answer->http_status, 412);
    verdict = bench_verdict(answer);
    assert_memory_equal(verdict.receipt, nothing, sizeof nothing);
    assert_int_equal(verdict.expected_seq, 2);
    assert_int_equal(bench_put(bench, "run", 0, 2, fl_buf_view(&body))->http_status, 422); /* one a round */
    assert_int_equal(bench_put(bench, "run", 0, 1, fl_buf_view(&body))->http_status, 412); /* seq is past */
    assert_int_equal(bench_status(bench, "run").updates_accepted, 1);
    assert_int_equal(bench_status(bench, "run").updates_invalid, 1);
    fl_shared_unref(first);
    fl_buf_done(&body);
    fl_buf_done(&other);
    stop(bench);
}

static void test_weight_and_norm_and_value_limits(void **state)
{
    (void)state;
    static const struct {
        uint64_t weight;
        double norm_limit;
        const char *codec;
        float spike; /* added to the first value of a dense payload */
        int http_status;
    } cases[] = {
        {1, 0, "int-threshold", 0, 201},   {FL_LIMIT_WEIGHT, 0, "int-threshold", 0, 201},
        {1, 100, "int-threshold", 0, 201}, {1, 0.01, "int-threshold", 0, 422},
        {1, 0, "dense", 9e29f, 201},       {1, 0, "dense", 1.1e30f, 422},
        {1, 0, "dense", INFINITY, 422},    {1, 0, "dense", NAN, 422},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench *bench = calloc(1, sizeof *bench);
        struct fl_run_spec spec = bench_spec("run", 2, 2);
        struct fl_work work[2];
        struct fl_buf payload;
        int http_status;
        bench_init(bench, 0);
        bench_enrol(bench, 2);
        spec.norm_limit = cases[i].norm_limit;
        strcpy(spec.codec.name, cases[i].codec);
        bench_create_run(bench, &spec);
        both_get_work(bench, &spec, work);
        fl_buf_init(&payload, 1 << 20);
        struct fl_update update = bench_update(&spec, 0, &work[0], &payload);
        update.weight = cases[i].weight;
        if (cases[i].spike != 0) /* the last value stands at the end of a dense payload */
            memcpy(payload.data + payload.size - 4, &cases[i].spike, 4);
        put_update(bench, "run", 0, 1, &update, &http_status);
        assert_int_equal(http_status, cases[i].http_status);
        fl_buf_done(&payload);
        stop(bench);
    }
}

/* One client's number must not decide a run's lambda by being absurd. */
static void test_norm_limit_holds_for_calibration_too(void **state)
{
    (void)state;
    static const struct {
        double norm_limit, delta_squares;
        int http_status;
    } cases[] = {{0, 4, 201}, {2, 4, 201}, {1.9, 4, 422}, {0, 1e60, 201}, {0, 1e100, 422}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench *bench = calloc(1, sizeof *bench);
        struct fl_run_spec spec = bench_spec("run", 2, 2);
        struct fl_work work[2];
        struct fl_buf payload;
        int http_status;
        bench_init(bench, 0);
        bench_enrol(bench, 2);
        spec.norm_limit = cases[i].norm_limit;
        spec.codec.lambda = 0;
        bench_create_run(bench, &spec);
        both_get_work(bench, &spec, work);
        fl_buf_init(&payload, 1 << 20);
        struct fl_update update = bench_update(&spec, 0, &work[0], &payload);
        update.payload = (struct fl_bytes){NULL, 0};
        update.delta_squares = cases[i].delta_squares;
        put_update(bench, "run", 0, 1, &update, &http_status);
        assert_int_equal(http_status, cases[i].http_status);
        fl_buf_done(&payload);
        stop(bench);
    }
}

/* An update that nobody asked for, once its client has done its part, makes no room for another client:
 * not at once, and not after a restart either. */
static void test_unasked_updates_leave_the_cohort_alone(void **state)
{
    (void)state;
    struct bench *bench = calloc(1, sizeof *bench);
    struct fl_run_spec spec = bench_spec("run", 2, 2);
    struct fl_work work[2];
    struct fl_buf body;

    bench_init(bench, 1);
    bench_enrol(bench, 3);
    bench_create_run(bench, &spec);
    both_get_work(bench, &spec, work);
    fl_buf_init(&body, 1 << 20);
    bench_update_body(&spec, 0, &work[0], &body);
    assert_int_equal(bench_put(bench, "run", 0, 1, fl_buf_view(&body))->http_status, 201);
    assert_int_equal(bench_put(bench, "run", 0, 2, fl_buf_view(&body))->http_status, 422);
    for (int restarts = 0; restarts < 2; restarts++) {
        struct fl_request *request;
        uint64_t ticket = bench_request(bench, FL_REQUEST_WORK, "run", 2, &request);
        request->wait_ms = 100;
        assert_ok(bench_turn(bench, 1));
        assert_null(bench_answer(bench, ticket));
        assert_ok(bench_turn(bench, 100));
        assert_int_equal(bench_answer(bench, ticket)->http_status, 204);
        bench_restart(bench);
    }
    fl_buf_done(&body);
    stop(bench);
}

static void test_R6_late_is_accepted_up_to_max_late_and_enters_one_later_sum(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct bench *bench = start(&spec, 6);
    struct fl_work work[2], fast;
    struct fl_buf bodies[2], body;
    uint64_t receipts;

    fl_buf_init(&body, 1 << 20);
    for (int i = 0; i < 2; i++)
        fl_buf_init(&bodies[i], 1 << 20);
    both_get_work(bench, &spec, work);
    bench_update_body(&spec, 0, &work[0], &bodies[0]);
    bench_update_body(&spec, 1, &work[1], &bodies[1]);
    assert_int_equal(bench_put(bench, "run", 0, 1, fl_buf_view(&bodies[0]))->http_status, 201);
    assert_ok(bench_turn(bench, spec.deadline_ms)); /* closes with one of two */
    assert_ok(bench_turn(bench, 1));
    assert_int_equal(bench_status(bench, "run").info.version.number, 1);
    fast = bench_get_work(bench, &spec, 0); /* minimum is 1: the next round opens for client 0 alone */
    assert_int_equal(fast.round, 2);
    const struct bench_answer *answer = bench_put(bench, "run", 1, 1, fl_buf_view(&bodies[1]));
    assert_int_equal(answer->http_status, 201); /* one round late */
    assert_int_equal(bench_verdict(answer).round, 1);
    bench_update_body(&spec, 0, &fast, &body);
    assert_int_equal(bench_put(bench, "run", 0, 2, fl_buf_view(&body))->http_status, 201);
    assert_ok(bench_turn(bench, spec.deadline_ms));
    assert_ok(bench_turn(bench, 1));
    answer = bench_ask(bench, FL_REQUEST_RUN_STATUS, "run", -1);
    assert_int_equal(answer->rounds[1].accepted, 2);
    assert_int_equal(answer->rounds[1].metrics.examples,
                     20); /* metrics of the late one are of an older base */

    struct fl_work slow = bench_get_work(bench, &spec, 1); /* round 3 */
    for (uint64_t round = 3; round < 5; round++) {
        fast = bench_get_work(bench, &spec, 0);
        assert_int_equal(fast.round, round);
        fl_buf_clear(&body);
        bench_update_body(&spec, 0, &fast, &body);
        assert_int_equal(bench_put(bench, "run", 0, fast.seq, fl_buf_view(&body))->http_status, 201);
        assert_ok(bench_turn(bench, spec.deadline_ms));
        assert_ok(bench_turn(bench, 1));
    }
    fl_buf_clear(&body);
    bench_update_body(&spec, 1, &slow, &body);
    answer = bench_put(bench, "run", 1, slow.seq, fl_buf_view(&body)); /* round 5 now: two late */
    assert_int_equal(answer->http_status, 409);
    assert_int_equal(bench_verdict(answer).kind, FL_VERDICT_LATE);
    assert_int_equal(bench_put(bench, "run", 1, slow.seq, fl_buf_view(&body))->http_status, 409);
    assert_int_equal(bench_status(bench, "run").updates_late, 1);

    struct fl_version version;
    double *x = bench_read_x(bench, &spec, &version, NULL);
    double *replayed = bench_replay_x(bench, &spec, &receipts);
    assert_memory_equal(x, replayed, (size_t)fl_model_spec_elems(&spec.model) * sizeof *x);
    assert_int_equal(receipts, 5);
    free(x);
    free(replayed);
    for (int i = 0; i < 2; i++)
        fl_buf_done(&bodies[i]);
    fl_buf_done(&body);
    stop(bench);
}

static void test_R3_after_the_end_410_consumes_the_seq_durably(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct bench *bench = start(&spec, 1);
    struct fl_work work[2];
    struct fl_buf body;

    fl_buf_init(&body, 1 << 20);
    both_get_work(bench, &spec, work);
    bench_update_body(&spec, 0, &work[0], &body);
    assert_int_equal(bench_put(bench, "run", 0, 1, fl_buf_view(&body))->http_status, 201);
    bench_ask(bench, FL_REQUEST_RUN_STOP, "run", -1);
    fl_buf_clear(&body);
    bench_update_body(&spec, 1, &work[1], &body);
    const struct bench_answer *answer = bench_put(bench, "run", 1, 1, fl_buf_view(&body));
    assert_int_equal(answer->http_status, 410);
    assert_int_equal(bench_verdict(answer).kind, FL_VERDICT_ENDED);
    assert_int_equal(bench_verdict(answer).expected_seq, 2);
    bench_restart(bench);
    assert_int_equal(bench_put(bench, "run", 1, 1, fl_buf_view(&body))->http_status, 410);
    assert_int_equal(bench_status(bench, "run").updates_ended, 1);
    assert_int_equal(bench_ask(bench, FL_REQUEST_WORK, "run", 1)->http_status, 410);
    fl_buf_done(&body);
    stop(bench);
}

static void test_R9_nothing_is_answered_when_the_commit_fails(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct bench *bench = start(&spec, 2);
    struct fl_work work[2];
    struct fl_buf body;
    struct fl_request *request;

    fl_buf_init(&body, 1 << 20);
    both_get_work(bench, &spec, work);
    bench_update_body(&spec, 0, &work[0], &body);
    for (long n = 1; n <= 3; n++) { /* begin, the receipt, the commit */
        uint64_t ticket = bench_request(bench, FL_REQUEST_UPDATE, "run", 0, &request);
        request->seq = 1;
        request->body = fl_buf_view(&body);
        bench_fail_write(bench, n);
        assert_status(bench_turn(bench, 1), FL_ERR_IO);
        assert_null(bench_answer(bench, ticket));
        assert_int_equal(bench_status(bench, "run").updates_accepted, 0);
    }
    assert_int_equal(bench_put(bench, "run", 0, 1, fl_buf_view(&body))->http_status, 201);
    fl_buf_done(&body);
    stop(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R3_every_verdict_by_table),
        cmocka_unit_test(test_body_that_is_no_update_consumes_nothing),
        cmocka_unit_test(test_R1_R2_R4_same_seq_and_digest_same_verdict),
        cmocka_unit_test(test_weight_and_norm_and_value_limits),
        cmocka_unit_test(test_norm_limit_holds_for_calibration_too),
        cmocka_unit_test(test_unasked_updates_leave_the_cohort_alone),
        cmocka_unit_test(test_R6_late_is_accepted_up_to_max_late_and_enters_one_later_sum),
        cmocka_unit_test(test_R3_after_the_end_410_consumes_the_seq_durably),
        cmocka_unit_test(test_R9_nothing_is_answered_when_the_commit_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
