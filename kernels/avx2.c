/* AVX2: 8 floats at once; survivors are moved together by a permutation looked up for each mask of 8.
 * Remainders are left to the portable table. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/avx2_moves.h"
#include "kernels/rounding.h"
#include "kernels/runs.h"
#include "kernels/take.h"

static void add(const float *a, const float *b, float *ret_sum, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(ret_sum + i, _mm256_add_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i)));
    fl_kernels_portable.add(a + i, b + i, ret_sum + i, n - i);
}

static void subtract(const float *a, const float *b, float *ret_difference, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(ret_difference + i, _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i)));
    fl_kernels_portable.subtract(a + i, b + i, ret_difference + i, n - i);
}

static __m256i magnitudes(__m256 x)
{
    return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(FL_BITS_MAGNITUDE));
}

static uint32_t largest(__m256i x)
{
    uint32_t lane[8], most = 0;
    _mm256_storeu_si256((__m256i *)lane, x);
    for (size_t j = 0; j < 8; j++)
        most = lane[j] > most ? lane[j] : most;
    return most;
}

static uint32_t largest_magnitude(const float *x, size_t n)
{
    __m256i most = _mm256_setzero_si256();
    for (size_t i = 0; i + 8 <= n; i += 8)
        most = _mm256_max_epu32(most, magnitudes(_mm256_loadu_ps(x + i)));
    return largest(most);
}

static float max_abs(const float *x, size_t n)
{
    size_t whole = n / 8 * 8;
    uint32_t bits = largest_magnitude(x, whole);
    float vector, rest = fl_kernels_portable.max_abs(x + whole, n - whole);
    memcpy(&vector, &bits, sizeof vector);
    return vector > rest ? vector : rest;
}

static int all_finite(const float *x, size_t n)
{
    size_t whole = n / 8 * 8;
    return largest_magnitude(x, whole) < FL_BITS_INFINITY &&
           fl_kernels_portable.all_finite(x + whole, n - whole);
}

static double sum_run(const float *x, size_t n)
{
    __m256d low = _mm256_setzero_pd(), high = low;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256d first = _mm256_cvtps_pd(_mm_loadu_ps(x + i)),
                second = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4));
        low = _mm256_add_pd(low, _mm256_mul_pd(first, first));
        high = _mm256_add_pd(high, _mm256_mul_pd(second, second));
    }
    double lane[8];
    _mm256_storeu_pd(lane, low);
    _mm256_storeu_pd(lane + 4, high);
    return fl_sum_lanes(lane, x + i, n - i);
}

static double sum_squares(const float *x, size_t n)
{
    return fl_sum_runs(x, n, sum_run);
}

/* Bit j is 1 where low <= |x[j]| < high. */
static unsigned in_band(const float *x, __m256 low, __m256 high)
{
    __m256 magnitude = _mm256_castsi256_ps(magnitudes(_mm256_loadu_ps(x)));
    return (unsigned)_mm256_movemask_ps(
        _mm256_and_ps(_mm256_cmp_ps(magnitude, low, _CMP_GE_OQ), _mm256_cmp_ps(magnitude, high, _CMP_LT_OQ)));
}

static size_t count_band(const float *x, size_t n, float low, float high)
{
    __m256 lows = _mm256_set1_ps(low), highs = _mm256_set1_ps(high);
    size_t count = 0, i = 0;
    for (; i + 8 <= n; i += 8)
        count += (size_t)__builtin_popcount(in_band(x + i, lows, highs));
    return count + fl_kernels_portable.count_band(x + i, n - i, low, high);
}

static void select_band(const float *x, size_t n, float low, float high, uint32_t *ret_indices,
                        uint32_t *ret_bits)
{
    __m256 lows = _mm256_set1_ps(low), highs = _mm256_set1_ps(high);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (unsigned in = in_band(x + i, lows, highs); in; in &= in - 1) {
            size_t at = i + (size_t)__builtin_ctz(in);
            *ret_indices++ = (uint32_t)at;
            *ret_bits++ = fl_bits_of(x[at]);
        }
    }
    for (; i < n; i++) { /* indices go on from i, so not the portable table's */
        if (fabsf(x[i]) >= low && fabsf(x[i]) < high) {
            *ret_indices++ = (uint32_t)i;
            *ret_bits++ = fl_bits_of(x[i]);
        }
    }
}

