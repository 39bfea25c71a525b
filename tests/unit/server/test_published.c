/* What the server serves: snapshots, merged deltas, their digests; the spec's checks. */
#include "test.h"

#include "bench.h"
#include "codec/downlink.h"
#include "server/core/run_spec_text.h"

static struct fl_model_message fetch(struct bench *bench, const struct fl_version *have, int *ret_http_status)
{
    struct fl_model_message message = {0};
    struct fl_request *request;
    uint64_t ticket = bench_request(bench, FL_REQUEST_MODEL, "run", 0, &request);

    request->has_have = have != NULL;
    if (have)
        request->have = *have;
    assert_ok(bench_turn(bench, 1));
    *ret_http_status = bench_answer(bench, ticket)->http_status;
    if (*ret_http_status == 200)
        assert_ok(fl_model_message_decode(fl_shared_view(bench_answer(bench, ticket)->body), &message));
    return message;
}

static void test_R18_the_first_model_may_come_from_a_file(void **state)
{
    (void)state;
    struct bench *bench = calloc(1, sizeof *bench);
    struct fl_run_spec spec = bench_spec("run", 1, 4);
    size_t elems = (size_t)fl_model_spec_elems(&spec.model);
    float *x_0 = malloc(elems * sizeof *x_0);
    struct fl_request *request;
    int http_status;

    for (size_t i = 0; i < elems; i++)
        x_0[i] = 1.0f / (float)(i + 3);
    bench_init(bench, 0);
    bench_enrol(bench, 1);
    uint64_t ticket = bench_request(bench, FL_REQUEST_RUN_CREATE, "", -1, &request);
    request->spec = spec;
    request->x_0 = x_0;
    assert_ok(bench_turn(bench, 1));
    assert_int_equal(bench_answer(bench, ticket)->http_status, 200);
    for (int restart = 0; restart < 2; restart++) {
        struct fl_model_message message = fetch(bench, NULL, &http_status);
        assert_int_equal(http_status, 200);
        assert_int_equal(message.version.number, 0);
        assert_memory_equal(message.data.data, x_0, elems * sizeof *x_0);
        bench_restart(bench);
    }
    free(x_0);
    bench_done(bench);
    free(bench);
}

static void test_R18_R19_deltas_bring_every_older_version_to_the_same_bits(void **state)
{
    (void)state;
    struct bench *bench = calloc(1, sizeof *bench);
    struct fl_run_spec spec = bench_spec("run", 1, 4);
    size_t elems = (size_t)fl_model_spec_elems(&spec.model);
    float *replicas[5], *x_0 = malloc(elems * sizeof *x_0);
    struct fl_version versions[5];
    int http_status;

    bench_init(bench, 0);
    bench_enrol(bench, 1);
    bench_create_run(bench, &spec);
    fl_model_spec_init(&spec.model, x_0);
    for (int number = 0; number < 5; number++) {
        struct fl_model_message message = fetch(bench, NULL, &http_status);
        assert_int_equal(message.form, FL_FORM_SNAPSHOT);
        assert_int_equal(message.version.number, number);
        replicas[number] = malloc(elems * sizeof(float));
        memcpy(replicas[number], message.data.data, elems * sizeof(float));
        versions[number] = message.version;
        if (number == 0)
            assert_memory_equal(replicas[0], x_0, elems * sizeof(float)); /* R18: the seeded rule */
        for (int from = 0; from < number; from++) {
            message = fetch(bench, &versions[from], &http_status);
            assert_int_equal(http_status, 200);
            assert_true(fl_version_equal(&message.version, &versions[number]));
            float *patched = malloc(elems * sizeof *patched);
            if (message.form == FL_FORM_DELTA) {
                memcpy(patched, replicas[from], elems * sizeof *patched);
                assert_ok(fl_sparse_apply(message.data, patched, elems));
                assert_true(message.data.size < elems * sizeof(float));
            } else {
                memcpy(patched, message.data.data, elems * sizeof *patched);
            }
            assert_memory_equal(patched, replicas[number], elems * sizeof *patched);
            struct fl_digest_tree *tree;
            assert_ok(fl_digest_tree_new(elems, &tree));
            struct fl_model_digest digest = fl_digest_tree_get(tree, patched);
            assert_memory_equal(&digest, &message.version.digest, sizeof digest);
            fl_digest_tree_free(tree);
            free(patched);
        }
        fetch(bench, &versions[number], &http_status);
        assert_int_equal(http_status, 204);
        if (number == 4)
            break;
        struct fl_work work = bench_get_work(bench, &spec, 0);
        struct fl_buf body;
        fl_buf_init(&body, 1 << 20);
        bench_update_body(&spec, 0, &work, &body);
        assert_int_equal(bench_put(bench, "run", 0, work.seq, fl_buf_view(&body))->http_status, 201);
        fl_buf_done(&body);
        assert_ok(bench_turn(bench, 1));
        bench_restart(bench);
    }
    struct fl_version have = versions[2];
    have.epoch++; /* number and digest say which values they are, of whatever epoch (rule R13) */
    assert_int_equal(fetch(bench, &have, &http_status).form, FL_FORM_DELTA);
    for (int spoilt = 0; spoilt < 2; spoilt++) { /* whatever does not fit gets the snapshot */
        have = versions[2];
        have.number += spoilt == 0 ? 100 : 0;
        have.digest.bytes[0] ^= spoilt == 1;
        assert_int_equal(fetch(bench, &have, &http_status).form, FL_FORM_SNAPSHOT);
        assert_int_equal(http_status, 200);
    }
    for (int i = 0; i < 5; i++)
        free(replicas[i]);
    free(x_0);
    bench_done(bench);
    free(bench);
}

