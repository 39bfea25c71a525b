/*
 * Blobs: immutable bytes by name, as files of one folder, or in memory for simulations. Any thread.
 */
#ifndef FL_SERVER_PORT_BLOBS_H
#define FL_SERVER_PORT_BLOBS_H

#include "base/bytes.h"
#include "platform/error.h"

struct fl_blobs;

/* dir: made when missing; NULL: in memory. */
FL_MUST_CHECK enum fl_status fl_blobs_open(const char *dir, struct fl_error *err,
                                           struct fl_blobs **ret_blobs);
void fl_blobs_close(struct fl_blobs *blobs); /* NULL is accepted */

/* From now on nothing is synced to disk: for measurements. */
void fl_blobs_forgo_sync(struct fl_blobs *blobs);

/* Durable on return: written, fsynced, renamed, folder fsynced. Replaces. */
FL_MUST_CHECK enum fl_status fl_blobs_write(struct fl_blobs *blobs, const char *name,
                                            const struct fl_bytes *parts, size_t count);
/* Appends. FL_ERR_NOT_FOUND. */
FL_MUST_CHECK enum fl_status fl_blobs_read(struct fl_blobs *blobs, const char *name, struct fl_buf *blob);
void fl_blobs_remove(struct fl_blobs *blobs, const char *name);

/* Removes every blob, named *.state or *.update, that is_wanted says no to, and leftovers of writes. */
typedef enum fl_status (*fl_blob_wanted_fn)(void *user, const char *name, int *ret_wanted);
FL_MUST_CHECK enum fl_status fl_blobs_sweep(struct fl_blobs *blobs, fl_blob_wanted_fn is_wanted, void *user);

#endif
