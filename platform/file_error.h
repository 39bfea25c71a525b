/*
 * The sentence for a file that cannot be read or written: the path, the system's reason, and what a person
 * can do about it. errno says which; call right after the system call that failed.
 */
#ifndef FL_PLATFORM_FILE_ERROR_H
#define FL_PLATFORM_FILE_ERROR_H

#include <errno.h>
#include <stdint.h>

#include "platform/error.h"

/* Only the sentences, of a path that could not be written or read; errno is kept. */
void fl_file_error_describe_write(struct fl_error *err, const char *path, uint64_t bytes);
void fl_file_error_describe_read(struct fl_error *err, const char *path);

/* path could not be written or made. bytes: what the file was to hold, 0: not known; a full disk is told how
 * much room it has. FL_ERR_IO. (Inline, so that the compiler sees that it is an error.) */
static inline enum fl_status fl_file_error_write(struct fl_error *err, const char *path, uint64_t bytes)
{
    fl_file_error_describe_write(err, path, bytes);
    return FL_ERR_IO;
}

/* path could not be opened, read or asked about. FL_ERR_NOT_FOUND when there is none, else FL_ERR_IO. */
static inline enum fl_status fl_file_error_read(struct fl_error *err, const char *path)
{
    fl_file_error_describe_read(err, path);
    return errno == ENOENT ? FL_ERR_NOT_FOUND : FL_ERR_IO;
}

#endif
