/*
 * Whole files: read with a cap, write so that a crash leaves the old file or the new one, map, remove.
 * Folders are in dir.h; files that arrive in pieces are in spool.h. Errors name the path and the system's
 * reason.
 */
#ifndef FL_PLATFORM_FILE_H
#define FL_PLATFORM_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/status.h"
#include "platform/error.h"

#define FL_PATH_SIZE   4096      /* bytes of a path with its zero */
#define FL_FILE_TEMP   ".fl-tmp" /* ends the name of every temporary file */
#define FL_FILE_SECRET 0600      /* mode of keys, tokens and whatever holds a client's data */

/* dir + "/" + name; FL_ERR_LIMIT when it does not fit. */
FL_MUST_CHECK enum fl_status fl_path_join(const char *dir, const char *name, char ret_path[FL_PATH_SIZE],
                                          struct fl_error *err);

/* The folder that holds path: "a/b" -> "a", "b" -> ".", "/b" -> "/". FL_ERR_LIMIT when it does not fit. */
FL_MUST_CHECK enum fl_status fl_path_parent(const char *path, char ret_dir[FL_PATH_SIZE],
                                            struct fl_error *err);

/*
 * Appends the whole file to buf. FL_ERR_NOT_FOUND, FL_ERR_LIMIT past buf's cap, FL_ERR_NOMEM, FL_ERR_IO (also
 * for a folder). On failure buf holds what it held before.
 */
FL_MUST_CHECK enum fl_status fl_file_read(const char *path, struct fl_buf *buf, struct fl_error *err);

/* Reads exactly size bytes from offset. FL_ERR_NOT_FOUND, FL_ERR_CORRUPT when the file is too short for that,
 * FL_ERR_IO. */
FL_MUST_CHECK enum fl_status fl_file_read_at(const char *path, uint64_t offset, void *ret_data, size_t size,
                                             struct fl_error *err);

/*
 * Replaces path by data, atomically and durably: temporary file in the same folder, fsync, rename, fsync of
 * the folder. On failure path is what it was (or, if only the last fsync failed, already the new one).
 */
FL_MUST_CHECK enum fl_status fl_file_write_atomic(const char *path, struct fl_bytes data, mode_t mode,
                                                  struct fl_error *err);

/*
 * The same for one of several immutable files (rule R7): the caller calls fl_dir_sync once for all of them
 * before anything may refer to them. Writing one again, with the same bytes, is safe when something does.
 */
FL_MUST_CHECK enum fl_status fl_file_write_durable(const char *path, struct fl_bytes data, mode_t mode,
                                                   struct fl_error *err);

/* Removes the file; success when there is none. Not durable before fl_dir_sync. */
FL_MUST_CHECK enum fl_status fl_file_remove(const char *path, struct fl_error *err);

/* Size of a regular file in bytes; FL_ERR_NOT_FOUND (with text), FL_ERR_IO when it is something else. */
FL_MUST_CHECK enum fl_status fl_file_size(const char *path, uint64_t *ret_size, struct fl_error *err);

/* A file mapped read-only. The file must not shrink while it is mapped: map only immutable files. */
struct fl_file_map {
    struct fl_bytes bytes; /* empty file: NULL and 0 */
};

/* Maps path until fl_file_unmap; any thread may read it. FL_ERR_NOT_FOUND, FL_ERR_IO. */
FL_MUST_CHECK enum fl_status fl_file_map(const char *path, struct fl_file_map *ret_map, struct fl_error *err);

/* Ends the mapping; a zeroed or already unmapped map is accepted. */
void fl_file_unmap(struct fl_file_map *map);

#endif
