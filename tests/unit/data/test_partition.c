#include "test.h"

#include <math.h>

#include "base/random.h"
#include "client/data/partition.h"
#include "fail_alloc.h"

#define ROWS    3000
#define CLASSES 10
#define CLIENTS 8

static void make_labels(uint32_t *labels, size_t rows)
{
    struct fl_random random;
    fl_random_init(&random, 5, 0);
    for (size_t i = 0; i < rows; i++)
        labels[i] = (uint32_t)fl_random_below(&random, CLASSES);
}

static void count_owned(const uint32_t *owner, const uint32_t *labels, size_t rows,
                        uint32_t counts[CLIENTS][CLASSES], uint32_t sizes[CLIENTS])
{
    memset(counts, 0, CLIENTS * sizeof(counts[0]));
    memset(sizes, 0, CLIENTS * sizeof(sizes[0]));
    for (size_t i = 0; i < rows; i++) {
        assert_true(owner[i] < CLIENTS); /* so that every row has exactly one owner */
        counts[owner[i]][labels[i]]++;
        sizes[owner[i]]++;
    }
}

/* Mean over clients of the total variation distance between a client's class mix and that of all rows. */
static double skew(const uint32_t *owner, const uint32_t *labels, size_t rows)
{
    uint32_t counts[CLIENTS][CLASSES], sizes[CLIENTS];
    double all[CLASSES] = {0}, sum = 0;
    count_owned(owner, labels, rows, counts, sizes);
    for (size_t i = 0; i < rows; i++)
        all[labels[i]] += 1.0 / (double)rows;
    for (int k = 0; k < CLIENTS; k++)
        for (int c = 0; c < CLASSES; c++)
            sum += 0.5 * fabs((double)counts[k][c] / sizes[k] - all[c]) / CLIENTS;
    return sum;
}

static void test_every_row_has_one_owner_and_nobody_is_short(void **state)
{
    static uint32_t labels[ROWS], owner[ROWS], again[ROWS];
    static const struct {
        enum fl_partition_kind kind;
        double alpha;
    } cases[] = {{FL_PARTITION_IID, 0},
                 {FL_PARTITION_DIRICHLET, 0.05},
                 {FL_PARTITION_DIRICHLET, 0.3},
                 {FL_PARTITION_DIRICHLET, 100},
                 {FL_PARTITION_SHARDS, 0}};
    (void)state;
    make_labels(labels, ROWS);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct fl_partition_spec spec = {cases[i].kind, CLIENTS, cases[i].alpha, 10, seed};
            uint32_t counts[CLIENTS][CLASSES], sizes[CLIENTS];
            assert_ok(fl_partition_assign(&spec, labels, ROWS, CLASSES, owner, NULL));
            count_owned(owner, labels, ROWS, counts, sizes);
            for (int k = 0; k < CLIENTS; k++)
                assert_true(sizes[k] >= 10);
            assert_ok(fl_partition_assign(&spec, labels, ROWS, CLASSES, again, NULL));
            assert_memory_equal(owner, again, sizeof(owner));
            spec.seed += 1000;
            assert_ok(fl_partition_assign(&spec, labels, ROWS, CLASSES, again, NULL));
            assert_memory_not_equal(owner, again, sizeof(owner));
        }
}

static void test_iid_deals_evenly(void **state)
{
    static uint32_t labels[ROWS], owner[ROWS];
    struct fl_partition_spec spec = {.kind = FL_PARTITION_IID, .count = CLIENTS, .seed = 3};
    uint32_t counts[CLIENTS][CLASSES], sizes[CLIENTS];
    (void)state;
    make_labels(labels, ROWS);
    assert_ok(fl_partition_assign(&spec, labels, ROWS - 3, CLASSES, owner, NULL));
    count_owned(owner, labels, ROWS - 3, counts, sizes);
    for (int k = 0; k < CLIENTS; k++)
        assert_in_range(sizes[k], (ROWS - 3) / CLIENTS, (ROWS - 3) / CLIENTS + 1);
    assert_true(skew(owner, labels, ROWS - 3) < 0.1);
}

