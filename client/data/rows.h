/*
 * What the readers of the formats give their rows to, one by one; private to client/data. A scan keeps labels
 * (and magnitudes); a taking keeps the rows that a client wants and forgets the others (source.h).
 */
#ifndef FL_CLIENT_DATA_ROWS_H
#define FL_CLIENT_DATA_ROWS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/data/source.h"

/* Caller storage. */
struct fl_rows {
    const struct fl_data_source *source; /* borrowed */
    const char *name;                    /* of the file that holds the labels, for errors */
    size_t rows;                         /* added so far */
    size_t features;                     /* 0: not known yet */

    /* Scan. */
    bool measure;
    size_t capacity, measured; /* room in labels and in largest */
    uint32_t *labels;          /* shape (rows), bits of the int32 in the file */
    float *largest;            /* shape (features) */
    int32_t least, most;
    size_t least_line, most_line; /* where they stood first */

    /* Taking; scan is NULL while scanning. */
    const struct fl_data_scan *scan; /* borrowed */
    const uint8_t *share;            /* shape (scan->rows), borrowed */
    size_t count;
    struct fl_dataset shares[FL_DATA_SHARES_MAX];
    float *x; /* features of the row added last; NULL: it is not kept */
};

void fl_rows_init_scan(struct fl_rows *rows, const struct fl_data_source *source, const char *name,
                       bool measure);

/* Arguments as fl_data_source_take. FL_ERR_LIMIT, FL_ERR_NOMEM; fl_rows_done() in any case. */
FL_MUST_CHECK enum fl_status fl_rows_init_take(struct fl_rows *rows, const struct fl_data_source *source,
                                               const char *name, const struct fl_data_scan *scan,
                                               const uint8_t *share, size_t count, struct fl_error *err);
void fl_rows_done(struct fl_rows *rows);

/*
 * Sets the features of every row; line: where they were counted. A scan may raise them again as it goes on,
 * when the file tells them row by row. FL_ERR_FORMAT for none, FL_ERR_RANGE when the source expects another
 * number, FL_ERR_LIMIT, FL_ERR_NOMEM.
 */
FL_MUST_CHECK enum fl_status fl_rows_set_features(struct fl_rows *rows, size_t line, uint64_t features,
                                                  struct fl_error *err);

/* FL_ERR_LIMIT when count rows are above the limits. */
FL_MUST_CHECK enum fl_status fl_rows_expect(const struct fl_rows *rows, uint64_t count, struct fl_error *err);

/* Adds a row, whose features are 0 until they are put. line: where the label stands. FL_ERR_LIMIT,
 * FL_ERR_FORMAT when the scan saw fewer rows, FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_rows_add(struct fl_rows *rows, int32_t label, size_t line,
                                         struct fl_error *err);

/* Whether the features of the row added last are used. */
static inline bool fl_rows_wants(const struct fl_rows *rows)
{
    return rows->scan ? rows->x != NULL : rows->measure;
}

/* A feature of the row added last, below the set number of features. */
static inline void fl_rows_put(struct fl_rows *rows, size_t feature, float value)
{
    if (rows->x)
        rows->x[feature] = value;
    else if (rows->measure)
        rows->largest[feature] = fmaxf(rows->largest[feature], fabsf(value));
}

/* Maps the labels and hands the scan over. FL_ERR_FORMAT when there is no row, FL_ERR_RANGE for a label
 * outside its range. */
FL_MUST_CHECK enum fl_status fl_rows_finish_scan(struct fl_rows *rows, struct fl_data_scan *ret_scan,
                                                 struct fl_error *err);

/* Hands the shares over. FL_ERR_FORMAT when the scan saw more rows. */
FL_MUST_CHECK enum fl_status fl_rows_finish_take(struct fl_rows *rows, struct fl_dataset *ret_shares,
                                                 struct fl_error *err);

#endif
