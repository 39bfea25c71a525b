/* AVX-512: 16 floats at once; survivors are compressed in a register, never straight to memory, which is slow
 * on some processors. Remainders are left to the portable table. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/rounding.h"
#include "kernels/runs.h"
#include "kernels/take.h"

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

/* Which of 16 sums have low <= magnitude < high, span = high - low; most as the table's worst. */
static __mmask16 taken_of(__m512 sum, __m512i low, __m512i span, __m512i *most)
{
    __m512i magnitude = magnitudes(sum);
    *most = _mm512_max_epu32(*most, magnitude);
    return _mm512_cmplt_epu32_mask(_mm512_sub_epi32(magnitude, low), span);
}

/* Whole groups of 64 of add_list. */
static inline __attribute__((always_inline)) size_t list_groups(const float *a, const float *b, float *ret_p,
                                                                size_t n, uint32_t low, uint32_t high,
                                                                uint32_t base, unsigned at_once,
                                                                uint32_t *ret_indices, uint32_t *worst)
{
    __m512i most = _mm512_set1_epi32((int)*worst), lows = _mm512_set1_epi32((int)low),
            span = _mm512_set1_epi32((int)(high - low));
    uint32_t *to = ret_indices;
    for (size_t i = 0; i < n; i += 64, base += 64) {
        uint64_t word = 0;
        for (unsigned j = 0; j < 64; j += 16) {
            __m512 sum = _mm512_add_ps(_mm512_loadu_ps(a + i + j), _mm512_loadu_ps(b + i + j));
            _mm512_storeu_ps(ret_p + i + j, sum);
            word |= (uint64_t)taken_of(sum, lows, span, &most) << j;
        }
        to += fl_take_bits(word, base, at_once, to);
    }
    *worst = _mm512_reduce_max_epu32(most);
    return (size_t)(to - ret_indices);
}

static size_t add_list(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       uint32_t base, size_t expected, uint32_t *ret_indices, uint32_t *worst)
{
    return fl_take_add_list(list_groups, a, b, ret_p, n, low, high, base, expected, ret_indices, worst);
}

/* A grid in vectors. */
struct wide_grid {
    __m512 step, inverse_step, level_most;
};

/*
 * fl_take_level() of the 16 in p that in names; what else there is may be anything. Two short cuts that give
 * the same bits: the sign goes through, as each step is the same for -p but for the sign; and level * step is
 * exact, so that p minus it may be fused.
 */
static __m512 take_levels(__m512 p, __mmask16 in, const struct wide_grid *grid, __m512i *ret_level)
{
    const __m512i sign = _mm512_set1_epi32(INT32_MIN), half = _mm512_castps_si512(_mm512_set1_ps(0.5f));
    /* the smaller magnitude with the sign of the first */
    __m512 x = _mm512_range_ps(_mm512_mul_ps(p, grid->inverse_step), grid->level_most, 2);
    __m512i signed_half =
        _mm512_ternarylogic_epi32(half, _mm512_castps_si512(p), sign, 0xf8); /* a | (b & c) */
    *ret_level = _mm512_cvttps_epi32(_mm512_add_ps(x, _mm512_castsi512_ps(signed_half)));
    return _mm512_mask3_fnmadd_ps(_mm512_cvtepi32_ps(*ret_level), grid->step, p, in);
}

/* Whole groups of 64 of add_pack. */
static inline __attribute__((always_inline)) size_t
pack_groups(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
            const struct wide_grid *grid, uint64_t *ret_bitmap, uint32_t *ret_words, uint32_t *worst)
{
    __m512i most = _mm512_set1_epi32((int)*worst), lows = _mm512_set1_epi32((int)low),
            span = _mm512_set1_epi32((int)(high - low));
    uint32_t *to = ret_words;
    for (size_t i = 0; i < n; i += 64) {
        uint64_t word = 0;
        for (unsigned j = 0; j < 64; j += 16) {
            __m512 sum = _mm512_add_ps(_mm512_loadu_ps(a + i + j), _mm512_loadu_ps(b + i + j));
            __mmask16 in = taken_of(sum, lows, span, &most);
            __m512i words = _mm512_castps_si512(sum);
            __m512 rest =
                grid ? take_levels(sum, in, grid, &words) : _mm512_maskz_mov_ps(_knot_mask16(in), sum);
            _mm512_storeu_ps(ret_p + i + j, rest);
            _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(in, words));
            to += __builtin_popcount(in);
            word |= (uint64_t)in << j;
        }
        ret_bitmap[i / 64] = word;
    }
    *worst = _mm512_reduce_max_epu32(most);
    return (size_t)(to - ret_words);
}

static size_t add_pack(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       const struct fl_kernels_grid *grid, uint64_t *ret_bitmap, uint32_t *ret_words,
                       uint32_t *worst)
{
    size_t i = n / 64 * 64, count;
    if (grid) {
        const struct wide_grid wide = {_mm512_set1_ps(grid->step), _mm512_set1_ps(grid->inverse_step),
                                       _mm512_set1_ps(grid->level_most)};
        count = pack_groups(a, b, ret_p, i, low, high, &wide, ret_bitmap, ret_words, worst);
    } else {
        count = pack_groups(a, b, ret_p, i, low, high, NULL, ret_bitmap, ret_words, worst);
    }
    return count + fl_kernels_portable.add_pack(a + i, b + i, ret_p + i, n - i, low, high, grid,
                                                ret_bitmap + i / 64, ret_words + count, worst);
}

