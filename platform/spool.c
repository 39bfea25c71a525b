#include "platform/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file_error.h"

enum fl_status fl_spool_begin(struct fl_spool *spool, const char *dir, mode_t mode, struct fl_error *err)
{
    enum fl_status st;

    spool->size = 0;
    spool->fd = -1;
    spool->unsynced = 0;
    st = fl_path_join(dir, "XXXXXX" FL_FILE_TEMP, spool->path, err);
    if (st)
        return st;
    spool->fd = mkostemps(spool->path, sizeof(FL_FILE_TEMP) - 1, O_CLOEXEC);
    if (spool->fd < 0)
        return fl_file_error_write(err, dir, 0);
    if (fchmod(spool->fd, mode) != 0) {
        st = fl_file_error_write(err, spool->path, 0);
        fl_spool_abort(spool);
    }
    return st;
}

enum fl_status fl_spool_put(struct fl_spool *spool, uint64_t offset, struct fl_bytes data,
                            struct fl_error *err)
{
    while (data.size) {
        ssize_t put = pwrite(spool->fd, data.data, data.size, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fl_file_error_write(err, spool->path, spool->size + data.size);
        data.data += put;
        data.size -= (size_t)put;
        offset += (uint64_t)put;
        if (offset > spool->size)
            spool->size = offset;
    }
    return FL_OK;
}

enum fl_status fl_spool_append(struct fl_spool *spool, struct fl_bytes data, struct fl_error *err)
{
    return fl_spool_put(spool, spool->size, data, err);
}

enum fl_status fl_spool_commit(struct fl_spool *spool, const char *path, struct fl_error *err)
{
    if ((!spool->unsynced && fsync(spool->fd) != 0) || rename(spool->path, path) != 0) {
        enum fl_status st = fl_file_error_write(err, path, spool->size);
        fl_spool_abort(spool);
        return st;
    }
    close(spool->fd); /* after fsync it has nothing left to report */
    spool->fd = -1;
    return FL_OK;
}

void fl_spool_abort(struct fl_spool *spool)
{
    if (spool->fd < 0)
        return;
    close(spool->fd);
    unlink(spool->path);
    spool->fd = -1;
}
