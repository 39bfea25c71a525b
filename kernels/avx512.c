/* AVX-512: 16 floats at once; survivors are compressed in a register, never straight to memory, which is slow
 * on some processors. Remainders are left to the portable table. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/runs.h"
#include "kernels/tables.h"
#include "kernels/take.h"

/* From here on (1 in 12) whole vectors are cheaper than walking from survivor to survivor. */
#define DENSE 12

static void add(const float *a, const float *b, float *ret_sum, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(ret_sum + i, _mm512_add_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i)));
    fl_kernels_portable.add(a + i, b + i, ret_sum + i, n - i);
}

static void subtract(const float *a, const float *b, float *ret_difference, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(ret_difference + i, _mm512_sub_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i)));
    fl_kernels_portable.subtract(a + i, b + i, ret_difference + i, n - i);
}

static __m512i magnitudes(__m512 x)
{
    return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(FL_BITS_MAGNITUDE));
}

static float max_abs(const float *x, size_t n)
{
    __m512i most = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        most = _mm512_max_epu32(most, magnitudes(_mm512_loadu_ps(x + i)));
    float vector = _mm512_reduce_max_ps(_mm512_castsi512_ps(most));
    float rest = fl_kernels_portable.max_abs(x + i, n - i);
    return vector > rest ? vector : rest;
}

static int all_finite(const float *x, size_t n)
{
    __m512i most = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        most = _mm512_max_epu32(most, magnitudes(_mm512_loadu_ps(x + i)));
    return _mm512_reduce_max_epu32(most) < FL_BITS_INFINITY && fl_kernels_portable.all_finite(x + i, n - i);
}

/* gcc 14 aligns the lanes to 64 bytes and stores them so, where AddressSanitizer's own stack has 32. */
__attribute__((no_sanitize("address"))) static double sum_run(const float *x, size_t n)
{
    __m512d lanes = _mm512_setzero_pd();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m512d wide = _mm512_cvtps_pd(_mm256_loadu_ps(x + i));
        lanes = _mm512_add_pd(lanes, _mm512_mul_pd(wide, wide));
    }
    double lane[8];
    _mm512_storeu_pd(lane, lanes);
    return fl_sum_lanes(lane, x + i, n - i);
}

static double sum_squares(const float *x, size_t n)
{
    return fl_sum_runs(x, n, sum_run);
}

static __mmask16 in_band(__m512 x, __m512 low, __m512 high)
{
    __m512 magnitude = _mm512_castsi512_ps(magnitudes(x));
    return _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(magnitude, low, _CMP_GE_OQ), magnitude, high,
                                   _CMP_LT_OQ);
}

static size_t count_band(const float *x, size_t n, float low, float high)
{
    __m512 lows = _mm512_set1_ps(low), highs = _mm512_set1_ps(high);
    size_t count = 0, i = 0;
    for (; i + 16 <= n; i += 16)
        count += (size_t)__builtin_popcount(in_band(_mm512_loadu_ps(x + i), lows, highs));
    return count + fl_kernels_portable.count_band(x + i, n - i, low, high);
}

