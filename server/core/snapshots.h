/*
 * Which versions of a run can be fetched as a snapshot (rule R16). A snapshot is pinned when its download
 * begins, and its state blob then stays although newer versions come, so that a slow download ends with the
 * bytes that it began with. A pin lasts for a while after the newest download of it began, and there are only
 * so many: when all are taken, who comes next is given the newest pinned version, and a delta from there. The
 * last version of a run that has ended needs no pin.
 * Not for deltas: see published.h. All calls within a turn.
 */
#ifndef FL_SERVER_CORE_SNAPSHOTS_H
#define FL_SERVER_CORE_SNAPSHOTS_H

#include "server/core/run.h"
#include "server/core/server.h"

/* The snapshot of exactly this version, pinned or the newest; 0: there is none. */
int fl_snapshots_find(const struct fl_run *run, const struct fl_version *version,
                      struct fl_snapshot *ret_snapshot);

/* The one for a download that begins now, pinned. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_snapshots_offer(struct fl_server *server, struct fl_run *run,
                                                struct fl_snapshot *ret_snapshot);

/* Its version in the run's present epoch, and its body, one reference. */
struct fl_version fl_snapshots_version(const struct fl_run *run, const struct fl_snapshot *snapshot);
FL_MUST_CHECK enum fl_status fl_snapshots_body(const struct fl_server *server, const struct fl_run *run,
                                               const struct fl_snapshot *snapshot,
                                               struct fl_shared **ret_body);

/* Whether this version's state blob must stay when a newer one comes. */
int fl_snapshots_keep(const struct fl_run *run, uint64_t number);

/* Lets go of those whose time is over; *ret_next: when the next one's will be, at the latest. */
FL_MUST_CHECK enum fl_status fl_snapshots_expire(struct fl_server *server, struct fl_run *run,
                                                 uint64_t *ret_next);

#endif
