#include "client/data/rows.h"

#include <inttypes.h>
#include <stdlib.h>

void fl_rows_init(struct fl_rows *rows, const struct fl_data_source *source, const char *name)
{
    *rows = (struct fl_rows){.source = source, .name = name};
}

void fl_rows_done(struct fl_rows *rows)
{
    free(rows->x);
    free(rows->labels);
    rows->x = NULL;
    rows->labels = NULL;
}

enum fl_status fl_rows_set_features(struct fl_rows *rows, size_t line, uint64_t features,
                                    struct fl_error *err)
{
    uint32_t expected = rows->source->features;

    if (features == 0)
        return fl_error_set(err, FL_ERR_FORMAT, "%s:%zu: no features", rows->name, line);
    if (features > FL_DATA_LIMIT_FEATURES)
        return fl_error_set(err, FL_ERR_LIMIT,
                            "%s:%zu: %" PRIu64 " features, at most %" PRIu32 " are allowed", rows->name, line,
                            features, FL_DATA_LIMIT_FEATURES);
    if (expected && features != expected)
        return fl_error_set(err, FL_ERR_RANGE, "%s:%zu: %" PRIu64 " features, expected %" PRIu32, rows->name,
                            line, features, expected);
    rows->features = (size_t)features;
    return FL_OK;
}

enum fl_status fl_rows_expect(const struct fl_rows *rows, uint64_t count, struct fl_error *err)
{
    uint64_t limit = rows->source->max_bytes ? rows->source->max_bytes : FL_DATA_DEFAULT_BYTES;
    uint64_t row_bytes = rows->features * sizeof(*rows->x) + sizeof(*rows->labels);

    if (count > FL_DATA_LIMIT_ROWS)
        return fl_error_set(err, FL_ERR_LIMIT, "%s: %" PRIu64 " examples, at most %zu are allowed",
                            rows->name, count, FL_DATA_LIMIT_ROWS);
    if (count > limit / row_bytes)
        return fl_error_set(err, FL_ERR_LIMIT,
                            "%s: %" PRIu64 " or more examples of %zu features need more than %" PRIu64
                            " bytes of memory, the limit",
                            rows->name, count, rows->features, limit);
    return FL_OK;
}

static enum fl_status rows_grow(struct fl_rows *rows, struct fl_error *err)
{
    size_t capacity = rows->capacity ? rows->capacity * 2 : 64;
    float *x = realloc(rows->x, capacity * rows->features * sizeof(*x));
    if (!x)
        return fl_error_nomem(err);
    rows->x = x;
    uint32_t *labels = realloc(rows->labels, capacity * sizeof(*labels));
    if (!labels)
        return fl_error_nomem(err);
    rows->labels = labels;
    rows->capacity = capacity;
    return FL_OK;
}

enum fl_status fl_rows_add(struct fl_rows *rows, int32_t label, size_t line, float **ret_x,
                           struct fl_error *err)
{
    enum fl_status st = fl_rows_expect(rows, (uint64_t)rows->rows + 1, err);

    if (!st && rows->rows == rows->capacity)
        st = rows_grow(rows, err);
    if (st)
        return st;
    if (rows->rows == 0 || label < rows->least) {
        rows->least = label;
        rows->least_line = line;
    }
    if (rows->rows == 0 || label > rows->largest) {
        rows->largest = label;
        rows->largest_line = line;
    }
    rows->labels[rows->rows] = (uint32_t)label;
    *ret_x = rows->x + rows->rows * rows->features;
    rows->rows++;
    return FL_OK;
}

static enum fl_status rows_map_labels(struct fl_rows *rows, enum fl_label_map map, uint32_t *ret_classes,
                                      struct fl_error *err)
{
    int32_t base = map == FL_LABELS_ONE ? 1 : map == FL_LABELS_SIGNED ? -1 : 0;
    int64_t classes = (int64_t)rows->largest - base + 1, allowed = FL_DATA_LIMIT_CLASSES;

    if (map == FL_LABELS_SIGNED) {
        allowed = 2;
        for (size_t i = 0; i < rows->rows; i++) {
            if (rows->labels[i] != (uint32_t)-1 && rows->labels[i] != 1)
                return fl_error_set(err, FL_ERR_RANGE,
                                    "%s: example %zu: label %" PRId32 ", expected -1 or +1", rows->name,
                                    i + 1, (int32_t)rows->labels[i]);
            rows->labels[i] = rows->labels[i] == 1;
        }
        classes = 2;
    } else {
        if (rows->source->classes && rows->source->classes < allowed)
            allowed = rows->source->classes;
        if (rows->least < base || classes > allowed)
            return fl_error_set(err, FL_ERR_RANGE,
                                "%s:%zu: label %" PRId32 ", expected %" PRId32 " to %" PRId64, rows->name,
                                rows->least < base ? rows->least_line : rows->largest_line,
                                rows->least < base ? rows->least : rows->largest, base, allowed - 1 + base);
        for (size_t i = 0; i < rows->rows; i++)
            rows->labels[i] -= (uint32_t)base;
    }
    *ret_classes = rows->source->classes ? rows->source->classes : classes < 2 ? 2 : (uint32_t)classes;
    return FL_OK;
}

enum fl_status fl_rows_finish(struct fl_rows *rows, struct fl_dataset *ret_dataset, struct fl_error *err)
{
    enum fl_label_map map = rows->source->map;
    uint32_t classes = 0;

    if (rows->rows == 0)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: holds no examples", rows->name);
    if (map == FL_LABELS_AUTO && rows->source->format == FL_DATA_LIBSVM)
        map = rows->least < 0 ? FL_LABELS_SIGNED : rows->least > 0 ? FL_LABELS_ONE : FL_LABELS_ZERO;
    else if (map == FL_LABELS_AUTO)
        map = FL_LABELS_ZERO;
    enum fl_status st = rows_map_labels(rows, map, &classes, err);
    if (st)
        return st;
    *ret_dataset = (struct fl_dataset){.rows = rows->rows,
                                       .features = rows->features,
                                       .x = rows->x,
                                       .labels = rows->labels,
                                       .classes = classes,
                                       .map = map};
    rows->x = NULL;
    rows->labels = NULL;
    return FL_OK;
}
