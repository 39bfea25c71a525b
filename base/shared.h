/*
 * Immutable bytes with a reference count, for bodies that many connections send at once: held in memory, or
 * read in pieces from where they lie, such as a file. The count is atomic; any thread may read.
 */
#ifndef FL_BASE_SHARED_H
#define FL_BASE_SHARED_H

#include "base/bytes.h"

struct fl_shared;

/* Takes over the content of buf (left empty) with one reference. FL_ERR_NOMEM leaves buf as it was. */
FL_MUST_CHECK enum fl_status fl_shared_new(struct fl_buf *buf, struct fl_shared **ret_shared);

/* Where the bytes behind a head lie. read: copies size bytes from offset, both within data_size; it may fail,
 * at any time, when they are gone. done: with the last reference, NULL: nothing to do. */
struct fl_shared_source {
    void *user;
    uint64_t data_size;
    enum fl_status (*read)(void *user, uint64_t offset, uint8_t *ret_data, size_t size);
    void (*done)(void *user);
};

/* The content of head (left empty), then what source gives, which is now the object's. FL_ERR_NOMEM leaves
 * both as they were. */
FL_MUST_CHECK enum fl_status fl_shared_new_source(struct fl_buf *head, const struct fl_shared_source *source,
                                                  struct fl_shared **ret_shared);

/* One more reference; returns shared. NULL is accepted. */
struct fl_shared *fl_shared_ref(struct fl_shared *shared);

/* One reference less; the last one frees. NULL is accepted. */
void fl_shared_unref(struct fl_shared *shared);

/* How many bytes there are in all; 0 for NULL. */
size_t fl_shared_size(const struct fl_shared *shared);

/* Copies size bytes from offset, both within the size. Fails only where a source does. */
FL_MUST_CHECK enum fl_status fl_shared_read(const struct fl_shared *shared, size_t offset, uint8_t *ret_data,
                                            size_t size);

/* The bytes that are held in memory, valid while the caller holds a reference: all of them, or with a source
 * the head alone. Empty for NULL. */
struct fl_bytes fl_shared_view(const struct fl_shared *shared);

#endif
