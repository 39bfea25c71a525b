#include "test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/signals.h"

/* Runs body in a child, since handlers are for the whole process; its exit code comes back. */
static int in_child(int (*body)(int number), int number)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(body(number));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int readable(void)
{
    struct pollfd poll_fd = {fl_signals_fd(), POLLIN, 0};

    return poll(&poll_fd, 1, 0) == 1;
}

static int first_signal(int number)
{
    if (fl_signals_fd() != -1 || fl_signals_install(NULL) || fl_signals_stop_requested() || readable())
        return 1;
    raise(number);
    return fl_signals_stop_requested() && readable() && readable() ? 0 : 2;
}

static int two_signals(int number)
{
    if (fl_signals_install(NULL))
        return 1;
    raise(number);
    raise(SIGTERM);
    return 2; /* not reached */
}

static int broken_pipe(int number)
{
    int ends[2];
    (void)number;

    if (fl_signals_install(NULL) || pipe(ends))
        return 1;
    close(ends[0]);
    return write(ends[1], "x", 1) == -1 && errno == EPIPE ? 0 : 2;
}

static void test_first_signal_asks_to_stop(void **state)
{
    (void)state;
    assert_int_equal(in_child(first_signal, SIGINT), 0);
    assert_int_equal(in_child(first_signal, SIGTERM), 0);
}

static void test_second_signal_ends_at_once(void **state)
{
    (void)state;
    assert_int_equal(in_child(two_signals, SIGINT), 130);
    assert_int_equal(in_child(two_signals, SIGTERM), 130);
}

static void test_a_broken_pipe_is_an_error_not_a_death(void **state)
{
    (void)state;
    assert_int_equal(in_child(broken_pipe, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_signal_asks_to_stop),
        cmocka_unit_test(test_second_signal_ends_at_once),
        cmocka_unit_test(test_a_broken_pipe_is_an_error_not_a_death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
