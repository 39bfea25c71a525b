/* The SQLite store itself: large payloads, roll-back, sweeping, what it refuses; and memory running out. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "fail_alloc.h"
#include "server/port/store_sqlite.h"

#define LARGE_BYTES 100000 /* above what a row holds */

struct place {
    char dir[64], path[100], blobs[100];
    struct fl_store *store;
};

static void place_open(struct place *place)
{
    struct fl_error err;

    assert_ok(fl_store_open(place->path, place->blobs, &err, &place->store));
}

static void place_init(struct place *place)
{
    strcpy(place->dir, access("/dev/shm", W_OK) ? "/tmp/fl-store-XXXXXX" : "/dev/shm/fl-store-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->path, sizeof place->path, "%s/server.sqlite", place->dir);
    snprintf(place->blobs, sizeof place->blobs, "%s/blobs", place->dir);
    place_open(place);
}

static void place_done(struct place *place)
{
    char command[100];

    fl_store_close(place->store);
    snprintf(command, sizeof command, "rm -rf %s", place->dir);
    assert_int_equal(system(command), 0);
}

static int count_files(const char *dir)
{
    DIR *folder = opendir(dir);
    int count = 0;

    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static void put_receipt(struct fl_store *store, struct fl_run_key run, uint64_t seq, size_t size)
{
    struct fl_receipt_row row = {.client = "c0ffee", .seq = seq, .reason = "", .round = 1, .weight = 3};
    uint8_t *data = calloc(1, size + 1);

    memset(data, (int)seq, size);
    assert_ok(store->receipt_put(store, run, &row, (struct fl_bytes){data, size}));
    free(data);
}

static enum fl_status get_payload(struct fl_store *store, struct fl_run_key run, uint64_t seq,
                                  size_t *ret_size)
{
    struct fl_buf payload;
    enum fl_status st;

    fl_buf_init(&payload, 1 << 20);
    st = store->payload_get(store, run, "c0ffee", seq, &payload);
    for (size_t i = 0; i < payload.size; i++)
        assert_int_equal(payload.data[i], seq);
    *ret_size = payload.size;
    fl_buf_done(&payload);
    return st;
}

static void test_R9_large_payloads_are_blobs_that_follow_their_row(void **state)
{
    (void)state;
    struct place place;
    struct fl_run_key run = {"run", 7};
    size_t size;

    place_init(&place);
    struct fl_store *store = place.store;
    assert_ok(store->begin(store));
    put_receipt(store, run, 1, 100);
    put_receipt(store, run, 2, LARGE_BYTES);
    assert_int_equal(count_files(place.blobs), 1);
    store->rollback(store);
    assert_int_equal(count_files(place.blobs), 0); /* gone with its row */
    assert_status(get_payload(store, run, 2, &size), FL_ERR_NOT_FOUND);

    assert_ok(store->begin(store));
    put_receipt(store, run, 1, 100);
    put_receipt(store, run, 2, LARGE_BYTES);
    assert_ok(store->commit(store));
    fl_store_close(place.store);
    place_open(&place);
    store = place.store;
    assert_ok(get_payload(store, run, 1, &size));
    assert_int_equal(size, 100);
    assert_ok(get_payload(store, run, 2, &size));
    assert_int_equal(size, LARGE_BYTES);

    assert_ok(store->begin(store)); /* frozen, dropped, but not committed: still there */
    assert_ok(store->receipts_freeze(store, run, 1));
    assert_ok(store->payloads_drop(store, run, 1));
    assert_int_equal(count_files(place.blobs), 1);
    store->rollback(store);
    assert_ok(get_payload(store, run, 2, &size));
    assert_ok(store->begin(store));
    assert_ok(store->receipts_freeze(store, run, 1));
    assert_ok(store->payloads_drop(store, run, 1));
    assert_ok(store->commit(store));
    assert_int_equal(count_files(place.blobs), 0);
    assert_status(get_payload(store, run, 1, &size), FL_ERR_NOT_FOUND);
    place_done(&place);
}

/* SQLite's syncs and writes come here. */
static int syncs_fail, writes_fail;

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    if (writes_fail) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, size, offset);
}