static void test_R19_many_starting_points_share_deltas(void **state)
{
    (void)state;
    struct bench *bench = calloc(1, sizeof *bench);
    struct fl_run_spec spec = bench_spec("run", 1, 40);
    size_t elems = (size_t)fl_model_spec_elems(&spec.model);
    struct fl_version versions[41];
    float *replicas[41];
    int http_status;

    bench_init(bench, 0);
    bench_enrol(bench, 1);
    bench_create_run(bench, &spec);
    for (int number = 0; number <= 40; number++) {
        struct fl_model_message message = fetch(bench, NULL, &http_status);
        replicas[number] = malloc(elems * sizeof(float));
        memcpy(replicas[number], message.data.data, elems * sizeof(float));
        versions[number] = message.version;
        if (number == 40)
            break;
        struct fl_work work = bench_get_work(bench, &spec, 0);
        struct fl_buf body;
        fl_buf_init(&body, 1 << 20);
        bench_update_body(&spec, 0, &work, &body);
        assert_int_equal(bench_put(bench, "run", 0, work.seq, fl_buf_view(&body))->http_status, 201);
        fl_buf_done(&body);
        assert_ok(bench_turn(bench, 1));
    }
    size_t deltas = 0;
    for (int from = 40; from-- > 0;) { /* newest first, so that older ones come when the cache is full */
        struct fl_model_message message = fetch(bench, &versions[(from * 7) % 40], &http_status);
        const float *expected = replicas[40];
        float *patched = replicas[(from * 7) % 40];
        if (message.form == FL_FORM_DELTA) {
            assert_true(message.from.number <= versions[(from * 7) % 40].number);
            assert_ok(fl_sparse_apply(message.data, patched, elems));
            assert_memory_equal(patched, expected, elems * sizeof(float));
            deltas++;
        } else {
            assert_memory_equal(message.data.data, expected, elems * sizeof(float));
        }
    }
    assert_true(deltas > 0);
    for (int i = 0; i <= 40; i++)
        free(replicas[i]);
    bench_done(bench);
    free(bench);
}

