#include "codec/huffman.h"

#include <string.h>

#define LIMIT FL_HUFFMAN_LENGTH_MAX

/* A symbol that has a code. */
struct leaf {
    uint64_t count;
    unsigned symbol;
};

/* Symbols by count, then by number: insertion keeps equal counts in order. At least two. */
static size_t sort_leaves(const uint64_t *counts, size_t symbols, struct leaf *leaves)
{
    size_t n = 0, used = 0;
    for (size_t s = 0; s < symbols; s++)
        used += counts[s] > 0;
    for (size_t s = 0; s < symbols; s++) {
        if (!counts[s] && used >= 2)
            continue;
        used += !counts[s];
        size_t at = n++;
        for (; at && leaves[at - 1].count > counts[s]; at--)
            leaves[at] = leaves[at - 1];
        leaves[at] = (struct leaf){counts[s], (unsigned)s};
    }
    return n;
}

/*
 * Package-merge. Row r holds the n leaves and the pairs ("packages") of neighbours of row r - 1, by weight,
 * leaves first among equals; only which of them are leaves is kept. Of the last row the first 2 n - 2 are
 * taken, of each row below it twice as many as packages were taken of the one above; a symbol is as long as
 * it is often taken as a leaf. Returns the length of the row.
 */
static size_t merge_row(const struct leaf *leaves, size_t n, const uint64_t *below, size_t below_size,
                        uint64_t *row, uint8_t *is_leaf)
{
    size_t leaf = 0, pair = 0, pairs = below_size / 2, at = 0;
    for (; leaf < n || pair < pairs; at++) {
        uint64_t weight = pair < pairs ? below[2 * pair] + below[2 * pair + 1] : UINT64_MAX;
        is_leaf[at] = leaf < n && leaves[leaf].count <= weight;
        row[at] = is_leaf[at] ? leaves[leaf].count : weight;
        if (is_leaf[at])
            leaf++;
        else
            pair++;
    }
    return at;
}

void fl_huffman_lengths(const uint64_t *counts, size_t symbols, uint8_t *ret_lengths)
{
    struct leaf leaves[FL_HUFFMAN_SYMBOLS_MAX];
    uint64_t weights[2][2 * FL_HUFFMAN_SYMBOLS_MAX];
    uint8_t is_leaf[LIMIT][2 * FL_HUFFMAN_SYMBOLS_MAX];
    size_t n = sort_leaves(counts, symbols, leaves), size = 0;
    for (int r = 0; r < LIMIT; r++)
        size = merge_row(leaves, n, weights[r % 2], size, weights[(r + 1) % 2], is_leaf[r]);
    memset(ret_lengths, 0, symbols);
    size_t take = 2 * n - 2;
    for (int r = LIMIT - 1; r >= 0; r--) {
        size_t taken = 0;
        for (size_t i = 0; i < take; i++)
            if (is_leaf[r][i])
                ret_lengths[leaves[taken++].symbol]++;
        take = 2 * (take - taken);
    }
}

void fl_huffman_counts(const double *shares, size_t symbols, uint64_t *ret_counts)
{
    for (size_t i = 0; i < symbols; i++)
        ret_counts[i] = (uint64_t)(shares[i] > 0 ? shares[i] * 0x1p32 : 0) + 1;
}

uint64_t fl_huffman_bits(const uint8_t *lengths, const uint64_t *counts, size_t symbols)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < symbols; i++)
        bits += lengths[i] * counts[i];
    return bits;
}

/* The sum of 2^-length is 1, no length is above the limit. */
static enum fl_status check_lengths(const uint8_t *lengths, size_t symbols)
{
    uint32_t sum = 0;
    if (symbols < 2 || symbols > FL_HUFFMAN_SYMBOLS_MAX)
        return FL_ERR_RANGE;
    for (size_t i = 0; i < symbols; i++) {
        if (lengths[i] > LIMIT)
            return FL_ERR_FORMAT;
        if (lengths[i])
            sum += UINT32_C(1) << (LIMIT - lengths[i]);
    }
    return sum == UINT32_C(1) << LIMIT ? FL_OK : FL_ERR_FORMAT;
}

