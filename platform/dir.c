#include "platform/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/file_error.h"

#define LOOK_TRIES 5
#define LOOK_US    10000

enum fl_status fl_dir_sync(const char *path, struct fl_error *err)
{
    enum fl_status st = FL_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return fl_file_error_read(err, path);
    if (fsync(fd) != 0)
        st = fl_file_error_write(err, path, 0);
    close(fd);
    return st;
}

static enum fl_status make_one(const char *path, mode_t mode, struct fl_error *err)
{
    char parent[FL_PATH_SIZE];
    struct stat info;

    if (mkdir(path, mode) == 0) {
        enum fl_status st = fl_path_parent(path, parent, err);
        return st ? st : fl_dir_sync(parent, err);
    }
    if (errno != EEXIST)
        return fl_file_error_write(err, path, 0);
    if (stat(path, &info) != 0)
        return fl_file_error_read(err, path);
    if (!S_ISDIR(info.st_mode))
        return fl_error_set(err, FL_ERR_IO, "%s: not a folder", path);
    return FL_OK;
}

enum fl_status fl_dir_make(const char *path, mode_t mode, struct fl_error *err)
{
    char part[FL_PATH_SIZE];
    size_t size = strlen(path);

    if (!size || size >= sizeof(part))
        return fl_error_set(err, FL_ERR_LIMIT, "%.80s: path is empty or too long", path);
    memcpy(part, path, size + 1);
    while (size > 1 && part[size - 1] == '/')
        part[--size] = 0;
    for (size_t i = 1; i < size; i++) {
        if (part[i] != '/')
            continue;
        part[i] = 0;
        enum fl_status st = make_one(part, mode, err);
        if (st)
            return st;
        part[i] = '/';
    }
    return make_one(part, mode, err);
}

enum fl_status fl_dir_list(const char *path, fl_dir_entry_fn entry, void *user, struct fl_error *err)
{
    enum fl_status st = FL_OK;
    DIR *dir = opendir(path);

    if (!dir)
        return fl_file_error_read(err, path);
    while (!st) {
        errno = 0;
        const struct dirent *at = readdir(dir);
        if (!at) {
            if (errno)
                st = fl_error_set(err, FL_ERR_IO, "%s: %m", path);
            break;
        }
        if (strcmp(at->d_name, ".") != 0 && strcmp(at->d_name, "..") != 0)
            st = entry(user, at->d_name);
    }
    closedir(dir);
    return st;
}

struct cleaning {
    const char *dir;
    size_t removed;
    struct fl_error *err;
};

static enum fl_status clean_one(void *user, const char *name)
{
    struct cleaning *cleaning = user;
    char path[FL_PATH_SIZE];
    size_t size = strlen(name), end = strlen(FL_FILE_TEMP);
    enum fl_status st;

    if (size < end || strcmp(name + size - end, FL_FILE_TEMP) != 0)
        return FL_OK;
    st = fl_path_join(cleaning->dir, name, path, cleaning->err);
    if (!st)
        st = fl_file_remove(path, cleaning->err);
    if (!st)
        cleaning->removed++;
    return st;
}

enum fl_status fl_dir_clean_temp(const char *path, size_t *ret_removed, struct fl_error *err)
{
    struct cleaning cleaning = {path, 0, err};
    enum fl_status st = fl_dir_list(path, clean_one, &cleaning, err);

    if (!st && ret_removed)
        *ret_removed = cleaning.removed;
    return st;
}

struct clearing {
    const char *dir;
    struct fl_error *err;
};

static enum fl_status clear_one(void *user, const char *name)
{
    const struct clearing *clearing = user;
    char path[FL_PATH_SIZE];
    struct stat info;
    enum fl_status st = fl_path_join(clearing->dir, name, path, clearing->err);

    if (st)
        return st;
    if (lstat(path, &info) != 0)
        return fl_file_error_read(clearing->err, path);
    if (!S_ISDIR(info.st_mode))
        return fl_file_remove(path, clearing->err);
    st = fl_dir_clear(path, clearing->err);
    return !st && rmdir(path) != 0 ? fl_file_error_write(clearing->err, path, 0) : st;
}

enum fl_status fl_dir_clear(const char *path, struct fl_error *err)
{
    struct clearing clearing = {path, err};

    return fl_dir_list(path, clear_one, &clearing, err);
}

enum fl_status fl_lock_take(const char *dir, struct fl_lock *ret_lock, struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    enum fl_status st = fl_path_join(dir, FL_LOCK_NAME, path, err);

    if (st)
        return st;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == ENOENT ? fl_file_error_read(err, path) : fl_file_error_write(err, path, 0);
    int taken = flock(fd, LOCK_EX | LOCK_NB);
    for (int tries = 0; taken && errno == EWOULDBLOCK && tries < LOOK_TRIES; tries++) {
        usleep(LOOK_US); /* fl_lock_look() may be at it */
        taken = flock(fd, LOCK_EX | LOCK_NB);
    }
    if (taken) {
        if (errno == EWOULDBLOCK)
            st = fl_error_set(err, FL_ERR_LOCKED, "%s: another process uses this folder", dir);
        else
            st = fl_error_set(err, FL_ERR_IO, "%s: %m", path);
        close(fd);
        return st;
    }
    ret_lock->fd = fd;
    return FL_OK;
}

enum fl_status fl_lock_look(const char *dir, int *ret_is_held, struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    enum fl_status st = fl_path_join(dir, FL_LOCK_NAME, path, err);

    if (st)
        return st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT)
        return fl_file_error_read(err, path);
    *ret_is_held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0)
        close(fd);
    return FL_OK;
}

void fl_lock_release(struct fl_lock *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = -1;
}
