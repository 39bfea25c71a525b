/* Enrolment by token, revocation, and who is refused. */
#include "test.h"

#include "bench.h"

static const struct bench_answer *enrol(struct bench *bench, const char *token, int client)
{
    struct fl_enroll_request message = {.csr = fl_bytes_from_text("csr"), .name = "north ward"};
    struct fl_request *request;
    struct fl_buf body;
    uint64_t ticket = bench_request(bench, FL_REQUEST_ENROLL, "", client, &request);

    fl_buf_init(&body, 4096);
    snprintf(message.token, sizeof message.token, "%s", token);
    snprintf(message.name, sizeof message.name, "client-%d", client);
    assert_ok(fl_enroll_request_encode(&message, &body));
    request->body = fl_buf_view(&body);
    (void)!bench_turn(bench, 1);
    fl_buf_done(&body);
    return bench_answer(bench, ticket);
}

static void new_token(struct bench *bench, uint64_t uses, uint64_t ttl_ms, char *ret_token)
{
    struct fl_request *request;
    uint64_t ticket = bench_request(bench, FL_REQUEST_TOKEN_CREATE, "", -1, &request);

    request->token_uses = uses;
    request->token_ttl_ms = ttl_ms;
    assert_ok(bench_turn(bench, 1));
    assert_int_equal(bench_answer(bench, ticket)->http_status, 200);
    strcpy(ret_token, bench_answer(bench, ticket)->token);
}

static struct bench *start(void)
{
    struct bench *bench = calloc(1, sizeof *bench);

    bench_init(bench, 0);
    for (int i = 0; i < BENCH_CLIENTS; i++)
        memset(bench->clients[i].key, 0x40 + i, FL_DIGEST_SIZE);
    return bench;
}

static void stop(struct bench *bench)
{
    bench_done(bench);
    free(bench);
}

static void test_R20_the_same_token_and_key_get_the_same_certificate_again(void **state)
{
    (void)state;
    struct bench *bench = start();
    char token[FL_LIMIT_TOKEN_BYTES + 1], second[FL_LIMIT_TOKEN_BYTES + 1], id[FL_LIMIT_NAME_BYTES + 1];
    struct fl_enroll_answer answer;

    new_token(bench, 1, 60000, token);
    struct fl_shared *first = fl_shared_ref(enrol(bench, token, 0)->body);
    assert_ok(fl_enroll_answer_decode(fl_shared_view(first), &answer));
    assert_int_equal(strlen(answer.client), 32);
    strcpy(id, answer.client);
    for (int i = 0; i < 3; i++) { /* a lost answer burns nothing, even after a restart and the token's life */
        const struct bench_answer *again = enrol(bench, token, 0);
        assert_int_equal(again->http_status, 200);
        assert_true(fl_bytes_equal(fl_shared_view(again->body), fl_shared_view(first)));
        bench_restart(bench);
        bench->now_ms += 60000;
    }
    assert_int_equal(bench->issued, 1);
    new_token(bench, 5, 60000, second); /* the same key by another token keeps its id */
    assert_ok(fl_enroll_answer_decode(fl_shared_view(enrol(bench, second, 0)->body), &answer));
    assert_string_equal(answer.client, id);
    assert_int_equal(bench->issued, 2);
    assert_ok(fl_enroll_answer_decode(fl_shared_view(enrol(bench, second, 1)->body), &answer));
    assert_string_not_equal(answer.client, id);
    assert_int_equal(bench_ask(bench, FL_REQUEST_CLIENT_LIST, "", -1)->client_count, 2);
    fl_shared_unref(first);
    stop(bench);
}

static void test_R20_uses_life_and_secret_of_a_token(void **state)
{
    (void)state;
    struct bench *bench = start();
    char token[FL_LIMIT_TOKEN_BYTES + 1], wrong[FL_LIMIT_TOKEN_BYTES + 1];

    new_token(bench, 2, 60000, token);
    strcpy(wrong, token);
    wrong[strlen(wrong) - 1] ^= 1;
    assert_int_equal(enrol(bench, wrong, 0)->http_status, 403);
    assert_int_equal(enrol(bench, "no-dot", 0)->http_status, 403);
    assert_int_equal(enrol(bench, "unknown.secret", 0)->http_status, 403);
    assert_int_equal(enrol(bench, token, 0)->http_status, 200);
    assert_int_equal(enrol(bench, token, 1)->http_status, 200);
    assert_int_equal(enrol(bench, token, 2)->http_status, 403); /* used up */
    new_token(bench, 2, 60000, token);
    bench->now_ms += 60000;
    assert_int_equal(enrol(bench, token, 2)->http_status, 403); /* expired */
    assert_non_null(strstr(enrol(bench, token, 2)->text, "expired"));
    stop(bench);
}

static void test_R20_a_failed_enrolment_burns_nothing(void **state)
{
    (void)state;
    struct bench *bench = start();
    char token[FL_LIMIT_TOKEN_BYTES + 1];

    new_token(bench, 1, 60000, token);
    bench->issue_fails = 1;
    assert_int_equal(enrol(bench, token, 0)->http_status, 500);
    assert_int_equal(bench_ask(bench, FL_REQUEST_CLIENT_LIST, "", -1)->client_count, 0);
    bench->issue_fails = 0;
    for (long n = 1; n <= 5; n++) { /* begin, client, answer, token, commit */
        bench_fail_write(bench, n);
        assert_null(enrol(bench, token, 0));
        assert_true(bench_write_has_failed(bench));
        assert_int_equal(bench_ask(bench, FL_REQUEST_CLIENT_LIST, "", -1)->client_count, 0);
    }
    assert_int_equal(enrol(bench, token, 0)->http_status, 200);
    stop(bench);
}

