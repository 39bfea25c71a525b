#include "client/core/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files hold the values as they lie in memory");
_Static_assert(sizeof(float) == 4, "float is float32");

static const uint8_t magic[8] = {'F', 'L', 'V', '1', 0, 0, 0, 0};

uint64_t fl_vector_file_bytes(uint64_t elems)
{
    return FL_VECTOR_HEAD_BYTES + elems * sizeof(float);
}

enum fl_status fl_vector_init(struct fl_vector *ret_vector, uint64_t elems)
{
    uint8_t *block = calloc(1, (size_t)fl_vector_file_bytes(elems));
    if (!block)
        return FL_ERR_NOMEM;
    memcpy(block, magic, sizeof magic);
    fl_store_le64(block + sizeof magic, elems);
    *ret_vector = (struct fl_vector){.block = block, .elems = elems};
    return FL_OK;
}

void fl_vector_done(struct fl_vector *vector)
{
    free(vector->block);
    *vector = (struct fl_vector){0};
}

enum fl_status fl_vector_load(struct fl_vector *vector, struct fl_buf *buf, uint64_t elems)
{
    if (buf->size != fl_vector_file_bytes(elems) || memcmp(buf->data, magic, sizeof magic) != 0 ||
        fl_load_le64(buf->data + sizeof magic) != elems)
        return FL_ERR_CORRUPT;
    const float *values = (const float *)(const void *)(buf->data + FL_VECTOR_HEAD_BYTES);
    for (uint64_t i = 0; i < elems; i++)
        if (!isfinite(values[i]))
            return FL_ERR_CORRUPT;
    size_t size;
    fl_vector_done(vector);
    *vector = (struct fl_vector){.block = fl_buf_take(buf, &size), .elems = elems};
    return FL_OK;
}

float *fl_vector_values(const struct fl_vector *vector)
{
    return (float *)(void *)(vector->block + FL_VECTOR_HEAD_BYTES);
}

struct fl_bytes fl_vector_file(const struct fl_vector *vector)
{
    return (struct fl_bytes){.data = vector->block, .size = (size_t)fl_vector_file_bytes(vector->elems)};
}

void fl_vector_swap(struct fl_vector *a, struct fl_vector *b)
{
    struct fl_vector held = *a;
    *a = *b;
    *b = held;
}
