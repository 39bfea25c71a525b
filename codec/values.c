#include "codec/values.h"

#include "codec/cursor.h"
#include "codec/half.h"
#include "codec/rice.h"
#include "codec/varint.h"

/* Codes that are packed at a time. */
#define PACK 64
/* FL_VALUES_NATURAL: the sign and the exponent, the upper bits of a float32. */
#define NATURAL_BITS  9
#define NATURAL_SHIFT (32 - NATURAL_BITS)

static size_t plain_bytes(enum fl_value_form form)
{
    return form == FL_VALUES_FLOAT32 ? 4 : 2;
}

/* Bytes of so many codes. */
static uint64_t code_bytes(size_t count, unsigned width)
{
    return ((uint64_t)count * width + 7) / 8;
}

static unsigned code_width(size_t level_count)
{
    unsigned width = 1;
    while ((size_t)1 << width < level_count)
        width++;
    return width;
}

/* --- writing --- */

static enum fl_status put_natural(const uint32_t *words, size_t count, struct fl_buf *out)
{
    uint8_t packed[PACK * 2 + FL_BITS_SLACK];
    enum fl_status st = FL_OK;
    for (size_t first = 0, size; !st && first < count; first += size) {
        struct fl_bit_writer writer = {.at = packed}; /* PACK codes fill whole bytes */
        size = count - first < PACK ? count - first : PACK;
        for (size_t i = 0; i < size; i++)
            fl_bits_put(&writer, words[first + i] >> NATURAL_SHIFT, NATURAL_BITS);
        st = fl_buf_append(out, packed, (size_t)code_bytes(size, NATURAL_BITS));
    }
    return st;
}

enum fl_status fl_values_write_words(enum fl_value_form form, const uint32_t *words, size_t count,
                                     struct fl_buf *out)
{
    if (form == FL_VALUES_NATURAL)
        return put_natural(words, count, out);
    uint8_t *at;
    size_t size = plain_bytes(form);
    enum fl_status st = count > SIZE_MAX / size ? FL_ERR_LIMIT : fl_buf_extend(out, count * size, &at);
    for (size_t i = 0; !st && i < count; i++, at += size) {
        if (form == FL_VALUES_FLOAT32) {
            fl_store_le32(at, words[i]);
            continue;
        }
        float value = fl_float_from_bits(words[i]);
        uint16_t half =
            form == FL_VALUES_BFLOAT16 ? fl_bfloat16_from_float(value) : fl_float16_from_float(value);
        at[0] = (uint8_t)half;
        at[1] = (uint8_t)(half >> 8);
    }
    return st;
}

static enum fl_status put_floats(const float *values, size_t count, struct fl_buf *out)
{
    uint8_t *at;
    enum fl_status st = count > SIZE_MAX / 4 ? FL_ERR_LIMIT : fl_buf_extend(out, count * 4, &at);
    for (size_t i = 0; !st && i < count; i++)
        fl_store_le32(at + 4 * i, fl_float_bits(values[i]));
    return st;
}

/* How codes are written. */
struct coding {
    int huffman;
    unsigned width; /* of every code, without Huffman */
    uint8_t lengths[FL_VALUES_LEVELS_MAX];
    struct fl_huffman_encoder encoder;
};

/* The shorter one; of two that are equal the fixed width. */
static enum fl_status choose_coding(const struct fl_level_values *levels, size_t count,
                                    struct coding *ret_coding)
{
    uint64_t counts[FL_VALUES_LEVELS_MAX] = {0};
    size_t level_count = levels->level_count;
    for (size_t i = 0; i < count; i++)
        counts[levels->codes[i]]++;
    ret_coding->width = code_width(level_count);
    fl_huffman_lengths(counts, level_count, ret_coding->lengths);
    uint64_t bits = fl_huffman_bits(ret_coding->lengths, counts, level_count);
    ret_coding->huffman =
        (bits + 7) / 8 + FL_HUFFMAN_LENGTHS_BYTES(level_count) < code_bytes(count, ret_coding->width);
    return ret_coding->huffman
               ? fl_huffman_encoder_init(ret_coding->lengths, level_count, &ret_coding->encoder)
               : FL_OK;
}