static size_t publish(const double *x, float *x_hat, uint32_t *touched, size_t n, double lambda_down,
                      uint32_t version)
{
    __m256d lambda = _mm256_set1_pd(lambda_down),
            magnitude = _mm256_castsi256_pd(_mm256_set1_epi64x(INT64_MAX));
    size_t i = 0, count = 0;
    for (; i + 4 <= n; i += 4) {
        __m256d true_x = _mm256_loadu_pd(x + i);
        __m128 old = _mm_loadu_ps(x_hat + i), rounded = _mm256_cvtpd_ps(true_x);
        __m256d drift = _mm256_and_pd(_mm256_sub_pd(true_x, _mm256_cvtps_pd(old)), magnitude);
        int moves = _mm256_movemask_pd(_mm256_cmp_pd(drift, lambda, _CMP_GE_OQ)) &
                    _mm_movemask_ps(_mm_cmp_ps(rounded, old, _CMP_NEQ_UQ));
        if (moves)
            count += fl_kernels_portable.publish(x + i, x_hat + i, touched + i, 4, lambda_down, version);
    }
    return count + fl_kernels_portable.publish(x + i, x_hat + i, touched + i, n - i, lambda_down, version);
}

/* A band of magnitudes as signed integers, which is how AVX2 compares: low <= m < high is m - base < most. */
struct band {
    __m256i base, most;
};

static struct band band_of(uint32_t low, uint32_t high)
{
    uint32_t base = low - (uint32_t)INT32_MIN, most = high - base;
    return (struct band){_mm256_set1_epi32((int)base), _mm256_set1_epi32((int)most)};
}

/* All ones in the lanes of 8 sums that are in the band; most as the table's worst. */
static __m256i taken_of(__m256 sum, const struct band *band, __m256i *most)
{
    __m256i magnitude = magnitudes(sum);
    *most = _mm256_max_epu32(*most, magnitude);
    return _mm256_cmpgt_epi32(band->most, _mm256_sub_epi32(magnitude, band->base));
}

/* A bit for each of 32 lanes of all ones or none. */
static uint64_t bits_of_lanes(const __m256i in[4])
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); /* packing goes by halves */
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(in[0], in[1]), _mm256_packs_epi32(in[2], in[3]));
    return (uint32_t)_mm256_movemask_epi8(_mm256_permutevar8x32_epi32(bytes, order));
}

/* Whole groups of 64 of add_list. */
static inline __attribute__((always_inline)) size_t list_groups(const float *a, const float *b, float *ret_p,
                                                                size_t n, uint32_t low, uint32_t high,
                                                                uint32_t base, unsigned at_once,
                                                                uint32_t *ret_indices, uint32_t *worst)
{
    __m256i most = _mm256_set1_epi32((int)*worst);
    struct band band = band_of(low, high);
    uint32_t *to = ret_indices;
    for (size_t i = 0; i < n; i += 64, base += 64) {
        uint64_t word = 0;
        for (unsigned j = 0; j < 64; j += 32) {
            __m256i in[4];
            for (unsigned v = 0; v < 4; v++) {
                size_t at = i + j + 8 * v;
                __m256 sum = _mm256_add_ps(_mm256_loadu_ps(a + at), _mm256_loadu_ps(b + at));
                _mm256_storeu_ps(ret_p + at, sum);
                in[v] = taken_of(sum, &band, &most);
            }
            word |= bits_of_lanes(in) << j;
        }
        to += fl_take_bits(word, base, at_once, to);
    }
    *worst = largest(most);
    return (size_t)(to - ret_indices);
}

static size_t add_list(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       uint32_t base, size_t expected, uint32_t *ret_indices, uint32_t *worst)
{
    return fl_take_add_list(list_groups, a, b, ret_p, n, low, high, base, expected, ret_indices, worst);
}

/* A grid in vectors. */
struct wide_grid {
    __m256 step, inverse_step, level_most;
};

/* fl_take_level() of the 8 in p where in is all ones; what else there is may be anything. */
static __m256 take_levels(__m256 p, __m256i in, const struct wide_grid *grid, __m256i *ret_level)
{
    __m256 x = _mm256_mul_ps(_mm256_castsi256_ps(magnitudes(p)), grid->inverse_step);
    __m256i magnitude =
        _mm256_cvttps_epi32(_mm256_add_ps(_mm256_min_ps(x, grid->level_most), _mm256_set1_ps(0.5f)));
    /* p in band is not 0 */
    *ret_level = _mm256_sign_epi32(magnitude, _mm256_castps_si256(p));
    __m256 q = _mm256_mul_ps(_mm256_cvtepi32_ps(*ret_level), grid->step);
    return _mm256_sub_ps(p, _mm256_and_ps(q, _mm256_castsi256_ps(in)));
}

