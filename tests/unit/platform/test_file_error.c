#include "test.h"

#include "platform/dir.h"
#include "platform/file.h"
#include "platform/file_error.h"

static void test_a_failed_write_names_path_reason_and_what_to_do(void **state)
{
    static const struct {
        int cause;
        uint64_t bytes;
        const char *parts[3];
    } cases[] = {
        {ENOSPC, 4711, {"No space left on device", "4711 bytes are needed", "make room"}},
        {ENOSPC, 0, {"No space left on device; ", "files fit there", "make room"}},
        {EDQUOT, 1, {"Disk quota exceeded", "1 bytes are needed", "make room"}},
        {EROFS, 1, {"Read-only file system", "file system that is writable", ""}},
        {EACCES, 1, {"Permission denied", "must be writable for user ", ""}},
        {EISDIR, 1, {"Is a directory", "folder in its place must be removed", ""}},
        {EPERM, 0, {"Operation not permitted", "must be writable for user ", ""}},
    };
    struct fl_error err;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        errno = cases[i].cause;
        assert_status(fl_file_error_write(&err, "/tmp/fl-none", cases[i].bytes), FL_ERR_IO);
        assert_int_equal(errno, cases[i].cause);
        assert_memory_equal(err.text, "/tmp/fl-none: ", 14);
        for (size_t part = 0; part < 3; part++)
            if (!strstr(err.text, cases[i].parts[part]))
                fail_msg("case %zu: no \"%s\" in: %s", i, cases[i].parts[part], err.text);
    }
    errno = EIO;
    assert_status(fl_file_error_write(&err, "/tmp/x", 5), FL_ERR_IO);
    assert_string_equal(err.text, "/tmp/x: Input/output error");
    errno = ENOSPC;
    assert_status(fl_file_error_write(NULL, "/tmp/x", 5), FL_ERR_IO);
}

static void test_a_failed_read_tells_missing_from_closed(void **state)
{
    struct fl_error err;
    (void)state;

    errno = ENOENT;
    assert_status(fl_file_error_read(&err, "/tmp/x"), FL_ERR_NOT_FOUND);
    assert_string_equal(err.text, "/tmp/x: No such file or directory");
    errno = EACCES;
    assert_status(fl_file_error_read(&err, "/tmp/x"), FL_ERR_IO);
    assert_non_null(strstr(err.text, "/tmp/x: Permission denied; it must be readable for user "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failed_write_names_path_reason_and_what_to_do),
        cmocka_unit_test(test_a_failed_read_tells_missing_from_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
