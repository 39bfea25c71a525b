/*
 * The emulator against planted bugs: each runs in a process of its own under every schedule, and must be seen
 * by the builds that can see it; its correct twin must pass in silence everywhere.
 */
#include "test.h"

#include <sys/wait.h>

#include "kernels/emu/emu.h"
#include "planted.h"

/* Set by this test, so that the two cannot be taken for anything else. */
#define EXIT_RACE      66
#define EXIT_OVERRUN   67
#define EXIT_UNDEFINED 1 /* UndefinedBehaviorSanitizer always leaves with this one */

#if defined(__SANITIZE_THREAD__)
#define BUILD tsan
#elif defined(__SANITIZE_ADDRESS__)
#define BUILD asan
#else
#define BUILD plain
#endif

enum seen {
    NOT,       /* not in this build, whatever the result is */
    WRONG,     /* a wrong result, or a report, under at least one schedule */
    REPORT,    /* by the emulator, under every schedule */
    RACE,      /* by ThreadSanitizer, under every schedule */
    OVERRUN,   /* by AddressSanitizer, under every schedule */
    UNDEFINED, /* by UndefinedBehaviorSanitizer, under every schedule */
};

static const struct bug {
    const char *name, *text; /* text: what a report says that is not ThreadSanitizer's */
    enum seen plain, asan, tsan;
} bugs[] = {
    {"missing_barrier", NULL, WRONG, WRONG, RACE},
    {"write_after_read", NULL, WRONG, WRONG, RACE},
    {"plain_store", NULL, NOT, NOT, RACE},
    {"missing_fence", NULL, NOT, NOT, RACE},
    {"plain_add", NULL, NOT, NOT, RACE},
    {"missing_syncwarp", NULL, WRONG, WRONG, RACE},
    {"shared_overrun", "AddressSanitizer: heap-buffer-overflow", NOT, OVERRUN, NOT},
    {"device_overrun", "AddressSanitizer: heap-buffer-overflow", NOT, OVERRUN, NOT},
    {"use_after_free", "AddressSanitizer: heap-use-after-free", NOT, OVERRUN, NOT},
    {"host_reads_device", "AddressSanitizer: use-after-poison", NOT, OVERRUN, NOT},
    {"misaligned_vector", "misaligned address", NOT, UNDEFINED, NOT},
    {"uninitialised_shared", NULL, WRONG, WRONG, WRONG},
    {"partial_ballot", "__ballot_sync with mask 0xffffffff", REPORT, REPORT, REPORT},
    {"ballot_after_return", "__ballot_sync with mask 0xffffffff", REPORT, REPORT, REPORT},
    {"shuffle_outside", "__shfl_down_sync from lane 20, which is not in mask 0x00000fff", REPORT, REPORT,
     REPORT},
    {"mixed_operations", "of it do __reduce_", REPORT, REPORT, REPORT},
    {"barrier_after_exit", "__syncthreads", REPORT, REPORT, REPORT},
    {"two_barriers", "wait in another, at", REPORT, REPORT, REPORT},
    {"deadlock", "no thread can go on", REPORT, REPORT, REPORT},
    {"wait_for_ever", "no progress in 1 s", REPORT, REPORT, REPORT},
    {"wait_without_atomic", NULL, WRONG, WRONG, WRONG},
    {"host_pointer", "argument 1 is a pointer to memory of the host", REPORT, REPORT, REPORT},
    {"result_before_wait", NULL, WRONG, WRONG, WRONG},
    {"missing_event", NULL, WRONG, WRONG, WRONG},
    {"buffer_used_again", NULL, WRONG, WRONG, WRONG},
};
#define BUGS (sizeof bugs / sizeof bugs[0])

/* Fewer where a process takes a second, most of it for ThreadSanitizer's contexts. */
#ifdef __SANITIZE_THREAD__
static const char *const schedules[] = {"reverse", "random:1"};
#else
static const char *const schedules[] = {"forward", "reverse", "random:1", "random:2"};
#endif

#define SCHEDULES (sizeof schedules / sizeof schedules[0])

/* The exit code of emu_planted; what it printed to text. */
static int run(const char *which, const char *names, const char *schedule, char *text, size_t bytes)
{
    char command[2048];
    snprintf(command, sizeof command,
             "FL_EMU_SCHEDULE=%s TSAN_OPTIONS=exitcode=%d ASAN_OPTIONS=exitcode=%d '%s' %s %s 2>&1", schedule,
             EXIT_RACE, EXIT_OVERRUN, EMU_PLANTED, which, names);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    size_t size = fread(text, 1, bytes - 1, output);
    text[size] = 0;
    while (getc(output) != EOF)
        ;
    int status = pclose(output);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void must_have(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* 1 when code and text are what seen promises of every schedule. */
static void check_report(const struct bug *bug, enum seen seen, int code, const char *text)
{
    if (seen == REPORT) {
        assert_int_equal(code, FL_EMU_EXIT);
        must_have(text, "emulator: kernel ");
        must_have(text, bug->text);
    }
    if (seen == RACE) {
        assert_int_equal(code, EXIT_RACE);
        must_have(text, "ThreadSanitizer: data race");
        must_have(text, bug->name);
    }
    if (seen == OVERRUN || seen == UNDEFINED) {
        assert_int_equal(code, seen == OVERRUN ? EXIT_OVERRUN : EXIT_UNDEFINED);
        must_have(text, bug->text);
        must_have(text, "planted.cu");
    }
}

static void test_a_planted_bug_is_seen(void **state)
{
    const struct bug *bug = *state;
    char text[8192];
    int wrong = 0;
    for (size_t i = 0; i < SCHEDULES; i++) {
        int code = run("bug", bug->name, schedules[i], text, sizeof text);
        print_message("    %s: exit code %d\n", schedules[i], code);
        assert_int_not_equal(code, PLANTED_USAGE);
        check_report(bug, bug->BUILD, code, text);
        wrong += code != 0;
    }
    assert_true(wrong > 0 || bug->BUILD == NOT);
}

static void test_the_twins_pass_in_silence(void **state)
{
    char text[8192], names[BUGS * 32] = "";
    (void)state;
    for (size_t i = 0; i < BUGS; i++) {
        strcat(names, " ");
        strcat(names, bugs[i].name);
    }
    for (size_t i = 0; i < SCHEDULES; i++) {
        int code = run("right", names, schedules[i], text, sizeof text);
        assert_string_equal(text, "");
        assert_int_equal(code, 0);
    }
}

int main(void)
{
    struct CMUnitTest tests[BUGS + 1] = {cmocka_unit_test(test_the_twins_pass_in_silence)};
    for (size_t i = 0; i < BUGS; i++)
        tests[i + 1] =
            (struct CMUnitTest){bugs[i].name, test_a_planted_bug_is_seen, NULL, NULL, (void *)&bugs[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