void fl_huffman_put_lengths(const uint8_t *lengths, size_t symbols, uint8_t *ret_bytes)
{
    memset(ret_bytes, 0, FL_HUFFMAN_LENGTHS_BYTES(symbols));
    for (size_t i = 0; i < symbols; i++)
        ret_bytes[i / 2] |= (uint8_t)(lengths[i] << (i % 2 * 4));
}

enum fl_status fl_huffman_get_lengths(const uint8_t *bytes, size_t size, size_t symbols, uint8_t *ret_lengths)
{
    uint8_t lengths[FL_HUFFMAN_SYMBOLS_MAX];
    if (symbols < 2 || symbols > FL_HUFFMAN_SYMBOLS_MAX)
        return FL_ERR_RANGE;
    if (size != FL_HUFFMAN_LENGTHS_BYTES(symbols))
        return size < FL_HUFFMAN_LENGTHS_BYTES(symbols) ? FL_ERR_TRUNCATED : FL_ERR_FORMAT;
    for (size_t i = 0; i < symbols; i++)
        lengths[i] = bytes[i / 2] >> (i % 2 * 4) & 15;
    if (symbols % 2 && bytes[size - 1] >> 4)
        return FL_ERR_FORMAT;
    enum fl_status st = check_lengths(lengths, symbols);
    if (!st)
        memcpy(ret_lengths, lengths, symbols);
    return st;
}

/* The low `length` bits of code, first and last exchanged. */
static uint32_t reversed(uint32_t code, unsigned length)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < length; i++)
        bits |= (code >> i & 1) << (length - 1 - i);
    return bits;
}

/* Numbers the codes; lengths have been checked. */
static void number_codes(const uint8_t *lengths, size_t symbols, struct fl_huffman_decoder *ret_decoder)
{
    unsigned code = 0, offset = 0;
    for (unsigned length = 1; length <= LIMIT; length++) {
        code <<= 1;
        ret_decoder->first[length] = (uint16_t)code;
        ret_decoder->offset[length] = (uint16_t)offset;
        for (size_t s = 0; s < symbols; s++)
            if (lengths[s] == length)
                ret_decoder->sorted[offset++] = (uint8_t)s;
        ret_decoder->count[length] = (uint16_t)(offset - ret_decoder->offset[length]);
        code += ret_decoder->count[length];
    }
}

enum fl_status fl_huffman_encoder_init(const uint8_t *lengths, size_t symbols,
                                       struct fl_huffman_encoder *ret_encoder)
{
    struct fl_huffman_decoder codes;
    enum fl_status st = check_lengths(lengths, symbols);
    if (st)
        return st;
    number_codes(lengths, symbols, &codes);
    *ret_encoder = (struct fl_huffman_encoder){.code = {0}};
    for (unsigned length = 1; length <= LIMIT; length++) {
        for (unsigned i = 0; i < codes.count[length]; i++) {
            uint8_t symbol = codes.sorted[codes.offset[length] + i];
            ret_encoder->code[symbol] = (uint16_t)reversed(codes.first[length] + i, length);
            ret_encoder->length[symbol] = (uint8_t)length;
        }
    }
    return FL_OK;
}

/*
 * An entry of the look-up: bits 0-3 the bits of all codes that lie wholly in the bits looked up, at most
 * ENTRY_SYMBOLS of them; 4-7 how many codes; 8-11 bits of the first; from 16 on a byte for each symbol.
 */
#define ENTRY_SYMBOLS     6
#define ENTRY_ALL_BITS(e) ((unsigned)(e)&15)
#define ENTRY_COUNT(e)    ((unsigned)((e) >> 4) & 15)
#define ENTRY_BITS(e)     ((unsigned)((e) >> 8) & 15)
#define LOOKUP_MASK       ((1u << FL_HUFFMAN_LOOKUP_BITS) - 1)

/* The entry for these bits; single: symbol * 16 + length of the first code, 0 where it is longer. */
static uint64_t join_codes(const uint16_t *single, unsigned bits)
{
    uint64_t entry = 0;
    unsigned used = 0, count = 0;
    while (count < ENTRY_SYMBOLS) {
        unsigned code = single[bits >> used], length = code & 15;
        if (!code || used + length > FL_HUFFMAN_LOOKUP_BITS)
            break;
        entry |= (uint64_t)(code >> 4) << (16 + 8 * count) | (count ? 0 : length << 8);
        used += length;
        count++;
    }
    return entry | count << 4 | used;
}

