/* In which order a blob reaches the disk. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/dir.h"
#include "server/port/blobs.h"
#include "sync_trace.h"

static void test_R9_R11_a_blob_is_synced_before_it_has_its_name_and_its_folder_after(void **state)
{
    (void)state;
    char dir[] = "/tmp/fl-test-blobs-XXXXXX", expected[200];
    struct fl_blob_writer *writer;
    struct fl_blobs *blobs;
    struct fl_error err;
    struct fl_buf read;

    assert_non_null(mkdtemp(dir));
    assert_ok(fl_blobs_open(dir, &err, &blobs));
    sync_trace_clear();
    assert_ok(fl_blobs_begin(blobs, "run.1.v1.state", 8, &writer));
    assert_ok(fl_blobs_put(writer, 4, fl_bytes_from_text("body")));
    assert_ok(fl_blobs_put(writer, 0, fl_bytes_from_text("head")));
    assert_ok(fl_blobs_end(writer, 1));
    snprintf(expected, sizeof expected, "sync temp; name run.1.v1.state; sync %s; ", strrchr(dir, '/') + 1);
    assert_string_equal(sync_trace(), expected);
    fl_buf_init(&read, 100);
    assert_ok(fl_blobs_read(blobs, "run.1.v1.state", &read));
    assert_true(fl_bytes_equal(fl_buf_view(&read), fl_bytes_from_text("headbody")));
    fl_buf_done(&read);
    fl_blobs_remove(blobs, "run.1.v1.state");
    fl_blobs_close(blobs);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R9_R11_a_blob_is_synced_before_it_has_its_name_and_its_folder_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
