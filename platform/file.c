#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/dir.h"
#include "platform/file_error.h"
#include "platform/spool.h"

enum fl_status fl_path_join(const char *dir, const char *name, char ret_path[FL_PATH_SIZE],
                            struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    int size = snprintf(path, sizeof(path), "%s/%s", dir, name);

    if (size < 0 || size >= (int)sizeof(path))
        return fl_error_set(err, FL_ERR_LIMIT, "%.80s.../%.80s: path is too long", dir, name);
    memcpy(ret_path, path, (size_t)size + 1);
    return FL_OK;
}

enum fl_status fl_path_parent(const char *path, char ret_dir[FL_PATH_SIZE], struct fl_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *from = slash ? path : ".";
    size_t size = slash && slash != path ? (size_t)(slash - path) : 1;

    if (size >= FL_PATH_SIZE)
        return fl_error_set(err, FL_ERR_LIMIT, "%.80s...: path is too long", path);
    memmove(ret_dir, from, size);
    ret_dir[size] = 0;
    return FL_OK;
}

/* Opens a regular file for reading; its size goes to *ret_size. */
static enum fl_status open_regular(const char *path, int *ret_fd, uint64_t *ret_size, struct fl_error *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block the open */

    if (fd < 0)
        return fl_file_error_read(err, path);
    if (fstat(fd, &info) != 0) {
        enum fl_status st = fl_error_set(err, FL_ERR_IO, "%s: %m", path);
        close(fd);
        return st;
    }
    if (!S_ISREG(info.st_mode)) {
        close(fd);
        return fl_error_set(err, FL_ERR_IO, "%s: not a regular file, which it must be", path);
    }
    *ret_fd = fd;
    *ret_size = (uint64_t)info.st_size;
    return FL_OK;
}

/* Reads to the end; a file that grows meanwhile is read as far as the cap allows. */
static enum fl_status read_all(int fd, const char *path, uint64_t expected, struct fl_buf *buf,
                               struct fl_error *err)
{
    size_t step = expected < buf->limit ? (size_t)expected + 1 : 1; /* one more, to see the end */

    for (;;) {
        uint8_t *at;
        uint8_t past_cap;
        size_t room = buf->limit - buf->size;
        size_t want = step < room ? step : room;
        if (want) {
            enum fl_status st = fl_buf_extend(buf, want, &at);
            if (st)
                return fl_error_set(err, st, "%s: %s", path, fl_status_text(st));
        } else {
            at = &past_cap;
        }
        ssize_t got = read(fd, at, want ? want : 1);
        fl_buf_truncate(buf, buf->size - want + (got > 0 && want ? (size_t)got : 0));
        if (got == 0)
            return FL_OK;
        if (got < 0 && errno != EINTR)
            return fl_error_set(err, FL_ERR_IO, "%s: %m", path);
        if (got > 0 && !want)
            return fl_error_set(err, FL_ERR_LIMIT, "%s: file is larger than %zu bytes", path, buf->limit);
        step = 65536;
    }
}

enum fl_status fl_file_read(const char *path, struct fl_buf *buf, struct fl_error *err)
{
    int fd;
    uint64_t size;
    size_t before = buf->size;
    enum fl_status st = open_regular(path, &fd, &size, err);

    if (st)
        return st;
    if (size > buf->limit - buf->size)
        st = fl_error_set(err, FL_ERR_LIMIT, "%s: file is larger than %zu bytes", path, buf->limit);
    else
        st = read_all(fd, path, size, buf, err);
    close(fd);
    if (st)
        fl_buf_truncate(buf, before);
    return st;
}

enum fl_status fl_file_read_at(const char *path, uint64_t offset, void *ret_data, size_t size,
                               struct fl_error *err)
{
    uint8_t *at = ret_data;
    uint64_t length;
    int fd;
    enum fl_status st = open_regular(path, &fd, &length, err);

    if (st)
        return st;
    if (offset > length || size > length - offset)
        st = fl_error_set(err, FL_ERR_CORRUPT, "%s: it has %llu bytes, too few", path,
                          (unsigned long long)length);
    while (!st && size) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            st = got ? fl_file_error_read(err, path)
                     : fl_error_set(err, FL_ERR_CORRUPT, "%s: it became shorter", path);
            break;
        }
        at += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    close(fd);
    return st;
}

/* Temporary file, fsync, rename; the folder is not synced yet. */
static enum fl_status write_whole(const char *path, const char *dir, struct fl_bytes data, mode_t mode,
                                  struct fl_error *err)
{
    struct fl_spool spool;
    enum fl_status st = fl_spool_begin(&spool, dir, mode, err);

    if (st)
        return st;
    st = fl_spool_append(&spool, data, err);
    if (!st)
        st = fl_spool_commit(&spool, path, err);
    fl_spool_abort(&spool);
    return st;
}

enum fl_status fl_file_write_atomic(const char *path, struct fl_bytes data, mode_t mode, struct fl_error *err)
{
    char dir[FL_PATH_SIZE];
    enum fl_status st = fl_path_parent(path, dir, err);

    if (!st)
        st = write_whole(path, dir, data, mode, err);
    return st ? st : fl_dir_sync(dir, err);
}

enum fl_status fl_file_write_durable(const char *path, struct fl_bytes data, mode_t mode,
                                     struct fl_error *err)
{
    char dir[FL_PATH_SIZE];
    enum fl_status st = fl_path_parent(path, dir, err);

    return st ? st : write_whole(path, dir, data, mode, err);
}

enum fl_status fl_file_remove(const char *path, struct fl_error *err)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return fl_file_error_write(err, path, 0);
    return FL_OK;
}

enum fl_status fl_file_size(const char *path, uint64_t *ret_size, struct fl_error *err)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return fl_file_error_read(err, path);
    if (!S_ISREG(info.st_mode))
        return fl_error_set(err, FL_ERR_IO, "%s: not a regular file, which it must be", path);
    *ret_size = (uint64_t)info.st_size;
    return FL_OK;
}

enum fl_status fl_file_map(const char *path, struct fl_file_map *ret_map, struct fl_error *err)
{
    int fd;
    uint64_t size;
    void *at = NULL;
    enum fl_status st = open_regular(path, &fd, &size, err);

    if (st)
        return st;
    if (size > SIZE_MAX) {
        st = fl_error_set(err, FL_ERR_LIMIT, "%s: file is too large to map", path);
    } else if (size) {
        at = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at == MAP_FAILED)
            st = fl_error_set(err, FL_ERR_IO, "%s: %m", path);
    }
    close(fd);
    if (!st)
        ret_map->bytes = (struct fl_bytes){at, (size_t)size};
    return st;
}

void fl_file_unmap(struct fl_file_map *map)
{
    if (map->bytes.size)
        munmap((void *)map->bytes.data, map->bytes.size);
    map->bytes = (struct fl_bytes){NULL, 0};
}
