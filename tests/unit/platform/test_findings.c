/* platform/findings and the checks that add them. */
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/checks.h"
#include "platform/dir.h"
#include "platform/file.h"
#include "platform/text.h"

static struct fl_findings findings;

static int reset(void **state)
{
    (void)state;
    memset(&findings, 0, sizeof findings);
    return 0;
}

static const struct fl_finding *last(void)
{
    assert_true(findings.count > 0 && findings.count <= FL_FINDINGS_MAX);
    return &findings.items[findings.count - 1];
}

static void assert_printed(bool as_json, const char *expected)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    fl_findings_print(&findings, as_json, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void test_lines_and_json(void **state)
{
    (void)state;
    assert_printed(false, "");
    assert_printed(true, "[]\n");
    assert_int_equal(fl_findings_exit_code(&findings), FL_EXIT_OK);
    fl_finding_fix(&findings, "there is nothing to mend");
    fl_finding_add(&findings, FL_OUTCOME_OK, "disk", "%d free", 5);
    fl_finding_add(&findings, FL_OUTCOME_NOTE, "run", "a \"b\"\n\\c\x1b");
    fl_finding_fix(&findings, "nothing");
    fl_finding_add(&findings, FL_OUTCOME_WARN, "clock", "late");
    fl_finding_fix(&findings, "set %s", "it");
    assert_int_equal(fl_findings_exit_code(&findings), FL_EXIT_OK);
    fl_finding_add(&findings, FL_OUTCOME_FAIL, "key", "gone");
    assert_int_equal(fl_findings_exit_code(&findings), FL_EXIT_FAILED);
    assert_printed(false, "ok    disk: 5 free\n"
                          "note  run: a \"b\" \\c \n      fix: nothing\n"
                          "WARN  clock: late\n      fix: set it\n"
                          "FAIL  key: gone\n");
    assert_printed(
        true, "[{\"name\": \"disk\", \"outcome\": \"ok\", \"found\": \"5 free\", \"fix\": null},\n"
              " {\"name\": \"run\", \"outcome\": \"note\", \"found\": \"a \\\"b\\\" \\\\c \", \"fix\": "
              "\"nothing\"},\n"
              " {\"name\": \"clock\", \"outcome\": \"warn\", \"found\": \"late\", \"fix\": \"set it\"},\n"
              " {\"name\": \"key\", \"outcome\": \"fail\", \"found\": \"gone\", \"fix\": null}]\n");
}

static void test_too_many_and_too_long(void **state)
{
    (void)state;
    char text[2 * FL_FINDING_TEXT_SIZE];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (size_t i = 0; i < FL_FINDINGS_MAX; i++)
        fl_finding_add(&findings, FL_OUTCOME_OK, "long", "%s", text);
    assert_int_equal(strlen(last()->found), FL_FINDING_TEXT_SIZE - 1);
    fl_finding_add(&findings, FL_OUTCOME_FAIL, "one more", "x");
    fl_finding_fix(&findings, "x");
    assert_int_equal(findings.items[FL_FINDINGS_MAX - 1].fix[0], 0);
    assert_int_equal(fl_findings_exit_code(&findings), FL_EXIT_FAILED);
}

static void test_files_by_mode(void **state)
{
    (void)state;
    static const struct {
        mode_t mode, closed;
        const char *fix; /* NULL: all is well */
    } cases[] = {{0600, 0077, NULL},        {0400, 0077, NULL}, {0644, 0077, "chmod 600"},
                 {0660, 0077, "chmod 600"}, {0644, 0022, NULL}, {0664, 0022, "chmod 644"},
                 {0601, 0077, "chmod 600"}};
    char path[] = "/tmp/fl-test-findings-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reset(state);
        assert_int_equal(chmod(path, cases[i].mode), 0);
        assert_int_equal(fl_check_file(&findings, "key", path, cases[i].closed, "restore"), 1);
        assert_int_equal(findings.count, cases[i].fix != NULL);
        if (cases[i].fix)
            assert_non_null(strstr(last()->fix, cases[i].fix));
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fl_check_file(&findings, "key", path, 0077, "restore it"), 0);
    assert_int_equal(last()->outcome, FL_OUTCOME_FAIL);
    assert_string_equal(last()->fix, "restore it");
}

