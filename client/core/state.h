/*
 * What the parts of the client's core share: the state of one client and the steps it can be in. Private to
 * client/core.
 */
#ifndef FL_CLIENT_CORE_STATE_H
#define FL_CLIENT_CORE_STATE_H

#include "client/core/client.h"
#include "client/core/engine.h"
#include "client/core/vector.h"
#include "codec/codec.h"
#include "codec/payload.h"
#include "protocol/digest.h"

#define LOG_ROUND "client.round"
#define LOG_STATE "client.state"
#define LOG_NET   "client.net"

/* What the client is waiting for; while `waiting`, what it does when the time is over. */
enum step {
    STEP_RUN_INFO,
    STEP_SHOW, /* the newest receipt (rule R13) */
    STEP_WORK,
    STEP_MODEL,
    STEP_SAVE_MODEL,
    STEP_TRAIN,
    STEP_SAVE_OUTBOX,
    STEP_SEND,
    STEP_SAVE_VERDICT,
    STEP_SAVE_RESYNC,
    STEP_STOPPED,
};

struct fl_client {
    struct fl_client_options options;
    const struct fl_env *env;
    const struct fl_kernels *kernels;
    struct fl_host_engine host;
    struct fl_engine *engine; /* host, or the one in use instead */
    char reason[FL_CLIENT_REASON_SIZE];

    enum step step;
    int waiting;
    uint32_t attempt;       /* repeats in a row, for the back-off */
    uint64_t asked_ms;      /* when the request now out was made */
    uint32_t bad_trainings; /* in a row */
    uint32_t invalids;      /* verdicts in a row */

    int must_show; /* the server may have been restored since the newest receipt was shown */
    int doubted;   /* out of step since it last agreed: once more is the end */
    int has_info;
    struct fl_run_info info;
    struct fl_codec_tensor tensors[FL_LIMIT_TENSORS]; /* of info.model */
    size_t tensor_count;

    int has_state;               /* the manifest means something: vectors are there */
    struct fl_manifest manifest; /* as on disk, or as being saved */
    struct fl_buf manifest_text;
    struct fl_client_effect saving; /* the newest SAVE, to be repeated when it fails */
    struct fl_vector replica;       /* x_hat; meaningful when has_replica */
    struct fl_vector residual;      /* e_old */
    struct fl_vector pending;       /* e_new of the outbox; there while one waits */
    struct fl_vector scratch;       /* x_end, delta, p, by turns; there while it is worked on */
    struct fl_digest_tree *tree;
    int has_replica;
    int want_snapshot;                 /* a delta did not fit: ask without `have` */
    struct fl_version version;         /* of replica */
    struct fl_buf delta;               /* bytes of the delta being saved */
    struct fl_buf outbox;              /* bytes of the update that waits for its verdict */
    struct fl_buf codec_state;         /* what the codec keeps (codec/state.h); empty: a fresh start */
    struct fl_buf pending_codec_state; /* the same once the update in the outbox is accepted */

    int has_work;
    struct fl_work work;
    struct fl_verdict verdict; /* being saved */
    struct fl_buf verdict_text;
    struct fl_buf proof; /* bytes of the receipt being shown */
};

/* Writes the reason and returns st. */
enum fl_status fl_client_fail(struct fl_client *c, enum fl_status st, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Replica, residual and tree for d elements; keeps those that are there. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_client_allocate(struct fl_client *c, uint64_t elems);
/* The vector scratch, unless it is there. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_client_allocate_scratch(struct fl_client *c);
/* Frees what only an update in the outbox needs. */
void fl_client_free_outbox(struct fl_client *c);

/* save.c: files of an effect. */
void fl_client_save_begin(struct fl_client_effect *effect);
struct fl_state_file fl_client_save_add(struct fl_client *c, struct fl_client_effect *effect,
                                        struct fl_bytes bytes, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
FL_MUST_CHECK enum fl_status fl_client_save_finish(struct fl_client *c, struct fl_client_effect *effect);

/* replica.c: what came as an answer to GET model. FL_OK: the replica is `version` and effect saves it.
 * FL_ERR_DIGEST: the delta did not fit, ask for the snapshot. Else the reason is written. */
FL_MUST_CHECK enum fl_status fl_client_install_model(struct fl_client *c, struct fl_bytes body,
                                                     struct fl_client_effect *effect);

/* standing.c */
/* Bytes of the newest receipt into c->proof. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_client_encode_proof(struct fl_client *c);
/* The run is in another epoch than the state: goes on to it, keeping everything. */
void fl_client_adopt_epoch(struct fl_client *c, uint64_t epoch);
/* Does the server expect what comes next? Else the reason is written: FL_ERR_STATE. */
FL_MUST_CHECK enum fl_status fl_client_check_standing(struct fl_client *c,
                                                      const struct fl_standing *standing);
/* Says that the folder does not fit what the server expects; returns FL_ERR_STATE. */
enum fl_status fl_client_out_of_step(struct fl_client *c, uint64_t expected);
/* Takes over the server's sequence; what was under way is dropped and counted. effect saves it. */
FL_MUST_CHECK enum fl_status fl_client_resync(struct fl_client *c, const struct fl_standing *standing,
                                              struct fl_client_effect *effect);

/* update.c */
/* Codec parameters of spec for this run's model. FL_ERR_NOT_FOUND, or as fl_codec_params_check(). */
FL_MUST_CHECK enum fl_status fl_client_codec_params(const struct fl_client *c,
                                                    const struct fl_codec_spec *spec,
                                                    struct fl_codec_params *ret_params);
/* Builds the update of c->work from scratch = x_end; effect saves it (rule R2). FL_ERR_NOT_FINITE: nothing
 * changed. */
FL_MUST_CHECK enum fl_status fl_client_build_update(struct fl_client *c,
                                                    const struct fl_client_event *trained,
                                                    struct fl_client_effect *effect);

/* verdict.c */
/* Is body a verdict on exactly the update in the outbox (rule R4)? */
int fl_client_verdict_matches(struct fl_client *c, struct fl_bytes body, struct fl_verdict *ret_verdict);
/* Commits, folds or drops by c->verdict (rules R3, R6); effect saves it. */
FL_MUST_CHECK enum fl_status fl_client_apply_verdict(struct fl_client *c, struct fl_client_effect *effect);

#endif