int fdatasync(int fd)
{
    if (syncs_fail) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* Dies after a commit whose log was written, but could not be synced. settles: the disk works again before.
 * The exit status is the number of the step that went wrong. */
static void die_in_doubt(struct place *place, struct fl_run_key run, int settles)
{
    place_open(place);
    struct fl_store *store = place->store;
    for (uint64_t seq = 1; seq <= 2; seq++) {
        if (store->begin(store))
            _exit(1);
        put_receipt(store, run, seq, LARGE_BYTES);
        if (seq == 1 && store->commit(store)) /* the first commit syncs the head of the log, too */
            _exit(2);
    }
    syncs_fail = 1;
    if (!store->commit(store))
        _exit(3);
    writes_fail = 1;
    store->rollback(store);
    store->blob_remove(store, "run.7.c0ffee.2.update");
    if (!store->begin(store))
        _exit(4);
    syncs_fail = writes_fail = 0;
    if (settles && store->begin(store))
        _exit(5);
    _exit(0);
}

/* The next process may find such a commit whole in the log and take it for good: what it names must be there.
 */
static void test_R9_a_commit_that_failed_and_is_found_after_all_has_its_payload(void **state)
{
    (void)state;
    for (int settles = 0; settles < 2; settles++) {
        struct place place;
        struct fl_run_key run = {"run", 7};
        size_t size;
        int status;

        place_init(&place);
        fl_store_close(place.store);
        pid_t child = fork();
        if (!child)
            die_in_doubt(&place, run, settles);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        place_open(&place);
        assert_ok(get_payload(place.store, run, 1, &size));
        if (settles) {
            assert_status(get_payload(place.store, run, 2, &size), FL_ERR_NOT_FOUND);
        } else {
            assert_ok(get_payload(place.store, run, 2, &size));
            assert_int_equal(size, LARGE_BYTES);
        }
        assert_int_equal(count_files(place.blobs), settles ? 1 : 2);
        place_done(&place);
    }
}

static void write_blob(struct fl_store *store, const char *name)
{
    struct fl_blob_writer *writer;

    assert_ok(store->blob_begin(store, name, 5, &writer));
    assert_ok(store->blob_put(store, writer, 0, fl_bytes_from_text("state")));
    assert_ok(store->blob_end(store, writer, 1));
}

static void test_R12_sweep_removes_only_what_no_row_names(void **state)
{
    (void)state;
    struct place place;
    struct fl_run_key run = {"run", 7};
    struct fl_version_row version = {.number = 0, .state_blob = "run.7.v0.state"};
    char path[200];
    size_t size;

    place_init(&place);
    struct fl_store *store = place.store;
    write_blob(store, "run.7.v0.state");
    write_blob(store, "run.7.v1.4.state"); /* a crash came before its row */
    write_blob(store, "run.7.c0ffee.9.update");
    snprintf(path, sizeof path, "%s/notes.txt", place.blobs); /* not ours */
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_ok(store->begin(store));
    assert_ok(store->version_put(store, run, &version));
    put_receipt(store, run, 1, LARGE_BYTES);
    assert_ok(store->commit(store));
    assert_int_equal(count_files(place.blobs), 5);
    assert_ok(store->blob_sweep(store));
    assert_int_equal(count_files(place.blobs), 3);
    assert_ok(get_payload(store, run, 1, &size));
    place_done(&place);
}

static void test_database_is_for_the_owner_only(void **state)
{
    (void)state;
    static const char *const ends[] = {"", "-wal", "-shm"};
    struct place place;

    mode_t before = umask(0);
    place_init(&place);
    umask(before);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char path[120];
        struct stat info;
        snprintf(path, sizeof path, "%s%s", place.path, ends[i]);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
    }
    place_done(&place);
}

