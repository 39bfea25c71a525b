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

#endif
