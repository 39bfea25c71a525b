#include "sync_trace.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/file.h"

static char trace[2048];

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

static void add(const char *what, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t used = strlen(trace), length = strlen(name), end = strlen(FL_FILE_TEMP);
    int temporary = length >= end && strcmp(name + length - end, FL_FILE_TEMP) == 0;

    snprintf(trace + used, sizeof trace - used, "%s %s; ", what, temporary ? "temp" : name);
}

int __wrap_fsync(int fd)
{
    char link[64], path[1024];

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = '\0';
    add("sync", path);
    return __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
    int failed = __real_rename(from, to);

    if (!failed)
        add("name", to);
    return failed;
}

void sync_trace_clear(void)
{
    trace[0] = '\0';
}

const char *sync_trace(void)
{
    return trace;
}
