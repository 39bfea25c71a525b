/* NEON: 4 floats at once. The second phase of fused error feedback is the shared one (take.h); remainders are
 * left to the portable table. */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels/rounding.h"
#include "kernels/runs.h"
#include "kernels/take.h"

static void add(const float *a, const float *b, float *ret_sum, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(ret_sum + i, vaddq_f32(vld1q_f32(a + i), vld1q_f32(b + i)));
    fl_kernels_portable.add(a + i, b + i, ret_sum + i, n - i);
}

static void subtract(const float *a, const float *b, float *ret_difference, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(ret_difference + i, vsubq_f32(vld1q_f32(a + i), vld1q_f32(b + i)));
    fl_kernels_portable.subtract(a + i, b + i, ret_difference + i, n - i);
}

static uint32_t largest_magnitude(const float *x, size_t n)
{
    uint32x4_t most = vdupq_n_u32(0), magnitude = vdupq_n_u32(FL_BITS_MAGNITUDE);
    for (size_t i = 0; i + 4 <= n; i += 4)
        most = vmaxq_u32(most, vandq_u32(vreinterpretq_u32_f32(vld1q_f32(x + i)), magnitude));
    return vmaxvq_u32(most);
}

static float max_abs(const float *x, size_t n)
{
    size_t whole = n / 4 * 4;
    uint32_t bits = largest_magnitude(x, whole);
    float vector, rest = fl_kernels_portable.max_abs(x + whole, n - whole);
    memcpy(&vector, &bits, sizeof vector);
    return vector > rest ? vector : rest;
}

static int all_finite(const float *x, size_t n)
{
    size_t whole = n / 4 * 4;
    return largest_magnitude(x, whole) < FL_BITS_INFINITY &&
           fl_kernels_portable.all_finite(x + whole, n - whole);
}

static double sum_run(const float *x, size_t n)
{
    float64x2_t lanes[4] = {vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0)};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t j = 0; j < 4; j++) {
            float64x2_t wide = vcvt_f64_f32(vld1_f32(x + i + 2 * j));
            lanes[j] = vaddq_f64(lanes[j], vmulq_f64(wide, wide));
        }
    }
    double lane[8];
    for (size_t j = 0; j < 4; j++)
        vst1q_f64(lane + 2 * j, lanes[j]);
    return fl_sum_lanes(lane, x + i, n - i);
}

static double sum_squares(const float *x, size_t n)
{
    return fl_sum_runs(x, n, sum_run);
}

/* All ones in each lane with low <= |x[lane]| < high. */
static uint32x4_t in_band(const float *x, float32x4_t low, float32x4_t high)
{
    float32x4_t magnitude = vabsq_f32(vld1q_f32(x));
    return vandq_u32(vcgeq_f32(magnitude, low), vcltq_f32(magnitude, high));
}

static size_t count_band(const float *x, size_t n, float low, float high)
{
    float32x4_t lows = vdupq_n_f32(low), highs = vdupq_n_f32(high);
    size_t count = 0, i = 0;
    for (; i + 4 <= n; i += 4)
        count += vaddvq_u32(vshrq_n_u32(in_band(x + i, lows, highs), 31));
    return count + fl_kernels_portable.count_band(x + i, n - i, low, high);
}

static void select_band(const float *x, size_t n, float low, float high, uint32_t *ret_indices,
                        uint32_t *ret_bits)
{
    float32x4_t lows = vdupq_n_f32(low), highs = vdupq_n_f32(high);
    for (size_t i = 0; i < n; i += 4) {
        if (n - i >= 4 && !vmaxvq_u32(in_band(x + i, lows, highs)))
            continue;
        for (size_t j = i; j < n && j < i + 4; j++) {
            if (fabsf(x[j]) >= low && fabsf(x[j]) < high) {
                *ret_indices++ = (uint32_t)j;
                *ret_bits++ = fl_bits_of(x[j]);
            }
        }
    }
}

static size_t publish(const double *x, float *x_hat, uint32_t *touched, size_t n, double lambda_down,
                      uint32_t version)
{
    float64x2_t lambda = vdupq_n_f64(lambda_down);
    size_t count = 0, i = 0;
    for (; i + 2 <= n; i += 2) {
        float64x2_t drift = vabdq_f64(vld1q_f64(x + i), vcvt_f64_f32(vld1_f32(x_hat + i)));
        uint64x2_t far = vcgeq_f64(drift, lambda);
        if (vgetq_lane_u64(far, 0) | vgetq_lane_u64(far, 1))
            count += fl_kernels_portable.publish(x + i, x_hat + i, touched + i, 2, lambda_down, version);
    }
    return count + fl_kernels_portable.publish(x + i, x_hat + i, touched + i, n - i, lambda_down, version);
}

