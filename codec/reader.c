#include "codec/reader.h"

#include <string.h>

#include "codec/adaptive.h"
#include "codec/coded.h"
#include "codec/cursor.h"
#include "codec/factored.h"
#include "codec/grid.h"
#include "codec/group.h"
#include "codec/layout.h"
#include "codec/parts.h"
#include "codec/sketched.h"

/* One range as the directory tells it. */
struct range {
    uint64_t start, elems;
    size_t count;
    int bitmap;
    struct fl_bytes coded, floats;
};

/* The next row of the directory and its part of the bodies. */
static enum fl_status get_range(struct fl_cursor *directory, struct fl_cursor *bodies, unsigned kind,
                                struct range *range)
{
    uint64_t row, coded;
    enum fl_status st = fl_cursor_varint(directory, &row);
    if (st)
        return st;
    range->count = (size_t)(row >> 1);
    range->bitmap = row & 1;
    range->coded = range->floats = (struct fl_bytes){0};
    if (range->count > range->elems)
        return FL_ERR_RANGE;
    if (!range->count)
        return range->bitmap ? FL_ERR_FORMAT : FL_OK;
    st = fl_cursor_varint(directory, &coded);
    if (st)
        return st;
    range->coded.size = (size_t)coded;
    range->floats.size = fl_payload_has_floats(kind) ? range->count * 4 : 0;
    st = fl_cursor_bytes(bodies, range->coded.size, &range->coded.data);
    return st ? st : fl_cursor_bytes(bodies, range->floats.size, &range->floats.data);
}

/* Next size indices of a bitmap, whose position is where to go on. */
static enum fl_status read_bitmap(const struct range *range, struct fl_bit_reader *bitmap, size_t size,
                                  uint32_t *ret_indices)
{
    for (size_t i = 0; i < size; i++) {
        uint64_t next = bitmap->pos + fl_bits_get_unary(bitmap, &bitmap->pos, range->elems);
        if (next >= range->elems)
            return FL_ERR_FORMAT;
        ret_indices[i] = (uint32_t)(range->start + next);
    }
    return FL_OK;
}

static enum fl_status read_gaps(const struct range *range, struct fl_rice_stream *gaps,
                                struct fl_bit_reader *reader, uint64_t *next, size_t size,
                                uint32_t *ret_indices)
{
    uint32_t numbers[FL_RICE_BLOCK];
    enum fl_status st = fl_rice_read(gaps, reader, size, numbers);
    if (st)
        return st;
    *next = fl_group_indices(fl_rice_level_here(), numbers, size, *next, ret_indices);
    return *next <= range->start + range->elems ? FL_OK : FL_ERR_RANGE;
}

static enum fl_status read_levels(struct fl_rice_stream *levels, uint32_t level_min,
                                  struct fl_bit_reader *reader, size_t size, uint32_t *ret_words)
{
    uint32_t numbers[FL_RICE_BLOCK];
    unsigned low = size < 32 ? (unsigned)size : 32, high = (unsigned)size - low;
    uint64_t negative = fl_bits_get(reader, &reader->pos, low);
    negative |= (uint64_t)fl_bits_get(reader, &reader->pos, high) << 32;
    enum fl_status st = fl_rice_read(levels, reader, size, numbers);
    if (!st)
        fl_group_words(fl_rice_level_here(), numbers, negative, size, level_min, ret_words);
    return st;
}

/* After the last group: only zero bits to the next whole byte, and no further byte. A bitmap ends with zeros
 * after its last element too. */
static enum fl_status check_end(const struct range *range, const struct fl_bit_reader *reader,
                                const struct fl_bit_reader *bitmap)
{
    uint64_t pad = (8 - reader->pos % 8) % 8;
    if (reader->pos + pad != (uint64_t)reader->size * 8)
        return FL_ERR_FORMAT;
    if (fl_bits_peek(reader, reader->pos) & ((UINT64_C(1) << pad) - 1))
        return FL_ERR_FORMAT;
    for (uint64_t bit = bitmap->pos; range->bitmap && bit < (uint64_t)bitmap->size * 8; bit += 56) {
        if (fl_bits_peek(bitmap, bit))
            return FL_ERR_FORMAT;
    }
    return FL_OK;
}

