#include "protocol/digest.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "float32 values are hashed as they lie in memory");

struct fl_digest_tree {
    uint64_t elems, ranges;
    uint64_t *words;  /* 1 + ranges: d, then the leaves, each little-endian */
    uint8_t *touched; /* ranges: 1 when the leaf is out of date */
};

uint64_t fl_digest_sum(struct fl_bytes bytes)
{
    return XXH3_64bits(bytes.data, bytes.size);
}

enum fl_status fl_digest_tree_new(uint64_t elems, struct fl_digest_tree **ret_tree)
{
    struct fl_digest_tree *tree = calloc(1, sizeof *tree);
    if (!tree)
        return FL_ERR_NOMEM;
    tree->elems = elems;
    tree->ranges = elems / FL_DIGEST_RANGE_ELEMS + (elems % FL_DIGEST_RANGE_ELEMS != 0);
    tree->words = calloc(tree->ranges + 1, sizeof *tree->words);
    tree->touched = malloc(tree->ranges + 1);
    if (!tree->words || !tree->touched) {
        fl_digest_tree_free(tree);
        return FL_ERR_NOMEM;
    }
    tree->words[0] = elems;
    fl_digest_tree_touch_all(tree);
    *ret_tree = tree;
    return FL_OK;
}

enum fl_status fl_digest_tree_copy(const struct fl_digest_tree *tree, struct fl_digest_tree **ret_tree)
{
    enum fl_status st = fl_digest_tree_new(tree->elems, ret_tree);
    if (st)
        return st;
    memcpy((*ret_tree)->words, tree->words, (tree->ranges + 1) * sizeof *tree->words);
    memcpy((*ret_tree)->touched, tree->touched, tree->ranges);
    return FL_OK;
}

void fl_digest_tree_free(struct fl_digest_tree *tree)
{
    if (!tree)
        return;
    free(tree->words);
    free(tree->touched);
    free(tree);
}

void fl_digest_tree_touch(struct fl_digest_tree *tree, uint64_t index)
{
    tree->touched[index / FL_DIGEST_RANGE_ELEMS] = 1;
}

void fl_digest_tree_touch_all(struct fl_digest_tree *tree)
{
    memset(tree->touched, 1, tree->ranges);
}

struct fl_model_digest fl_digest_tree_get(struct fl_digest_tree *tree, const float *values)
{
    for (uint64_t range = 0; range < tree->ranges; range++) {
        if (!tree->touched[range])
            continue;
        uint64_t begin = range * FL_DIGEST_RANGE_ELEMS;
        uint64_t size =
            tree->elems - begin < FL_DIGEST_RANGE_ELEMS ? tree->elems - begin : FL_DIGEST_RANGE_ELEMS;
        tree->words[1 + range] = XXH3_64bits(values + begin, size * sizeof *values);
        tree->touched[range] = 0;
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(tree->words, (tree->ranges + 1) * sizeof *tree->words));
    struct fl_model_digest digest;
    _Static_assert(sizeof digest.bytes == sizeof canonical.digest, "128 bits");
    memcpy(digest.bytes, canonical.digest, sizeof digest.bytes);
    return digest;
}
