/* Which versions can be fetched as snapshots, and for how long (rule R16). */
#include "test.h"

#include <dirent.h>

#include "bench.h"
#include "codec/downlink.h"

#define KEEP_MS 10000

static struct bench *start_run(struct fl_run_spec *spec, size_t kept, int keep_updates)
{
    struct bench *bench = calloc(1, sizeof *bench);

    *spec = bench_spec("run", 1, 30);
    spec->keep_updates = keep_updates;
    bench_init(bench, 1);
    bench->snapshots = (struct fl_snapshot_limits){kept, KEEP_MS};
    bench_restart(bench);
    bench_enrol(bench, 1);
    bench_create_run(bench, spec);
    return bench;
}

static struct bench *start(struct fl_run_spec *spec, size_t kept)
{
    return start_run(spec, kept, 0);
}

static void stop(struct bench *bench)
{
    bench_done(bench);
    free(bench);
}

/* One round: the next version. */
static void publish(struct bench *bench, const struct fl_run_spec *spec)
{
    struct fl_work work = bench_get_work(bench, spec, 0);
    struct fl_buf body;

    fl_buf_init(&body, 1 << 20);
    bench_update_body(spec, 0, &work, &body);
    assert_int_equal(bench_put(bench, "run", 0, work.seq, fl_buf_view(&body))->http_status, 201);
    fl_buf_done(&body);
    assert_ok(bench_turn(bench, 1));
}

/* What a request for the model gives; have, want: NULL: none. */
static const struct bench_answer *fetch(struct bench *bench, const struct fl_version *have,
                                        const struct fl_version *want)
{
    struct fl_request *request;
    uint64_t ticket = bench_request(bench, FL_REQUEST_MODEL, "run", 0, &request);

    request->has_have = have != NULL;
    if (have)
        request->have = *have;
    request->has_want = want != NULL;
    if (want)
        request->want = *want;
    assert_ok(bench_turn(bench, 0));
    return bench_answer(bench, ticket);
}

static struct fl_version begin_download(struct bench *bench, uint64_t expected)
{
    const struct bench_answer *answer = fetch(bench, NULL, NULL);

    assert_int_equal(answer->http_status, 200);
    assert_true(answer->in_parts);
    assert_int_equal(answer->version.number, expected);
    return answer->version;
}

/* The rest of a download that has begun: 1 when it is still of the same version. */
static int goes_on(struct bench *bench, const struct fl_version *version)
{
    return fl_version_equal(&fetch(bench, NULL, version)->version, version);
}

static uint64_t count_kept(struct bench *bench)
{
    return bench_status(bench, "run").snapshots;
}

/* State blobs on the disk. */
static size_t count_states(const struct bench *bench)
{
    char path[100];
    size_t count = 0;

    snprintf(path, sizeof path, "%s/blobs", bench->dir);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += strstr(entry->d_name, ".state") != NULL;
    closedir(folder);
    return count;
}

static void pass_time(struct bench *bench, uint64_t ms)
{
    assert_ok(bench_turn(bench, ms));
}

static void test_R16_a_snapshot_stays_while_its_download_may_last_and_then_goes(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct bench *bench = start(&spec, 2);
    struct fl_version first = begin_download(bench, 0);

    publish(bench, &spec);
    publish(bench, &spec);
    pass_time(bench, KEEP_MS - 100 - (bench->now_ms - 1000) % 100);
    assert_int_equal(count_kept(bench), 1);
    while (count_kept(bench) > 0) { /* no reader extends it by going on */
        int on = goes_on(bench, &first);
        pass_time(bench, 50);
        assert_true(on || count_kept(bench) > 0);
    }
    struct fl_version newest = begin_download(bench, 2); /* instead of the rest */
    assert_false(fl_version_equal(&newest, &first));
    stop(bench);
}

