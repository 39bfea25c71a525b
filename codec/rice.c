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

/* Parameters that are tried from the least on. */
#define TRIED 5

/* Sums of the quotients by 2^least, 2^(least + 1) and so on; they fit when the numbers are below 2^26. */
FL_RICE_LOOP void quotient_sums(const uint32_t *numbers, size_t count, unsigned least,
                                uint64_t ret_sums[TRIED])
{
    uint32_t sums[TRIED] = {0};
    for (size_t i = 0; i < count; i++) {
        uint32_t quotient = numbers[i] >> least;
        sums[0] += quotient;
        sums[1] += quotient >> 1;
        sums[2] += quotient >> 2;
        sums[3] += quotient >> 3;
        sums[4] += quotient >> 4;
    }
    for (size_t j = 0; j < TRIED; j++)
        ret_sums[j] = sums[j];
}

/* The same for any numbers. */
FL_RICE_LOOP void large_quotient_sums(const uint32_t *numbers, size_t count, unsigned least,
                                      uint64_t ret_sums[TRIED])
{
    for (size_t j = 0; j < TRIED; j++) {
        ret_sums[j] = 0;
        for (size_t i = 0; i < count; i++)
            ret_sums[j] += (uint64_t)numbers[i] >> (least + j);
    }
}

/* The cheapest parameter, and its bits, when these are the sums of the quotients from 2^least on. */
FL_RICE_LOOP unsigned cheapest(const struct fl_rice_stream *stream, size_t count, unsigned least,
                               unsigned most, const uint64_t sums[TRIED], uint64_t *ret_bits)
{
    unsigned best = FL_RICE_PLAIN, largest = largest_parameter(stream);
    uint64_t best_bits =
        (uint64_t)count * stream->plain_width + parameter_bits(stream->parameter, FL_RICE_PLAIN);
    for (unsigned k = least; k <= most && k <= largest; k++) {
        uint64_t bits = (uint64_t)count * (k + 1) + parameter_bits(stream->parameter, k) + sums[k - least];
        best = bits < best_bits ? k : best;
        best_bits = bits < best_bits ? bits : best_bits;
    }
    *ret_bits = best_bits;
    return best;
}

static unsigned least_tried(unsigned guess)
{
    return guess < TRIED - 2 ? 0 : guess - (TRIED - 2);
}

/* Inlined with a constant count, so that the loops are unrolled for whole blocks. */
FL_RICE_LOOP unsigned choose(const struct fl_rice_stream *stream, const uint32_t *numbers, size_t count,
                             uint64_t *ret_bits)
{
    uint64_t sum = 0, sums[TRIED];
    uint32_t any = 0;
    for (size_t i = 0; i < count; i++) {
        any |= numbers[i];
        sum += numbers[i];
    }
    unsigned guess = first_guess(sum, count), least = least_tried(guess);
    if (any < UINT32_C(1) << 26)
        quotient_sums(numbers, count, least, sums);
    else
        large_quotient_sums(numbers, count, least, sums);
    return cheapest(stream, count, least, guess + 1, sums, ret_bits);
}

FL_RICE_NEWER static unsigned choose_newer(const struct fl_rice_stream *stream, const uint32_t *numbers,
                                           uint64_t *ret_bits)
{
    return choose(stream, numbers, FL_RICE_BLOCK, ret_bits);
}

unsigned fl_rice_choose_at(enum fl_rice_level level, const struct fl_rice_stream *stream,
                           const uint32_t *numbers, size_t count, uint64_t *ret_bits)
{
    if (count < FL_RICE_BLOCK)
        return choose(stream, numbers, count, ret_bits);
    return level >= FL_RICE_AT_NEWER ? choose_newer(stream, numbers, ret_bits)
                                     : choose(stream, numbers, FL_RICE_BLOCK, ret_bits);
}

unsigned fl_rice_choose(const struct fl_rice_stream *stream, const uint32_t *numbers, size_t count,
                        uint64_t *ret_bits)
{
    return fl_rice_choose_at(fl_rice_level_here(), stream, numbers, count, ret_bits);
}

/* Four numbers of a width up to 14 as one. */
FL_RICE_LOOP uint64_t four_fixed(const uint32_t *numbers, unsigned width, uint32_t mask)
{
    uint64_t low = (numbers[0] & mask) | (uint64_t)(numbers[1] & mask) << width,
             high = (numbers[2] & mask) | (uint64_t)(numbers[3] & mask) << width;
    return low | high << (2 * width);
}

