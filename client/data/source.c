#include "client/data/source.h"

#include "client/data/formats.h"

#define TEXT_PER_BYTE 8 /* bytes of text that may be read for each byte of max_bytes */

void fl_data_source_init(struct fl_data_source *source)
{
    *source = (struct fl_data_source){.format = FL_DATA_CSV, .label_column = FL_CSV_LAST_COLUMN};
}

enum fl_status fl_data_source_read(const struct fl_data_source *source, struct fl_dataset *ret_dataset,
                                   struct fl_error *err)
{
    uint64_t max_bytes = source->max_bytes ? source->max_bytes : FL_DATA_DEFAULT_BYTES;
    uint64_t limit = max_bytes < UINT64_MAX / TEXT_PER_BYTE ? max_bytes * TEXT_PER_BYTE : UINT64_MAX;
    int idx = source->format == FL_DATA_IDX;
    struct fl_stream *stream = NULL, *labels = NULL;
    struct fl_rows rows;

    if (source->path_count == 0)
        return fl_error_set(err, FL_ERR_CONFIG, "no data file is given");
    if (idx != (source->label_path_count > 0))
        return fl_error_set(err, FL_ERR_CONFIG,
                            idx ? "%s: IDX images need a file of labels"
                                : "%s: only IDX has labels in a file of their own",
                            source->paths[0]);
    fl_rows_init(&rows, source, idx ? source->label_paths[0] : source->paths[0]);
    enum fl_status st = fl_stream_open(source->paths, source->path_count, limit, &stream, err);
    if (!st && idx)
        st = fl_stream_open(source->label_paths, source->label_path_count, limit, &labels, err);
    if (st)
        goto out;
    switch (source->format) {
    case FL_DATA_CSV:
        st = fl_csv_read(stream, &rows, err);
        break;
    case FL_DATA_LIBSVM:
        st = fl_libsvm_read(stream, &rows, err);
        break;
    case FL_DATA_IDX:
        st = fl_idx_read(stream, labels, &rows, err);
        break;
    }
    if (!st)
        st = fl_rows_finish(&rows, ret_dataset, err);
out:
    fl_stream_close(labels);
    fl_stream_close(stream);
    fl_rows_done(&rows);
    return st;
}
