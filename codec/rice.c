#include "codec/rice.h"

/*
 * The loops over a block are plain C, inlined into functions that are compiled twice on x86-64: for every
 * processor, and for those that shift by any register and add eight numbers at once (Haswell, Zen and newer).
 */
#define FL_RICE_LOOP static inline __attribute__((always_inline))
#if defined(__x86_64__)
#define FL_RICE_NEWER __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))

static int is_newer(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt");
}
#else
#define FL_RICE_NEWER

static int is_newer(void)
{
    return 0;
}
#endif

/* 0, -1, 1, -2, ... to 0, 1, 2, 3, ...: a change of parameter, written in unary. */
static unsigned zigzag(int change)
{
    return change < 0 ? (unsigned)(-2 * change - 1) : (unsigned)(2 * change);
}

static unsigned parameter_bits(unsigned before, unsigned parameter)
{
    return before == FL_RICE_NO_PARAMETER ? 5 : zigzag((int)parameter - (int)before) + 1;
}

static unsigned largest_parameter(const struct fl_rice_stream *stream)
{
    return stream->plain_width < FL_RICE_PLAIN ? stream->plain_width - 1 : FL_RICE_PLAIN - 1;
}

/* Near the best Rice parameter lies log2 of the mean; numbers that cluster want a smaller one. */
static unsigned first_guess(uint64_t sum, size_t count)
{
    uint64_t mean = sum / count;
    return mean ? 63 - (unsigned)__builtin_clzll(mean) : 0;
}

/* Sum of the quotients by 2^k; fits when the numbers are below 2^26. */
FL_RICE_LOOP uint32_t quotient_sum(const uint32_t *numbers, size_t count, unsigned k)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += numbers[i] >> k;
    return sum;
}

/* The same for any numbers. */
FL_RICE_LOOP uint64_t large_quotient_sum(const uint32_t *numbers, size_t count, unsigned k)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += numbers[i] >> k;
    return sum;
}

/* Inlined with a constant count, so that the loops are unrolled for whole blocks. */
static inline __attribute__((always_inline)) unsigned
choose(const struct fl_rice_stream *stream, const uint32_t *numbers, size_t count, uint64_t *ret_bits)
{
    uint32_t any = 0;
    for (size_t i = 0; i < count; i++)
        any |= numbers[i];
    int small = any < UINT32_C(1) << 26;
    uint64_t sum = small ? quotient_sum(numbers, count, 0) : large_quotient_sum(numbers, count, 0);
    unsigned best = FL_RICE_PLAIN, largest = largest_parameter(stream), guess = first_guess(sum, count);
    uint64_t best_bits =
        (uint64_t)count * stream->plain_width + parameter_bits(stream->parameter, FL_RICE_PLAIN);
    for (unsigned k = guess < 3 ? 0 : guess - 3; k <= guess + 1 && k <= largest; k++) {
        uint64_t bits = (uint64_t)count * (k + 1) + parameter_bits(stream->parameter, k) +
                        (small ? quotient_sum(numbers, count, k) : large_quotient_sum(numbers, count, k));
        if (bits < best_bits) {
            best = k;
            best_bits = bits;
        }
    }
    *ret_bits = best_bits;
    return best;
}

FL_RICE_NEWER static unsigned choose_newer(const struct fl_rice_stream *stream, const uint32_t *numbers,
                                           uint64_t *ret_bits)
{
    return choose(stream, numbers, FL_RICE_BLOCK, ret_bits);
}

unsigned fl_rice_choose(const struct fl_rice_stream *stream, const uint32_t *numbers, size_t count,
                        uint64_t *ret_bits)
{
    if (count < FL_RICE_BLOCK)
        return choose(stream, numbers, count, ret_bits);
    return is_newer() ? choose_newer(stream, numbers, ret_bits)
                      : choose(stream, numbers, FL_RICE_BLOCK, ret_bits);
}

/* Fixed-width numbers, as many at once as fit into one put. */
FL_RICE_LOOP void put_fixed(struct fl_bit_writer *target, const uint32_t *numbers, size_t count,
                            unsigned width, uint32_t mask)
{
    struct fl_bit_writer writer = *target;
    size_t i = 0;
    for (; width <= 14 && i + 4 <= count; i += 4) {
        uint64_t low = (numbers[i] & mask) | (uint64_t)(numbers[i + 1] & mask) << width,
                 high = (numbers[i + 2] & mask) | (uint64_t)(numbers[i + 3] & mask) << width;
        fl_bits_put(&writer, low | high << (2 * width), 4 * width);
    }
    for (; width <= 28 && i + 2 <= count; i += 2)
        fl_bits_put(&writer, (numbers[i] & mask) | (uint64_t)(numbers[i + 1] & mask) << width, 2 * width);
    for (; i < count; i++)
        fl_bits_put(&writer, numbers[i] & mask, width);
    *target = writer;
}

/* The quotients by 2^k in unary: ones are set in a word until it is full. */
FL_RICE_LOOP void put_quotients(struct fl_bit_writer *writer, const uint32_t *numbers, size_t count,
                                unsigned k)
{
    uint8_t *at = writer->at;
    uint64_t acc = writer->acc, fill = writer->fill;
    for (size_t i = 0; i < count; i++) {
        uint64_t one = fill + (numbers[i] >> k);
        for (; one >= 64; one -= 64) {
            memcpy(at, &acc, sizeof acc);
            at += sizeof acc;
            acc = 0;
        }
        acc |= UINT64_C(1) << one;
        fill = one + 1;
    }
    memcpy(at, &acc, sizeof acc);
    writer->at = at + (fill >> 3);
    writer->acc = fill < 64 ? acc >> (fill & ~UINT64_C(7)) : 0;
    writer->fill = (unsigned)fill & 7;
}

