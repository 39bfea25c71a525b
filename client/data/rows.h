/*
 * A dataset while it is read: rows come one by one, labels are mapped and checked at the end; private to
 * client/data.
 */
#ifndef FL_CLIENT_DATA_ROWS_H
#define FL_CLIENT_DATA_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "client/data/source.h"

struct fl_rows {
    const struct fl_data_source *source; /* borrowed */
    const char *name;                    /* of the file that holds the labels, for errors */
    size_t rows, capacity;
    size_t features;
    float *x;         /* shape (rows, features) */
    uint32_t *labels; /* shape (rows), bits of the int32 in the file */
    int32_t least, largest;
    size_t least_line, largest_line; /* where they stood first */
};

void fl_rows_init(struct fl_rows *rows, const struct fl_data_source *source, const char *name);
void fl_rows_done(struct fl_rows *rows);

/* Sets the features of every row, before the first; FL_ERR_RANGE when the source expects another number,
 * FL_ERR_LIMIT. line: where they were counted. */
FL_MUST_CHECK enum fl_status fl_rows_set_features(struct fl_rows *rows, size_t line, uint64_t features,
                                                  struct fl_error *err);

/* FL_ERR_LIMIT when count rows of the set features are above the limits. */
FL_MUST_CHECK enum fl_status fl_rows_expect(const struct fl_rows *rows, uint64_t count, struct fl_error *err);

/* Adds a row and gives its features in *ret_x to be filled before the next call. line: where the label
 * stands. FL_ERR_LIMIT, FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_rows_add(struct fl_rows *rows, int32_t label, size_t line, float **ret_x,
                                         struct fl_error *err);

/* Maps the labels and hands the dataset over; rows is empty afterwards. FL_ERR_FORMAT when there is no row,
 * FL_ERR_RANGE for a label outside its range. */
FL_MUST_CHECK enum fl_status fl_rows_finish(struct fl_rows *rows, struct fl_dataset *ret_dataset,
                                            struct fl_error *err);

#endif
