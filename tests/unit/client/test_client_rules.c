/* The rules of the round as the client keeps them, driven event by event. */
#include "test.h"

#include <math.h>

#include "client/core/backoff.h"
#include "client/core/vector.h"
#include "codec/codec.h"
#include "world.h"

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    world_init(w, 4);
    assert_ok(world_start(w));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_done(*state);
    free(*state);
    return 0;
}

static void test_a_run_from_start_to_end(void **state)
{
    struct world *w = *state;
    struct fl_version version;
    const float *values;
    assert_ok(world_run(w));
    assert_string_equal(w->trace, "run work train save update save "
                                  "work model save train save update save "
                                  "work model save train save update save "
                                  "work model save train save update save "
                                  "work model save");
    assert_int_equal(w->accepted_count, 4);
    assert_int_equal(w->waits, 0);
    assert_true(fl_client_replica(w->client, &version, &values));
    assert_true(fl_version_equal(&version, &w->info.version));
    assert_memory_equal(values, w->x, w->elems * sizeof *values);
    assert_int_equal(fl_client_manifest(w->client)->receipt_count, 4);
    assert_int_equal(fl_client_manifest(w->client)->receipts[2].receipt[0], 3);
    world_check_law(w);

    /* Started again it finds nothing left to do. */
    w->trace[0] = 0;
    assert_ok(world_start(w));
    assert_ok(world_run(w));
    assert_string_equal(w->trace, "run show");
}

static void test_two_worlds_give_the_same_bits(void **state)
{
    struct world *w = *state, *other;
    void *second;
    setup(&second);
    other = second;
    assert_ok(world_run(w));
    assert_ok(world_run(other));
    assert_int_equal(w->sent_count, other->sent_count);
    for (size_t i = 0; i < w->sent_count; i++)
        assert_true(fl_bytes_equal(fl_buf_view(&w->sent[i]), fl_buf_view(&other->sent[i])));
    assert_int_equal(w->file_count, other->file_count);
    teardown(&second);
}

static void test_R2_no_new_work_before_the_verdict(void **state)
{
    struct world *w = *state;
    world_fault(w, FL_ROUTE_UPDATE, FAULT_503, 5);
    assert_ok(world_run(w));
    assert_non_null(
        strstr(w->trace, "update wait update wait update wait update wait update wait update save work"));
    assert_int_equal(w->accepted_count, 4);
    world_check_law(w);
}

static void test_R2_outbox_goes_first_after_a_restart(void **state)
{
    struct world *w = *state;
    world_until(w, FL_CLIENT_TRAIN);
    world_until(w, FL_CLIENT_SAVE);
    world_step(w);
    w->trace[0] = 0;
    assert_ok(world_start(w));
    world_until(w, FL_CLIENT_SAVE);
    assert_string_equal(w->trace, "run update");
}

static void test_R2_gaps_stop_the_client_and_keep_the_folder(void **state)
{
    static const uint64_t shifts[] = {1, 2, (uint64_t)-1};
    for (size_t i = 0; i < sizeof shifts / sizeof shifts[0]; i++) {
        struct world *w = *state;
        for (int round = 0; round < 2; round++)
            do
                world_until(w, FL_CLIENT_REQUEST), world_step(w);
            while (w->event.http_status != 201);
        size_t files = w->file_count;
        w->seq_shift = shifts[i];
        assert_status(world_run(w), FL_ERR_STATE);
        assert_non_null(strstr(w->effect.reason, "out of step"));
        assert_true(w->file_count >= files);
        w->seq_shift = 0;
        assert_ok(world_start(w));
        assert_ok(world_run(w));
        world_check_law(w);
        teardown(state);
        setup(state);
    }
}

static void test_R3_anything_but_a_verdict_repeats_the_same_bytes(void **state)
{
    static const enum world_fault faults[] = {FAULT_LOST_BEFORE, FAULT_LOST_AFTER, FAULT_503, FAULT_HTML_200,
                                              FAULT_CUT};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct world *w = *state;
        world_fault(w, FL_ROUTE_UPDATE, faults[i], 3);
        assert_ok(world_run(w));
        assert_int_equal(w->sent_count, 4 + 3);
        for (size_t k = 1; k < 4; k++)
            assert_true(fl_bytes_equal(fl_buf_view(&w->sent[0]), fl_buf_view(&w->sent[k])));
        assert_int_equal(w->accepted_count, 4);
        assert_int_equal(w->last_seq, 4);
        world_check_law(w);
        teardown(state);
        setup(state);
    }
}

