/*
 * The state of one version on disk: the true values x, which are only there, the published ones x_hat, and
 * which version touched each last. Written and read in chunks, each with a sum, so that neither needs memory
 * for the whole and no damage goes unnoticed. Not for what the numbers mean: see publish.h.
 *
 * Little-endian: a head of 128 bytes ("FLSTATE2", elems u64, epoch u64, number u64, elements of a chunk u64,
 * XXH3-64 of these 40 bytes, zeros); x float64[elems], x_hat float32[elems], touched u32[elems]; then the
 * XXH3-64 of each chunk of x, of each of x_hat, of each of touched, u64.
 *
 * Servers of before wrote "FLSTATE1", which is still read: in its head, after number, stand the SHA-256 of x,
 * x_hat and touched, and nothing follows touched.
 */
#ifndef FL_SERVER_CORE_STATE_BLOB_H
#define FL_SERVER_CORE_STATE_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/shared.h"
#include "protocol/messages.h"
#include "server/core/store.h"

#define FL_STATE_CHUNK_ELEMS 65536 /* a multiple of FL_DIGEST_RANGE_ELEMS */

static inline size_t fl_state_chunks(size_t elems)
{
    return elems / FL_STATE_CHUNK_ELEMS + (elems % FL_STATE_CHUNK_ELEMS != 0);
}

/* Elements of a chunk: FL_STATE_CHUNK_ELEMS, but for the last. */
static inline size_t fl_state_chunk_elems(size_t elems, size_t chunk)
{
    size_t left = elems - chunk * FL_STATE_CHUNK_ELEMS;

    return left < FL_STATE_CHUNK_ELEMS ? left : FL_STATE_CHUNK_ELEMS;
}

/* Whether the blob of a model of so many parameters may have so many bytes. */
int fl_state_size_is_right(size_t elems, uint64_t bytes);

/* A state blob being written; one thread at a time. */
struct fl_state_writer {
    struct fl_store *store;
    struct fl_blob_writer *blob; /* NULL: none */
    struct fl_version version;
    size_t elems;
    uint64_t *sums; /* shape (3, chunks) */
};

/* Begins the blob of a version, whose digest is not needed. On failure there is nothing to end. */
FL_MUST_CHECK enum fl_status fl_state_begin(struct fl_store *store, const char *name,
                                            const struct fl_version *version, size_t elems,
                                            struct fl_state_writer *ret_writer);

/* One chunk; each once, in any order. Shapes (fl_state_chunk_elems). */
FL_MUST_CHECK enum fl_status fl_state_put(struct fl_state_writer *writer, size_t chunk, const double *x,
                                          const float *x_hat, const uint32_t *touched);

/* keep: the blob is whole and durable when it returns FL_OK. Else it is dropped. Ends the writer. Copies the
 * sums of x, shape (chunks), to ret_x_sums when it is kept. */
FL_MUST_CHECK enum fl_status fl_state_end(struct fl_state_writer *writer, int keep, uint64_t *ret_x_sums);

/* Reads all but x, whose chunks are checked too, and their sums. Shapes (elems), (elems), (chunks).
 * FL_ERR_CORRUPT: a check has failed, or it is of another version number or size. */
FL_MUST_CHECK enum fl_status fl_state_load(const struct fl_env *env, struct fl_store *store, const char *name,
                                           uint64_t number, size_t elems, float *ret_x_hat,
                                           uint32_t *ret_touched, uint64_t *ret_x_sums);

/* One chunk of x, checked against its sum. FL_ERR_CORRUPT. */
FL_MUST_CHECK enum fl_status fl_state_read_x(struct fl_store *store, const char *name, size_t elems,
                                             size_t chunk, uint64_t x_sum, double *ret_x);

/* head (left empty) and then x_hat of the blob, as it is there when it is read. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_state_share_x_hat(struct fl_store *store, const char *name, size_t elems,
                                                  struct fl_buf *head, struct fl_shared **ret_shared);

#endif