FL_RICE_LOOP void write_block(struct fl_rice_stream *stream, unsigned parameter, const uint32_t *numbers,
                              size_t count, struct fl_bit_writer *writer)
{
    if (stream->parameter == FL_RICE_NO_PARAMETER)
        fl_bits_put(writer, parameter, 5);
    else
        fl_bits_put_unary(writer, zigzag((int)parameter - (int)stream->parameter));
    stream->parameter = parameter;
    if (parameter == FL_RICE_PLAIN) {
        put_fixed(writer, numbers, count, stream->plain_width, UINT32_MAX);
        return;
    }
    if (parameter)
        put_fixed(writer, numbers, count, parameter, (UINT32_C(1) << parameter) - 1);
    put_quotients(writer, numbers, count, parameter);
}

FL_RICE_NEWER static void write_newer(struct fl_rice_stream *stream, unsigned parameter,
                                      const uint32_t *numbers, size_t count, struct fl_bit_writer *writer)
{
    write_block(stream, parameter, numbers, count, writer);
}

void fl_rice_write(struct fl_rice_stream *stream, unsigned parameter, const uint32_t *numbers, size_t count,
                   struct fl_bit_writer *writer)
{
    if (is_newer())
        write_newer(stream, parameter, numbers, count, writer);
    else
        write_block(stream, parameter, numbers, count, writer);
}

static enum fl_status read_parameter(struct fl_rice_stream *stream, struct fl_bit_reader *reader)
{
    int parameter;
    if (stream->parameter == FL_RICE_NO_PARAMETER) {
        parameter = (int)fl_bits_get(reader, &reader->pos, 5);
    } else {
        uint64_t folded = fl_bits_get_unary(reader, &reader->pos, 64);
        if (folded > 64)
            return FL_ERR_FORMAT;
        int change = folded & 1 ? -(int)((folded + 1) / 2) : (int)(folded / 2);
        parameter = (int)stream->parameter + change;
    }
    if (parameter < 0 || ((unsigned)parameter > largest_parameter(stream) && parameter != FL_RICE_PLAIN))
        return FL_ERR_FORMAT;
    stream->parameter = (unsigned)parameter;
    return FL_OK;
}

/*
 * A block of Rice code, word by word. Returns 0, and the block has to be read again with care, when it might
 * pass the bytes that may be read, pass the end, or hold a number above the stream's most.
 */
FL_RICE_LOOP int read_quickly(const struct fl_rice_stream *stream, struct fl_bit_reader *reader, size_t count,
                              uint32_t *ret_numbers)
{
    unsigned k = stream->parameter;
    uint64_t readable = (uint64_t)reader->size + reader->extra, pos = reader->pos, last = pos + count * k,
             before = last - 1, any = 0, mask = (UINT64_C(1) << k) - 1;
    const uint8_t *data = reader->data;
    size_t i = 0;
    for (uint64_t byte = last >> 3, skip = last & 7; i < count; byte += 8, skip = 0) {
        if (byte + 8 > readable)
            return 0;
        uint64_t word = fl_bits_load(data + byte) & ~UINT64_C(0) << skip;
        for (; word && i < count; i++, word &= word - 1, pos += k) {
            uint64_t one = byte * 8 + (unsigned)__builtin_ctzll(word);
            uint64_t remainder = fl_bits_load(data + (pos >> 3)) >> (pos & 7) & mask;
            uint64_t number = (one - before - 1) << k | remainder;
            any |= number;
            ret_numbers[i] = (uint32_t)number;
            before = one;
        }
    }
    if (any > stream->most || before + 1 > (uint64_t)reader->size * 8)
        return 0;
    reader->pos = before + 1;
    return 1;
}

FL_RICE_NEWER static int read_newer(const struct fl_rice_stream *stream, struct fl_bit_reader *reader,
                                    size_t count, uint32_t *ret_numbers)
{
    return read_quickly(stream, reader, count, ret_numbers);
}

enum fl_status fl_rice_read(struct fl_rice_stream *stream, struct fl_bit_reader *reader, size_t count,
                            uint32_t *ret_numbers)
{
    enum fl_status st = read_parameter(stream, reader);
    if (st)
        return st;
    if (stream->parameter != FL_RICE_PLAIN && (is_newer() ? read_newer(stream, reader, count, ret_numbers)
                                                          : read_quickly(stream, reader, count, ret_numbers)))
        return FL_OK;
    uint64_t over = 0, pos = reader->pos;
    if (stream->parameter == FL_RICE_PLAIN) {
        for (size_t i = 0; i < count; i++) {
            ret_numbers[i] = fl_bits_get(reader, &pos, stream->plain_width);
            over |= ret_numbers[i] > stream->most;
        }
    } else {
        unsigned k = stream->parameter;
        uint64_t quotient_pos = pos + (uint64_t)count * k, most = stream->most >> k;
        for (size_t i = 0; i < count; i++) {
            uint64_t quotient = fl_bits_get_unary(reader, &quotient_pos, most);
            uint64_t number = (quotient << k) + fl_bits_get(reader, &pos, k);
            over |= quotient > most || number > stream->most;
            if (over)
                break;
            ret_numbers[i] = (uint32_t)number;
        }
        pos = quotient_pos;
    }
    if (pos > (uint64_t)reader->size * 8)
        return FL_ERR_TRUNCATED;
    if (over)
        return FL_ERR_RANGE;
    reader->pos = pos;
    return FL_OK;
}