static void test_R3_the_same_bytes_after_a_restart_too(void **state)
{
    struct world *w = *state;
    world_fault(w, FL_ROUTE_UPDATE, FAULT_LOST_AFTER, 4);
    for (int restart = 0; restart < 4; restart++) {
        world_until(w, FL_CLIENT_WAIT);
        assert_ok(world_start(w));
    }
    assert_ok(world_run(w));
    assert_int_equal(w->sent_count, 4 + 4);
    for (size_t k = 1; k < 5; k++)
        assert_true(fl_bytes_equal(fl_buf_view(&w->sent[0]), fl_buf_view(&w->sent[k])));
    assert_int_equal(w->accepted_count, 4);
    world_check_law(w);
}

static void test_R4_only_a_verdict_that_echoes_the_update_commits(void **state)
{
    static const enum world_fault faults[] = {FAULT_EMPTY_201, FAULT_EMPTY_409,    FAULT_WRONG_EPOCH,
                                              FAULT_WRONG_SEQ, FAULT_WRONG_DIGEST, FAULT_HTML_200};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct world *w = *state;
        world_fault(w, FL_ROUTE_UPDATE, faults[i], 1);
        world_until(w, FL_CLIENT_WAIT);
        assert_int_equal(fl_client_manifest(w->client)->next_seq, 1);
        assert_true(fl_client_manifest(w->client)->outbox.name[0]);
        assert_false(fl_client_manifest(w->client)->residual.name[0]);
        assert_ok(world_run(w));
        assert_int_equal(w->accepted_count, 4);
        world_check_law(w);
        teardown(state);
        setup(state);
    }
}

static void test_R3_conflict_stops_and_keeps_the_outbox(void **state)
{
    struct world *w = *state;
    world_until(w, FL_CLIENT_TRAIN);
    world_until(w, FL_CLIENT_SAVE);
    world_step(w);
    w->last_seq = 1; /* another copy of this identity was faster */
    assert_status(world_run(w), FL_ERR_STATE);
    assert_non_null(strstr(w->effect.reason, "conflict"));
    assert_non_null(world_find(w, "update.1"));
    assert_non_null(world_find(w, "residual.1"));
    assert_false(strstr(w->trace, "update save") != NULL);
}

static const float *vector_in(struct world *w, const char *name)
{
    struct world_file *file = world_find(w, name);
    assert_non_null(file);
    return (const float *)(const void *)(file->data + FL_VECTOR_HEAD_BYTES);
}

static void test_R6_folds_once_then_drops(void **state)
{
    struct world *w = *state;
    const struct fl_manifest *m = fl_client_manifest(w->client);
    w->judge = FL_VERDICT_LATE;
    while (w->last_seq < 2)
        world_step(w);
    world_until(w, FL_CLIENT_SAVE);
    world_step(w);
    assert_int_equal(m->dropped, 1);
    assert_int_equal(m->folds, 1);
    /* After the second the residual is again what the first fold left: p of the first update. */
    assert_memory_equal(vector_in(w, m->residual.name), vector_in(w, "history/1.p"),
                        w->elems * sizeof(float));
    assert_string_equal(m->residual.name, "residual.1.folded");
    double lost = 0;
    for (uint64_t i = 0; i < w->elems; i++) {
        double difference = (double)(vector_in(w, "history/2.p")[i] - vector_in(w, "history/2.e_old")[i]);
        lost += difference * difference;
    }
    assert_true(fabs(m->dropped_norm - sqrt(lost)) <= 1e-12);

    /* An accepted update ends the row: the next late one is folded again. */
    w->judge = FL_VERDICT_ACCEPTED;
    while (w->last_seq < 3)
        world_step(w);
    world_until(w, FL_CLIENT_SAVE);
    world_step(w);
    assert_int_equal(m->folds, 0);
    w->judge = FL_VERDICT_LATE;
    assert_ok(world_run(w));
    assert_int_equal(m->dropped, 1);
    assert_int_equal(m->folds, 1);
    assert_string_equal(m->residual.name, "residual.4.folded");
    world_check_law(w);
}

static void test_R6_ended_folds_and_stops(void **state)
{
    struct world *w = *state;
    w->judge = FL_VERDICT_ENDED;
    w->rounds = 1;
    assert_ok(world_run(w));
    assert_int_equal(w->sent_count, 1);
    assert_string_equal(fl_client_manifest(w->client)->residual.name, "residual.1.folded");
    assert_string_equal(w->trace, "run work train save update save run model save");
    world_check_law(w);
}

