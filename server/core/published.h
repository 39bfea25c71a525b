/*
 * One published version of a run's model, immutable: the true values x, the published ones x_hat, which
 * version touched each last, the digest, and the bodies made of them. Not for making the next version: see
 * publish.h. Belongs to the loop's thread; a job may read it.
 *
 * State blob, little-endian: "FLSTATE1", elems u64, epoch u64, number u64, SHA-256 of x, of x_hat and of
 * touched (128 bytes together); then x float64[elems], x_hat float32[elems], touched u32[elems].
 */
#ifndef FL_SERVER_CORE_PUBLISHED_H
#define FL_SERVER_CORE_PUBLISHED_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/shared.h"
#include "protocol/messages.h"
#include "server/core/store.h"

/* Delta bodies kept for one version; more starting points share the one before them (rule R19). */
#define FL_PUBLISHED_DELTAS 16

struct fl_published_delta {
    uint64_t from;
    struct fl_shared *body;
};

struct fl_published {
    unsigned refs;
    struct fl_version version;
    size_t elems;
    double *x;                   /* shape (elems) */
    float *x_hat;                /* shape (elems) */
    uint32_t *touched;           /* shape (elems): number of the version that set x_hat last */
    struct fl_digest_tree *tree; /* of x_hat; NULL once the next version has taken it */
    char blob[FL_BLOB_NAME_BYTES];
    struct fl_shared *snapshot; /* bodies, made when first asked for */
    struct fl_published_delta deltas[FL_PUBLISHED_DELTAS];
    size_t delta_count;
};

/* Version 0 of a run: x_0, shape (parameters of spec), or the seeded rule of spec when it is NULL.
 * FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_published_first(const struct fl_model_spec *spec, const float *x_0,
                                                uint64_t epoch, struct fl_published **ret_published);

/* A copy to make the next version from, its number one higher; takes base's digest tree along.
 * The digest, the blob's name and the bodies are not copied. FL_ERR_NOMEM leaves base as it was. */
FL_MUST_CHECK enum fl_status fl_published_next(struct fl_published *base,
                                               struct fl_published **ret_published);

struct fl_published *fl_published_ref(struct fl_published *published);
void fl_published_unref(struct fl_published *published);

/* Sets version.digest from x_hat, hashing again only where touched equals the version's number, or all. */
FL_MUST_CHECK enum fl_status fl_published_digest(struct fl_published *published);

/* Writes the state blob under published->blob; any thread. */
FL_MUST_CHECK enum fl_status fl_published_save(const struct fl_published *published, const struct fl_env *env,
                                               struct fl_store *store);

/* Reads one back. FL_ERR_CORRUPT when a check fails or it is not the version expected. */
FL_MUST_CHECK enum fl_status fl_published_load(const struct fl_env *env, struct fl_store *store,
                                               const char *blob, const struct fl_version *expected,
                                               size_t elems, struct fl_published **ret_published);

/* The encoded fl_model_message, borrowed, cached. have: an older version of the same run; the delta may start
 * from a version before it, and one larger than the snapshot is answered as the snapshot. */
FL_MUST_CHECK enum fl_status fl_published_snapshot(struct fl_published *published,
                                                   struct fl_shared **ret_body);
FL_MUST_CHECK enum fl_status fl_published_delta(struct fl_published *published, const struct fl_version *have,
                                                struct fl_shared **ret_body);

#endif
