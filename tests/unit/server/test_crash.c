/* The whole core under crashes and failing writes: same bits, nothing lost, nothing twice. */
#include "test.h"

#include "bench.h"

#define CLIENTS 4
#define ROUNDS  3

struct outcome {
    struct fl_version version;
    uint64_t turns;
    uint64_t receipts;
};

/* Plays one run, checks the law, and says how it ended. */
static struct outcome play(uint64_t crash_after, enum bench_crash crash, long fail_write, int *ret_failed)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct fl_run_spec spec = bench_spec("run", CLIENTS, ROUNDS);
    struct outcome outcome;
    size_t elems = (size_t)fl_model_spec_elems(&spec.model);

    bench_init(bench, crash != BENCH_NO_CRASH);
    bench_enrol(bench, CLIENTS);
    bench_create_run(bench, &spec);
    uint64_t start = bench->turns;
    bench->crash = crash;
    bench->crash_at = crash_after ? start + crash_after : 0;
    bench_fail_write(bench, fail_write);
    bench_play(bench, &spec);
    outcome.turns = bench->turns - start;
    if (ret_failed)
        *ret_failed = bench_write_has_failed(bench);
    bench_fail_write(bench, 0);

    double *x = bench_read_x(bench, &spec, &outcome.version, NULL);
    double *replayed = bench_replay_x(bench, &spec, &outcome.receipts);
    assert_memory_equal(x, replayed, elems * sizeof *x);
    free(x);
    free(replayed);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(bench->clients[i].accepted, ROUNDS);
    assert_int_equal(outcome.receipts, CLIENTS * ROUNDS);
    assert_int_equal(bench_status(bench, "run").updates_accepted, CLIENTS * ROUNDS);
    bench_done(bench);
    free(bench);
    return outcome;
}

static void test_whole_run_same_seed_same_bits_twice(void **state)
{
    (void)state;
    struct outcome a = play(0, BENCH_NO_CRASH, 0, NULL), b = play(0, BENCH_NO_CRASH, 0, NULL);
    assert_int_equal(a.version.number, ROUNDS);
    assert_true(fl_version_equal(&a.version, &b.version));
    assert_int_equal(a.turns, b.turns);
}

static void crash_in_every_turn(enum bench_crash crash)
{
    struct outcome plain = play(0, BENCH_NO_CRASH, 0, NULL);

    assert_true(plain.turns > 10);
    for (uint64_t turn = 1; turn <= plain.turns; turn++) {
        struct outcome outcome = play(turn, crash, 0, NULL);
        assert_true(fl_version_equal(&outcome.version, &plain.version));
    }
}

static void test_R5_R9_R10_R11_R12_crash_before_any_commit_changes_nothing(void **state)
{
    (void)state;
    crash_in_every_turn(BENCH_CRASH_BEFORE_COMMIT);
}

static void test_R2_R5_R9_R10_R11_R12_crash_after_any_commit_changes_nothing(void **state)
{
    (void)state;
    crash_in_every_turn(BENCH_CRASH_AFTER_COMMIT);
}

static void test_R5_R9_R11_any_failing_write_loses_nothing(void **state)
{
    (void)state;
    struct outcome plain = play(0, BENCH_NO_CRASH, 0, NULL);
    int failed = 1;
    long n;

    for (n = 1; failed; n++) {
        struct outcome outcome = play(0, BENCH_NO_CRASH, n, &failed);
        assert_true(fl_version_equal(&outcome.version, &plain.version));
    }
    assert_true(n > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_run_same_seed_same_bits_twice),
        cmocka_unit_test(test_R5_R9_R10_R11_R12_crash_before_any_commit_changes_nothing),
        cmocka_unit_test(test_R2_R5_R9_R10_R11_R12_crash_after_any_commit_changes_nothing),
        cmocka_unit_test(test_R5_R9_R11_any_failing_write_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
