/*
 * The decompressed bytes of one file or of parts that together are one file; private to client/data. The
 * first bytes tell whether it is gzip, xz or plain.
 */
#ifndef FL_CLIENT_DATA_STREAM_H
#define FL_CLIENT_DATA_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "platform/error.h"

struct fl_stream;

/* paths: borrowed until close, shape (count), count >= 1. limit: most bytes that will be given out. */
FL_MUST_CHECK enum fl_status fl_stream_open(const char *const *paths, size_t count, uint64_t limit,
                                            struct fl_stream **ret_stream, struct fl_error *err);

/* NULL is accepted. */
void fl_stream_close(struct fl_stream *stream);

/* The first path, for errors. */
const char *fl_stream_name(const struct fl_stream *stream);

/* Fills to with size bytes, fewer only where the stream ends. FL_ERR_NOT_FOUND, FL_ERR_IO, FL_ERR_FORMAT,
 * FL_ERR_TRUNCATED, FL_ERR_LIMIT, FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_stream_read(struct fl_stream *stream, void *to, size_t size, size_t *ret_got,
                                            struct fl_error *err);

#endif
