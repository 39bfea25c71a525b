#include <stdlib.h>
#include <string.h>

#include "client/data/formats.h"
#include "client/data/lines.h"
#include "client/data/number.h"

/* The file is kept sparse until its largest index is known. */
struct entry {
    uint32_t index; /* from 1; 0 opens a row, with its label in place of a value */
    union {
        float value;
        int32_t label;
    };
};

struct entries {
    struct fl_buf buf; /* of struct entry */
    uint32_t largest;  /* index */
    size_t rows;
};

static enum fl_status entries_add(struct entries *entries, struct entry entry, const char *name,
                                  struct fl_error *err)
{
    enum fl_status st = fl_buf_append(&entries->buf, &entry, sizeof(entry));

    if (st == FL_ERR_LIMIT)
        return fl_error_set(err, st, "%s: needs more than %zu bytes of memory, the limit", name,
                            entries->buf.limit);
    return st ? fl_error_nomem(err) : FL_OK;
}

/* "INDEX:VALUE"; the index must be above *last. */
static enum fl_status libsvm_parse_item(const struct fl_place *place, char *item, uint32_t *last,
                                        struct entry *ret_entry, struct fl_error *err)
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
    *last = ret_entry->index = (uint32_t)index;
    return fl_data_number_parse(place, colon + 1, &ret_entry->value, err);
}

static enum fl_status libsvm_parse_line(struct entries *entries, const char *name, size_t number, char *line,
                                        struct fl_error *err)
{
    struct fl_place place = {name, number, 1};
    char *rest = line, *item;
    uint32_t last = 0;
    int labelled = 0;

    line[strcspn(line, "#")] = 0;
    while ((item = strsep(&rest, " \t"))) {
        struct entry entry = {0};
        enum fl_status st;
        if (*item == 0)
            continue;
        place.column = (size_t)(item - line) + 1;
        if (labelled)
            st = libsvm_parse_item(&place, item, &last, &entry, err);
        else
            st = fl_data_number_parse_label(&place, item, &entry.label, err);
        if (!st)
            st = entries_add(entries, entry, name, err);
        if (st)
            return st;
        entries->rows += !labelled;
        labelled = 1;
    }
    if (last > entries->largest)
        entries->largest = last;
    return FL_OK;
}

static enum fl_status libsvm_fill(const struct entries *entries, struct fl_rows *rows, struct fl_error *err)
{
    const struct entry *entry = (const struct entry *)entries->buf.data;
    size_t count = entries->buf.size / sizeof(*entry), row = 0;
    uint32_t features = rows->source->features;
    float *x = NULL;

    if (features && entries->largest > features)
        return fl_error_set(err, FL_ERR_RANGE, "%s: index %u, expected at most %u features", rows->name,
                            entries->largest, features);
    enum fl_status st = fl_rows_set_features(rows, 1, features ? features : entries->largest, err);
    if (!st)
        st = fl_rows_expect(rows, entries->rows, err);
    for (size_t i = 0; !st && i < count; i++) {
        if (entry[i].index > 0) {
            x[entry[i].index - 1] = entry[i].value;
            continue;
        }
        st = fl_rows_add(rows, entry[i].label, ++row, &x, err);
        if (!st)
            memset(x, 0, rows->features * sizeof(*x));
    }
    return st;
}

enum fl_status fl_libsvm_read(struct fl_stream *stream, struct fl_rows *rows, struct fl_error *err)
{
    uint64_t limit = rows->source->max_bytes ? rows->source->max_bytes : FL_DATA_DEFAULT_BYTES;
    struct entries entries = {0};
    struct fl_lines lines;
    enum fl_status st;
    char *line;

    fl_buf_init(&entries.buf, limit < SIZE_MAX ? (size_t)limit : SIZE_MAX);
    fl_lines_init(&lines, stream);
    while (!(st = fl_lines_next(&lines, &line, err)) && line) {
        st = libsvm_parse_line(&entries, rows->name, lines.number, line, err);
        if (st)
            break;
    }
    fl_lines_done(&lines);
    if (!st && entries.rows > 0)
        st = libsvm_fill(&entries, rows, err);
    fl_buf_done(&entries.buf);
    return st;
}
