/*
 * A bounds-checked cursor over one msgpack message of a stranger. Errors are sticky: the first one is kept,
 * later reads return zero or an empty view, and the caller checks once before it uses anything. Never
 * allocates, never recurses, never reads outside its input. Not for building messages: see writer.h.
 *
 * The cursor keeps count of the open containers itself: after the last value of an array or map it is back in
 * the one around it. A map of n entries is read as n times a key (fl_reader_get_text) and a value.
 */
#ifndef FL_PROTOCOL_READER_H
#define FL_PROTOCOL_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "protocol/limits.h"

enum fl_reader_type {
    FL_TYPE_NONE, /* an error has happened, or no value is left */
    FL_TYPE_NIL,
    FL_TYPE_BOOL,
    FL_TYPE_UINT, /* an integer >= 0, whatever its format */
    FL_TYPE_INT,  /* an integer < 0 */
    FL_TYPE_FLOAT,
    FL_TYPE_TEXT,
    FL_TYPE_BIN,
    FL_TYPE_ARRAY,
    FL_TYPE_MAP,
    FL_TYPE_EXT, /* can only be skipped */
};

/* Lives on the caller's stack; one thread at a time. Only status may be read directly. */
struct fl_reader {
    struct fl_bytes bytes;
    size_t at;
    enum fl_status status;
    unsigned depth;                /* open containers */
    uint64_t left[FL_LIMIT_DEPTH]; /* values still to come in each of them */
};

/* Starts at the first byte of bytes, which is borrowed for as long as views are used. */
void fl_reader_init(struct fl_reader *reader, struct fl_bytes bytes);

/* Type of the next value, without reading it. */
enum fl_reader_type fl_reader_peek(struct fl_reader *reader);

/*
 * One value each. Wrong type: FL_ERR_FORMAT. Integers are accepted in every integer format, and refused with
 * FL_ERR_RANGE outside [min, max].
 */
void fl_reader_get_nil(struct fl_reader *reader);
int fl_reader_get_bool(struct fl_reader *reader);
uint64_t fl_reader_get_uint(struct fl_reader *reader, uint64_t max);
int64_t fl_reader_get_int(struct fl_reader *reader, int64_t min, int64_t max);

/* A float32, float64, or an integer of magnitude up to 2^53 (some languages write 1.0 as 1).
 * FL_ERR_NOT_FINITE for NaN and infinities. */
double fl_reader_get_double(struct fl_reader *reader);

/* As fl_reader_get_double, rounded to the nearest float32; FL_ERR_RANGE above the largest one. */
float fl_reader_get_float(struct fl_reader *reader);

/* Views into the input. FL_ERR_LIMIT when longer than cap bytes. Text is not checked for UTF-8. */
struct fl_bytes fl_reader_get_text(struct fl_reader *reader, size_t cap);
struct fl_bytes fl_reader_get_bin(struct fl_reader *reader, size_t cap);

/* Number of values, or of key-value pairs, that follow. FL_ERR_LIMIT above cap or when nested deeper than
 * FL_LIMIT_DEPTH; FL_ERR_TRUNCATED when the bytes left cannot hold so many. */
uint32_t fl_reader_get_array(struct fl_reader *reader, uint32_t cap);
uint32_t fl_reader_get_map(struct fl_reader *reader, uint32_t cap);

/* Passes over one value of any type, with all that is in it. */
void fl_reader_skip(struct fl_reader *reader);

/* Ends the message: the first error, FL_ERR_TRUNCATED when a container is still open, FL_ERR_FORMAT when
 * bytes are left over. */
FL_MUST_CHECK enum fl_status fl_reader_finish(struct fl_reader *reader);

/* 1 when text is well-formed UTF-8 without control characters (U+0000 to U+001F, U+007F), else 0. */
int fl_text_valid(struct fl_bytes text);

#endif
