#include "server/core/round.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/core/cohort.h"
#include "server/core/snapshots.h"

#define PUBLISH_RETRY_MS 1000

static enum fl_status write_run(struct fl_server *server, struct fl_run *run)
{
    return server->store->run_update(server->store, &run->row);
}

/* --- closing --- */

/* What the operator sees of a round, from the updates in its sum. */
static struct fl_round_status round_status(const struct fl_server *server, const struct fl_run *run,
                                           const struct fl_entry_list *list)
{
    struct fl_round_status status = {.round = run->row.round,
                                     .kind = run->row.round == 0 ? FL_WORK_CALIBRATE : FL_WORK_TRAIN,
                                     .closed = 1,
                                     .accepted = list->count,
                                     .target = run->spec.target};

    for (size_t i = 0; i < list->count; i++) {
        const struct fl_entry *entry = &list->items[i];
        status.train_loss += entry->train_loss / (double)list->count;
        status.density += (double)entry->sent / (double)run->elems / (double)list->count;
        if (entry->residual_norm > status.residual_norm)
            status.residual_norm = entry->residual_norm;
        if (entry->round != run->row.round)
            continue;
        status.metrics.examples += entry->metrics.examples;
        status.metrics.correct += entry->metrics.correct;
        status.metrics.loss_sum += entry->metrics.loss_sum;
    }
    status.uplink_bytes = run->row.bytes.uplink - run->round_start.uplink;
    status.downlink_bytes = run->row.bytes.downlink - run->round_start.downlink;
    status.duration_ms = fl_server_now(server) - run->opened_ms;
    return status;
}

/* Writes the closed round and goes on to the next, or ends the run. */
static enum fl_status finish_round(struct fl_server *server, struct fl_run *run,
                                   const struct fl_round_status *status)
{
    int last = run->row.last;
    enum fl_status st = server->store->round_put(server->store, fl_run_key(run), status);

    if (!st)
        st = fl_server_stamp(server);
    if (!st)
        st = fl_run_add_history(run, status);
    if (st)
        return st;
    run->row.phase = last ? FL_PHASE_ENDED : FL_PHASE_GATHERING;
    run->row.round += !last;
    run->opened_ms = fl_server_now(server);
    run->gather_ms = UINT64_MAX;
    run->cohort = 0;
    run->round_start = run->row.bytes;
    fl_log(FL_LOG_INFO, "server.round",
           "run=%s round=%llu accepted=%llu target=%llu changed=%llu version=%llu; %s", run->row.name,
           (unsigned long long)status->round, (unsigned long long)status->accepted,
           (unsigned long long)status->target, (unsigned long long)status->published,
           (unsigned long long)run->row.version, last ? "run ended" : "closed");
    return write_run(server, run);
}

/* Round 0: lambda from the pooled root mean square of the deltas (reference: codec.h, fl_lambda_from_rms). */
static enum fl_status close_calibration(struct fl_server *server, struct fl_run *run)
{
    struct fl_round_status status;
    double sum = 0;
    enum fl_status st = server->store->receipts_freeze(server->store, fl_run_key(run), run->row.round);

    if (st)
        return st;
    fl_entries_sort(run->open.items, run->open.count);
    for (size_t i = 0; i < run->open.count; i++)
        sum += run->open.items[i].delta_squares;
    run->row.lambda = fl_lambda_from_rms(sqrt(sum / ((double)run->open.count * (double)run->elems)));
    fl_log(FL_LOG_INFO, "server.round", "run=%s lambda=%g updates=%zu; calibrated", run->row.name,
           (double)run->row.lambda, run->open.count);
    status = round_status(server, run, &run->open);
    fl_entry_list_clear(&run->open);
    return finish_round(server, run, &status);
}

/* Freezes what is accepted (rule R10); the next advance starts the job. */
static enum fl_status close_training(struct fl_server *server, struct fl_run *run)
{
    struct fl_entry_list frozen = run->open;
    enum fl_status st = server->store->receipts_freeze(server->store, fl_run_key(run), run->row.round);

    if (st)
        return st;
    fl_entries_sort(frozen.items, frozen.count);
    run->open = run->frozen;
    run->frozen = frozen;
    fl_entry_list_clear(&run->open);
    run->row.phase = FL_PHASE_PUBLISHING;
    run->row.last = run->row.stopping || run->row.round >= run->spec.rounds;
    run->retry_ms = fl_server_now(server);
    return write_run(server, run);
}

