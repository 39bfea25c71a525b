/*
 * The values section of a coded payload (kind 7): writing it, and reading it value by value, hostile bytes
 * too. Not for where the values belong (codec/coded.c). The bytes are told in codec/README.md.
 */
#ifndef FL_CODEC_VALUES_H
#define FL_CODEC_VALUES_H

#include "codec/bits.h"
#include "codec/block_int.h"
#include "codec/huffman.h"
#include "codec/payload.h"

/* Most levels of a table: a code is a byte. */
#define FL_VALUES_LEVELS_MAX 256

/* Quantised values: value i is scales[i / bucket] * table[codes[i]], one float32 product. */
struct fl_level_values {
    const float *table;   /* shape (level_count), strictly increasing, finite */
    size_t level_count;   /* 2 to FL_VALUES_LEVELS_MAX */
    const float *scales;  /* shape (ceil(count / bucket)), finite, >= 0 */
    size_t bucket;        /* values that share a scale, 1 to 2^32 - 1 */
    const uint8_t *codes; /* shape (count), each below level_count */
};

/* Appends the section for count > 0 values (codes in the shorter of the two codings): the bits of finite
 * float32 in a plain form (FL_VALUES_NATURAL: of powers of two and 0; calls for parts of the section but the
 * last have a multiple of 64 values), or levels. FL_ERR_NOMEM, FL_ERR_LIMIT; out may hold a part of it on
 * failure. */
FL_MUST_CHECK enum fl_status fl_values_write_words(enum fl_value_form form, const uint32_t *words,
                                                   size_t count, struct fl_buf *out);
FL_MUST_CHECK enum fl_status fl_values_write_levels(const struct fl_level_values *levels, size_t count,
                                                    struct fl_buf *out);

/* The section of count > 0 values as integers in blocks of so many, 1 to 2^32 - 1; values: finite. */
FL_MUST_CHECK enum fl_status fl_values_write_blocks(const float *values, size_t count, size_t block_size,
                                                    uint32_t contributors, struct fl_buf *out);

/* Reads one section from its start; borrows the bytes. */
struct fl_value_reader {
    enum fl_value_form form;
    const uint8_t *at;         /* plain, integers: the next value */
    const uint8_t *exponents;  /* integers: those of the blocks from the next value's on */
    struct fl_block_int block; /* integers: the one that was read from last */
    const uint8_t *table, *scales;
    size_t level_count, bucket, used; /* bucket: of integers, the block; used: values of it that are read */
    unsigned width;                   /* bits of a code; 0: Huffman code */
    struct fl_huffman_decoder decoder;
    struct fl_bit_reader codes;
};

/* Everything but the codes and values themselves is checked. FL_ERR_TRUNCATED, FL_ERR_FORMAT, FL_ERR_RANGE,
 * FL_ERR_NOT_FINITE. */
FL_MUST_CHECK enum fl_status fl_value_reader_open(enum fl_value_form form, struct fl_bytes bytes,
                                                  size_t count, struct fl_value_reader *ret_reader);

/* The next size <= 64 values as float32 bits, which may be not finite. At most count values in all.
 * FL_ERR_RANGE: a code without a level, an integer that does not fit; FL_ERR_TRUNCATED. */
FL_MUST_CHECK enum fl_status fl_value_reader_next(struct fl_value_reader *reader, size_t size,
                                                  uint32_t *ret_words);

/* After the last value: nothing but zero bits to the end of the byte, and no other byte. FL_ERR_FORMAT. */
FL_MUST_CHECK enum fl_status fl_value_reader_end(const struct fl_value_reader *reader);

#endif