/* Gives every group of a range with an index below end to fn. */
static enum fl_status walk_range(const struct fl_payload *payload, const struct range *range, uint64_t end,
                                 fl_group_fn fn, void *user)
{
    uint64_t bitmap_bytes = range->bitmap ? (range->elems + 7) / 8 : 0, next = range->start;
    if (!range->count)
        return FL_OK; /* it has no body */
    if (bitmap_bytes > range->coded.size)
        return FL_ERR_TRUNCATED;
    struct fl_bit_reader bitmap = {.data = range->coded.data, .size = (size_t)bitmap_bytes};
    struct fl_bit_reader reader = {.data = range->coded.data + bitmap_bytes,
                                   .size = range->coded.size - (size_t)bitmap_bytes};
    reader.extra = (size_t)(payload->bytes.data + payload->bytes.size - (reader.data + reader.size));
    uint32_t level_min = fl_grid_level_min(payload->shift);
    struct fl_rice_stream gaps = fl_layout_gaps(range->elems), levels = fl_layout_levels(level_min);
    struct fl_group group;
    for (size_t at = 0; at < range->count; at += group.size) {
        group.size = range->count - at < FL_RICE_BLOCK ? range->count - at : FL_RICE_BLOCK;
        enum fl_status st = range->bitmap
                                ? read_bitmap(range, &bitmap, group.size, group.indices)
                                : read_gaps(range, &gaps, &reader, &next, group.size, group.indices);
        if (!st && payload->on_grid)
            st = read_levels(&levels, level_min, &reader, group.size, group.words);
        if (st)
            return st;
        if (range->floats.size)
            memcpy(group.words, range->floats.data + 4 * at, 4 * group.size);
        st = fn(user, &group);
        if (st)
            return st;
        if (group.indices[group.size - 1] >= end)
            return FL_OK;
    }
    return check_end(range, &reader, &bitmap);
}

/* From the first coordinate on, since the odds are known no earlier. */
static enum fl_status walk_adaptive(const struct fl_payload *payload, uint64_t begin, uint64_t end,
                                    fl_group_fn fn, void *user)
{
    const uint8_t *floats =
        fl_payload_has_floats(payload->kind) ? payload->bytes.data + payload->bodies_at : NULL;
    struct fl_adaptive_reader reader;
    struct fl_group group;
    fl_adaptive_reader_init(payload->stream.data, payload->stream.size, payload->on_grid,
                            fl_grid_level_min(payload->shift), &reader);
    for (size_t at = 0; at < payload->count; at += group.size) {
        group.size = payload->count - at < FL_RICE_BLOCK ? payload->count - at : FL_RICE_BLOCK;
        enum fl_status st = fl_adaptive_get(&reader, payload->dim, group.size, group.indices, group.words);
        if (!st && floats)
            memcpy(group.words, floats + 4 * at, 4 * group.size);
        if (!st && group.indices[group.size - 1] >= begin)
            st = fn(user, &group);
        if (st)
            return st;
        if (group.indices[group.size - 1] >= end)
            return FL_OK;
    }
    return fl_adaptive_get_end(&reader);
}

static enum fl_status walk_dense(const struct fl_payload *payload, uint64_t begin, uint64_t end,
                                 fl_group_fn fn, void *user)
{
    const uint8_t *values = payload->bytes.data + payload->bodies_at;
    struct fl_group group;
    for (uint64_t at = begin; at < end; at += group.size) {
        group.size = end - at < FL_RICE_BLOCK ? (size_t)(end - at) : FL_RICE_BLOCK;
        for (size_t i = 0; i < group.size; i++) {
            group.indices[i] = (uint32_t)(at + i);
            group.words[i] = fl_load_le32(values + 4 * (at + i));
        }
        enum fl_status st = fn(user, &group);
        if (st)
            return st;
    }
    return FL_OK;
}

enum fl_status fl_payload_walk(const struct fl_payload *payload, uint64_t begin, uint64_t end, fl_group_fn fn,
                               void *user)
{
    if (payload->kind == FL_PAYLOAD_DENSE)
        return walk_dense(payload, begin, end, fn, user);
    if (payload->kind == FL_PAYLOAD_FACTORED)
        return fl_factored_walk(payload, begin, end, fn, user);
    if (payload->kind == FL_PAYLOAD_CODED)
        return fl_coded_walk(payload, end, fn, user);
    if (payload->kind == FL_PAYLOAD_PARTS)
        return fl_parts_walk(payload, begin, end, fn, user);
    if (payload->kind == FL_PAYLOAD_SKETCHED)
        return fl_sketched_walk(payload, end, fn, user);
    if (!payload->count)
        return FL_OK;
    if (payload->adaptive)
        return walk_adaptive(payload, begin, end, fn, user);
    struct fl_cursor directory = {payload->bytes, payload->directory_at};
    struct fl_cursor bodies = {payload->bytes, payload->bodies_at};
    struct range range = {.elems = payload->dim, .count = payload->count, .bitmap = payload->bitmap};
    if (fl_layout_range_count(payload->dim, payload->range_log2) == 1) {
        size_t left = fl_cursor_left(&bodies),
               floats = fl_payload_has_floats(payload->kind) ? payload->count * 4 : 0;
        if (left < floats)
            return FL_ERR_TRUNCATED;
        range.coded = (struct fl_bytes){bodies.bytes.data + bodies.at, left - floats};
        range.floats = (struct fl_bytes){range.coded.data + range.coded.size, floats};
        return walk_range(payload, &range, end, fn, user);
    }
    for (uint64_t start = 0; start < payload->dim && start < end;
         start += UINT64_C(1) << payload->range_log2) {
        uint64_t left = payload->dim - start;
        range.start = start;
        range.elems = left < UINT64_C(1) << payload->range_log2 ? left : UINT64_C(1) << payload->range_log2;
        enum fl_status st = get_range(&directory, &bodies, payload->kind, &range);
        if (!st && start + range.elems > begin)
            st = walk_range(payload, &range, end, fn, user);
        if (st)
            return st;
    }
    return FL_OK;
}