static enum fl_status put_lengths(const struct coding *coding, size_t level_count, struct fl_buf *out)
{
    uint8_t bytes[FL_HUFFMAN_LENGTHS_BYTES(FL_VALUES_LEVELS_MAX)];
    if (!coding->huffman)
        return FL_OK;
    fl_huffman_put_lengths(coding->lengths, level_count, bytes);
    return fl_buf_append(out, bytes, FL_HUFFMAN_LENGTHS_BYTES(level_count));
}

static enum fl_status put_codes(const struct coding *coding, const uint8_t *codes, size_t count,
                                struct fl_buf *out)
{
    struct fl_bit_writer writer = {0};
    uint8_t packed[PACK * 2 + FL_BITS_SLACK]; /* a code has at most 15 bits */
    enum fl_status st = FL_OK;
    for (size_t first = 0; !st && first < count; first += PACK) {
        size_t size = count - first < PACK ? count - first : PACK;
        writer.at = packed;
        if (coding->huffman)
            fl_huffman_write(&coding->encoder, codes + first, size, &writer);
        for (size_t i = 0; !coding->huffman && i < size; i++)
            fl_bits_put(&writer, codes[first + i], coding->width);
        st = fl_buf_append(out, packed, (size_t)(writer.at - packed));
    }
    uint8_t last = (uint8_t)writer.acc;
    return st || !writer.fill ? st : fl_buf_append(out, &last, 1);
}

enum fl_status fl_values_write_levels(const struct fl_level_values *levels, size_t count, struct fl_buf *out)
{
    struct coding coding;
    size_t buckets = (count - 1) / levels->bucket + 1;
    enum fl_status st = choose_coding(levels, count, &coding);
    uint8_t head[2] = {(uint8_t)(levels->level_count - 1), (uint8_t)coding.huffman};
    if (!st)
        st = fl_varint_put(out, levels->bucket);
    if (!st)
        st = fl_buf_append(out, head, sizeof head);
    if (!st)
        st = put_floats(levels->table, levels->level_count, out);
    if (!st)
        st = put_floats(levels->scales, buckets, out);
    if (!st)
        st = put_lengths(&coding, levels->level_count, out);
    return st ? st : put_codes(&coding, levels->codes, count, out);
}

enum fl_status fl_values_write_blocks(const float *values, size_t count, size_t block_size,
                                      uint32_t contributors, struct fl_buf *out)
{
    size_t blocks = (count - 1) / block_size + 1;
    uint8_t *exponents, *at;
    enum fl_status st = fl_varint_put(out, block_size);
    if (!st)
        st = fl_varint_put(out, contributors);
    if (!st)
        st = count > (SIZE_MAX - blocks) / 4 ? FL_ERR_LIMIT
                                             : fl_buf_extend(out, blocks + 4 * count, &exponents);
    if (st)
        return st;
    at = exponents + blocks;
    for (size_t b = 0; b < blocks; b++) {
        const float *x = values + b * block_size;
        size_t size = count - b * block_size < block_size ? count - b * block_size : block_size;
        struct fl_block_int block = {fl_block_int_exponent(x, size), contributors};
        exponents[b] = block.exponent;
        for (size_t i = 0; i < size; i++, at += 4)
            fl_store_le32(at, (uint32_t)fl_block_int_quantise(&block, x[i]));
    }
    return FL_OK;
}

/* --- reading --- */

static float load_float(const uint8_t *at)
{
    return fl_float_from_bits(fl_load_le32(at));
}

static enum fl_status check_table(const struct fl_value_reader *reader)
{
    for (size_t i = 0; i < reader->level_count; i++) {
        if (!fl_float_bits_finite(fl_load_le32(reader->table + 4 * i)))
            return FL_ERR_NOT_FINITE;
        if (i && !(load_float(reader->table + 4 * i) > load_float(reader->table + 4 * (i - 1))))
            return FL_ERR_RANGE;
    }
    return FL_OK;
}

