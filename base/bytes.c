#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fl_buf_init(struct fl_buf *buf, size_t limit)
{
    *buf = (struct fl_buf){.limit = limit};
}

void fl_buf_done(struct fl_buf *buf)
{
    if (!buf)
        return;
    free(buf->data);
    fl_buf_init(buf, buf->limit);
}

enum fl_status fl_buf_reserve(struct fl_buf *buf, size_t extra)
{
    if (extra > buf->limit - buf->size)
        return FL_ERR_LIMIT;
    size_t need = buf->size + extra;
    if (need <= buf->capacity)
        return FL_OK;
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity < need)
        capacity = capacity > buf->limit / 2 ? buf->limit : capacity * 2;
    uint8_t *data = realloc(buf->data, capacity);
    if (!data)
        return FL_ERR_NOMEM;
    buf->data = data;
    buf->capacity = capacity;
    return FL_OK;
}

enum fl_status fl_buf_extend(struct fl_buf *buf, size_t size, uint8_t **ret_at)
{
    enum fl_status st = fl_buf_reserve(buf, size);
    if (st)
        return st;
    *ret_at = buf->data + buf->size;
    buf->size += size;
    return FL_OK;
}

enum fl_status fl_buf_append(struct fl_buf *buf, const void *data, size_t size)
{
    if (!size)
        return FL_OK;
    uint8_t *at;
    enum fl_status st = fl_buf_extend(buf, size, &at);
    if (st)
        return st;
    memcpy(at, data, size);
    return FL_OK;
}

enum fl_status fl_buf_printf(struct fl_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    enum fl_status st = length < 0 ? FL_ERR_FORMAT : fl_buf_reserve(buf, (size_t)length + 1);
    if (!st) {
        vsnprintf((char *)buf->data + buf->size, (size_t)length + 1, format, again);
        buf->size += (size_t)length;
    }
    va_end(again);
    return st;
}

void fl_buf_clear(struct fl_buf *buf)
{
    buf->size = 0;
}

void fl_buf_truncate(struct fl_buf *buf, size_t size)
{
    if (size < buf->size)
        buf->size = size;
}

uint8_t *fl_buf_take(struct fl_buf *buf, size_t *ret_size)
{
    uint8_t *data = buf->data;
    *ret_size = buf->size;
    fl_buf_init(buf, buf->limit);
    return data;
}

struct fl_bytes fl_buf_view(const struct fl_buf *buf)
{
    return (struct fl_bytes){buf->data, buf->size};
}

struct fl_bytes fl_bytes_from_text(const char *text)
{
    return (struct fl_bytes){(const uint8_t *)text, strlen(text)};
}

int fl_bytes_equal(struct fl_bytes a, struct fl_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

void fl_hex_encode(const uint8_t *data, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    text[2 * size] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum fl_status fl_hex_decode(const char *text, uint8_t *data, size_t size)
{
    if (strlen(text) != 2 * size)
        return FL_ERR_FORMAT;
    for (size_t i = 0; i < 2 * size; i++)
        if (hex_digit(text[i]) < 0)
            return FL_ERR_FORMAT;
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    return FL_OK;
}
