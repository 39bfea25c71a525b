#include "codec/writer.h"

#include <string.h>

#include "codec/adaptive.h"
#include "codec/floats.h"
#include "codec/grid.h"
#include "codec/group.h"
#include "codec/layout.h"
#include "codec/reader.h"
#include "codec/survey.h"
#include "codec/varint.h"

/* Bytes that one group of 64 coordinates can take: a block of gaps, signs, a block of magnitudes. */
#define GROUP_BYTES_MAX (2 * FL_RICE_BLOCK_BYTES_MAX + FL_RICE_BLOCK / 8 + FL_BITS_SLACK)

/* How many coordinates ahead memory is asked for them. */
#define AHEAD (8 * FL_RICE_BLOCK)
/* Bytes that memory gives at once. */
#define LINE 64
/* Where groups wait to be appended: several at once, as bytes that were just written are slow to copy. */
#define ROOM_BYTES (4 * GROUP_BYTES_MAX)

/* A payload on its way: what it is made of, and where it goes. */
struct writing {
    const struct fl_payload_head *head;
    fl_coordinates_fn next;
    void *user;
    unsigned range_log2;
    struct fl_survey survey;
    size_t header; /* bytes of it */
    struct fl_buf *out;
};

/* A range while it is written. */
struct range {
    size_t start, elems;
    const uint32_t *indices, *words;
    size_t count;
};

/* flags: of the first byte. */
static enum fl_status put_header(const struct fl_payload_head *head, unsigned flags, struct fl_buf *out)
{
    uint8_t first = (uint8_t)(head->kind | FL_LAYOUT_VERSION << 4 | flags);
    enum fl_status st = fl_buf_append(out, &first, 1);
    if (!st)
        st = fl_varint_put(out, head->dim);
    if (!st && head->kind != FL_PAYLOAD_DENSE)
        st = fl_varint_put(out, head->count);
    if (st)
        return st;
    uint8_t bytes[4];
    if (head->kind == FL_PAYLOAD_THRESHOLD) {
        fl_store_le32(bytes, fl_float_bits(head->lambda));
        return fl_buf_append(out, bytes, 4);
    }
    if (head->kind == FL_PAYLOAD_INT_THRESHOLD) {
        bytes[0] = (uint8_t)(int8_t)head->step_log2;
        bytes[1] = (uint8_t)head->shift;
        return fl_buf_append(out, bytes, 2);
    }
    return FL_OK;
}

static enum fl_status put_floats(const uint32_t *words, size_t count, struct fl_buf *out)
{
    uint8_t *at;
    if (count > (SIZE_MAX >> 2))
        return FL_ERR_LIMIT;
    enum fl_status st = fl_buf_extend(out, count * 4, &at);
    if (!st)
        memcpy(at, words, count * 4); /* little-endian: codec/bits.h */
    return st;
}

static size_t group_size(const struct range *range, size_t at)
{
    return range->count - at < FL_RICE_BLOCK ? range->count - at : FL_RICE_BLOCK;
}

/* Elements skipped before each index of the group that starts at at. */
static void group_gaps(const struct range *range, size_t at, size_t size, uint32_t *ret_gaps)
{
    const uint32_t *indices = range->indices + at;
    fl_group_gaps(fl_rice_level_here(), indices, size, at ? indices[-1] + 1 : (uint32_t)range->start,
                  ret_gaps);
}

/* Whether one bit an element is no dearer than the blocks of gaps; tried when one element in eight is sent.
 */
static int bitmap_is_cheaper(const struct range *range)
{
    if (range->elems / 8 > range->count)
        return 0;
    struct fl_rice_stream gaps = fl_layout_gaps(range->elems);
    uint64_t total = 0, bits;
    uint32_t numbers[FL_RICE_BLOCK];
    for (size_t at = 0; at < range->count; at += FL_RICE_BLOCK) {
        size_t size = group_size(range, at);
        group_gaps(range, at, size, numbers);
        gaps.parameter = fl_rice_choose(&gaps, numbers, size, &bits);
        total += bits;
    }
    return (range->elems + 7) / 8 * 8 <= total;
}

static enum fl_status put_bitmap(const struct range *range, struct fl_buf *out)
{
    uint8_t *at;
    size_t size = (range->elems + 7) / 8;
    enum fl_status st = fl_buf_extend(out, size, &at);
    if (st)
        return st;
    for (size_t i = 0; i < size; i++)
        at[i] = 0;
    for (size_t i = 0; i < range->count; i++) {
        size_t bit = range->indices[i] - range->start;
        at[bit / 8] |= (uint8_t)(1u << (bit % 8));
    }
    return FL_OK;
}