static __m512i sixteen_from(uint32_t first)
{
    return _mm512_add_epi32(_mm512_set1_epi32((int)first),
                            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

static void select_band(const float *x, size_t n, float low, float high, uint32_t *ret_indices,
                        uint32_t *ret_bits)
{
    __m512 lows = _mm512_set1_ps(low), highs = _mm512_set1_ps(high);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 there = n - i < 16 ? (__mmask16)((1u << (n - i)) - 1) : 0xffff;
        __m512 v = _mm512_maskz_loadu_ps(there, x + i);
        __mmask16 in = in_band(v, lows, highs) & there;
        if (!in)
            continue;
        unsigned size = (unsigned)__builtin_popcount(in);
        __mmask16 first = (__mmask16)((1u << size) - 1); /* no room is promised behind the last */
        _mm512_mask_storeu_epi32(ret_indices, first,
                                 _mm512_maskz_compress_epi32(in, sixteen_from((uint32_t)i)));
        _mm512_mask_storeu_epi32(ret_bits, first, _mm512_maskz_compress_epi32(in, _mm512_castps_si512(v)));
        ret_indices += size;
        ret_bits += size;
    }
}

static size_t publish(const double *x, float *x_hat, uint32_t *touched, size_t n, double lambda_down,
                      uint32_t version)
{
    __m512d lambda = _mm512_set1_pd(lambda_down);
    size_t count = 0, i = 0;
    for (; i + 8 <= n; i += 8) {
        __m512d true_x = _mm512_loadu_pd(x + i);
        __m256 old = _mm256_loadu_ps(x_hat + i), rounded = _mm512_cvtpd_ps(true_x);
        __m512d drift = _mm512_abs_pd(_mm512_sub_pd(true_x, _mm512_cvtps_pd(old)));
        __mmask8 moves =
            _mm512_cmp_pd_mask(drift, lambda, _CMP_GE_OQ) & _mm256_cmp_ps_mask(rounded, old, _CMP_NEQ_UQ);
        if (!moves)
            continue;
        _mm256_mask_storeu_ps(x_hat + i, moves, rounded);
        _mm256_mask_storeu_epi32(touched + i, moves, _mm256_set1_epi32((int)version));
        count += (size_t)__builtin_popcount(moves);
    }
    return count + fl_kernels_portable.publish(x + i, x_hat + i, touched + i, n - i, lambda_down, version);
}

static size_t add_mask(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       uint64_t *ret_mask, uint32_t *worst)
{
    __m512i most = _mm512_set1_epi32((int)*worst), lows = _mm512_set1_epi32((int)low),
            span = _mm512_set1_epi32((int)(high - low));
    size_t count = 0, i = 0;
    for (; i + 64 <= n; i += 64) {
        uint64_t word = 0;
        for (unsigned j = 0; j < 64; j += 16) {
            __m512 sum = _mm512_add_ps(_mm512_loadu_ps(a + i + j), _mm512_loadu_ps(b + i + j));
            _mm512_storeu_ps(ret_p + i + j, sum);
            __m512i magnitude = magnitudes(sum);
            most = _mm512_max_epu32(most, magnitude);
            word |= (uint64_t)_mm512_cmplt_epu32_mask(_mm512_sub_epi32(magnitude, lows), span) << j;
        }
        ret_mask[i / 64] = word;
        count += (size_t)__builtin_popcountll(word);
    }
    *worst = _mm512_reduce_max_epu32(most);
    return count +
           fl_kernels_portable.add_mask(a + i, b + i, ret_p + i, n - i, low, high, ret_mask + i / 64, worst);
}

/* Keeps those of the 16 that in names, and stores them with their indices. Returns how many. */
static size_t compress(__mmask16 in, uint32_t first, __m512i words, uint32_t *ret_indices,
                       uint32_t *ret_words)
{
    _mm512_storeu_si512(ret_indices, _mm512_maskz_compress_epi32(in, sixteen_from(first)));
    _mm512_storeu_si512(ret_words, _mm512_maskz_compress_epi32(in, words));
    return (size_t)__builtin_popcount(in);
}

static void take_values(float *p, size_t n, const uint64_t *mask, size_t count, uint32_t base,
                        uint32_t *ret_indices, uint32_t *ret_words)
{
    size_t whole = count * DENSE >= n ? n / 64 * 64 : 0, taken = 0;
    for (size_t i = 0; i < whole; i += 16) {
        __mmask16 in = (__mmask16)(mask[i / 64] >> (i % 64));
        __m512 v = _mm512_loadu_ps(p + i);
        _mm512_storeu_ps(p + i, _mm512_maskz_mov_ps(_knot_mask16(in), v));
        taken +=
            compress(in, base + (uint32_t)i, _mm512_castps_si512(v), ret_indices + taken, ret_words + taken);
    }
    fl_take_values(p + whole, n - whole, mask + whole / 64, count - taken, base + (uint32_t)whole,
                   ret_indices + taken, ret_words + taken);
}

static void take_levels(float *p, size_t n, const uint64_t *mask, size_t count, uint32_t base,
                        const struct fl_kernels_grid *grid, uint32_t *ret_indices, uint32_t *ret_words)
{
    __m512 inverse = _mm512_set1_ps(grid->inverse_step), step = _mm512_set1_ps(grid->step),
           most = _mm512_set1_ps(grid->level_most), half = _mm512_set1_ps(0.5f);
    size_t whole = count * DENSE >= n ? n / 64 * 64 : 0, taken = 0;
    for (size_t i = 0; i < whole; i += 16) {
        __mmask16 in = (__mmask16)(mask[i / 64] >> (i % 64));
        __m512 v = _mm512_loadu_ps(p + i);
        /* fl_take_level(), and only where it is wanted; elsewhere the level may be anything */
        __m512 x = _mm512_min_ps(_mm512_mul_ps(_mm512_abs_ps(v), inverse), most);
        __m512i level = _mm512_cvttps_epi32(_mm512_add_ps(x, half));
        __mmask16 negative = _mm512_movepi32_mask(_mm512_castps_si512(v));
        level = _mm512_mask_sub_epi32(level, negative, _mm512_setzero_si512(), level);
        __m512 q = _mm512_mul_ps(_mm512_cvtepi32_ps(level), step);
        _mm512_storeu_ps(p + i, _mm512_mask_sub_ps(v, in, v, q));
        taken += compress(in, base + (uint32_t)i, level, ret_indices + taken, ret_words + taken);
    }
    fl_take_levels(p + whole, n - whole, mask + whole / 64, count - taken, base + (uint32_t)whole, grid,
                   ret_indices + taken, ret_words + taken);
}

const struct fl_kernels fl_kernels_avx512 = {
    .name = "avx512",
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
