#include "server/port/json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/reader.h"

#define MAP_ENTRIES 65536 /* of one map or array that is rendered */

/* -- writing ------------------------------------------------------------------------------------------------
 */

void fl_json_writer_init(struct fl_json_writer *writer, struct fl_buf *buf)
{
    *writer = (struct fl_json_writer){.buf = buf};
}

static void put_raw(struct fl_json_writer *writer, const char *text, size_t size)
{
    if (!writer->status)
        writer->status = fl_buf_append(writer->buf, text, size);
}

static int append_dumped(const char *text, size_t size, void *writer)
{
    put_raw(writer, text, size);
    return 0;
}

/* Writes value by jansson, for its escapes and numbers, and drops it. */
static void put_value(struct fl_json_writer *writer, json_t *value)
{
    if (value && json_dump_callback(value, append_dumped, writer, JSON_ENCODE_ANY) && !writer->status)
        writer->status = FL_ERR_NOMEM;
    if (!value && !writer->status)
        writer->status = FL_ERR_NOMEM;
    json_decref(value);
}

static void put_key(struct fl_json_writer *writer, const char *key)
{
    if (writer->filled[writer->depth])
        put_raw(writer, ",", 1);
    writer->filled[writer->depth] = 1;
    if (key) {
        put_value(writer, json_string(key));
        put_raw(writer, ":", 1);
    }
}

static void begin(struct fl_json_writer *writer, const char *key, char open, char close)
{
    put_key(writer, key);
    put_raw(writer, &open, 1);
    if (writer->depth == FL_JSON_DEPTH) {
        if (!writer->status)
            writer->status = FL_ERR_LIMIT;
        return;
    }
    writer->close[writer->depth++] = close;
    writer->filled[writer->depth] = 0;
}

void fl_json_begin_object(struct fl_json_writer *writer, const char *key)
{
    begin(writer, key, '{', '}');
}

void fl_json_begin_array(struct fl_json_writer *writer, const char *key)
{
    begin(writer, key, '[', ']');
}

void fl_json_end(struct fl_json_writer *writer)
{
    if (writer->status)
        return;
    put_raw(writer, &writer->close[--writer->depth], 1);
}

void fl_json_put_bytes(struct fl_json_writer *writer, const char *key, struct fl_bytes text)
{
    json_t *value = json_stringn(text.size ? (const char *)text.data : "", text.size);
    put_key(writer, key);
    put_value(writer, value ? value : json_null());
}

void fl_json_put_text(struct fl_json_writer *writer, const char *key, const char *value)
{
    if (value) {
        fl_json_put_bytes(writer, key, fl_bytes_from_text(value));
    } else {
        put_key(writer, key);
        put_raw(writer, "null", 4);
    }
}

void fl_json_put_uint(struct fl_json_writer *writer, const char *key, uint64_t value)
{
    put_key(writer, key);
    if (!writer->status)
        writer->status = fl_buf_printf(writer->buf, "%llu", (unsigned long long)value);
}

void fl_json_put_int(struct fl_json_writer *writer, const char *key, int64_t value)
{
    put_key(writer, key);
    if (!writer->status)
        writer->status = fl_buf_printf(writer->buf, "%lld", (long long)value);
}

void fl_json_put_double(struct fl_json_writer *writer, const char *key, double value)
{
    put_key(writer, key);
    put_value(writer, isfinite(value) ? json_real(value) : json_null());
}

void fl_json_put_bool(struct fl_json_writer *writer, const char *key, int value)
{
    put_key(writer, key);
    put_value(writer, json_boolean(value));
}

/* -- msgpack to JSON ----------------------------------------------------------------------------------------
 */

static void render_bin(struct fl_json_writer *writer, const char *key, struct fl_bytes bin)
{
    put_key(writer, key);
    put_raw(writer, "\"", 1);
    for (size_t i = 0; i < bin.size && !writer->status; i++)
        writer->status = fl_buf_printf(writer->buf, "%02x", bin.data[i]);
    put_raw(writer, "\"", 1);
}

/* Keys are short; longer ones are cut. */
static void read_key(struct fl_reader *reader, char key[FL_LIMIT_NAME_BYTES + 1])
{
    struct fl_bytes text = fl_reader_get_text(reader, FL_LIMIT_NAME_BYTES);
    if (text.size)
        memcpy(key, text.data, text.size);
    key[text.size] = 0;
}

