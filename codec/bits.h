/*
 * A stream of bits, least significant bit of each byte first: a writer that trusts its room and a reader that
 * trusts nothing. Past its end the reader sees zeros; who reads checks the position afterwards.
 */
#ifndef FL_CODEC_BITS_H
#define FL_CODEC_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words of the stream are loaded and stored whole");

/* Room that must stay behind the write position: a put stores 8 bytes. */
#define FL_BITS_SLACK 8

static inline uint64_t fl_bits_load(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

struct fl_bit_writer {
    uint8_t *at;  /* next byte to fill */
    uint64_t acc; /* bits not yet given up, fewer than 8 between calls */
    unsigned fill;
};

/* Appends the low count bits of value, count <= 56, higher bits of value zero. */
static inline void fl_bits_put(struct fl_bit_writer *writer, uint64_t value, unsigned count)
{
    writer->acc |= value << writer->fill;
    writer->fill += count;
    memcpy(writer->at, &writer->acc, sizeof writer->acc);
    writer->at += writer->fill >> 3;
    writer->acc >>= writer->fill & ~7u;
    writer->fill &= 7;
}

/* Appends count zeros and a one. */
static inline void fl_bits_put_unary(struct fl_bit_writer *writer, uint32_t count)
{
    for (; count >= 31; count -= 31)
        fl_bits_put(writer, 0, 31);
    fl_bits_put(writer, UINT32_C(1) << count, count + 1);
}

struct fl_bit_reader {
    const uint8_t *data;
    size_t size;  /* bytes */
    uint64_t pos; /* bits */
    size_t extra; /* bytes that may be read behind them, whatever they hold */
};

/* At least the next 57 bits from pos, zeros past the end. */
static inline uint64_t fl_bits_peek(const struct fl_bit_reader *reader, uint64_t pos)
{
    uint64_t byte = pos >> 3;
    uint64_t word = 0;
    if (reader->size >= 8 && byte <= reader->size - 8)
        return fl_bits_load(reader->data + byte) >> (pos & 7);
    for (unsigned i = 0; byte < reader->size && i < 8; i++, byte++)
        word |= (uint64_t)reader->data[byte] << (8 * i);
    return word >> (pos & 7);
}

/* Next count <= 32 bits at *pos. */
static inline uint32_t fl_bits_get(const struct fl_bit_reader *reader, uint64_t *pos, unsigned count)
{
    uint64_t word = fl_bits_peek(reader, *pos);
    *pos += count;
    return (uint32_t)(word & ((UINT64_C(1) << count) - 1));
}

/* Zeros before the next one at *pos, or some number above limit; moves *pos past the end when no one follows.
 */
static inline uint64_t fl_bits_get_unary(const struct fl_bit_reader *reader, uint64_t *pos, uint64_t limit)
{
    uint64_t zeros = 0, word;
    while ((word = fl_bits_peek(reader, *pos)) == 0) {
        zeros += 56;
        *pos += 56;
        if (*pos >= (uint64_t)reader->size * 8)
            *pos = (uint64_t)reader->size * 8 + 1;
        if (zeros > limit || *pos > (uint64_t)reader->size * 8)
            return zeros;
    }
    unsigned run = (unsigned)__builtin_ctzll(word);
    *pos += run + 1;
    return zeros + run;
}

#endif