/* Fixed-width numbers, as many at once as fit into one put. */
FL_RICE_LOOP void put_fixed(struct fl_bit_writer *target, const uint32_t *numbers, size_t count,
                            unsigned width, uint32_t mask)
{
    struct fl_bit_writer writer = *target;
    size_t i = 0;
    for (; width <= 7 && i + 8 <= count; i += 8)
        fl_bits_put(&writer,
                    four_fixed(numbers + i, width, mask) | four_fixed(numbers + i + 4, width, mask)
                                                               << (4 * width),
                    8 * width);
    for (; width <= 14 && i + 4 <= count; i += 4)
        fl_bits_put(&writer, four_fixed(numbers + i, width, mask), 4 * width);
    for (; width <= 28 && i + 2 <= count; i += 2)
        fl_bits_put(&writer, (numbers[i] & mask) | (uint64_t)(numbers[i + 1] & mask) << width, 2 * width);
    for (; i < count; i++)
        fl_bits_put(&writer, numbers[i] & mask, width);
    *target = writer;
}

/* The quotients by 2^k in unary, eight at once where these are not too long. */
FL_RICE_LOOP void put_quotients(struct fl_bit_writer *target, const uint32_t *numbers, size_t count,
                                unsigned k)
{
    struct fl_bit_writer writer = *target;
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t next = 0, ones = 0;
        for (size_t j = 0; j < 8; j++) {
            next += numbers[i + j] >> k;
            ones |= UINT64_C(1) << (next & 63);
            next++;
        }
        if (next <= 56) {
            fl_bits_put(&writer, ones, (unsigned)next);
        } else {
            for (size_t j = i; j < i + 8; j++)
                fl_bits_put_unary(&writer, numbers[j] >> k);
        }
    }
    for (; i < count; i++)
        fl_bits_put_unary(&writer, numbers[i] >> k);
    *target = writer;
}

FL_RICE_LOOP void write_numbers(unsigned parameter, unsigned plain_width, const uint32_t *numbers,
                                size_t count, struct fl_bit_writer *writer)
{
    if (parameter == FL_RICE_PLAIN) {
        put_fixed(writer, numbers, count, plain_width, UINT32_MAX);
        return;
    }
    if (parameter)
        put_fixed(writer, numbers, count, parameter, (UINT32_C(1) << parameter) - 1);
    put_quotients(writer, numbers, count, parameter);
}

FL_RICE_NEWER static void write_newer(unsigned parameter, unsigned plain_width, const uint32_t *numbers,
                                      size_t count, struct fl_bit_writer *writer)
{
    write_numbers(parameter, plain_width, numbers, count, writer);
}

#if defined(__x86_64__)
/* Numbers of a block that lie in one part of 64 bits of a vector of bytes. */
#define PART  8
#define PARTS (FL_RICE_BLOCK / PART)

/* The quotients by 2^k of a block as bytes, 255 where they are larger. */
FL_RICE_VECTOR static inline __m512i quotient_bytes(const uint32_t *numbers, unsigned k)
{
    __m128i shift = _mm_cvtsi32_si128((int)k), bytes[4];
    for (size_t i = 0; i < 4; i++)
        bytes[i] = _mm512_cvtusepi32_epi8(_mm512_srl_epi32(_mm512_loadu_si512(numbers + 16 * i), shift));
    __m512i all = _mm512_castsi128_si512(bytes[0]);
    all = _mm512_inserti32x4(all, bytes[1], 1);
    all = _mm512_inserti32x4(all, bytes[2], 2);
    return _mm512_inserti32x4(all, bytes[3], 3);
}

/* Unary codes part by part. Returns 0 when one does not fit into a put. */
FL_RICE_VECTOR static inline int unary_parts(__m512i quotients, uint64_t ret_ones[PARTS],
                                             uint64_t ret_sizes[PARTS])
{
    const __m512i one = _mm512_set1_epi64(1), byte = _mm512_set1_epi64(255);
    __m512i ones = _mm512_setzero_si512(),
            sizes = _mm512_add_epi64(_mm512_sad_epu8(quotients, ones), _mm512_set1_epi64(PART));
    if (_mm512_cmpgt_epu64_mask(sizes, _mm512_set1_epi64(56)))
        return 0;
    /* where the one of each number stands: the zeros up to it, and the ones before */
    __m512i at = _mm512_add_epi8(quotients, _mm512_slli_epi64(quotients, 8));
    at = _mm512_add_epi8(at, _mm512_slli_epi64(at, 16));
    at = _mm512_add_epi8(at, _mm512_slli_epi64(at, 32));
    at = _mm512_add_epi8(at, _mm512_set1_epi64(0x0706050403020100));
    for (unsigned j = 0; j < PART; j++) {
        __m512i places = _mm512_and_si512(_mm512_srli_epi64(at, 8 * j), byte);
        ones = _mm512_or_si512(ones, _mm512_sllv_epi64(one, places));
    }
    _mm512_storeu_si512(ret_ones, ones);
    _mm512_storeu_si512(ret_sizes, sizes);
    return 1;
}

