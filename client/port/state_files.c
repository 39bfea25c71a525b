#include "client/port/state_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/dir.h"

#define HISTORY "history"

enum fl_status fl_state_files_at(struct fl_state_files *files, const char *state_dir, const char *run,
                                 struct fl_error *err)
{
    char runs[FL_PATH_SIZE];
    enum fl_status st = fl_path_join(state_dir, "runs", runs, err);
    return st ? st : fl_path_join(runs, run, files->dir, err);
}

enum fl_status fl_state_files_open(struct fl_state_files *files, const char *state_dir, const char *run,
                                   struct fl_error *err)
{
    enum fl_status st = fl_state_files_at(files, state_dir, run, err);
    if (!st)
        st = fl_dir_make(files->dir, FL_DIR_PRIVATE, err);
    if (!st)
        st = fl_dir_clean_temp(files->dir, NULL, err);
    return st;
}

/* The number behind "residual." or "update."; 0: another file. */
static uint64_t seq_of(const char *name)
{
    static const char *const kinds[] = {"residual.", "update."};
    uint64_t seq = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
            seq = strtoull(name + strlen(kinds[i]), NULL, 10);
    return seq;
}

static enum fl_status find_later(void *user, const char *name)
{
    struct fl_client_file *found = user;
    if (seq_of(name) > 1)
        snprintf(found->name, sizeof found->name, "%s", name);
    return FL_OK;
}

enum fl_status fl_state_files_check(const struct fl_state_files *files, struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    struct fl_client_file found = {.name = ""};
    uint64_t size;
    enum fl_status st = fl_path_join(files->dir, FL_MANIFEST_NAME, path, err);
    if (!st && fl_file_size(path, &size, NULL) != FL_ERR_NOT_FOUND)
        return FL_OK;
    if (!st)
        st = fl_dir_list(files->dir, find_later, &found, err);
    if (!st && found.name[0])
        st = fl_error_set(
            err, FL_ERR_CORRUPT,
            "%s: missing, though %s is there. Put it back from a backup; without one, "
            "`fl-client resync` with the same configuration gives up what waits in the residual, "
            "counted as one lost update",
            path, found.name);
    return st;
}

static enum fl_status read_file(void *user, const char *name, struct fl_buf *buf)
{
    struct fl_state_files *files = user;
    char path[FL_PATH_SIZE];
    enum fl_status st = fl_path_join(files->dir, name, path, &files->error);
    return st ? st : fl_file_read(path, buf, &files->error);
}

struct fl_client_reader fl_state_files_reader(struct fl_state_files *files)
{
    return (struct fl_client_reader){.user = files, .read = read_file};
}

static int is_history(const struct fl_client_file *file)
{
    return strncmp(file->name, HISTORY "/", sizeof HISTORY) == 0;
}

enum fl_status fl_state_files_put(const struct fl_state_files *files, const struct fl_client_file *file,
                                  struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    enum fl_status st = FL_OK;
    if (is_history(file)) {
        st = fl_path_join(files->dir, HISTORY, path, err);
        if (!st)
            st = fl_dir_make(path, FL_DIR_PRIVATE, err);
    }
    if (!st)
        st = fl_path_join(files->dir, file->name, path, err);
    return st ? st : fl_file_write_durable(path, file->bytes, FL_FILE_SECRET, err);
}

enum fl_status fl_state_files_publish(const struct fl_state_files *files, const struct fl_client_effect *save,
                                      struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    int history = 0;
    enum fl_status st = FL_OK;
    for (size_t i = 0; i < save->file_count; i++)
        history |= is_history(&save->files[i]);
    if (history) {
        st = fl_path_join(files->dir, HISTORY, path, err);
        if (!st)
            st = fl_dir_sync(path, err);
    }
    if (!st && save->file_count)
        st = fl_dir_sync(files->dir, err);
    if (!st)
        st = fl_path_join(files->dir, FL_MANIFEST_NAME, path, err);
    return st ? st : fl_file_write_atomic(path, save->manifest, FL_FILE_SECRET, err);
}

struct sweep {
    const struct fl_state_files *files;
    const struct fl_client *client;
    struct fl_error *err;
};

static enum fl_status sweep_entry(void *user, const char *name)
{
    struct sweep *sweep = user;
    char path[FL_PATH_SIZE];
    if (!fl_client_file_is_stale(sweep->client, name))
        return FL_OK;
    enum fl_status st = fl_path_join(sweep->files->dir, name, path, sweep->err);
    return st ? st : fl_file_remove(path, sweep->err);
}

enum fl_status fl_state_files_sweep(const struct fl_state_files *files, const struct fl_client *client,
                                    struct fl_error *err)
{
    struct sweep sweep = {.files = files, .client = client, .err = err};
    return fl_dir_list(files->dir, sweep_entry, &sweep, err);
}

enum fl_status fl_state_files_save(const struct fl_state_files *files, const struct fl_client *client,
                                   const struct fl_client_effect *save, struct fl_error *err)
{
    enum fl_status st = FL_OK;
    for (size_t i = 0; i < save->file_count && !st; i++)
        st = fl_state_files_put(files, &save->files[i], err);
    if (!st)
        st = fl_state_files_publish(files, save, err);
    return st ? st : fl_state_files_sweep(files, client, err);
}
