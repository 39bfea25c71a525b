/*
 * One run in memory: a cache of its rows in the store, loaded by one function at start and after a failed
 * turn. Rules of rounds are in round.h, of updates in intake.h. Loop's thread only.
 */
#ifndef FL_SERVER_CORE_RUN_H
#define FL_SERVER_CORE_RUN_H

#include "codec/codec.h"
#include "server/core/publish.h"
#include "server/core/registry.h"

enum fl_assignment_state { FL_ASSIGNED_NOT, FL_ASSIGNED, FL_ASSIGNED_ACCEPTED, FL_ASSIGNED_REFUSED };

struct fl_assignment {
    uint64_t round;
    enum fl_assignment_state state;
};

/* One client's part in a run. */
struct fl_member {
    uint64_t position; /* sequence number used up last: of `last`, or of an update that a restore has lost */
    uint64_t total;    /* updates accepted up to there, lost ones included */
    uint64_t lost, lost_first_seq, lost_last_seq; /* accepted updates lost by restores (rule R13) */
    struct fl_receipt_row last;                   /* the newest verdict (rule R2); seq 0: none yet */
    char reason[FL_LIMIT_TEXT_BYTES + 1];         /* last.reason points here */
    struct fl_assignment assignments[]; /* max_late + 1 of them; round r stands at r % (max_late + 1) */
};

/* Updates accepted for a sum that is still open, or frozen. */
struct fl_entry_list {
    struct fl_entry *items;
    size_t count, capacity;
    size_t fresh; /* made for the round whose sum they enter, not late */
};

/* A version that can be fetched as a snapshot (rule R16). */
struct fl_snapshot {
    uint64_t number;
    uint64_t began_ms; /* env's monotonic clock: when the newest download of it began */
    char blob[FL_BLOB_NAME_BYTES];
};

struct fl_run {
    struct fl_run_row row; /* spec is NULL here */
    struct fl_run_spec spec;
    const struct fl_codec *codec;
    size_t elems;
    struct fl_codec_tensor tensors[FL_LIMIT_TENSORS];
    size_t tensor_count;
    struct fl_published *model;      /* the newest */
    struct fl_model_digest *digests; /* of versions 0 to row.version */
    size_t digest_count;
    struct fl_snapshot *snapshots; /* pinned, oldest first; see snapshots.h */
    size_t snapshot_count;
    struct fl_round_status *history; /* closed rounds, oldest first */
    size_t history_count;
    struct fl_member **members; /* by client slot; NULL: not seen in this run */
    size_t member_slots;

    struct fl_entry_list open;               /* for the sum that is open to updates: of intake_round() */
    struct fl_entry_list frozen;             /* PUBLISHING: of row.round */
    uint64_t cohort;                         /* clients that may still answer, or have, in this round */
    uint64_t accepted, late, invalid, ended; /* verdicts so far */

    uint64_t opened_ms;                 /* env's monotonic clock, as all below: when the round began */
    uint64_t deadline_ms;               /* OPEN */
    uint64_t gather_ms;                 /* GATHERING: when the first client asked; UINT64_MAX: nobody waits */
    uint64_t retry_ms;                  /* PUBLISHING without a job: when to start one */
    unsigned failures;                  /* of publishing in a row */
    char problem[FL_JOB_PROBLEM_BYTES]; /* why the newest failed; "": it did not */
    struct fl_job *job;                 /* PUBLISHING: lent */
    struct fl_run_bytes round_start;    /* row.bytes when the round began */
};

struct fl_run_context {
    const struct fl_env *env;
    struct fl_store *store;
    const struct fl_registry *registry;
    struct fl_published *const *kept; /* models in memory that a run may still need, kept_count of them */
    size_t kept_count;
};

/* Rebuilds a run from its row (whose spec is its text) and what belongs to it. */
FL_MUST_CHECK enum fl_status fl_run_load(const struct fl_run_context *context, const struct fl_run_row *row,
                                         struct fl_run **ret_run);

/* Makes a new run of a checked spec with its version 0, and writes all of it to the store. x_0: shape
 * (parameters of the model), finite; NULL: the seeded rule (rule R18). */
FL_MUST_CHECK enum fl_status fl_run_create(const struct fl_run_context *context,
                                           const struct fl_run_spec *spec, const float *x_0,
                                           struct fl_run **ret_run);

void fl_run_free(struct fl_run *run);

struct fl_run_key fl_run_key(const struct fl_run *run);

/* An epoch that is newer than `above` and than every one made earlier (rule R13): seconds since 1970 and 20
 * random bits. */
uint64_t fl_epoch_new(const struct fl_env *env, uint64_t above);

/* Notes what the client could prove and the rows do not hold. */
void fl_member_add_loss(struct fl_member *member, const struct fl_loss_row *row);

/* Round 0 of a run whose lambda is to be measured. */
int fl_run_calibrating(const struct fl_run *run);

/* The round whose sum takes updates now: the current one, or the next while this one is published. */
uint64_t fl_run_intake_round(const struct fl_run *run);

/* The version that work of a round starts from: number round - 1, and 0 for rounds 0 and 1. */
struct fl_version fl_run_base(const struct fl_run *run, uint64_t round);

/* The codec as clients must use it in this round. */
struct fl_codec_spec fl_run_codec_spec(const struct fl_run *run, uint64_t round);

/* The same as parameters; tensors borrows from run. */
struct fl_codec_params fl_run_codec_params(const struct fl_run *run);

/* The client's part in the run, made when it has none. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_run_member(struct fl_run *run, const struct fl_client *client,
                                           struct fl_member **ret_member);

/* Its assignment of a round; FL_ASSIGNED_NOT when there is none, or it is too old to matter. */
enum fl_assignment_state fl_member_assignment(const struct fl_run *run, const struct fl_member *member,
                                              uint64_t round);
void fl_member_assign(const struct fl_run *run, struct fl_member *member, uint64_t round,
                      enum fl_assignment_state state);

/* Takes an accepted update into the open sum. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_run_add_entry(struct fl_run *run, const struct fl_receipt_row *row);

FL_MUST_CHECK enum fl_status fl_run_add_history(struct fl_run *run, const struct fl_round_status *status);
FL_MUST_CHECK enum fl_status fl_run_add_snapshot(struct fl_run *run, uint64_t number, const char *blob,
                                                 uint64_t began_ms);
FL_MUST_CHECK enum fl_status fl_run_add_digest(struct fl_run *run, const struct fl_model_digest *digest);

/* Forgets the entries; the memory stays. */
void fl_entry_list_clear(struct fl_entry_list *list);

void fl_run_info_fill(const struct fl_run *run, struct fl_run_info *ret_info);
void fl_run_status_fill(const struct fl_run *run, uint64_t waiting, struct fl_run_status *ret_status);

/* "gathering", "open", "publishing", "ended" */
const char *fl_run_phase_name(enum fl_run_phase phase);

#endif