static void test_small_alpha_is_more_skewed(void **state)
{
    static uint32_t labels[ROWS], owner[ROWS];
    static const double alphas[] = {100, 1, 0.3, 0.05};
    double before = -0.05;
    (void)state;
    make_labels(labels, ROWS);
    for (size_t i = 0; i < 4; i++) {
        double mean = 0;
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct fl_partition_spec spec = {FL_PARTITION_DIRICHLET, CLIENTS, alphas[i], 1, seed};
            assert_ok(fl_partition_assign(&spec, labels, ROWS, CLASSES, owner, NULL));
            mean += skew(owner, labels, ROWS) / 20;
        }
        assert_true(mean > before + 0.05);
        before = mean;
    }
    assert_true(before > 0.6);
}

static void test_tiny_alpha_gives_each_class_to_one_client(void **state)
{
    static uint32_t labels[ROWS], owner[ROWS];
    struct fl_partition_spec spec = {FL_PARTITION_DIRICHLET, CLIENTS, 1e-4, 0,
                                     1}; /* logs: Gammas underflow */
    uint32_t counts[CLIENTS][CLASSES], sizes[CLIENTS], holders = 0;
    (void)state;
    make_labels(labels, ROWS);
    assert_ok(fl_partition_assign(&spec, labels, ROWS, CLASSES, owner, NULL));
    count_owned(owner, labels, ROWS, counts, sizes);
    for (int k = 0; k < CLIENTS; k++)
        for (int c = 0; c < CLASSES; c++)
            holders += counts[k][c] > 0;
    assert_int_equal(holders, CLASSES);
}

static void test_shards_give_few_classes(void **state)
{
    static uint32_t labels[ROWS], owner[ROWS];
    struct fl_partition_spec spec = {.kind = FL_PARTITION_SHARDS, .count = CLIENTS, .seed = 4};
    uint32_t counts[CLIENTS][CLASSES], sizes[CLIENTS];
    (void)state;
    make_labels(labels, ROWS);
    assert_ok(fl_partition_assign(&spec, labels, ROWS, CLASSES, owner, NULL));
    count_owned(owner, labels, ROWS, counts, sizes);
    for (int k = 0; k < CLIENTS; k++) {
        int classes = 0;
        for (int c = 0; c < CLASSES; c++)
            classes += counts[k][c] > 0;
        assert_in_range(classes, 1, 4); /* a shard of 187 rows spans at most two classes of about 300 */
        assert_in_range(sizes[k], 2 * (ROWS / 16), 2 * (ROWS / 16 + 1));
    }
}

static void test_none_owns_everything(void **state)
{
    uint32_t labels[5] = {0, 1, 2, 3, 4}, owner[5];
    struct fl_partition_spec spec = {.kind = FL_PARTITION_NONE, .count = 100};
    (void)state;
    assert_ok(fl_partition_assign(&spec, labels, 5, CLASSES, owner, NULL));
    for (int i = 0; i < 5; i++)
        assert_int_equal(owner[i], 0);
}

