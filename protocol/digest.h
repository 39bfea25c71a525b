/*
 * Digest of a model's published values: a two-level tree of XXH3 over ranges of FL_DIGEST_RANGE_ELEMS
 * elements, so that after a sparse change only touched ranges are hashed again (rule R19). It detects
 * accidents; the TLS channel keeps attackers out.
 *
 *   leaf[r] = XXH3-64(float32 little-endian bytes of elements [r * RANGE, min(d, (r + 1) * RANGE)))
 *   digest  = XXH3-128(d as uint64 little-endian, then every leaf as uint64 little-endian), canonical
 * (big-endian) form
 */
#ifndef FL_PROTOCOL_DIGEST_H
#define FL_PROTOCOL_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define FL_DIGEST_RANGE_ELEMS 4096

struct fl_model_digest {
    uint8_t bytes[16];
};

/* The tree of one model; heap object, one thread at a time. */
struct fl_digest_tree;

/* XXH3-64 of bytes, to tell damage in what is stored. */
uint64_t fl_digest_sum(struct fl_bytes bytes);

/* Tree of d elements with every range marked as touched. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_digest_tree_new(uint64_t elems, struct fl_digest_tree **ret_tree);
void fl_digest_tree_free(struct fl_digest_tree *tree);

/* A tree of its own for values that begin as those of tree. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_digest_tree_copy(const struct fl_digest_tree *tree,
                                                 struct fl_digest_tree **ret_tree);

/* Says that element index changed since the last fl_digest_tree_get(). */
void fl_digest_tree_touch(struct fl_digest_tree *tree, uint64_t index);
void fl_digest_tree_touch_all(struct fl_digest_tree *tree);

/* Hashes touched ranges of values, shape (d), again and returns the digest of all. */
struct fl_model_digest fl_digest_tree_get(struct fl_digest_tree *tree, const float *values);

#endif
