/* AVX2: 8 floats at once; survivors are moved together by a permutation looked up for each mask of 8.
 * Remainders are left to the portable table. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/avx2_moves.h"
#include "kernels/runs.h"
#include "kernels/tables.h"
#include "kernels/take.h"

/* From here on (1 in 12) whole vectors are cheaper than walking from survivor to survivor. */
#define DENSE 12

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

static size_t add_mask(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       uint64_t *ret_mask, uint32_t *worst)
{
    __m256i most = _mm256_set1_epi32((int)*worst), below = _mm256_set1_epi32((int)(low - 1)),
            above = _mm256_set1_epi32((int)(high - 1));
    size_t count = 0, i = 0;
    for (; i + 64 <= n; i += 64) {
        uint64_t word = 0;
        for (unsigned j = 0; j < 64; j += 8) {
            __m256 sum = _mm256_add_ps(_mm256_loadu_ps(a + i + j), _mm256_loadu_ps(b + i + j));
            _mm256_storeu_ps(ret_p + i + j, sum);
            __m256i magnitude = magnitudes(sum);
            most = _mm256_max_epu32(most, magnitude);
            __m256i in = _mm256_andnot_si256(_mm256_cmpgt_epi32(magnitude, above),
                                             _mm256_cmpgt_epi32(magnitude, below));
            word |= (uint64_t)(unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(in)) << j;
        }
        ret_mask[i / 64] = word;
        count += (size_t)__builtin_popcountll(word);
    }
    *worst = largest(most);
    return count +
           fl_kernels_portable.add_mask(a + i, b + i, ret_p + i, n - i, low, high, ret_mask + i / 64, worst);
}

/* All ones in the lanes that in names. */
static __m256 lanes_of(unsigned in)
{
    __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)in), bit), bit));
}

/* Keeps those of the 8 that in names, and stores them with their indices. Returns how many. */
static size_t compress(unsigned in, uint32_t first, __m256i words, uint32_t *ret_indices, uint32_t *ret_words)
{
    __m256i move = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)fl_avx2_moves[in]));
    _mm256_storeu_si256((__m256i *)ret_indices, _mm256_add_epi32(move, _mm256_set1_epi32((int)first)));
    _mm256_storeu_si256((__m256i *)ret_words, _mm256_permutevar8x32_epi32(words, move));
    return (size_t)__builtin_popcount(in);
}

static void take_values(float *p, size_t n, const uint64_t *mask, size_t count, uint32_t base,
                        uint32_t *ret_indices, uint32_t *ret_words)
{
    size_t whole = count * DENSE >= n ? n / 64 * 64 : 0, taken = 0;
    for (size_t i = 0; i < whole; i += 8) {
        unsigned in = (unsigned)(mask[i / 64] >> (i % 64)) & 0xff;
        __m256 v = _mm256_loadu_ps(p + i);
        _mm256_storeu_ps(p + i, _mm256_andnot_ps(lanes_of(in), v));
        taken +=
            compress(in, base + (uint32_t)i, _mm256_castps_si256(v), ret_indices + taken, ret_words + taken);
    }
    fl_take_values(p + whole, n - whole, mask + whole / 64, count - taken, base + (uint32_t)whole,
                   ret_indices + taken, ret_words + taken);
}

static void take_levels(float *p, size_t n, const uint64_t *mask, size_t count, uint32_t base,
                        const struct fl_kernels_grid *grid, uint32_t *ret_indices, uint32_t *ret_words)
{
    __m256 inverse = _mm256_set1_ps(grid->inverse_step), step = _mm256_set1_ps(grid->step),
           most = _mm256_set1_ps(grid->level_most), half = _mm256_set1_ps(0.5f);
    size_t whole = count * DENSE >= n ? n / 64 * 64 : 0, taken = 0;
    for (size_t i = 0; i < whole; i += 8) {
        unsigned in = (unsigned)(mask[i / 64] >> (i % 64)) & 0xff;
        __m256 v = _mm256_loadu_ps(p + i);
        /* fl_take_level(), and only where it is wanted; elsewhere the level may be anything */
        __m256 x = _mm256_min_ps(_mm256_mul_ps(_mm256_castsi256_ps(magnitudes(v)), inverse), most);
        __m256i magnitude = _mm256_cvttps_epi32(_mm256_add_ps(x, half));
        __m256i sign = _mm256_srai_epi32(_mm256_castps_si256(v), 31);
        __m256i level = _mm256_sub_epi32(_mm256_xor_si256(magnitude, sign), sign);
        __m256 q = _mm256_mul_ps(_mm256_cvtepi32_ps(level), step);
        _mm256_storeu_ps(p + i, _mm256_blendv_ps(v, _mm256_sub_ps(v, q), lanes_of(in)));
        taken += compress(in, base + (uint32_t)i, level, ret_indices + taken, ret_words + taken);
    }
    fl_take_levels(p + whole, n - whole, mask + whole / 64, count - taken, base + (uint32_t)whole, grid,
                   ret_indices + taken, ret_words + taken);
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
    .add_mask = add_mask,
    .take_values = take_values,
    .take_levels = take_levels,
};
#endif
