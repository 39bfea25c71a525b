/*
 * Blobs: immutable bytes by name, as files of one folder, or in memory for simulations. Any thread.
 */
#ifndef FL_SERVER_PORT_BLOBS_H
#define FL_SERVER_PORT_BLOBS_H

#include "base/bytes.h"
#include "platform/error.h"

struct fl_blobs;
struct fl_blob_writer; /* one thread at a time */

/* dir: made when missing; NULL: in memory. */
FL_MUST_CHECK enum fl_status fl_blobs_open(const char *dir, struct fl_error *err,
                                           struct fl_blobs **ret_blobs);
void fl_blobs_close(struct fl_blobs *blobs); /* NULL is accepted */

/* From now on nothing is synced to disk: for measurements. */
void fl_blobs_forgo_sync(struct fl_blobs *blobs);

/* A blob of so many bytes that comes in pieces, and ends with fl_blobs_end. */
FL_MUST_CHECK enum fl_status fl_blobs_begin(struct fl_blobs *blobs, const char *name, uint64_t size,
                                            struct fl_blob_writer **ret_writer);
FL_MUST_CHECK enum fl_status fl_blobs_put(struct fl_blob_writer *writer, uint64_t offset,
                                          struct fl_bytes data);
/* keep: durable on return, that is written, fsynced, renamed, folder fsynced; it replaces. Else dropped.
 * Frees the writer, whatever it returns. */
FL_MUST_CHECK enum fl_status fl_blobs_end(struct fl_blob_writer *writer, int keep);

/* All three in one. */
FL_MUST_CHECK enum fl_status fl_blobs_write(struct fl_blobs *blobs, const char *name, struct fl_bytes data);

/* Appends. FL_ERR_NOT_FOUND. */
FL_MUST_CHECK enum fl_status fl_blobs_read(struct fl_blobs *blobs, const char *name, struct fl_buf *blob);
/* Exactly size bytes from offset. FL_ERR_NOT_FOUND; FL_ERR_CORRUPT: it is shorter than that. */
FL_MUST_CHECK enum fl_status fl_blobs_read_at(struct fl_blobs *blobs, const char *name, uint64_t offset,
                                              void *ret_data, size_t size);
void fl_blobs_remove(struct fl_blobs *blobs, const char *name);

/* Removes every blob, named *.state or *.update, that is_wanted says no to, and leftovers of writes. */
typedef enum fl_status (*fl_blob_wanted_fn)(void *user, const char *name, int *ret_wanted);
FL_MUST_CHECK enum fl_status fl_blobs_sweep(struct fl_blobs *blobs, fl_blob_wanted_fn is_wanted, void *user);

#endif