static enum fl_status check_scales(const struct fl_value_reader *reader, size_t buckets)
{
    for (size_t i = 0; i < buckets; i++) {
        uint32_t bits = fl_load_le32(reader->scales + 4 * i);
        if (!fl_float_bits_finite(bits))
            return FL_ERR_NOT_FINITE;
        if (bits >> 31)
            return FL_ERR_RANGE;
    }
    return FL_OK;
}

/* The lengths of a Huffman code, or the size that codes of one width have. */
static enum fl_status open_codes(struct fl_cursor *cursor, size_t count, int huffman,
                                 struct fl_value_reader *reader)
{
    const uint8_t *bytes;
    uint8_t lengths[FL_VALUES_LEVELS_MAX];
    enum fl_status st = FL_OK;
    size_t size = huffman ? FL_HUFFMAN_LENGTHS_BYTES(reader->level_count) : 0;
    if (huffman) {
        st = fl_cursor_bytes(cursor, size, &bytes);
        if (!st)
            st = fl_huffman_get_lengths(bytes, size, reader->level_count, lengths);
        if (!st)
            st = fl_huffman_decoder_init(lengths, reader->level_count, &reader->decoder);
    }
    if (st)
        return st;
    size = fl_cursor_left(cursor);
    reader->codes = (struct fl_bit_reader){.data = cursor->bytes.data + cursor->at, .size = size};
    reader->width = huffman ? 0 : code_width(reader->level_count);
    uint64_t wanted = code_bytes(count, reader->width);
    return huffman || size == wanted ? FL_OK : size < wanted ? FL_ERR_TRUNCATED : FL_ERR_FORMAT;
}

static enum fl_status open_levels(struct fl_cursor *cursor, size_t count, struct fl_value_reader *reader)
{
    const uint8_t *head; /* most, then the coding */
    uint64_t bucket;
    enum fl_status st = fl_cursor_varint(cursor, &bucket);
    if (!st)
        st = fl_cursor_bytes(cursor, 2, &head);
    if (st)
        return st;
    if (!bucket || bucket > UINT32_MAX || !head[0] || head[1] > 1)
        return FL_ERR_RANGE;
    reader->bucket = (size_t)bucket;
    reader->level_count = (size_t)head[0] + 1;
    size_t buckets = (count - 1) / reader->bucket + 1;
    st = fl_cursor_bytes(cursor, 4 * reader->level_count, &reader->table);
    if (!st)
        st = fl_cursor_bytes(cursor, 4 * buckets, &reader->scales);
    if (!st)
        st = check_table(reader);
    if (!st)
        st = check_scales(reader, buckets);
    return st ? st : open_codes(cursor, count, head[1], reader);
}

static enum fl_status open_blocks(struct fl_cursor *cursor, size_t count, struct fl_value_reader *reader)
{
    uint64_t size, contributors;
    enum fl_status st = fl_cursor_varint(cursor, &size);
    if (!st)
        st = fl_cursor_varint(cursor, &contributors);
    if (st)
        return st;
    if (!size || size > UINT32_MAX || !contributors || contributors > FL_BLOCK_INT_CONTRIBUTORS_MAX)
        return FL_ERR_RANGE;
    reader->bucket = (size_t)size;
    reader->block.contributors = (uint32_t)contributors;
    size_t blocks = (count - 1) / reader->bucket + 1;
    st = fl_cursor_bytes(cursor, blocks, &reader->exponents);
    for (size_t b = 0; !st && b < blocks; b++)
        st = reader->exponents[b] > FL_BLOCK_INT_EXPONENT_MAX ? FL_ERR_RANGE : FL_OK;
    if (st)
        return st;
    uint64_t wanted = (uint64_t)count * 4, left = fl_cursor_left(cursor);
    reader->at = cursor->bytes.data + cursor->at;
    return left == wanted ? FL_OK : left < wanted ? FL_ERR_TRUNCATED : FL_ERR_FORMAT;
}