static void put_levels(struct fl_rice_stream *levels, uint32_t level_min, const uint32_t *words, size_t size,
                       struct fl_bit_writer *writer)
{
    uint32_t numbers[FL_RICE_BLOCK];
    uint64_t bits, negative = fl_group_numbers(fl_rice_level_here(), words, size, level_min, numbers);
    fl_bits_put(writer, negative & UINT32_MAX, size < 32 ? (unsigned)size : 32);
    if (size > 32)
        fl_bits_put(writer, negative >> 32, (unsigned)size - 32);
    fl_rice_write(levels, fl_rice_choose(levels, numbers, size, &bits), numbers, size, writer);
}

/* The gaps of a group in a range with a bitmap, which has no use for them itself. */
static void survey_bitmap(struct fl_survey *survey, const struct range *range, size_t at, size_t size)
{
    uint32_t numbers[FL_RICE_BLOCK];
    group_gaps(range, at, size, numbers);
    fl_survey_add(survey, numbers, size, range->elems * size / range->count);
}

/* Asks for memory that will be needed: what lies behind an array does no harm. */
static void fetch(const uint32_t *array, size_t from)
{
    for (size_t i = 0; i < FL_RICE_BLOCK; i += LINE / sizeof *array)
        __builtin_prefetch((const void *)((uintptr_t)array + (from + i) * sizeof *array));
}

/* Coordinates of some groups later. */
static void fetch_ahead(const struct range *range, size_t at)
{
    fetch(range->indices, at + AHEAD);
    if (range->words)
        fetch(range->words, at + AHEAD);
}

/* The coded part of a range: bitmap or nothing, then groups, padded with zero bits to a whole byte. */
static enum fl_status put_coded(struct writing *writing, const struct range *range, int bitmap)
{
    struct fl_buf *out = writing->out;
    enum fl_status st = bitmap ? put_bitmap(range, out) : FL_OK;
    if (st)
        return st;
    struct fl_rice_stream gaps = fl_layout_gaps(range->elems);
    uint32_t level_min = fl_grid_level_min(writing->head->shift), numbers[FL_RICE_BLOCK];
    struct fl_rice_stream levels = fl_layout_levels(level_min);
    uint8_t room[ROOM_BYTES];
    struct fl_bit_writer writer = {.at = room};
    uint64_t bits;
    for (size_t at = 0; at < range->count; at += FL_RICE_BLOCK) {
        size_t size = group_size(range, at);
        int look = fl_survey_next(&writing->survey);
        fetch_ahead(range, at);
        if (!bitmap) {
            group_gaps(range, at, size, numbers);
            fl_rice_write(&gaps, fl_rice_choose(&gaps, numbers, size, &bits), numbers, size, &writer);
            if (look)
                fl_survey_add(&writing->survey, numbers, size, bits);
        } else if (look) {
            survey_bitmap(&writing->survey, range, at, size);
        }
        if (writing->head->kind == FL_PAYLOAD_INT_THRESHOLD)
            put_levels(&levels, level_min, range->words + at, size, &writer);
        if (writer.at > room + (ROOM_BYTES - GROUP_BYTES_MAX)) {
            st = fl_buf_append(out, room, (size_t)(writer.at - room));
            writer.at = room;
        }
        if (st)
            return st;
    }
    if (writer.fill)
        *writer.at++ = (uint8_t)writer.acc;
    return fl_buf_append(out, room, (size_t)(writer.at - room));
}

/* The coded part and the plain float values of a range; ret_coded: bytes of the first. */
static enum fl_status put_body(struct writing *writing, const struct range *range, int bitmap,
                               size_t *ret_coded)
{
    size_t before = writing->out->size;
    enum fl_status st = put_coded(writing, range, bitmap);
    *ret_coded = writing->out->size - before;
    return st || !fl_payload_has_floats(writing->head->kind)
               ? st
               : put_floats(range->words, range->count, writing->out);
}

/* One range among several: its row of the directory, and its body, which goes to out. */
static enum fl_status put_range(struct writing *writing, const struct range *range, struct fl_buf *directory)
{
    size_t coded;
    int bitmap = range->count && bitmap_is_cheaper(range);
    enum fl_status st = fl_varint_put(directory, (uint64_t)range->count << 1 | (unsigned)bitmap);
    if (st || !range->count)
        return st;
    st = put_body(writing, range, bitmap, &coded);
    return st ? st : fl_varint_put(directory, coded);
}

/* Puts the directory into the room at at, which becomes as large as that. */
static enum fl_status put_directory(struct fl_buf *out, size_t at, size_t room, struct fl_bytes directory)
{
    uint8_t *end;
    size_t bodies = out->size - at - room;
    if (directory.size > room) {
        enum fl_status st = fl_buf_extend(out, directory.size - room, &end);
        if (st)
            return st;
    }
    if (directory.size != room)
        memmove(out->data + at + directory.size, out->data + at + room, bodies);
    memcpy(out->data + at, directory.data, directory.size);
    fl_buf_truncate(out, at + directory.size + bodies);
    return FL_OK;
}

