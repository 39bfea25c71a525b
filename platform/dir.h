/*
 * Folders: make, list, sync, clean of leftovers, and the lock that gives a state folder to one process.
 */
#ifndef FL_PLATFORM_DIR_H
#define FL_PLATFORM_DIR_H

#include <stddef.h>
#include <sys/types.h>

#include "base/status.h"
#include "platform/error.h"

#define FL_DIR_PRIVATE 0700 /* mode of a state folder */

/* Makes path and its missing parents with mode and fsyncs the parent of each new one; success when it is
 * there already. FL_ERR_IO when something else has that name. */
FL_MUST_CHECK enum fl_status fl_dir_make(const char *path, mode_t mode, struct fl_error *err);

/* Makes the creations, renames and removals in the folder durable. */
FL_MUST_CHECK enum fl_status fl_dir_sync(const char *path, struct fl_error *err);

/* name: of one entry, without the folder, "." and ".." left out; valid during the call. Anything but FL_OK
 * ends the listing. The callback may remove the entry that it is given. */
typedef enum fl_status (*fl_dir_entry_fn)(void *user, const char *name);

/* Calls entry for each name in no set order; returns the callback's status when it is not FL_OK (the text is
 * then the callback's affair). FL_ERR_NOT_FOUND, FL_ERR_IO. */
FL_MUST_CHECK enum fl_status fl_dir_list(const char *path, fl_dir_entry_fn entry, void *user,
                                         struct fl_error *err);

/* Removes the temporary files (FL_FILE_TEMP) that a crash left in the folder itself; how many in *ret_removed
 * (may be NULL). Call at start, with the folder's lock held. */
FL_MUST_CHECK enum fl_status fl_dir_clean_temp(const char *path, size_t *ret_removed, struct fl_error *err);

/* Empties the folder: removes everything in it, in folders too, following no links. Only for what the caller
 * has just made itself. Durable after fl_dir_sync. FL_ERR_NOT_FOUND, FL_ERR_IO. */
FL_MUST_CHECK enum fl_status fl_dir_clear(const char *path, struct fl_error *err);

/* A held lock. */
struct fl_lock {
    int fd; /* -1: not held */
};

#define FL_LOCK_NAME "lock"

/* Takes the folder for this process (flock on DIR/lock, rule R1), waiting for a twentieth of a second at
 * most; FL_ERR_LOCKED when another process has it. The kernel frees it when the process ends, however it
 * ends. */
FL_MUST_CHECK enum fl_status fl_lock_take(const char *dir, struct fl_lock *ret_lock, struct fl_error *err);

/* Whether a process holds the lock of the folder. Makes nothing; for a moment it shares the lock, which a
 * taker waits out. FL_ERR_IO: it may not be looked at. */
FL_MUST_CHECK enum fl_status fl_lock_look(const char *dir, int *ret_is_held, struct fl_error *err);

/* Frees the lock; one with fd -1 is accepted. The file stays. */
void fl_lock_release(struct fl_lock *lock);

#endif