/* Bits of 16 lanes of all ones or none, lane 0 lowest. */
static uint64_t bits_of_lanes(const uint32x4_t in[4])
{
    static const uint8_t bit[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint16x8_t low = vcombine_u16(vmovn_u32(in[0]), vmovn_u32(in[1]));
    uint16x8_t high = vcombine_u16(vmovn_u32(in[2]), vmovn_u32(in[3]));
    uint8x16_t all = vandq_u8(vcombine_u8(vmovn_u16(low), vmovn_u16(high)), vld1q_u8(bit));
    return (uint64_t)vaddv_u8(vget_low_u8(all)) | (uint64_t)vaddv_u8(vget_high_u8(all)) << 8;
}

/* Adds 64 and says which of the sums are in the band. */
static uint64_t add_group(const float *a, const float *b, float *ret_p, uint32x4_t low, uint32x4_t span,
                          uint32x4_t *most)
{
    uint64_t word = 0;
    for (unsigned j = 0; j < 64; j += 16) {
        uint32x4_t in[4];
        for (unsigned v = 0; v < 4; v++) {
            size_t at = j + 4 * v;
            float32x4_t sum = vaddq_f32(vld1q_f32(a + at), vld1q_f32(b + at));
            vst1q_f32(ret_p + at, sum);
            uint32x4_t magnitude = vandq_u32(vreinterpretq_u32_f32(sum), vdupq_n_u32(FL_BITS_MAGNITUDE));
            *most = vmaxq_u32(*most, magnitude);
            in[v] = vcltq_u32(vsubq_u32(magnitude, low), span);
        }
        word |= bits_of_lanes(in) << j;
    }
    return word;
}

static size_t add_list(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       uint32_t base, size_t expected, uint32_t *ret_indices, uint32_t *worst)
{
    uint32x4_t most = vdupq_n_u32(*worst), lows = vdupq_n_u32(low), span = vdupq_n_u32(high - low);
    size_t count = 0, i = 0;
    (void)expected;
    for (; i + 64 <= n; i += 64) {
        uint64_t word = add_group(a + i, b + i, ret_p + i, lows, span, &most);
        count += fl_take_bits(word, base + (uint32_t)i, 0, ret_indices + count);
    }
    *worst = vmaxvq_u32(most);
    return count + fl_kernels_portable.add_list(a + i, b + i, ret_p + i, n - i, low, high, base + (uint32_t)i,
                                                0, ret_indices + count, worst);
}

static size_t add_pack(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       const struct fl_kernels_grid *grid, uint64_t *ret_bitmap, uint32_t *ret_words,
                       uint32_t *worst)
{
    uint32x4_t most = vdupq_n_u32(*worst), lows = vdupq_n_u32(low), span = vdupq_n_u32(high - low);
    size_t count = 0, i = 0;
    for (; i + 64 <= n; i += 64) {
        uint64_t word = add_group(a + i, b + i, ret_p + i, lows, span, &most);
        ret_bitmap[i / 64] = word;
        for (; word; word &= word - 1)
            ret_words[count++] = fl_take_one(ret_p + i + (unsigned)__builtin_ctzll(word), grid);
    }
    *worst = vmaxvq_u32(most);
    return count + fl_kernels_portable.add_pack(a + i, b + i, ret_p + i, n - i, low, high, grid,
                                                ret_bitmap + i / 64, ret_words + count, worst);
}

static uint32x2_t xor_of(uint32x2_t a, uint32x2_t b, uint32_t c)
{
    return veor_u32(veor_u32(a, b), vdup_n_u32(c));
}

/* Two blocks at once. */
static void draw_groups(const struct fl_kernels_draw *draw, uint64_t block, size_t n, uint32_t *ret_words)
{
    const uint32x2_t m0 = vdup_n_u32(FL_PHILOX_M0), m1 = vdup_n_u32(FL_PHILOX_M1);
    const uint64x2_t order = {0, 1};
    for (size_t i = 0; i < n; i += 8, block += 2) {
        uint32_t k0 = (uint32_t)draw->seed, k1 = (uint32_t)(draw->seed >> 32);
        uint64x2_t blocks = vaddq_u64(vdupq_n_u64(block), order);
        uint32x2_t c0 = vmovn_u64(blocks), c1 = vshrn_n_u64(blocks, 32), c2 = vdup_n_u32(draw->round),
                   c3 = vdup_n_u32(draw->purpose);
        for (int round = 0; round < FL_PHILOX_ROUNDS; round++, k0 += FL_PHILOX_W0, k1 += FL_PHILOX_W1) {
            uint64x2_t p0 = vmull_u32(c0, m0), p1 = vmull_u32(c2, m1);
            c0 = xor_of(vshrn_n_u64(p1, 32), c1, k0);
            c1 = vmovn_u64(p1);
            c2 = xor_of(vshrn_n_u64(p0, 32), c3, k1);
            c3 = vmovn_u64(p0);
        }
        vst4_u32(ret_words + i, (uint32x2x4_t){{c0, c1, c2, c3}}); /* word by word, block after block */
    }
}

static void draw(const struct fl_kernels_draw *draw, uint64_t first, size_t n, uint32_t *ret_words)
{
    fl_draw_by_groups(draw_groups, 8, draw, first, n, ret_words);
}

const struct fl_kernels fl_kernels_neon = {
    .name = "neon",
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
    .round_table = fl_round_table,
};
#endif
