/*
 * The server core's store in SQLite, with blobs as files beside it. The tables are in store_schema.h and
 * explained in server/port/README.md.
 */
#ifndef FL_SERVER_PORT_STORE_SQLITE_H
#define FL_SERVER_PORT_STORE_SQLITE_H

#include "platform/error.h"
#include "server/core/store.h"

/*
 * Opens or makes the database at path (WAL, synchronous=FULL) and the blob folder blob_dir. path may be
 * ":memory:", and blob_dir NULL for blobs in memory: for simulations. One process at a time: the caller holds
 * the lock of the state folder. FL_ERR_VERSION when a newer program made the database.
 */
FL_MUST_CHECK enum fl_status fl_store_open(const char *path, const char *blob_dir, struct fl_error *err,
                                           struct fl_store **ret_store);

/* From now on commits survive a crash of the process, but not of the machine: for measurements of what
 * durability costs. */
FL_MUST_CHECK enum fl_status fl_store_forgo_durability(struct fl_store *store, struct fl_error *err);

/* No call may be running in another thread. NULL is accepted. */
void fl_store_close(struct fl_store *store);

/* Gives the store the files of guard.h in this folder; without them it has no mark and no list of
 * revocations. Errors as fl_guard_open. */
FL_MUST_CHECK enum fl_status fl_store_guard(struct fl_store *store, const char *dir, struct fl_error *err);

#endif
