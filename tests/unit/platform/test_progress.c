#include "test.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "platform/progress.h"

static void test_a_pipe_gets_plain_lines_once_each(void **state)
{
    struct fl_progress progress;
    char text[256] = "";
    FILE *file = tmpfile();
    (void)state;

    assert_non_null(file);
    fl_progress_init(&progress, file);
    fl_progress_show(&progress, 0, 60, "loss %.2f", 2.5);
    fl_progress_show(&progress, 1, 60, "loss %.2f", 2.25);
    fl_progress_show(&progress, 1, 60, "again");
    fl_progress_line(&progress, "note %d", 7);
    fl_progress_show(&progress, 2, 60, "done");
    fl_progress_done(&progress);
    rewind(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    assert_string_equal(text, "0/60 loss 2.50\n1/60 loss 2.25\nnote 7\n2/60 done\n");
    fclose(file);
}

/* A pseudo terminal of the given width; what is drawn can be read from *ret_master. */
static FILE *terminal(unsigned short width, int *ret_master)
{
    struct winsize size = {24, width, 0, 0};
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    if (master < 0 || grantpt(master) || unlockpt(master))
        return NULL;
    assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
    *ret_master = master;
    return fopen(ptsname(master), "r+");
}

/* What has been drawn is exactly expected; a terminal may hand it over in pieces. */
static void assert_drawn(int master, const char *expected)
{
    char text[512];
    size_t got = 0;
    while (got < strlen(expected)) {
        ssize_t more = read(master, text + got, sizeof(text) - 1 - got);
        assert_true(more > 0);
        got += (size_t)more;
    }
    text[got] = 0;
    assert_string_equal(text, expected);
}

static void test_a_terminal_gets_one_bar_that_is_redrawn(void **state)
{
    struct fl_progress progress;
    int master;
    FILE *out = terminal(100, &master);
    (void)state;

    if (!out)
        skip();
    fl_progress_init(&progress, out);
    fl_progress_show(&progress, 30, 60, "half");
    assert_drawn(master, "[############............] 30/60 half");
    fl_progress_show(&progress, 90, 60, "over");
    assert_drawn(master, "\r\033[K[########################] 90/60 over");
    fl_progress_line(&progress, "stays");
    assert_drawn(master, "\r\033[Kstays\r\n");
    fl_progress_show(&progress, 0, 0, "nothing to do");
    assert_drawn(master, "[########################] 0/0 nothing to do");
    fl_progress_done(&progress);
    assert_drawn(master, "\r\033[K");
    fclose(out);
    close(master);
}

static void test_the_bar_is_cut_to_a_narrow_terminal(void **state)
{
    struct fl_progress progress;
    int master;
    FILE *out = terminal(20, &master);
    (void)state;

    if (!out)
        skip();
    fl_progress_init(&progress, out);
    fl_progress_show(&progress, 60, 60, "words that do not fit");
    assert_drawn(master, "[##################");
    fclose(out);
    close(master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pipe_gets_plain_lines_once_each),
        cmocka_unit_test(test_a_terminal_gets_one_bar_that_is_redrawn),
        cmocka_unit_test(test_the_bar_is_cut_to_a_narrow_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
