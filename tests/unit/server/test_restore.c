/* A server whose state came from a backup: how it notices, what it counts, whom it believes. */
#include "test.h"

#include <unistd.h>

#include "bench.h"
#include "server/core/receipt.h"
#include "server/port/store_sqlite.h"

#define RUN "run"

struct fixture {
    struct bench bench;
    struct fl_run_spec spec;
    struct fl_proof proofs[BENCH_CLIENTS]; /* the newest receipt of each client */
};

static struct fixture *begin(size_t clients)
{
    struct fixture *f = calloc(1, sizeof *f);
    bench_init(&f->bench, 1);
    f->spec = bench_spec(RUN, clients, 20);
    f->spec.minimum = clients;
    bench_enrol(&f->bench, clients);
    bench_create_run(&f->bench, &f->spec);
    return f;
}

static void end(struct fixture *f)
{
    bench_done(&f->bench);
    free(f);
}

/* Runs a command in which $D is the server's folder. */
static void shell(const struct fixture *f, const char *words)
{
    char command[600];
    snprintf(command, sizeof command, "D=%s; %s", f->bench.dir, words);
    assert_int_equal(system(command), 0);
}

/* Everyone waits for work, until the round opens with all of them. */
static void get_work(struct fixture *f, size_t clients, struct fl_work *ret_work)
{
    for (size_t i = 0; i < clients; i++) {
        struct fl_request *request;
        f->bench.clients[i].waiting = bench_request(&f->bench, FL_REQUEST_WORK, RUN, (int)i, &request);
        request->wait_ms = 60000;
    }
    for (int turns = 0; turns < 20; turns++)
        assert_ok(bench_turn(&f->bench, 1000));
    for (size_t i = 0; i < clients; i++) {
        const struct bench_answer *answer = bench_answer(&f->bench, f->bench.clients[i].waiting);
        assert_non_null(answer);
        assert_int_equal(answer->http_status, 200);
        assert_ok(fl_work_decode(fl_shared_view(answer->body), &ret_work[i]));
    }
}

/* Everyone takes part in one round; keeps the receipts. */
static void play_round(struct fixture *f, size_t clients)
{
    struct fl_work work[BENCH_CLIENTS];
    get_work(f, clients, work);
    for (size_t i = 0; i < clients; i++) {
        struct fl_buf body;
        fl_buf_init(&body, 1 << 20);
        bench_update_body(&f->spec, i, &work[i], &body);
        const struct bench_answer *answer = bench_put(&f->bench, RUN, i, work[i].seq, fl_buf_view(&body));
        struct fl_verdict verdict = bench_verdict(answer);
        struct fl_update update;
        assert_int_equal(verdict.kind, FL_VERDICT_ACCEPTED);
        assert_ok(fl_update_decode(fl_buf_view(&body), &update));
        f->proofs[i] = (struct fl_proof){verdict.kind,  verdict.epoch, verdict.seq, verdict.round,
                                         verdict.total, update.weight, {0},         {0}};
        memcpy(f->proofs[i].digest, verdict.digest, FL_DIGEST_SIZE);
        memcpy(f->proofs[i].receipt, verdict.receipt, FL_DIGEST_SIZE);
        fl_buf_done(&body);
    }
    assert_ok(bench_turn(&f->bench, 1));
    assert_ok(bench_turn(&f->bench, 1));
}

static struct fl_standing show(struct fixture *f, int client, const struct fl_proof *proof)
{
    struct fl_standing standing;
    struct fl_request *request;
    struct fl_buf body;
    fl_buf_init(&body, 1024);
    assert_ok(fl_proof_encode(proof, &body));
    uint64_t ticket = bench_request(&f->bench, FL_REQUEST_RECEIPT, RUN, client, &request);
    request->body = fl_buf_view(&body);
    assert_ok(bench_turn(&f->bench, 1));
    const struct bench_answer *answer = bench_answer(&f->bench, ticket);
    assert_non_null(answer);
    assert_int_equal(answer->http_status, 200);
    assert_ok(fl_standing_decode(fl_shared_view(answer->body), &standing));
    fl_buf_done(&body);
    return standing;
}