static void test_R6_invalid_is_never_resent_and_stops_in_the_end(void **state)
{
    struct world *w = *state;
    w->judge = FL_VERDICT_INVALID;
    assert_status(world_run(w), FL_ERR_RANGE);
    assert_int_equal(w->sent_count, 3);
    assert_int_equal(w->last_seq, 3);
    assert_int_equal(fl_client_manifest(w->client)->dropped, 2);
    world_check_law(w);
}

static void test_calibration_leaves_the_residual_alone(void **state)
{
    struct world *w = *state;
    struct fl_update update;
    w->work_kind = FL_WORK_CALIBRATE;
    while (w->last_seq < 1)
        world_step(w);
    assert_ok(fl_update_decode(fl_buf_view(&w->sent[0]), &update));
    assert_int_equal(update.kind, FL_WORK_CALIBRATE);
    assert_int_equal(update.payload.size, 0);
    assert_true(update.delta_squares > 0);
    assert_int_equal(update.weight, 40);
    assert_true(update.residual_norm == 0);
    w->work_kind = FL_WORK_TRAIN;
    assert_ok(world_run(w));
    assert_null(world_find(w, "residual.1"));
    world_check_law(w);
}

static void test_R19_a_delta_that_does_not_fit_is_replaced_by_a_snapshot(void **state)
{
    struct world *w = *state;
    struct fl_version version;
    const float *values;
    world_fault(w, FL_ROUTE_MODEL, FAULT_BAD_DELTA, 1);
    assert_ok(world_run(w));
    assert_non_null(strstr(w->trace, "work model model save train"));
    assert_true(fl_client_replica(w->client, &version, &values));
    assert_memory_equal(values, w->x, w->elems * sizeof *values);
}

static void test_a_server_that_has_only_wrong_deltas_is_asked_with_pauses(void **state)
{
    struct world *w = *state;
    world_fault(w, FL_ROUTE_MODEL, FAULT_BAD_DELTA_ALWAYS, 3);
    world_until(w, FL_CLIENT_TRAIN);
    assert_ok(world_run(w));
    assert_non_null(strstr(w->trace, "work model model wait model wait model save train"));
}

static void test_R19_a_wrong_snapshot_is_never_kept(void **state)
{
    struct world *w = *state;
    w->info.version.number = 7; /* far from x_0: only a snapshot helps */
    w->x[3] += 1;
    struct fl_digest_tree *tree;
    assert_ok(fl_digest_tree_new(w->elems, &tree));
    w->info.version.digest = fl_digest_tree_get(tree, w->x);
    fl_digest_tree_free(tree);
    world_fault(w, FL_ROUTE_MODEL, FAULT_BAD_SNAPSHOT, 2);
    world_until(w, FL_CLIENT_SAVE);
    assert_string_equal(w->trace, "run work model wait model wait model");
    assert_ok(world_run(w));
}

static void test_R18_another_x0_is_fetched(void **state)
{
    struct world *w = *state;
    w->x[3] += 1;
    struct fl_digest_tree *tree;
    assert_ok(fl_digest_tree_new(w->elems, &tree));
    w->info.version.digest = fl_digest_tree_get(tree, w->x);
    fl_digest_tree_free(tree);
    world_until(w, FL_CLIENT_SAVE);
    assert_string_equal(w->trace, "run work model");
    assert_false(w->effect.has_have);
    assert_ok(world_run(w));
}

static void test_R19_deltas_are_redone_after_a_restart(void **state)
{
    struct world *w = *state;
    struct fl_version version;
    const float *values;
    while (w->last_seq < 3)
        world_step(w);
    assert_true(fl_client_manifest(w->client)->replica.name[0]);
    assert_ok(world_start(w));
    assert_true(fl_client_replica(w->client, &version, &values));
    assert_int_equal(version.number, 2);
    assert_memory_equal(values, w->x_before, w->elems * sizeof *values);
    assert_ok(world_run(w));
}

static void test_non_finite_training_enters_nothing(void **state)
{
    struct world *w = *state;
    w->not_finite = 2;
    assert_ok(world_run(w));
    assert_non_null(strstr(w->trace, "run work train wait work train wait work train save"));
    world_check_law(w);
}

