#include "codec/seeded_support.h"

#include <math.h>

#define DIM_MAX ((size_t)UINT32_MAX)

static enum fl_status check_counts(size_t dim, size_t count)
{
    if (dim == 0)
        return FL_ERR_SHAPE;
    if (dim > DIM_MAX)
        return FL_ERR_LIMIT;
    return count == 0 || count > dim ? FL_ERR_RANGE : FL_OK;
}

/*
 * The uniform subset, one index after the other. With n indices ahead and k of them still to come, the next
 * index is taken with probability k / n (selection sampling, Knuth, TAOCP 2, 3.4.2 S), whatever came before.
 *
 * While that is below 1/4 most steps would take nothing, so they are skipped: over a stretch of an eighth of
 * what is ahead the chance never exceeds K / (N - N/8 + 1), K and N as at its start. Candidates come at
 * that higher, constant rate: the gap to the next one is geometric, and a candidate is kept with the ratio of
 * the true chance to the bound, a comparison of integers. Nothing is remembered at the end of a stretch, as
 * geometric gaps have no memory.
 */
static void begin_stretch(struct fl_support *support)
{
    struct fl_subset_walk *walk = &support->walk.subset;
    uint64_t ahead = support->dim - walk->at, length = ahead / 8;
    walk->end = walk->at + length;
    walk->heads_k = walk->left;
    walk->heads_n = ahead - length + 1;
    double miss = (double)(walk->heads_n - walk->heads_k) / (double)walk->heads_n;
    unsigned used = 0;
    for (; used < 32 && length >> used; used++) {
        walk->power[used] = miss;
        miss *= miss;
    }
    walk->powers = used;
}

/* Gap to the next candidate, P(gap >= s) = miss^s: the largest s with miss^s > u, found bit by bit. */
static uint64_t candidate_gap(struct fl_support *support)
{
    struct fl_subset_walk *walk = &support->walk.subset;
    double u = fl_random_double(&walk->random), reached = 1;
    uint64_t gap = 0;
    for (unsigned j = walk->powers; j-- > 0;) {
        double further = reached * walk->power[j];
        if (further > u) {
            reached = further;
            gap += (uint64_t)1 << j;
        }
    }
    return gap;
}

/* Whether index at, with the stretch's bound behind it, is in the subset. */
static int keep_candidate(struct fl_support *support)
{
    struct fl_subset_walk *walk = &support->walk.subset;
    uint64_t ahead = support->dim - walk->at; /* all factors are below 2^32 */
    return fl_random_below(&walk->random, ahead * walk->heads_k) < walk->left * walk->heads_n;
}

static size_t subset_next(struct fl_support *support, uint32_t *ret_indices, size_t room)
{
    struct fl_subset_walk *walk = &support->walk.subset;
    size_t given = 0;
    while (given < room && walk->left) {
        uint64_t ahead = support->dim - walk->at;
        int take;
        if (walk->at == walk->end && ahead >= 16 && walk->left < ahead / 4)
            begin_stretch(support);
        if (walk->at < walk->end) {
            uint64_t gap = candidate_gap(support);
            if (gap >= walk->end - walk->at) {
                walk->at = walk->end;
                continue;
            }
            walk->at += gap;
            take = keep_candidate(support);
        } else {
            take = fl_random_below(&walk->random, ahead) < walk->left;
            walk->end++;
        }
        if (take) {
            ret_indices[given++] = (uint32_t)walk->at;
            walk->left--;
        }
        walk->at++;
    }
    return given;
}

enum fl_status fl_support_random(size_t dim, size_t count, uint64_t seed, struct fl_support *ret_support)
{
    enum fl_status st = check_counts(dim, count);
    if (st)
        return st;
    *ret_support = (struct fl_support){
        .count = count, .delta = (double)count / (double)dim, .next = subset_next, .dim = dim};
    fl_random_init(&ret_support->walk.subset.random, seed, 0);
    ret_support->walk.subset.left = count;
    return FL_OK;
}

static size_t block_next(struct fl_support *support, uint32_t *ret_indices, size_t room)
{
    struct fl_block_walk *walk = &support->walk.block;
    size_t given = 0;
    while (given < room && walk->at < walk->end) {
        ret_indices[given++] = (uint32_t)walk->at++;
        if (walk->at == walk->end) {
            walk->at = walk->next_at;
            walk->end = walk->next_end;
            walk->next_at = walk->next_end;
        }
    }
    return given;
}

enum fl_status fl_support_block(size_t dim, size_t count, uint64_t seed, struct fl_support *ret_support)
{
    enum fl_status st = check_counts(dim, count);
    if (st)
        return st;
    struct fl_random random;
    fl_random_init(&random, seed, 0);
    size_t start = (size_t)fl_random_below(&random, dim), last = start + count;
    *ret_support = (struct fl_support){
        .count = count, .delta = (double)count / (double)dim, .next = block_next, .dim = dim};
    if (last <= dim) {
        ret_support->walk.block.at = start;
        ret_support->walk.block.end = ret_support->walk.block.next_at = ret_support->walk.block.next_end =
            last;
    } else { /* the part past the end comes first */
        ret_support->walk.block.end = last - dim;
        ret_support->walk.block.next_at = start;
        ret_support->walk.block.next_end = dim;
    }
    return FL_OK;
}

