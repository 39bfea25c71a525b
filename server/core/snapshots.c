#include "server/core/snapshots.h"

#include <string.h>

#include "base/log.h"
#include "server/core/state.h"

struct fl_version fl_snapshots_version(const struct fl_run *run, const struct fl_snapshot *snapshot)
{
    return (struct fl_version){run->row.epoch, snapshot->number, run->digests[snapshot->number]};
}

static struct fl_snapshot newest_of(const struct fl_run *run)
{
    struct fl_snapshot newest = {.number = run->row.version};

    memcpy(newest.blob, run->model->blob, sizeof newest.blob);
    return newest;
}

int fl_snapshots_find(const struct fl_run *run, const struct fl_version *version,
                      struct fl_snapshot *ret_snapshot)
{
    *ret_snapshot = newest_of(run);
    if (fl_version_equal(&run->model->version, version))
        return 1;
    for (size_t i = 0; i < run->snapshot_count; i++) {
        struct fl_version own = fl_snapshots_version(run, &run->snapshots[i]);
        *ret_snapshot = run->snapshots[i];
        if (fl_version_equal(&own, version))
            return 1;
    }
    return 0;
}

/* With keep_updates version 0 stays on the disk anyway, and takes nobody's place. */
static int stays_anyway(const struct fl_run *run, uint64_t number)
{
    return run->spec.keep_updates && number == 0;
}

static size_t count_places(const struct fl_run *run)
{
    return run->snapshot_count - (run->snapshot_count > 0 && stays_anyway(run, run->snapshots[0].number));
}

int fl_snapshots_keep(const struct fl_run *run, uint64_t number)
{
    for (size_t i = 0; i < run->snapshot_count; i++)
        if (run->snapshots[i].number == number)
            return 1;
    return stays_anyway(run, number);
}

enum fl_status fl_snapshots_offer(struct fl_server *server, struct fl_run *run,
                                  struct fl_snapshot *ret_snapshot)
{
    struct fl_snapshot *last;
    uint64_t next;
    enum fl_status st = fl_snapshots_expire(server, run, &next);

    if (st)
        return st;
    if (run->row.phase == FL_PHASE_ENDED) {
        *ret_snapshot = newest_of(run);
        return FL_OK;
    }
    last = run->snapshot_count ? &run->snapshots[run->snapshot_count - 1] : NULL;
    if ((!last || last->number != run->row.version) && count_places(run) < server->snapshots.kept) {
        st = fl_run_add_snapshot(run, run->row.version, run->model->blob, 0);
        if (st)
            return st;
        last = &run->snapshots[run->snapshot_count - 1];
    }
    last->began_ms = fl_server_now(server);
    *ret_snapshot = *last;
    return FL_OK;
}

enum fl_status fl_snapshots_body(const struct fl_server *server, const struct fl_run *run,
                                 const struct fl_snapshot *snapshot, struct fl_shared **ret_body)
{
    struct fl_version version = fl_snapshots_version(run, snapshot);

    return fl_published_snapshot(server->store, snapshot->blob, &version, run->elems, ret_body);
}

/* How many more than there are places for; the newest version needs none while it is that. A start and a
 * failed turn take every version on the disk for one that is being downloaded, the newest too, though it may
 * not be. */
static size_t count_excess(const struct fl_server *server, struct fl_run *run)
{
    size_t places = count_places(run), kept = server->snapshots.kept;

    if (places > kept && run->snapshots[run->snapshot_count - 1].number == run->row.version) {
        run->snapshot_count--;
        places--;
    }
    return places > kept ? places - kept : 0;
}

enum fl_status fl_snapshots_expire(struct fl_server *server, struct fl_run *run, uint64_t *ret_next)
{
    uint64_t now = fl_server_now(server);
    size_t kept = 0, excess = count_excess(server, run);
    enum fl_status st = FL_OK;

    *ret_next = UINT64_MAX;
    for (size_t i = 0; i < run->snapshot_count; i++) {
        struct fl_snapshot snapshot = run->snapshots[i];
        uint64_t ends = snapshot.began_ms + server->snapshots.keep_ms;
        int is_over = excess > 0 && !stays_anyway(run, snapshot.number);
        if (!st && (now >= ends || is_over)) {
            excess -= is_over;
            if (snapshot.number != run->row.version && !stays_anyway(run, snapshot.number))
                st = server->store->version_drop_blob(server->store, fl_run_key(run), snapshot.number);
            fl_log(FL_LOG_DEBUG, "server.model", "run=%s version=%llu; its snapshot is not kept any longer",
                   run->row.name, (unsigned long long)snapshot.number);
            continue;
        }
        if (ends < *ret_next)
            *ret_next = ends;
        run->snapshots[kept++] = snapshot;
    }
    run->snapshot_count = kept;
    return st;
}