static void test_three_bad_trainings_stop_the_client(void **state)
{
    struct world *w = *state;
    w->train_status = FL_ERR_NOT_FINITE;
    assert_status(world_run(w), FL_ERR_NOT_FINITE);
    assert_int_equal(w->sent_count, 0);
    assert_int_equal(w->file_count, 0);
    assert_non_null(strstr(w->effect.reason, "learning rate"));
}

static void test_a_stop_is_clean_at_every_step(void **state)
{
    for (int steps = 0;; steps++) {
        struct world *w = *state;
        struct fl_client_event stop = {.kind = FL_CLIENT_STOP_REQUESTED};
        world_fault(w, FL_ROUTE_UPDATE, FAULT_503, 1);
        for (int i = 0; i < steps; i++)
            world_step(w);
        int over = w->effect.kind == FL_CLIENT_STOP;
        if (!over) {
            fl_client_next(w->client, &stop, &w->effect);
            assert_int_equal(w->effect.kind, FL_CLIENT_STOP);
            assert_status(w->effect.status, FL_ERR_STOPPED);
        }
        assert_ok(world_start(w));
        assert_ok(world_run(w));
        assert_int_equal(w->accepted_count, 4);
        world_check_law(w);
        teardown(state);
        setup(state);
        if (over)
            break;
    }
}

static void test_refused_credentials_stop_and_keep_the_outbox(void **state)
{
    static const enum world_fault faults[] = {FAULT_401, FAULT_403};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct world *w = *state;
        world_fault(w, FL_ROUTE_UPDATE, faults[i], 1);
        assert_status(world_run(w), FL_ERR_AUTH);
        assert_non_null(world_find(w, "update.1"));
        assert_ok(world_start(w));
        assert_ok(world_run(w));
        assert_int_equal(w->accepted_count, 4);
        teardown(state);
        setup(state);
    }
}

static void test_R4_a_proxys_refusal_ends_no_client(void **state)
{
    static const enum fl_route_kind routes[] = {FL_ROUTE_RUN, FL_ROUTE_WORK, FL_ROUTE_MODEL, FL_ROUTE_UPDATE};
    static const int statuses[] = {401, 403, 404, 407, 410, 412, 451};
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        for (size_t k = 0; k < sizeof statuses / sizeof statuses[0]; k++) {
            struct world *w = *state;
            w->proxy_status = statuses[k];
            world_fault(w, routes[i], FAULT_PROXY, 3);
            assert_ok(world_run(w));
            assert_int_equal(w->fault_count, 0);
            assert_int_equal(w->accepted_count, 4);
            world_check_law(w);
            teardown(state);
            setup(state);
        }
}

/* A full disk at every kind of save in turn: the same files again until it works, nothing sent before. */
static void test_R7_a_failed_save_is_repeated_and_nothing_is_sent_before(void **state)
{
    struct world *w = *state;
    for (int saves = 0; saves < 4; saves++) {
        world_until(w, FL_CLIENT_SAVE);
        struct fl_client_effect first = w->effect;
        size_t sent = w->sent_count;
        w->save_status = FL_ERR_IO;
        for (int failures = 0; failures < 3; failures++) {
            world_step(w);
            assert_int_equal(w->effect.kind, FL_CLIENT_WAIT);
            world_step(w);
            assert_int_equal(w->effect.kind, FL_CLIENT_SAVE);
            assert_int_equal(w->effect.file_count, first.file_count);
            for (size_t i = 0; i < first.file_count; i++) {
                assert_string_equal(w->effect.files[i].name, first.files[i].name);
                assert_ptr_equal(w->effect.files[i].bytes.data, first.files[i].bytes.data);
            }
            assert_true(fl_bytes_equal(w->effect.manifest, first.manifest));
        }
        assert_int_equal(w->sent_count, sent);
        w->save_status = FL_OK;
        world_step(w);
    }
    assert_ok(world_run(w));
    world_check_law(w);
}

static void test_a_save_that_cannot_succeed_stops_without_sending(void **state)
{
    struct world *w = *state;
    w->save_status = FL_ERR_LIMIT;
    assert_status(world_run(w), FL_ERR_LIMIT);
    assert_int_equal(w->sent_count, 0);
    w->save_status = FL_OK;
    assert_ok(world_start(w));
    assert_ok(world_run(w));
    world_check_law(w);
}