static void test_open_refuses_what_is_no_database_of_ours(void **state)
{
    (void)state;
    struct place place;
    struct fl_store *store = NULL;
    struct fl_error err = {""};

    place_init(&place);
    fl_store_close(place.store);
    place.store = NULL;
    char command[300];
    snprintf(command, sizeof command,
             "python3 -c \"import sqlite3;sqlite3.connect('%s').execute("
             "'PRAGMA user_version=99').connection.commit()\"",
             place.path);
    assert_int_equal(system(command), 0);
    assert_status(fl_store_open(place.path, place.blobs, &err, &store), FL_ERR_VERSION);
    assert_non_null(strstr(err.text, "99"));
    FILE *file = fopen(place.path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is no database\n", file);
    fclose(file);
    assert_status(fl_store_open(place.path, place.blobs, &err, &store), FL_ERR_CORRUPT);
    assert_status(fl_store_open("/nonexistent/server.sqlite", NULL, &err, &store), FL_ERR_IO);
    assert_null(store);
    place_done(&place);
}

/* One byte of the first page's b-tree changed: SQLite would read on as far as it can. */
static void test_a_damaged_database_is_named_at_the_start(void **state)
{
    struct place place;
    struct fl_store *store = NULL;
    struct fl_error err = {""};
    (void)state;

    place_init(&place);
    fl_store_close(place.store);
    place.store = NULL;
    FILE *file = fopen(place.path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 4096 + 4, SEEK_SET), 0); /* how many cells the second page has */
    fputc(0x7f, file);
    fclose(file);
    assert_status(fl_store_open(place.path, place.blobs, &err, &store), FL_ERR_CORRUPT);
    assert_null(store);
    assert_non_null(strstr(err.text, place.path));
    assert_non_null(strstr(err.text, "backup"));
    place_done(&place);
}

static void test_files_beside_the_database_that_cannot_be_written_are_told(void **state)
{
    struct place place;
    struct fl_store *store = NULL;
    struct fl_error err = {""};
    char beside[120];
    (void)state;

    place_init(&place);
    fl_store_close(place.store);
    place.store = NULL;
    snprintf(beside, sizeof beside, "%s-shm", place.path);
    assert_int_equal(mkdir(beside, 0700), 0);
    assert_status(fl_store_open(place.path, place.blobs, &err, &store), FL_ERR_IO);
    assert_null(store);
    assert_non_null(strstr(err.text, place.path));
    assert_non_null(strstr(err.text, "-shm"));
    assert_int_equal(rmdir(beside), 0);
    place_open(&place);
    place_done(&place);
}

/* --- a worker beside the loop --- */

static void *run_job(void *job)
{
    fl_job_run(job);
    return NULL;
}

/* Turns the database and the state blobs of a bench into those that earlier servers wrote. */
static void make_older(const struct bench *bench, int schema)
{
    char command[400];

    snprintf(command, sizeof command, "python3 %s/older_server.py %s/server.sqlite %s/blobs %d",
             FL_TEST_SUPPORT, bench->dir, bench->dir, schema);
    assert_int_equal(system(command), 0);
}

/* In the middle of a run, with an accepted update that is not yet in a version. */
static void test_a_deployment_of_an_earlier_server_goes_on(void **state)
{
    (void)state;
    for (int schema = 1; schema <= 2; schema++) {
        struct bench *bench = calloc(1, sizeof *bench);
        struct fl_run_spec spec = bench_spec("run", 1, 3);
        struct fl_version version;
        uint64_t receipts;

        bench_init(bench, 1);
        bench_enrol(bench, 1);
        bench_create_run(bench, &spec);
        for (int round = 1; round <= 3; round++) {
            struct fl_work work = bench_get_work(bench, &spec, 0);
            struct fl_buf body;
            fl_buf_init(&body, 1 << 20);
            bench_update_body(&spec, 0, &work, &body);
            bench->hold_jobs = round == 2;
            assert_int_equal(bench_put(bench, "run", 0, work.seq, fl_buf_view(&body))->http_status, 201);
            fl_buf_done(&body);
            if (round == 2) {
                bench_close(bench);
                make_older(bench, schema);
                bench->hold_jobs = 0;
                bench_restart(bench);
            }
            assert_ok(bench_turn(bench, 1));
            assert_ok(bench_turn(bench, 1));
            assert_int_equal(bench_status(bench, "run").info.version.number, round);
        }
        double *x = bench_read_x(bench, &spec, &version, NULL);
        double *replayed = bench_replay_x(bench, &spec, &receipts);
        assert_int_equal(receipts, 3);
        assert_memory_equal(x, replayed, (size_t)fl_model_spec_elems(&spec.model) * sizeof *x);
        free(x);
        free(replayed);
        bench_done(bench);
        free(bench);
    }
}

