#include "codec/rice.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "codec/rice_loops.h"

#if defined(__x86_64__)
/* Processors that multiply vectors without carry, Zen 3 and Ice Lake and newer, spread bits quickly. */
static enum fl_rice_level level_of_processor(void)
{
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
        return FL_RICE_AT_ANY;
    if (!__builtin_cpu_supports("vpclmulqdq"))
        return FL_RICE_AT_NEWER;
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2") ? FL_RICE_AT_VECTOR
                                                                                       : FL_RICE_AT_SPREAD;
}

FL_RICE_NEWER static inline uint64_t spread_bits(uint64_t bits, uint64_t mask)
{
    return _pdep_u64(bits, mask);
}

FL_RICE_VECTOR static inline void put_positions_by_vector(uint64_t word, uint32_t base,
                                                          uint32_t *ret_positions)
{
    static const uint8_t counting[64] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                         16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
                                         32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
                                         48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    __m512i bytes = _mm512_maskz_compress_epi8(word, _mm512_loadu_si512(counting));
    __m512i bases = _mm512_set1_epi32((int)base);
    _mm512_storeu_si512(ret_positions,
                        _mm512_add_epi32(bases, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(bytes))));
    _mm512_storeu_si512(ret_positions + 16,
                        _mm512_add_epi32(bases, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(bytes, 1))));
    _mm512_storeu_si512(ret_positions + 32,
                        _mm512_add_epi32(bases, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(bytes, 2))));
    _mm512_storeu_si512(ret_positions + 48,
                        _mm512_add_epi32(bases, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(bytes, 3))));
}
#else
static enum fl_rice_level level_of_processor(void)
{
    return FL_RICE_AT_ANY;
}
#endif

/* The most that a table of kernels stands for, when one is asked for by name. */
static enum fl_rice_level level_of_kernels(const char *name)
{
    return strcmp(name, "portable") == 0 ? FL_RICE_AT_ANY
           : strcmp(name, "avx2") == 0   ? FL_RICE_AT_SPREAD
                                         : FL_RICE_AT_VECTOR;
}

enum fl_rice_level fl_rice_level_here(void)
{
    static atomic_int known = -1; /* any thread finds the same */
    int level = atomic_load_explicit(&known, memory_order_relaxed);
    if (level < 0) {
        const char *name = getenv("FL_KERNELS");
        enum fl_rice_level most = name ? level_of_kernels(name) : FL_RICE_AT_VECTOR;
        enum fl_rice_level processor = level_of_processor();
        level = (int)(processor < most ? processor : most);
        atomic_store_explicit(&known, level, memory_order_relaxed);
    }
    return (enum fl_rice_level)level;
}

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
    return fl_rice_level_here() >= FL_RICE_AT_NEWER ? choose_newer(stream, numbers, ret_bits)
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

/* The quotients by 2^k in unary, four at once where these are not too long. */
FL_RICE_LOOP void put_quotients(struct fl_bit_writer *target, const uint32_t *numbers, size_t count,
                                unsigned k)
{
    struct fl_bit_writer writer = *target;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        uint64_t first = numbers[i] >> k, second = first + 1 + (numbers[i + 1] >> k),
                 third = second + 1 + (numbers[i + 2] >> k), fourth = third + 1 + (numbers[i + 3] >> k);
        if (fourth < 56) {
            fl_bits_put(&writer,
                        UINT64_C(1) << first | UINT64_C(1) << second | UINT64_C(1) << third |
                            UINT64_C(1) << fourth,
                        (unsigned)fourth + 1);
        } else {
            for (size_t j = i; j < i + 4; j++)
                fl_bits_put_unary(&writer, numbers[j] >> k);
        }
    }
    for (; i < count; i++)
        fl_bits_put_unary(&writer, numbers[i] >> k);
    *target = writer;
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
    if (fl_rice_level_here() >= FL_RICE_AT_NEWER)
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

/* Ones that are looked for without asking whether there are so many. */
#define AT_ONCE 8
/* Where the bit before the first of a row of unary numbers is said to be. */
#define ORIGIN 7

/* base plus the position of the lowest so many ones; ret_positions holds a block more. */
FL_RICE_LOOP void put_positions(uint64_t word, size_t ones, uint32_t base, enum fl_rice_level level,
                                uint32_t *ret_positions)
{
#if defined(__x86_64__)
    if (level == FL_RICE_AT_VECTOR) {
        put_positions_by_vector(word, base, ret_positions);
        return;
    }
#endif
    (void)level;
    for (size_t i = 0; i < ones; i += AT_ONCE) {
        for (size_t j = 0; j < AT_ONCE; j++, word &= word - 1)
            ret_positions[i + j] = base + (unsigned)__builtin_ctzll(word | UINT64_C(1) << 63);
    }
}

/* Where the ones of count unary numbers are, from ORIGIN for the bit before the first number on; ret_ones
 * holds three blocks. Returns 0 when they might pass the bytes that may be read. */
FL_RICE_LOOP int find_ones(const struct fl_bit_reader *reader, uint64_t first, size_t count,
                           enum fl_rice_level level, uint32_t *ret_ones)
{
    uint64_t readable = (uint64_t)reader->size + reader->extra, byte = first >> 3;
    uint32_t base = ORIGIN + 1 - (uint32_t)(first & 7);
    for (size_t found = 0; found < count; byte += 8, base += 64) {
        if (byte + 8 > readable || base > UINT32_MAX / 2)
            return 0;
        uint64_t word = fl_bits_load(reader->data + byte);
        if (byte == first >> 3) /* what stands before is not of them */
            word &= ~UINT64_C(0) << (first & 7);
        size_t ones = (size_t)__builtin_popcountll(word);
        put_positions(word, ones < count - found ? ones : count - found, base, level, ret_ones + found);
        found += ones;
    }
    return 1;
}

