#include "server/port/blobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "platform/dir.h"
#include "platform/env.h"
#include "platform/spool.h"
#include "server/core/store.h"
#include "server/port/database.h"

struct fl_blobs {
    char dir[FL_PATH_SIZE];     /* "": in memory */
    struct fl_database *memory; /* NULL: in the folder */
    int unsynced;               /* 1: files reach the disk when the system likes */
};

static const char sql_table[] = "CREATE TABLE blobs(name TEXT PRIMARY KEY, data BLOB NOT NULL)";
static const char sql_write[] = "INSERT OR REPLACE INTO blobs VALUES(?,?)";
static const char sql_read[] = "SELECT data FROM blobs WHERE name=?";
static const char sql_remove[] = "DELETE FROM blobs WHERE name=?";

enum fl_status fl_blobs_open(const char *dir, struct fl_error *err, struct fl_blobs **ret_blobs)
{
    struct fl_blobs *blobs = calloc(1, sizeof *blobs);
    enum fl_status st;

    if (!blobs)
        return fl_error_nomem(err);
    if (dir && strlen(dir) >= sizeof blobs->dir) {
        st = fl_error_set(err, FL_ERR_LIMIT, "%.80s...: path is too long", dir);
    } else if (dir) {
        memcpy(blobs->dir, dir, strlen(dir) + 1);
        st = fl_dir_make(dir, FL_DIR_PRIVATE, err);
    } else {
        st = fl_database_open(":memory:", err, &blobs->memory);
        if (!st)
            st = fl_database_execute(blobs->memory, sql_table);
    }
    if (st) {
        fl_blobs_close(blobs);
        return st;
    }
    *ret_blobs = blobs;
    return FL_OK;
}

void fl_blobs_close(struct fl_blobs *blobs)
{
    if (!blobs)
        return;
    fl_database_close(blobs->memory);
    free(blobs);
}

void fl_blobs_forgo_sync(struct fl_blobs *blobs)
{
    blobs->unsynced = 1;
}

/* --- writing --- */

struct fl_blob_writer {
    struct fl_blobs *blobs;
    char name[FL_BLOB_NAME_BYTES];
    struct fl_spool spool; /* in a folder */
    struct fl_buf whole;   /* in memory */
};

static enum fl_status log_failure(const char *name, enum fl_status st, const struct fl_error *err)
{
    if (st)
        fl_log(FL_LOG_ERROR, "server.store", "blob=%s status=%s; %s", name, fl_status_name(st), err->text);
    return st;
}

static enum fl_status begin(struct fl_blob_writer *writer, uint64_t size)
{
    struct fl_blobs *blobs = writer->blobs;
    struct fl_error err;
    uint8_t *at;
    enum fl_status st;

    if (blobs->memory) {
        st = fl_buf_extend(&writer->whole, (size_t)size, &at);
        if (!st)
            memset(at, 0, (size_t)size);
        return st;
    }
    st = fl_spool_begin(&writer->spool, blobs->dir, FL_FILE_SECRET, &err);
    if (!st)
        writer->spool.unsynced = blobs->unsynced;
    return log_failure(writer->name, st, &err);
}

enum fl_status fl_blobs_begin(struct fl_blobs *blobs, const char *name, uint64_t size,
                              struct fl_blob_writer **ret_writer)
{
    struct fl_blob_writer *writer = calloc(1, sizeof *writer);
    enum fl_status st;

    if (!writer)
        return FL_ERR_NOMEM;
    writer->blobs = blobs;
    snprintf(writer->name, sizeof writer->name, "%s", name);
    fl_buf_init(&writer->whole, SIZE_MAX);
    st = begin(writer, size);
    if (st)
        free(writer);
    else
        *ret_writer = writer;
    return st;
}

enum fl_status fl_blobs_put(struct fl_blob_writer *writer, uint64_t offset, struct fl_bytes data)
{
    struct fl_error err;

    if (!writer->blobs->memory)
        return log_failure(writer->name, fl_spool_put(&writer->spool, offset, data, &err), &err);
    if (offset > writer->whole.size || data.size > writer->whole.size - offset)
        return FL_ERR_RANGE;
    if (data.size)
        memcpy(writer->whole.data + offset, data.data, data.size);
    return FL_OK;
}

static enum fl_status keep_memory(struct fl_blob_writer *writer)
{
    struct fl_query *query = fl_query_begin(writer->blobs->memory, sql_write);

    fl_query_put_text(query, writer->name);
    fl_query_put_blob(query, writer->whole.data, writer->whole.size);
    return fl_query_run(query);
}

static enum fl_status keep_file(struct fl_blob_writer *writer)
{
    struct fl_blobs *blobs = writer->blobs;
    uint64_t start_us = fl_monotonic_us(), bytes = writer->spool.size;
    char path[FL_PATH_SIZE];
    struct fl_error err;
    enum fl_status st = fl_path_join(blobs->dir, writer->name, path, &err);

    if (!st)
        st = fl_spool_commit(&writer->spool, path, &err);
    if (!st && !blobs->unsynced)
        st = fl_dir_sync(blobs->dir, &err);
    if (!st)
        fl_log(FL_LOG_DEBUG, "server.store", "blob=%s bytes=%llu sync_us=%llu; kept", writer->name,
               (unsigned long long)bytes, (unsigned long long)(fl_monotonic_us() - start_us));
    return log_failure(writer->name, st, &err);
}