/* Remainders of up to 7 bits, part by part. */
FL_RICE_VECTOR static inline void remainder_parts(const uint32_t *numbers, unsigned k, uint64_t ret[PARTS])
{
    __m128i bytes;
    uint64_t mask = ((UINT64_C(1) << k) - 1) * 0x0101010101010101;
    for (size_t i = 0; i < PARTS; i += 2) {
        bytes = _mm512_cvtepi32_epi8(_mm512_loadu_si512(numbers + PART * i));
        ret[i] = _pext_u64((uint64_t)_mm_cvtsi128_si64(bytes), mask);
        ret[i + 1] = _pext_u64((uint64_t)_mm_extract_epi64(bytes, 1), mask);
    }
}

/* A whole block; returns 0, and nothing is written, when it has to be written number by number. */
FL_RICE_VECTOR static int write_vector(unsigned parameter, const uint32_t *numbers,
                                       struct fl_bit_writer *target)
{
    uint64_t ones[PARTS], sizes[PARTS], remainders[PARTS];
    struct fl_bit_writer writer = *target;
    if (parameter > 28 || !unary_parts(quotient_bytes(numbers, parameter), ones, sizes))
        return 0;
    if (parameter && parameter <= 7) {
        remainder_parts(numbers, parameter, remainders);
        for (size_t i = 0; i < PARTS; i++)
            fl_bits_put(&writer, remainders[i], PART * parameter);
    } else if (parameter) {
        put_fixed(&writer, numbers, FL_RICE_BLOCK, parameter, (UINT32_C(1) << parameter) - 1);
    }
    for (size_t i = 0; i < PARTS; i++)
        fl_bits_put(&writer, ones[i], (unsigned)sizes[i]);
    *target = writer;
    return 1;
}
#endif

void fl_rice_write_at(enum fl_rice_level level, struct fl_rice_stream *stream, unsigned parameter,
                      const uint32_t *numbers, size_t count, struct fl_bit_writer *writer)
{
    if (stream->parameter == FL_RICE_NO_PARAMETER)
        fl_bits_put(writer, parameter, 5);
    else
        fl_bits_put_unary(writer, zigzag((int)parameter - (int)stream->parameter));
    stream->parameter = parameter;
#if defined(__x86_64__)
    if (level == FL_RICE_AT_VECTOR && count == FL_RICE_BLOCK && write_vector(parameter, numbers, writer))
        return;
#endif
    if (level >= FL_RICE_AT_NEWER)
        write_newer(parameter, stream->plain_width, numbers, count, writer);
    else
        write_numbers(parameter, stream->plain_width, numbers, count, writer);
}

void fl_rice_write(struct fl_rice_stream *stream, unsigned parameter, const uint32_t *numbers, size_t count,
                   struct fl_bit_writer *writer)
{
    fl_rice_write_at(fl_rice_level_here(), stream, parameter, numbers, count, writer);
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

#if defined(__x86_64__)
/* Numbers of up to 7 bits, eight at a time, as bytes. */
FL_RICE_VECTOR static inline void get_fixed_by_vector(const uint8_t *data, uint64_t pos, unsigned width,
                                                      uint32_t *ret_numbers)
{
    uint64_t mask = ((UINT64_C(1) << width) - 1) * 0x0101010101010101;
    for (size_t i = 0; i < FL_RICE_BLOCK; i += 8, pos += 8 * width) {
        uint64_t eight = _pdep_u64(fl_bits_load(data + (pos >> 3)) >> (pos & 7), mask);
        _mm256_storeu_si256((__m256i *)(ret_numbers + i),
                            _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)eight)));
    }
}
#endif

/* Numbers of width bits from first on, two at a time where a processor can spread bits; the bytes that hold
 * them and 8 more may be read. ret_numbers holds an even number. */
FL_RICE_LOOP void get_fixed(const struct fl_bit_reader *reader, uint64_t first, size_t count, unsigned width,
                            enum fl_rice_level level, uint32_t *ret_numbers)
{
    uint64_t mask = (UINT64_C(1) << width) - 1, pos = first;
#if defined(__x86_64__)
    if (level == FL_RICE_AT_VECTOR && width <= 7 && count == FL_RICE_BLOCK) {
        get_fixed_by_vector(reader->data, first, width, ret_numbers);
        return;
    }
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
