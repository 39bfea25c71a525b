/*
 * SQLite behind one small interface: a database and its queries, whose parameters are put and whose columns
 * are taken in order. Not for what is stored: see store_sqlite.c.
 *
 * A query holds the database's lock from begin to end, so any thread may run one; others wait.
 */
#ifndef FL_SERVER_PORT_DATABASE_H
#define FL_SERVER_PORT_DATABASE_H

#include "base/bytes.h"
#include "platform/error.h"

struct fl_database;
struct fl_query;

/* path: a file, made when missing, or ":memory:". WAL, synchronous=FULL. FL_ERR_IO, FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_database_open(const char *path, struct fl_error *err,
                                              struct fl_database **ret_database);

/* Whose a database is that is only looked at: a running process has it; the last one has closed it; the last
 * one has left it with a write-ahead log. */
enum fl_database_use { FL_DATABASE_LIVE, FL_DATABASE_CLOSED, FL_DATABASE_LEFT };

/* Opens a database to read it without changing a byte, nor a file beside it. Failures as above,
 * FL_ERR_CORRUPT. */
FL_MUST_CHECK enum fl_status fl_database_look(const char *path, enum fl_database_use use,
                                              struct fl_error *err, struct fl_database **ret_database);

/* Of SQLite; static. */
const char *fl_database_version(void);

void fl_database_close(struct fl_database *database); /* NULL is accepted */

/* Runs statements that take and give nothing. */
FL_MUST_CHECK enum fl_status fl_database_execute(struct fl_database *database, const char *sql);

/* Whether the newest failure was that of a full disk: then nothing of a commit is whole. */
int fl_database_is_full(const struct fl_database *database);

/* The sentence for the newest failure: the file, SQLite's words, what to do. */
void fl_database_describe(struct fl_database *database, struct fl_error *err);

/* sql: a string that lives as long as the database: its address names the prepared statement. A failure to
 * prepare is told by the step. Always ended. NULL when there is no memory. */
struct fl_query *fl_query_begin(struct fl_database *database, const char *sql);
void fl_query_end(struct fl_query *query); /* NULL is accepted */

void fl_query_put_u64(struct fl_query *query, uint64_t value);
void fl_query_put_i64(struct fl_query *query, int64_t value);
void fl_query_put_f64(struct fl_query *query, double value);
void fl_query_put_text(struct fl_query *query, const char *text); /* borrowed until end; NULL: null */
void fl_query_put_blob(struct fl_query *query, const void *data, size_t size); /* borrowed until end */
void fl_query_put_null(struct fl_query *query);

/* The next row: *ret_row 1; no more: 0. NULL query: FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_query_step(struct fl_query *query, int *ret_row);

/* Runs a query that gives no rows, and ends it. */
FL_MUST_CHECK enum fl_status fl_query_run(struct fl_query *query);

/* The columns of the row, in order. Text of NULL is "", numbers of NULL are 0; views last until the next
 * step. */
uint64_t fl_query_take_u64(struct fl_query *query);
int64_t fl_query_take_i64(struct fl_query *query);
double fl_query_take_f64(struct fl_query *query);
const char *fl_query_take_text(struct fl_query *query);
struct fl_bytes fl_query_take_blob(struct fl_query *query);
int fl_query_is_null(struct fl_query *query); /* of the next column, which stays the next */

/* Copies with a check: FL_ERR_CORRUPT when the column is not of exactly this size, or longer than the text
 * may be. */
FL_MUST_CHECK enum fl_status fl_query_copy_blob(struct fl_query *query, void *ret_data, size_t size);
FL_MUST_CHECK enum fl_status fl_query_copy_text(struct fl_query *query, char *ret_text, size_t size);

#endif