static void test_impossible_partitions_are_refused(void **state)
{
    static uint32_t labels[ROWS], owner[ROWS];
    static const struct {
        struct fl_partition_spec spec;
        size_t rows;
        const char *says;
    } cases[] = {
        {{FL_PARTITION_IID, 0, 0, 0, 1}, ROWS, "0 clients"},
        {{FL_PARTITION_IID, 1u << 17, 0, 0, 1}, ROWS, "131072 clients"},
        {{FL_PARTITION_IID, 8, 0, 0, 1}, 7, "7 training examples, at least 8"},
        {{FL_PARTITION_SHARDS, 8, 0, 0, 1}, 15, "15 training examples, at least 16"},
        {{FL_PARTITION_DIRICHLET, 8, 0.0, 0, 1}, ROWS, "alpha 0"},
        {{FL_PARTITION_DIRICHLET, 8, -1, 0, 1}, ROWS, "alpha -1"},
        {{FL_PARTITION_DIRICHLET, 8, NAN, 0, 1}, ROWS, "alpha"},
        {{FL_PARTITION_DIRICHLET, 8, INFINITY, 0, 1}, ROWS, "alpha inf"},
        {{FL_PARTITION_DIRICHLET, 8, 0.3, 10, 1}, 79, "at least 80"},
        {{FL_PARTITION_DIRICHLET, 8, 0.01, 300, 1}, ROWS, "no draw of Dirichlet(0.01)"},
    };
    uint8_t held[8];
    (void)state;
    make_labels(labels, ROWS);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_error err = {""};
        assert_status(fl_partition_assign(&cases[i].spec, labels, cases[i].rows, CLASSES, owner, &err),
                      FL_ERR_RANGE);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu says: %s", i, err.text);
    }
    assert_status(fl_partition_hold_out(1.0, 0, 8, held, NULL), FL_ERR_RANGE);
    assert_status(fl_partition_hold_out(-0.1, 0, 8, held, NULL), FL_ERR_RANGE);
    assert_status(fl_partition_hold_out(NAN, 0, 8, held, NULL), FL_ERR_RANGE);
    assert_status(fl_partition_hold_out(0.99, 0, 8, held, NULL), FL_ERR_RANGE);
}

static void test_hold_out_takes_the_fraction(void **state)
{
    static uint8_t held[ROWS], again[ROWS];
    size_t count = 0;
    (void)state;
    assert_ok(fl_partition_hold_out(0.2, 7, ROWS, held, NULL));
    assert_ok(fl_partition_hold_out(0.2, 7, ROWS, again, NULL));
    assert_memory_equal(held, again, ROWS);
    for (size_t i = 0; i < ROWS; i++)
        count += held[i];
    assert_int_equal(count, ROWS / 5);
    assert_ok(fl_partition_hold_out(0.0, 7, 1, held, NULL));
    assert_int_equal(held[0], 0);
}

static void test_kinds_have_names(void **state)
{
    enum fl_partition_kind kind;
    (void)state;
    for (int i = FL_PARTITION_NONE; i <= FL_PARTITION_GROUPS; i++) {
        assert_ok(fl_partition_kind_find(fl_partition_kind_name((enum fl_partition_kind)i), &kind));
        assert_int_equal(kind, i);
    }
    assert_status(fl_partition_kind_find("writers", &kind), FL_ERR_NOT_FOUND);
}

static void test_partition_survives_any_failed_allocation(void **state)
{
    static uint32_t labels[ROWS], owner[ROWS];
    (void)state;
    make_labels(labels, ROWS);
    for (enum fl_partition_kind kind = FL_PARTITION_IID; kind <= FL_PARTITION_SHARDS; kind++) {
        struct fl_partition_spec spec = {kind, CLIENTS, 0.3, 10, 1};
        long before = fl_live_allocations();
        for (size_t k = 0;; k++) {
            fl_fail_alloc_after(k);
            enum fl_status st = fl_partition_assign(&spec, labels, ROWS, CLASSES, owner, NULL);
            fl_fail_alloc_never();
            assert_int_equal(fl_live_allocations(), before);
            if (st == FL_OK)
                break;
            assert_status(st, FL_ERR_NOMEM);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_has_one_owner_and_nobody_is_short),
        cmocka_unit_test(test_iid_deals_evenly),
        cmocka_unit_test(test_small_alpha_is_more_skewed),
        cmocka_unit_test(test_tiny_alpha_gives_each_class_to_one_client),
        cmocka_unit_test(test_shards_give_few_classes),
        cmocka_unit_test(test_none_owns_everything),
        cmocka_unit_test(test_impossible_partitions_are_refused),
        cmocka_unit_test(test_hold_out_takes_the_fraction),
        cmocka_unit_test(test_kinds_have_names),
        cmocka_unit_test(test_partition_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