static uint64_t epoch_of(struct fixture *f)
{
    return bench_status(&f->bench, RUN).info.epoch;
}

/* The server's folder becomes the copy that `backup` made. */
static void restore(struct fixture *f)
{
    bench_close(&f->bench);
    shell(f, "rm -rf $D && mv $D.copy $D");
    bench_restart(&f->bench);
}

static void test_R13_wrong_receipts_change_nothing_and_the_right_one_begins_an_epoch(void **state)
{
    (void)state;
    enum { MAC, EPOCH, SEQ, TOTAL, DIGEST, VERDICT, ROUND, WEIGHT, OTHER_CLIENT, NONE, KNOWN, RIGHT };
    struct fixture *f = begin(2);
    play_round(f, 2);
    struct fl_proof known = f->proofs[0];
    bench_close(&f->bench);
    shell(f, "cp -r $D $D.copy");
    bench_restart(&f->bench);
    play_round(f, 2);
    play_round(f, 2);
    restore(f);
    uint64_t before = epoch_of(f);
    for (int change = MAC; change <= RIGHT; change++) {
        struct fl_proof proof = change == KNOWN ? known : f->proofs[0];
        proof.receipt[5] ^= change == MAC;
        proof.epoch += change == EPOCH;
        proof.seq += change == SEQ;
        proof.total += change == TOTAL;
        proof.digest[0] ^= change == DIGEST;
        proof.kind = change == VERDICT ? FL_VERDICT_LATE : proof.kind;
        proof.round += change == ROUND;
        proof.weight += change == WEIGHT;
        if (change == NONE)
            proof = (struct fl_proof){.seq = 0};
        struct fl_standing standing = show(f, change == OTHER_CLIENT, &proof);
        enum fl_proof_state expected = change == RIGHT   ? FL_PROOF_LOST
                                       : change == KNOWN ? FL_PROOF_KNOWN
                                                         : FL_PROOF_UNPROVEN;
        assert_int_equal(standing.state, expected);
        assert_true((standing.epoch == before) == (change != RIGHT));
        assert_int_equal(standing.expected_seq, change == RIGHT ? known.seq + 3 : known.seq + 1);
        assert_int_equal(standing.lost, change == RIGHT ? 2 : 0);
        assert_true((epoch_of(f) == before) == (change != RIGHT));
    }
    /* The others one after another: counted, in the epoch that has begun; shown again: no more. */
    uint64_t now = epoch_of(f);
    assert_true(now > before);
    for (int again = 0; again < 2; again++)
        for (int client = 0; client < 2; client++) {
            struct fl_standing standing = show(f, client, &f->proofs[client]);
            assert_int_equal(standing.state, FL_PROOF_LOST);
            assert_int_equal(standing.epoch, now);
            assert_int_equal(standing.lost, 2);
        }
    struct fl_run_status status = bench_status(&f->bench, RUN);
    assert_int_equal(status.restores, 1);
    assert_int_equal(status.lost, 4);
    /* It survives a restart, and the run goes on where the receipts end. */
    bench_restart(&f->bench);
    assert_int_equal(epoch_of(f), now);
    play_round(f, 2);
    assert_int_equal(f->proofs[0].epoch, now);
    assert_int_equal(f->proofs[0].seq, known.seq + 3);
    assert_int_equal(f->proofs[0].total, known.total + 3);
    assert_int_equal(bench_status(&f->bench, RUN).lost, 4);
    end(f);
}