/* Whole groups of 64 of add_pack. */
static inline __attribute__((always_inline)) size_t
pack_groups(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
            const struct wide_grid *grid, uint64_t *ret_bitmap, uint32_t *ret_words, uint32_t *worst)
{
    __m256i most = _mm256_set1_epi32((int)*worst);
    struct band band = band_of(low, high);
    uint32_t *to = ret_words;
    for (size_t i = 0; i < n; i += 64) {
        uint64_t word = 0;
        for (unsigned j = 0; j < 64; j += 8) {
            __m256 sum = _mm256_add_ps(_mm256_loadu_ps(a + i + j), _mm256_loadu_ps(b + i + j));
            __m256i in = taken_of(sum, &band, &most), words = _mm256_castps_si256(sum);
            __m256 rest =
                grid ? take_levels(sum, in, grid, &words) : _mm256_andnot_ps(_mm256_castsi256_ps(in), sum);
            _mm256_storeu_ps(ret_p + i + j, rest);
            unsigned bits = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(in));
            __m256i move = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)fl_avx2_moves[bits]));
            _mm256_storeu_si256((__m256i *)to, _mm256_permutevar8x32_epi32(words, move));
            to += __builtin_popcount(bits);
            word |= (uint64_t)bits << j;
        }
        ret_bitmap[i / 64] = word;
    }
    *worst = largest(most);
    return (size_t)(to - ret_words);
}

static size_t add_pack(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       const struct fl_kernels_grid *grid, uint64_t *ret_bitmap, uint32_t *ret_words,
                       uint32_t *worst)
{
    size_t i = n / 64 * 64, count;
    if (grid) {
        const struct wide_grid wide = {_mm256_set1_ps(grid->step), _mm256_set1_ps(grid->inverse_step),
                                       _mm256_set1_ps(grid->level_most)};
        count = pack_groups(a, b, ret_p, i, low, high, &wide, ret_bitmap, ret_words, worst);
    } else {
        count = pack_groups(a, b, ret_p, i, low, high, NULL, ret_bitmap, ret_words, worst);
    }
    return count + fl_kernels_portable.add_pack(a + i, b + i, ret_p + i, n - i, low, high, grid,
                                                ret_bitmap + i / 64, ret_words + count, worst);
}

static __m256i xor_of(__m256i a, __m256i b, uint32_t c)
{
    return _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_set1_epi64x(c));
}

/* Four blocks at once, a word of each in the lower half of 4 lanes; what is in the upper halves, neither a
 * product nor the outcome looks at. */
static void draw_groups(const struct fl_kernels_draw *draw, uint64_t block, size_t n, uint32_t *ret_words)
{
    const __m256i m0 = _mm256_set1_epi64x(FL_PHILOX_M0), m1 = _mm256_set1_epi64x(FL_PHILOX_M1),
                  order = _mm256_setr_epi64x(0, 2, 1, 3); /* so that unpacking sorts them */
    for (size_t i = 0; i < n; i += 16, block += 4) {
        uint32_t k0 = (uint32_t)draw->seed, k1 = (uint32_t)(draw->seed >> 32);
        __m256i c0 = _mm256_add_epi64(_mm256_set1_epi64x((long long)block), order),
                c1 = _mm256_srli_epi64(c0, 32), c2 = _mm256_set1_epi64x(draw->round),
                c3 = _mm256_set1_epi64x(draw->purpose);
        for (int round = 0; round < FL_PHILOX_ROUNDS; round++, k0 += FL_PHILOX_W0, k1 += FL_PHILOX_W1) {
            __m256i p0 = _mm256_mul_epu32(c0, m0), p1 = _mm256_mul_epu32(c2, m1);
            c0 = xor_of(_mm256_srli_epi64(p1, 32), c1, k0);
            c1 = p1;
            c2 = xor_of(_mm256_srli_epi64(p0, 32), c3, k1);
            c3 = p0;
        }
        __m256i first = _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xaa),
                second = _mm256_blend_epi32(c2, _mm256_slli_epi64(c3, 32), 0xaa);
        _mm256_storeu_si256((__m256i *)(ret_words + i), _mm256_unpacklo_epi64(first, second));
        _mm256_storeu_si256((__m256i *)(ret_words + i + 8), _mm256_unpackhi_epi64(first, second));
    }
}

