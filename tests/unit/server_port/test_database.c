/* server/port/database: a database that is only looked at. */
#include "test.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail_alloc.h"
#include "platform/dir.h"
#include "platform/file.h"
#include "server/port/database.h"

static char folder[FL_PATH_SIZE], path[FL_PATH_SIZE];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/fl-test-database-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    assert_ok(fl_path_join(folder, "a?b#c%20d.db", path, NULL)); /* none of which may end the name */
    return 0;
}

static enum fl_status remove_entry(void *user, const char *name)
{
    char entry[FL_PATH_SIZE];
    assert_ok(fl_path_join(user, name, entry, NULL));
    assert_int_equal(unlink(entry), 0);
    return FL_OK;
}

static int teardown(void **state)
{
    (void)state;
    assert_ok(fl_dir_list(folder, remove_entry, folder, NULL));
    return rmdir(folder);
}

static enum fl_status count_entry(void *user, const char *name)
{
    (void)name;
    ++*(int *)user;
    return FL_OK;
}

static int entries(void)
{
    int count = 0;
    assert_ok(fl_dir_list(folder, count_entry, &count, NULL));
    return count;
}

static struct fl_database *make(void)
{
    struct fl_database *database;
    assert_ok(fl_database_open(path, NULL, &database));
    assert_ok(fl_database_execute(database, "CREATE TABLE t(n); INSERT INTO t VALUES(7);"));
    return database;
}

static void assert_sees(enum fl_database_use use, uint64_t expected)
{
    struct fl_database *database;
    struct fl_error err = {""};
    int row = 0;
    assert_ok(fl_database_look(path, use, &err, &database));
    struct fl_query *query = fl_query_begin(database, "SELECT n FROM t");
    assert_ok(fl_query_step(query, &row));
    assert_int_equal(row, 1);
    assert_true(fl_query_take_u64(query) == expected);
    fl_query_end(query);
    assert_int_not_equal(fl_database_execute(database, "UPDATE t SET n=8"), FL_OK);
    fl_database_close(database);
}

static void test_looking_makes_and_changes_nothing(void **state)
{
    (void)state;
    struct fl_database *writer = make();
    int count = entries();
    assert_sees(FL_DATABASE_LIVE, 7);
    assert_int_equal(entries(), count);
    assert_ok(fl_database_execute(writer, "UPDATE t SET n=9"));
    assert_sees(FL_DATABASE_LIVE, 9);
    fl_database_close(writer);
    assert_int_equal(entries(), 1);
    assert_sees(FL_DATABASE_CLOSED, 9);
    assert_int_equal(entries(), 1);
}

static void test_what_is_missing_or_damaged(void **state)
{
    (void)state;
    static const char junk[] =
        "this has never been a database, and it is long enough to be seen as none at all: "
        "SQLite looks at a hundred bytes at least";
    struct fl_database *database;
    struct fl_error err = {""};
    assert_int_not_equal(fl_database_look(path, FL_DATABASE_CLOSED, &err, &database), FL_OK);
    assert_int_equal(entries(), 0);
    assert_ok(fl_file_write_atomic(path, fl_bytes_from_text(junk), 0600, NULL));
    assert_status(fl_database_look(path, FL_DATABASE_CLOSED, &err, &database), FL_ERR_CORRUPT);
    assert_non_null(strstr(err.text, path));
}

static void test_looking_survives_any_failed_allocation(void **state)
{
    (void)state;
    fl_database_close(make());
    for (size_t k = 0;; k++) {
        struct fl_database *database = NULL;
        long before = fl_live_allocations();
        fl_fail_alloc_after(k);
        enum fl_status st = fl_database_look(path, FL_DATABASE_CLOSED, NULL, &database);
        fl_fail_alloc_never();
        fl_database_close(database);
        assert_int_equal(fl_live_allocations(), before);
        if (!st)
            break;
        assert_status(st, FL_ERR_NOMEM);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_looking_makes_and_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_missing_or_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_looking_survives_any_failed_allocation, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
