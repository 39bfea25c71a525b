/* One reader for each file format; private to client/data. Failures as fl_data_source_read. */
#ifndef FL_CLIENT_DATA_FORMATS_H
#define FL_CLIENT_DATA_FORMATS_H

#include "client/data/rows.h"
#include "client/data/source.h"
#include "client/data/stream.h"

/* Adds every example of stream (all: borrowed) to rows, which is initialised and empty. */
FL_MUST_CHECK enum fl_status fl_csv_read(struct fl_stream *stream, struct fl_rows *rows,
                                         struct fl_error *err);
FL_MUST_CHECK enum fl_status fl_libsvm_read(struct fl_stream *stream, struct fl_rows *rows,
                                            struct fl_error *err);
FL_MUST_CHECK enum fl_status fl_idx_read(struct fl_stream *images, struct fl_stream *labels,
                                         struct fl_rows *rows, struct fl_error *err);

/*
 * The header of an IDX file: two zero bytes, type, number of dimensions, each dimension as 4 bytes, most
 * significant first (the format's description at the MNIST page of LeCun, Cortes and Burges).
 * ret_element_bytes  of the element type, 1, 2 or 4; NULL: unsigned bytes are required
 * ret_count          the first dimension: examples
 * ret_each           product of the others: elements of an example
 */
FL_MUST_CHECK enum fl_status fl_idx_read_header(struct fl_stream *stream, size_t least_dims, size_t most_dims,
                                                size_t *ret_element_bytes, uint64_t *ret_count,
                                                uint64_t *ret_each, struct fl_error *err);

/* Exactly size bytes of example number row (from 0) of count. */
FL_MUST_CHECK enum fl_status fl_idx_read_row(struct fl_stream *stream, uint8_t *to, size_t size, uint64_t row,
                                             uint64_t count, struct fl_error *err);

/* FL_ERR_FORMAT when bytes follow the last of count examples. */
FL_MUST_CHECK enum fl_status fl_idx_check_end(struct fl_stream *stream, uint64_t count, struct fl_error *err);

#endif
