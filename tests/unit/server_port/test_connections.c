#include "test.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "base/random.h"
#include "fail_alloc.h"
#include "server/port/connections.h"

static struct fl_address address(const char *text)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in = {.sin_family = AF_INET};

    if (strchr(text, ':')) {
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        return fl_address_of((struct sockaddr *)&in6);
    }
    assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
    return fl_address_of((struct sockaddr *)&in);
}

static struct fl_connections *new_table(size_t total, size_t strangers, size_t each, size_t strangers_each)
{
    struct fl_connections *table;
    struct fl_connection_limits limits = {total, strangers, each, strangers_each};
    assert_int_equal(fl_connections_new(&limits, 11, &table), FL_OK);
    return table;
}

static enum fl_admission admit(struct fl_connections *table, const char *from, struct fl_connection *made,
                               struct fl_connection **ret_evicted)
{
    struct fl_address at = address(from);
    enum fl_admission asked = fl_connections_ask(table, &at);
    enum fl_admission admission = fl_connections_admit(table, &at, made, ret_evicted);
    assert_int_equal(asked, admission);
    return admission;
}

static void test_which_addresses_are_one(void **state)
{
    static const struct {
        const char *a, *b;
        int same;
    } cases[] = {
        {"10.0.0.1", "10.0.0.1", 1},
        {"10.0.0.1", "10.0.0.2", 0},
        {"10.0.0.1", "::ffff:10.0.0.1", 1},
        {"::ffff:10.0.0.1", "::ffff:10.0.0.2", 0},
        {"2001:db8::1", "2001:db8::ffff:1", 1}, /* one network of /64 */
        {"2001:db8::1", "2001:db8:0:1::1", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_address a = address(cases[i].a), b = address(cases[i].b);
        assert_int_equal(!memcmp(&a, &b, sizeof a), cases[i].same);
        assert_int_equal(fl_address_hash(&a) == fl_address_hash(&b), cases[i].same);
    }
}

static void test_each_limit_refuses_and_says_which(void **state)
{
    struct fl_connection c[8], *evicted;

    (void)state;
    struct fl_connections *table = new_table(8, 8, 2, 8);
    assert_int_equal(admit(table, "10.0.0.1", &c[0], &evicted), FL_ADMITTED);
    assert_int_equal(admit(table, "10.0.0.1", &c[1], &evicted), FL_ADMITTED);
    fl_connections_know(table, &c[0]); /* known ones count as well */
    assert_int_equal(admit(table, "10.0.0.1", &c[2], &evicted), FL_REFUSED_ADDRESS);
    assert_int_equal(admit(table, "10.0.0.2", &c[2], &evicted), FL_ADMITTED);
    fl_connections_leave(table, &c[0]);
    assert_int_equal(admit(table, "10.0.0.1", &c[0], &evicted), FL_ADMITTED);
    fl_connections_free(table);

    table = new_table(8, 8, 8, 2);
    assert_int_equal(admit(table, "10.0.0.1", &c[0], &evicted), FL_ADMITTED);
    assert_int_equal(admit(table, "10.0.0.1", &c[1], &evicted), FL_ADMITTED);
    assert_int_equal(admit(table, "10.0.0.1", &c[2], &evicted), FL_REFUSED_ADDRESS_STRANGERS);
    fl_connections_know(table, &c[0]);
    assert_int_equal(admit(table, "10.0.0.1", &c[2], &evicted), FL_ADMITTED);
    fl_connections_free(table);

    table = new_table(8, 2, 8, 8);
    assert_int_equal(admit(table, "10.0.0.1", &c[0], &evicted), FL_ADMITTED);
    assert_int_equal(admit(table, "10.0.0.2", &c[1], &evicted), FL_ADMITTED);
    assert_int_equal(admit(table, "10.0.0.3", &c[2], &evicted), FL_REFUSED_STRANGERS);
    assert_null(evicted);
    fl_connections_know(table, &c[1]);
    assert_int_equal(admit(table, "10.0.0.3", &c[2], &evicted), FL_ADMITTED);
    fl_connections_free(table);

    table = new_table(2, 2, 8, 8);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(admit(table, "10.0.0.1", &c[i], &evicted), FL_ADMITTED);
        fl_connections_know(table, &c[i]);
    }
    assert_int_equal(admit(table, "10.0.0.2", &c[2], &evicted), FL_REFUSED_TOTAL);
    assert_string_equal(fl_admission_setting(FL_REFUSED_TOTAL), "listen.connections");
    fl_connections_free(table);
}

/* One address that holds all places of strangers loses its oldest to a newcomer from elsewhere, until all
 * have as many; it cannot do the same to others, nor to itself. */
