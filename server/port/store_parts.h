/*
 * What the files of the SQLite store share: its state, and the calls that read rows (store_read.c) and write
 * them (store_write.c). Not for others: see store_sqlite.h.
 */
#ifndef FL_SERVER_PORT_STORE_PARTS_H
#define FL_SERVER_PORT_STORE_PARTS_H

#include "server/core/server.h"
#include "server/port/blobs.h"
#include "server/port/database.h"
#include "server/port/guard.h"

/* Names of blobs that a transaction has written, or will remove when it commits. */
struct fl_blob_names {
    char (*items)[FL_BLOB_NAME_BYTES];
    size_t count;
};

FL_MUST_CHECK enum fl_status fl_blob_names_add(struct fl_blob_names *names, const char *name);

struct fl_sqlite_store {
    struct fl_store calls; /* first: the core's handle points here */
    struct fl_database *database;
    struct fl_blobs *blobs;
    struct fl_blob_names written, dropped;
    struct fl_guard *guard; /* NULL: none */
    uint64_t stamp;         /* written in this transaction; 0: none */
    int in_doubt;           /* 1: whether the last commit has happened a crash would show */
    int is_new;             /* 1: the database was made when it was opened */
};

static inline struct fl_sqlite_store *fl_sqlite_store_of(struct fl_store *calls)
{
    return (struct fl_sqlite_store *)calls;
}

/* Logs a failure with SQLite's words; returns st. */
enum fl_status fl_sqlite_store_log(struct fl_sqlite_store *store, const char *what, enum fl_status st);

/* Begins a query whose first two parameters are a run's name and epoch. */
struct fl_query *fl_sqlite_store_query(struct fl_sqlite_store *store, const char *sql, struct fl_run_key run);

/* Words for enums, as stored. */
extern const char *const fl_store_phases[4];
extern const char *const fl_store_kinds[2];
extern const char *const fl_store_verdicts[4];

/* Fill in the calls for reading and for writing rows. */
void fl_store_read_calls(struct fl_store *calls);
void fl_store_write_calls(struct fl_store *calls);
void fl_store_restore_calls(struct fl_store *calls);

/* Marks the stamp that the committed transaction has written. */
void fl_sqlite_store_mark(struct fl_sqlite_store *store);

#endif