static void test_wrong_events_stop_the_client(void **state)
{
    struct world *w = *state;
    struct fl_client_event event = {.kind = FL_CLIENT_SAVED};
    fl_client_next(w->client, &event, &w->effect);
    assert_int_equal(w->effect.kind, FL_CLIENT_STOP);
    assert_status(w->effect.status, FL_ERR_STATE);
    event.kind = FL_CLIENT_STARTED;
    fl_client_next(w->client, &event, &w->effect);
    assert_int_equal(w->effect.kind, FL_CLIENT_STOP);
}

static void test_other_runs_and_epochs_are_refused(void **state)
{
    struct world *w = *state;
    assert_ok(world_run(w));
    w->info.epoch++;
    w->info.version.epoch++;
    assert_ok(world_start(w));
    assert_status(world_run(w), FL_ERR_STATE);
    strcpy(w->options.run, "other");
    assert_status(world_start(w), FL_ERR_STATE);
    assert_non_null(strstr(fl_client_reason(w->client), "other"));
}

static void test_unknown_codecs_are_refused(void **state)
{
    struct world *w = *state;
    w->codec = "zip";
    assert_status(world_run(w), FL_ERR_NOT_FOUND);
    assert_non_null(strstr(w->effect.reason, "zip"));
    teardown(state);
    setup(state);
    w = *state;
    w->codec = "zip";
    w->dense_below = 8; /* what is not known is not "parts" */
    assert_status(world_run(w), FL_ERR_NOT_FOUND);
    assert_non_null(strstr(w->effect.reason, "zip"));
}

static void test_every_codec_runs(void **state)
{
    static const uint32_t borders[] = {0, 1, 8,
                                       67}; /* whole; of tensors of 35, 7, 21 and 3: none, two, all */
    for (size_t i = 0; fl_codec_names[i / 4]; i++) {
        struct world *w = *state;
        w->codec = fl_codec_names[i / 4];
        w->dense_below = borders[i % 4];
        while (w->last_seq < 2)
            world_step(w);
        w->judge = FL_VERDICT_LATE;
        assert_ok(world_run(w));
        assert_int_equal(w->last_seq, 4);
        assert_int_equal(fl_client_manifest(w->client)->dropped, 1);
        if (fl_codec_is_exact(fl_codec_find(w->codec)))
            world_check_law(w);
        teardown(state);
        setup(state);
    }
}

static void test_backoff_has_full_jitter_a_cap_and_respects_the_server(void **state)
{
    struct world *w = *state;
    for (uint32_t attempt = 0; attempt < 40; attempt++) {
        uint64_t cap = attempt < 7 ? (uint64_t)FL_BACKOFF_BASE_MS << attempt : FL_BACKOFF_CAP_MS, largest = 0;
        for (int i = 0; i < 200; i++) {
            uint64_t ms = fl_backoff_ms(&w->env, attempt, 0);
            assert_true(ms <= cap);
            largest = ms > largest ? ms : largest;
        }
        assert_true(largest > cap / 2);
    }
    assert_true(fl_backoff_ms(&w->env, 0, 5000) >= 5000);
    assert_true(fl_backoff_ms(&w->env, 0, UINT64_MAX) <= FL_BACKOFF_RETRY_AFTER_MS + FL_BACKOFF_BASE_MS);
    w->retry_after_ms = 7000;
    world_fault(w, FL_ROUTE_WORK, FAULT_503, 1);
    world_until(w, FL_CLIENT_WAIT);
    assert_true(w->effect.wait_ms >= 7000);
}

