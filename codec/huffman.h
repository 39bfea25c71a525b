/*
 * Canonical Huffman code for the indices of quantisation levels: code lengths from counts, lengths as bytes,
 * and symbols as bits. Not for gaps between coordinates (codec/rice.h). Nothing here allocates. Source:
 * Huffman 1952; Larmore and Hirschberg 1990 (package-merge) for the limit of the lengths.
 *
 * A code is its lengths: 0 for a symbol that does not occur, else 1..FL_HUFFMAN_LENGTH_MAX. Lengths are a
 * code when the sum of 2^-length is exactly 1, so every row of bits means something. Codes are numbered by
 * length, then by symbol, and travel with their highest bit first.
 */
#ifndef FL_CODEC_HUFFMAN_H
#define FL_CODEC_HUFFMAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "codec/bits.h"

#define FL_HUFFMAN_SYMBOLS_MAX 256
#define FL_HUFFMAN_LENGTH_MAX  15

/* Bytes of the lengths of a code of `symbols` symbols. */
#define FL_HUFFMAN_LENGTHS_BYTES(symbols) (((size_t)(symbols) + 1) / 2)

/* Bits that the decoder looks up at once. */
#define FL_HUFFMAN_LOOKUP_BITS 10

struct fl_huffman_encoder {
    uint16_t code[FL_HUFFMAN_SYMBOLS_MAX]; /* bits in the order of the stream */
    uint8_t length[FL_HUFFMAN_SYMBOLS_MAX];
};

struct fl_huffman_decoder {
    /* By the next bits: what they are the codes of, see huffman.c; 0 where the first code is longer. */
    uint64_t lookup[1 << FL_HUFFMAN_LOOKUP_BITS];
    uint16_t first[FL_HUFFMAN_LENGTH_MAX + 1];  /* first code of each length */
    uint16_t count[FL_HUFFMAN_LENGTH_MAX + 1];  /* codes of each length */
    uint16_t offset[FL_HUFFMAN_LENGTH_MAX + 1]; /* of the first code's symbol in sorted */
    uint8_t sorted[FL_HUFFMAN_SYMBOLS_MAX];     /* symbols by length, then by number */
};

/*
 * Lengths of the code with the fewest bits among all whose lengths stay within the limit; a pure function of
 * the counts, the same on every machine. counts: shape (symbols), 2 <= symbols <= 256, sum below 2^48.
 * Symbols with count 0 get no code, but at least two symbols have one: the lowest stand in. Who encodes what
 * was not counted adds 1 to each count first.
 */
void fl_huffman_lengths(const uint64_t *counts, size_t symbols, uint8_t *ret_lengths);

/* Counts for fl_huffman_lengths from shares that sum to about 1 (fl_levels_shares): 2^32 share + 1, so that
 * every symbol has a code. */
void fl_huffman_counts(const double *shares, size_t symbols, uint64_t *ret_counts);

/* Bits that symbols with these counts take. */
uint64_t fl_huffman_bits(const uint8_t *lengths, const uint64_t *counts, size_t symbols);

/* Lengths as bytes: 4 bits each, the lower half of a byte first, a last half of 0 after an odd number. The
 * one valid form of a code. */
void fl_huffman_put_lengths(const uint8_t *lengths, size_t symbols, uint8_t *ret_bytes);

/* The lengths of `symbols` symbols, 2..256, from exactly FL_HUFFMAN_LENGTHS_BYTES(symbols) bytes.
 * FL_ERR_TRUNCATED for fewer, FL_ERR_FORMAT for more, for a last half that is not 0 and for lengths that are
 * no code. */
FL_MUST_CHECK enum fl_status fl_huffman_get_lengths(const uint8_t *bytes, size_t size, size_t symbols,
                                                    uint8_t *ret_lengths);

/* Both sides of a code. FL_ERR_RANGE unless 2 <= symbols <= 256; FL_ERR_FORMAT for lengths that are no code.
 */
FL_MUST_CHECK enum fl_status fl_huffman_encoder_init(const uint8_t *lengths, size_t symbols,
                                                     struct fl_huffman_encoder *ret_encoder);
FL_MUST_CHECK enum fl_status fl_huffman_decoder_init(const uint8_t *lengths, size_t symbols,
                                                     struct fl_huffman_decoder *ret_decoder);

/* Appends count symbols, all of which have a code. The writer has room for their bits and FL_BITS_SLACK
 * bytes. */
void fl_huffman_write(const struct fl_huffman_encoder *encoder, const uint8_t *values, size_t count,
                      struct fl_bit_writer *writer);

/* Reads count symbols from reader->pos on and moves it behind them. FL_ERR_TRUNCATED when the stream ends
 * before they do; ret_values (count) may then be partly written. Never reads outside the stream. */
FL_MUST_CHECK enum fl_status fl_huffman_read(const struct fl_huffman_decoder *decoder,
                                             struct fl_bit_reader *reader, size_t count, uint8_t *ret_values);

#endif
