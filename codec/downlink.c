#include "codec/downlink.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/floats.h"
#include "codec/writer.h"

_Static_assert(sizeof(float) == sizeof(uint32_t), "values travel as their bits");

enum fl_status fl_publish_threshold(const struct fl_kernels *kernels, const double *x, float *x_hat,
                                    uint32_t *touched, size_t dim, double lambda_down, uint32_t version,
                                    size_t *ret_count)
{
    if (!(lambda_down >= 0 && isfinite(lambda_down)))
        return FL_ERR_RANGE;
    for (size_t i = 0; i < dim; i++) {
        if (!isfinite((float)x[i]))
            return FL_ERR_NOT_FINITE;
    }
    *ret_count = kernels->publish(x, x_hat, touched, dim, lambda_down, version);
    return FL_OK;
}

size_t fl_delta_count(const uint32_t *touched, size_t dim, uint32_t have)
{
    size_t count = 0;
    for (size_t i = 0; i < dim; i++)
        count += touched[i] > have;
    return count;
}

/* What a delta is made of, and room for one range of it. */
struct gathering {
    const uint32_t *touched;
    const float *x_hat;
    uint32_t have;
    uint32_t *indices, *words;
    int is_finite;
};

static size_t gather(void *user, uint64_t begin, uint64_t end, const uint32_t **ret_indices,
                     const uint32_t **ret_words)
{
    struct gathering *from = user;
    size_t count = 0;
    for (size_t i = (size_t)begin; i < (size_t)end; i++) {
        if (from->touched[i] <= from->have)
            continue;
        from->is_finite &= isfinite(from->x_hat[i]) != 0;
        from->indices[count] = (uint32_t)i;
        from->words[count++] = fl_float_bits(from->x_hat[i]);
    }
    *ret_indices = from->indices;
    *ret_words = from->words;
    return count;
}

enum fl_status fl_delta_encode(const uint32_t *touched, const float *x_hat, size_t dim, uint32_t have,
                               struct fl_buf *payload)
{
    struct gathering from = {.touched = touched, .x_hat = x_hat, .have = have, .is_finite = 1};
    struct fl_payload_head head = {
        .kind = FL_PAYLOAD_ASSIGN, .dim = dim, .count = fl_delta_count(touched, dim, have)};
    size_t before = payload->size, room = fl_payload_range_most(dim, head.count) + 1;
    enum fl_status st = FL_ERR_NOMEM;
    if (!dim || dim > FL_CODEC_DIM_MAX)
        return dim ? FL_ERR_LIMIT : FL_ERR_SHAPE;
    from.indices = calloc(room, sizeof *from.indices);
    from.words = calloc(room, sizeof *from.words);
    if (from.indices && from.words)
        st = fl_payload_write_from(&head, gather, &from, payload);
    if (!st && !from.is_finite) {
        fl_buf_truncate(payload, before);
        st = FL_ERR_NOT_FINITE;
    }
    free(from.indices);
    free(from.words);
    return st;
}

static enum fl_status check_sparse(const uint32_t *indices, const float *values, size_t count, size_t dim)
{
    if (!dim)
        return FL_ERR_SHAPE;
    if (dim > FL_CODEC_DIM_MAX)
        return FL_ERR_LIMIT;
    for (size_t i = 0; i < count; i++) {
        if (indices[i] >= dim || (i && indices[i] <= indices[i - 1]))
            return FL_ERR_SHAPE;
        if (!isfinite(values[i]))
            return FL_ERR_NOT_FINITE;
    }
    return FL_OK;
}

enum fl_status fl_sparse_encode(const uint32_t *indices, const float *values, size_t count, size_t dim,
                                struct fl_buf *payload)
{
    enum fl_status st = check_sparse(indices, values, count, dim);
    if (st)
        return st;
    struct fl_payload_head head = {.kind = FL_PAYLOAD_ASSIGN, .dim = dim, .count = count};
    uint32_t *words = NULL;
    if (count) {
        words = calloc(count, sizeof *words);
        if (!words)
            return FL_ERR_NOMEM;
        memcpy(words, values, count * sizeof *words);
    }
    st = fl_payload_write(&head, indices, words, payload);
    free(words);
    return st;
}

enum fl_status fl_sparse_apply(struct fl_bytes bytes, float *x, size_t dim)
{
    struct fl_payload payload;
    enum fl_status st = fl_sparse_check(dim, bytes, &payload);
    if (!st)
        fl_payload_assign(&payload, x);
    return st;
}
