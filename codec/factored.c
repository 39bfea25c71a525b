#include "codec/factored.h"

#include <math.h>

#include "base/random.h"
#include "codec/floats.h"
#include "codec/layout.h"
#include "codec/low_rank.h"
#include "codec/state.h"
#include "codec/varint.h"

/* --- writing --- */

static enum fl_status put_floats(const float *values, size_t count, struct fl_buf *out)
{
    uint8_t *at;
    enum fl_status st = count > SIZE_MAX / 4 ? FL_ERR_LIMIT : fl_buf_extend(out, count * 4, &at);
    for (size_t i = 0; !st && i < count; i++)
        fl_store_le32(at + 4 * i, fl_float_bits(values[i]));
    return st;
}

static enum fl_status put_dense(const float *values, size_t count, struct fl_buf *out)
{
    enum fl_status st = fl_varint_put(out, 0);
    return st ? st : put_floats(values, count, out);
}

static enum fl_status put_factors(const struct fl_low_rank *factors, struct fl_buf *out)
{
    enum fl_status st = fl_varint_put(out, factors->rank + 1);
    if (!st)
        st = put_floats(factors->left, factors->rank * factors->rows, out);
    return st ? st : put_floats(factors->right, factors->rank * factors->columns, out);
}

/* Whether rank r takes fewer numbers than the matrix has. */
static int is_cheaper(const struct fl_codec_tensor *tensor, size_t rank)
{
    return rank <= (fl_codec_tensor_elems(tensor) - 1) / (tensor->rows + tensor->columns);
}

/* The rank that power-sgd gives a matrix; 0: it is sent as it is. */
static size_t power_rank(const struct fl_codec_params *params, const struct fl_codec_tensor *tensor)
{
    size_t least = tensor->rows < tensor->columns ? tensor->rows : tensor->columns;
    size_t rank = params->rank < least ? params->rank : least;
    return is_cheaper(tensor, rank) ? rank : 0;
}

/* One power iteration from the right factor that was kept; without one, some from a random start. kept: what
 * is left of the state's body, of which this matrix takes its part. */
static enum fl_status power_iterations(struct fl_low_rank *factors, const struct fl_kernels *kernels,
                                       const float *matrix, size_t rank, uint64_t seed, struct fl_bytes *kept)
{
    enum fl_status st = fl_low_rank_start(factors, rank, seed);
    int iterations = kept->size ? 1 : FL_FACTORED_ITERATIONS;
    for (size_t i = 0; !st && kept->size && i < rank * factors->columns; i++) {
        factors->right[i] = fl_float_from_bits(fl_load_le32(kept->data));
        *kept = (struct fl_bytes){kept->data + 4, kept->size - 4};
    }
    for (int i = 0; !st && i < iterations; i++) {
        st = fl_low_rank_left(factors, kernels, matrix);
        if (!st)
            st = fl_low_rank_orthonormalise(factors, seed);
        if (!st)
            st = fl_low_rank_right(factors, kernels, matrix);
    }
    return st;
}

/* What putting a vector's tensors takes beside their values. */
struct work {
    const struct fl_kernels *kernels;
    const struct fl_codec_params *params;
    struct fl_bytes kept;
    struct fl_buf *out;
};

static enum fl_status put_power(struct work *work, struct fl_low_rank *factors, const float *values,
                                size_t rank, uint64_t seed)
{
    const struct fl_codec_state *state = work->params->state;
    enum fl_status st = power_iterations(factors, work->kernels, values, rank, seed, &work->kept);
    if (!st)
        st = put_factors(factors, work->out);
    return st || !state ? st : put_floats(factors->right, rank * factors->columns, state->next);
}

static enum fl_status put_threshold(struct work *work, struct fl_low_rank *factors, const float *values,
                                    uint64_t seed)
{
    size_t longer = factors->rows < factors->columns ? factors->columns : factors->rows;
    int dense;
    enum fl_status st = fl_low_rank_threshold(factors, work->kernels, values,
                                              (double)work->params->lambda * sqrt((double)longer),
                                              FL_FACTORED_RANK_MAX, seed, &dense);
    if (st)
        return st;
    return dense ? put_dense(values, factors->rows * factors->columns, work->out)
                 : put_factors(factors, work->out);
}

static enum fl_status put_tensor(struct work *work, const struct fl_codec_tensor *tensor, uint64_t seed,
                                 const float *values)
{
    struct fl_low_rank factors;
    int is_power = work->params->id == FL_CODEC_POWER_SGD;
    size_t rank = is_power ? power_rank(work->params, tensor) : (size_t)is_cheaper(tensor, 1);
    if (!rank)
        return put_dense(values, fl_codec_tensor_elems(tensor), work->out);
    enum fl_status st = fl_low_rank_init(&factors, tensor->rows, tensor->columns);
    if (st)
        return st;
    st = is_power ? put_power(work, &factors, values, rank, seed)
                  : put_threshold(work, &factors, values, seed);
    fl_low_rank_done(&factors);
    return st;
}

