#include <inttypes.h>
#include <stdlib.h>

#include "client/data/formats.h"

#define IDX_UBYTE      8
#define IDX_SHORT      11
#define IDX_INT        12
#define IDX_LIMIT_DIMS 4

enum fl_status fl_idx_read_header(struct fl_stream *stream, size_t least_dims, size_t most_dims,
                                  size_t *ret_element_bytes, uint64_t *ret_count, uint64_t *ret_each,
                                  struct fl_error *err)
{
    static const uint8_t element_bytes[] = {[IDX_UBYTE] = 1, [IDX_SHORT] = 2, [IDX_INT] = 4};
    const char *name = fl_stream_name(stream);
    uint8_t head[4 + 4 * IDX_LIMIT_DIMS];
    uint64_t each = 1, count = 0;
    size_t got;

    enum fl_status st = fl_stream_read(stream, head, 4, &got, err);
    if (st)
        return st;
    if (got < 4 || head[0] != 0 || head[1] != 0)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: does not open like an IDX file", name);
    if (ret_element_bytes && (head[2] >= sizeof(element_bytes) || element_bytes[head[2]] == 0))
        return fl_error_set(err, FL_ERR_FORMAT,
                            "%s: element type 0x%02x, expected 0x08, 0x0b or 0x0c (1, 2 or 4 bytes)", name,
                            head[2]);
    if (!ret_element_bytes && head[2] != IDX_UBYTE)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: element type 0x%02x, expected 0x08 (unsigned byte)",
                            name, head[2]);
    if (head[3] < least_dims || head[3] > most_dims)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: %u dimensions, expected %zu to %zu", name, head[3],
                            least_dims, most_dims);
    size_t dims = head[3], each_bytes = element_bytes[head[2]];
    st = fl_stream_read(stream, head, 4 * dims, &got, err);
    if (st)
        return st;
    if (got < 4 * dims)
        return fl_error_set(err, FL_ERR_TRUNCATED, "%s: ends inside its header", name);
    for (size_t i = 0; i < dims; i++) {
        const uint8_t *at = head + 4 * i;
        uint64_t size = (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | at[3];
        if (i == 0)
            count = size;
        else if (size == 0 || size > FL_DATA_LIMIT_FEATURES / each)
            return fl_error_set(err, FL_ERR_LIMIT,
                                "%s: dimension %zu is %" PRIu64 ", examples of 1 to %" PRIu32
                                " elements are allowed",
                                name, i + 1, size, FL_DATA_LIMIT_FEATURES);
        else
            each *= size;
    }
    if (ret_element_bytes)
        *ret_element_bytes = each_bytes;
    *ret_count = count;
    *ret_each = each;
    return FL_OK;
}

enum fl_status fl_idx_read_row(struct fl_stream *stream, uint8_t *to, size_t size, uint64_t row,
                               uint64_t count, struct fl_error *err)
{
    size_t got;
    enum fl_status st = fl_stream_read(stream, to, size, &got, err);

    if (!st && got < size)
        return fl_error_set(err, FL_ERR_TRUNCATED,
                            "%s: declares %" PRIu64 " examples, ends inside number %" PRIu64,
                            fl_stream_name(stream), count, row + 1);
    return st;
}

enum fl_status fl_idx_check_end(struct fl_stream *stream, uint64_t count, struct fl_error *err)
{
    uint8_t byte;
    size_t got;
    enum fl_status st = fl_stream_read(stream, &byte, 1, &got, err);

    if (!st && got > 0)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: declares %" PRIu64 " examples, more bytes follow",
                            fl_stream_name(stream), count);
    return st;
}

enum fl_status fl_idx_read(struct fl_stream *images, struct fl_stream *labels, struct fl_rows *rows,
                           struct fl_error *err)
{
    bool needs_images = rows->scan || rows->measure;
    uint64_t count, label_count, features, one;
    uint8_t *bytes = NULL, label;

    enum fl_status st = fl_idx_read_header(images, 2, IDX_LIMIT_DIMS, NULL, &count, &features, err);
    if (!st)
        st = fl_idx_read_header(labels, 1, 1, NULL, &label_count, &one, err);
    if (st)
        return st;
    if (count != label_count)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: %" PRIu64 " labels, expected %" PRIu64 " as in %s",
                            rows->name, label_count, count, fl_stream_name(images));
    st = fl_rows_set_features(rows, 1, features, err);
    if (!st)
        st = fl_rows_expect(rows, count, err);
    if (st)
        return st;
    bytes = malloc((size_t)features);
    if (!bytes)
        return fl_error_nomem(err);
    for (uint64_t row = 0; !st && row < count; row++) {
        st = fl_idx_read_row(labels, &label, 1, row, count, err);
        if (!st && needs_images)
            st = fl_idx_read_row(images, bytes, (size_t)features, row, count, err);
        if (!st)
            st = fl_rows_add(rows, label, (size_t)row + 1, err);
        for (size_t j = 0; !st && fl_rows_wants(rows) && j < features; j++)
            fl_rows_put(rows, j, (float)bytes[j]);
    }
    if (!st)
        st = fl_idx_check_end(labels, count, err);
    if (!st && needs_images)
        st = fl_idx_check_end(images, count, err);
    free(bytes);
    return st;
}
