#include "codec/factored.h"

#include <math.h>

#include "base/random.h"
#include "codec/floats.h"
#include "codec/layout.h"
#include "codec/low_rank.h"
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

static enum fl_status power_iterations(struct fl_low_rank *factors, const struct fl_kernels *kernels,
                                       const float *matrix, size_t rank, uint64_t seed)
{
    enum fl_status st = fl_low_rank_start(factors, rank, seed);
    for (int i = 0; !st && i < FL_FACTORED_ITERATIONS; i++) {
        st = fl_low_rank_left(factors, kernels, matrix);
        if (!st)
            st = fl_low_rank_orthonormalise(factors, seed);
        if (!st)
            st = fl_low_rank_right(factors, kernels, matrix);
    }
    return st;
}

static enum fl_status put_tensor(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                 const struct fl_codec_tensor *tensor, uint64_t seed, const float *values,
                                 struct fl_buf *out)
{
    struct fl_low_rank factors;
    size_t least = tensor->rows < tensor->columns ? tensor->rows : tensor->columns;
    size_t most = tensor->rows < tensor->columns ? tensor->columns : tensor->rows;
    size_t rank = params->rank < least ? params->rank : least;
    int dense = !is_cheaper(tensor, params->id == FL_CODEC_POWER_SGD ? rank : 1);
    if (dense)
        return put_dense(values, fl_codec_tensor_elems(tensor), out);
    enum fl_status st = fl_low_rank_init(&factors, tensor->rows, tensor->columns);
    if (st)
        return st;
    if (params->id == FL_CODEC_POWER_SGD)
        st = power_iterations(&factors, kernels, values, rank, seed);
    else
        st = fl_low_rank_threshold(&factors, kernels, values, (double)params->lambda * sqrt((double)most),
                                   FL_FACTORED_RANK_MAX, seed, &dense);
    if (!st)
        st = dense ? put_dense(values, fl_codec_tensor_elems(tensor), out) : put_factors(&factors, out);
    fl_low_rank_done(&factors);
    return st;
}

enum fl_status fl_factored_encode(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                  const float *p, size_t dim, struct fl_buf *payload)
{
    uint8_t first = FL_PAYLOAD_FACTORED | FL_LAYOUT_VERSION << 4;
    enum fl_status st = fl_buf_append(payload, &first, 1);
    if (!st)
        st = fl_varint_put(payload, dim);
    for (size_t i = 0; !st && i < params->tensor_count; i++) {
        st = put_tensor(kernels, params, &params->tensors[i], fl_mix64(params->seed, i), p, payload);
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

enum fl_status fl_factored_check_head(const struct fl_codec_params *params, struct fl_cursor *cursor,
                                      struct fl_payload *payload)
{
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
        if (params->id == FL_CODEC_POWER_SGD && part.rank > params->rank)
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

/* Element i as a receiver decodes it: as fl_low_rank_expand(). */
static float element(const struct part *part, size_t i)
{
    size_t row = i / part->columns, column = i % part->columns;
    double sum = 0;
    if (part->values)
        return load_float(part->values, i);
    for (size_t j = 0; j < part->rank; j++)
        sum += (double)load_float(part->left, j * part->rows + row) *
               (double)load_float(part->right, j * part->columns + column);
    return (float)sum;
}

static enum fl_status walk_part(const struct part *part, uint64_t base, fl_group_fn fn, void *user)
{
    struct fl_group group;
    enum fl_status st = FL_OK;
    size_t elems = part->rows * part->columns;
    for (size_t at = 0; !st && at < elems; at += group.size) {
        group.size = elems - at < FL_RICE_BLOCK ? elems - at : FL_RICE_BLOCK;
        for (size_t i = 0; i < group.size; i++) {
            group.indices[i] = (uint32_t)(base + at + i);
            group.words[i] = fl_float_bits(element(part, at + i));
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
            st = walk_part(&part, base, fn, user);
        if (st)
            return st;
        base += elems;
    }
    return FL_OK;
}
