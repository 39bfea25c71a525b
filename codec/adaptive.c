#include "codec/adaptive.h"

#include "codec/codec.h"

/* A range below this takes in another byte. */
#define RANGE_LEAST (UINT32_C(1) << 24)
/* Odds are used in 12 bits. */
#define ODDS_BITS  12
#define ODDS_SHIFT (16 - ODDS_BITS)
/* Odds follow by a quarter at first and by a 64th from the ninth bit on, rounded down: they stay within 2^6 -
 * 1 and 2^16 - 2^6, so that neither bit is ever impossible. */
#define FOLLOW_FIRST 2
#define FOLLOW_LAST  6
/* Bits below the highest that have odds. */
#define BELOW_BITS 2
/* The highest bit of 2^32 - 1, the largest x + 1. */
#define PLACE_MOST 31
/* Bytes that a reader takes at the start, and so beyond what a writer has given. */
#define AHEAD 4

static void init_model(struct fl_adaptive_model *model)
{
    static const struct fl_odds even = {.zero = UINT16_C(1) << 15};
    for (size_t i = 0; i < sizeof model->place / sizeof model->place[0]; i++)
        model->place[i] = even;
    for (size_t i = 0; i < sizeof model->below / sizeof model->below[0]; i++) {
        for (size_t j = 0; j < 4; j++)
            model->below[i][j] = even;
    }
}

static void init_common(int has_levels, uint32_t level_min, struct fl_adaptive *ret)
{
    init_model(&ret->gaps);
    init_model(&ret->magnitudes);
    ret->next = 0;
    ret->has_levels = has_levels;
    ret->level_min = level_min;
}

/* The part of the range that stands for 0: never empty and never all of it. */
static inline uint32_t zero_part(uint32_t range, const struct fl_odds *odds)
{
    return (range >> ODDS_BITS) * ((uint32_t)odds->zero >> ODDS_SHIFT);
}

static inline void follow(struct fl_odds *odds, unsigned bit)
{
    unsigned shift = FOLLOW_FIRST + odds->seen / 2u, zero = odds->zero;
    odds->seen = (uint8_t)(odds->seen + (shift < FOLLOW_LAST));
    odds->zero = (uint16_t)(bit ? zero - (zero >> shift) : zero + ((UINT16_MAX - zero) >> shift));
}

/* --- writing --- */

/* Adds to low. What does not fit goes up into the bytes before: one of them is below 255, since all of them
 * and the range stay below 1. */
static inline void raise(struct fl_adaptive_writer *writer, uint32_t part)
{
    writer->low += part;
    if (writer->low < part) {
        uint8_t *byte = writer->at;
        while (++*--byte == 0)
            ;
    }
}

static inline void give_bytes(struct fl_adaptive_writer *writer)
{
    while (writer->range < RANGE_LEAST) {
        *writer->at++ = (uint8_t)(writer->low >> 24);
        writer->low <<= 8;
        writer->range <<= 8;
    }
}

static inline void put_bit(struct fl_adaptive_writer *writer, struct fl_odds *odds, unsigned bit)
{
    uint32_t part = zero_part(writer->range, odds);
    if (bit)
        raise(writer, part);
    writer->range = bit ? writer->range - part : part;
    follow(odds, bit);
    give_bytes(writer);
}

static inline void put_even(struct fl_adaptive_writer *writer, unsigned bit)
{
    writer->range >>= 1;
    if (bit)
        raise(writer, writer->range);
    give_bytes(writer);
}

static inline void put_number(struct fl_adaptive_writer *writer, struct fl_adaptive_model *model, uint32_t x)
{
    uint32_t number = x + 1;
    unsigned place = PLACE_MOST - (unsigned)__builtin_clz(number), left = place, node = 1;
    for (unsigned i = 0; i < place; i++)
        put_bit(writer, &model->place[i], 1);
    if (place < PLACE_MOST)
        put_bit(writer, &model->place[place], 0);
    for (; left && place - left < BELOW_BITS; left--) {
        unsigned bit = number >> (left - 1) & 1;
        put_bit(writer, &model->below[place][node], bit);
        node = node << 1 | bit;
    }
    while (left--)
        put_even(writer, number >> left & 1);
}

void fl_adaptive_writer_init(int has_levels, uint32_t level_min, struct fl_adaptive_writer *ret_writer)
{
    init_common(has_levels, level_min, &ret_writer->common);
    ret_writer->at = NULL;
    ret_writer->low = 0;
    ret_writer->range = UINT32_MAX;
}

