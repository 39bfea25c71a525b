#include "codec/group.h"

#include "codec/floats.h"
#include "codec/rice_loops.h"

/* --- plain --- */

FL_RICE_LOOP uint64_t indices(const uint32_t *from, size_t size, uint64_t start, uint32_t *ret_indices)
{
    for (size_t i = 0; i < size; i++) {
        start += from[i];
        ret_indices[i] = (uint32_t)start++;
    }
    return start;
}

FL_RICE_LOOP void gaps(const uint32_t *from, size_t size, uint32_t start, uint32_t *ret_gaps)
{
    ret_gaps[0] = from[0] - start;
    for (size_t i = 1; i < size; i++)
        ret_gaps[i] = from[i] - from[i - 1] - 1;
}

FL_RICE_LOOP void words(const uint32_t *numbers, uint64_t negative, size_t size, uint32_t least,
                        uint32_t *ret_words)
{
    for (size_t i = 0; i < size; i++) {
        uint32_t sign = 0u - (uint32_t)(negative >> i & 1);
        ret_words[i] = ((numbers[i] + least) ^ sign) - sign;
    }
}

FL_RICE_LOOP uint64_t numbers(const uint32_t *from, size_t size, uint32_t least, uint32_t *ret_numbers)
{
    uint64_t negative = 0;
    for (size_t i = 0; i < size; i++)
        negative |= (uint64_t)(from[i] >> 31) << i;
    for (size_t i = 0; i < size; i++) {
        uint32_t sign = 0u - (from[i] >> 31);
        ret_numbers[i] = (from[i] ^ sign) - sign - least;
    }
    return negative;
}

FL_RICE_LOOP struct fl_group_floats note_floats(const uint32_t *from, size_t size)
{
    struct fl_group_floats found = {.least = FL_FLOAT_MAGNITUDE};
    double lane[8] = {0};
    for (size_t i = 0; i < size; i++) {
        uint32_t magnitude = from[i] & FL_FLOAT_MAGNITUDE;
        found.least = magnitude < found.least ? magnitude : found.least;
        found.most = magnitude > found.most ? magnitude : found.most;
    }
    for (size_t i = 0; i < size; i++) {
        double value = (double)fl_float_from_bits(from[i]);
        lane[i % 8] += value * value;
    }
    for (size_t j = 0; j < 8; j++)
        found.squares += lane[j];
    return found;
}

FL_RICE_LOOP struct fl_group_levels note_levels(const uint32_t *from, size_t size)
{
    struct fl_group_levels found = {0};
    for (size_t i = 0; i < size; i++) {
        int32_t level = (int32_t)from[i];
        uint32_t magnitude = (uint32_t)(level < 0 ? -level : level);
        found.most = magnitude > found.most ? magnitude : found.most;
        found.squares += (uint64_t)magnitude * magnitude;
    }
    return found;
}

#if defined(__x86_64__)

/* --- whole groups by AVX-512 --- */

#define LANES 16

/* Sums over the lanes up to each. */
FL_RICE_VECTOR static inline __m512i sum_up(__m512i x)
{
    const __m512i last_of_lane_before = _mm512_setr_epi32(0, 0, 0, 0, 3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11),
                  last_of_first_two = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 7, 7, 7, 7);
    x = _mm512_add_epi32(x, _mm512_bslli_epi128(x, 4));
    x = _mm512_add_epi32(x, _mm512_bslli_epi128(x, 8));
    x = _mm512_add_epi32(x, _mm512_maskz_permutexvar_epi32(0xfff0, last_of_lane_before, x));
    return _mm512_add_epi32(x, _mm512_maskz_permutexvar_epi32(0xff00, last_of_first_two, x));
}

/* Gaps of 2^25 and more, whose sum might not fit into 32 bits, are left to the plain loop. */
FL_RICE_VECTOR static uint64_t indices_by_vector(const uint32_t *from, uint64_t start, uint32_t *ret_indices)
{
    const __m512i one = _mm512_set1_epi32(1), last = _mm512_set1_epi32(LANES - 1);
    __m512i x[FL_RICE_BLOCK / LANES], any = _mm512_setzero_si512(), sum = _mm512_setzero_si512();
    for (size_t i = 0; i < FL_RICE_BLOCK / LANES; i++) {
        x[i] = _mm512_loadu_si512(from + LANES * i);
        any = _mm512_or_si512(any, x[i]);
    }
    if (_mm512_cmpge_epu32_mask(any, _mm512_set1_epi32(1 << 25)))
        return indices(from, FL_RICE_BLOCK, start, ret_indices);
    __m512i base = _mm512_set1_epi32((int)(uint32_t)start - 1);
    for (size_t i = 0; i < FL_RICE_BLOCK / LANES; i++) {
        x[i] = _mm512_add_epi32(sum_up(_mm512_add_epi32(x[i], one)), sum);
        sum = _mm512_permutexvar_epi32(last, x[i]);
        _mm512_storeu_si512(ret_indices + LANES * i, _mm512_add_epi32(x[i], base));
    }
    return start + (uint32_t)_mm512_cvtsi512_si32(sum);
}

