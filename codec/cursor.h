/* A position in borrowed bytes that cannot pass their end, and the variable-length numbers of payloads. */
#ifndef FL_CODEC_CURSOR_H
#define FL_CODEC_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Reads the payload from a byte offset on; never past its end. */
struct fl_cursor {
    struct fl_bytes bytes;
    size_t at;
};

static inline size_t fl_cursor_left(const struct fl_cursor *cursor)
{
    return cursor->bytes.size - cursor->at;
}

static inline enum fl_status fl_cursor_bytes(struct fl_cursor *cursor, size_t size, const uint8_t **ret_at)
{
    if (fl_cursor_left(cursor) < size)
        return FL_ERR_TRUNCATED;
    *ret_at = cursor->bytes.data + cursor->at;
    cursor->at += size;
    return FL_OK;
}

/* The shortest form of a number below 2^35; every longer form is refused. */
static inline enum fl_status fl_cursor_varint(struct fl_cursor *cursor, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        const uint8_t *byte;
        enum fl_status st = fl_cursor_bytes(cursor, 1, &byte);
        if (st)
            return st;
        value |= (uint64_t)(*byte & 0x7f) << shift;
        if (!(*byte & 0x80)) {
            if (!*byte && shift)
                return FL_ERR_FORMAT;
            *ret_value = value;
            return FL_OK;
        }
    }
    return FL_ERR_FORMAT;
}

#endif