static void test_strangers_of_one_address_make_room_for_others(void **state)
{
    struct fl_connections *table = new_table(100, 4, 100, 100);
    struct fl_connection flood[4], other[3], late, *evicted;

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(admit(table, "10.0.0.66", &flood[i], &evicted), FL_ADMITTED);
    assert_int_equal(admit(table, "10.0.0.66", &late, &evicted), FL_REFUSED_STRANGERS);
    assert_int_equal(admit(table, "10.0.0.1", &other[0], &evicted), FL_ADMITTED);
    assert_ptr_equal(evicted, &flood[0]);
    assert_int_equal(admit(table, "10.0.0.2", &other[1], &evicted), FL_ADMITTED);
    assert_ptr_equal(evicted, &flood[1]);
    assert_int_equal(admit(table, "10.0.0.3", &other[2], &evicted), FL_ADMITTED);
    assert_ptr_equal(evicted, &flood[2]);
    assert_int_equal(admit(table, "10.0.0.66", &late, &evicted), FL_REFUSED_STRANGERS);
    assert_int_equal(admit(table, "10.0.0.4", &late, &evicted), FL_REFUSED_STRANGERS);
    fl_connections_leave(table, &flood[0]); /* an evicted one has left already */
    assert_int_equal(fl_connections_count(table), 4);
    fl_connections_free(table);
}

static void test_who_is_known_is_never_evicted(void **state)
{
    struct fl_connections *table = new_table(4, 4, 100, 100);
    struct fl_connection c[4], newcomer, *evicted;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(admit(table, "10.0.0.1", &c[i], &evicted), FL_ADMITTED);
        fl_connections_know(table, &c[i]);
    }
    assert_int_equal(admit(table, "10.0.0.2", &newcomer, &evicted), FL_REFUSED_TOTAL);
    assert_int_equal(fl_connections_strangers(table), 0);
    fl_connections_free(table);
}

/* Random comings and goings against a count made afresh each time. */
static void test_counts_stay_true(void **state)
{
    enum { MANY = 64 };
    struct fl_connections *table = new_table(40, 20, 12, 6);
    struct fl_connection c[MANY];
    int there[MANY] = {0}, from[MANY] = {0};
    struct fl_random random;

    (void)state;
    memset(c, 0, sizeof c);
    fl_random_init(&random, 5, 0);
    for (int step = 0; step < 20000; step++) {
        size_t i = fl_random_below(&random, MANY);
        size_t total = 0, strangers = 0, here = 0, strangers_here = 0;
        if (!there[i]) {
            char text[32];
            struct fl_connection *evicted;
            from[i] = (int)fl_random_below(&random, 9);
            snprintf(text, sizeof text, "10.1.1.%d", from[i]);
            there[i] = admit(table, text, &c[i], &evicted) == FL_ADMITTED;
            if (evicted)
                there[evicted - c] = 0;
        } else if (fl_random_below(&random, 2)) {
            fl_connections_know(table, &c[i]);
        } else {
            fl_connections_leave(table, &c[i]);
            there[i] = 0;
        }
        for (size_t k = 0; k < MANY; k++) {
            total += (size_t)there[k];
            strangers += there[k] && !c[k].known;
            here += there[k] && from[k] == from[i];
            strangers_here += there[k] && from[k] == from[i] && !c[k].known;
        }
        assert_int_equal(fl_connections_count(table), total);
        assert_int_equal(fl_connections_strangers(table), strangers);
        assert_true(total <= 40 && strangers <= 20 && here <= 12 && strangers_here <= 6);
    }
    fl_connections_free(table);
}

static void test_all_memory_is_taken_at_the_start(void **state)
{
    struct fl_connection_limits limits = {50, 50, 50, 50};
    long before = fl_live_allocations();

    (void)state;
    for (size_t k = 0;; k++) {
        struct fl_connections *table = NULL;
        fl_fail_alloc_after(k);
        enum fl_status st = fl_connections_new(&limits, 1, &table);
        if (!st) {
            struct fl_connection c[50], *evicted;
            fl_fail_alloc_after(0);
            for (int i = 0; i < 50; i++) {
                char text[32];
                snprintf(text, sizeof text, "10.2.2.%d", i);
                assert_int_equal(admit(table, text, &c[i], &evicted), FL_ADMITTED);
            }
        }
        fl_fail_alloc_never();
        fl_connections_free(table);
        assert_int_equal(fl_live_allocations(), before);
        if (!st)
            break;
        assert_int_equal(st, FL_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_addresses_are_one),
        cmocka_unit_test(test_each_limit_refuses_and_says_which),
        cmocka_unit_test(test_strangers_of_one_address_make_room_for_others),
        cmocka_unit_test(test_who_is_known_is_never_evicted),
        cmocka_unit_test(test_counts_stay_true),
        cmocka_unit_test(test_all_memory_is_taken_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