static void test_429_and_503_wait_as_the_server_says_and_no_longer_than_the_cap(void **state)
{
    static const struct {
        enum world_fault fault;
        uint64_t retry_after_ms, least_ms, most_ms;
    } cases[] = {
        {FAULT_429, 0, 0, FL_BACKOFF_BASE_MS},
        {FAULT_429, 20000, 20000, 20000 + FL_BACKOFF_BASE_MS},
        {FAULT_503, 20000, 20000, 20000 + FL_BACKOFF_BASE_MS},
        {FAULT_503, UINT64_MAX, FL_BACKOFF_RETRY_AFTER_MS, FL_BACKOFF_RETRY_AFTER_MS + FL_BACKOFF_BASE_MS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world *w = *state;
        w->retry_after_ms = cases[i].retry_after_ms;
        world_fault(w, FL_ROUTE_UPDATE, cases[i].fault, 1);
        world_until(w, FL_CLIENT_WAIT);
        assert_in_range(w->effect.wait_ms, cases[i].least_ms, cases[i].most_ms);
        w->retry_after_ms = 0;
        assert_ok(world_run(w));
        assert_int_equal(w->accepted_count, 4);
        teardown(state);
        setup(state);
    }
}

/* An answer that settles something ends a series of failures; a new client begins without one. */
static void test_nothing_but_failures_makes_waits_longer(void **state)
{
    struct world *w = *state;
    uint64_t largest = 0;
    for (int i = 0; i < 30; i++) {
        world_fault(w, FL_ROUTE_UPDATE, FAULT_429, 1);
        world_until(w, FL_CLIENT_WAIT);
        largest = w->effect.wait_ms > largest ? w->effect.wait_ms : largest;
        assert_ok(world_start(w));
    }
    assert_true(largest <= FL_BACKOFF_BASE_MS);
}

static void test_R3_413_stops_with_both_limits_and_keeps_the_outbox(void **state)
{
    static const struct {
        enum world_fault fault;
        const char *words;
    } cases[] = {{FAULT_413, "at most 65536"}, {FAULT_413_PROXY, "does not say how much"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world *w = *state;
        char size[32];
        world_fault(w, FL_ROUTE_UPDATE, cases[i].fault, 1000);
        assert_status(world_run(w), FL_ERR_LIMIT);
        assert_int_equal(w->sent_count, 1); /* not again and again */
        snprintf(size, sizeof size, "has %zu bytes", w->sent[0].size);
        assert_non_null(strstr(w->effect.reason, cases[i].words));
        assert_non_null(strstr(w->effect.reason, size));
        assert_non_null(strstr(w->effect.reason, "limits.update_bytes"));
        world_fault(w, FL_ROUTE_UPDATE, FAULT_NONE, 0);
        assert_ok(world_start(w));
        assert_ok(world_run(w));
        assert_true(fl_bytes_equal(fl_buf_view(&w->sent[0]), fl_buf_view(&w->sent[1])));
        assert_int_equal(w->accepted_count, 4);
        world_check_law(w);
        teardown(state);
        setup(state);
    }
}

#define RULE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_a_run_from_start_to_end),
        RULE(test_two_worlds_give_the_same_bits),
        RULE(test_R2_no_new_work_before_the_verdict),
        RULE(test_R2_outbox_goes_first_after_a_restart),
        RULE(test_R2_gaps_stop_the_client_and_keep_the_folder),
        RULE(test_R3_anything_but_a_verdict_repeats_the_same_bytes),
        RULE(test_R3_the_same_bytes_after_a_restart_too),
        RULE(test_R4_only_a_verdict_that_echoes_the_update_commits),
        RULE(test_R3_conflict_stops_and_keeps_the_outbox),
        RULE(test_R6_folds_once_then_drops),
        RULE(test_R6_ended_folds_and_stops),
        RULE(test_R6_invalid_is_never_resent_and_stops_in_the_end),
        RULE(test_calibration_leaves_the_residual_alone),
        RULE(test_R19_a_delta_that_does_not_fit_is_replaced_by_a_snapshot),
        RULE(test_a_server_that_has_only_wrong_deltas_is_asked_with_pauses),
        RULE(test_R19_a_wrong_snapshot_is_never_kept),
        RULE(test_R18_another_x0_is_fetched),
        RULE(test_R19_deltas_are_redone_after_a_restart),
        RULE(test_non_finite_training_enters_nothing),
        RULE(test_three_bad_trainings_stop_the_client),
        RULE(test_a_stop_is_clean_at_every_step),
        RULE(test_R4_a_proxys_refusal_ends_no_client),
        RULE(test_refused_credentials_stop_and_keep_the_outbox),
        RULE(test_R7_a_failed_save_is_repeated_and_nothing_is_sent_before),
        RULE(test_a_save_that_cannot_succeed_stops_without_sending),
        RULE(test_wrong_events_stop_the_client),
        RULE(test_other_runs_and_epochs_are_refused),
        RULE(test_unknown_codecs_are_refused),
        RULE(test_every_codec_runs),
        RULE(test_backoff_has_full_jitter_a_cap_and_respects_the_server),
        RULE(test_429_and_503_wait_as_the_server_says_and_no_longer_than_the_cap),
        RULE(test_nothing_but_failures_makes_waits_longer),
        RULE(test_R3_413_stops_with_both_limits_and_keeps_the_outbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
