/*
 * Reading labelled examples from files: CSV, LIBSVM text and IDX, each plain, gzip or xz (told apart by their
 * first bytes, never by name). Every format is bounds-checked and capped; errors name file, line, column and
 * what was expected. A source is read twice, once for its labels and once for the rows that are wanted, so
 * that a client needs memory for its own share only. Not for deciding which rows those are (load.h).
 */
#ifndef FL_CLIENT_DATA_SOURCE_H
#define FL_CLIENT_DATA_SOURCE_H

#include <stdbool.h>
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
    uint64_t max_bytes; /* most memory of the examples kept; 8 times as much text is read. 0: the default */
};

/* A CSV source without paths, everything else at its default. */
void fl_data_source_init(struct fl_data_source *source);

/* What is known of a source before its values are kept. Caller storage; all zero is empty. */
struct fl_data_scan {
    size_t rows, features;
    uint32_t *labels; /* shape (rows), mapped, each below classes; owned */
    uint32_t classes; /* as in struct fl_dataset */
    enum fl_label_map map;
    float *largest; /* shape (features), largest magnitude of each; NULL unless asked for; owned */
};

#define FL_DATA_SHARES_MAX 2 /* datasets that one reading can fill */

/*
 * Reads the source once and keeps its labels only. measure: fills largest too. At least one example is
 * required. FL_ERR_NOT_FOUND, FL_ERR_IO; FL_ERR_FORMAT (not the format, wrong columns, not a number),
 * FL_ERR_TRUNCATED (ends inside compressed data or before what it declares), FL_ERR_NOT_FINITE, FL_ERR_RANGE
 * (a label or index outside its range), FL_ERR_LIMIT (larger than max_bytes or a limit of dataset.h),
 * FL_ERR_NOMEM. ret_scan is the caller's to free. IDX images are looked at only if measured.
 */
FL_MUST_CHECK enum fl_status fl_data_source_scan(const struct fl_data_source *source, bool measure,
                                                 struct fl_data_scan *ret_scan, struct fl_error *err);

/* Frees what scan owns and leaves it empty; NULL is accepted. */
void fl_data_scan_done(struct fl_data_scan *scan);

/*
 * Reads the source again and keeps some rows: row i goes to ret_shares[share[i] - 1], in the order of the
 * file, and nowhere where share[i] is 0. Memory is that of the rows kept.
 * share       shape (scan->rows), each at most count
 * count       datasets, 1 to FL_DATA_SHARES_MAX; each is the caller's to free and may stay without rows
 * Failures as fl_data_source_scan; FL_ERR_FORMAT when the file is no longer what was scanned.
 */
FL_MUST_CHECK enum fl_status fl_data_source_take(const struct fl_data_source *source,
                                                 const struct fl_data_scan *scan, const uint8_t *share,
                                                 size_t count, struct fl_dataset *ret_shares,
                                                 struct fl_error *err);

/* Scans the source and takes every row. Failures as these; ret_dataset is the caller's to free. */
FL_MUST_CHECK enum fl_status fl_data_source_read(const struct fl_data_source *source,
                                                 struct fl_dataset *ret_dataset, struct fl_error *err);

#endif
