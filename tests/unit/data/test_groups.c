#include "test.h"

#include "base/random.h"
#include "client/data/groups.h"
#include "client/data/partition.h"
#include "fail_alloc.h"
#include "files.h"

#define ROWS    2000
#define GROUPS  90
#define CLIENTS 20

static void make_groups(uint32_t *groups, size_t sizes[GROUPS])
{
    struct fl_random random;
    fl_random_init(&random, 11, 0);
    memset(sizes, 0, GROUPS * sizeof(*sizes));
    for (size_t i = 0; i < ROWS; i++) {
        uint32_t g = i < GROUPS ? (uint32_t)i : (uint32_t)fl_random_below(&random, GROUPS);
        groups[i] = 5 + 1000003 * g; /* any numbers */
        sizes[g]++;
    }
}

static void test_groups_go_whole_to_balanced_clients(void **state)
{
    static uint32_t groups[ROWS], owner[ROWS], again[ROWS];
    size_t sizes[GROUPS], largest = 0;
    (void)state;
    make_groups(groups, sizes);
    for (size_t g = 0; g < GROUPS; g++)
        largest = sizes[g] > largest ? sizes[g] : largest;
    for (uint32_t count = 1; count <= GROUPS; count += 7)
        for (uint64_t seed = 0; seed < 5; seed++) {
            struct fl_partition_spec spec = {.kind = FL_PARTITION_GROUPS, .count = count, .seed = seed};
            size_t held[GROUPS] = {0}, least = ROWS, most = 0;
            uint32_t of_group[GROUPS];
            assert_ok(fl_partition_assign_groups(&spec, groups, ROWS, owner, NULL));
            for (size_t i = 0; i < ROWS; i++) {
                uint32_t g = (groups[i] - 5) / 1000003;
                assert_true(owner[i] < count);
                if (i < GROUPS)
                    of_group[g] = owner[i];
                assert_int_equal(owner[i], of_group[g]);
                held[owner[i]]++;
            }
            for (uint32_t k = 0; k < count; k++) {
                least = held[k] < least ? held[k] : least;
                most = held[k] > most ? held[k] : most;
            }
            assert_true(least > 0 && most - least <= largest);
            assert_ok(fl_partition_assign_groups(&spec, groups, ROWS, again, NULL));
            assert_memory_equal(owner, again, sizeof(owner));
            spec.seed += 1000;
            assert_ok(fl_partition_assign_groups(&spec, groups, ROWS, again, NULL));
            assert_true(count == 1 || memcmp(owner, again, sizeof(owner)) != 0);
        }
}

static void test_too_few_groups_are_refused(void **state)
{
    static uint32_t groups[ROWS], owner[ROWS];
    size_t sizes[GROUPS];
    struct fl_error err = {""};
    struct fl_partition_spec spec = {.kind = FL_PARTITION_GROUPS, .count = GROUPS + 1};
    (void)state;
    make_groups(groups, sizes);
    assert_status(fl_partition_assign_groups(&spec, groups, ROWS, owner, &err), FL_ERR_RANGE);
    assert_non_null(strstr(err.text, "90 groups of training examples, at least 91 are needed"));
    spec.count = 0;
    assert_status(fl_partition_assign_groups(&spec, groups, ROWS, owner, &err), FL_ERR_RANGE);
    spec.count = 1;
    assert_status(fl_partition_assign_groups(&spec, groups, 0, owner, &err), FL_ERR_RANGE);
}

#define INTS "\0\0\x0c\x02\0\0\0\x03\0\0\0\x02"

