/*
 * A server whose state came from a backup (rule R13): new epochs, and the receipts by which clients prove
 * what was lost. Who notices: the server at start, by the stamp marked outside its rows; the operator, by
 * `fl-server restore`; a client, by a receipt of an update that the rows do not hold. All calls within a
 * turn; a status other than FL_OK makes the turn fail. The reasons are in
 * docs/decisions/0005-restored-backups.md.
 */
#ifndef FL_SERVER_CORE_RESTORE_H
#define FL_SERVER_CORE_RESTORE_H

#include "server/core/state.h"

/* Begins a new epoch, newer than `above`, of every run and voids every token (rule R23). Once the turn is
 * committed the server loads itself anew. why: for the log. */
FL_MUST_CHECK enum fl_status fl_restore_begin(struct fl_server *server, uint64_t above, const char *why);

/* The same, in a turn of its own, when the mark outside the rows is ahead of them. Only at start. */
FL_MUST_CHECK enum fl_status fl_restore_check(struct fl_server *server);

/* Answers a client that shows its newest receipt. */
FL_MUST_CHECK enum fl_status fl_restore_show(struct fl_server *server, struct fl_run *run,
                                             struct fl_client *client, const struct fl_request *request);

#endif