/* Recursion ends at FL_LIMIT_DEPTH, which the reader enforces. */
static void render_value(struct fl_reader *reader, struct fl_json_writer *writer, const char *key)
{
    char inner[FL_LIMIT_NAME_BYTES + 1];
    uint32_t count;

    switch (fl_reader_peek(reader)) {
    case FL_TYPE_MAP:
        count = fl_reader_get_map(reader, MAP_ENTRIES);
        fl_json_begin_object(writer, key);
        for (uint32_t i = 0; i < count && !reader->status && !writer->status; i++) {
            read_key(reader, inner);
            render_value(reader, writer, inner);
        }
        fl_json_end(writer);
        break;
    case FL_TYPE_ARRAY:
        count = fl_reader_get_array(reader, MAP_ENTRIES);
        fl_json_begin_array(writer, key);
        for (uint32_t i = 0; i < count && !reader->status && !writer->status; i++)
            render_value(reader, writer, NULL);
        fl_json_end(writer);
        break;
    case FL_TYPE_BOOL:
        fl_json_put_bool(writer, key, fl_reader_get_bool(reader));
        break;
    case FL_TYPE_UINT:
        fl_json_put_uint(writer, key, fl_reader_get_uint(reader, UINT64_MAX));
        break;
    case FL_TYPE_INT:
        fl_json_put_int(writer, key, fl_reader_get_int(reader, INT64_MIN, INT64_MAX));
        break;
    case FL_TYPE_FLOAT:
        fl_json_put_double(writer, key, fl_reader_get_double(reader));
        break;
    case FL_TYPE_TEXT:
        fl_json_put_bytes(writer, key, fl_reader_get_text(reader, SIZE_MAX));
        break;
    case FL_TYPE_BIN:
        render_bin(writer, key, fl_reader_get_bin(reader, SIZE_MAX));
        break;
    case FL_TYPE_NIL:
    case FL_TYPE_EXT:
        fl_reader_skip(reader);
        fl_json_put_text(writer, key, NULL);
        break;
    case FL_TYPE_NONE:
        break;
    }
}

enum fl_status fl_json_from_msgpack(struct fl_bytes message, struct fl_buf *buf)
{
    struct fl_reader reader;
    struct fl_json_writer writer;
    size_t start = buf->size;

    fl_reader_init(&reader, message);
    fl_json_writer_init(&writer, buf);
    render_value(&reader, &writer, NULL);
    enum fl_status st = fl_reader_finish(&reader);
    if (!st)
        st = writer.status;
    if (!st && buf->size == start)
        st = FL_ERR_TRUNCATED;
    if (st)
        fl_buf_truncate(buf, start);
    return st;
}

/* -- reading ------------------------------------------------------------------------------------------------
 */

/* A struct fl_json is jansson's json_t under a name that does not drag its header along. */
static const json_t *node(const struct fl_json *json)
{
    return (const json_t *)(const void *)json;
}

enum fl_status fl_json_parse(struct fl_bytes text, struct fl_json **ret_json)
{
    json_error_t error;
    json_t *json = json_loadb(text.size ? (const char *)text.data : "", text.size,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!json)
        return json_error_code(&error) == json_error_out_of_memory ? FL_ERR_NOMEM : FL_ERR_FORMAT;
    *ret_json = (struct fl_json *)(void *)json;
    return FL_OK;
}

void fl_json_free(struct fl_json *json)
{
    json_decref((json_t *)(void *)json);
}

const struct fl_json *fl_json_get(const struct fl_json *object, const char *key)
{
    return (const struct fl_json *)(const void *)json_object_get(node(object), key);
}

size_t fl_json_count(const struct fl_json *array)
{
    return json_array_size(node(array));
}

const struct fl_json *fl_json_at(const struct fl_json *array, size_t index)
{
    return (const struct fl_json *)(const void *)json_array_get(node(array), index);
}

const char *fl_json_text(const struct fl_json *object, const char *key)
{
    const char *text = json_string_value(json_object_get(node(object), key));
    return text ? text : "";
}

int fl_json_find_uint(const struct fl_json *object, const char *key, uint64_t *ret_value)
{
    const json_t *value = json_object_get(node(object), key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return 0;
    *ret_value = (uint64_t)json_integer_value(value);
    return 1;
}

uint64_t fl_json_uint(const struct fl_json *object, const char *key)
{
    uint64_t value = 0;
    return fl_json_find_uint(object, key, &value) ? value : 0;
}

double fl_json_double(const struct fl_json *object, const char *key)
{
    const json_t *value = json_object_get(node(object), key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

int fl_json_bool(const struct fl_json *object, const char *key)
{
    return json_is_true(json_object_get(node(object), key));
}

enum fl_status fl_json_print(const struct fl_json *json, struct fl_buf *buf)
{
    struct fl_json_writer writer;
    fl_json_writer_init(&writer, buf);
    if (json_dump_callback(node(json), append_dumped, &writer, JSON_ENCODE_ANY | JSON_COMPACT) &&
        !writer.status)
        return FL_ERR_NOMEM;
    return writer.status;
}

uint64_t fl_json_item_uint(const struct fl_json *array, size_t index)
{
    const json_t *value = json_array_get(node(array), index);
    return json_is_integer(value) && json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
}