static void test_unregistered_and_revoked_keys_are_refused(void **state)
{
    (void)state;
    struct bench *bench = start();
    struct fl_run_spec spec = bench_spec("run", 2, 2);
    struct fl_request *request;
    static const enum fl_request_kind kinds[] = {FL_REQUEST_RUN_LIST, FL_REQUEST_RUN_INFO, FL_REQUEST_WORK,
                                                 FL_REQUEST_MODEL, FL_REQUEST_UPDATE};

    spec.minimum = 2;
    bench_enrol(bench, 2);
    bench_create_run(bench, &spec);
    assert_int_equal(bench_ask(bench, FL_REQUEST_RUN_LIST, "", 0)->http_status, 200);
    assert_int_equal(bench_ask(bench, FL_REQUEST_RUN_INFO, "run", 0)->http_status, 200);
    assert_int_equal(bench_ask(bench, FL_REQUEST_RUN_INFO, "other", 0)->http_status, 404);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(bench_ask(bench, kinds[i], "run", 5)->http_status, 403);
    uint64_t parked = bench_request(bench, FL_REQUEST_WORK, "run", 0, &request);
    request->wait_ms = 60000;
    assert_ok(bench_turn(bench, 1));
    uint64_t ticket = bench_request(bench, FL_REQUEST_CLIENT_REVOKE, "", -1, &request);
    memcpy(request->client, bench->clients[0].id, 8);
    assert_ok(bench_turn(bench, 1));
    assert_int_equal(bench_answer(bench, ticket)->http_status, 200);
    assert_int_equal(bench_answer(bench, parked)->http_status, 403); /* at once, also when it waits */
    bench_restart(bench);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(bench_ask(bench, kinds[i], "run", 0)->http_status, 403);
    assert_int_equal(bench_ask(bench, FL_REQUEST_RUN_LIST, "", 1)->http_status, 200);
    char token[FL_LIMIT_TOKEN_BYTES + 1]; /* a revoked key does not come back by a new token */
    new_token(bench, 1, 60000, token);
    assert_int_equal(enrol(bench, token, 0)->http_status, 403);
    ticket = bench_request(bench, FL_REQUEST_CLIENT_REVOKE, "", -1, &request);
    strcpy(request->client, "zz");
    assert_ok(bench_turn(bench, 1));
    assert_int_equal(bench_answer(bench, ticket)->http_status, 404);
    stop(bench);
}

static const struct bench_answer *renew(struct bench *bench, int client, struct fl_bytes public_key)
{
    struct fl_request *request;
    uint64_t ticket = bench_request(bench, FL_REQUEST_RENEW, "", client, &request);

    request->public_key = public_key;
    (void)!bench_turn(bench, 1);
    return bench_answer(bench, ticket);
}

static void test_R22_renewal_keeps_id_and_key_and_is_refused_to_strangers_and_the_revoked(void **state)
{
    (void)state;
    static const char spki[] = "public key of client 0", other[] = "another key";
    struct bench *bench = start();
    char token[FL_LIMIT_TOKEN_BYTES + 1], id[FL_LIMIT_NAME_BYTES + 1];
    struct fl_enroll_answer answer;
    struct fl_request *request;

    fl_sha256(fl_bytes_from_text(spki), bench->clients[0].key);
    assert_int_equal(renew(bench, 0, fl_bytes_from_text(spki))->http_status, 403); /* not registered */
    new_token(bench, 1, 60000, token);
    assert_ok(fl_enroll_answer_decode(fl_shared_view(enrol(bench, token, 0)->body), &answer));
    strcpy(id, answer.client);
    for (int i = 0; i < 3; i++) { /* a lost answer: ask again, a restart of the server included */
        const struct bench_answer *renewed = renew(bench, 0, fl_bytes_from_text(spki));
        assert_int_equal(renewed->http_status, 200);
        assert_ok(fl_enroll_answer_decode(fl_shared_view(renewed->body), &answer));
        assert_string_equal(answer.client, id);
        assert_int_equal(bench->issued, 2 + i);
        bench_restart(bench);
    }
    assert_int_equal(bench_ask(bench, FL_REQUEST_CLIENT_LIST, "", -1)->client_count, 1);
    assert_int_equal(renew(bench, 0, fl_bytes_from_text(other))->http_status, 403);
    assert_int_equal(renew(bench, 1, fl_bytes_from_text(spki))->http_status, 403);
    bench->issue_fails = 1;
    assert_int_equal(renew(bench, 0, fl_bytes_from_text(spki))->http_status, 500);
    bench->issue_fails = 0;
    uint64_t ticket = bench_request(bench, FL_REQUEST_CLIENT_REVOKE, "", -1, &request);
    strcpy(request->client, id);
    assert_ok(bench_turn(bench, 1));
    assert_int_equal(bench_answer(bench, ticket)->http_status, 200);
    assert_int_equal(renew(bench, 0, fl_bytes_from_text(spki))->http_status, 403);
    assert_non_null(strstr(renew(bench, 0, fl_bytes_from_text(spki))->text, "revoked"));
    assert_int_equal(bench->issued, 4);
    stop(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R20_the_same_token_and_key_get_the_same_certificate_again),
        cmocka_unit_test(test_R20_uses_life_and_secret_of_a_token),
        cmocka_unit_test(test_R22_renewal_keeps_id_and_key_and_is_refused_to_strangers_and_the_revoked),
        cmocka_unit_test(test_R20_a_failed_enrolment_burns_nothing),
        cmocka_unit_test(test_unregistered_and_revoked_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