static void test_R8_run_spec_limits_by_table(void **state)
{
    (void)state;
    static const struct {
        const char *field; /* what the sentence names; NULL: accepted */
        int change;
    } cases[] = {
        {NULL, 0},
        {"target", 1},
        {"minimum", 2},
        {"target + over_select", 3},
        {"max_late", 4},
        {"codec.lambda", 5},
        {"step_shift", 6},
        {"plan.steps", 7},
        {"server_rate", 8},
        {"rounds", 9},
        {"name", 10},
        {"codec.name", 11},
        {"model", 12},
        {"deadline_ms", 13},
        {NULL, 14},
        {"codec.ratio", 15},
        {"norm_limit", 16},
        {"codec.lambda", 17},
        {"step_shift", 18},
        {NULL, 19},
        {"codec.dense_below", 20},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_run_spec spec = bench_spec("run", 4, 10);
        char reason[FL_LIMIT_TEXT_BYTES + 1] = "";
        switch (cases[i].change) {
        case 1:
            spec.target = 0;
            break;
        case 2:
            spec.minimum = 5;
            break;
        case 3:
            spec.over_select = FL_LIMIT_COHORT / 2;
            break;
        case 4:
            spec.max_late = 65;
            break;
        case 5:
            spec.codec.lambda = 0.01f;
            break;
        case 6:
            spec.step_shift = 0;
            break;
        case 7:
            spec.plan.epochs = 1;
            break;
        case 8:
            spec.server_rate = 0;
            break;
        case 9:
            spec.rounds = 0;
            break;
        case 10:
            strcpy(spec.name, "a b");
            break;
        case 11:
            strcpy(spec.codec.name, "zip");
            break;
        case 12:
            spec.model.inputs = 0;
            break;
        case 13:
            spec.deadline_ms = 0;
            break;
        case 14:
            spec.target = spec.minimum = FL_LIMIT_COHORT / 2;
            break;
        case 15:
            strcpy(spec.codec.name, "topk");
            spec.codec.ratio = 1.5f;
            break;
        case 16:
            spec.norm_limit = -1;
            break;
        case 17:
            strcpy(spec.codec.name, "threshold");
            spec.codec.lambda = -1;
            break;
        case 18:
            strcpy(spec.codec.name, "round-random");
            spec.step_shift = -1;
            break;
        case 19:
            spec.dense_below = 200; /* the larger of two tensors */
            break;
        case 20:
            spec.dense_below = 201;
            break;
        default:
            break;
        }
        if (cases[i].field) {
            assert_status(fl_run_spec_check(&spec, reason), FL_ERR_RANGE);
            assert_non_null(strstr(reason, cases[i].field));
        } else {
            assert_ok(fl_run_spec_check(&spec, reason));
        }
    }
}

static void test_run_spec_text_keeps_every_bit(void **state)
{
    (void)state;
    struct fl_run_spec spec = bench_spec("run.name_1-x", 4, 10), back;
    struct fl_buf text, again;

    spec.server_rate = 0.1;
    spec.plan.learning_rate = 0.1f;
    spec.model.seed = UINT64_MAX;
    spec.step_shift = -2;
    spec.dense_below = UINT32_MAX;
    fl_buf_init(&text, 8192);
    fl_buf_init(&again, 8192);
    assert_ok(fl_run_spec_to_text(&spec, &text));
    assert_ok(fl_buf_append(&text, "", 1));
    assert_ok(fl_run_spec_from_text((const char *)text.data, &back));
    assert_ok(fl_run_spec_to_text(&back, &again));
    assert_ok(fl_buf_append(&again, "", 1));
    assert_true(fl_bytes_equal(fl_buf_view(&text), fl_buf_view(&again)));
    assert_true(back.server_rate == 0.1 && back.plan.learning_rate == 0.1f);
    assert_true(back.model.seed == UINT64_MAX && back.step_shift == -2);
    assert_int_equal(back.dense_below, UINT32_MAX);
    static const char *const wrong[] = {"nonsense", "unknown=1\n", "rounds=ten\n", "rounds=\n",
                                        "model.kind=tree\n"};
    for (size_t i = 0; i < 5; i++)
        assert_status(fl_run_spec_from_text(wrong[i], &back), FL_ERR_FORMAT);
    fl_buf_done(&text);
    fl_buf_done(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R18_the_first_model_may_come_from_a_file),
        cmocka_unit_test(test_R18_R19_deltas_bring_every_older_version_to_the_same_bits),
        cmocka_unit_test(test_R19_many_starting_points_share_deltas),
        cmocka_unit_test(test_R8_run_spec_limits_by_table),
        cmocka_unit_test(test_run_spec_text_keeps_every_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
