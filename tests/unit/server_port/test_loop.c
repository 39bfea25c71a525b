/* server/port/loop: turns, group commit, failing stores, waiting calls, the end. */
#include "test.h"

#include <pthread.h>

#include "faulty_store.h"
#include "kernels/kernels.h"
#include "platform/env.h"
#include "server/port/loop.h"
#include "server/port/store_sqlite.h"

#define CALLS 64

struct fixture {
    struct fl_env env;
    struct fl_store *store, *faulty;
    struct fl_loop_config config;
    uint8_t mac_key[FL_DIGEST_SIZE];
};

/* A call that a test waits for. */
struct call {
    struct fl_loop_call call; /* first */
    pthread_mutex_t lock;
    pthread_cond_t released;
    int done, http_status;
    enum fl_loop_outcome outcome;
};

static enum fl_status no_issue(void *user, struct fl_bytes public_key, const char *client_id,
                               struct fl_buf *chain)
{
    (void)user;
    (void)public_key;
    (void)client_id;
    (void)chain;
    return FL_ERR_CRYPTO;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->env = fl_env_system();
    assert_ok(fl_store_open(":memory:", NULL, NULL, &fixture->store));
    fixture->faulty = faulty_store_new(fixture->store);
    fixture->config = (struct fl_loop_config){.env = &fixture->env,
                                              .store = fixture->faulty,
                                              .kernels = fl_kernels_pick(),
                                              .mac_key = fixture->mac_key,
                                              .waiting_max = CALLS,
                                              .issue = no_issue,
                                              .user = NULL};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    faulty_store_free(fixture->faulty);
    fl_store_close(fixture->store);
    free(fixture);
    return 0;
}

static void on_collect(struct fl_loop_call *loop_call, const struct fl_reply *reply)
{
    ((struct call *)(void *)loop_call)->http_status = reply->http_status;
}

static void on_release(struct fl_loop_call *loop_call, enum fl_loop_outcome outcome)
{
    struct call *call = (struct call *)(void *)loop_call;
    pthread_mutex_lock(&call->lock);
    call->outcome = outcome;
    call->done++;
    pthread_cond_signal(&call->released);
    pthread_mutex_unlock(&call->lock);
}

static void call_init(struct call *call, enum fl_request_kind kind)
{
    *call = (struct call){.call = {.collect = on_collect, .release = on_release},
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .released = PTHREAD_COND_INITIALIZER};
    call->call.request.kind = kind;
    call->call.request.token_uses = 1;
    call->call.request.token_ttl_ms = 1000;
    call->call.request.since_round = UINT64_MAX;
}

static void wait_for(struct call *call)
{
    pthread_mutex_lock(&call->lock);
    while (!call->done)
        pthread_cond_wait(&call->released, &call->lock);
    pthread_mutex_unlock(&call->lock);
    assert_int_equal(call->done, 1);
}

static void test_every_call_is_answered_once(void **state)
{
    struct fixture *fixture = *state;
    struct fl_loop *loop;
    static struct call calls[CALLS];
    assert_ok(fl_loop_new(&fixture->config, &loop, NULL));
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < CALLS; i++) {
            call_init(&calls[i], i % 2 ? FL_REQUEST_CLIENT_LIST : FL_REQUEST_TOKEN_CREATE);
            assert_ok(fl_loop_submit(loop, &calls[i].call));
        }
        for (int i = 0; i < CALLS; i++) {
            wait_for(&calls[i]);
            assert_int_equal(calls[i].outcome, FL_LOOP_ANSWERED);
            assert_int_equal(calls[i].http_status, 200);
        }
    }
    fl_loop_stop(loop);
    fl_loop_free(loop);
}

static void test_R9_failed_commit_answers_nothing_and_the_next_turn_works(void **state)
{
    struct fixture *fixture = *state;
    struct fl_loop *loop;
    struct call call;
    int failures = 0;
    assert_ok(fl_loop_new(&fixture->config, &loop, NULL));
    for (long n = 1; n <= 6; n++) {
        call_init(&call, FL_REQUEST_CLIENT_LIST); /* after it the loop waits, so the store may be touched */
        assert_ok(fl_loop_submit(loop, &call.call));
        wait_for(&call);
        faulty_store_fail(fixture->faulty, n);
        call_init(&call, FL_REQUEST_TOKEN_CREATE);
        assert_ok(fl_loop_submit(loop, &call.call));
        wait_for(&call);
        int failed = faulty_store_has_failed(fixture->faulty);
        assert_int_equal(call.outcome, failed ? FL_LOOP_UNAVAILABLE : FL_LOOP_ANSWERED);
        failures += failed;
        faulty_store_fail(fixture->faulty, 0);
        call_init(&call, FL_REQUEST_TOKEN_CREATE);
        assert_ok(fl_loop_submit(loop, &call.call));
        wait_for(&call);
        assert_int_equal(call.outcome, FL_LOOP_ANSWERED);
    }
    assert_true(failures > 0);
    fl_loop_stop(loop);
    fl_loop_free(loop);
}

static void test_limit_and_end(void **state)
{
    struct fixture *fixture = *state;
    struct fl_loop *loop;
    static struct call calls[CALLS + 1];
    size_t taken = 0;
    assert_ok(fl_loop_new(&fixture->config, &loop, NULL));
    fl_loop_stop(loop);
    call_init(&calls[0], FL_REQUEST_CLIENT_LIST);
    assert_status(fl_loop_submit(loop, &calls[0].call), FL_ERR_STOPPED);
    fl_loop_free(loop);

    fixture->config.waiting_max = 1;
    assert_ok(fl_loop_new(&fixture->config, &loop, NULL));
    for (int i = 0; i <= CALLS; i++) {
        call_init(&calls[taken], FL_REQUEST_CLIENT_LIST);
        enum fl_status st = fl_loop_submit(loop, &calls[taken].call);
        assert_true(st == FL_OK || st == FL_ERR_LIMIT);
        taken += st == FL_OK;
    }
    fl_loop_stop(loop);
    for (size_t i = 0; i < taken; i++)
        assert_int_equal(calls[i].done, 1);
    fl_loop_free(loop);
}

static void test_one_turn_without_threads(void **state)
{
    struct fixture *fixture = *state;
    struct call call;
    call_init(&call, FL_REQUEST_TOKEN_CREATE);
    assert_ok(fl_loop_once(&fixture->config, &call.call, NULL));
    assert_int_equal(call.done, 1);
    assert_int_equal(call.outcome, FL_LOOP_ANSWERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_call_is_answered_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_R9_failed_commit_answers_nothing_and_the_next_turn_works, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_limit_and_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_turn_without_threads, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
