/* Making a version: large models in parts, and what the disk has spoilt meanwhile. */
#include "test.h"

#include <dirent.h>
#include <unistd.h>

#include "bench.h"

/* More than one part is summed at once, the last chunk of 65536 elements is not full; by so many threads. */
static void sum_in_parts(unsigned threads, const char *codec)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct fl_run_spec spec = bench_spec("run", 2, 2);
    struct fl_version version;
    uint64_t receipts;

    spec.model.inputs = 300000; /* times 5 and 5: 23 chunks */
    size_t elems = (size_t)fl_model_spec_elems(&spec.model);
    snprintf(spec.codec.name, sizeof spec.codec.name, "%s", codec);
    spec.codec.ratio = 0.05f;
    bench_init(bench, 1);
    fl_server_use_threads(bench->server, threads);
    bench_enrol(bench, 2);
    bench_create_run(bench, &spec);
    bench_play(bench, &spec);
    double *x = bench_read_x(bench, &spec, &version, NULL);
    double *replayed = bench_replay_x(bench, &spec, &receipts);
    assert_int_equal(version.number, 2);
    assert_int_equal(receipts, 4);
    assert_memory_equal(x, replayed, elems * sizeof *x);
    free(x);
    free(replayed);
    bench_done(bench);
    free(bench);
}

static void test_R12_a_large_model_is_summed_in_parts(void **state)
{
    (void)state;
    sum_in_parts(1, "int-threshold");
}

static void test_R12_threads_sum_to_the_same_bits(void **state)
{
    (void)state;
    sum_in_parts(3, "int-threshold");
    sum_in_parts(5, "topk");
    sum_in_parts(64, "int-threshold"); /* more than there are chunks */
}

/* --- damage --- */

/* The one blob whose name ends so, and is not of version 0. */
static void find_blob(const struct bench *bench, const char *end, char path[400])
{
    char folder[100];
    int found = 0;

    snprintf(folder, sizeof folder, "%s/blobs", bench->dir);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length > strlen(end) && !strcmp(entry->d_name + length - strlen(end), end)) {
            snprintf(path, 400, "%s/%s", folder, entry->d_name);
            found++;
        }
    }
    closedir(dir);
    assert_int_equal(found, 1);
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+");

    assert_non_null(file);
    assert_int_equal(fseek(file, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, -1, SEEK_CUR), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    fclose(file);
}

enum damage { DAMAGE_PAYLOAD, DAMAGE_NO_PAYLOAD, DAMAGE_ROW, DAMAGE_STATE };

static void execute(const struct bench *bench, const char *statement)
{
    char command[400];

    snprintf(command, sizeof command,
             "python3 -c \"import sqlite3;d=sqlite3.connect('%s/server.sqlite');d.executescript('%s')\"",
             bench->dir, statement);
    assert_int_equal(system(command), 0);
}

/* Spoils, or with again heals, what the next version is made from. */
static void spoil(const struct bench *bench, enum damage damage, int again)
{
    char path[400], away[410];

    if (damage == DAMAGE_ROW) {
        execute(bench, again ? "UPDATE receipts SET payload=(SELECT payload FROM kept)"
                             : "CREATE TABLE kept AS SELECT payload FROM receipts;"
                               "UPDATE receipts SET payload=zeroblob(length(payload))");
        return;
    }
    if (damage == DAMAGE_STATE) {
        find_blob(bench, ".state", path);
        flip(path, 128 + 5); /* of x */
        return;
    }
    find_blob(bench, again && damage == DAMAGE_NO_PAYLOAD ? ".away" : ".update", path);
    if (damage == DAMAGE_PAYLOAD) {
        flip(path, -1);
    } else if (again) {
        snprintf(away, sizeof away, "%.*s", (int)(strlen(path) - strlen(".away")), path);
        assert_int_equal(rename(path, away), 0);
    } else {
        snprintf(away, sizeof away, "%s.away", path);
        assert_int_equal(rename(path, away), 0);
    }
}

static void test_R12_what_rots_before_it_is_published_is_named_and_nothing_is_made_of_it(void **state)
{
    (void)state;
    static const struct {
        enum damage damage;
        uint32_t inputs;
        const char *problem[3]; /* words of it */
    } cases[] = {
        {DAMAGE_PAYLOAD, 100000, {"update 1 of client", "round 1", "damaged"}},
        {DAMAGE_NO_PAYLOAD, 100000, {"update 1 of client", "round 1", "missing"}},
        {DAMAGE_ROW, 40, {"update 1 of client", "round 1", "damaged"}},
        {DAMAGE_STATE, 40, {"state of version 0", ".state", "damaged"}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct bench *bench = calloc(1, sizeof *bench);
        struct fl_run_spec spec = bench_spec("run", 1, 2);
        struct fl_version version;
        struct fl_buf body;

        spec.model.inputs = cases[c].inputs;
        bench_init(bench, 1);
        bench_enrol(bench, 1);
        bench_create_run(bench, &spec);
        struct fl_work work = bench_get_work(bench, &spec, 0);
        fl_buf_init(&body, 1 << 20);
        bench_update_body(&spec, 0, &work, &body);
        bench->hold_jobs = 1;
        assert_int_equal(bench_put(bench, "run", 0, work.seq, fl_buf_view(&body))->http_status, 201);
        spoil(bench, cases[c].damage, 0);
        bench->hold_jobs = 0;
        for (int tries = 0; tries < 3; tries++) {
            assert_ok(bench_turn(bench, 70000));
            assert_ok(bench_turn(bench, 1));
            struct fl_run_status status = bench_status(bench, "run");
            assert_string_equal(status.phase, "publishing");
            assert_int_equal(status.info.version.number, 0);
            for (size_t i = 0; i < 3; i++)
                assert_non_null(strstr(status.problem, cases[c].problem[i]));
            assert_int_equal(bench_ask(bench, FL_REQUEST_MODEL, "run", 0)->http_status, 200);
        }
        spoil(bench, cases[c].damage, 1);
        assert_ok(bench_turn(bench, 70000));
        assert_ok(bench_turn(bench, 1));
        assert_string_equal(bench_status(bench, "run").problem, "");
        assert_int_equal(bench_status(bench, "run").info.version.number, 1);
        free(bench_read_x(bench, &spec, &version, NULL));
        fl_buf_done(&body);
        bench_done(bench);
        free(bench);
    }
}

/* Else each turn that fails on a full disk would read it all, beside a job that works on it. */
static void test_a_failed_turn_does_not_read_the_model_again(void **state)
{
    (void)state;
    struct bench *bench = calloc(1, sizeof *bench);
    struct fl_run_spec spec = bench_spec("run", 1, 2);
    char path[400];

    bench_init(bench, 1);
    bench_enrol(bench, 1);
    bench_create_run(bench, &spec);
    find_blob(bench, ".state", path);
    flip(path, 128 + 5);
    for (int times = 0; times < 3; times++) {
        bench_fail_write(bench, 1);
        assert_status(bench_turn(bench, 1), FL_ERR_IO); /* begin */
        bench_fail_write(bench, 2);
        assert_status(bench_turn(bench, 1), FL_ERR_IO); /* commit */
        assert_string_equal(bench_status(bench, "run").phase, "gathering");
    }
    flip(path, 128 + 5);
    bench_done(bench);
    free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R12_a_large_model_is_summed_in_parts),
        cmocka_unit_test(test_R12_threads_sum_to_the_same_bits),
        cmocka_unit_test(test_a_failed_turn_does_not_read_the_model_again),
        cmocka_unit_test(test_R12_what_rots_before_it_is_published_is_named_and_nothing_is_made_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
