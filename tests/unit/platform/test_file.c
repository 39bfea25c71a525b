#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail_alloc.h"
#include "platform/dir.h"
#include "platform/file.h"
#include "platform/spool.h"

/* A new folder for each test, with everything in it removed afterwards. */
static char dir[64];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/fl-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[96];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static const char *in_dir(const char *name)
{
    static char paths[4][FL_PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, FL_PATH_SIZE, "%s/%s", dir, name);
    return path;
}

static void assert_content(const char *path, const char *expected)
{
    struct fl_buf buf;

    fl_buf_init(&buf, 4096);
    assert_ok(fl_file_read(path, &buf, NULL));
    assert_true(fl_bytes_equal(fl_buf_view(&buf), fl_bytes_from_text(expected)));
    fl_buf_done(&buf);
}

static unsigned mode_of(const char *path)
{
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static enum fl_status count_entry(void *user, const char *name)
{
    (void)name;
    ++*(size_t *)user;
    return FL_OK;
}

static size_t entries(const char *path)
{
    size_t count = 0;

    assert_ok(fl_dir_list(path, count_entry, &count, NULL));
    return count;
}

/* Runs what follows with files that cannot grow past size bytes: the write error that root gets, too. */
static void limit_file_size(rlim_t size)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_write_atomic_replaces_with_mode_and_leaves_nothing_else(void **state)
{
    const char *path = in_dir("key");
    mode_t mask = umask(077);
    (void)state;

    assert_ok(fl_file_write_atomic(path, fl_bytes_from_text("one"), FL_FILE_SECRET, NULL));
    assert_content(path, "one");
    assert_int_equal(mode_of(path), 0600);
    assert_ok(fl_file_write_atomic(path, fl_bytes_from_text(""), 0644, NULL));
    assert_content(path, "");
    assert_int_equal(mode_of(path), 0644); /* whatever the umask */
    assert_int_equal(entries(dir), 1);
    umask(mask);
}

static void test_failed_atomic_write_keeps_the_old_file(void **state)
{
    static char big[8192];
    const char *path = in_dir("file");
    struct fl_error err;
    (void)state;

    assert_ok(fl_file_write_atomic(path, fl_bytes_from_text("old"), 0600, NULL));
    limit_file_size(4096);
    assert_status(fl_file_write_atomic(path, (struct fl_bytes){(uint8_t *)big, sizeof(big)}, 0600, &err),
                  FL_ERR_IO);
    limit_file_size(RLIM_INFINITY);
    assert_non_null(strstr(err.text, strerror(EFBIG)));
    assert_content(path, "old");
    assert_int_equal(entries(dir), 1);
}

static void test_failed_durable_write_is_removed(void **state)
{
    static char big[8192];
    const char *path = in_dir("file");
    struct fl_error err;
    (void)state;

    limit_file_size(4096);
    assert_status(fl_file_write_durable(path, (struct fl_bytes){(uint8_t *)big, sizeof(big)}, 0600, &err),
                  FL_ERR_IO);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(entries(dir), 0);
}

static void test_full_device_is_reported(void **state)
{
    struct fl_spool spool;
    struct fl_error err;
    (void)state;

    assert_ok(fl_spool_begin(&spool, dir, 0600, &err));
    close(spool.fd);
    spool.fd = open("/dev/full", O_WRONLY);
    assert_true(spool.fd >= 0);
    assert_status(fl_spool_append(&spool, fl_bytes_from_text("x"), &err), FL_ERR_IO);
    assert_non_null(strstr(err.text, "No space left on device"));
    fl_spool_abort(&spool);
    assert_int_equal(entries(dir), 0);
}

static void test_durable_write_replaces_what_a_crash_left(void **state)
{
    const char *path = in_dir("000017.outbox");
    (void)state;

    assert_ok(fl_file_write_durable(path, fl_bytes_from_text("half of a longer"), 0644, NULL));
    assert_ok(fl_file_write_durable(path, fl_bytes_from_text("whole"), 0600, NULL));
    assert_content(path, "whole");
    assert_int_equal(mode_of(path), 0600);
    assert_ok(fl_dir_sync(dir, NULL));
}

static void test_writes_into_missing_folders_and_onto_folders_fail(void **state)
{
    const char *missing = in_dir("no/file"), *folder = in_dir("folder");
    struct fl_error err;
    char expected[FL_ERROR_SIZE];
    (void)state;

    assert_ok(fl_dir_make(folder, 0700, NULL));
    assert_status(fl_file_write_atomic(missing, fl_bytes_from_text("x"), 0600, &err), FL_ERR_IO);
    assert_non_null(strstr(err.text, "No such file or directory"));
    assert_status(fl_file_write_durable(missing, fl_bytes_from_text("x"), 0600, &err), FL_ERR_IO);
    snprintf(expected, sizeof(expected), "%s: No such file or directory", in_dir("no"));
    assert_string_equal(err.text, expected);
    assert_status(fl_file_write_atomic(folder, fl_bytes_from_text("x"), 0600, &err), FL_ERR_IO);
    snprintf(expected, sizeof(expected), "%s: Is a directory; the folder in its place must be removed",
             folder);
    assert_string_equal(err.text, expected);
    assert_status(fl_file_write_durable(folder, fl_bytes_from_text("x"), 0600, &err), FL_ERR_IO);
    assert_status(fl_file_remove(folder, &err), FL_ERR_IO);
    assert_status(fl_dir_sync(in_dir("no"), &err), FL_ERR_NOT_FOUND);
    assert_int_equal(entries(dir), 1);
}

/* Run as another user: root may write anywhere. */
static void test_read_only_folder_is_reported(void **state)
{
    int status;
    (void)state;

    assert_int_equal(chmod(dir, 0555), 0);
    pid_t child = fork();
    if (child == 0) {
        struct fl_error err;
        struct fl_lock lock;
        int bad = 0;
        if (getuid() == 0 && setuid(65534) != 0)
            _exit(99);
        bad += fl_file_write_atomic(in_dir("a"), fl_bytes_from_text("x"), 0600, &err) != FL_ERR_IO;
        bad += strstr(err.text, "Permission denied") == NULL;
        bad += fl_file_write_durable(in_dir("a"), fl_bytes_from_text("x"), 0600, &err) != FL_ERR_IO;
        bad += strstr(err.text, "Permission denied") == NULL;
        bad += fl_dir_make(in_dir("b/c"), 0700, &err) != FL_ERR_IO;
        bad += strstr(err.text, "Permission denied") == NULL;
        bad += fl_lock_take(dir, &lock, &err) != FL_ERR_IO;
        bad += strstr(err.text, "Permission denied") == NULL;
        _exit(bad);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_read_holds_to_its_cap(void **state)
{
    const char *path = in_dir("five");
    struct fl_buf buf;
    struct fl_error err;
    char expected[FL_ERROR_SIZE];
    (void)state;

    assert_ok(fl_file_write_durable(path, fl_bytes_from_text("12345"), 0600, NULL));
    for (size_t cap = 0; cap < 8; cap++) {
        fl_buf_init(&buf, cap);
        enum fl_status st = fl_file_read(path, &buf, &err);
        assert_status(st, cap < 5 ? FL_ERR_LIMIT : FL_OK);
        assert_int_equal(buf.size, cap < 5 ? 0 : 5);
        fl_buf_done(&buf);
    }
    snprintf(expected, sizeof(expected), "%s: file is larger than 4 bytes", path);
    assert_string_equal(err.text, expected);
    /* A second read appends; one that does not fit leaves the first. */
    fl_buf_init(&buf, 8);
    assert_ok(fl_file_read(path, &buf, &err));
    assert_status(fl_file_read(path, &buf, &err), FL_ERR_LIMIT);
    assert_true(fl_bytes_equal(fl_buf_view(&buf), fl_bytes_from_text("12345")));
    fl_buf_done(&buf);
}

static void test_reading_what_is_no_file_fails(void **state)
{
    struct fl_buf buf;
    struct fl_file_map map;
    uint64_t size;
    struct fl_error err;
    char expected[FL_ERROR_SIZE];
    (void)state;

    fl_buf_init(&buf, 100);
    assert_status(fl_file_read(in_dir("no"), &buf, &err), FL_ERR_NOT_FOUND);
    snprintf(expected, sizeof(expected), "%s: No such file or directory", in_dir("no"));
    assert_string_equal(err.text, expected);
    assert_status(fl_file_read(dir, &buf, &err), FL_ERR_IO);
    snprintf(expected, sizeof(expected), "%s: not a regular file, which it must be", dir);
    assert_string_equal(err.text, expected);
    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    assert_status(fl_file_read(in_dir("pipe"), &buf, &err), FL_ERR_IO);
    assert_status(fl_file_map(in_dir("no"), &map, &err), FL_ERR_NOT_FOUND);
    assert_status(fl_file_map(dir, &map, &err), FL_ERR_IO);
    assert_status(fl_file_size(in_dir("no"), &size, &err), FL_ERR_NOT_FOUND);
    assert_status(fl_file_size(dir, &size, &err), FL_ERR_IO);
    assert_status(fl_dir_list(in_dir("no"), count_entry, &size, &err), FL_ERR_NOT_FOUND);
    assert_int_equal(buf.size, 0);
    fl_buf_done(&buf);
}

static void test_read_survives_any_failed_allocation(void **state)
{
    const char *path = in_dir("file");
    (void)state;

    assert_ok(fl_file_write_durable(path, fl_bytes_from_text("content"), 0600, NULL));
    for (size_t k = 0;; k++) {
        long before = fl_live_allocations();
        struct fl_buf buf;
        fl_buf_init(&buf, 100);
        fl_fail_alloc_after(k);
        enum fl_status st = fl_file_read(path, &buf, NULL);
        fl_fail_alloc_never();
        fl_buf_done(&buf);
        assert_int_equal(fl_live_allocations(), before);
        if (st == FL_OK)
            break;
        assert_status(st, FL_ERR_NOMEM);
    }
}

static void test_map_shows_the_file_and_an_empty_one(void **state)
{
    struct fl_file_map map = {{NULL, 0}};
    uint64_t size;
    (void)state;

    fl_file_unmap(&map);
    assert_ok(fl_file_write_durable(in_dir("a"), fl_bytes_from_text("mapped"), 0600, NULL));
    assert_ok(fl_file_write_durable(in_dir("b"), fl_bytes_from_text(""), 0600, NULL));
    assert_ok(fl_file_map(in_dir("a"), &map, NULL));
    assert_ok(fl_file_size(in_dir("a"), &size, NULL));
    assert_int_equal(size, 6);
    assert_ok(fl_file_remove(in_dir("a"), NULL)); /* the mapping stays */
    assert_true(fl_bytes_equal(map.bytes, fl_bytes_from_text("mapped")));
    fl_file_unmap(&map);
    fl_file_unmap(&map);
    assert_ok(fl_file_map(in_dir("b"), &map, NULL));
    assert_int_equal(map.bytes.size, 0);
    fl_file_unmap(&map);
    assert_ok(fl_file_remove(in_dir("a"), NULL)); /* gone already */
}

static void test_spool_grows_under_a_temporary_name(void **state)
{
    struct fl_spool spool;
    struct fl_file_map map;
    size_t removed = 99;
    (void)state;

    assert_ok(fl_spool_begin(&spool, dir, 0640, NULL));
    assert_ok(fl_spool_append(&spool, fl_bytes_from_text("one "), NULL));
    assert_ok(fl_spool_append(&spool, fl_bytes_from_text("two"), NULL));
    assert_int_equal(spool.size, 7);
    assert_ok(fl_file_map(spool.path, &map, NULL));
    assert_true(fl_bytes_equal(map.bytes, fl_bytes_from_text("one two")));
    fl_file_unmap(&map);
    assert_ok(fl_spool_commit(&spool, in_dir("blob"), NULL));
    assert_content(in_dir("blob"), "one two");
    assert_int_equal(mode_of(in_dir("blob")), 0640);
    fl_spool_abort(&spool); /* closed: nothing happens */
    assert_content(in_dir("blob"), "one two");
    /* A commit to nowhere fails and removes the temporary file. */
    struct fl_error err;
    assert_ok(fl_spool_begin(&spool, dir, 0600, NULL));
    assert_status(fl_spool_commit(&spool, in_dir("no/blob"), &err), FL_ERR_IO);
    assert_int_equal(entries(dir), 1);
    assert_status(fl_spool_begin(&spool, in_dir("no"), 0600, &err), FL_ERR_IO);
    assert_int_equal(spool.fd, -1);
    /* What a crash leaves behind is recognised, and only that. */
    assert_ok(fl_spool_begin(&spool, dir, 0600, NULL));
    close(spool.fd);
    assert_int_equal(entries(dir), 2);
    assert_ok(fl_dir_clean_temp(dir, &removed, NULL));
    assert_int_equal(removed, 1);
    assert_int_equal(entries(dir), 1);
    assert_ok(fl_dir_clean_temp(dir, NULL, NULL));
}

static void test_dir_make_makes_parents_with_mode(void **state)
{
    struct fl_error err;
    char expected[FL_ERROR_SIZE];
    (void)state;

    assert_ok(fl_dir_make(in_dir("a/b/c/"), FL_DIR_PRIVATE, NULL));
    assert_int_equal(mode_of(in_dir("a/b")), 0700);
    assert_int_equal(mode_of(in_dir("a/b/c")), 0700);
    assert_ok(fl_dir_make(in_dir("a//b/c"), FL_DIR_PRIVATE, NULL));
    assert_ok(fl_dir_make("/", 0700, NULL));
    assert_status(fl_dir_make("", 0700, &err), FL_ERR_LIMIT);
    assert_ok(fl_file_write_durable(in_dir("file"), fl_bytes_from_text("x"), 0600, NULL));
    assert_status(fl_dir_make(in_dir("file"), 0700, &err), FL_ERR_IO);
    snprintf(expected, sizeof(expected), "%s: not a folder", in_dir("file"));
    assert_string_equal(err.text, expected);
    assert_status(fl_dir_make(in_dir("file/below"), 0700, &err), FL_ERR_IO);
}

static void test_clearing_empties_a_folder_and_follows_no_links(void **state)
{
    struct fl_error err;
    (void)state;

    assert_ok(fl_dir_make(in_dir("made/a/b"), 0700, NULL));
    assert_ok(fl_dir_make(in_dir("other"), 0700, NULL));
    assert_ok(fl_file_write_durable(in_dir("other/kept"), fl_bytes_from_text("x"), 0600, NULL));
    assert_ok(fl_file_write_durable(in_dir("made/a/b/file"), fl_bytes_from_text("x"), 0600, NULL));
    assert_ok(fl_file_write_durable(in_dir("made/file"), fl_bytes_from_text("x"), 0600, NULL));
    assert_int_equal(symlink(in_dir("other"), in_dir("made/link")), 0);
    assert_ok(fl_dir_clear(in_dir("made"), &err));
    assert_int_equal(entries(in_dir("made")), 0);
    assert_content(in_dir("other/kept"), "x");
    assert_status(fl_dir_clear(in_dir("none"), &err), FL_ERR_NOT_FOUND);
    assert_status(fl_dir_clear(in_dir("other/kept"), &err), FL_ERR_IO);
}

static enum fl_status stop_at_once(void *user, const char *name)
{
    (void)name;
    ++*(size_t *)user;
    return FL_ERR_STOPPED;
}

static void test_listing_ends_when_the_callback_says_so(void **state)
{
    size_t calls = 0;
    (void)state;

    assert_ok(fl_dir_make(in_dir("a"), 0700, NULL));
    assert_ok(fl_dir_make(in_dir("b"), 0700, NULL));
    assert_status(fl_dir_list(dir, stop_at_once, &calls, NULL), FL_ERR_STOPPED);
    assert_int_equal(calls, 1);
}

static void test_R1_one_process_has_the_state_folder(void **state)
{
    struct fl_lock lock = {-1}, second = {-1};
    struct fl_error err;
    char expected[FL_ERROR_SIZE];
    int status;
    (void)state;

    fl_lock_release(&lock); /* not held */
    assert_ok(fl_lock_take(dir, &lock, NULL));
    assert_status(fl_lock_take(dir, &second, &err), FL_ERR_LOCKED);
    snprintf(expected, sizeof(expected), "%s: another process uses this folder", dir);
    assert_string_equal(err.text, expected);
    pid_t child = fork();
    if (child == 0)
        _exit(fl_lock_take(dir, &second, NULL) == FL_ERR_LOCKED ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fl_lock_release(&lock);
    assert_ok(fl_lock_take(dir, &second, NULL));
    fl_lock_release(&second);
    /* A process that is killed holds it no longer. */
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        char byte = fl_lock_take(dir, &second, NULL) == FL_OK;
        if (write(ready[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    assert_status(fl_lock_take(dir, &lock, NULL), FL_ERR_LOCKED);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_ok(fl_lock_take(dir, &lock, NULL));
    fl_lock_release(&lock);
    close(ready[0]);
    close(ready[1]);
    assert_status(fl_lock_take(in_dir("no"), &lock, &err), FL_ERR_NOT_FOUND);
}

static void test_paths_are_joined_and_split(void **state)
{
    static const struct {
        const char *path, *parent;
    } cases[] = {{"a/b", "a"}, {"b", "."}, {"/b", "/"}, {"/a/b", "/a"}, {"a/b/c", "a/b"}};
    char path[FL_PATH_SIZE], long_name[FL_PATH_SIZE + 8];
    struct fl_error err;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_ok(fl_path_parent(cases[i].path, path, &err));
        assert_string_equal(path, cases[i].parent);
    }
    assert_ok(fl_path_join("a", "b", path, &err));
    assert_string_equal(path, "a/b");
    memset(long_name, 'x', sizeof(long_name));
    long_name[FL_PATH_SIZE - 2] = 0; /* with "a/" one byte too many */
    assert_status(fl_path_join("a", long_name, path, &err), FL_ERR_LIMIT);
    assert_string_equal(path, "a/b");
    long_name[FL_PATH_SIZE - 3] = 0;
    assert_ok(fl_path_join("a", long_name, path, &err));
    memset(long_name, 'x', sizeof(long_name));
    strcpy(long_name + FL_PATH_SIZE, "/f");
    assert_status(fl_path_parent(long_name, path, &err), FL_ERR_LIMIT);
    assert_status(fl_file_write_durable(long_name, fl_bytes_from_text("x"), 0600, &err), FL_ERR_LIMIT);
    assert_status(fl_file_write_atomic(long_name, fl_bytes_from_text("x"), 0600, &err), FL_ERR_LIMIT);
    assert_status(fl_dir_make(long_name, 0700, &err), FL_ERR_LIMIT);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(test_write_atomic_replaces_with_mode_and_leaves_nothing_else),
        in_folder(test_failed_atomic_write_keeps_the_old_file),
        in_folder(test_failed_durable_write_is_removed),
        in_folder(test_full_device_is_reported),
        in_folder(test_durable_write_replaces_what_a_crash_left),
        in_folder(test_writes_into_missing_folders_and_onto_folders_fail),
        in_folder(test_read_only_folder_is_reported),
        in_folder(test_read_holds_to_its_cap),
        in_folder(test_reading_what_is_no_file_fails),
        in_folder(test_read_survives_any_failed_allocation),
        in_folder(test_map_shows_the_file_and_an_empty_one),
        in_folder(test_spool_grows_under_a_temporary_name),
        in_folder(test_dir_make_makes_parents_with_mode),
        in_folder(test_clearing_empties_a_folder_and_follows_no_links),
        in_folder(test_listing_ends_when_the_callback_says_so),
        in_folder(test_R1_one_process_has_the_state_folder),
        in_folder(test_paths_are_joined_and_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
