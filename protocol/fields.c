#include "protocol/fields.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/messages.h"
#include "protocol/routes.h"

static uint64_t load_u64(const void *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t load_u32(const void *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static int32_t load_i32(const void *at)
{
    int32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static double load_float(const struct fl_field *field, const void *at)
{
    float narrow;
    double wide;
    if (field->type == FL_FIELD_F32) {
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, at, sizeof wide);
    return wide;
}

/* Bytes of the field in its struct, for the types whose default is zero bytes. */
static size_t plain_size(const struct fl_field *field)
{
    switch (field->type) {
    case FL_FIELD_U32:
    case FL_FIELD_I32:
    case FL_FIELD_F32:
    case FL_FIELD_CHOICE:
        return 4;
    case FL_FIELD_TEXT:
    case FL_FIELD_NAME:
        return 1;
    case FL_FIELD_HASH:
        return field->max;
    default:
        return 8;
    }
}

static int all_default(const struct fl_shape *shape, const uint8_t *message);

static int is_default(const struct fl_field *field, const uint8_t *message)
{
    const uint8_t *at = message + field->offset;
    struct fl_bytes view;
    switch (field->type) {
    case FL_FIELD_BIN:
        memcpy(&view, at, sizeof view);
        return view.size == 0;
    case FL_FIELD_LIST:
        return load_u32(message + field->count_offset) == 0;
    case FL_FIELD_GROUP:
        return all_default(field->group, at);
    default:
        for (size_t i = 0; i < plain_size(field); i++)
            if (at[i] != 0)
                return 0;
        return 1;
    }
}

static int all_default(const struct fl_shape *shape, const uint8_t *message)
{
    for (unsigned i = 0; i < shape->count; i++)
        if (!is_default(&shape->fields[i], message))
            return 0;
    return 1;
}

static enum fl_status check_float(const struct fl_field *field, double value)
{
    if (!isfinite(value))
        return FL_ERR_NOT_FINITE;
    if (value < 0 || (field->float_max != 0 && value > field->float_max))
        return FL_ERR_RANGE;
    return FL_OK;
}

static enum fl_status check_uint(const struct fl_field *field, uint64_t value)
{
    return value < field->min || value > field->max ? FL_ERR_RANGE : FL_OK;
}

static enum fl_status check_size(const struct fl_field *field, size_t size)
{
    if (size > field->max)
        return FL_ERR_LIMIT;
    return size < field->min ? FL_ERR_RANGE : FL_OK;
}

static enum fl_status check_text(const struct fl_field *field, struct fl_bytes text)
{
    char copy[FL_LIMIT_TEXT_BYTES + 1];
    enum fl_status st = check_size(field, text.size);
    if (st || text.size >= sizeof copy)
        return st ? st : FL_ERR_LIMIT;
    if (!fl_text_valid(text))
        return FL_ERR_FORMAT;
    if (field->type == FL_FIELD_NAME) {
        if (text.size)
            memcpy(copy, text.data, text.size);
        copy[text.size] = '\0';
        return fl_name_valid(copy) ? FL_OK : FL_ERR_FORMAT;
    }
    return FL_OK;
}

/* Writing. */

static void note(struct fl_writer *writer, enum fl_status st)
{
    if (!writer->status)
        writer->status = st;
}

static void write_text(struct fl_writer *writer, const struct fl_field *field, const char *text)
{
    note(writer, check_text(field, (struct fl_bytes){(const uint8_t *)text, strnlen(text, field->max + 1)}));
    if (!writer->status)
        fl_writer_text(writer, text);
}

static void write_list(struct fl_writer *writer, const struct fl_field *field, const uint8_t *at,
                       uint32_t count)
{
    note(writer, count > field->max ? FL_ERR_RANGE : FL_OK);
    if (writer->status)
        return;
    fl_writer_array(writer, count);
    for (uint32_t i = 0; i < count; i++)
        fl_writer_uint(writer, load_u32(at + 4 * i));
}

static void write_field(struct fl_writer *writer, const struct fl_field *field, const uint8_t *message)
{
    const uint8_t *at = message + field->offset;
    struct fl_bytes view;
    switch (field->type) {
    case FL_FIELD_U64:
        note(writer, check_uint(field, load_u64(at)));
        fl_writer_uint(writer, load_u64(at));
        break;
    case FL_FIELD_U32:
        note(writer, check_uint(field, load_u32(at)));
        fl_writer_uint(writer, load_u32(at));
        break;
    case FL_FIELD_I32:
        note(writer, llabs(load_i32(at)) > (int64_t)field->max ? FL_ERR_RANGE : FL_OK);
        fl_writer_int(writer, load_i32(at));
        break;
    case FL_FIELD_F32:
    case FL_FIELD_F64:
        note(writer, check_float(field, load_float(field, at)));
        fl_writer_double(writer, load_float(field, at));
        break;
    case FL_FIELD_TEXT:
    case FL_FIELD_NAME:
        write_text(writer, field, (const char *)at);
        break;
    case FL_FIELD_CHOICE:
        note(writer, check_uint(field, load_u32(at)));
        if (!writer->status)
            fl_writer_text(writer, field->choice(load_u32(at)));
        break;
    case FL_FIELD_HASH:
        fl_writer_bin(writer, (struct fl_bytes){at, field->max});
        break;
    case FL_FIELD_BIN:
        memcpy(&view, at, sizeof view);
        note(writer, check_size(field, view.size));
        fl_writer_bin(writer, view);
        break;
    case FL_FIELD_LIST:
        write_list(writer, field, at, load_u32(message + field->count_offset));
        break;
    case FL_FIELD_GROUP:
        fl_shape_write(writer, field->group, at, 0);
        break;
    }
}

static int is_left_out(const struct fl_field *field, const void *message)
{
    return field->optional && is_default(field, message);
}

void fl_shape_write(struct fl_writer *writer, const struct fl_shape *shape, const void *message,
                    int with_version)
{
    uint32_t count = with_version ? 1 : 0;
    for (unsigned i = 0; i < shape->count; i++)
        count += !is_left_out(&shape->fields[i], message);
    if (shape->as_array)
        fl_writer_array(writer, count);
    else
        fl_writer_map(writer, count);
    if (with_version) {
        fl_writer_text(writer, "v");
        fl_writer_uint(writer, FL_PROTOCOL_MAJOR);
    }
    for (unsigned i = 0; i < shape->count; i++) {
        const struct fl_field *field = &shape->fields[i];
        if (is_left_out(field, message))
            continue;
        if (!shape->as_array)
            fl_writer_text(writer, field->key);
        write_field(writer, field, message);
    }
}

/* Reading. */

static void refuse(struct fl_reader *reader, enum fl_status st)
{
    if (!reader->status)
        reader->status = st;
}

static void read_float(struct fl_reader *reader, const struct fl_field *field, uint8_t *at)
{
    if (field->type == FL_FIELD_F32) {
        float value = fl_reader_get_float(reader);
        refuse(reader, check_float(field, value));
        memcpy(at, &value, sizeof value);
    } else {
        double value = fl_reader_get_double(reader);
        refuse(reader, check_float(field, value));
        memcpy(at, &value, sizeof value);
    }
}

static void read_choice(struct fl_reader *reader, const struct fl_field *field, uint8_t *at)
{
    struct fl_bytes text = fl_reader_get_text(reader, FL_LIMIT_NAME_BYTES);
    for (uint32_t value = 0; value <= field->max; value++)
        if (fl_bytes_equal(text, fl_bytes_from_text(field->choice(value)))) {
            memcpy(at, &value, sizeof value);
            return;
        }
    refuse(reader, FL_ERR_RANGE);
}

static void read_list(struct fl_reader *reader, const struct fl_field *field, uint8_t *message)
{
    uint32_t count = fl_reader_get_array(reader, (uint32_t)field->max);
    for (uint32_t i = 0; i < count && !reader->status; i++) {
        uint32_t value = (uint32_t)fl_reader_get_uint(reader, UINT32_MAX);
        memcpy(message + field->offset + 4 * i, &value, sizeof value);
    }
    memcpy(message + field->count_offset, &count, sizeof count);
}

static void read_field(struct fl_reader *reader, const struct fl_field *field, uint8_t *message)
{
    uint8_t *at = message + field->offset;
    struct fl_bytes view = {NULL, 0};
    uint64_t wide;
    uint32_t narrow;
    int32_t number;
    switch (field->type) {
    case FL_FIELD_U64:
        wide = fl_reader_get_uint(reader, field->max);
        refuse(reader, check_uint(field, wide));
        memcpy(at, &wide, sizeof wide);
        break;
    case FL_FIELD_U32:
        narrow = (uint32_t)fl_reader_get_uint(reader, field->max);
        refuse(reader, check_uint(field, narrow));
        memcpy(at, &narrow, sizeof narrow);
        break;
    case FL_FIELD_I32:
        number = (int32_t)fl_reader_get_int(reader, -(int64_t)field->max, (int64_t)field->max);
        memcpy(at, &number, sizeof number);
        break;
    case FL_FIELD_F32:
    case FL_FIELD_F64:
        read_float(reader, field, at);
        break;
    case FL_FIELD_TEXT:
    case FL_FIELD_NAME:
        view = fl_reader_get_text(reader, field->max);
        refuse(reader, check_text(field, view));
        if (!reader->status && view.size)
            memcpy(at, view.data, view.size);
        break;
    case FL_FIELD_CHOICE:
        read_choice(reader, field, at);
        break;
    case FL_FIELD_HASH:
        view = fl_reader_get_bin(reader, SIZE_MAX);
        refuse(reader, view.size != field->max ? FL_ERR_FORMAT : FL_OK);
        if (!reader->status)
            memcpy(at, view.data, view.size);
        break;
    case FL_FIELD_BIN:
        view = fl_reader_get_bin(reader, field->max);
        refuse(reader, check_size(field, view.size));
        memcpy(at, &view, sizeof view);
        break;
    case FL_FIELD_LIST:
        read_list(reader, field, message);
        break;
    case FL_FIELD_GROUP:
        fl_shape_read(reader, field->group, at);
        break;
    }
}

static void read_array(struct fl_reader *reader, const struct fl_shape *shape, uint8_t *message)
{
    uint32_t count = fl_reader_get_array(reader, FL_LIMIT_FIELDS);
    refuse(reader, count < shape->count ? FL_ERR_FORMAT : FL_OK);
    for (uint32_t i = 0; i < count && !reader->status; i++)
        if (i < shape->count)
            read_field(reader, &shape->fields[i], message);
        else
            fl_reader_skip(reader);
}

static unsigned find_field(const struct fl_shape *shape, struct fl_bytes key)
{
    unsigned i = 0;
    while (i < shape->count && !fl_bytes_equal(key, fl_bytes_from_text(shape->fields[i].key)))
        i++;
    return i;
}

void fl_shape_read(struct fl_reader *reader, const struct fl_shape *shape, void *message)
{
    if (shape->as_array) {
        read_array(reader, shape, message);
        return;
    }
    uint32_t seen = 0;
    uint32_t count = fl_reader_get_map(reader, FL_LIMIT_FIELDS);
    for (uint32_t i = 0; i < count && !reader->status; i++) {
        unsigned which = find_field(shape, fl_reader_get_text(reader, FL_LIMIT_NAME_BYTES));
        if (which == shape->count) {
            fl_reader_skip(reader);
            continue;
        }
        refuse(reader, seen >> which & 1 ? FL_ERR_FORMAT : FL_OK);
        seen |= (uint32_t)1 << which;
        if (!reader->status)
            read_field(reader, &shape->fields[which], message);
    }
    for (unsigned i = 0; i < shape->count; i++)
        if (!(seen >> i & 1) && !shape->fields[i].optional)
            refuse(reader, FL_ERR_FORMAT);
}

/* The value of the top-level "v". */
static enum fl_status check_version(struct fl_reader *reader)
{
    if (fl_reader_peek(reader) == FL_TYPE_INT)
        return FL_ERR_VERSION;
    uint64_t version = fl_reader_get_uint(reader, UINT64_MAX);
    if (reader->status)
        return reader->status;
    return version == FL_PROTOCOL_MAJOR ? FL_OK : FL_ERR_VERSION;
}

enum fl_status fl_message_check(struct fl_bytes bytes)
{
    struct fl_reader reader;
    int found = 0;
    fl_reader_init(&reader, bytes);
    uint32_t count = fl_reader_get_map(&reader, UINT32_MAX);
    for (uint32_t i = 0; i < count && !reader.status; i++) {
        struct fl_bytes key = fl_reader_get_text(&reader, SIZE_MAX);
        if (!fl_bytes_equal(key, fl_bytes_from_text("v"))) {
            fl_reader_skip(&reader);
            continue;
        }
        refuse(&reader, found++ == 0 ? check_version(&reader) : FL_ERR_FORMAT);
    }
    refuse(&reader, found ? FL_OK : FL_ERR_FORMAT);
    return fl_reader_finish(&reader);
}
