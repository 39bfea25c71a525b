#include <stdlib.h>
#include <string.h>

#include "client/data/formats.h"
#include "client/data/lines.h"
#include "client/data/number.h"

/* "INDEX:VALUE"; the index must be above *last. */
static enum fl_status libsvm_parse_item(const struct fl_place *place, char *item, uint32_t *last,
                                        float *ret_value, struct fl_error *err)
{
    char *colon = strchr(item, ':'), *end;

    if (!colon || item[strspn(item, "0123456789")] != ':' || colon == item)
        return fl_error_set(err, FL_ERR_FORMAT, "%s:%zu: column %zu: \"%.40s\", expected INDEX:VALUE",
                            place->name, place->line, place->column, item);
    unsigned long long index = strtoull(item, &end, 10);
    if (index == 0 || index > FL_DATA_LIMIT_FEATURES)
        return fl_error_set(err, FL_ERR_RANGE, "%s:%zu: column %zu: index in \"%.40s\", expected 1 to %u",
                            place->name, place->line, place->column, item, FL_DATA_LIMIT_FEATURES);
    if (index <= *last)
        return fl_error_set(err, FL_ERR_FORMAT, "%s:%zu: column %zu: index %llu is not above %u before it",
                            place->name, place->line, place->column, index, *last);
    *last = (uint32_t)index;
    return fl_data_number_parse(place, colon + 1, ret_value, err);
}

/* A scan learns the number of features from the largest index, unless the source says it. */
static enum fl_status libsvm_put(struct fl_rows *rows, const struct fl_place *place, uint32_t index,
                                 float value, struct fl_error *err)
{
    if (index > rows->features) {
        if (rows->source->features || rows->scan)
            return fl_error_set(err, FL_ERR_RANGE, "%s:%zu: index %u, expected at most %zu features",
                                place->name, place->line, index, rows->features);
        enum fl_status st = fl_rows_set_features(rows, place->line, index, err);
        if (st)
            return st;
    }
    fl_rows_put(rows, index - 1, value);
    return FL_OK;
}

static enum fl_status libsvm_parse_line(struct fl_rows *rows, size_t number, char *line, struct fl_error *err)
{
    struct fl_place place = {rows->name, number, 1};
    char *rest = line, *item;
    uint32_t last = 0;
    int32_t label;
    int labelled = 0;

    line[strcspn(line, "#")] = 0;
    while ((item = strsep(&rest, " \t"))) {
        enum fl_status st;
        float value;
        if (*item == 0)
            continue;
        place.column = (size_t)(item - line) + 1;
        if (labelled) {
            st = libsvm_parse_item(&place, item, &last, &value, err);
            if (!st)
                st = libsvm_put(rows, &place, last, value, err);
        } else {
            st = fl_data_number_parse_label(&place, item, &label, err);
            if (!st)
                st = fl_rows_add(rows, label, rows->rows + 1, err);
            if (!st && rows->scan && !fl_rows_wants(rows))
                return FL_OK; /* another client's row, and the scan found it right */
        }
        if (st)
            return st;
        labelled = 1;
    }
    return FL_OK;
}

enum fl_status fl_libsvm_read(struct fl_stream *stream, struct fl_rows *rows, struct fl_error *err)
{
    struct fl_lines lines;
    enum fl_status st = FL_OK;
    char *line;

    if (rows->source->features && !rows->scan)
        st = fl_rows_set_features(rows, 1, rows->source->features, err);
    fl_lines_init(&lines, stream);
    while (!st && !(st = fl_lines_next(&lines, &line, err)) && line)
        st = libsvm_parse_line(rows, lines.number, line, err);
    if (!st && rows->rows > 0 && rows->features == 0)
        st = fl_rows_set_features(rows, 1, 0, err);
    fl_lines_done(&lines);
    return st;
}