static size_t block_size(size_t lines, double ratio)
{
    double size = floor((double)lines * ratio + 0.5);
    return size < 1 ? 1 : (size_t)size;
}

static size_t block_count(size_t lines, double ratio)
{
    size_t size = block_size(lines, ratio);
    return (lines + size - 1) / size;
}

static double columns_ratio(const struct fl_grbs *rule, const struct fl_codec_tensor *tensor)
{
    return tensor->columns > 1 ? rule->columns_ratio : 1;
}

static size_t draw_block(struct fl_random *random, size_t lines, double ratio, size_t *ret_end)
{
    size_t size = block_size(lines, ratio);
    size_t start = size * (size_t)fl_random_below(random, block_count(lines, ratio));
    *ret_end = start + size < lines ? start + size : lines;
    return start;
}

/* Sets the walk to the block of the present tensor; an empty one when the tensor takes no part. */
static void grbs_enter(struct fl_support *support)
{
    struct fl_grbs_walk *walk = &support->walk.grbs;
    const struct fl_codec_tensor *tensor = &walk->tensors[walk->tensor];
    const struct fl_grbs *rule = &walk->rule;
    struct fl_random random;
    fl_random_init(&random, walk->seed, walk->tensor);
    int takes_part = fl_random_double(&random) < rule->tensor_ratio;
    walk->row = draw_block(&random, tensor->rows, rule->rows_ratio, &walk->row_end);
    walk->column_start = draw_block(&random, tensor->columns, columns_ratio(rule, tensor), &walk->column_end);
    walk->column = walk->column_start;
    if (!takes_part)
        walk->row = walk->row_end;
}

static void grbs_leave(struct fl_support *support)
{
    struct fl_grbs_walk *walk = &support->walk.grbs;
    const struct fl_codec_tensor *tensor = &walk->tensors[walk->tensor];
    walk->base += tensor->rows * tensor->columns;
    walk->tensor++;
    if (walk->tensor < walk->tensor_count)
        grbs_enter(support);
}

static size_t grbs_next(struct fl_support *support, uint32_t *ret_indices, size_t room)
{
    struct fl_grbs_walk *walk = &support->walk.grbs;
    size_t given = 0;
    while (given < room && walk->tensor < walk->tensor_count) {
        if (walk->row == walk->row_end) {
            grbs_leave(support);
            continue;
        }
        size_t columns = walk->tensors[walk->tensor].columns;
        ret_indices[given++] = (uint32_t)(walk->base + walk->row * columns + walk->column);
        if (++walk->column == walk->column_end) {
            walk->column = walk->column_start;
            walk->row++;
        }
    }
    return given;
}

static int is_ratio(double ratio)
{
    return ratio > 0 && ratio <= 1;
}

static enum fl_status check_tensors(const struct fl_codec_tensor *tensors, size_t tensor_count,
                                    size_t *ret_dim)
{
    size_t dim = 0;
    for (size_t i = 0; i < tensor_count; i++) {
        if (tensors[i].rows == 0 || tensors[i].columns == 0)
            return FL_ERR_SHAPE;
        if (tensors[i].columns > (DIM_MAX - dim) / tensors[i].rows)
            return FL_ERR_LIMIT;
        dim += tensors[i].rows * tensors[i].columns;
    }
    *ret_dim = dim;
    return dim == 0 ? FL_ERR_SHAPE : FL_OK;
}

enum fl_status fl_support_grbs(const struct fl_codec_tensor *tensors, size_t tensor_count,
                               const struct fl_grbs *rule, uint64_t seed, struct fl_support *ret_support)
{
    struct fl_support support = {.delta = 1, .next = grbs_next};
    if (!is_ratio(rule->rows_ratio) || !is_ratio(rule->columns_ratio) || !is_ratio(rule->tensor_ratio))
        return FL_ERR_RANGE;
    enum fl_status st = check_tensors(tensors, tensor_count, &support.dim);
    if (st)
        return st;
    support.walk.grbs.tensors = tensors;
    support.walk.grbs.tensor_count = tensor_count;
    support.walk.grbs.rule = *rule;
    support.walk.grbs.seed = seed;
    grbs_enter(&support);
    struct fl_support first = support;
    while (support.walk.grbs.tensor < tensor_count) {
        const struct fl_codec_tensor *tensor = &tensors[support.walk.grbs.tensor];
        double blocks = (double)block_count(tensor->rows, rule->rows_ratio) *
                        (double)block_count(tensor->columns, columns_ratio(rule, tensor));
        first.delta = fmin(first.delta, rule->tensor_ratio / blocks);
        first.count += (support.walk.grbs.row_end - support.walk.grbs.row) *
                       (support.walk.grbs.column_end - support.walk.grbs.column_start);
        grbs_leave(&support);
    }
    *ret_support = first;
    return FL_OK;
}

size_t fl_support_next(struct fl_support *support, uint32_t ret_indices[FL_SUPPORT_GROUP])
{
    return support->next(support, ret_indices, FL_SUPPORT_GROUP);
}
