/* The life of a round: who is drawn, what is repeated, when it closes, how a run ends. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "bench.h"
#include "codec/codec.h"
#include "server/core/registry.h"

static struct bench *start(const struct fl_run_spec *spec, size_t clients)
{
    struct bench *bench = calloc(1, sizeof *bench);

    bench_init(bench, 0);
    bench_enrol(bench, clients);
    bench_create_run(bench, spec);
    return bench;
}

static void stop(struct bench *bench)
{
    bench_done(bench);
    free(bench);
}

static uint64_t poll_work(struct bench *bench, const char *run, int client, uint64_t wait_ms)
{
    struct fl_request *request;
    uint64_t ticket = bench_request(bench, FL_REQUEST_WORK, run, client, &request);

    request->wait_ms = wait_ms;
    return ticket;
}

static struct fl_work work_of(const struct bench *bench, uint64_t ticket)
{
    struct fl_work work;

    assert_non_null(bench_answer(bench, ticket));
    assert_int_equal(bench_answer(bench, ticket)->http_status, 200);
    assert_ok(fl_work_decode(fl_shared_view(bench_answer(bench, ticket)->body), &work));
    return work;
}

static int send_update(struct bench *bench, const struct fl_run_spec *spec, size_t client,
                       const struct fl_work *work)
{
    struct fl_buf body;
    int http_status;

    fl_buf_init(&body, 1 << 20);
    bench_update_body(spec, client, work, &body);
    http_status = bench_put(bench, spec->name, client, work->seq, fl_buf_view(&body))->http_status;
    fl_buf_done(&body);
    return http_status;
}

/* Mini-batches follow from the name of the client, not from its random id. */
static uint64_t named_seed(const struct fl_run_spec *spec, uint64_t round, int client)
{
    char name[32];
    uint64_t who = 0;
    snprintf(name, sizeof name, "client-%d", client);
    for (const char *at = name; *at; at++)
        who = fl_mix64(who, (unsigned char)*at);
    return fl_mix64(fl_mix64(spec->plan.seed, round), who);
}

static void test_R15_cohort_is_the_lowest_hashes_not_the_fastest_polls(void **state)
{
    (void)state;
    struct fl_run_spec spec = bench_spec("run", 2, 3);
    uint64_t draws[6], tickets[6];

    for (int backwards = 0; backwards < 2; backwards++) {
        spec.over_select = 1;
        struct bench *bench = start(&spec, 6);
        for (int i = 0; i < 6; i++) {
            int client = backwards ? 5 - i : i;
            tickets[client] = poll_work(bench, "run", client, 5000);
            draws[client] = fl_mix64(fl_mix64(spec.plan.seed, 1), fl_client_hash(bench->clients[client].id));
        }
        assert_ok(bench_turn(bench, 1));
        for (int i = 0; i < 6; i++) {
            int lower = 0;
            for (int j = 0; j < 6; j++)
                lower += draws[j] < draws[i];
            if (lower < 3) {
                assert_int_equal(work_of(bench, tickets[i]).round, 1);
                assert_true(work_of(bench, tickets[i]).plan.seed == named_seed(&spec, 1, i));
            } else {
                assert_null(bench_answer(bench, tickets[i])); /* parked */
            }
        }
        assert_int_equal(bench_status(bench, "run").waiting, 3);
        assert_ok(bench_turn(bench, 5000)); /* their patience ends */
        for (int i = 0; i < 6; i++)
            assert_non_null(bench_answer(bench, tickets[i]));
        assert_int_equal(bench_status(bench, "run").waiting, 0);
        stop(bench);
    }
}

static void test_R15_a_new_poll_displaces_the_old_one(void **state)
{
    (void)state;
    struct fl_run_spec spec = bench_spec("run", 2, 3);
    struct bench *bench = start(&spec, 2);
    uint64_t old, new;

    spec.minimum = 2;
    old = poll_work(bench, "run", 0, 5000);
    assert_ok(bench_turn(bench, 1));
    assert_null(bench_answer(bench, old));
    new = poll_work(bench, "run", 0, 5000);
    assert_ok(bench_turn(bench, 1));
    assert_int_equal(bench_answer(bench, old)->http_status, 409); /* read by a second process only */
    assert_int_equal(bench_answer(bench, old)->error, FL_ERR_LOCKED);
    assert_null(bench_answer(bench, new));
    assert_int_equal(bench_status(bench, "run").waiting, 1);
    fl_server_forget(bench->server, new);
    assert_int_equal(bench_status(bench, "run").waiting, 0);
    stop(bench);
}

