/*
 * The job that makes the next version from a frozen set of accepted updates (rules R10 to R12, R17). It reads
 * only immutable things, so it may run on any thread and, run again after a crash, gives the same bits:
 *
 *   sum[i] = 0; for each entry by client id, then round: sum[i] += weight * level[i]    int64, levels
 *                                                     or sum[i] += (double)weight * q[i]  float64, others
 *   W      = sum of the weights
 *   x[i]   = x[i] - rate * (((double)sum[i] * unit) / (double)W)          float64, each step rounded;
 *            unit = 2^step_log2 for levels (fl_codec_sums_levels()), else 1; nothing changes when there are
 * no entries x_hat  by fl_publish_threshold() with lambda_down
 *
 * x is read from the base's state blob and written to that of the new version chunk by chunk, and is never in
 * memory as a whole; sums are made for one half of the vector at a time (rule R12). So a job needs 12 bytes a
 * parameter besides those of its base, and one payload. A large payload is added by several threads, to a
 * range of the vector each, which gives the same bits as one.
 *
 * Not for deciding when: see round.h.
 */
#ifndef FL_SERVER_CORE_PUBLISH_H
#define FL_SERVER_CORE_PUBLISH_H

#include "codec/codec.h"
#include "server/core/published.h"
#include "server/core/server.h"

/* What of an accepted update enters a round's sum and its statistics. */
struct fl_entry {
    char client[FL_LIMIT_NAME_BYTES + 1];
    uint64_t seq, round, weight, sent;
    double train_loss, delta_squares, residual_norm;
    struct fl_metrics metrics;
};

/* Sorts by client id, then round: the order of every sum over a round. */
void fl_entries_sort(struct fl_entry *entries, size_t count);

struct fl_run;

/* Where the time of a job goes. */
enum fl_stage {
    FL_STAGE_FETCH, /* payloads from the store */
    FL_STAGE_CHECK, /* of them */
    FL_STAGE_SUM,
    FL_STAGE_READ, /* x */
    FL_STAGE_STEP,
    FL_STAGE_THRESHOLD,
    FL_STAGE_WRITE, /* the state blob */
    FL_STAGE_SYNC,
    FL_STAGE_DIGEST,
    FL_STAGE_DELTA,
    FL_STAGES
};

#define FL_JOB_PROBLEM_BYTES 256

enum fl_job_state { FL_JOB_LENT, FL_JOB_APPLIED, FL_JOB_DISCARDED };

struct fl_job {
    struct fl_job *next_job; /* in the server's list */
    enum fl_job_state state;
    uint64_t generation, turn; /* of the server when it was started */
    struct fl_run *run;        /* valid while the server is of that generation */

    const struct fl_env *env;
    struct fl_store *store;
    const struct fl_kernels *kernels;
    unsigned threads; /* that add up, 1 to FL_PARALLEL_MAX */
    char run_name[FL_LIMIT_NAME_BYTES + 1];
    uint64_t run_origin;
    struct fl_codec_params params; /* tensors points into this job */
    struct fl_codec_tensor tensors[FL_LIMIT_TENSORS];
    int on_grid;
    double rate, lambda_down;
    struct fl_published *base; /* one reference */
    struct fl_entry *entries;  /* owned, sorted */
    size_t entry_count;
    char blob[FL_BLOB_NAME_BYTES]; /* to write */

    enum fl_status status;              /* written by fl_job_run(), with all below */
    char problem[FL_JOB_PROBLEM_BYTES]; /* what could not be done, for people; "": status says it all */
    struct fl_published *made;
    uint64_t weight; /* W */
    size_t changed;  /* coordinates set in x_hat */
    uint64_t stage_ms[FL_STAGES];
};

extern const char *const fl_stage_names[FL_STAGES];

/* Frees the job with what it holds; NULL is accepted. Loop's thread only. */
void fl_job_free(struct fl_job *job);

#endif
