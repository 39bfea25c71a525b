/*
 * Blocks of up to 64 numbers in split Rice code, each with its own parameter: what gaps between indices and
 * magnitudes of levels are written in. Not for whole payloads (codec/layout.h).
 * Source: Rice and Plaunt 1971; remainders and quotients apart, so that remainders have a fixed width.
 */
#ifndef FL_CODEC_RICE_H
#define FL_CODEC_RICE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "codec/bits.h"

#define FL_RICE_BLOCK 64
/* Parameter that stands for plain numbers of the stream's width. */
#define FL_RICE_PLAIN 31
/* Parameter before the first block of a stream: that block's parameter is written in 5 bits. */
#define FL_RICE_NO_PARAMETER 32
/* No block of numbers below 2^32 is longer: parameter, then at most the plain coding. */
#define FL_RICE_BLOCK_BYTES_MAX (FL_RICE_BLOCK * 32 / 8 + 8)

/* What the numbers of a stream have in common. */
struct fl_rice_stream {
    unsigned plain_width; /* bits of a plain number; Rice parameters are smaller than it and than 31 */
    uint32_t most;        /* largest number that makes sense, < 2^plain_width */
    unsigned parameter;   /* of the block before, FL_RICE_NO_PARAMETER at the start */
};

/* The cheapest parameter for these count numbers after stream->parameter; ret_bits: what the block takes. */
unsigned fl_rice_choose(const struct fl_rice_stream *stream, const uint32_t *numbers, size_t count,
                        uint64_t *ret_bits);

/* Writes a block with that parameter and remembers it in stream. */
void fl_rice_write(struct fl_rice_stream *stream, unsigned parameter, const uint32_t *numbers, size_t count,
                   struct fl_bit_writer *writer);

/* Reads a block of count <= 64 numbers from reader->pos on. FL_ERR_TRUNCATED, FL_ERR_FORMAT (parameter),
 * FL_ERR_RANGE (a number above stream->most). */
FL_MUST_CHECK enum fl_status fl_rice_read(struct fl_rice_stream *stream, struct fl_bit_reader *reader,
                                          size_t count, uint32_t *ret_numbers);

/* How a block can be read and written; all give the same numbers, bytes and failures. */
enum fl_rice_level {
    FL_RICE_AT_CAREFUL, /* number by number: what the others are compared with, and what they leave to it */
    FL_RICE_AT_ANY,     /* every processor */
    FL_RICE_AT_NEWER,   /* shifts by any register, eight numbers at once: Haswell, Zen */
    FL_RICE_AT_SPREAD,  /* and spreads bits quickly, which the first that could took very long for */
    FL_RICE_AT_VECTOR,  /* and compresses 64 bytes at once: Ice Lake, Zen 4 */
};

/* What fl_rice_read() takes: the last that this processor can do, and that FL_KERNELS allows
 * (kernels/kernels.h). */
enum fl_rice_level fl_rice_level_here(void);

/* fl_rice_choose() and fl_rice_write() at a level up to that. */
unsigned fl_rice_choose_at(enum fl_rice_level level, const struct fl_rice_stream *stream,
                           const uint32_t *numbers, size_t count, uint64_t *ret_bits);
void fl_rice_write_at(enum fl_rice_level level, struct fl_rice_stream *stream, unsigned parameter,
                      const uint32_t *numbers, size_t count, struct fl_bit_writer *writer);

/* fl_rice_read() at a level up to that. */
FL_MUST_CHECK enum fl_status fl_rice_read_at(enum fl_rice_level level, struct fl_rice_stream *stream,
                                             struct fl_bit_reader *reader, size_t count,
                                             uint32_t *ret_numbers);

#endif
