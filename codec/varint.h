/* Writing the variable-length numbers of payloads; codec/cursor.h reads them. */
#ifndef FL_CODEC_VARINT_H
#define FL_CODEC_VARINT_H

#include "base/bytes.h"

/* Appends the shortest form. FL_ERR_NOMEM, FL_ERR_LIMIT. */
FL_MUST_CHECK static inline enum fl_status fl_varint_put(struct fl_buf *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;
    do {
        bytes[size] = (uint8_t)(value & 0x7f);
        value >>= 7;
        bytes[size++] |= value ? 0x80 : 0;
    } while (value);
    return fl_buf_append(out, bytes, size);
}

#endif