uint8_t *fl_adaptive_put(struct fl_adaptive_writer *writer, uint8_t *at, const uint32_t *indices,
                         const uint32_t *words, size_t size)
{
    struct fl_adaptive *common = &writer->common;
    writer->at = at;
    for (size_t i = 0; i < size; i++) {
        put_number(writer, &common->gaps, (uint32_t)(indices[i] - common->next));
        common->next = (uint64_t)indices[i] + 1;
        if (!common->has_levels)
            continue;
        uint32_t sign = 0u - (words[i] >> 31);
        put_even(writer, sign & 1);
        put_number(writer, &common->magnitudes, (words[i] ^ sign) - sign - common->level_min);
    }
    return writer->at;
}

/* A byte and zeros behind it that lie in the range: since that is 2^24 or more, there is one such. */
uint8_t *fl_adaptive_put_end(struct fl_adaptive_writer *writer, uint8_t *at)
{
    writer->at = at;
    if (!writer->low)
        return at;
    raise(writer, RANGE_LEAST - 1);
    *writer->at++ = (uint8_t)(writer->low >> 24);
    return writer->at;
}

/* --- reading --- */

static inline void take_byte(struct fl_adaptive_reader *reader)
{
    reader->code = reader->code << 8 | (reader->pos < reader->size ? reader->data[reader->pos] : 0u);
    reader->pos++;
}

static inline void take_bytes(struct fl_adaptive_reader *reader)
{
    while (reader->range < RANGE_LEAST) {
        reader->range <<= 8;
        take_byte(reader);
    }
}

static inline unsigned get_bit(struct fl_adaptive_reader *reader, struct fl_odds *odds)
{
    uint32_t part = zero_part(reader->range, odds);
    unsigned bit = reader->code >= part;
    reader->code -= bit ? part : 0;
    reader->range = bit ? reader->range - part : part;
    follow(odds, bit);
    take_bytes(reader);
    return bit;
}

static inline unsigned get_even(struct fl_adaptive_reader *reader)
{
    reader->range >>= 1;
    unsigned bit = reader->code >= reader->range;
    reader->code -= bit ? reader->range : 0;
    take_bytes(reader);
    return bit;
}

static inline uint32_t get_number(struct fl_adaptive_reader *reader, struct fl_adaptive_model *model)
{
    uint32_t number = 1;
    unsigned place = 0, left;
    while (place < PLACE_MOST && get_bit(reader, &model->place[place]))
        place++;
    for (left = place; left && place - left < BELOW_BITS; left--)
        number = number << 1 | get_bit(reader, &model->below[place][number]);
    while (left--)
        number = number << 1 | get_even(reader);
    return number - 1;
}

void fl_adaptive_reader_init(const uint8_t *data, size_t size, int has_levels, uint32_t level_min,
                             struct fl_adaptive_reader *ret_reader)
{
    init_common(has_levels, level_min, &ret_reader->common);
    ret_reader->data = data;
    ret_reader->size = size;
    ret_reader->pos = 0;
    ret_reader->code = 0;
    ret_reader->range = UINT32_MAX;
    for (int i = 0; i < AHEAD; i++)
        take_byte(ret_reader);
}

enum fl_status fl_adaptive_get(struct fl_adaptive_reader *reader, uint64_t dim, size_t size,
                               uint32_t *ret_indices, uint32_t *ret_words)
{
    struct fl_adaptive *common = &reader->common;
    for (size_t i = 0; i < size; i++) {
        uint64_t index = common->next + get_number(reader, &common->gaps);
        if (index >= dim)
            return FL_ERR_RANGE;
        ret_indices[i] = (uint32_t)index;
        common->next = index + 1;
        if (!common->has_levels)
            continue;
        uint32_t sign = 0u - get_even(reader), magnitude = get_number(reader, &common->magnitudes);
        if (magnitude > (uint32_t)FL_CODEC_LEVEL_MAX - common->level_min)
            return FL_ERR_RANGE;
        ret_words[i] = ((magnitude + common->level_min) ^ sign) - sign;
    }
    return reader->pos > reader->size + AHEAD ? FL_ERR_TRUNCATED : FL_OK;
}

enum fl_status fl_adaptive_get_end(const struct fl_adaptive_reader *reader)
{
    return reader->pos >= reader->size + AHEAD - 1 ? FL_OK : FL_ERR_FORMAT;
}