static void test_R16_each_download_has_its_time_whatever_the_number_of_them(void **state)
{
    (void)state;
    for (size_t kept = 2; kept <= 4; kept++) {
        struct fl_run_spec spec;
        struct bench *bench = start(&spec, kept);
        struct {
            struct fl_version version;
            uint64_t began_ms;
        } downloads[25];

        for (size_t i = 0; i < 25; i++) { /* each begins after another version, a tenth of its time later */
            const struct bench_answer *answer = fetch(bench, NULL, NULL);
            downloads[i].version = answer->version;
            downloads[i].began_ms = bench->now_ms;
            assert_true(count_kept(bench) <= kept);
            publish(bench, &spec);
            pass_time(bench, KEEP_MS / 10);
            for (size_t j = 0; j <= i; j++)
                if (bench->now_ms < downloads[j].began_ms + KEEP_MS)
                    assert_true(goes_on(bench, &downloads[j].version));
        }
        assert_true(downloads[24].version.number > 0); /* newer ones do get their turn */
        pass_time(bench, KEEP_MS);
        pass_time(bench, 1);
        assert_int_equal(count_kept(bench), 0);
        stop(bench);
    }
}

static void test_R16_from_an_older_snapshot_a_delta_leads_to_the_newest(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct bench *bench = start(&spec, 2);
    size_t elems = (size_t)fl_model_spec_elems(&spec.model);
    struct fl_model_message message;
    float *replica = malloc(elems * sizeof *replica), *x_hat;
    struct fl_version newest;

    (void)begin_download(bench, 0);
    publish(bench, &spec);
    (void)begin_download(bench, 1);
    publish(bench, &spec);
    publish(bench, &spec);
    struct fl_version old = begin_download(bench, 1); /* both places are taken */
    assert_ok(fl_model_message_decode(fl_shared_view(fetch(bench, NULL, &old)->body), &message));
    assert_int_equal(message.form, FL_FORM_SNAPSHOT);
    memcpy(replica, message.data.data, elems * sizeof *replica);
    const struct bench_answer *answer = fetch(bench, &old, NULL);
    assert_false(answer->in_parts);
    assert_ok(fl_model_message_decode(fl_shared_view(answer->body), &message));
    assert_int_equal(message.form, FL_FORM_DELTA);
    assert_ok(fl_sparse_apply(message.data, replica, elems));
    free(bench_read_x(bench, &spec, &newest, &x_hat));
    assert_true(fl_version_equal(&message.version, &newest));
    assert_memory_equal(replica, x_hat, elems * sizeof *replica);
    free(replica);
    free(x_hat);
    stop(bench);
}

/* Every coordinate changes, so that a delta is no smaller than a snapshot: whoever holds the newest snapshot
 * that there is to be had must be given the delta all the same, or would be sent round in circles. */
static void test_R16_R19_a_large_delta_comes_where_no_newer_snapshot_does(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct bench *bench = start(&spec, 2);
    struct fl_model_message message;

    bench_done(bench);
    bench_init(bench, 1);
    bench->snapshots = (struct fl_snapshot_limits){2, KEEP_MS};
    bench_restart(bench);
    bench_enrol(bench, 1);
    strcpy(spec.codec.name, "dense");
    bench_create_run(bench, &spec);
    struct fl_version first = begin_download(bench, 0);
    publish(bench, &spec);
    const struct bench_answer *answer = fetch(bench, &first, NULL);
    assert_true(answer->in_parts); /* a snapshot, for there still is a place */
    assert_int_equal(answer->version.number, 1);
    struct fl_version second = answer->version;
    publish(bench, &spec);
    answer = fetch(bench, &first, NULL);
    assert_true(answer->in_parts); /* the second one, which is nearer */
    assert_true(fl_version_equal(&answer->version, &second));
    answer = fetch(bench, &second, NULL);
    assert_false(answer->in_parts);
    assert_ok(fl_model_message_decode(fl_shared_view(answer->body), &message));
    assert_int_equal(message.form, FL_FORM_DELTA);
    assert_int_equal(message.version.number, 2);
    assert_true(message.data.size > 4 * fl_model_spec_elems(&spec.model));
    stop(bench);
}