static void test_R13_restored_twice_the_lost_epochs_receipts_count_all(void **state)
{
    (void)state;
    struct fixture *f = begin(2);
    play_round(f, 2);
    bench_close(&f->bench);
    shell(f, "cp -r $D $D.copy");
    shell(f, "cp -r $D $D.second");
    bench_restart(&f->bench);
    play_round(f, 2);
    restore(f);
    assert_int_equal(show(f, 0, &f->proofs[0]).lost, 1);
    assert_int_equal(show(f, 1, &f->proofs[1]).lost, 1);
    play_round(f, 2); /* in the epoch that the second restore forgets */
    uint64_t forgotten = epoch_of(f);
    bench_close(&f->bench);
    shell(f, "rm -rf $D && mv $D.second $D");
    bench_restart(&f->bench);
    assert_true(epoch_of(f) < forgotten);
    assert_int_equal(show(f, 0, &f->proofs[0]).lost, 2);
    uint64_t now = epoch_of(f);
    assert_true(now > forgotten);
    assert_int_equal(show(f, 1, &f->proofs[1]).lost, 2);
    assert_int_equal(epoch_of(f), now);
    end(f);
}

static void test_R13_an_update_of_the_epoch_before_is_known_or_late_never_twice(void **state)
{
    (void)state;
    struct fixture *f = begin(1);
    struct fl_buf held, lost;
    fl_buf_init(&held, 1 << 20);
    fl_buf_init(&lost, 1 << 20);
    struct fl_work work = bench_get_work(&f->bench, &f->spec, 0);
    bench_update_body(&f->spec, 0, &work, &held);
    assert_int_equal(bench_put(&f->bench, RUN, 0, work.seq, fl_buf_view(&held))->http_status, 201);
    assert_ok(bench_turn(&f->bench, 1));
    struct fl_work next = bench_get_work(&f->bench, &f->spec, 0);
    bench_update_body(&f->spec, 0, &next, &lost);
    assert_int_equal(bench_ask(&f->bench, FL_REQUEST_RESTORED, "", -1)->http_status, 200);
    uint64_t now = epoch_of(f);
    assert_true(now > work.base.epoch);
    /* The answer was lost, the state holds it: the same verdict, of the epoch in which it was judged. */
    const struct bench_answer *again = bench_put(&f->bench, RUN, 0, work.seq, fl_buf_view(&held));
    assert_int_equal(again->http_status, 200);
    assert_int_equal(bench_verdict(again).epoch, work.base.epoch);
    /* One that it does not hold: to a client that has not heard of the new epoch a conflict, else late. */
    assert_int_equal(bench_put(&f->bench, RUN, 0, next.seq, fl_buf_view(&lost))->http_status, 412);
    struct fl_request *request;
    uint64_t ticket = bench_request(&f->bench, FL_REQUEST_UPDATE, RUN, 0, &request);
    request->seq = next.seq;
    request->has_epoch = 1;
    request->epoch = now;
    request->body = fl_buf_view(&lost);
    assert_ok(bench_turn(&f->bench, 1));
    struct fl_verdict verdict = bench_verdict(bench_answer(&f->bench, ticket));
    assert_int_equal(verdict.kind, FL_VERDICT_LATE);
    assert_int_equal(verdict.epoch, now);
    /* Its work is still there to be done, from the same version. */
    struct fl_work same = bench_get_work(&f->bench, &f->spec, 0);
    assert_int_equal(same.round, next.round);
    assert_int_equal(same.seq, next.seq + 1);
    assert_int_equal(same.base.epoch, now);
    assert_true(fl_version_same_model(&same.base, &next.base));
    fl_buf_done(&held);
    fl_buf_done(&lost);
    end(f);
}

