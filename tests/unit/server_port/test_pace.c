#include "test.h"

#include "server/port/pace.h"

#define START_MS ((uint64_t)1000000)

/* Milliseconds after which a peer that sends at so many bytes a second is cut off, looked at every step_ms;
 * most_ms when it never is. */
static uint64_t cut_off(const struct fl_pace_rule *rule, uint64_t rate, uint64_t step_ms, uint64_t most_ms)
{
    struct fl_pace pace;
    uint64_t sent = 0;

    fl_pace_start(&pace, rule, START_MS);
    for (uint64_t passed = step_ms; passed < most_ms; passed += step_ms) {
        uint64_t now_sent = rate * passed / 1000;
        fl_pace_move(&pace, rule, START_MS + passed, now_sent - sent);
        sent = now_sent;
        if (pace.deadline_ms <= START_MS + passed)
            return passed;
    }
    return most_ms;
}

static void test_trickles_end_and_steady_peers_go_on(void **state)
{
    static const struct {
        uint64_t rate, least_ms, most_ms; /* of the time until the end; 0: never */
    } cases[] = {
        {0, 30000, 30500},         {1, 30000, 30750}, {512, 60000, 60750}, /* grace / (1 - rate / min_rate) */
        {1023, 29000000, 0},       {1024, 0, 0},      {1025, 0, 0},        {100000, 0, 0},
        {(uint64_t)1 << 40, 0, 0},
    };
    const struct fl_pace_rule rule = {.grace_ms = 30000, .min_rate = 1024};
    const uint64_t long_ms = (uint64_t)40000000;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t end = cut_off(&rule, cases[i].rate, 250, long_ms);
        if (cases[i].most_ms)
            assert_in_range(end, cases[i].least_ms, cases[i].most_ms);
        else
            assert_true(cases[i].least_ms ? end >= cases[i].least_ms : end == long_ms);
    }
}

static void test_a_burst_buys_no_time(void **state)
{
    const struct fl_pace_rule rule = {.grace_ms = 500, .min_rate = 10};
    struct fl_pace pace;

    (void)state;
    fl_pace_start(&pace, &rule, START_MS);
    assert_int_equal(pace.deadline_ms, START_MS + 500);
    fl_pace_move(&pace, &rule, START_MS + 100, (uint64_t)1 << 62); /* no overflow either */
    assert_int_equal(pace.deadline_ms, START_MS + 600);
    fl_pace_move(&pace, &rule, START_MS + 599, 0);
    assert_int_equal(pace.deadline_ms, START_MS + 600);
}

static void test_single_bytes_are_not_rounded_away(void **state)
{
    const struct fl_pace_rule rule = {.grace_ms = 100, .min_rate = 3000};
    struct fl_pace pace;

    (void)state;
    fl_pace_start(&pace, &rule, START_MS);
    for (int i = 0; i < 30; i++) /* a third of a millisecond each */
        fl_pace_move(&pace, &rule, START_MS + 50, 1);
    assert_int_equal(pace.deadline_ms, START_MS + 110);
}

static void test_the_longest_time_of_a_transfer(void **state)
{
    const struct fl_pace_rule rule = {.grace_ms = 30000, .min_rate = 1024};

    (void)state;
    assert_int_equal(fl_pace_longest_ms(&rule, 0), 30000);
    assert_int_equal(fl_pace_longest_ms(&rule, 1024 * 60), 90000);
    assert_true(fl_pace_longest_ms(&rule, UINT64_MAX) > 90000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trickles_end_and_steady_peers_go_on),
        cmocka_unit_test(test_a_burst_buys_no_time),
        cmocka_unit_test(test_single_bytes_are_not_rounded_away),
        cmocka_unit_test(test_the_longest_time_of_a_transfer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