static void test_gathering_waits_for_its_time_and_minimum(void **state)
{
    (void)state;
    struct fl_run_spec spec = bench_spec("run", 4, 3);
    uint64_t tickets[3];

    spec.minimum = 2;
    struct bench *bench = start(&spec, 4);
    tickets[0] = poll_work(bench, "run", 0, 60000);
    assert_ok(bench_turn(bench, 1));
    assert_ok(bench_turn(bench, 10 * spec.gather_ms));
    assert_null(bench_answer(bench, tickets[0])); /* one is below the minimum */
    tickets[1] = poll_work(bench, "run", 1, 60000);
    assert_ok(bench_turn(bench, 1));
    assert_int_equal(work_of(bench, tickets[0]).round, 1); /* the window had passed long ago */
    assert_int_equal(work_of(bench, tickets[1]).round, 1);
    tickets[2] = poll_work(bench, "run", 2, 60000); /* room for two more in the open round */
    assert_ok(bench_turn(bench, 100));
    assert_int_equal(work_of(bench, tickets[2]).round, 1);
    assert_int_equal(work_of(bench, tickets[2]).deadline_ms, spec.deadline_ms - 100);
    stop(bench);
}

static void test_R14_asking_again_repeats_the_assignment(void **state)
{
    (void)state;
    struct fl_run_spec spec = bench_spec("run", 2, 3);
    struct bench *bench = start(&spec, 2);
    struct fl_work first[2], again;
    struct fl_request *request;
    uint64_t ticket;

    for (int i = 0; i < 2; i++)
        poll_work(bench, "run", i, 5000);
    assert_ok(bench_turn(bench, 1));
    first[0] = work_of(bench, bench->tickets - 1);
    first[1] = work_of(bench, bench->tickets);
    for (int restart = 0; restart < 2; restart++) {
        ticket = poll_work(bench, "run", 0, 0);
        assert_ok(bench_turn(bench, 1));
        again = work_of(bench, ticket);
        assert_int_equal(again.round, first[0].round);
        assert_int_equal(again.seq, first[0].seq);
        assert_true(again.plan.seed == first[0].plan.seed);
        assert_true(fl_version_equal(&again.base, &first[0].base));
        bench_restart(bench); /* the assignment was durable before it was answered */
    }
    /* the round closes without client 1, which still holds the version its work starts from */
    assert_int_equal(send_update(bench, &spec, 0, &first[0]), 201);
    assert_ok(bench_turn(bench, spec.deadline_ms));
    assert_ok(bench_turn(bench, 1));
    assert_int_equal(bench_status(bench, "run").info.round, 2);
    ticket = bench_request(bench, FL_REQUEST_WORK, "run", 1, &request);
    request->has_have = 1;
    request->have = first[1].base;
    assert_ok(bench_turn(bench, 1));
    assert_int_equal(work_of(bench, ticket).round, 1);                  /* late, but it would still count */
    ticket = bench_request(bench, FL_REQUEST_WORK, "run", 1, &request); /* it has moved on: new work */
    request->has_have = 1;
    request->have = bench_answer(bench, ticket) ? first[1].base : (struct fl_version){0};
    request->wait_ms = 5000;
    assert_ok(bench_turn(bench, 1));
    assert_ok(bench_turn(bench, spec.gather_ms));
    assert_int_equal(work_of(bench, ticket).round, 2);
    stop(bench);
}