static void test_jobs_on_another_thread_while_turns_go_on(void **state)
{
    (void)state;
    struct bench *bench = calloc(1, sizeof *bench);
    struct fl_run_spec spec = bench_spec("run", 1, 5);
    uint64_t receipts;

    bench_init(bench, 0);
    bench_enrol(bench, 1);
    bench_create_run(bench, &spec);
    bench->hold_jobs = 1;
    for (int round = 1; round <= 5; round++) {
        struct fl_work work = bench_get_work(bench, &spec, 0);
        struct fl_buf body;
        pthread_t thread;
        fl_buf_init(&body, 1 << 20);
        bench_update_body(&spec, 0, &work, &body);
        assert_int_equal(bench_put(bench, "run", 0, work.seq, fl_buf_view(&body))->http_status, 201);
        fl_buf_done(&body);
        assert_int_equal(bench->started_count, 1);
        struct fl_job *job = bench->started[--bench->started_count];
        assert_int_equal(pthread_create(&thread, NULL, run_job, job), 0);
        for (int i = 0; i < 20; i++) {
            assert_int_equal(bench_ask(bench, FL_REQUEST_MODEL, "run", 0)->http_status, 200);
            bench_enrol(bench, 1);
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        bench->done[bench->done_count++] = job;
        assert_ok(bench_turn(bench, 1));
        assert_int_equal(bench_status(bench, "run").info.version.number, round);
    }
    free(bench_replay_x(bench, &spec, &receipts));
    assert_int_equal(receipts, 5);
    bench_done(bench);
    free(bench);
}

/* --- memory running out --- */

static void test_any_failed_allocation_in_a_turn_undoes_it(void **state)
{
    (void)state;
    struct fl_run_spec spec = bench_spec("run", 1, 2);
    struct fl_buf body;

    fl_buf_init(&body, 1 << 20);
    struct bench *bench = calloc(1, sizeof *bench);
    bench_init(bench, 0);
    bench_enrol(bench, 1);
    bench_create_run(bench, &spec);
    for (int round = 1; round <= 2; round++) {
        struct fl_work work = bench_get_work(bench, &spec, 0);
        fl_buf_clear(&body);
        bench_update_body(&spec, 0, &work, &body);
        enum fl_status st = FL_ERR_NOMEM;
        size_t k;
        for (k = 0; st; k++) { /* the turn that judges the update and closes the round */
            struct fl_request *request;
            uint64_t ticket = bench_request(bench, FL_REQUEST_UPDATE, "run", 0, &request);
            request->seq = work.seq;
            request->body = fl_buf_view(&body);
            bench->hold_jobs = 1;
            fl_fail_alloc_after(k);
            st = bench_turn(bench, 1);
            fl_fail_alloc_never();
            if (st)
                assert_status(st, FL_ERR_NOMEM);
            assert_int_equal(bench_answer(bench, ticket) != NULL, st == FL_OK);
        }
        assert_true(k > 3);
        for (size_t i = 0; i < bench->started_count; i++) { /* the job fails first, then is run again */
            fl_fail_alloc_after(2);
            fl_job_run(bench->started[i]);
            fl_fail_alloc_never();
            bench->done[bench->done_count++] = bench->started[i];
        }
        bench->started_count = 0;
        bench->hold_jobs = 0;
        assert_ok(bench_turn(bench, 1));
        assert_string_equal(bench_status(bench, "run").phase, "publishing");
        assert_ok(bench_turn(bench, 2000));
        assert_ok(bench_turn(bench, 1));
        assert_int_equal(bench_status(bench, "run").info.version.number, round);
    }
    assert_int_equal(bench_status(bench, "run").info.state, FL_RUN_ENDED);
    fl_buf_done(&body);
    bench_done(bench);
    free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R9_large_payloads_are_blobs_that_follow_their_row),
        cmocka_unit_test(test_R9_a_commit_that_failed_and_is_found_after_all_has_its_payload),
        cmocka_unit_test(test_R12_sweep_removes_only_what_no_row_names),
        cmocka_unit_test(test_database_is_for_the_owner_only),
        cmocka_unit_test(test_open_refuses_what_is_no_database_of_ours),
        cmocka_unit_test(test_a_damaged_database_is_named_at_the_start),
        cmocka_unit_test(test_files_beside_the_database_that_cannot_be_written_are_told),
        cmocka_unit_test(test_a_deployment_of_an_earlier_server_goes_on),
        cmocka_unit_test(test_jobs_on_another_thread_while_turns_go_on),
        cmocka_unit_test(test_any_failed_allocation_in_a_turn_undoes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
