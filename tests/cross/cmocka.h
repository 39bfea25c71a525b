/* The little of cmocka that the unit tests of kernels and of the Rice coder need, for processors that
 * Debian's cmocka is not installed for: a failed assertion ends the program. Not for any other test. */
#ifndef FL_TESTS_CROSS_CMOCKA_H
#define FL_TESTS_CROSS_CMOCKA_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    void *state;
};

#define cmocka_unit_test(test) cmocka_unit_test_prestate(test, NULL)
#define cmocka_unit_test_prestate(test, state_pointer)                                                       \
    {                                                                                                        \
#test, test, state_pointer                                                                           \
    }

#define CROSS_CHECK(condition, ...)                                                                          \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            printf("%s:%d: ", __FILE__, __LINE__);                                                           \
            printf(__VA_ARGS__);                                                                             \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

#define assert_true(a)                  CROSS_CHECK((a), "%s is wrong\n", #a)
#define assert_false(a)                 assert_true(!(a))
#define assert_non_null(a)              assert_true((a) != NULL)
#define assert_null(a)                  assert_true((a) == NULL)
#define assert_ptr_equal(a, b)          assert_true((a) == (b))
#define assert_string_equal(a, b)       assert_true(strcmp(a, b) == 0)
#define assert_memory_equal(a, b, size) assert_true(memcmp(a, b, size) == 0)
#define assert_int_equal(a, b)                                                                               \
    CROSS_CHECK((intmax_t)(a) == (intmax_t)(b), "%s is %jd, not %jd\n", #a, (intmax_t)(a), (intmax_t)(b))

#define cmocka_run_group_tests(tests, setup, teardown)                                                       \
    cross_run(#tests, tests, sizeof(tests) / sizeof(tests)[0])
#define cmocka_run_group_tests_name(group, tests, setup, teardown)                                           \
    cross_run(group, tests, sizeof(tests) / sizeof(tests)[0])

static inline int cross_run(const char *group, const struct CMUnitTest *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *state = tests[i].state;
        tests[i].run(&state);
    }
    printf("%s: %zu tests passed\n", group, count);
    return 0;
}

#endif