/* Numbers of width bits from first on, two at a time where a processor can spread bits; the bytes that hold
 * them and 8 more may be read. ret_numbers holds an even number. */
FL_RICE_LOOP void get_fixed(const struct fl_bit_reader *reader, uint64_t first, size_t count, unsigned width,
                            enum fl_rice_level level, uint32_t *ret_numbers)
{
    uint64_t mask = (UINT64_C(1) << width) - 1, pos = first;
#if defined(__x86_64__)
    if (level >= FL_RICE_AT_SPREAD) {
        for (size_t i = 0; i < count; i += 2, pos += 2 * width) {
            uint64_t word = fl_bits_load(reader->data + (pos >> 3)) >> (pos & 7);
            uint64_t two = spread_bits(word, mask << 32 | mask);
            memcpy(ret_numbers + i, &two, sizeof two);
        }
        return;
    }
#endif
    (void)level;
    for (size_t i = 0; i < count; i++, pos += width)
        ret_numbers[i] = (uint32_t)(fl_bits_load(reader->data + (pos >> 3)) >> (pos & 7) & mask);
}

/*
 * A block of Rice code, all its parts at once. Returns 0, and the block has to be read again with care, when
 * it might pass the bytes that may be read, pass the end, or hold a number above the stream's most.
 */
FL_RICE_LOOP int read_quickly(const struct fl_rice_stream *stream, struct fl_bit_reader *reader, size_t count,
                              enum fl_rice_level level, uint32_t *ret_numbers)
{
    unsigned k = stream->parameter;
    uint64_t first = reader->pos + count * k;
    uint32_t ones[3 * FL_RICE_BLOCK + 1], remainders[FL_RICE_BLOCK], any = 0, quotients = 0;
    if (k > 28 || !find_ones(reader, first, count, level, ones + 1))
        return 0;
    ones[0] = ORIGIN;
    get_fixed(reader, reader->pos, count, k, level, remainders);
    for (size_t i = 0; i < count; i++) {
        uint32_t quotient = ones[i + 1] - ones[i] - 1;
        ret_numbers[i] = quotient << k | remainders[i];
        quotients |= quotient;
        any |= ret_numbers[i];
    }
    uint64_t end = first + ones[count] - ORIGIN;
    if ((uint64_t)quotients << k > UINT32_MAX || any > stream->most || end > (uint64_t)reader->size * 8)
        return 0;
    reader->pos = end;
    return 1;
}

/* Inlined with a constant level, and a constant count for whole blocks. */
FL_RICE_LOOP int read_at(enum fl_rice_level level, const struct fl_rice_stream *stream,
                         struct fl_bit_reader *reader, size_t count, uint32_t *ret_numbers)
{
    return count == FL_RICE_BLOCK ? read_quickly(stream, reader, FL_RICE_BLOCK, level, ret_numbers)
                                  : read_quickly(stream, reader, count, level, ret_numbers);
}

FL_RICE_NEWER static int read_newer(const struct fl_rice_stream *stream, struct fl_bit_reader *reader,
                                    size_t count, uint32_t *ret_numbers)
{
    return read_at(FL_RICE_AT_NEWER, stream, reader, count, ret_numbers);
}

FL_RICE_NEWER static int read_spread(const struct fl_rice_stream *stream, struct fl_bit_reader *reader,
                                     size_t count, uint32_t *ret_numbers)
{
    return read_at(FL_RICE_AT_SPREAD, stream, reader, count, ret_numbers);
}

FL_RICE_VECTOR static int read_vector(const struct fl_rice_stream *stream, struct fl_bit_reader *reader,
                                      size_t count, uint32_t *ret_numbers)
{
    return read_at(FL_RICE_AT_VECTOR, stream, reader, count, ret_numbers);
}

static int read_fast(enum fl_rice_level level, const struct fl_rice_stream *stream,
                     struct fl_bit_reader *reader, size_t count, uint32_t *ret_numbers)
{
    switch (stream->parameter == FL_RICE_PLAIN ? FL_RICE_AT_CAREFUL : level) {
    case FL_RICE_AT_CAREFUL:
        return 0;
    case FL_RICE_AT_ANY:
        return read_at(FL_RICE_AT_ANY, stream, reader, count, ret_numbers);
    case FL_RICE_AT_NEWER:
        return read_newer(stream, reader, count, ret_numbers);
    case FL_RICE_AT_SPREAD:
        return read_spread(stream, reader, count, ret_numbers);
    case FL_RICE_AT_VECTOR:
        return read_vector(stream, reader, count, ret_numbers);
    }
    return 0;
}

enum fl_status fl_rice_read(struct fl_rice_stream *stream, struct fl_bit_reader *reader, size_t count,
                            uint32_t *ret_numbers)
{
    return fl_rice_read_at(fl_rice_level_here(), stream, reader, count, ret_numbers);
}

enum fl_status fl_rice_read_at(enum fl_rice_level level, struct fl_rice_stream *stream,
                               struct fl_bit_reader *reader, size_t count, uint32_t *ret_numbers)
{
    enum fl_status st = read_parameter(stream, reader);
    if (st)
        return st;
    if (read_fast(level, stream, reader, count, ret_numbers))
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