/* The range from start on, with its coordinates. */
static struct range next_range(const struct writing *writing, uint64_t start)
{
    uint64_t dim = writing->head->dim, end = start + (UINT64_C(1) << writing->range_log2);
    if (end > dim)
        end = dim;
    struct range range = {.start = (size_t)start, .elems = (size_t)(end - start)};
    range.count = writing->next(writing->user, start, end, &range.indices, &range.words);
    return range;
}

/* Bodies are written behind room for the directory, which is known last. */
static enum fl_status put_ranges_behind(struct writing *writing, size_t room)
{
    struct fl_buf directory;
    uint8_t *start;
    fl_survey_init(writing->head->count, &writing->survey);
    fl_buf_init(&directory, writing->out->limit);
    size_t before = writing->out->size;
    enum fl_status st = put_header(writing->head, 0, writing->out);
    size_t at = writing->out->size;
    writing->header = at - before;
    if (!st)
        st = fl_buf_extend(writing->out, room, &start);
    for (uint64_t from = 0; !st && from < writing->head->dim; from += UINT64_C(1) << writing->range_log2) {
        struct range range = next_range(writing, from);
        st = put_range(writing, &range, &directory);
    }
    if (!st)
        st = put_directory(writing->out, at, room, fl_buf_view(&directory));
    fl_buf_done(&directory);
    return st;
}

/* With as much room as a directory takes where coordinates are spread evenly, so that bodies need not be
 * moved; and once more without, when there is no room for that. */
static enum fl_status put_ranges(struct writing *writing)
{
    size_t before = writing->out->size,
           room = (size_t)fl_layout_range_count(writing->head->dim, writing->range_log2) * 4;
    enum fl_status st = put_ranges_behind(writing, room);
    if (st != FL_ERR_LIMIT)
        return st;
    fl_buf_truncate(writing->out, before);
    return put_ranges_behind(writing, 0);
}

static enum fl_status put_whole(struct writing *writing)
{
    struct range whole = next_range(writing, 0);
    fl_survey_init(writing->head->count, &writing->survey);
    int bitmap = bitmap_is_cheaper(&whole);
    size_t coded, before = writing->out->size;
    enum fl_status st = put_header(writing->head, bitmap ? FL_LAYOUT_BITMAP : 0, writing->out);
    writing->header = writing->out->size - before;
    return st ? st : put_body(writing, &whole, bitmap, &coded);
}

/* --- adaptive code --- */

/* Appends the coordinates of a range. */
static enum fl_status put_adaptive_range(struct fl_adaptive_writer *writer, const struct range *range,
                                         struct fl_buf *stream)
{
    uint8_t *start;
    for (size_t at = 0; at < range->count; at += FL_RICE_BLOCK) {
        enum fl_status st = fl_buf_extend(stream, FL_ADAPTIVE_GROUP_BYTES, &start);
        if (st)
            return st;
        uint8_t *end = fl_adaptive_put(writer, start, range->indices + at,
                                       range->words ? range->words + at : NULL, group_size(range, at));
        fl_buf_truncate(stream, (size_t)(end - stream->data));
    }
    return FL_OK;
}

static enum fl_status put_adaptive_stream(const struct writing *writing, struct fl_buf *stream)
{
    struct fl_adaptive_writer writer;
    uint8_t *start;
    enum fl_status st = FL_OK;
    fl_adaptive_writer_init(writing->head->kind == FL_PAYLOAD_INT_THRESHOLD,
                            fl_grid_level_min(writing->head->shift), &writer);
    for (uint64_t at = 0; !st && at < writing->head->dim; at += UINT64_C(1) << writing->range_log2) {
        struct range range = next_range(writing, at);
        st = put_adaptive_range(&writer, &range, stream);
    }
    if (!st)
        st = fl_buf_extend(stream, 1, &start);
    if (!st)
        fl_buf_truncate(stream, (size_t)(fl_adaptive_put_end(&writer, start) - stream->data));
    return st;
}

static enum fl_status put_all_floats(const struct writing *writing)
{
    enum fl_status st = FL_OK;
    for (uint64_t start = 0; !st && start < writing->head->dim; start += UINT64_C(1) << writing->range_log2) {
        struct range range = next_range(writing, start);
        st = put_floats(range.words, range.count, writing->out);
    }
    return st;
}

/* The payload with a stream already made; what was written since before is given up. */
static enum fl_status put_adaptive(const struct writing *writing, size_t before, struct fl_bytes stream)
{
    fl_buf_truncate(writing->out, before);
    enum fl_status st = put_header(writing->head, FL_LAYOUT_ADAPTIVE, writing->out);
    if (!st)
        st = fl_varint_put(writing->out, stream.size);
    if (!st)
        st = fl_buf_append(writing->out, stream.data, stream.size);
    return st || !fl_payload_has_floats(writing->head->kind) ? st : put_all_floats(writing);
}