static void test_R16_the_rest_of_a_download_is_not_counted_again(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct bench *bench = start(&spec, 2);
    struct fl_version first = begin_download(bench, 0);
    struct fl_run_status before = bench_status(bench, "run"), after;

    assert_true(before.downlink_bytes > 4 * before.elems && before.downlink_dense_bytes == 4 * before.elems);
    assert_true(goes_on(bench, &first));
    after = bench_status(bench, "run");
    assert_int_equal(after.downlink_bytes, before.downlink_bytes);
    assert_int_equal(after.downlink_dense_bytes, before.downlink_dense_bytes);
    stop(bench);
}

static void test_R16_downloads_go_on_after_a_restart(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct bench *bench = start(&spec, 2);
    struct fl_version first = begin_download(bench, 0);

    publish(bench, &spec);
    struct fl_version second = begin_download(bench, 1);
    bench_restart(bench);
    assert_true(goes_on(bench, &first));
    publish(bench, &spec);
    assert_true(goes_on(bench, &second)); /* the newest when the server went down */
    assert_true(goes_on(bench, &first));
    pass_time(bench, KEEP_MS);
    pass_time(bench, 1);
    assert_int_equal(count_kept(bench), 0);
    stop(bench);
}

/* Nobody downloads anything, yet a start and a failed turn take the newest for one whose download has just
 * begun. With and without the version 0 that keep_updates keeps. */
static void test_R16_restarts_and_failed_turns_take_no_more_of_the_disk(void **state)
{
    (void)state;
    for (int keep_updates = 0; keep_updates < 2; keep_updates++) {
        struct fl_run_spec spec;
        struct bench *bench = start_run(&spec, 2, keep_updates);

        for (int i = 0; i < 8; i++) {
            if (i % 2) {
                bench_restart(bench);
            } else {
                bench_fail_write(bench, 2); /* the commit */
                assert_status(bench_turn(bench, 1), FL_ERR_IO);
            }
            publish(bench, &spec);
            assert_true(count_states(bench) <= 2 + 1 + (size_t)keep_updates);
        }
        stop(bench);
    }
}

static void test_R16_the_last_version_of_an_ended_run_needs_no_place(void **state)
{
    (void)state;
    struct fl_run_spec spec;
    struct bench *bench = start(&spec, 2);

    (void)begin_download(bench, 0);
    publish(bench, &spec);
    (void)begin_download(bench, 1);
    publish(bench, &spec);
    (void)begin_download(bench, 1);
    struct fl_request *request;
    bench_request(bench, FL_REQUEST_RUN_STOP, "run", -1, &request);
    assert_ok(bench_turn(bench, 1));
    for (int i = 0; i < 3; i++)
        assert_ok(bench_turn(bench, 1));
    assert_string_equal(bench_status(bench, "run").phase, "ended");
    struct fl_version last = begin_download(bench, 3);
    pass_time(bench, 2 * KEEP_MS);
    pass_time(bench, 1);
    assert_int_equal(count_kept(bench), 0);
    assert_true(goes_on(bench, &last));
    stop(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R16_a_snapshot_stays_while_its_download_may_last_and_then_goes),
        cmocka_unit_test(test_R16_each_download_has_its_time_whatever_the_number_of_them),
        cmocka_unit_test(test_R16_from_an_older_snapshot_a_delta_leads_to_the_newest),
        cmocka_unit_test(test_R16_R19_a_large_delta_comes_where_no_newer_snapshot_does),
        cmocka_unit_test(test_R16_the_rest_of_a_download_is_not_counted_again),
        cmocka_unit_test(test_R16_downloads_go_on_after_a_restart),
        cmocka_unit_test(test_R16_restarts_and_failed_turns_take_no_more_of_the_disk),
        cmocka_unit_test(test_R16_the_last_version_of_an_ended_run_needs_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