FL_RICE_VECTOR static void gaps_by_vector(const uint32_t *from, uint32_t start, uint32_t *ret_gaps)
{
    const __m512i one = _mm512_set1_epi32(1);
    __m512i before = _mm512_set1_epi32((int)start - 1); /* in its last lane: the index before the first */
    for (size_t i = 0; i < FL_RICE_BLOCK; i += LANES) {
        __m512i x = _mm512_loadu_si512(from + i), shifted = _mm512_alignr_epi32(x, before, LANES - 1);
        _mm512_storeu_si512(ret_gaps + i, _mm512_sub_epi32(_mm512_sub_epi32(x, shifted), one));
        before = x;
    }
}

FL_RICE_VECTOR static void words_by_vector(const uint32_t *from, uint64_t negative, uint32_t least,
                                           uint32_t *ret_words)
{
    const __m512i leasts = _mm512_set1_epi32((int)least), zero = _mm512_setzero_si512();
    for (size_t i = 0; i < FL_RICE_BLOCK; i += LANES) {
        __m512i x = _mm512_add_epi32(_mm512_loadu_si512(from + i), leasts);
        x = _mm512_mask_sub_epi32(x, (__mmask16)(negative >> i), zero, x);
        _mm512_storeu_si512(ret_words + i, x);
    }
}

FL_RICE_VECTOR static uint64_t numbers_by_vector(const uint32_t *from, uint32_t least, uint32_t *ret_numbers)
{
    const __m512i leasts = _mm512_set1_epi32((int)least), zero = _mm512_setzero_si512();
    uint64_t negative = 0;
    for (size_t i = 0; i < FL_RICE_BLOCK; i += LANES) {
        __m512i x = _mm512_loadu_si512(from + i);
        negative |= (uint64_t)_mm512_cmplt_epi32_mask(x, zero) << i;
        _mm512_storeu_si512(ret_numbers + i, _mm512_sub_epi32(_mm512_abs_epi32(x), leasts));
    }
    return negative;
}

FL_RICE_VECTOR static struct fl_group_floats note_floats_by_vector(const uint32_t *from)
{
    const __m512i magnitude = _mm512_set1_epi32((int)FL_FLOAT_MAGNITUDE);
    __m512i least = magnitude, most = _mm512_setzero_si512();
    __m512d lanes = _mm512_setzero_pd();
    double lane[8];
    struct fl_group_floats found = {0};
    for (size_t i = 0; i < FL_RICE_BLOCK; i += LANES) {
        __m512i x = _mm512_loadu_si512(from + i);
        __m512d low = _mm512_cvtps_pd(_mm256_castsi256_ps(_mm512_castsi512_si256(x))),
                high = _mm512_cvtps_pd(_mm256_castsi256_ps(_mm512_extracti64x4_epi64(x, 1)));
        x = _mm512_and_si512(x, magnitude);
        least = _mm512_min_epu32(least, x);
        most = _mm512_max_epu32(most, x);
        lanes = _mm512_add_pd(lanes, _mm512_mul_pd(low, low));
        lanes = _mm512_add_pd(lanes, _mm512_mul_pd(high, high));
    }
    found.least = _mm512_reduce_min_epu32(least);
    found.most = _mm512_reduce_max_epu32(most);
    _mm512_storeu_pd(lane, lanes);
    for (size_t j = 0; j < 8; j++)
        found.squares += lane[j];
    return found;
}

FL_RICE_VECTOR static struct fl_group_levels note_levels_by_vector(const uint32_t *from)
{
    __m512i most = _mm512_setzero_si512(), squares = _mm512_setzero_si512();
    for (size_t i = 0; i < FL_RICE_BLOCK; i += LANES) {
        __m512i x = _mm512_abs_epi32(_mm512_loadu_si512(from + i)), odd = _mm512_srli_epi64(x, 32);
        most = _mm512_max_epu32(most, x);
        squares = _mm512_add_epi64(squares, _mm512_mul_epu32(x, x));
        squares = _mm512_add_epi64(squares, _mm512_mul_epu32(odd, odd));
    }
    return (struct fl_group_levels){.most = _mm512_reduce_max_epu32(most),
                                    .squares = (uint64_t)_mm512_reduce_add_epi64(squares)};
}

#endif

/* --- whole groups --- */

