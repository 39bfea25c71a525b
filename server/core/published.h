/*
 * One published version of a run's model, immutable: the published values x_hat, which version touched each
 * last, the digest, and the deltas made of them. The true values x are in its state blob only. Not for making
 * the next version: see publish.h. Belongs to the loop's thread; a job may read it.
 *
 * Memory: 8 bytes a parameter and up to FL_PUBLISHED_DELTA_BYTES for deltas, or the first of them alone.
 */
#ifndef FL_SERVER_CORE_PUBLISHED_H
#define FL_SERVER_CORE_PUBLISHED_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/shared.h"
#include "protocol/messages.h"
#include "server/core/state_blob.h"
#include "server/core/store.h"

/* Delta bodies kept for one version, and their bytes for each parameter; beyond that, starting points share
 * the one before them (rule R19). */
#define FL_PUBLISHED_DELTAS      16
#define FL_PUBLISHED_DELTA_BYTES 4

struct fl_published_delta {
    uint64_t from;
    struct fl_shared *body; /* NULL: a snapshot would be no larger */
};

struct fl_published {
    unsigned refs;
    struct fl_version version;
    size_t elems;
    float *x_hat;                /* shape (elems) */
    uint32_t *touched;           /* shape (elems): number of the version that set x_hat last */
    uint64_t *x_sums;            /* of the chunks of x in the blob */
    struct fl_digest_tree *tree; /* of x_hat */
    char blob[FL_BLOB_NAME_BYTES];
    struct fl_published_delta deltas[FL_PUBLISHED_DELTAS];
    size_t delta_count, delta_bytes;
};

/* Version 0 of a run: x_0, shape (parameters of spec), or the seeded rule of spec when it is NULL.
 * FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_published_first(const struct fl_model_spec *spec, const float *x_0,
                                                uint64_t epoch, struct fl_published **ret_published);

/* Writes the state blob of a version 0, whose x is its x_hat, under published->blob. */
FL_MUST_CHECK enum fl_status fl_published_save_first(struct fl_published *published, struct fl_store *store);

/* What the next version is made from: its arrays are those of base, its number is one higher; blob, sums and
 * digest are not set. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_published_next(const struct fl_published *base,
                                               struct fl_published **ret_published);

/* Reads one back. FL_ERR_CORRUPT when a check fails or it is not the version expected. */
FL_MUST_CHECK enum fl_status fl_published_load(const struct fl_env *env, struct fl_store *store,
                                               const char *blob, const struct fl_version *expected,
                                               size_t elems, struct fl_published **ret_published);

struct fl_published *fl_published_ref(struct fl_published *published);
void fl_published_unref(struct fl_published *published);

/* Sets version.digest from x_hat, hashing again only ranges in which touched has the version's number. */
void fl_published_digest(struct fl_published *published);

/* The delta from have, an older version of the same run, or from one before it: an encoded fl_model_message,
 * one reference. FL_ERR_LIMIT, unless any_size: a snapshot would be no larger. */
FL_MUST_CHECK enum fl_status fl_published_delta(struct fl_published *published, const struct fl_version *have,
                                                int any_size, struct fl_shared **ret_body);

/* The snapshot of a version, read from its state blob as it is sent; in memory: from published as it is now.
 * An encoded fl_model_message, one reference. */
FL_MUST_CHECK enum fl_status fl_published_snapshot(struct fl_store *store, const char *blob,
                                                   const struct fl_version *version, size_t elems,
                                                   struct fl_shared **ret_body);
FL_MUST_CHECK enum fl_status fl_published_copy(const struct fl_published *published,
                                               struct fl_shared **ret_body);

#endif
