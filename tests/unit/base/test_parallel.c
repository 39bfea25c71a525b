/* base/parallel: every part once, whatever the number of threads; parts cover all and meet; a thread that
 * cannot be started. */
#include "test.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include "base/parallel.h"

#define MOST 1000

/* Threads that may still be started, by --wrap. */
static int threads_left = INT_MAX;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *user);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *user);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *user)
{
    return threads_left-- > 0 ? __real_pthread_create(thread, attr, fn, user) : EAGAIN;
}

struct work {
    unsigned parts;
    size_t n, grain;
    unsigned char touched[MOST];
};

static void touch(void *user, unsigned part)
{
    struct work *work = user;
    size_t begin = fl_parallel_begin(work->n, work->grain, work->parts, part);
    size_t end = fl_parallel_begin(work->n, work->grain, work->parts, part + 1);
    for (size_t i = begin; i < end; i++)
        work->touched[i]++;
}

static void check_all_once(const struct work *work)
{
    for (size_t i = 0; i < MOST; i++)
        assert_int_equal(work->touched[i], i < work->n);
}

static void test_every_element_is_in_one_part(void **state)
{
    (void)state;
    static const unsigned parts[] = {1, 2, 3, 7, FL_PARALLEL_MAX};
    static const size_t sizes[] = {0, 1, 63, 64, 65, 500, MOST}, grains[] = {1, 64, 999, 5000};
    for (size_t p = 0; p < 5; p++) {
        for (size_t s = 0; s < 7; s++) {
            for (size_t g = 0; g < 4; g++) {
                struct work work = {parts[p], sizes[s], grains[g], {0}};
                fl_parallel(parts[p], touch, &work);
                check_all_once(&work);
            }
        }
    }
}

static void test_parts_begin_at_grains_and_are_of_a_size(void **state)
{
    (void)state;
    for (size_t n = 1; n < 5000; n += 37) {
        for (unsigned parts = 1; parts < 20; parts++) {
            size_t least = SIZE_MAX, most = 0;
            assert_int_equal(fl_parallel_begin(n, 16, parts, 0), 0);
            assert_int_equal(fl_parallel_begin(n, 16, parts, parts), n);
            for (unsigned i = 0; i < parts; i++) {
                size_t begin = fl_parallel_begin(n, 16, parts, i),
                       end = fl_parallel_begin(n, 16, parts, i + 1);
                assert_true(begin <= end && (begin % 16 == 0 || begin == n));
                least = end - begin < least ? end - begin : least;
                most = end - begin > most ? end - begin : most;
            }
            assert_true(most - least <= 2 * 16);
        }
    }
}

static void test_few_elements_are_not_parted(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        unsigned most, parts;
    } cases[] = {{0, 4, 1},   {99, 4, 1},  {100, 4, 1},  {199, 4, 1},
                 {200, 4, 2}, {350, 4, 3}, {4000, 4, 4}, {4000, 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(fl_parallel_parts(cases[i].n, 100, cases[i].most), cases[i].parts);
}

static void test_work_is_done_when_threads_cannot_be_started(void **state)
{
    (void)state;
    for (int left = 0; left < 4; left++) {
        struct work work = {5, MOST, 1, {0}};
        threads_left = left;
        fl_parallel(5, touch, &work);
        assert_int_equal(threads_left, left - 4);
        threads_left = INT_MAX;
        check_all_once(&work);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_element_is_in_one_part),
        cmocka_unit_test(test_parts_begin_at_grains_and_are_of_a_size),
        cmocka_unit_test(test_few_elements_are_not_parted),
        cmocka_unit_test(test_work_is_done_when_threads_cannot_be_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
