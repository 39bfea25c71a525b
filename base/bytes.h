/*
 * Bytes, in two kinds that are never mixed up: `struct fl_bytes` borrows, `struct fl_buf` owns and is born
 * with a cap. Not for text formatting beyond fl_buf_printf.
 */
#ifndef FL_BASE_BYTES_H
#define FL_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A borrowed view; data may be NULL when size is 0. */
struct fl_bytes {
    const uint8_t *data;
    size_t size;
};

/* An owned, growing buffer that refuses to grow past limit. Fields may be read, never written, by callers. */
struct fl_buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t limit;
};

/* Empty buffer, no allocation. limit: most bytes it may ever hold. */
void fl_buf_init(struct fl_buf *buf, size_t limit);

/* Frees what buf owns and leaves it empty with its limit; NULL is accepted. */
void fl_buf_done(struct fl_buf *buf);

/* Makes room for extra more bytes. FL_ERR_LIMIT past the cap, FL_ERR_NOMEM; buf is unchanged on failure. */
FL_MUST_CHECK enum fl_status fl_buf_reserve(struct fl_buf *buf, size_t extra);

/* Appends a copy of size bytes. Failures as fl_buf_reserve. */
FL_MUST_CHECK enum fl_status fl_buf_append(struct fl_buf *buf, const void *data, size_t size);

/* Appends size bytes of unspecified content and returns where they start in *ret_at (valid until it grows).
 */
FL_MUST_CHECK enum fl_status fl_buf_extend(struct fl_buf *buf, size_t size, uint8_t **ret_at);

/* Appends formatted text without its final zero. Failures as fl_buf_reserve. */
FL_MUST_CHECK enum fl_status fl_buf_printf(struct fl_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Forgets the content and keeps the memory. */
void fl_buf_clear(struct fl_buf *buf);

/* Shortens to size bytes (size <= buf->size). */
void fl_buf_truncate(struct fl_buf *buf, size_t size);

/* Hands the memory to the caller, who frees it with free(); buf is empty afterwards. */
uint8_t *fl_buf_take(struct fl_buf *buf, size_t *ret_size);

/* Borrowed view of the content, valid until buf changes. */
struct fl_bytes fl_buf_view(const struct fl_buf *buf);

/* View of a zero-terminated string, without the zero. */
struct fl_bytes fl_bytes_from_text(const char *text);

/* 1 when both views hold the same bytes, else 0. Not constant time. */
int fl_bytes_equal(struct fl_bytes a, struct fl_bytes b);

/* Lower-case hexadecimal of size bytes into text[2 * size + 1]. */
void fl_hex_encode(const uint8_t *data, size_t size, char *text);

/* Exactly 2 * size hexadecimal digits, either case, then the end of text; else FL_ERR_FORMAT. */
FL_MUST_CHECK enum fl_status fl_hex_decode(const char *text, uint8_t *data, size_t size);

/* Little-endian stores and loads, any alignment. */
static inline void fl_store_le32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static inline void fl_store_le64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static inline uint32_t fl_load_le32(const uint8_t *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value |= (uint32_t)at[i] << (8 * i);
    return value;
}

static inline uint64_t fl_load_le64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

#endif