static void draw(const struct fl_kernels_draw *draw, uint64_t first, size_t n, uint32_t *ret_words)
{
    fl_draw_by_groups(draw_groups, 16, draw, first, n, ret_words);
}

/* 1 in the lanes of 4 that go up from a to c: fl_round_table() for them. */
static __m128i go_up(__m128 r, __m128 a, __m128 c, __m128i words)
{
    __m256d low = _mm256_cvtps_pd(a);
    __m256d share =
        _mm256_div_pd(_mm256_sub_pd(_mm256_cvtps_pd(r), low), _mm256_sub_pd(_mm256_cvtps_pd(c), low));
    share = _mm256_min_pd(_mm256_max_pd(share, _mm256_setzero_pd()), _mm256_set1_pd(1));
    /* as signed numbers, 2^31 lower */
    __m256d word = _mm256_cvtepi32_pd(_mm_xor_si128(words, _mm_set1_epi32(INT32_MIN)));
    __m256d up = _mm256_cmp_pd(_mm256_add_pd(word, _mm256_set1_pd(0x1p31 + 1)),
                               _mm256_mul_pd(share, _mm256_set1_pd(0x1p32)), _CMP_LE_OQ);
    __m256i lanes =
        _mm256_permutevar8x32_epi32(_mm256_castpd_si256(up), _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    return _mm_srli_epi32(_mm256_castsi256_si128(lanes), 31);
}

/* A table that fits a register; gathering from memory is slower than fl_round_table(). */
static void round_table(const float *table, size_t count, const float *v, float norm, const uint32_t *words,
                        size_t n, uint8_t *ret_indices)
{
    float eight[8] = {0};
    size_t i = 0, whole = count <= 8 ? n / 8 * 8 : 0;
    memcpy(eight, table, (count <= 8 ? count : 8) * sizeof *table);
    __m256 levels = _mm256_loadu_ps(eight), norms = _mm256_set1_ps(norm);
    for (; i < whole; i += 8) {
        __m256 r = _mm256_div_ps(_mm256_loadu_ps(v + i), norms);
        __m256i low = _mm256_setzero_si256(), word = _mm256_loadu_si256((const __m256i *)(words + i));
        for (int size = (int)count - 1; size > 1; size -= size / 2) {
            __m256i half = _mm256_set1_epi32(size / 2);
            __m256 level = _mm256_permutevar8x32_ps(levels, _mm256_add_epi32(low, half));
            __m256 reached = _mm256_cmp_ps(level, r, _CMP_LE_OQ);
            low = _mm256_add_epi32(low, _mm256_and_si256(half, _mm256_castps_si256(reached)));
        }
        __m256 a = _mm256_permutevar8x32_ps(levels, low),
               c = _mm256_permutevar8x32_ps(levels, _mm256_add_epi32(low, _mm256_set1_epi32(1)));
        __m128i first = _mm_add_epi32(_mm256_castsi256_si128(low),
                                      go_up(_mm256_castps256_ps128(r), _mm256_castps256_ps128(a),
                                            _mm256_castps256_ps128(c), _mm256_castsi256_si128(word)));
        __m128i second = _mm_add_epi32(_mm256_extracti128_si256(low, 1),
                                       go_up(_mm256_extractf128_ps(r, 1), _mm256_extractf128_ps(a, 1),
                                             _mm256_extractf128_ps(c, 1), _mm256_extracti128_si256(word, 1)));
        __m128i bytes = _mm_packus_epi16(_mm_packus_epi32(first, second), _mm_setzero_si128());
        _mm_storel_epi64((__m128i *)(ret_indices + i), bytes);
    }
    fl_round_table(table, count, v + i, norm, words + i, n - i, ret_indices + i);
}

const struct fl_kernels fl_kernels_avx2 = {
    .name = "avx2",
    .add = add,
    .subtract = subtract,
    .all_finite = all_finite,
    .sum_squares = sum_squares,
    .max_abs = max_abs,
    .count_band = count_band,
    .select_band = select_band,
    .publish = publish,
    .add_list = add_list,
    .add_pack = add_pack,
    .list_bits = fl_take_list,
    .draw = draw,
    .round_levels = fl_round_levels,
    .round_powers = fl_round_powers,
    .round_table = round_table,
};
#endif