enum fl_status fl_huffman_decoder_init(const uint8_t *lengths, size_t symbols,
                                       struct fl_huffman_decoder *ret_decoder)
{
    uint16_t single[1 << FL_HUFFMAN_LOOKUP_BITS] = {0};
    enum fl_status st = check_lengths(lengths, symbols);
    if (st)
        return st;
    *ret_decoder = (struct fl_huffman_decoder){.lookup = {0}};
    number_codes(lengths, symbols, ret_decoder);
    for (unsigned length = 1; length <= FL_HUFFMAN_LOOKUP_BITS; length++) {
        for (unsigned i = 0; i < ret_decoder->count[length]; i++) {
            uint8_t symbol = ret_decoder->sorted[ret_decoder->offset[length] + i];
            uint32_t bits = reversed(ret_decoder->first[length] + i, length);
            for (; bits <= LOOKUP_MASK; bits += 1u << length)
                single[bits] = (uint16_t)(symbol * 16u + length);
        }
    }
    for (unsigned bits = 0; bits <= LOOKUP_MASK; bits++)
        ret_decoder->lookup[bits] = join_codes(single, bits);
    return FL_OK;
}

void fl_huffman_write(const struct fl_huffman_encoder *encoder, const uint8_t *values, size_t count,
                      struct fl_bit_writer *writer)
{
    size_t i = 0;
    for (; i + 1 < count; i += 2) { /* two codes have at most 30 bits */
        unsigned length = encoder->length[values[i]];
        uint32_t bits = encoder->code[values[i]] | (uint32_t)encoder->code[values[i + 1]] << length;
        fl_bits_put(writer, bits, length + encoder->length[values[i + 1]]);
    }
    if (i < count)
        fl_bits_put(writer, encoder->code[values[i]], encoder->length[values[i]]);
}

/* The code at the start of word, longer than the look-up; the code is complete, so that one length fits. */
static unsigned read_long(const struct fl_huffman_decoder *decoder, uint64_t word, uint8_t *ret_symbol)
{
    unsigned length = FL_HUFFMAN_LOOKUP_BITS + 1;
    for (; length < LIMIT; length++) {
        uint32_t code = reversed((uint32_t)word, length);
        if (code - decoder->first[length] < decoder->count[length])
            break;
    }
    uint32_t code = reversed((uint32_t)word, length) - decoder->first[length];
    *ret_symbol = decoder->sorted[(decoder->offset[length] + code) % FL_HUFFMAN_SYMBOLS_MAX];
    return length;
}

/* Reads one symbol at pos; returns the bits of its code. */
static unsigned read_one(const struct fl_huffman_decoder *decoder, uint64_t word, uint8_t *ret_symbol)
{
    uint64_t entry = decoder->lookup[word & LOOKUP_MASK];
    if (!entry)
        return read_long(decoder, word, ret_symbol);
    *ret_symbol = (uint8_t)(entry >> 16);
    return ENTRY_BITS(entry);
}

enum fl_status fl_huffman_read(const struct fl_huffman_decoder *decoder, struct fl_bit_reader *reader,
                               size_t count, uint8_t *ret_values)
{
    uint64_t end = (uint64_t)reader->size * 8, pos = reader->pos;
    size_t i = 0;
    if (pos > end || count > end - pos)
        return FL_ERR_TRUNCATED;
    while (count - i >= 5 * 8) {
        uint64_t word = fl_bits_peek(reader, pos), entry;
        unsigned used = 0;
        /* 57 bits hold four look-ups and a long code; a look-up stores 8 bytes, of which the last are written
         * again */
        for (int k = 0; k < 5; k++) {
            entry = decoder->lookup[word >> used & LOOKUP_MASK];
            if (!entry) {
                used += read_long(decoder, word >> used, &ret_values[i++]);
                break;
            }
            uint64_t symbols = entry >> 16;
            memcpy(ret_values + i, &symbols, sizeof symbols);
            i += ENTRY_COUNT(entry);
            used += ENTRY_ALL_BITS(entry);
        }
        pos += used;
    }
    for (; i < count; i++)
        pos += read_one(decoder, fl_bits_peek(reader, pos), &ret_values[i]);
    if (pos > end)
        return FL_ERR_TRUNCATED;
    reader->pos = pos;
    return FL_OK;
}