enum fl_status fl_value_reader_open(enum fl_value_form form, struct fl_bytes bytes, size_t count,
                                    struct fl_value_reader *ret_reader)
{
    struct fl_cursor cursor = {.bytes = bytes};
    *ret_reader = (struct fl_value_reader){.form = form, .at = bytes.data};
    if (!count)
        return bytes.size ? FL_ERR_FORMAT : FL_OK;
    if (form == FL_VALUES_LEVELS)
        return open_levels(&cursor, count, ret_reader);
    if (form == FL_VALUES_BLOCK_INT)
        return open_blocks(&cursor, count, ret_reader);
    uint64_t wanted =
        form == FL_VALUES_NATURAL ? code_bytes(count, NATURAL_BITS) : (uint64_t)count * plain_bytes(form);
    if (form == FL_VALUES_NATURAL)
        ret_reader->codes = (struct fl_bit_reader){.data = bytes.data, .size = bytes.size};
    return bytes.size == wanted ? FL_OK : bytes.size < wanted ? FL_ERR_TRUNCATED : FL_ERR_FORMAT;
}

static enum fl_status next_levels(struct fl_value_reader *reader, size_t size, uint32_t *ret_words)
{
    uint8_t codes[FL_RICE_BLOCK];
    enum fl_status st =
        reader->width ? FL_OK : fl_huffman_read(&reader->decoder, &reader->codes, size, codes);
    if (st)
        return st;
    for (size_t i = 0; i < size; i++) {
        uint32_t code =
            reader->width ? fl_bits_get(&reader->codes, &reader->codes.pos, reader->width) : codes[i];
        if (code >= reader->level_count)
            return FL_ERR_RANGE;
        ret_words[i] =
            fl_float_bits(load_float(reader->scales) * load_float(reader->table + (size_t)4 * code));
        if (++reader->used == reader->bucket) {
            reader->used = 0;
            reader->scales += 4;
        }
    }
    return FL_OK;
}

static enum fl_status next_blocks(struct fl_value_reader *reader, size_t size, uint32_t *ret_words)
{
    for (size_t i = 0; i < size; i++, reader->at += 4) {
        int32_t q = (int32_t)fl_load_le32(reader->at);
        if (reader->used == 0)
            reader->block.exponent = *reader->exponents++;
        if (!fl_block_int_fits(&reader->block, q))
            return FL_ERR_RANGE;
        ret_words[i] = fl_float_bits(fl_block_int_value(&reader->block, q));
        if (++reader->used == reader->bucket)
            reader->used = 0;
    }
    return FL_OK;
}

enum fl_status fl_value_reader_next(struct fl_value_reader *reader, size_t size, uint32_t *ret_words)
{
    if (reader->form == FL_VALUES_LEVELS)
        return next_levels(reader, size, ret_words);
    if (reader->form == FL_VALUES_BLOCK_INT)
        return next_blocks(reader, size, ret_words);
    if (reader->form == FL_VALUES_NATURAL) {
        for (size_t i = 0; i < size; i++)
            ret_words[i] = fl_bits_get(&reader->codes, &reader->codes.pos, NATURAL_BITS) << NATURAL_SHIFT;
        return FL_OK;
    }
    for (size_t i = 0; i < size; i++, reader->at += plain_bytes(reader->form)) {
        uint16_t half = (uint16_t)(reader->at[0] | reader->at[1] << 8);
        switch (reader->form) {
        case FL_VALUES_BFLOAT16:
            ret_words[i] = fl_float_bits(fl_bfloat16_to_float(half));
            break;
        case FL_VALUES_FLOAT16:
            ret_words[i] = fl_float_bits(fl_float16_to_float(half));
            break;
        default:
            ret_words[i] = fl_load_le32(reader->at);
        }
    }
    return FL_OK;
}

enum fl_status fl_value_reader_end(const struct fl_value_reader *reader)
{
    const struct fl_bit_reader *codes = &reader->codes;
    unsigned pad = (8 - codes->pos % 8) % 8;
    if (codes->pos + pad != (uint64_t)codes->size * 8)
        return FL_ERR_FORMAT;
    return fl_bits_peek(codes, codes->pos) & ((UINT64_C(1) << pad) - 1) ? FL_ERR_FORMAT : FL_OK;
}