enum fl_status fl_factored_encode(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                  const float *p, size_t dim, struct fl_buf *payload)
{
    struct work work = {.kernels = kernels, .params = params, .out = payload};
    uint8_t first = FL_PAYLOAD_FACTORED | FL_LAYOUT_VERSION << 4;
    if (params->state)
        work.kept = params->state->kept;
    enum fl_status st = fl_buf_append(payload, &first, 1);
    if (!st)
        st = fl_varint_put(payload, dim);
    for (size_t i = 0; !st && i < params->tensor_count; i++) {
        st = put_tensor(&work, &params->tensors[i], fl_mix64(params->seed, i), p);
        p += fl_codec_tensor_elems(&params->tensors[i]);
    }
    return st;
}

/* --- reading --- */

/* One tensor as it lies in the payload. */
struct part {
    size_t rows, columns, rank;
    const uint8_t *values;       /* of a dense one, else NULL */
    const uint8_t *left, *right; /* rank vectors of rows, and of columns, elements */
};

static enum fl_status get_part(struct fl_cursor *cursor, const struct fl_codec_tensor *tensor,
                               struct part *ret_part)
{
    uint64_t form;
    struct part part = {.rows = tensor->rows, .columns = tensor->columns};
    enum fl_status st = fl_cursor_varint(cursor, &form);
    if (st)
        return st;
    if (!form) {
        st = fl_cursor_bytes(cursor, fl_codec_tensor_elems(tensor) * 4, &part.values);
    } else {
        part.rank = (size_t)form - 1;
        if (!is_cheaper(tensor, part.rank))
            return FL_ERR_RANGE;
        st = fl_cursor_bytes(cursor, part.rank * part.rows * 4, &part.left);
        if (!st)
            st = fl_cursor_bytes(cursor, part.rank * part.columns * 4, &part.right);
    }
    if (!st)
        *ret_part = part;
    return st;
}

static enum fl_status check_floats(const uint8_t *at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!fl_float_bits_finite(fl_load_le32(at + 4 * i)))
            return FL_ERR_NOT_FINITE;
    }
    return FL_OK;
}

int fl_factored_state_fits(const struct fl_codec_params *params, struct fl_bytes body)
{
    size_t count = 0;
    for (size_t i = 0; i < params->tensor_count; i++)
        count += power_rank(params, &params->tensors[i]) * params->tensors[i].columns;
    return body.size == 4 * count && !check_floats(body.data, count);
}

enum fl_status fl_factored_check_head(const struct fl_codec_params *params, struct fl_cursor *cursor,
                                      struct fl_payload *payload)
{
    size_t rank_max = params->id == FL_CODEC_POWER_SGD ? params->rank : FL_FACTORED_RANK_MAX;
    enum fl_status st = FL_OK;
    payload->count = payload->dim;
    payload->tensors = params->tensors;
    payload->tensor_count = params->tensor_count;
    payload->bodies_at = cursor->at;
    for (size_t i = 0; !st && i < params->tensor_count; i++) {
        struct part part;
        st = get_part(cursor, &params->tensors[i], &part);
        if (st)
            return st;
        if (part.rank > rank_max)
            return FL_ERR_RANGE;
        st = check_floats(part.left, part.rank * part.rows);
        if (!st)
            st = check_floats(part.right, part.rank * part.columns);
    }
    return st ? st : fl_cursor_left(cursor) ? FL_ERR_FORMAT : FL_OK;
}

static float load_float(const uint8_t *vector, size_t i)
{
    return fl_float_from_bits(fl_load_le32(vector + 4 * i));
}

/* An element as a receiver decodes it: as fl_low_rank_expand(). */
static float element(const struct part *part, size_t row, size_t column)
{
    double sum = 0;
    if (part->values)
        return load_float(part->values, row * part->columns + column);
    for (size_t j = 0; j < part->rank; j++)
        sum += (double)load_float(part->left, j * part->rows + row) *
               (double)load_float(part->right, j * part->columns + column);
    return (float)sum;
}

/* The part's elements from begin to end, which lie in the vector from base on. */
static enum fl_status walk_part(const struct part *part, uint64_t base, size_t begin, size_t end,
                                fl_group_fn fn, void *user)
{
    struct fl_group group;
    enum fl_status st = FL_OK;
    size_t row = begin / part->columns, column = begin % part->columns;
    for (size_t at = begin; !st && at < end; at += group.size) {
        group.size = end - at < FL_RICE_BLOCK ? end - at : FL_RICE_BLOCK;
        for (size_t i = 0; i < group.size; i++) {
            group.indices[i] = (uint32_t)(base + at + i);
            group.words[i] = fl_float_bits(element(part, row, column));
            if (++column == part->columns) {
                column = 0;
                row++;
            }
        }
        st = fn(user, &group);
    }
    return st;
}

enum fl_status fl_factored_walk(const struct fl_payload *payload, uint64_t begin, uint64_t end,
                                fl_group_fn fn, void *user)
{
    struct fl_cursor cursor = {payload->bytes, payload->bodies_at};
    uint64_t base = 0;
    for (size_t i = 0; i < payload->tensor_count && base < end; i++) {
        struct part part;
        size_t elems = fl_codec_tensor_elems(&payload->tensors[i]);
        enum fl_status st = get_part(&cursor, &payload->tensors[i], &part);
        if (!st && base + elems > begin)
            st = walk_part(&part, base, begin > base ? (size_t)(begin - base) : 0,
                           end - base < elems ? (size_t)(end - base) : elems, fn, user);
        if (st)
            return st;
        base += elems;
    }
    return FL_OK;
}