static void test_R5_a_round_short_of_its_minimum_extends(void **state)
{
    (void)state;
    struct fl_run_spec spec = bench_spec("run", 3, 1);
    struct fl_work work[3];
    uint64_t tickets[3], receipts;

    spec.minimum = 2;
    struct bench *bench = start(&spec, 4);
    for (int i = 0; i < 3; i++)
        tickets[i] = poll_work(bench, "run", i, 5000);
    assert_ok(bench_turn(bench, 1));
    for (int i = 0; i < 3; i++)
        work[i] = work_of(bench, tickets[i]);
    assert_int_equal(send_update(bench, &spec, 0, &work[0]), 201);
    for (int i = 0; i < 3; i++) {
        assert_ok(bench_turn(bench, spec.deadline_ms));
        assert_int_equal(bench_status(bench, "run").accepted, 1); /* still there */
        assert_string_equal(bench_status(bench, "run").phase, "open");
    }
    struct fl_work joined = bench_get_work(bench, &spec, 3); /* the silent ones leave room */
    assert_int_equal(joined.round, 1);
    assert_int_equal(send_update(bench, &spec, 3, &joined), 201);
    assert_int_equal(send_update(bench, &spec, 2, &work[2]), 201); /* and may still come back */
    assert_ok(bench_turn(bench, 1));
    assert_int_equal(bench_status(bench, "run").info.state, FL_RUN_ENDED);
    free(bench_replay_x(bench, &spec, &receipts));
    assert_int_equal(receipts, 3);
    stop(bench);
}

static void test_R5_R17_stop_drains_accepted_updates(void **state)
{
    (void)state;
    struct fl_run_spec spec = bench_spec("run", 2, 50);
    struct bench *bench = start(&spec, 2);
    struct fl_version version;
    uint64_t receipts, parked;
    size_t elems = (size_t)fl_model_spec_elems(&spec.model);
    float *x_hat;

    for (int round = 1; round <= 2; round++) {
        struct fl_work work[2];
        for (int i = 0; i < 2; i++)
            poll_work(bench, "run", i, 5000);
        assert_ok(bench_turn(bench, 1));
        work[0] = work_of(bench, bench->tickets - 1);
        work[1] = work_of(bench, bench->tickets);
        assert_int_equal(send_update(bench, &spec, 0, &work[0]), 201);
        if (round == 2)
            break; /* one accepted update waits in an open round */
        assert_int_equal(send_update(bench, &spec, 1, &work[1]), 201);
        assert_ok(bench_turn(bench, 1));
    }
    parked = poll_work(bench, "run", 0, 60000);
    assert_ok(bench_turn(bench, 1));
    assert_null(bench_answer(bench, parked));
    assert_string_equal(bench_ask(bench, FL_REQUEST_RUN_STOP, "run", -1)->run.phase, "publishing");
    bench_restart(bench); /* the stop is durable too */
    parked = poll_work(bench, "run", 0, 60000);
    for (int i = 0; i < 3; i++)
        assert_ok(bench_turn(bench, 1));
    assert_int_equal(bench_answer(bench, parked)->http_status, 410);
    assert_int_equal(bench_status(bench, "run").info.state, FL_RUN_ENDED);
    double *x = bench_read_x(bench, &spec, &version, &x_hat);
    double *replayed = bench_replay_x(bench, &spec, &receipts);
    assert_int_equal(version.number, 2);
    assert_int_equal(receipts, 3);
    assert_memory_equal(x, replayed, elems * sizeof *x);
    for (size_t i = 0; i < elems; i++)
        assert_true(x_hat[i] == (float)x[i]); /* the last version holds nothing back */
    free(x);
    free(replayed);
    free(x_hat);
    assert_int_equal(bench_ask(bench, FL_REQUEST_MODEL, "run", 0)->http_status, 200);     /* still served */
    assert_int_equal(bench_ask(bench, FL_REQUEST_RUN_STOP, "run", -1)->http_status, 200); /* twice is once */
    stop(bench);
}

static void test_R5_stop_while_publishing_drains_late_updates(void **state)
{
    (void)state;
    struct fl_run_spec spec = bench_spec("run", 2, 50);
    struct bench *bench = start(&spec, 2);
    struct fl_work work[2];
    uint64_t receipts;

    for (int i = 0; i < 2; i++)
        poll_work(bench, "run", i, 5000);
    assert_ok(bench_turn(bench, 1));
    work[0] = work_of(bench, bench->tickets - 1);
    work[1] = work_of(bench, bench->tickets);
    bench->hold_jobs = 1; /* the worker is slow */
    assert_int_equal(send_update(bench, &spec, 0, &work[0]), 201);
    assert_ok(bench_turn(bench, spec.deadline_ms));
    assert_string_equal(bench_status(bench, "run").phase, "publishing");
    assert_int_equal(send_update(bench, &spec, 1, &work[1]), 201); /* late, for the next sum */
    bench_ask(bench, FL_REQUEST_RUN_STOP, "run", -1);
    bench->hold_jobs = 0;
    for (int i = 0; i < 4; i++)
        assert_ok(bench_turn(bench, 1));
    assert_int_equal(bench_status(bench, "run").info.state, FL_RUN_ENDED);
    assert_int_equal(bench_status(bench, "run").info.version.number, 2);
    free(bench_replay_x(bench, &spec, &receipts));
    assert_int_equal(receipts, 2);
    stop(bench);
}