static enum fl_status count_entry(void *user, const char *name)
{
    (void)name;
    ++*(int *)user;
    return FL_OK;
}

static void test_folders_space_and_locks(void **state)
{
    char path[] = "/tmp/fl-test-findings-XXXXXX", file[FL_PATH_SIZE];
    struct fl_lock lock;
    int is_held = 1, entries = 0;
    assert_non_null(mkdtemp(path));
    assert_int_equal(fl_check_folder(&findings, "folder", path, "make it so"), 1);
    assert_int_equal(last()->outcome, FL_OUTCOME_OK);
    fl_check_lock(&findings, path, "fl-client", &is_held);
    assert_int_equal(is_held, 0);
    assert_ok(fl_dir_list(path, count_entry, &entries, NULL));
    assert_int_equal(entries, 0); /* neither a probe nor a lock is left */
    assert_ok(fl_lock_take(path, &lock, NULL));
    fl_check_lock(&findings, path, "fl-client", &is_held);
    assert_int_equal(is_held, 1);
    fl_lock_release(&lock);
    fl_check_lock(&findings, path, "fl-client", &is_held);
    assert_int_equal(is_held, 0);

    assert_int_equal(fl_check_space(&findings, path, 1, "a byte"), 1);
    assert_int_equal(fl_check_space(&findings, path, UINT64_MAX, "all"), 0);
    reset(state);
    assert_int_equal(chmod(path, 0750), 0);
    assert_int_equal(fl_check_folder(&findings, "folder", path, "make it so"), 1);
    assert_int_equal(last()->outcome, FL_OUTCOME_WARN);
    assert_non_null(strstr(last()->fix, "chmod 700"));
    assert_ok(fl_path_join(path, "lock", file, NULL));
    assert_int_equal(fl_check_folder(&findings, "folder", file, "make it so"), 0);
    assert_non_null(strstr(last()->found, "not a folder"));
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(fl_check_folder(&findings, "folder", path, "make it so"), 0);
    assert_non_null(strstr(last()->fix, "make it so"));
}

static void test_ends_of_certificates(void **state)
{
    (void)state;
    static const struct {
        int64_t begins_s, ends_s;
        enum fl_outcome expected;
        int good;
        const char *found;
    } cases[] = {{0, 1000000, FL_OUTCOME_OK, 1, "in 10 days"},
                 {0, 136400, FL_OUTCOME_NOTE, 1, "in 0 days"},
                 {0, 90000, FL_OUTCOME_FAIL, 0, "has expired"},
                 {200000, 900000, FL_OUTCOME_WARN, 1, "later than the time here"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int good = fl_check_end(&findings, &(struct fl_check_end){.name = "certificate",
                                                                  .what = "it",
                                                                  .begins_s = cases[i].begins_s,
                                                                  .ends_s = cases[i].ends_s,
                                                                  .now_s = 100000,
                                                                  .warn_s = 50000,
                                                                  .near = FL_OUTCOME_NOTE,
                                                                  .over = FL_OUTCOME_FAIL,
                                                                  .fix = "renew it"});
        assert_int_equal(good, cases[i].good);
        assert_int_equal(last()->outcome, cases[i].expected);
        assert_non_null(strstr(last()->found, cases[i].found));
        assert_int_equal(last()->fix[0] != 0, cases[i].expected != FL_OUTCOME_OK);
    }
}

static void test_sizes_and_times_as_text(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"}, {UINT64_C(3) << 29, "1.5 GiB"}};
    char text[FL_TIME_TEXT_BYTES];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fl_size_to_text(sizes[i].bytes, text);
        assert_string_equal(text, sizes[i].text);
    }
    fl_time_to_text(0, text);
    assert_string_equal(text, "1970-01-01 00:00:00 UTC");
    fl_time_to_text(INT64_MAX, text);
    assert_string_equal(text, "9223372036854775807");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_lines_and_json, reset),
        cmocka_unit_test_setup(test_too_many_and_too_long, reset),
        cmocka_unit_test_setup(test_files_by_mode, reset),
        cmocka_unit_test_setup(test_folders_space_and_locks, reset),
        cmocka_unit_test_setup(test_ends_of_certificates, reset),
        cmocka_unit_test_setup(test_sizes_and_times_as_text, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
