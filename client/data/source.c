#include "client/data/source.h"

#include <stdlib.h>
#include <string.h>

#include "client/data/formats.h"

#define TEXT_PER_BYTE 8 /* bytes of text that may be read for each byte of max_bytes */

void fl_data_source_init(struct fl_data_source *source)
{
    *source = (struct fl_data_source){.format = FL_DATA_CSV, .label_column = FL_CSV_LAST_COLUMN};
}

void fl_data_scan_done(struct fl_data_scan *scan)
{
    if (!scan)
        return;
    free(scan->labels);
    free(scan->largest);
    *scan = (struct fl_data_scan){0};
}

/* The file that holds the labels, for errors. */
static const char *source_name(const struct fl_data_source *source)
{
    return source->format == FL_DATA_IDX ? source->label_paths[0] : source->paths[0];
}

static enum fl_status source_check(const struct fl_data_source *source, struct fl_error *err)
{
    int idx = source->format == FL_DATA_IDX;

    if (source->path_count == 0)
        return fl_error_set(err, FL_ERR_CONFIG, "no data file is given");
    if (idx != (source->label_path_count > 0))
        return fl_error_set(err, FL_ERR_CONFIG,
                            idx ? "%s: IDX images need a file of labels"
                                : "%s: only IDX has labels in a file of their own",
                            source->paths[0]);
    return FL_OK;
}

/* Gives every row of the files to rows. */
static enum fl_status source_stream(const struct fl_data_source *source, struct fl_rows *rows,
                                    struct fl_error *err)
{
    uint64_t max_bytes = source->max_bytes ? source->max_bytes : FL_DATA_DEFAULT_BYTES;
    uint64_t limit = max_bytes < UINT64_MAX / TEXT_PER_BYTE ? max_bytes * TEXT_PER_BYTE : UINT64_MAX;
    struct fl_stream *stream = NULL, *labels = NULL;

    enum fl_status st = fl_stream_open(source->paths, source->path_count, limit, &stream, err);
    if (!st && source->format == FL_DATA_IDX)
        st = fl_stream_open(source->label_paths, source->label_path_count, limit, &labels, err);
    if (st)
        goto out;
    switch (source->format) {
    case FL_DATA_CSV:
        st = fl_csv_read(stream, rows, err);
        break;
    case FL_DATA_LIBSVM:
        st = fl_libsvm_read(stream, rows, err);
        break;
    case FL_DATA_IDX:
        st = fl_idx_read(stream, labels, rows, err);
        break;
    }
out:
    fl_stream_close(labels);
    fl_stream_close(stream);
    return st;
}

enum fl_status fl_data_source_scan(const struct fl_data_source *source, bool measure,
                                   struct fl_data_scan *ret_scan, struct fl_error *err)
{
    struct fl_rows rows;

    enum fl_status st = source_check(source, err);
    if (st)
        return st;
    fl_rows_init_scan(&rows, source, source_name(source), measure);
    st = source_stream(source, &rows, err);
    if (!st)
        st = fl_rows_finish_scan(&rows, ret_scan, err);
    fl_rows_done(&rows);
    return st;
}

enum fl_status fl_data_source_take(const struct fl_data_source *source, const struct fl_data_scan *scan,
                                   const uint8_t *share, size_t count, struct fl_dataset *ret_shares,
                                   struct fl_error *err)
{
    struct fl_rows rows;

    enum fl_status st = source_check(source, err);
    if (st)
        return st;
    st = fl_rows_init_take(&rows, source, source_name(source), scan, share, count, err);
    if (!st)
        st = source_stream(source, &rows, err);
    if (!st)
        st = fl_rows_finish_take(&rows, ret_shares, err);
    fl_rows_done(&rows);
    return st;
}

enum fl_status fl_data_source_read(const struct fl_data_source *source, struct fl_dataset *ret_dataset,
                                   struct fl_error *err)
{
    struct fl_data_scan scan = {0};
    uint8_t *share = NULL;

    enum fl_status st = fl_data_source_scan(source, false, &scan, err);
    if (st)
        return st;
    share = malloc(scan.rows);
    if (share) {
        memset(share, 1, scan.rows);
        st = fl_data_source_take(source, &scan, share, 1, ret_dataset, err);
    } else {
        st = fl_error_nomem(err);
    }
    free(share);
    fl_data_scan_done(&scan);
    return st;
}