static void test_R17_stop_before_any_update_keeps_version_0(void **state)
{
    (void)state;
    struct fl_run_spec spec = bench_spec("run", 2, 5);
    struct bench *bench = start(&spec, 2);

    assert_string_equal(bench_ask(bench, FL_REQUEST_RUN_STOP, "run", -1)->run.phase, "ended");
    assert_int_equal(bench_status(bench, "run").info.version.number, 0);
    stop(bench);
}

static void test_R10_the_set_is_frozen_when_the_round_closes(void **state)
{
    (void)state;
    struct fl_run_spec spec = bench_spec("run", 2, 3);
    struct fl_work work[2];

    spec.max_late = 0;
    struct bench *bench = start(&spec, 2);
    for (int i = 0; i < 2; i++)
        poll_work(bench, "run", i, 5000);
    assert_ok(bench_turn(bench, 1));
    work[0] = work_of(bench, bench->tickets - 1);
    work[1] = work_of(bench, bench->tickets);
    bench->hold_jobs = 1;
    assert_int_equal(send_update(bench, &spec, 0, &work[0]), 201);
    assert_ok(bench_turn(bench, spec.deadline_ms));
    assert_int_equal(send_update(bench, &spec, 1, &work[1]), 409); /* while the version is being made */
    bench_restart(bench);
    bench->hold_jobs = 0;
    for (int i = 0; i < 3; i++)
        assert_ok(bench_turn(bench, 1));
    const struct bench_answer *answer = bench_ask(bench, FL_REQUEST_RUN_STATUS, "run", -1);
    assert_int_equal(answer->round_count, 1);
    assert_int_equal(answer->rounds[0].accepted, 1);
    stop(bench);
}

static void test_calibration_round_sets_lambda_by_the_rule(void **state)
{
    (void)state;
    static const char *const codecs[] = {"int-threshold", "threshold"};

    for (size_t c = 0; c < 2; c++) {
        struct fl_run_spec spec = bench_spec("run", 3, 2);
        struct fl_version version;
        size_t elems = (size_t)fl_model_spec_elems(&spec.model);
        double squares = 0;

        spec.codec.lambda = 0;
        strcpy(spec.codec.name, codecs[c]);
        struct bench *bench = start(&spec, 3);
        for (size_t i = 0; i < 3; i++) {
            struct fl_work work = {.kind = FL_WORK_CALIBRATE, .round = 0};
            struct fl_buf payload;
            fl_buf_init(&payload, 1 << 20);
            squares += bench_update(&spec, i, &work, &payload).delta_squares;
            fl_buf_done(&payload);
        }
        bench_play(bench, &spec);
        struct fl_run_status status = bench_status(bench, "run");
        float lambda = fl_lambda_from_rms(sqrt(squares / (3.0 * (double)elems)));
        assert_true(status.info.codec.lambda == lambda);
        assert_true(lambda > 0.01f && lambda < 1);
        assert_int_equal(status.info.version.number, 2); /* calibration made no version */
        assert_int_equal(status.updates_accepted, 9);
        const struct bench_answer *answer = bench_ask(bench, FL_REQUEST_RUN_STATUS, "run", -1);
        assert_int_equal(answer->round_count, 3);
        assert_int_equal(answer->rounds[0].kind, FL_WORK_CALIBRATE);
        assert_int_equal(answer->rounds[0].published, 0);
        assert_int_equal(answer->rounds[2].metrics.examples, 60);
        assert_true(answer->rounds[2].train_loss == 0.75);
        assert_true(answer->rounds[2].residual_norm == 2);
        assert_true(answer->rounds[2].density > 0 && answer->rounds[2].density < 1);
        assert_int_equal(status.uplink_dense_bytes, 4 * elems * 6);
        free(bench_read_x(bench, &spec, &version, NULL));
        stop(bench);
    }
}

