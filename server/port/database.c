#include "server/port/database.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/file_error.h"

#define STATEMENTS_MAX 64                  /* different queries of one database */
#define ROOM_BYTES     ((uint64_t)8 << 20) /* the log until its next checkpoint, and what that adds */
#define ADVICE_DAMAGED "put state.db and blobs/ back from a backup, see server/port/README.md"
#define ADVICE_CLOSED                                                                                        \
    "it, and those with -wal and -shm at the end of their names, must be files that are writable; the last " \
    "may be removed while no server runs"

struct fl_query {
    struct fl_database *database;
    const char *sql;
    sqlite3_stmt *statement;
    int failure; /* SQLite's code of the first failure */
    int put, taken;
};

struct fl_database {
    sqlite3 *handle;
    char path[FL_PATH_SIZE];
    struct fl_query queries[STATEMENTS_MAX];
    size_t query_count;
};

static enum fl_status status_of(int code)
{
    switch (code) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return FL_OK;
    case SQLITE_NOMEM:
        return FL_ERR_NOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return FL_ERR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return FL_ERR_LOCKED;
    default:
        return FL_ERR_IO;
    }
}

/* SQLite would make the file readable by others; what it makes beside it gets the mode of the file. */
static void make_private(const char *path)
{
    int fd = strcmp(path, ":memory:") ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (fd >= 0) /* else SQLite will say what is wrong */
        close(fd);
}

/* Reads all of it once, so that damage is seen before anything is built on it. */
static enum fl_status check_whole(struct fl_database *database, struct fl_error *err)
{
    static const char sql[] = "PRAGMA integrity_check(1)";
    struct fl_query *query = fl_query_begin(database, sql);
    int row = 0;
    enum fl_status st = fl_query_step(query, &row);

    if (st) {
        fl_database_describe(database, err);
    } else {
        const char *found = row ? fl_query_take_text(query) : "";
        if (strcmp(found, "ok"))
            st = fl_error_set(err, FL_ERR_CORRUPT, "%s: damaged: %.200s; " ADVICE_DAMAGED, database->path,
                              found);
    }
    fl_query_end(query);
    return st;
}

/* name: the path as SQLite is given it, which is a URI with SQLITE_OPEN_URI. first: what to execute at once.
 */
static enum fl_status open_with(const char *path, const char *name, int flags, const char *first,
                                struct fl_error *err, struct fl_database **ret_database)
{
    struct fl_database *database = calloc(1, sizeof *database);
    int code;

    if (!database)
        return fl_error_nomem(err);
    snprintf(database->path, sizeof database->path, "%s", path);
    code = sqlite3_open_v2(name, &database->handle, flags | SQLITE_OPEN_FULLMUTEX, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(database->handle, 5000);
        code = sqlite3_exec(database->handle, first, NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) {
        fl_database_describe(database, err);
        fl_database_close(database);
        return status_of(code);
    }
    *ret_database = database;
    return FL_OK;
}

enum fl_status fl_database_open(const char *path, struct fl_error *err, struct fl_database **ret_database)
{
    struct fl_database *database;
    make_private(path);
    enum fl_status st = open_with(path, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                  "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                  "BEGIN IMMEDIATE; COMMIT", /* can it be written? */
                                  err, &database);
    if (st)
        return st;
    st = check_whole(database, err);
    if (st)
        fl_database_close(database);
    else
        *ret_database = database;
    return st;
}

enum fl_status fl_database_look(const char *path, enum fl_database_use use, struct fl_error *err,
                                struct fl_database **ret_database)
{
    /* Without these SQLite would make and remove files beside the database, or recover it. */
    static const char *const options[] = {[FL_DATABASE_LIVE] = "mode=ro",
                                          [FL_DATABASE_CLOSED] = "mode=ro&immutable=1",
                                          [FL_DATABASE_LEFT] = "mode=ro&readonly_shm=1"};
    size_t size = 3 * strlen(path) + 64;
    char *uri = malloc(size);
    if (!uri)
        return fl_error_nomem(err);
    char *at = uri + sprintf(uri, "file:");
    for (const char *from = path; *from; from++)
        at += sprintf(at, strchr("?#%", *from) ? "%%%02X" : "%c", (unsigned char)*from);
    snprintf(at, size - (size_t)(at - uri), "?%s", options[use]);
    enum fl_status st = open_with(path, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
                                  "SELECT COUNT(*) FROM sqlite_schema", err, ret_database);
    free(uri);
    return st;
}

const char *fl_database_version(void)
{
    return sqlite3_libversion();
}

void fl_database_close(struct fl_database *database)
{
    if (!database)
        return;
    for (size_t i = 0; i < database->query_count; i++)
        sqlite3_finalize(database->queries[i].statement);
    sqlite3_close(database->handle);
    free(database);
}

enum fl_status fl_database_execute(struct fl_database *database, const char *sql)
{
    return status_of(sqlite3_exec(database->handle, sql, NULL, NULL, NULL));
}

int fl_database_is_full(const struct fl_database *database)
{
    return sqlite3_errcode(database->handle) == SQLITE_FULL;
}

/* The system's errno behind SQLite's newest failure; 0: none that says more than SQLite does. */
static int system_cause(struct fl_database *database, int code)
{
    if (code == SQLITE_FULL)
        return ENOSPC; /* SQLite does not keep the system's own */
    if (code == SQLITE_READONLY)
        return access(database->path, W_OK) == 0 ? 0 : errno;
    int cause = sqlite3_system_errno(database->handle);
    return code == SQLITE_IOERR && (cause == ENOSPC || cause == EDQUOT) ? cause : 0;
}

void fl_database_describe(struct fl_database *database, struct fl_error *err)
{
    int code = database->handle ? sqlite3_errcode(database->handle) : SQLITE_NOMEM;
    int cause = system_cause(database, code);

    if (cause) {
        errno = cause;
        fl_file_error_describe_write(err, database->path, ROOM_BYTES);
    } else {
        fl_error_write(err, "%s: %s; %s", database->path,
                       database->handle ? sqlite3_errmsg(database->handle) : sqlite3_errstr(code),
                       status_of(code) == FL_ERR_CORRUPT ? ADVICE_DAMAGED : ADVICE_CLOSED);
    }
}

/* The place of a query in the cache, prepared when it is new; NULL when the cache is full. */
static struct fl_query *find_query(struct fl_database *database, const char *sql)
{
    struct fl_query *query;

