/* server/port/http_range: which bytes a Range header means. */
#include "test.h"

#include "server/port/http_range.h"

static void test_cases(void **state)
{
    (void)state;
    static const struct {
        const char *range, *if_range;
        size_t total;
        enum fl_range_kind kind;
        size_t offset, size;
    } cases[] = {
        {NULL, NULL, 10, FL_RANGE_WHOLE, 0, 10},
        {"bytes=0-0", NULL, 10, FL_RANGE_PART, 0, 1},
        {"bytes=3-", NULL, 10, FL_RANGE_PART, 3, 7},
        {"bytes=9-", NULL, 10, FL_RANGE_PART, 9, 1},
        {"bytes=2-99", NULL, 10, FL_RANGE_PART, 2, 8},
        {"bytes=-3", NULL, 10, FL_RANGE_PART, 7, 3},
        {"bytes=-99", NULL, 10, FL_RANGE_PART, 0, 10},
        {"bytes=0-99999999999999999999999", NULL, 10, FL_RANGE_PART, 0, 10},
        {"bytes=10-", NULL, 10, FL_RANGE_UNSATISFIABLE, 0, 10},
        {"bytes=99999999999999999999999-", NULL, 10, FL_RANGE_UNSATISFIABLE, 0, 10},
        {"bytes=-0", NULL, 10, FL_RANGE_UNSATISFIABLE, 0, 10},
        {"bytes=0-", NULL, 0, FL_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-1", NULL, 0, FL_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=4-2", NULL, 10, FL_RANGE_WHOLE, 0, 10},
        {"bytes=1-2,4-5", NULL, 10, FL_RANGE_WHOLE, 0, 10},
        {"bytes=", NULL, 10, FL_RANGE_WHOLE, 0, 10},
        {"bytes=-", NULL, 10, FL_RANGE_WHOLE, 0, 10},
        {"bytes=x-", NULL, 10, FL_RANGE_WHOLE, 0, 10},
        {"bytes=1", NULL, 10, FL_RANGE_WHOLE, 0, 10},
        {"items=1-2", NULL, 10, FL_RANGE_WHOLE, 0, 10},
        {"bytes=3-", "\"tag\"", 10, FL_RANGE_PART, 3, 7},
        {"bytes=3-", "tag", 10, FL_RANGE_WHOLE, 0, 10},
        {"bytes=3-", "\"other\"", 10, FL_RANGE_WHOLE, 0, 10},
        {"bytes=3-", "W/\"tag\"", 10, FL_RANGE_WHOLE, 0, 10},
        {"bytes=3-", "", 10, FL_RANGE_WHOLE, 0, 10},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_range range;
        enum fl_range_kind kind =
            fl_range_parse(cases[i].range, cases[i].if_range, "tag", cases[i].total, &range);
        if (kind != cases[i].kind || range.offset != cases[i].offset || range.size != cases[i].size)
            fail_msg("case %zu: kind %d offset %zu size %zu", i, (int)kind, range.offset, range.size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