static void test_R25_every_codec_applies_each_update_once(void **state)
{
    (void)state;

    for (size_t c = 0; fl_codec_names[c / 2]; c++) { /* whole, and in parts of 200 and 5 */
        struct fl_run_spec spec = bench_spec("run", 3, 3);
        struct fl_version version;
        float *x_hat;
        size_t elems = (size_t)fl_model_spec_elems(&spec.model);

        strcpy(spec.codec.name, fl_codec_names[c / 2]);
        spec.dense_below = c % 2 ? 6 : 0;
        spec.codec.ratio = 0.1f;
        spec.codec.bits = 3;
        spec.codec.bucket = 64;
        spec.codec.rank = 1;
        spec.server_rate = 0.5;
        struct bench *bench = start(&spec, 3);
        bench_play(bench, &spec);
        double *x = bench_read_x(bench, &spec, &version, &x_hat);
        assert_int_equal(version.number, 3);
        for (size_t i = 0; i < elems; i++)
            assert_true(x_hat[i] == (float)x[i]);
        uint64_t receipts;
        double *replayed = bench_replay_x(bench, &spec, &receipts);
        assert_int_equal(receipts, 9);
        assert_memory_equal(x, replayed, elems * sizeof *x);
        free(replayed);
        free(x);
        free(x_hat);
        stop(bench);
    }
}

/* Three products for one coordinate, of which the outer two cancel: added in another order, the middle one is
 * rounded away. So the order must be the clients', not that of arrival. */
static void test_R12_sums_do_not_depend_on_the_order_of_arrival(void **state)
{
    (void)state;
    static const size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {2, 0, 1}, {1, 2, 0}};
    struct fl_run_spec spec = bench_spec("run", 3, 1);
    size_t elems = (size_t)fl_model_spec_elems(&spec.model);
    double *first = NULL;

    strcpy(spec.codec.name, "dense");
    for (size_t order = 0; order < 4; order++) {
        struct bench *bench = start(&spec, 3);
        struct fl_work work[3];
        struct fl_version version;
        uint64_t tickets[3];
        for (int i = 0; i < 3; i++)
            tickets[i] = poll_work(bench, "run", i, 5000);
        assert_ok(bench_turn(bench, 1));
        for (size_t i = 0; i < 3; i++)
            work[i] = work_of(bench, tickets[i]);
        for (size_t i = 0; i < 3; i++) {
            static const float last[] = {0x1.8p64f, 1, -0x1.4p63f}; /* weights 10, 17, 24 */
            size_t client = orders[order][i];
            struct fl_buf payload, body;
            fl_buf_init(&payload, 1 << 20);
            fl_buf_init(&body, 1 << 20);
            struct fl_update update = bench_update(&spec, client, &work[client], &payload);
            memcpy(payload.data + payload.size - sizeof last[0], &last[client], sizeof last[0]);
            assert_ok(fl_update_encode(&update, &body));
            assert_int_equal(bench_put(bench, "run", client, 1, fl_buf_view(&body))->http_status, 201);
            fl_buf_done(&payload);
            fl_buf_done(&body);
        }
        assert_ok(bench_turn(bench, 1));
        double *x = bench_read_x(bench, &spec, &version, NULL);
        assert_int_equal(version.number, 1);
        if (first) {
            assert_memory_equal(x, first, elems * sizeof *x);
            free(x);
        } else {
            first = x;
        }
        stop(bench);
    }
    free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R15_cohort_is_the_lowest_hashes_not_the_fastest_polls),
        cmocka_unit_test(test_R15_a_new_poll_displaces_the_old_one),
        cmocka_unit_test(test_gathering_waits_for_its_time_and_minimum),
        cmocka_unit_test(test_R14_asking_again_repeats_the_assignment),
        cmocka_unit_test(test_R5_a_round_short_of_its_minimum_extends),
        cmocka_unit_test(test_R5_R17_stop_drains_accepted_updates),
        cmocka_unit_test(test_R5_stop_while_publishing_drains_late_updates),
        cmocka_unit_test(test_R17_stop_before_any_update_keeps_version_0),
        cmocka_unit_test(test_R10_the_set_is_frozen_when_the_round_closes),
        cmocka_unit_test(test_calibration_round_sets_lambda_by_the_rule),
        cmocka_unit_test(test_R25_every_codec_applies_each_update_once),
        cmocka_unit_test(test_R12_sums_do_not_depend_on_the_order_of_arrival),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