/* Bytes that a stream may have to be worth its time, with the header and two more for its size, in place of
 * what was written since before. */
static size_t stream_most(const struct writing *writing, size_t before)
{
    uint64_t written = writing->out->size - before,
             floats = fl_payload_has_floats(writing->head->kind) ? writing->head->count * 4 : 0,
             most = (written - floats) * (100 - FL_SURVEY_SAVING) / 100;
    return most > writing->header + 2 ? (size_t)(most - writing->header - 2) : 0;
}

/* Adaptive code in place of what was written since before, if it was asked for or is worth its time. */
static enum fl_status try_adaptive(const struct writing *writing, size_t before)
{
    int wanted = writing->head->coding == FL_CODING_ADAPTIVE;
    size_t most = wanted ? writing->out->limit : stream_most(writing, before);
    struct fl_buf stream;
    fl_buf_init(&stream, most + FL_ADAPTIVE_GROUP_BYTES);
    enum fl_status st = put_adaptive_stream(writing, &stream);
    if (st == FL_OK && stream.size <= most)
        st = put_adaptive(writing, before, fl_buf_view(&stream));
    else if (st == FL_ERR_LIMIT && !wanted)
        st = FL_OK; /* what was written stays */
    fl_buf_done(&stream);
    return st;
}

static enum fl_status write_payload(struct writing *writing)
{
    const struct fl_payload_head *head = writing->head;
    size_t before = writing->out->size;
    if (!head->count)
        return put_header(head, 0, writing->out);
    writing->range_log2 = fl_layout_range_log2(head->dim, head->count);
    if (head->coding == FL_CODING_ADAPTIVE)
        return try_adaptive(writing, before);
    fl_survey_init(head->count, &writing->survey);
    enum fl_status st =
        fl_layout_range_count(head->dim, writing->range_log2) > 1 ? put_ranges(writing) : put_whole(writing);
    if (st || head->coding == FL_CODING_RANGES || !fl_survey_promises(&writing->survey))
        return st;
    return try_adaptive(writing, before);
}

enum fl_status fl_payload_write_from(const struct fl_payload_head *head, fl_coordinates_fn next, void *user,
                                     struct fl_buf *payload)
{
    size_t before = payload->size;
    struct writing writing = {.head = head, .next = next, .user = user, .out = payload};
    enum fl_status st = write_payload(&writing);
    if (st)
        fl_buf_truncate(payload, before);
    return st;
}

size_t fl_payload_range_most(size_t dim, size_t count)
{
    uint64_t elems = count ? UINT64_C(1) << fl_layout_range_log2(dim, count) : 0;
    return elems < count ? (size_t)elems : count;
}

/* Arrays that hold all coordinates. */
struct arrays {
    const uint32_t *indices, *words;
    size_t count, at;
};

/* Where the first index from end on stands: in growing steps, then between the last two. */
static size_t first_from(const struct arrays *arrays, uint64_t end)
{
    size_t low = arrays->at, step = 64;
    while (arrays->count - low > step && arrays->indices[low + step] < end) {
        low += step;
        step *= 2;
    }
    size_t high = arrays->count - low > step ? low + step : arrays->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (arrays->indices[middle] < end)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t slice(void *user, uint64_t begin, uint64_t end, const uint32_t **ret_indices,
                    const uint32_t **ret_words)
{
    struct arrays *arrays = user;
    if (!begin)
        arrays->at = 0;
    size_t first = arrays->at;
    *ret_indices = arrays->indices + first;
    *ret_words = arrays->words ? arrays->words + first : NULL;
    arrays->at = first_from(arrays, end);
    return arrays->at - first;
}

enum fl_status fl_payload_write(const struct fl_payload_head *head, const uint32_t *indices,
                                const uint32_t *words, struct fl_buf *payload)
{
    struct arrays arrays = {indices, words, head->count, 0};
    return fl_payload_write_from(head, slice, &arrays, payload);
}

enum fl_status fl_payload_write_dense(const float *values, size_t dim, struct fl_buf *payload)
{
    size_t before = payload->size;
    struct fl_payload_head head = {.kind = FL_PAYLOAD_DENSE, .dim = dim};
    uint8_t *at;
    enum fl_status st = dim > (SIZE_MAX >> 2) ? FL_ERR_LIMIT : put_header(&head, 0, payload);
    if (!st)
        st = fl_buf_extend(payload, dim * 4, &at);
    for (size_t i = 0; !st && i < dim; i++)
        fl_store_le32(at + 4 * i, fl_float_bits(values[i]));
    if (st)
        fl_buf_truncate(payload, before);
    return st;
}