enum fl_status fl_blobs_end(struct fl_blob_writer *writer, int keep)
{
    enum fl_status st = FL_OK;

    if (keep)
        st = writer->blobs->memory ? keep_memory(writer) : keep_file(writer);
    if (!writer->blobs->memory)
        fl_spool_abort(&writer->spool);
    fl_buf_done(&writer->whole);
    free(writer);
    return st;
}

enum fl_status fl_blobs_write(struct fl_blobs *blobs, const char *name, struct fl_bytes data)
{
    struct fl_blob_writer *writer;
    enum fl_status st = fl_blobs_begin(blobs, name, data.size, &writer), ended;

    if (st)
        return st;
    st = fl_blobs_put(writer, 0, data);
    ended = fl_blobs_end(writer, !st);
    return st ? st : ended;
}

/* --- reading --- */

/* In memory: a part of the blob, or all of it with size SIZE_MAX, is appended to part. */
static enum fl_status memory_read(struct fl_blobs *blobs, const char *name, uint64_t offset, size_t size,
                                  struct fl_buf *part)
{
    struct fl_query *query = fl_query_begin(blobs->memory, sql_read);
    int row = 0;
    enum fl_status st;

    fl_query_put_text(query, name);
    st = fl_query_step(query, &row);
    if (!st && !row)
        st = FL_ERR_NOT_FOUND;
    if (!st) {
        struct fl_bytes data = fl_query_take_blob(query);
        if (size == SIZE_MAX)
            size = data.size;
        if (offset > data.size || size > data.size - offset)
            st = FL_ERR_CORRUPT;
        else
            st = fl_buf_append(part, data.data + offset, size);
    }
    fl_query_end(query);
    return st;
}

enum fl_status fl_blobs_read(struct fl_blobs *blobs, const char *name, struct fl_buf *blob)
{
    char path[FL_PATH_SIZE];
    struct fl_error err;
    enum fl_status st;

    if (blobs->memory)
        return memory_read(blobs, name, 0, SIZE_MAX, blob);
    st = fl_path_join(blobs->dir, name, path, &err);
    if (!st)
        st = fl_file_read(path, blob, &err);
    return log_failure(name, st, &err);
}

enum fl_status fl_blobs_read_at(struct fl_blobs *blobs, const char *name, uint64_t offset, void *ret_data,
                                size_t size)
{
    char path[FL_PATH_SIZE];
    struct fl_error err;
    struct fl_buf part;
    enum fl_status st;

    if (!blobs->memory) {
        st = fl_path_join(blobs->dir, name, path, &err);
        if (!st)
            st = fl_file_read_at(path, offset, ret_data, size, &err);
        return st == FL_ERR_NOT_FOUND ? st : log_failure(name, st, &err);
    }
    fl_buf_init(&part, size);
    st = memory_read(blobs, name, offset, size, &part);
    if (!st && size)
        memcpy(ret_data, part.data, size);
    fl_buf_done(&part);
    return st;
}

void fl_blobs_remove(struct fl_blobs *blobs, const char *name)
{
    char path[FL_PATH_SIZE];
    struct fl_error err;
    enum fl_status st;

    if (blobs->memory) {
        struct fl_query *query = fl_query_begin(blobs->memory, sql_remove);
        fl_query_put_text(query, name);
        st = fl_query_run(query);
        err.text[0] = '\0';
    } else {
        st = fl_path_join(blobs->dir, name, path, &err);
        if (!st)
            st = fl_file_remove(path, &err);
    }
    if (st)
        fl_log(FL_LOG_WARN, "server.store", "blob=%s status=%s; not removed, left for the next start. %s",
               name, fl_status_name(st), err.text);
}

struct sweep {
    struct fl_blobs *blobs;
    fl_blob_wanted_fn is_wanted;
    void *user;
    size_t removed;
};

static int ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);

    return length >= tail && !strcmp(name + length - tail, end);
}

static enum fl_status sweep_one(void *user, const char *name)
{
    struct sweep *sweep = user;
    int wanted = 0;
    enum fl_status st = FL_OK;

    if (ends_with(name, ".state") || ends_with(name, ".update"))
        st = sweep->is_wanted(sweep->user, name, &wanted);
    else if (!ends_with(name, FL_FILE_TEMP))
        return FL_OK;
    if (st || wanted)
        return st;
    fl_blobs_remove(sweep->blobs, name);
    sweep->removed++;
    return FL_OK;
}

enum fl_status fl_blobs_sweep(struct fl_blobs *blobs, fl_blob_wanted_fn is_wanted, void *user)
{
    struct sweep sweep = {blobs, is_wanted, user, 0};
    struct fl_error err;
    enum fl_status st;

    if (blobs->memory) /* nothing survives a process there */
        return FL_OK;
    st = fl_dir_list(blobs->dir, sweep_one, &sweep, &err);
    if (sweep.removed > 0)
        fl_log(FL_LOG_INFO, "server.store", "removed=%zu; blobs that a crash left behind", sweep.removed);
    return st;
}
