/*
 * Two files beside the database that a restored backup of it must not bring back (rules R13, R23):
 * `revocations.log`, one line for each client ever shut out, and `state.mark`, how far the database had come.
 * Not for deciding what follows when they are ahead of it: see server/core/restore.h. One thread at a time.
 *
 * revocations.log: "residue revocations 1", then lines "revoked CLIENT KEY TIME CHECK": the client's id,
 * SHA-256 of its public key, UTC, and the first 16 hexadecimal digits of the SHA-256 of the line before "
 * CHECK". It is only ever appended to, each line fsynced before the revocation is told. state.mark: "residue
 * mark 1", "stamp N", "revocations N", "sha256 HEX" of the lines before it.
 */
#ifndef FL_SERVER_PORT_GUARD_H
#define FL_SERVER_PORT_GUARD_H

#include "platform/error.h"
#include "server/core/store.h"

struct fl_guard;

/*
 * dir: an existing folder for both files, which are made when missing. FL_ERR_CORRUPT when a line of either
 * is damaged, or lines are missing that were there: err names file, line and what to do. Nobody is let in by
 * guessing.
 */
FL_MUST_CHECK enum fl_status fl_guard_open(const char *dir, struct fl_error *err,
                                           struct fl_guard **ret_guard);
/* The same to look only: makes nothing, and what is missing is empty. */
FL_MUST_CHECK enum fl_status fl_guard_read(const char *dir, struct fl_error *err,
                                           struct fl_guard **ret_guard);
/* Lines of revocations.log. */
size_t fl_guard_count(const struct fl_guard *guard);
void fl_guard_close(struct fl_guard *guard); /* NULL is accepted */

/* Visits the lines of revocations.log, oldest first. */
FL_MUST_CHECK enum fl_status fl_guard_revocations(const struct fl_guard *guard, fl_revocation_visit_fn visit,
                                                  void *user);

/* Appends a line; durable when it returns FL_OK. A failed write leaves the file as it was. */
FL_MUST_CHECK enum fl_status fl_guard_revoke(struct fl_guard *guard, const struct fl_revocation_row *row,
                                             struct fl_error *err);

/* The stamp in state.mark, 0: none. Writing it is durable and atomic. */
uint64_t fl_guard_marked(const struct fl_guard *guard);
FL_MUST_CHECK enum fl_status fl_guard_mark(struct fl_guard *guard, uint64_t stamp, struct fl_error *err);

#endif