/* Eight blocks at once, a word of each in the lower half of 8 lanes; what is in the upper halves, neither a
 * product nor the outcome looks at. */
static void draw_groups(const struct fl_kernels_draw *draw, uint64_t block, size_t n, uint32_t *ret_words)
{
    const __m512i m0 = _mm512_set1_epi64(FL_PHILOX_M0), m1 = _mm512_set1_epi64(FL_PHILOX_M1),
                  order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7); /* so that unpacking sorts them */
    for (size_t i = 0; i < n; i += 32, block += 8) {
        uint32_t k0 = (uint32_t)draw->seed, k1 = (uint32_t)(draw->seed >> 32);
        __m512i c0 = _mm512_add_epi64(_mm512_set1_epi64((long long)block), order),
                c1 = _mm512_srli_epi64(c0, 32), c2 = _mm512_set1_epi64(draw->round),
                c3 = _mm512_set1_epi64(draw->purpose);
        for (int round = 0; round < FL_PHILOX_ROUNDS; round++, k0 += FL_PHILOX_W0, k1 += FL_PHILOX_W1) {
            __m512i p0 = _mm512_mul_epu32(c0, m0), p1 = _mm512_mul_epu32(c2, m1);
            c0 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c1, _mm512_set1_epi64(k0), 0x96);
            c1 = p1;
            c2 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c3, _mm512_set1_epi64(k1), 0x96);
            c3 = p0;
        }
        __m512i first = _mm512_mask_mov_epi32(c0, 0xaaaa, _mm512_slli_epi64(c1, 32)),
                second = _mm512_mask_mov_epi32(c2, 0xaaaa, _mm512_slli_epi64(c3, 32));
        _mm512_storeu_si512(ret_words + i, _mm512_unpacklo_epi64(first, second));
        _mm512_storeu_si512(ret_words + i + 16, _mm512_unpackhi_epi64(first, second));
    }
}

static void draw(const struct fl_kernels_draw *draw, uint64_t first, size_t n, uint32_t *ret_words)
{
    fl_draw_by_groups(draw_groups, 32, draw, first, n, ret_words);
}

/* Which of 8 go up from a to c: fl_round_table() for them. */
static __mmask8 go_up(__m256 r, __m256 a, __m256 c, __m256i words)
{
    __m512d low = _mm512_cvtps_pd(a), one = _mm512_set1_pd(1);
    __m512d share =
        _mm512_div_pd(_mm512_sub_pd(_mm512_cvtps_pd(r), low), _mm512_sub_pd(_mm512_cvtps_pd(c), low));
    share = _mm512_min_pd(_mm512_max_pd(share, _mm512_setzero_pd()), one);
    return _mm512_cmp_pd_mask(_mm512_add_pd(_mm512_cvtepu32_pd(words), one),
                              _mm512_mul_pd(share, _mm512_set1_pd(0x1p32)), _CMP_LE_OQ);
}

/* A table that fits a register; gathering from memory is slower than fl_round_table(). */
static void round_table(const float *table, size_t count, const float *v, float norm, const uint32_t *words,
                        size_t n, uint8_t *ret_indices)
{
    size_t i = 0, whole = count <= 16 ? n / 16 * 16 : 0;
    __mmask16 there = count < 16 ? (__mmask16)((1u << count) - 1) : 0xffff;
    __m512 levels = _mm512_maskz_loadu_ps(there, table), norms = _mm512_set1_ps(norm);
    for (; i < whole; i += 16) {
        __m512 r = _mm512_div_ps(_mm512_loadu_ps(v + i), norms);
        __m512i low = _mm512_setzero_si512(), word = _mm512_loadu_si512(words + i);
        for (int size = (int)count - 1; size > 1; size -= size / 2) {
            __m512i half = _mm512_set1_epi32(size / 2), middle = _mm512_add_epi32(low, half);
            low = _mm512_mask_mov_epi32(
                low, _mm512_cmp_ps_mask(_mm512_permutexvar_ps(middle, levels), r, _CMP_LE_OQ), middle);
        }
        __m512 a = _mm512_permutexvar_ps(low, levels),
               c = _mm512_permutexvar_ps(_mm512_add_epi32(low, _mm512_set1_epi32(1)), levels);
        __mmask16 up = (__mmask16)(go_up(_mm512_castps512_ps256(r), _mm512_castps512_ps256(a),
                                         _mm512_castps512_ps256(c), _mm512_castsi512_si256(word)) |
                                   go_up(_mm512_extractf32x8_ps(r, 1), _mm512_extractf32x8_ps(a, 1),
                                         _mm512_extractf32x8_ps(c, 1), _mm512_extracti32x8_epi32(word, 1))
                                       << 8);
        low = _mm512_mask_add_epi32(low, up, low, _mm512_set1_epi32(1));
        _mm_storeu_si128((__m128i *)(ret_indices + i), _mm512_cvtepi32_epi8(low));
    }
    fl_round_table(table, count, v + i, norm, words + i, n - i, ret_indices + i);
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
    .add_list = add_list,
    .add_pack = add_pack,
    .list_bits = fl_take_list,
    .draw = draw,
    .round_levels = fl_round_levels,
    .round_powers = fl_round_powers,
    .round_table = round_table,
};
#endif
