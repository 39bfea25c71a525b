#include "client/data/lines.h"

#include <string.h>

#define CHUNK_BYTES ((size_t)64 << 10)

void fl_lines_init(struct fl_lines *lines, struct fl_stream *stream)
{
    *lines = (struct fl_lines){.stream = stream};
    fl_buf_init(&lines->buf, FL_LINE_LIMIT_BYTES + CHUNK_BYTES + 1);
}

void fl_lines_done(struct fl_lines *lines)
{
    fl_buf_done(&lines->buf);
}

/* Adds a chunk to buf; at the end of the stream a last "\n", if the text does not end with one. */
static enum fl_status lines_more(struct fl_lines *lines, struct fl_error *err)
{
    struct fl_buf *buf = &lines->buf;
    size_t got = 0, kept = buf->size - lines->start;
    uint8_t *at;

    if (kept > FL_LINE_LIMIT_BYTES)
        return fl_error_set(err, FL_ERR_LIMIT, "%s:%zu: line is longer than %zu bytes",
                            fl_stream_name(lines->stream), lines->number + 1, FL_LINE_LIMIT_BYTES);
    if (lines->start > 0) {
        memmove(buf->data, buf->data + lines->start, kept);
        fl_buf_truncate(buf, kept);
        lines->start = 0;
    }
    if (fl_buf_extend(buf, CHUNK_BYTES, &at))
        return fl_error_nomem(err);
    enum fl_status st = fl_stream_read(lines->stream, at, CHUNK_BYTES, &got, err);
    fl_buf_truncate(buf, kept + got);
    if (st || got == CHUNK_BYTES)
        return st;
    lines->ended = 1;
    if (buf->size > 0 && buf->data[buf->size - 1] != '\n' && fl_buf_append(buf, "\n", 1))
        return fl_error_nomem(err);
    return FL_OK;
}

enum fl_status fl_lines_next(struct fl_lines *lines, char **ret_line, struct fl_error *err)
{
    struct fl_buf *buf = &lines->buf;
    uint8_t *end = NULL;
    size_t searched = 0;

    for (;;) {
        size_t held = buf->size - lines->start;
        if (held > searched)
            end = memchr(buf->data + lines->start + searched, '\n', held - searched);
        if (end)
            break;
        if (lines->ended) {
            *ret_line = NULL;
            return FL_OK;
        }
        searched = held;
        enum fl_status st = lines_more(lines, err);
        if (st)
            return st;
    }
    char *line = (char *)buf->data + lines->start;
    size_t size = (size_t)((char *)end - line);
    lines->start += size + 1;
    lines->number++;
    if (memchr(line, 0, size))
        return fl_error_set(err, FL_ERR_FORMAT, "%s:%zu: zero byte: this is not a text file",
                            fl_stream_name(lines->stream), lines->number);
    if (size > 0 && line[size - 1] == '\r')
        size--;
    line[size] = 0;
    *ret_line = line;
    return FL_OK;
}