/* The loops over FL_RICE_BLOCK coordinates of one level. */
struct loops {
    uint64_t (*indices)(const uint32_t *from, uint64_t start, uint32_t *ret_indices);
    void (*gaps)(const uint32_t *from, uint32_t start, uint32_t *ret_gaps);
    void (*words)(const uint32_t *from, uint64_t negative, uint32_t least, uint32_t *ret_words);
    uint64_t (*numbers)(const uint32_t *from, uint32_t least, uint32_t *ret_numbers);
    struct fl_group_floats (*note_floats)(const uint32_t *from);
    struct fl_group_levels (*note_levels)(const uint32_t *from);
};

/* The plain loops, compiled for some level. */
#define FL_GROUP_LOOPS(name, target)                                                                         \
    target static uint64_t name##_indices(const uint32_t *from, uint64_t start, uint32_t *ret_indices)       \
    {                                                                                                        \
        return indices(from, FL_RICE_BLOCK, start, ret_indices);                                             \
    }                                                                                                        \
    target static void name##_gaps(const uint32_t *from, uint32_t start, uint32_t *ret_gaps)                 \
    {                                                                                                        \
        gaps(from, FL_RICE_BLOCK, start, ret_gaps);                                                          \
    }                                                                                                        \
    target static void name##_words(const uint32_t *from, uint64_t negative, uint32_t least,                 \
                                    uint32_t *ret_words)                                                     \
    {                                                                                                        \
        words(from, negative, FL_RICE_BLOCK, least, ret_words);                                              \
    }                                                                                                        \
    target static uint64_t name##_numbers(const uint32_t *from, uint32_t least, uint32_t *ret_numbers)       \
    {                                                                                                        \
        return numbers(from, FL_RICE_BLOCK, least, ret_numbers);                                             \
    }                                                                                                        \
    target static struct fl_group_floats name##_note_floats(const uint32_t *from)                            \
    {                                                                                                        \
        return note_floats(from, FL_RICE_BLOCK);                                                             \
    }                                                                                                        \
    target static struct fl_group_levels name##_note_levels(const uint32_t *from)                            \
    {                                                                                                        \
        return note_levels(from, FL_RICE_BLOCK);                                                             \
    }                                                                                                        \
    static const struct loops name##_loops = {name##_indices, name##_gaps,        name##_words,              \
                                              name##_numbers, name##_note_floats, name##_note_levels}

FL_GROUP_LOOPS(any, );
#if defined(__x86_64__)
FL_GROUP_LOOPS(newer, FL_RICE_NEWER);
static const struct loops vector_loops = {indices_by_vector, gaps_by_vector,        words_by_vector,
                                          numbers_by_vector, note_floats_by_vector, note_levels_by_vector};
#endif

static const struct loops *loops_at(enum fl_rice_level level)
{
#if defined(__x86_64__)
    if (level >= FL_RICE_AT_NEWER)
        return level == FL_RICE_AT_VECTOR ? &vector_loops : &newer_loops;
#endif
    (void)level;
    return &any_loops;
}

uint64_t fl_group_indices(enum fl_rice_level level, const uint32_t *from, size_t size, uint64_t start,
                          uint32_t *ret_indices)
{
    return size == FL_RICE_BLOCK ? loops_at(level)->indices(from, start, ret_indices)
                                 : indices(from, size, start, ret_indices);
}

void fl_group_gaps(enum fl_rice_level level, const uint32_t *from, size_t size, uint32_t start,
                   uint32_t *ret_gaps)
{
    if (size == FL_RICE_BLOCK)
        loops_at(level)->gaps(from, start, ret_gaps);
    else
        gaps(from, size, start, ret_gaps);
}

void fl_group_words(enum fl_rice_level level, const uint32_t *from, uint64_t negative, size_t size,
                    uint32_t least, uint32_t *ret_words)
{
    if (size == FL_RICE_BLOCK)
        loops_at(level)->words(from, negative, least, ret_words);
    else
        words(from, negative, size, least, ret_words);
}

uint64_t fl_group_numbers(enum fl_rice_level level, const uint32_t *from, size_t size, uint32_t least,
                          uint32_t *ret_numbers)
{
    return size == FL_RICE_BLOCK ? loops_at(level)->numbers(from, least, ret_numbers)
                                 : numbers(from, size, least, ret_numbers);
}

struct fl_group_floats fl_group_note_floats(enum fl_rice_level level, const uint32_t *from, size_t size)
{
    return size == FL_RICE_BLOCK ? loops_at(level)->note_floats(from) : note_floats(from, size);
}

struct fl_group_levels fl_group_note_levels(enum fl_rice_level level, const uint32_t *from, size_t size)
{
    return size == FL_RICE_BLOCK ? loops_at(level)->note_levels(from) : note_levels(from, size);
}