static enum fl_status close_round(struct fl_server *server, struct fl_run *run)
{
    return fl_run_calibrating(run) ? close_calibration(server, run) : close_training(server, run);
}

/* A stopped run that has nothing to drain: version 0 is exact by itself (rule R17). */
static enum fl_status end_untouched(struct fl_server *server, struct fl_run *run)
{
    run->row.phase = FL_PHASE_ENDED;
    fl_entry_list_clear(&run->open);
    fl_log(FL_LOG_INFO, "server.round", "run=%s; stopped before any update", run->row.name);
    return write_run(server, run);
}

static enum fl_status drain(struct fl_server *server, struct fl_run *run)
{
    if (fl_run_calibrating(run) || (run->open.count == 0 && run->row.version == 0))
        return end_untouched(server, run);
    return close_training(server, run);
}

/* --- publishing --- */

static double lambda_down(const struct fl_run *run)
{
    if (run->row.last)
        return 0;
    return run->codec->uses_lambda ? run->spec.downlink_ratio * (double)run->row.lambda
                                   : run->spec.downlink_lambda;
}

static enum fl_status start_job(struct fl_server *server, struct fl_run *run)
{
    struct fl_job *job = calloc(1, sizeof *job);

    if (!job)
        return FL_ERR_NOMEM;
    job->entries = malloc((run->frozen.count + 1) * sizeof *job->entries);
    if (!job->entries) {
        free(job);
        return FL_ERR_NOMEM;
    }
    if (run->frozen.count > 0)
        memcpy(job->entries, run->frozen.items, run->frozen.count * sizeof *job->entries);
    job->entry_count = run->frozen.count;
    fl_entries_sort(job->entries, job->entry_count);
    job->generation = server->generation;
    job->turn = server->turn;
    job->run = run;
    job->env = server->env;
    job->store = server->store;
    job->kernels = server->kernels;
    job->threads = server->threads;
    memcpy(job->run_name, run->row.name, sizeof job->run_name);
    job->run_origin = run->row.origin;
    job->params = fl_run_codec_params(run);
    memcpy(job->tensors, run->tensors, sizeof job->tensors);
    job->params.tensors = job->tensors;
    job->on_grid = fl_codec_sums_levels(&job->params);
    job->rate = run->spec.server_rate;
    job->lambda_down = lambda_down(run);
    job->base = fl_published_ref(run->model);
    snprintf(job->blob, sizeof job->blob, "%s.%llu.v%llu.%llu.state", run->row.name,
             (unsigned long long)run->row.epoch, (unsigned long long)run->row.version + 1,
             (unsigned long long)++server->blobs);
    job->next_job = server->jobs;
    server->jobs = job;
    run->job = job;
    server->effects->start_job(server->effects->user, job);
    return FL_OK;
}

static enum fl_status write_version(struct fl_server *server, struct fl_run *run, struct fl_job *job)
{
    struct fl_store *store = server->store;
    struct fl_run_key key = fl_run_key(run);
    struct fl_version_row row = {.number = job->made->version.number,
                                 .digest = job->made->version.digest,
                                 .lambda_down = job->lambda_down,
                                 .weight = job->weight};
    enum fl_status st;

    memcpy(row.state_blob, job->blob, sizeof row.state_blob);
    st = store->version_put(store, key, &row);
    if (!st && !fl_snapshots_keep(run, run->row.version))
        st = store->version_drop_blob(store, key, run->row.version);
    if (!st && !run->spec.keep_updates)
        st = store->payloads_drop(store, key, run->row.round);
    if (!st)
        st = fl_run_add_digest(run, &row.digest);
    return st;
}

/* The version before stays in force, and making the next is tried again: whatever stood in the way may go. */
static void job_failed(struct fl_server *server, struct fl_run *run, const struct fl_job *job)
{
    uint64_t pause_ms = (uint64_t)PUBLISH_RETRY_MS << (run->failures < 6 ? run->failures : 6);

    run->failures++;
    run->retry_ms = fl_server_now(server) + pause_ms;
    snprintf(run->problem, sizeof run->problem, "%s",
             job->problem[0] ? job->problem : fl_status_text(job->status));
    fl_log(FL_LOG_ERROR, "server.round", "run=%s round=%llu status=%s; %s; publishing again in %llu ms",
           run->row.name, (unsigned long long)run->row.round, fl_status_name(job->status), run->problem,
           (unsigned long long)pause_ms);
}

