/*
 * JSON out and in: a writer with sticky errors that appends to a buffer, and parsed documents to look things
 * up in. Both on jansson. Not for the clients' protocol, which is msgpack.
 */
#ifndef FL_SERVER_PORT_JSON_H
#define FL_SERVER_PORT_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FL_JSON_DEPTH 32

/* Writes one document. The first error is kept in status, later calls do nothing. */
struct fl_json_writer {
    struct fl_buf *buf;
    enum fl_status status;
    unsigned depth;
    char close[FL_JSON_DEPTH]; /* what ends each open container */
    int filled[FL_JSON_DEPTH + 1];
};

void fl_json_writer_init(struct fl_json_writer *writer, struct fl_buf *buf);

/* key: of a value inside an object; NULL inside an array and at the top. */
void fl_json_begin_object(struct fl_json_writer *writer, const char *key);
void fl_json_begin_array(struct fl_json_writer *writer, const char *key);
void fl_json_end(struct fl_json_writer *writer);
void fl_json_put_text(struct fl_json_writer *writer, const char *key, const char *value); /* NULL: null */
void fl_json_put_bytes(struct fl_json_writer *writer, const char *key,
                       struct fl_bytes text); /* not UTF-8: null */
void fl_json_put_uint(struct fl_json_writer *writer, const char *key, uint64_t value);
void fl_json_put_int(struct fl_json_writer *writer, const char *key, int64_t value);
void fl_json_put_double(struct fl_json_writer *writer, const char *key, double value); /* not finite: null */
void fl_json_put_bool(struct fl_json_writer *writer, const char *key, int value);

/* Appends one msgpack message as JSON. bin values become hexadecimal text. FL_ERR_* of protocol/reader.h. */
FL_MUST_CHECK enum fl_status fl_json_from_msgpack(struct fl_bytes message, struct fl_buf *buf);

/* A parsed value; those found inside it are borrowed from the document. NULL is accepted everywhere: it has
 * nothing in it. */
struct fl_json;

/* FL_ERR_FORMAT: not JSON, or a key stands twice. Freed by fl_json_free. */
FL_MUST_CHECK enum fl_status fl_json_parse(struct fl_bytes text, struct fl_json **ret_json);
void fl_json_free(struct fl_json *json);

const struct fl_json *fl_json_get(const struct fl_json *object, const char *key);
size_t fl_json_count(const struct fl_json *array);
const struct fl_json *fl_json_at(const struct fl_json *array, size_t index);
uint64_t fl_json_item_uint(const struct fl_json *array, size_t index);   /* 0 when it is not there */
const char *fl_json_text(const struct fl_json *object, const char *key); /* "" when it is not there */
uint64_t fl_json_uint(const struct fl_json *object, const char *key);    /* 0 when it is not there */
double fl_json_double(const struct fl_json *object, const char *key);    /* NaN when it is not there */
int fl_json_bool(const struct fl_json *object, const char *key);         /* 0 when it is not there */
/* 1 and *ret_value when key is there as a whole number >= 0. */
int fl_json_find_uint(const struct fl_json *object, const char *key, uint64_t *ret_value);

/* Appends the value as compact text, on one line. */
FL_MUST_CHECK enum fl_status fl_json_print(const struct fl_json *json, struct fl_buf *buf);

#endif
