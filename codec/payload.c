#include "codec/payload.h"

#include <math.h>

#include "codec/coded.h"
#include "codec/cursor.h"
#include "codec/downlink.h"
#include "codec/factored.h"
#include "codec/floats.h"
#include "codec/group.h"
#include "codec/layout.h"
#include "codec/parts.h"
#include "codec/reader.h"
#include "codec/sketched.h"

static enum fl_status check_size(const struct fl_cursor *cursor, uint64_t size)
{
    size_t left = fl_cursor_left(cursor);
    return left == size ? FL_OK : left < size ? FL_ERR_TRUNCATED : FL_ERR_FORMAT;
}

/* Where rows end and bodies start, and that the rows add up to count and to the bytes there are. */
static enum fl_status check_directory(struct fl_payload *payload, struct fl_cursor *cursor)
{
    uint64_t ranges = fl_layout_range_count(payload->dim, payload->range_log2), count = 0, size = 0;
    payload->directory_at = cursor->at;
    for (uint64_t i = 0; i < ranges; i++) {
        uint64_t row, coded = 0;
        enum fl_status st = fl_cursor_varint(cursor, &row);
        if (!st && row >> 1)
            st = fl_cursor_varint(cursor, &coded);
        if (st)
            return st;
        count += row >> 1;
        size += coded + (fl_payload_has_floats(payload->kind) ? (row >> 1) * 4 : 0);
    }
    payload->bodies_at = cursor->at;
    return count == payload->count ? check_size(cursor, size) : FL_ERR_FORMAT;
}

/* What is known of the values while they are checked. */
struct check {
    struct fl_payload *payload;
    const struct fl_codec_params *params; /* NULL for an assignment */
    size_t tensor, tensor_end, tensor_used;
    double step;
};

/* topk-tensor: no tensor has more than its share. */
static enum fl_status check_tensor_share(struct check *check, uint32_t index)
{
    const struct fl_codec_params *params = check->params;
    while (index >= check->tensor_end) {
        check->tensor_end += fl_codec_tensor_elems(&params->tensors[++check->tensor]);
        check->tensor_used = 0;
    }
    size_t share = fl_codec_top_count(params->ratio, fl_codec_tensor_elems(&params->tensors[check->tensor]));
    return ++check->tensor_used > share ? FL_ERR_RANGE : FL_OK;
}

static enum fl_status check_value(struct check *check, uint32_t index, uint32_t word)
{
    float value = fl_float_from_bits(word);
    if (!fl_float_bits_finite(word))
        return FL_ERR_NOT_FINITE;
    switch (check->payload->kind) {
    case FL_PAYLOAD_THRESHOLD:
        return fabsf(value) >= check->payload->lambda ? FL_OK : FL_ERR_RANGE;
    case FL_PAYLOAD_TOPK:
        return value != 0 ? FL_OK : FL_ERR_RANGE;
    case FL_PAYLOAD_TOPK_TENSOR:
        return value != 0 ? check_tensor_share(check, index) : FL_ERR_RANGE;
    default:
        return FL_OK;
    }
}

/* Levels are in range already; a group's squares are below 2^47. */
static void note_levels(struct check *check, const struct fl_group *group)
{
    struct fl_payload *payload = check->payload;
    struct fl_group_levels found = fl_group_note_levels(fl_rice_level_here(), group->words, group->size);
    if ((int32_t)found.most > payload->level_max)
        payload->level_max = (int32_t)found.most;
    payload->max_abs = (float)((double)payload->level_max * check->step);
    payload->sum_squares += (double)found.squares * check->step * check->step;
}

