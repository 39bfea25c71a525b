/*
 * A file that arrives in pieces: written under a temporary name, then made durable and given its own name in
 * one step, or dropped. One spool belongs to one thread at a time.
 */
#ifndef FL_PLATFORM_SPOOL_H
#define FL_PLATFORM_SPOOL_H

#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/status.h"
#include "platform/error.h"
#include "platform/file.h"

struct fl_spool {
    char path[FL_PATH_SIZE]; /* of the temporary file; may be read or mapped after each append */
    uint64_t size;           /* bytes so far */
    int fd;                  /* -1: not open */
    int unsynced;            /* set to 1 after begin: commit does not fsync */
};

/* Opens a new temporary file in dir. On failure spool is closed. */
FL_MUST_CHECK enum fl_status fl_spool_begin(struct fl_spool *spool, const char *dir, mode_t mode,
                                            struct fl_error *err);

/* Writes data at the end. After a failure only fl_spool_abort makes sense. */
FL_MUST_CHECK enum fl_status fl_spool_append(struct fl_spool *spool, struct fl_bytes data,
                                             struct fl_error *err);

/* Writes data at any offset, instead of appending; what is never written is zero. */
FL_MUST_CHECK enum fl_status fl_spool_put(struct fl_spool *spool, uint64_t offset, struct fl_bytes data,
                                          struct fl_error *err);

/* fsync, rename to path (same folder, replaces what is there); the caller then calls fl_dir_sync. The spool
 * is closed afterwards, and the temporary file removed if it failed. */
FL_MUST_CHECK enum fl_status fl_spool_commit(struct fl_spool *spool, const char *path, struct fl_error *err);

/* Closes and removes the temporary file; a closed spool is accepted. */
void fl_spool_abort(struct fl_spool *spool);

#endif
