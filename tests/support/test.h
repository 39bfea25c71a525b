/* What every test file includes: cmocka with the headers it needs before it, and small helpers. */
#ifndef FL_TESTS_SUPPORT_TEST_H
#define FL_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"

#define assert_ok(expression) assert_string_equal(fl_status_name(expression), "FL_OK")
#define assert_status(expression, expected)                                                                  \
    assert_string_equal(fl_status_name(expression), fl_status_name(expected))

#endif