static void log_stages(const struct fl_run *run, const struct fl_job *job)
{
    char text[40 * FL_STAGES] = "";
    size_t at = 0;

    for (int i = 0; i < FL_STAGES; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, " %s_ms=%llu", fl_stage_names[i],
                               (unsigned long long)job->stage_ms[i]);
    fl_log(FL_LOG_DEBUG, "server.round", "run=%s round=%llu updates=%zu%s; version made", run->row.name,
           (unsigned long long)run->row.round, job->entry_count, text);
}

enum fl_status fl_round_job_done(struct fl_server *server, struct fl_run *run, struct fl_job *job)
{
    struct fl_round_status status;
    enum fl_status st;

    run->job = NULL;
    if (job->status) {
        job->state = FL_JOB_DISCARDED;
        job_failed(server, run, job);
        return FL_OK;
    }
    job->state = FL_JOB_APPLIED;
    run->failures = 0;
    run->problem[0] = '\0';
    log_stages(run, job);
    st = write_version(server, run, job);
    if (st)
        return st;
    fl_published_unref(run->model);
    run->model = fl_published_ref(job->made);
    run->row.version = job->made->version.number;
    status = round_status(server, run, &run->frozen);
    status.published = job->changed;
    fl_entry_list_clear(&run->frozen);
    return finish_round(server, run, &status);
}

/* --- time --- */

static enum fl_status dismiss_parked(struct fl_server *server, struct fl_run *run)
{
    enum fl_status st = FL_OK;

    for (size_t i = server->parked_count; i-- > 0 && !st;)
        if (server->parked[i].run == run) {
            struct fl_parked parked = fl_server_unpark(server, i);
            st = fl_server_reply_info(server, parked.ticket, run, 410);
        }
    return st;
}

static enum fl_status open_advance(struct fl_server *server, struct fl_run *run)
{
    uint64_t now = fl_server_now(server);
    enum fl_status st = FL_OK;

    if (run->open.fresh >= run->spec.target)
        return close_round(server, run);
    if (now >= run->deadline_ms) {
        if (run->open.count >= run->spec.minimum)
            return close_round(server, run);
        run->deadline_ms = now + run->spec.deadline_ms;
        run->cohort = run->open.fresh; /* those who did not answer leave room for others */
        fl_log(FL_LOG_WARN, "server.round",
               "run=%s round=%llu accepted=%zu minimum=%llu; too few at the deadline, extended",
               run->row.name, (unsigned long long)run->row.round, run->open.count,
               (unsigned long long)run->spec.minimum);
        st = fl_cohort_forgive(server, run);
    }
    return st ? st : fl_cohort_fill(server, run);
}

enum fl_status fl_round_advance(struct fl_server *server, struct fl_run *run, uint64_t *ret_next)
{
    uint64_t snapshots_end;
    enum fl_status st = fl_snapshots_expire(server, run, &snapshots_end);

    *ret_next = UINT64_MAX;
    if (st)
        return st;
    if (run->row.stopping && (run->row.phase == FL_PHASE_GATHERING || run->row.phase == FL_PHASE_OPEN))
        st = drain(server, run);
    if (!st && run->row.phase == FL_PHASE_OPEN)
        st = open_advance(server, run);
    if (!st && run->row.phase == FL_PHASE_GATHERING)
        st = fl_cohort_gather(server, run, ret_next);
    if (!st && run->row.phase == FL_PHASE_OPEN)
        *ret_next = run->deadline_ms;
    if (!st && run->row.phase == FL_PHASE_PUBLISHING && !run->job) {
        if (fl_server_now(server) >= run->retry_ms)
            st = start_job(server, run);
        else
            *ret_next = run->retry_ms;
    }
    if (!st && run->row.phase == FL_PHASE_ENDED)
        st = dismiss_parked(server, run);
    if (snapshots_end < *ret_next)
        *ret_next = snapshots_end;
    return st;
}

enum fl_status fl_round_stop(struct fl_server *server, struct fl_run *run)
{
    uint64_t next;

    if (run->row.phase == FL_PHASE_ENDED || run->row.stopping)
        return FL_OK;
    run->row.stopping = 1;
    fl_log(FL_LOG_INFO, "server.round", "run=%s round=%llu; stopping", run->row.name,
           (unsigned long long)run->row.round);
    enum fl_status st = write_run(server, run);
    return st ? st : fl_round_advance(server, run, &next);
}
