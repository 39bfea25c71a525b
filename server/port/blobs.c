#include "server/port/blobs.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "platform/dir.h"
#include "platform/spool.h"
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

/* --- in memory --- */

static enum fl_status memory_write(struct fl_blobs *blobs, const char *name, const struct fl_bytes *parts,
                                   size_t count)
{
    struct fl_buf whole;
    enum fl_status st = FL_OK;

    fl_buf_init(&whole, SIZE_MAX);
    for (size_t i = 0; i < count && !st; i++)
        st = fl_buf_append(&whole, parts[i].data, parts[i].size);
    if (!st) {
        struct fl_query *query = fl_query_begin(blobs->memory, sql_write);
        fl_query_put_text(query, name);
        fl_query_put_blob(query, whole.data, whole.size);
        st = fl_query_run(query);
    }
    fl_buf_done(&whole);
    return st;
}

static enum fl_status memory_read(struct fl_blobs *blobs, const char *name, struct fl_buf *blob)
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
        st = fl_buf_append(blob, data.data, data.size);
    }
    fl_query_end(query);
    return st;
}

/* --- in a folder --- */

static enum fl_status folder_write(struct fl_blobs *blobs, const char *name, const struct fl_bytes *parts,
                                   size_t count, struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    struct fl_spool spool;
    enum fl_status st = fl_path_join(blobs->dir, name, path, err);

    if (!st)
        st = fl_spool_begin(&spool, blobs->dir, FL_FILE_SECRET, err);
    if (st)
        return st;
    spool.unsynced = blobs->unsynced;
    for (size_t i = 0; i < count && !st; i++)
        st = fl_spool_append(&spool, parts[i], err);
    if (st)
        fl_spool_abort(&spool);
    else
        st = fl_spool_commit(&spool, path, err);
    if (!st && !blobs->unsynced)
        st = fl_dir_sync(blobs->dir, err);
    return st;
}

enum fl_status fl_blobs_write(struct fl_blobs *blobs, const char *name, const struct fl_bytes *parts,
                              size_t count)
{
    struct fl_error err;
    enum fl_status st;

    if (blobs->memory)
        return memory_write(blobs, name, parts, count);
    st = folder_write(blobs, name, parts, count, &err);
    if (st)
        fl_log(FL_LOG_ERROR, "server.store", "blob=%s status=%s; %s", name, fl_status_name(st), err.text);
    return st;
}

enum fl_status fl_blobs_read(struct fl_blobs *blobs, const char *name, struct fl_buf *blob)
{
    char path[FL_PATH_SIZE];
    struct fl_error err;
    enum fl_status st;

    if (blobs->memory)
        return memory_read(blobs, name, blob);
    st = fl_path_join(blobs->dir, name, path, &err);
    if (!st)
        st = fl_file_read(path, blob, &err);
    if (st)
        fl_log(FL_LOG_ERROR, "server.store", "blob=%s status=%s; %s", name, fl_status_name(st), err.text);
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