/* Value by value only where the group as a whole might not do. */
static enum fl_status check_group(void *user, const struct fl_group *group)
{
    struct check *check = user;
    struct fl_payload *payload = check->payload;
    uint32_t wanted = payload->kind == FL_PAYLOAD_TOPK;
    if (payload->on_grid) {
        note_levels(check, group);
        return FL_OK;
    }
    struct fl_group_floats found = fl_group_note_floats(fl_rice_level_here(), group->words, group->size);
    if (payload->kind == FL_PAYLOAD_THRESHOLD)
        wanted = fl_float_bits(payload->lambda);
    if (found.least < wanted || found.most >= FL_FLOAT_INFINITY || payload->kind == FL_PAYLOAD_TOPK_TENSOR) {
        for (size_t i = 0; i < group->size; i++) {
            enum fl_status st = check_value(check, group->indices[i], group->words[i]);
            if (st)
                return st;
        }
    }
    payload->max_abs = fmaxf(payload->max_abs, fl_float_from_bits(found.most));
    payload->sum_squares += found.squares;
    return FL_OK;
}

/* Header fields that only some kinds have, compared with what was agreed. */
static enum fl_status check_lambda(const struct fl_codec_params *params, struct fl_payload *payload,
                                   struct fl_cursor *cursor)
{
    const uint8_t *at;
    if (payload->kind == FL_PAYLOAD_THRESHOLD) {
        enum fl_status st = fl_cursor_bytes(cursor, 4, &at);
        if (st)
            return st;
        payload->lambda = params->lambda;
        return fl_load_le32(at) == fl_float_bits(params->lambda) ? FL_OK : FL_ERR_RANGE;
    }
    if (payload->kind == FL_PAYLOAD_INT_THRESHOLD) {
        int lambda_log2;
        enum fl_status st = fl_cursor_bytes(cursor, 2, &at);
        if (!st)
            st = fl_lambda_log2(params->lambda, &lambda_log2);
        if (st)
            return st;
        payload->lambda = params->lambda;
        payload->step_log2 = params->step_log2;
        payload->shift = fl_layout_shift(lambda_log2, params->step_log2);
        payload->on_grid = 1;
        return (int8_t)at[0] == params->step_log2 && at[1] == payload->shift ? FL_OK : FL_ERR_RANGE;
    }
    return FL_OK;
}

/* Coordinates that may be sent, where that is agreed for the whole vector. */
static size_t most_coordinates(const struct fl_codec_params *params, size_t dim)
{
    const struct fl_codec *codec = params ? fl_codec_find_id(params->id) : NULL;
    return codec && codec->uses_ratio && !codec->uses_tensors ? fl_codec_top_count(params->ratio, dim) : dim;
}

static enum fl_status check_header(const struct fl_codec_params *params, size_t dim, struct fl_cursor *cursor,
                                   struct fl_payload *payload)
{
    const uint8_t *first;
    uint64_t wire_dim, count;
    enum fl_status st = fl_cursor_bytes(cursor, 1, &first);
    if (st)
        return st;
    if ((*first >> 4 & 3) != FL_LAYOUT_VERSION)
        return FL_ERR_VERSION;
    if ((*first & 15) != payload->kind)
        return FL_ERR_FORMAT;
    payload->bitmap = (*first & FL_LAYOUT_BITMAP) != 0;
    payload->adaptive = (*first & FL_LAYOUT_ADAPTIVE) != 0;
    st = fl_cursor_varint(cursor, &wire_dim);
    if (st)
        return st;
    if (wire_dim != dim)
        return FL_ERR_SHAPE;
    if (payload->kind >= FL_PAYLOAD_CODED && payload->kind != FL_PAYLOAD_SUPPORT &&
        (payload->bitmap || payload->adaptive))
        return FL_ERR_FORMAT;
    if (payload->kind == FL_PAYLOAD_PARTS)
        return fl_parts_check(params, cursor, payload);
    if (payload->kind == FL_PAYLOAD_FACTORED)
        return fl_factored_check_head(params, cursor, payload);
    if (payload->kind == FL_PAYLOAD_SKETCHED)
        return fl_sketched_check_head(params, cursor, payload);
    if (payload->kind == FL_PAYLOAD_CODED)
        return fl_coded_check_head(params, most_coordinates(params, dim), cursor, payload);
    count = dim;
    if (payload->kind != FL_PAYLOAD_DENSE)
        st = fl_cursor_varint(cursor, &count);
    if (st)
        return st;
    payload->count = (size_t)count;
    if (count > most_coordinates(params, dim))
        return FL_ERR_RANGE;
    return check_lambda(params, payload, cursor);
}

