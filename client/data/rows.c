#include "client/data/rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint64_t max_bytes(const struct fl_rows *rows)
{
    return rows->source->max_bytes ? rows->source->max_bytes : FL_DATA_DEFAULT_BYTES;
}

void fl_rows_init_scan(struct fl_rows *rows, const struct fl_data_source *source, const char *name,
                       bool measure)
{
    *rows = (struct fl_rows){.source = source, .name = name, .measure = measure};
}

enum fl_status fl_rows_init_take(struct fl_rows *rows, const struct fl_data_source *source, const char *name,
                                 const struct fl_data_scan *scan, const uint8_t *share, size_t count,
                                 struct fl_error *err)
{
    uint64_t row_bytes = scan->features * sizeof(float) + sizeof(*scan->labels);
    size_t sizes[FL_DATA_SHARES_MAX + 1] = {0};

    *rows = (struct fl_rows){.source = source,
                             .name = name,
                             .features = scan->features,
                             .scan = scan,
                             .share = share,
                             .count = count};
    for (size_t i = 0; i < scan->rows; i++)
        sizes[share[i]]++;
    size_t kept = scan->rows - sizes[0];
    if (kept > max_bytes(rows) / row_bytes)
        return fl_error_set(err, FL_ERR_LIMIT,
                            "%s: %zu examples of %zu features need more than %" PRIu64
                            " bytes of memory, the limit",
                            name, kept, scan->features, max_bytes(rows));
    for (size_t k = 0; k < count; k++) {
        struct fl_dataset *part = &rows->shares[k];
        size_t size = sizes[k + 1];
        *part = (struct fl_dataset){.features = scan->features, .classes = scan->classes, .map = scan->map};
        if (size == 0)
            continue;
        part->x = calloc(size * scan->features, sizeof(*part->x));
        part->labels = malloc(size * sizeof(*part->labels));
        if (!part->x || !part->labels)
            return fl_error_nomem(err);
    }
    return FL_OK;
}

void fl_rows_done(struct fl_rows *rows)
{
    free(rows->labels);
    free(rows->largest);
    for (size_t k = 0; k < FL_DATA_SHARES_MAX; k++)
        fl_dataset_done(&rows->shares[k]);
    *rows = (struct fl_rows){0};
}

static enum fl_status rows_widen(struct fl_rows *rows, size_t features, struct fl_error *err)
{
    size_t room = rows->measured;

    if (!rows->measure || features <= room)
        return FL_OK;
    while (room < features)
        room = room ? 2 * room : features;
    float *largest = realloc(rows->largest, room * sizeof(*largest));
    if (!largest)
        return fl_error_nomem(err);
    memset(largest + rows->measured, 0, (room - rows->measured) * sizeof(*largest));
    rows->largest = largest;
    rows->measured = room;
    return FL_OK;
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
    if (rows->scan && features != rows->scan->features)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: changed while it was read", rows->name);
    enum fl_status st = rows_widen(rows, (size_t)features, err);
    if (!st)
        rows->features = (size_t)features;
    return st;
}

enum fl_status fl_rows_expect(const struct fl_rows *rows, uint64_t count, struct fl_error *err)
{
    if (count > FL_DATA_LIMIT_ROWS)
        return fl_error_set(err, FL_ERR_LIMIT, "%s: %" PRIu64 " examples, at most %zu are allowed",
                            rows->name, count, FL_DATA_LIMIT_ROWS);
    if (count > max_bytes(rows) / sizeof(*rows->labels))
        return fl_error_set(err, FL_ERR_LIMIT,
                            "%s: the labels of %" PRIu64 " examples need more than %" PRIu64
                            " bytes of memory, the limit",
                            rows->name, count, max_bytes(rows));
    return FL_OK;
}

static enum fl_status rows_grow(struct fl_rows *rows, struct fl_error *err)
{
    size_t capacity = rows->capacity ? rows->capacity * 2 : 64;
    uint32_t *labels = realloc(rows->labels, capacity * sizeof(*labels));

    if (!labels)
        return fl_error_nomem(err);
    rows->labels = labels;
    rows->capacity = capacity;
    return FL_OK;
}

static enum fl_status rows_add_to_share(struct fl_rows *rows, struct fl_error *err)
{
    if (rows->rows == rows->scan->rows)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: changed while it was read", rows->name);
    uint8_t share = rows->share[rows->rows];
    rows->x = NULL;
    if (share > 0) {
        struct fl_dataset *part = &rows->shares[share - 1];
        rows->x = part->x + part->rows * rows->features;
        part->labels[part->rows] = rows->scan->labels[rows->rows];
        part->rows++;
    }
    rows->rows++;
    return FL_OK;
}

enum fl_status fl_rows_add(struct fl_rows *rows, int32_t label, size_t line, struct fl_error *err)
{
    if (rows->scan)
        return rows_add_to_share(rows, err);
    enum fl_status st = fl_rows_expect(rows, (uint64_t)rows->rows + 1, err);
    if (!st && rows->rows == rows->capacity)
        st = rows_grow(rows, err);
    if (st)
        return st;
    if (rows->rows == 0 || label < rows->least) {
        rows->least = label;
        rows->least_line = line;
    }
    if (rows->rows == 0 || label > rows->most) {
        rows->most = label;
        rows->most_line = line;
    }
    rows->labels[rows->rows++] = (uint32_t)label;
    return FL_OK;
}

static enum fl_status rows_map_labels(struct fl_rows *rows, enum fl_label_map map, uint32_t *ret_classes,
                                      struct fl_error *err)
{
    int32_t base = map == FL_LABELS_ONE ? 1 : map == FL_LABELS_SIGNED ? -1 : 0;
    int64_t classes = (int64_t)rows->most - base + 1, allowed = FL_DATA_LIMIT_CLASSES;

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
                                rows->least < base ? rows->least_line : rows->most_line,
                                rows->least < base ? rows->least : rows->most, base, allowed - 1 + base);
        for (size_t i = 0; i < rows->rows; i++)
            rows->labels[i] -= (uint32_t)base;
    }
    *ret_classes = rows->source->classes ? rows->source->classes : classes < 2 ? 2 : (uint32_t)classes;
    return FL_OK;
}

enum fl_status fl_rows_finish_scan(struct fl_rows *rows, struct fl_data_scan *ret_scan, struct fl_error *err)
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
    *ret_scan = (struct fl_data_scan){.rows = rows->rows,
                                      .features = rows->features,
                                      .labels = rows->labels,
                                      .classes = classes,
                                      .map = map,
                                      .largest = rows->largest};
    rows->labels = NULL;
    rows->largest = NULL;
    return FL_OK;
}

enum fl_status fl_rows_finish_take(struct fl_rows *rows, struct fl_dataset *ret_shares, struct fl_error *err)
{
    if (rows->rows != rows->scan->rows)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: changed while it was read", rows->name);
    for (size_t k = 0; k < rows->count; k++) {
        ret_shares[k] = rows->shares[k];
        rows->shares[k] = (struct fl_dataset){0};
    }
    return FL_OK;
}
