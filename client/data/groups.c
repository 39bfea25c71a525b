#include "client/data/groups.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/data/formats.h"
#include "client/data/lines.h"
#include "client/data/number.h"

#define LIMIT_BYTES ((uint64_t)4 << 30) /* of a file, decompressed */

static enum fl_status wrong_rows(const char *name, uint64_t found, size_t rows, struct fl_error *err)
{
    return fl_error_set(err, FL_ERR_FORMAT,
                        "%s: groups of %" PRIu64 " examples, the data has %zu; every example needs one", name,
                        found, rows);
}

static enum fl_status wrong_column(const char *name, uint64_t columns, uint32_t column, struct fl_error *err)
{
    return fl_error_set(err, FL_ERR_FORMAT,
                        "%s: has %" PRIu64 " columns, and the group is column %" PRIu32 " (from 0)", name,
                        columns, column);
}

static enum fl_status groups_read_line(const char *name, size_t number, char *line, uint32_t column,
                                       uint32_t *ret_group, struct fl_error *err)
{
    struct fl_place place = {name, number, (size_t)column + 1};
    char *field = NULL, *rest = line;
    int32_t group;

    for (uint64_t i = 0; i <= column; i++) {
        field = strsep(&rest, ",");
        if (!field)
            return wrong_column(name, i, column, err);
    }
    enum fl_status st = fl_data_number_parse_label(&place, field, &group, err);
    if (st)
        return st;
    if (group < 0)
        return fl_error_set(err, FL_ERR_RANGE, "%s:%zu: group %" PRId32 ", expected 0 or above", name, number,
                            group);
    *ret_group = (uint32_t)group;
    return FL_OK;
}

static enum fl_status groups_read_text(struct fl_stream *stream, uint32_t column, size_t rows,
                                       uint32_t *ret_groups, struct fl_error *err)
{
    const char *name = fl_stream_name(stream);
    struct fl_lines lines;
    enum fl_status st;
    size_t found = 0;
    char *line;

    fl_lines_init(&lines, stream);
    while (!(st = fl_lines_next(&lines, &line, err)) && line) {
        if (line[strspn(line, " \t")] == 0)
            continue;
        if (found < rows)
            st = groups_read_line(name, lines.number, line, column, &ret_groups[found], err);
        if (st)
            break;
        found++;
    }
    fl_lines_done(&lines);
    return st || found == rows ? st : wrong_rows(name, found, rows, err);
}

static enum fl_status groups_read_idx(struct fl_stream *stream, uint32_t column, size_t rows,
                                      uint32_t *ret_groups, struct fl_error *err)
{
    const char *name = fl_stream_name(stream);
    uint64_t count, columns;
    size_t size;

    enum fl_status st = fl_idx_read_header(stream, 1, 2, &size, &count, &columns, err);
    if (st)
        return st;
    if (count != rows)
        return wrong_rows(name, count, rows, err);
    if (column >= columns)
        return wrong_column(name, columns, column, err);
    uint8_t *bytes = malloc((size_t)columns * size);
    if (!bytes)
        return fl_error_nomem(err);
    for (size_t row = 0; !st && row < rows; row++) {
        uint32_t group = 0;
        st = fl_idx_read_row(stream, bytes, (size_t)columns * size, row, count, err);
        if (st)
            break;
        for (size_t i = 0; i < size; i++) /* most significant first */
            group = group << 8 | bytes[column * size + i];
        if (size > 1 && group >> (8 * size - 1)) /* only bytes have no sign */
            st = fl_error_set(err, FL_ERR_RANGE, "%s: example %zu: the group is negative", name, row + 1);
        ret_groups[row] = group;
    }
    free(bytes);
    return st ? st : fl_idx_check_end(stream, count, err);
}

enum fl_status fl_groups_read(const char *path, uint32_t column, size_t rows, uint32_t *ret_groups,
                              struct fl_error *err)
{
    struct fl_stream *stream = NULL;
    uint8_t head[2] = {0};
    size_t got;

    enum fl_status st = fl_stream_open(&path, 1, LIMIT_BYTES, &stream, err);
    if (st)
        return st;
    st = fl_stream_read(stream, head, sizeof(head), &got, err);
    fl_stream_close(stream);
    if (st)
        return st;
    int idx = got == sizeof(head) && head[0] == 0 && head[1] == 0;
    st = fl_stream_open(&path, 1, LIMIT_BYTES, &stream, err); /* from the start, the form is known now */
    if (st)
        return st;
    st = idx ? groups_read_idx(stream, column, rows, ret_groups, err)
             : groups_read_text(stream, column, rows, ret_groups, err);
    fl_stream_close(stream);
    return st;
}