static void test_R13_R23_the_mark_outside_the_rows_tells_and_tokens_are_void(void **state)
{
    (void)state;
    struct fixture *f = begin(2);
    play_round(f, 2);
    struct fl_request *request;
    uint64_t ticket = bench_request(&f->bench, FL_REQUEST_TOKEN_CREATE, "", -1, &request);
    request->token_uses = 3;
    request->token_ttl_ms = 1000000;
    assert_ok(bench_turn(&f->bench, 1));
    char token[FL_LIMIT_TOKEN_BYTES + 1];
    strcpy(token, bench_answer(&f->bench, ticket)->token);
    bench_close(&f->bench);
    shell(f, "cp -r $D $D.copy");
    bench_restart(&f->bench);
    play_round(f, 2);
    ticket = bench_request(&f->bench, FL_REQUEST_CLIENT_REVOKE, "", -1, &request);
    strcpy(request->client, f->bench.clients[1].id);
    assert_ok(bench_turn(&f->bench, 1));
    assert_int_equal(bench_answer(&f->bench, ticket)->http_status, 200);
    uint64_t before = epoch_of(f);
    /* Only the database and its blobs are put back; the two files beside them stay. */
    bench_close(&f->bench);
    shell(f, "cd $D && rm -rf server.sqlite* blobs && cp -r $D.copy/server.sqlite* $D.copy/blobs .");
    bench_restart(&f->bench);
    assert_true(epoch_of(f) > before);
    assert_int_equal(bench_status(&f->bench, RUN).restores, 1);
    assert_int_equal(bench_ask(&f->bench, FL_REQUEST_RUN_INFO, RUN, 1)->http_status, 403);
    assert_int_equal(bench_ask(&f->bench, FL_REQUEST_RUN_INFO, RUN, 0)->http_status, 200);
    struct fl_enroll_request enroll = {.csr = fl_bytes_from_text("request")};
    struct fl_buf body;
    fl_buf_init(&body, 4096);
    memcpy(enroll.token, token, sizeof enroll.token);
    assert_ok(fl_enroll_request_encode(&enroll, &body));
    ticket = bench_request(&f->bench, FL_REQUEST_ENROLL, "", -1, &request);
    request->body = fl_buf_view(&body);
    request->public_key = fl_bytes_from_text("a new key");
    memset(request->key, 9, sizeof request->key);
    assert_ok(bench_turn(&f->bench, 1));
    assert_int_equal(bench_answer(&f->bench, ticket)->http_status, 403);
    assert_non_null(strstr(bench_answer(&f->bench, ticket)->text, "before the server was restored"));
    fl_buf_done(&body);
    bench_restart(&f->bench); /* noticed once */
    assert_int_equal(bench_status(&f->bench, RUN).restores, 1);
    shell(f, "rm -rf $D.copy");
    end(f);
}

/* A lost database would otherwise be an empty one: a server without clients that refuses all of them. */
static void test_R13_a_lost_database_is_not_replaced_by_an_empty_one(void **state)
{
    static const char *const losses[] = {"rm $D/server.sqlite*",
                                         "rm -f $D/server.sqlite-*; : >$D/server.sqlite"};
    (void)state;
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        struct fixture *f = begin(1);
        struct fl_store *store = NULL;
        struct fl_error err = {""};
        char path[200];
        bench_close(&f->bench);
        shell(f, losses[i]);
        snprintf(path, sizeof path, "%s/server.sqlite", f->bench.dir);
        assert_ok(fl_store_open(path, NULL, &err, &store));
        assert_status(fl_store_guard(store, f->bench.dir, &err), FL_ERR_CORRUPT);
        assert_non_null(strstr(err.text, "state.mark"));
        assert_non_null(strstr(err.text, "backup"));
        fl_store_close(store);
        shell(f, "rm $D/server.sqlite* $D/state.mark"); /* to begin anew */
        assert_ok(fl_store_open(path, NULL, &err, &store));
        assert_ok(fl_store_guard(store, f->bench.dir, &err));
        fl_store_close(store);
        bench_restart(&f->bench);
        end(f);
    }
}

