#include "test.h"

#include <string.h>

#include "fail_alloc.h"
#include "server/port/body_pool.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static struct fl_body_pool *new_pool(size_t budget)
{
    struct fl_body_pool *pool;
    assert_int_equal(fl_body_pool_new(budget, &pool), FL_OK);
    return pool;
}

static void test_the_budget_holds_for_what_is_out(void **state)
{
    struct fl_body_pool *pool = new_pool(64 * KIB);
    struct fl_body bodies[17];
    size_t taken = 0;

    (void)state;
    while (taken < 17 && fl_body_pool_take(pool, 3 * KIB, &bodies[taken]) == FL_OK)
        taken++;
    assert_int_equal(taken, 16); /* of 4 KiB each */
    assert_int_equal(fl_body_pool_out(pool), 64 * KIB);
    fl_body_pool_give(pool, &bodies[3]);
    assert_null(bodies[3].data);
    fl_body_pool_give(pool, &bodies[3]); /* none is left */
    assert_int_equal(fl_body_pool_take(pool, 8 * KIB, &bodies[16]), FL_ERR_LIMIT);
    assert_int_equal(fl_body_pool_take(pool, 4 * KIB, &bodies[3]), FL_OK);
    for (size_t i = 0; i < taken; i++)
        fl_body_pool_give(pool, &bodies[i]);
    assert_int_equal(fl_body_pool_out(pool), 0);
    assert_int_equal(fl_body_pool_take(pool, 65 * KIB, &bodies[0]), FL_ERR_LIMIT);
    fl_body_pool_free(pool);
}

static void test_every_size_has_room_and_can_be_written(void **state)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 100000, MIB, 32 * MIB, 32 * MIB + 1, 40 * MIB};
    struct fl_body_pool *pool = new_pool(64 * MIB);

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct fl_body body;
        assert_int_equal(fl_body_pool_take(pool, sizes[i], &body), FL_OK);
        assert_true(body.capacity >= sizes[i] && body.capacity <= 2 * sizes[i] + 4096);
        body.data[0] = body.data[sizes[i] - 1] = 1;
        fl_body_pool_give(pool, &body);
    }
    fl_body_pool_free(pool);
}

static void test_buffers_are_used_again_and_only_so_many_are_kept(void **state)
{
    struct fl_body_pool *pool = new_pool(256 * MIB);
    struct fl_body bodies[10];

    (void)state;
    long before = fl_live_allocations();
    for (int round = 0; round < 1000; round++) {
        assert_int_equal(fl_body_pool_take(pool, 1100, &bodies[0]), FL_OK);
        memset(bodies[0].data, round, 1100);
        fl_body_pool_give(pool, &bodies[0]);
    }
    assert_int_equal(fl_live_allocations(), before + 1);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(fl_body_pool_take(pool, MIB, &bodies[i]), FL_OK);
    for (size_t i = 0; i < 10; i++)
        fl_body_pool_give(pool, &bodies[i]);
    assert_in_range(fl_body_pool_kept(pool), 3 * MIB, FL_BODY_POOL_KEPT);
    assert_int_equal(fl_live_allocations(), before + 4);
    fl_body_pool_free(pool);
}

static void test_a_failing_allocation_leaves_the_budget_whole(void **state)
{
    long before = fl_live_allocations();

    (void)state;
    for (size_t k = 0;; k++) {
        struct fl_body_pool *pool = NULL;
        struct fl_body body = {0};
        fl_fail_alloc_after(k);
        enum fl_status st = fl_body_pool_new(MIB, &pool);
        if (!st) {
            st = fl_body_pool_take(pool, 5000, &body);
            assert_int_equal(fl_body_pool_out(pool), st ? 0 : 8 * KIB);
            fl_body_pool_give(pool, &body);
        }
        fl_fail_alloc_never();
        fl_body_pool_free(pool);
        assert_int_equal(fl_live_allocations(), before);
        if (!st)
            break;
        assert_int_equal(st, FL_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_budget_holds_for_what_is_out),
        cmocka_unit_test(test_every_size_has_room_and_can_be_written),
        cmocka_unit_test(test_buffers_are_used_again_and_only_so_many_are_kept),
        cmocka_unit_test(test_a_failing_allocation_leaves_the_budget_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