static enum fl_status check_stream(struct fl_payload *payload, struct fl_cursor *cursor)
{
    uint64_t size;
    enum fl_status st = fl_cursor_varint(cursor, &size);
    if (!st)
        st = fl_cursor_bytes(cursor, (size_t)size, &payload->stream.data);
    if (st)
        return st;
    payload->stream.size = (size_t)size;
    payload->bodies_at = cursor->at;
    return check_size(cursor, fl_payload_has_floats(payload->kind) ? (uint64_t)payload->count * 4 : 0);
}

/* Where directory and bodies lie. Leaves the bodies to fl_payload_walk(). */
static enum fl_status check_layout(struct fl_payload *payload, struct fl_cursor *cursor)
{
    payload->directory_at = payload->bodies_at = cursor->at;
    int coded = payload->kind != FL_PAYLOAD_DENSE && payload->count;
    if (payload->adaptive)
        return coded && !payload->bitmap ? check_stream(payload, cursor) : FL_ERR_FORMAT;
    if (coded)
        payload->range_log2 = fl_layout_range_log2(payload->dim, payload->count);
    int ranges = coded && fl_layout_range_count(payload->dim, payload->range_log2) > 1;
    if (payload->bitmap && (!coded || ranges))
        return FL_ERR_FORMAT;
    if (ranges)
        return check_directory(payload, cursor);
    if (coded)
        return FL_OK;
    return check_size(cursor, payload->kind == FL_PAYLOAD_DENSE ? (uint64_t)payload->dim * 4 : 0);
}

enum fl_status fl_payload_open(const struct fl_codec_params *params, size_t dim, enum fl_payload_kind kind,
                               struct fl_bytes bytes, struct fl_payload *ret_payload)
{
    struct fl_payload payload = {.bytes = bytes, .kind = kind, .dim = dim};
    struct fl_cursor cursor = {.bytes = bytes};
    enum fl_status st = check_header(params, dim, &cursor, &payload);
    if (!st && (kind < FL_PAYLOAD_CODED || kind == FL_PAYLOAD_SUPPORT))
        st = check_layout(&payload, &cursor); /* the others have found where all lies */
    if (!st)
        *ret_payload = payload;
    return st;
}

static enum fl_status check_payload(const struct fl_codec_params *params, size_t dim,
                                    enum fl_payload_kind kind, struct fl_bytes bytes,
                                    struct fl_payload *ret_payload)
{
    struct fl_payload payload;
    struct check check = {.payload = &payload, .params = params};
    enum fl_status st = fl_payload_open(params, dim, kind, bytes, &payload);
    if (st)
        return st;
    check.step = ldexp(1.0, payload.step_log2);
    if (kind == FL_PAYLOAD_TOPK_TENSOR)
        check.tensor_end = fl_codec_tensor_elems(&params->tensors[0]);
    if (kind != FL_PAYLOAD_PARTS) /* whose parts have been checked, each as a payload */
        st = fl_payload_walk(&payload, 0, dim, check_group, &check);
    if (!st)
        *ret_payload = payload;
    return st;
}

enum fl_status fl_payload_check(const struct fl_codec_params *params, size_t dim, struct fl_bytes bytes,
                                struct fl_payload *ret_payload)
{
    enum fl_status st = fl_codec_params_check(params, dim);
    return st ? st : check_payload(params, dim, fl_payload_kind_of(params), bytes, ret_payload);
}

enum fl_payload_kind fl_payload_kind_of(const struct fl_codec_params *params)
{
    return params->dense_below ? FL_PAYLOAD_PARTS
                               : (enum fl_payload_kind)fl_codec_find_id((unsigned)params->id)->kind;
}

enum fl_status fl_sparse_check(size_t dim, struct fl_bytes bytes, struct fl_payload *ret_payload)
{
    if (!dim)
        return FL_ERR_SHAPE;
    if (dim > FL_CODEC_DIM_MAX)
        return FL_ERR_LIMIT;
    return check_payload(NULL, dim, FL_PAYLOAD_ASSIGN, bytes, ret_payload);
}