static void test_R23_damage_to_the_list_of_revocations_keeps_the_server_down(void **state)
{
    (void)state;
    static const struct {
        const char *what, *command, *says;
    } cases[] = {
        {"torn tail", "cd $D && truncate -s -9 revocations.log", "line 2"},
        {"flipped byte", "cd $D && sed -i '2s/revoked ./revoked x/' revocations.log", "line 2"},
        {"head gone", "cd $D && sed -i 1d revocations.log", "line 1"},
        {"emptied", "cd $D && truncate -s 0 revocations.log", "line 1"},
        {"line gone", "cd $D && sed -i 2d revocations.log", "put the file back"},
        {"file gone", "cd $D && rm revocations.log", "put the file back"},
        {"mark damaged", "cd $D && sed -i s/stamp/stomp/ state.mark", "state.mark"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = begin(2);
        struct fl_request *request;
        struct fl_store *store;
        struct fl_error err;
        char path[200];
        (void)bench_request(&f->bench, FL_REQUEST_CLIENT_REVOKE, "", -1, &request);
        strcpy(request->client, f->bench.clients[1].id);
        assert_ok(bench_turn(&f->bench, 1));
        bench_close(&f->bench);
        shell(f, cases[i].command);
        snprintf(path, sizeof path, "%s/server.sqlite", f->bench.dir);
        assert_ok(fl_store_open(path, NULL, &err, &store));
        assert_status(fl_store_guard(store, f->bench.dir, &err), FL_ERR_CORRUPT);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s: %s", cases[i].what, err.text);
        fl_store_close(store);
        end(f);
    }
}

/* A round that needs everybody, one of whom sends nonsense: extended at its deadline, then done. */
static void test_R5_a_refused_client_may_try_again_when_the_round_is_extended(void **state)
{
    (void)state;
    struct fixture *f = begin(2);
    struct fl_work both[2], work, other;
    struct fl_buf body;
    struct fl_update update;
    fl_buf_init(&body, 1 << 20);
    get_work(f, 2, both);
    work = both[0];
    other = both[1];
    bench_update_body(&f->spec, 0, &work, &body);
    assert_int_equal(bench_put(&f->bench, RUN, 0, work.seq, fl_buf_view(&body))->http_status, 201);
    struct fl_buf payload;
    fl_buf_init(&payload, 1 << 20);
    update = bench_update(&f->spec, 1, &other, &payload);
    update.payload.size--;
    fl_buf_clear(&body);
    assert_ok(fl_update_encode(&update, &body));
    assert_int_equal(bench_put(&f->bench, RUN, 1, other.seq, fl_buf_view(&body))->http_status, 422);
    struct fl_request *request;
    uint64_t ticket = bench_request(&f->bench, FL_REQUEST_WORK, RUN, 1, &request);
    request->wait_ms = 10 * f->spec.deadline_ms;
    assert_ok(bench_turn(&f->bench, 1));
    assert_null(bench_answer(&f->bench, ticket)); /* not again before the deadline */
    assert_ok(bench_turn(&f->bench, f->spec.deadline_ms));
    assert_non_null(bench_answer(&f->bench, ticket));
    assert_int_equal(bench_answer(&f->bench, ticket)->http_status, 200);
    struct fl_work again;
    assert_ok(fl_work_decode(fl_shared_view(bench_answer(&f->bench, ticket)->body), &again));
    assert_int_equal(again.round, work.round);
    fl_buf_clear(&body);
    bench_update_body(&f->spec, 1, &again, &body);
    assert_int_equal(bench_put(&f->bench, RUN, 1, again.seq, fl_buf_view(&body))->http_status, 201);
    assert_ok(bench_turn(&f->bench, 1));
    assert_int_equal(bench_status(&f->bench, RUN).info.version.number, 1);
    fl_buf_done(&body);
    fl_buf_done(&payload);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R13_wrong_receipts_change_nothing_and_the_right_one_begins_an_epoch),
        cmocka_unit_test(test_R13_restored_twice_the_lost_epochs_receipts_count_all),
        cmocka_unit_test(test_R13_an_update_of_the_epoch_before_is_known_or_late_never_twice),
        cmocka_unit_test(test_R13_R23_the_mark_outside_the_rows_tells_and_tokens_are_void),
        cmocka_unit_test(test_R13_a_lost_database_is_not_replaced_by_an_empty_one),
        cmocka_unit_test(test_R23_damage_to_the_list_of_revocations_keeps_the_server_down),
        cmocka_unit_test(test_R5_a_refused_client_may_try_again_when_the_round_is_extended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
