/*
 * Immutable bytes with a reference count, for bodies that many connections send at once. The count is atomic;
 * the bytes may be read from any thread.
 */
#ifndef FL_BASE_SHARED_H
#define FL_BASE_SHARED_H

#include "base/bytes.h"

struct fl_shared;

/* Takes over the content of buf (left empty) with one reference. FL_ERR_NOMEM leaves buf as it was. */
FL_MUST_CHECK enum fl_status fl_shared_new(struct fl_buf *buf, struct fl_shared **ret_shared);

/* One more reference; returns shared. NULL is accepted. */
struct fl_shared *fl_shared_ref(struct fl_shared *shared);

/* One reference less; the last one frees. NULL is accepted. */
void fl_shared_unref(struct fl_shared *shared);

/* The bytes, valid while the caller holds a reference. Empty for NULL. */
struct fl_bytes fl_shared_view(const struct fl_shared *shared);

#endif
