#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "client/data/formats.h"
#include "client/data/lines.h"
#include "client/data/number.h"

static size_t csv_columns(const char *line)
{
    size_t columns = 1;

    for (; *line; line++)
        columns += *line == ',';
    return columns;
}

static int csv_blank(const char *line)
{
    return line[strspn(line, " \t")] == 0;
}

/* Has a field that opens with a letter or a quote and is not NaN or infinity. */
static int csv_is_header(const char *line)
{
    for (const char *field = line; field; field = strchr(field, ',')) {
        char *end;
        field += *field == ',';
        field += strspn(field, " \t");
        if (*field == '"')
            return 1;
        if (!isalpha((unsigned char)*field))
            continue;
        strtod(field, &end);
        if (end == field || (*end && *end != ','))
            return 1;
    }
    return 0;
}

static enum fl_status csv_add(struct fl_rows *rows, char *line, size_t number, size_t label_at,
                              struct fl_error *err)
{
    struct fl_place place = {rows->name, number, 1};
    char *field, *rest = line;
    size_t feature = 0;
    int32_t label;
    float value;

    for (size_t column = 0; column < label_at; column++)
        rest = strchr(rest, ',') + 1;
    place.column = label_at + 1;
    char *label_end = strchrnul(rest, ','), kept = *label_end;
    *label_end = 0;
    enum fl_status st = fl_data_number_parse_label(&place, rest, &label, err);
    *label_end = kept;
    if (!st)
        st = fl_rows_add(rows, label, number, err);
    if (!st && rows->scan && !fl_rows_wants(rows))
        return FL_OK; /* another client's row, and the scan found it right */
    rest = line;
    place.column = 1;
    while (!st && (field = strsep(&rest, ","))) {
        if (place.column != label_at + 1) {
            st = fl_data_number_parse(&place, field, &value, err);
            if (!st)
                fl_rows_put(rows, feature++, value);
        }
        place.column++;
    }
    return st;
}

enum fl_status fl_csv_read(struct fl_stream *stream, struct fl_rows *rows, struct fl_error *err)
{
    const struct fl_data_source *source = rows->source;
    struct fl_lines lines;
    enum fl_status st;
    char *line;

    fl_lines_init(&lines, stream);
    while (!(st = fl_lines_next(&lines, &line, err)) && line) {
        if (lines.number == 1) {
            if (strncmp(line, "\xef\xbb\xbf", 3) == 0) /* byte order mark */
                line += 3;
            if (source->header == FL_CSV_HEADER_YES ||
                (source->header == FL_CSV_HEADER_AUTO && csv_is_header(line)))
                continue;
        }
        if (csv_blank(line))
            continue;
        size_t columns = csv_columns(line);
        size_t label_at = source->label_column < 0 ? columns - 1 : (size_t)source->label_column;
        if (rows->features == 0) {
            if (label_at >= columns)
                st = fl_error_set(err, FL_ERR_FORMAT, "%s:%zu: %zu columns, and the label is column %zu",
                                  rows->name, lines.number, columns, label_at + 1);
            else
                st = fl_rows_set_features(rows, lines.number, columns - 1, err);
        } else if (columns != rows->features + 1) {
            st = fl_error_set(err, FL_ERR_FORMAT, "%s:%zu: %zu columns, expected %zu", rows->name,
                              lines.number, columns, rows->features + 1);
        }
        if (!st)
            st = csv_add(rows, line, lines.number, label_at, err);
        if (st)
            break;
    }
    fl_lines_done(&lines);
    return st;
}