static void test_files_of_groups_are_read(void **state)
{
    static const struct {
        const void *data;
        size_t size;
        uint32_t column, groups[3];
    } cases[] = {
        {"4\n0\n999999999\n", 14, 0, {4, 0, 999999999}},
        {"1, 7\r\n\n2,8\n3,9", 14, 1, {7, 8, 9}},
        {INTS "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\1\4\0\0\0\5\x7f\0\0\6", 36, 1, {2, 0x104, 0x7f000006}},
        {"\0\0\x08\x01\0\0\0\x03\1\2\xff", 11, 0, {1, 2, 255}},
        {"\0\0\x0b\x01\0\0\0\x03\1\2\0\0\x7f\xff", 14, 0, {0x102, 0, 0x7fff}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (enum pack pack = PLAIN; pack <= XZ; pack++) {
            uint32_t groups[3];
            const char *path = files_write("groups", cases[i].data, cases[i].size, pack);
            assert_ok(fl_groups_read(path, cases[i].column, 3, groups, NULL));
            assert_memory_equal(groups, cases[i].groups, sizeof(groups));
        }
}

static void test_wrong_files_of_groups_are_refused(void **state)
{
    static const struct {
        const void *data;
        size_t size;
        uint32_t column;
        enum fl_status status;
        const char *says;
    } cases[] = {
        {"1\n2\n", 4, 0, FL_ERR_FORMAT, "groups of 2 examples, the data has 3"},
        {"1\n2\n3\n4\n", 8, 0, FL_ERR_FORMAT, "groups of 4 examples, the data has 3"},
        {"", 0, 0, FL_ERR_FORMAT, "groups of 0 examples"},
        {"1\nsite\n3\n", 9, 0, FL_ERR_FORMAT, "bad:2: column 1: \"site\" is not a number"},
        {"1\n2.5\n3\n", 8, 0, FL_ERR_RANGE, "bad:2: column 1"},
        {"1\n-2\n3\n", 7, 0, FL_ERR_RANGE, "bad:2: group -2, expected 0 or above"},
        {"1,2\n3\n4,5\n", 10, 1, FL_ERR_FORMAT, "has 1 columns, and the group is column 1 (from 0)"},
        {INTS "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5", 32, 0, FL_ERR_TRUNCATED, "ends inside number 3"},
        {INTS "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\6\7", 37, 0, FL_ERR_FORMAT,
         "more bytes follow"},
        {INTS "\0\0\0\1\0\0\0\2\xff\0\0\3\0\0\0\4\0\0\0\5\0\0\0\6", 36, 0, FL_ERR_RANGE,
         "example 2: the group is negative"},
        {INTS, 12, 2, FL_ERR_FORMAT, "has 2 columns, and the group is column 2"},
        {"\0\0\x0d\x01\0\0\0\x03", 8, 0, FL_ERR_FORMAT, "element type 0x0d"},
        {"\0\0\x0c\x01\0\0\0\x02", 8, 0, FL_ERR_FORMAT, "groups of 2 examples, the data has 3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_error err = {""};
        uint32_t groups[3];
        const char *path = files_write("bad", cases[i].data, cases[i].size, PLAIN);
        assert_status(fl_groups_read(path, cases[i].column, 3, groups, &err), cases[i].status);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu says: %s", i, err.text);
    }
    assert_status(fl_groups_read("/nonexistent/groups", 0, 3, (uint32_t[3]){0}, NULL), FL_ERR_NOT_FOUND);
}

static void test_groups_survive_any_failed_allocation(void **state)
{
    static uint32_t groups[ROWS], owner[ROWS];
    const char *paths[] = {files_write_text("text", "1\n2\n3\n"),
                           files_write("idx", "\0\0\x08\x01\0\0\0\x03\1\2\3", 11, PLAIN)};
    size_t sizes[GROUPS];
    long before = fl_live_allocations();
    (void)state;
    make_groups(groups, sizes);
    for (int i = 0; i < 3; i++)
        for (size_t k = 0;; k++) {
            struct fl_partition_spec spec = {.kind = FL_PARTITION_GROUPS, .count = CLIENTS};
            uint32_t few[3];
            fl_fail_alloc_after(k);
            enum fl_status st = i < 2 ? fl_groups_read(paths[i], 0, 3, few, NULL)
                                      : fl_partition_assign_groups(&spec, groups, ROWS, owner, NULL);
            fl_fail_alloc_never();
            assert_int_equal(fl_live_allocations(), before);
            if (st == FL_OK)
                break;
            assert_status(st, FL_ERR_NOMEM);
        }
}

/* The 539 writers of MNIST's training images; skipped without $FL_DATA. */
static void test_the_writers_of_mnist_are_read(void **state)
{
    const char *path = files_real("mnist/qmnist-train-labels-idx2-int.gz");
    uint32_t *writers;
    uint8_t seen[1 << 16] = {0};
    size_t count = 0;
    (void)state;
    if (!path)
        skip();
    writers = malloc(60000 * sizeof(*writers));
    assert_non_null(writers);
    assert_ok(fl_groups_read(path, 2, 60000, writers, NULL));
    for (size_t i = 0; i < 60000; i++) {
        assert_true(writers[i] < sizeof(seen));
        count += !seen[writers[i]];
        seen[writers[i]] = 1;
    }
    assert_int_equal(count, 539);
    free(writers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_go_whole_to_balanced_clients),
        cmocka_unit_test(test_too_few_groups_are_refused),
        cmocka_unit_test(test_files_of_groups_are_read),
        cmocka_unit_test(test_wrong_files_of_groups_are_refused),
        cmocka_unit_test(test_groups_survive_any_failed_allocation),
        cmocka_unit_test(test_the_writers_of_mnist_are_read),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
