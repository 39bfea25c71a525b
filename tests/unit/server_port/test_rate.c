#include "test.h"

#include "server/port/rate.h"

static void test_a_minutes_allowance_at_once_then_evenly(void **state)
{
    static struct fl_rate rate;
    uint64_t now = 5000000;

    (void)state;
    fl_rate_init(&rate, 6, 1);
    for (int i = 0; i < 6; i++)
        assert_int_equal(fl_rate_take(&rate, 7, now), 0);
    assert_int_equal(fl_rate_take(&rate, 7, now), 10000); /* one in ten seconds */
    assert_int_equal(fl_rate_take(&rate, 7, now + 4000), 6000);
    assert_int_equal(fl_rate_take(&rate, 7, now + 9999), 1); /* refusals cost nothing */
    assert_int_equal(fl_rate_take(&rate, 7, now + 10000), 0);
    assert_int_equal(fl_rate_take(&rate, 7, now + 10000), 10000);
    now += 10000 + 3600000; /* an hour brings no more than a minute */
    for (int i = 0; i < 6; i++)
        assert_int_equal(fl_rate_take(&rate, 7, now), 0);
    assert_true(fl_rate_take(&rate, 7, now) > 0);
}

static void test_one_address_does_not_use_up_what_others_have(void **state)
{
    static struct fl_rate rate;
    size_t refused = 0;

    (void)state;
    fl_rate_init(&rate, 1, 42);
    assert_int_equal(fl_rate_take(&rate, 0, 1000), 0);
    assert_int_equal(fl_rate_take(&rate, 0, 1000), 60000);
    for (uint64_t key = 1; key <= 20; key++)
        refused += fl_rate_take(&rate, key, 1000) != 0;
    assert_true(refused <= 3); /* keys that share a place */
}

static void test_the_largest_allowance_does_not_overflow(void **state)
{
    static struct fl_rate rate;

    (void)state;
    fl_rate_init(&rate, (uint64_t)1 << 32, 3);
    for (int i = 0; i < 100; i++)
        assert_int_equal(fl_rate_take(&rate, 9, UINT64_MAX / 2 + (uint64_t)i), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_minutes_allowance_at_once_then_evenly),
        cmocka_unit_test(test_one_address_does_not_use_up_what_others_have),
        cmocka_unit_test(test_the_largest_allowance_does_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
