#include "client/port/state_files.h"

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
