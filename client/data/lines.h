/* The lines of a text stream, numbered; private to client/data. */
#ifndef FL_CLIENT_DATA_LINES_H
#define FL_CLIENT_DATA_LINES_H

#include <stddef.h>

#include "base/bytes.h"
#include "client/data/stream.h"

#define FL_LINE_LIMIT_BYTES ((size_t)16 << 20)

struct fl_lines {
    struct fl_stream *stream; /* borrowed */
    struct fl_buf buf;
    size_t start;  /* of the next line in buf */
    size_t number; /* of the line given last, from 1 */
    int ended;
};

void fl_lines_init(struct fl_lines *lines, struct fl_stream *stream);
void fl_lines_done(struct fl_lines *lines);

/*
 * The next line, zero-terminated, without its "\n" or "\r\n", valid and writable until the next call; NULL
 * after the last one. FL_ERR_LIMIT for a line that is too long, FL_ERR_FORMAT for a zero byte, and what
 * fl_stream_read returns.
 */
FL_MUST_CHECK enum fl_status fl_lines_next(struct fl_lines *lines, char **ret_line, struct fl_error *err);

#endif
