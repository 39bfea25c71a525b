/*
 * Messages as tables: a shape lists the fields of a struct with their keys, types and limits, and one engine
 * writes and reads every struct that has a shape. Private to protocol/. Checks across fields are the
 * business of messages.c.
 */
#ifndef FL_PROTOCOL_FIELDS_H
#define FL_PROTOCOL_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/reader.h"
#include "protocol/writer.h"

enum fl_field_type {
    FL_FIELD_U64,
    FL_FIELD_U32, /* enums too */
    FL_FIELD_I32, /* between -max and max */
    FL_FIELD_F32, /* floats are finite, >= 0 and <= float_max when that is not 0 */
    FL_FIELD_F64,
    FL_FIELD_TEXT,   /* char[max + 1], zero-terminated valid text */
    FL_FIELD_NAME,   /* the same, and fl_name_valid() */
    FL_FIELD_CHOICE, /* uint32 0 to max, written as the text choice(value) */
    FL_FIELD_HASH,   /* uint8_t[max], written as bin of exactly max bytes */
    FL_FIELD_BIN,    /* struct fl_bytes of at most max bytes */
    FL_FIELD_LIST,   /* uint32_t[max], how many at count_offset (uint32_t) */
    FL_FIELD_GROUP,  /* a struct with a shape of its own */
};

struct fl_field {
    const char *key;
    enum fl_field_type type;
    int optional; /* left out when 0, empty or without anything but that; such is its default */
    size_t offset;
    uint64_t min, max; /* of the number, or of the length */
    double float_max;
    const char *(*choice)(uint32_t value);
    size_t count_offset;
    const struct fl_shape *group;
};

struct fl_shape {
    const struct fl_field *fields;
    unsigned count; /* at most 32 */
    int as_array;   /* an array of the fields in order, all of them, instead of a map */
};

/* Writes message; in a map, "v" comes first when with_version. FL_ERR_* of the first field that breaks its
 * limits stays in the writer. */
void fl_shape_write(struct fl_writer *writer, const struct fl_shape *shape, const void *message,
                    int with_version);

/* Reads into message, which is zero-filled. Unknown keys (and "v") are passed over. */
void fl_shape_read(struct fl_reader *reader, const struct fl_shape *shape, void *message);

/* What must hold before any field is looked at: the major version, then the structure of all bytes. */
FL_MUST_CHECK enum fl_status fl_message_check(struct fl_bytes bytes);

#endif
