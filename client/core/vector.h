/*
 * A vector of float32 that is also the bytes of its state file, so that saving and hashing need no copy:
 * 16 bytes of header, then the values, little-endian. Not for arithmetic: see kernels/.
 *
 *   0  "FLV1"     4  zero (uint32)     8  elements (uint64, little-endian)     16  float32 values
 */
#ifndef FL_CLIENT_CORE_VECTOR_H
#define FL_CLIENT_CORE_VECTOR_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FL_VECTOR_HEAD_BYTES 16

/* Caller storage; all zero is no vector. */
struct fl_vector {
    uint8_t *block; /* header and values; owned */
    uint64_t elems;
};

/* All zero, elems <= FL_LIMIT_MODEL_ELEMS. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_vector_init(struct fl_vector *ret_vector, uint64_t elems);
void fl_vector_done(struct fl_vector *vector);

/* Size of the file of a vector. */
uint64_t fl_vector_file_bytes(uint64_t elems);

/* Takes over the content of a file, which must be a vector of elems finite values; buf is left empty.
 * FL_ERR_CORRUPT leaves buf as it was. Replaces what vector held. */
FL_MUST_CHECK enum fl_status fl_vector_load(struct fl_vector *vector, struct fl_buf *buf, uint64_t elems);

/* The values, shape (elems). */
float *fl_vector_values(const struct fl_vector *vector);

/* The file, valid while the vector lives. */
struct fl_bytes fl_vector_file(const struct fl_vector *vector);

void fl_vector_swap(struct fl_vector *a, struct fl_vector *b);

#endif
