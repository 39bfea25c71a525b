#include "platform/file_error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "platform/file.h"

#define ADVICE_BYTES 160

/* The room where path is or would be; 0 when the system does not say. */
static int ask_room(const char *path, struct statvfs *ret_room)
{
    char dir[FL_PATH_SIZE];

    return statvfs(path, ret_room) == 0 ||
           (fl_path_parent(path, dir, NULL) == FL_OK && statvfs(dir, ret_room) == 0);
}

static void advise_full(const char *path, uint64_t bytes, char ret_advice[ADVICE_BYTES])
{
    struct statvfs room;
    char needed[48] = "";

    if (bytes)
        snprintf(needed, sizeof needed, "%" PRIu64 " bytes are needed, ", bytes);
    if (ask_room(path, &room))
        snprintf(ret_advice, ADVICE_BYTES,
                 "; %s%" PRIu64 " bytes and %" PRIu64 " more files fit there: make room", needed,
                 (uint64_t)room.f_bavail * room.f_frsize, (uint64_t)room.f_favail);
    else
        snprintf(ret_advice, ADVICE_BYTES, "; %smake room there", needed);
}

void fl_file_error_describe_write(struct fl_error *err, const char *path, uint64_t bytes)
{
    int cause = errno;
    char advice[ADVICE_BYTES] = "";

    if (cause == ENOSPC || cause == EDQUOT)
        advise_full(path, bytes, advice);
    else if (cause == EROFS)
        snprintf(advice, sizeof advice, "; it must be on a file system that is writable");
    else if (cause == EISDIR)
        snprintf(advice, sizeof advice, "; the folder in its place must be removed");
    else if (cause == EACCES || cause == EPERM)
        snprintf(advice, sizeof advice, "; it must be writable for user %u", (unsigned)geteuid());
    errno = cause;
    fl_error_write(err, "%s: %m%s", path, advice);
}

void fl_file_error_describe_read(struct fl_error *err, const char *path)
{
    char advice[ADVICE_BYTES] = "";

    if (errno == EACCES || errno == EPERM)
        snprintf(advice, sizeof advice, "; it must be readable for user %u", (unsigned)geteuid());
    fl_error_write(err, "%s: %m%s", path, advice);
}
