#include "test.h"

#include <errno.h>

#include "platform/error.h"
#include "platform/exit_code.h"

static void test_error_returns_its_status_and_keeps_errno(void **state)
{
    struct fl_error err;
    (void)state;

    errno = ENOENT;
    assert_status(fl_error_set(&err, FL_ERR_IO, "%s: %m", "a/b"), FL_ERR_IO);
    assert_string_equal(err.text, "a/b: No such file or directory");
    assert_int_equal(errno, ENOENT);
    assert_status(fl_error_set(NULL, FL_ERR_LOCKED, "unused"), FL_ERR_LOCKED);
}

static void test_error_may_quote_itself_and_is_cut(void **state)
{
    struct fl_error err;
    char long_text[2 * FL_ERROR_SIZE];
    (void)state;

    assert_status(fl_error_set(&err, FL_ERR_IO, "inner"), FL_ERR_IO);
    assert_status(fl_error_set(&err, FL_ERR_IO, "outer: %s", err.text), FL_ERR_IO);
    assert_string_equal(err.text, "outer: inner");
    memset(long_text, 'x', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = 0;
    assert_status(fl_error_set(&err, FL_ERR_IO, "%s", long_text), FL_ERR_IO);
    assert_int_equal(strlen(err.text), FL_ERROR_SIZE - 1);
}

static void test_exit_codes_are_the_documented_ones(void **state)
{
    static const struct {
        enum fl_status st;
        int code;
    } cases[] = {
        {FL_OK, 0},         {FL_ERR_NOMEM, 1},     {FL_ERR_IO, 1},           {FL_ERR_USAGE, 2},
        {FL_ERR_CONFIG, 3}, {FL_ERR_NETWORK, 4},   {FL_ERR_TIMEOUT, 4},      {FL_ERR_AUTH, 5},
        {FL_ERR_LOCKED, 6}, {FL_ERR_CORRUPT, 7},   {FL_ERR_DIGEST, 7},       {FL_ERR_FORMAT, 8},
        {FL_ERR_SHAPE, 8},  {FL_ERR_STOPPED, 130}, {(enum fl_status)999, 1},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(fl_exit_code_from_status(cases[i].st), cases[i].code);
    assert_non_null(strstr(fl_exit_code_help(), "  130\tinterrupted\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_returns_its_status_and_keeps_errno),
        cmocka_unit_test(test_error_may_quote_itself_and_is_cut),
        cmocka_unit_test(test_exit_codes_are_the_documented_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
