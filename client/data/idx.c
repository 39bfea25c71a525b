#include <inttypes.h>
#include <stdlib.h>

#include "client/data/formats.h"

#define IDX_UBYTE      8
#define IDX_LIMIT_DIMS 4

/* The header of an IDX file: two zero bytes, type, number of dimensions, each dimension as 4 bytes, most
 * significant first (the format's description at the MNIST page of LeCun, Cortes and Burges). */
static enum fl_status idx_read_header(struct fl_stream *stream, size_t least_dims, size_t most_dims,
                                      uint64_t *ret_count, uint64_t *ret_each, struct fl_error *err)
{
    const char *name = fl_stream_name(stream);
    uint8_t head[4 + 4 * IDX_LIMIT_DIMS];
    uint64_t each = 1, count = 0;
    size_t got;

    enum fl_status st = fl_stream_read(stream, head, 4, &got, err);
    if (st)
        return st;
    if (got < 4 || head[0] != 0 || head[1] != 0)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: does not open like an IDX file", name);
    if (head[2] != IDX_UBYTE)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: element type 0x%02x, expected 0x08 (unsigned byte)",
                            name, head[2]);
    if (head[3] < least_dims || head[3] > most_dims)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: %u dimensions, expected %zu to %zu", name, head[3],
                            least_dims, most_dims);
    size_t dims = head[3];
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
    *ret_count = count;
    *ret_each = each;
    return FL_OK;
}

/* Exactly size bytes of example number row. */
static enum fl_status idx_read_row(struct fl_stream *stream, uint8_t *to, size_t size, uint64_t row,
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

static enum fl_status idx_check_end(struct fl_stream *stream, uint64_t count, struct fl_error *err)
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
    uint64_t count, label_count, features, one;
    uint8_t *bytes = NULL, label;
    float *x;

    enum fl_status st = idx_read_header(images, 2, IDX_LIMIT_DIMS, &count, &features, err);
    if (!st)
        st = idx_read_header(labels, 1, 1, &label_count, &one, err);
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
        st = idx_read_row(labels, &label, 1, row, count, err);
        if (!st)
            st = idx_read_row(images, bytes, (size_t)features, row, count, err);
        if (!st)
            st = fl_rows_add(rows, label, (size_t)row + 1, &x, err);
        for (size_t j = 0; !st && j < features; j++)
            x[j] = (float)bytes[j];
    }
    if (!st)
        st = idx_check_end(labels, count, err);
    if (!st)
        st = idx_check_end(images, count, err);
    free(bytes);
    return st;
}
