/*
 * Appends msgpack values to a buffer. Errors are sticky: the first one is kept, later calls do nothing, and
 * the caller checks status once. Every value has one encoding, the shortest, so equal messages are equal
 * bytes.
 */
#ifndef FL_PROTOCOL_WRITER_H
#define FL_PROTOCOL_WRITER_H

#include <stdint.h>

#include "base/bytes.h"

struct fl_writer {
    struct fl_buf *buf; /* borrowed */
    enum fl_status status;
};

void fl_writer_init(struct fl_writer *writer, struct fl_buf *buf);

/* Announce how many values, or key-value pairs, follow. */
void fl_writer_array(struct fl_writer *writer, uint32_t count);
void fl_writer_map(struct fl_writer *writer, uint32_t count);

void fl_writer_uint(struct fl_writer *writer, uint64_t value);
void fl_writer_int(struct fl_writer *writer, int64_t value);

/* As float32 when that loses nothing, else as float64. */
void fl_writer_double(struct fl_writer *writer, double value);

void fl_writer_text(struct fl_writer *writer, const char *text);

/* FL_ERR_LIMIT at 4 GiB and more, which msgpack cannot hold. Without data, but with a size: only the head of
 * it, and the caller puts as many bytes behind it. */
void fl_writer_bin(struct fl_writer *writer, struct fl_bytes bytes);

#endif