    for (size_t i = 0; i < database->query_count; i++)
        if (database->queries[i].sql == sql)
            return &database->queries[i];
    if (database->query_count == STATEMENTS_MAX)
        return NULL;
    query = &database->queries[database->query_count++];
    query->database = database;
    query->sql = sql;
    return query;
}

struct fl_query *fl_query_begin(struct fl_database *database, const char *sql)
{
    struct fl_query *query;

    sqlite3_mutex_enter(sqlite3_db_mutex(database->handle));
    query = find_query(database, sql);
    if (!query) {
        sqlite3_mutex_leave(sqlite3_db_mutex(database->handle));
        return NULL;
    }
    query->put = query->taken = 0;
    query->failure = SQLITE_OK;
    if (!query->statement)
        query->failure =
            sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &query->statement, NULL);
    return query;
}

void fl_query_end(struct fl_query *query)
{
    if (!query)
        return;
    if (query->statement) {
        sqlite3_reset(query->statement);
        sqlite3_clear_bindings(query->statement);
    }
    sqlite3_mutex_leave(sqlite3_db_mutex(query->database->handle));
}

static void note(struct fl_query *query, int code)
{
    if (query->failure == SQLITE_OK && code != SQLITE_OK)
        query->failure = code;
}

void fl_query_put_i64(struct fl_query *query, int64_t value)
{
    if (query && query->statement)
        note(query, sqlite3_bind_int64(query->statement, ++query->put, value));
}

void fl_query_put_u64(struct fl_query *query, uint64_t value)
{
    fl_query_put_i64(query, (int64_t)value);
}

void fl_query_put_f64(struct fl_query *query, double value)
{
    if (query && query->statement)
        note(query, sqlite3_bind_double(query->statement, ++query->put, value));
}

void fl_query_put_text(struct fl_query *query, const char *text)
{
    if (query && query->statement)
        note(query, sqlite3_bind_text(query->statement, ++query->put, text, -1, SQLITE_STATIC));
}

void fl_query_put_blob(struct fl_query *query, const void *data, size_t size)
{
    if (query && query->statement)
        note(query,
             sqlite3_bind_blob64(query->statement, ++query->put, size ? data : "", size, SQLITE_STATIC));
}

void fl_query_put_null(struct fl_query *query)
{
    if (query && query->statement)
        note(query, sqlite3_bind_null(query->statement, ++query->put));
}

enum fl_status fl_query_step(struct fl_query *query, int *ret_row)
{
    if (!query)
        return FL_ERR_NOMEM;
    if (query->failure != SQLITE_OK)
        return status_of(query->failure);
    int code = sqlite3_step(query->statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return status_of(code);
    query->taken = 0;
    *ret_row = code == SQLITE_ROW;
    return FL_OK;
}

enum fl_status fl_query_run(struct fl_query *query)
{
    int row;
    enum fl_status st = fl_query_step(query, &row);

    fl_query_end(query);
    return st;
}

int64_t fl_query_take_i64(struct fl_query *query)
{
    return sqlite3_column_int64(query->statement, query->taken++);
}

uint64_t fl_query_take_u64(struct fl_query *query)
{
    return (uint64_t)fl_query_take_i64(query);
}

double fl_query_take_f64(struct fl_query *query)
{
    return sqlite3_column_double(query->statement, query->taken++);
}

const char *fl_query_take_text(struct fl_query *query)
{
    const char *text = (const char *)sqlite3_column_text(query->statement, query->taken++);

    return text ? text : "";
}

struct fl_bytes fl_query_take_blob(struct fl_query *query)
{
    struct fl_bytes bytes;

    bytes.data = sqlite3_column_blob(query->statement, query->taken);
    bytes.size = (size_t)sqlite3_column_bytes(query->statement, query->taken++);
    return bytes;
}

int fl_query_is_null(struct fl_query *query)
{
    return sqlite3_column_type(query->statement, query->taken) == SQLITE_NULL;
}

enum fl_status fl_query_copy_blob(struct fl_query *query, void *ret_data, size_t size)
{
    struct fl_bytes bytes = fl_query_take_blob(query);

    if (bytes.size != size)
        return FL_ERR_CORRUPT;
    memcpy(ret_data, bytes.data, size);
    return FL_OK;
}

enum fl_status fl_query_copy_text(struct fl_query *query, char *ret_text, size_t size)
{
    const char *text = fl_query_take_text(query);

    if (strlen(text) >= size)
        return FL_ERR_CORRUPT;
    memcpy(ret_text, text, strlen(text) + 1);
    return FL_OK;
}
