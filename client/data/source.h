/*
 * Reading labelled examples from files: CSV, LIBSVM text and IDX, each plain, gzip or xz (told apart by their
 * first bytes, never by name). Every format is bounds-checked and capped; errors name file, line, column and
 * what was expected. Not for splitting or sharing out rows (load.h).
 */
#ifndef FL_CLIENT_DATA_SOURCE_H
#define FL_CLIENT_DATA_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "client/data/dataset.h"
#include "platform/error.h"

#define FL_DATA_DEFAULT_BYTES ((uint64_t)2 << 30) /* default of max_bytes */

enum fl_data_format {
    FL_DATA_CSV,    /* comma separated numbers, one example a line */
    FL_DATA_LIBSVM, /* "LABEL INDEX:VALUE ...", indices from 1 and increasing, '#' opens a comment */
    FL_DATA_IDX,    /* MNIST's format: unsigned bytes; labels in a file of their own */
};

enum fl_csv_header {
    FL_CSV_HEADER_AUTO, /* the first line is a header when one of its fields is a word */
    FL_CSV_HEADER_YES,
    FL_CSV_HEADER_NO,
};

#define FL_CSV_LAST_COLUMN (-1)

/* Files of one kind; strings are borrowed. */
struct fl_data_source {
    enum fl_data_format format;
    const char *const *paths;       /* parts of one file, read one after the other */
    size_t path_count;              /* >= 1 */
    const char *const *label_paths; /* FL_DATA_IDX only */
    size_t label_path_count;
    enum fl_csv_header header; /* CSV only; a header may have any number of columns */
    int32_t label_column;      /* CSV only: from 0, or FL_CSV_LAST_COLUMN */
    uint32_t features;         /* expected; 0: as the file has (LIBSVM: its largest index) */
    uint32_t classes;          /* labels must be below; 0: as the file has */
    enum fl_label_map map;
    uint64_t max_bytes; /* most memory of the examples; 8 times as much text is read. 0: the default */
};

/* A CSV source without paths, everything else at its default. */
void fl_data_source_init(struct fl_data_source *source);

/*
 * Reads the whole source. At least one example is required. FL_ERR_NOT_FOUND, FL_ERR_IO; FL_ERR_FORMAT (not
 * the format, wrong columns, not a number), FL_ERR_TRUNCATED (ends inside compressed data or before what it
 * declares), FL_ERR_NOT_FINITE, FL_ERR_RANGE (a label or index outside its range), FL_ERR_LIMIT (larger than
 * max_bytes or a limit of dataset.h), FL_ERR_NOMEM. ret_dataset is the caller's to free.
 */
FL_MUST_CHECK enum fl_status fl_data_source_read(const struct fl_data_source *source,
                                                 struct fl_dataset *ret_dataset, struct fl_error *err);

#endif
