/* protocol/routes: the table, right and wrong. */
#include "test.h"

#include "protocol/routes.h"

#define NAME_64 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._"

static void test_right_routes_there_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        enum fl_route_kind kind;
        const char *run;
        uint64_t seq;
    } cases[] = {
        {"GET", "/v1/health", FL_ROUTE_HEALTH, "", 0},
        {"GET", "/v1/authority", FL_ROUTE_AUTHORITY, "", 0},
        {"POST", "/v1/enroll", FL_ROUTE_ENROLL, "", 0},
        {"POST", "/v1/renew", FL_ROUTE_RENEW, "", 0},
        {"GET", "/v1/runs", FL_ROUTE_RUN_LIST, "", 0},
        {"GET", "/v1/runs/digits", FL_ROUTE_RUN, "digits", 0},
        {"GET", "/v1/runs/a.b_c-9/work", FL_ROUTE_WORK, "a.b_c-9", 0},
        {"GET", "/v1/runs/" NAME_64 "/model", FL_ROUTE_MODEL, NAME_64, 0},
        {"PUT", "/v1/runs/digits/updates/1", FL_ROUTE_UPDATE, "digits", 1},
        {"PUT", "/v1/runs/digits/receipt", FL_ROUTE_RECEIPT, "digits", 0},
        {"PUT", "/v1/runs/" NAME_64 "/updates/18446744073709551615", FL_ROUTE_UPDATE, NAME_64, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_route route;
        char text[FL_ROUTE_TEXT_BYTES];
        assert_ok(fl_route_parse(cases[i].method, cases[i].path, &route));
        assert_int_equal(route.kind, cases[i].kind);
        assert_string_equal(route.run, cases[i].run);
        assert_int_equal(route.seq, cases[i].seq);
        fl_route_to_text(&route, text);
        assert_string_equal(text, cases[i].path);
    }
}

static void test_wrong_routes(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        enum fl_status expected;
    } cases[] = {
        {"GET", "", FL_ERR_NOT_FOUND},
        {"GET", "/", FL_ERR_NOT_FOUND},
        {"GET", "v1/health", FL_ERR_NOT_FOUND},
        {"GET", "/v1", FL_ERR_NOT_FOUND},
        {"GET", "/v1/health/", FL_ERR_NOT_FOUND},
        {"GET", "/v1/healthy", FL_ERR_NOT_FOUND},
        {"GET", "/v1/runs/digits/updates", FL_ERR_NOT_FOUND},
        {"GET", "/v1/runs/digits/model/1", FL_ERR_NOT_FOUND},
        {"GET", "/version", FL_ERR_NOT_FOUND},
        {"GET", "/v/health", FL_ERR_NOT_FOUND},
        {"GET", "/v1x/health", FL_ERR_NOT_FOUND},
        {"GET", "/v2/health", FL_ERR_VERSION},
        {"PUT", "/v0/anything", FL_ERR_VERSION},
        {"GET", "/v10", FL_ERR_VERSION},
        {"POST", "/v1/health", FL_ERR_STATE},
        {"get", "/v1/health", FL_ERR_STATE},
        {"GET", "/v1/enroll", FL_ERR_STATE},
        {"GET", "/v1/renew", FL_ERR_STATE},
        {"DELETE", "/v1/runs/digits", FL_ERR_STATE},
        {"POST", "/v1/runs/digits/updates/1", FL_ERR_STATE},
        {"GET", "/v1/runs/digits/receipt", FL_ERR_STATE},
        {"PUT", "/v1/runs/digits/receipts", FL_ERR_NOT_FOUND},
        {"GET", "/v1/runs/", FL_ERR_FORMAT},
        {"GET", "/v1/runs//work", FL_ERR_FORMAT},
        {"GET", "/v1/runs/..", FL_ERR_FORMAT},
        {"GET", "/v1/runs/.hidden/work", FL_ERR_FORMAT},
        {"GET", "/v1/runs/a%2fb", FL_ERR_FORMAT},
        {"GET", "/v1/runs/a b", FL_ERR_FORMAT},
        {"GET", "/v1/runs/" NAME_64 "x", FL_ERR_FORMAT},
        {"PUT", "/v1/runs/digits/updates/", FL_ERR_FORMAT},
        {"PUT", "/v1/runs/digits/updates/0", FL_ERR_FORMAT},
        {"PUT", "/v1/runs/digits/updates/01", FL_ERR_FORMAT},
        {"PUT", "/v1/runs/digits/updates/-1", FL_ERR_FORMAT},
        {"PUT", "/v1/runs/digits/updates/1x", FL_ERR_FORMAT},
        {"PUT", "/v1/runs/digits/updates/18446744073709551616", FL_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fl_route route = {.seq = 77};
        assert_status(fl_route_parse(cases[i].method, cases[i].path, &route), cases[i].expected);
        assert_int_equal(route.seq, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_routes_there_and_back),
        cmocka_unit_test(test_wrong_routes),
    };
    return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
