/* In which order the client's state reaches the disk. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/port/state_files.h"
#include "platform/dir.h"
#include "sync_trace.h"

static void test_R7_files_then_folder_then_manifest_then_folder(void **state)
{
    (void)state;
    char dir[] = "/tmp/fl-test-sync-XXXXXX", path[FL_PATH_SIZE];
    static const char *const names[] = {"update.1", "residual.1", "manifest"};
    struct fl_client_effect save = {
        .kind = FL_CLIENT_SAVE, .file_count = 2, .manifest = fl_bytes_from_text("manifest of the test")};
    struct fl_state_files files = {0};

    assert_non_null(mkdtemp(dir));
    assert_ok(fl_state_files_open(&files, dir, "demo", NULL));
    for (size_t i = 0; i < 2; i++) {
        snprintf(save.files[i].name, sizeof save.files[i].name, "%s", names[i]);
        save.files[i].bytes = fl_bytes_from_text("bytes");
    }
    sync_trace_clear();
    for (size_t i = 0; i < 2; i++)
        assert_ok(fl_state_files_put(&files, &save.files[i], NULL));
    assert_ok(fl_state_files_publish(&files, &save, NULL));
    assert_string_equal(sync_trace(), "sync temp; name update.1; sync temp; name residual.1; sync demo; "
                                      "sync temp; name manifest; sync demo; ");
    for (size_t i = 0; i < 3; i++) {
        assert_ok(fl_path_join(files.dir, names[i], path, NULL));
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(files.dir), 0);
    assert_ok(fl_path_join(dir, "runs", path, NULL));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void put(const struct fl_state_files *files, const char *name)
{
    char path[FL_PATH_SIZE];

    assert_ok(fl_path_join(files->dir, name, path, NULL));
    assert_ok(fl_file_write_durable(path, fl_bytes_from_text("bytes"), 0600, NULL));
}

static void test_R7_a_manifest_that_is_gone_is_noticed_before_anything_is_removed(void **state)
{
    (void)state;
    char dir[] = "/tmp/fl-test-sync-XXXXXX";
    struct fl_state_files files = {0};
    struct fl_error err;

    assert_non_null(mkdtemp(dir));
    assert_ok(fl_state_files_open(&files, dir, "demo", NULL));
    assert_ok(fl_state_files_check(&files, &err));
    put(&files, "residual.1"); /* as a crash before the first manifest leaves them */
    put(&files, "update.1");
    put(&files, "replica.7");
    assert_ok(fl_state_files_check(&files, &err));
    put(&files, "residual.2.folded");
    assert_status(fl_state_files_check(&files, &err), FL_ERR_CORRUPT);
    for (size_t i = 0; i < 4; i++) {
        static const char *const parts[] = {"demo/manifest: missing", "residual.2.folded", "backup",
                                            "resync"};
        assert_non_null(strstr(err.text, parts[i]));
    }
    put(&files, "manifest");
    assert_ok(fl_state_files_check(&files, &err));
    assert_ok(fl_dir_clear(dir, NULL));
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R7_files_then_folder_then_manifest_then_folder),
        cmocka_unit_test(test_R7_a_manifest_that_is_gone_is_noticed_before_anything_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
