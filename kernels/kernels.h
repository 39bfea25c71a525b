/*
 * The numeric loops over whole models behind one table, chosen once at start, so that a faster version can
 * stand in by name. Not for anything that knows a wire format. Arithmetic is plain IEEE float32 or float64
 * without fused multiply-add, so every table must give the bits of "portable".
 *
 * Shapes: n elements unless said otherwise. No call allocates, fails or keeps a pointer; any thread may call.
 * Unless said otherwise inputs and outputs may be the same array but may not overlap in part.
 */
#ifndef FL_KERNELS_KERNELS_H
#define FL_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Words that must stay behind what is listed or packed: whole vectors are stored. */
#define FL_KERNELS_SLACK 16

/* Elements in a run of sum_squares, a multiple of 8. */
#define FL_KERNELS_RUN ((size_t)4096)

/* A power-of-two grid (codec/grid.h): level = sign(p) min(floor(|p| inverse_step + 1/2), level_most). */
struct fl_kernels_grid {
    float step, inverse_step; /* 2^k and 2^-k, both normal */
    float level_most;         /* an integer, at most 2^22 */
};

/*
 * Where a vector's random words come from: element i takes word i mod 4 of the Philox4x32-10 block with key
 * seed and counter (low and high half of i / 4, round, purpose), so that any element can be drawn alone.
 * Distinct clients, rounds and uses must differ in one of the three, or their errors do not average out.
 */
struct fl_kernels_draw {
    uint64_t seed;
    uint32_t round;
    uint32_t purpose; /* keeps two uses of one seed in one round apart, e.g. the tensor or the stage */
};

/* A step of stochastic gradient descent with momentum and weight decay: kernels/exact.h. */
struct fl_kernels_descent {
    float learning_rate, momentum, weight_decay;
};

struct fl_kernels {
    const char *name; /* "portable", "avx2", "avx512", "neon" */

    /* ret_sum[i] = a[i] + b[i] */
    void (*add)(const float *a, const float *b, float *ret_sum, size_t n);

    /* ret_difference[i] = a[i] - b[i] */
    void (*subtract)(const float *a, const float *b, float *ret_difference, size_t n);

    /* 1 when no element is NaN or infinite, else 0. */
    int (*all_finite)(const float *x, size_t n);

    /* Sum of x[i]^2 in float64, in a fixed order that leaves work for many threads: runs of
     * FL_KERNELS_RUN elements, the last may be shorter; in a run eight sums over i mod 8, added from the
     * first to the last; then the runs' sums, from the first to the last. */
    double (*sum_squares)(const float *x, size_t n);

    /* Largest |x[i]|; 0 when n is 0. x must be finite. */
    float (*max_abs)(const float *x, size_t n);

    /* How many i have low <= |x[i]| < high. x must be finite. */
    size_t (*count_band)(const float *x, size_t n, float low, float high);

    /* Writes, in increasing order, every i with low <= |x[i]| < high and its bits; both arrays hold at least
     * count_band(...) elements. n <= 2^32 - 1. */
    void (*select_band)(const float *x, size_t n, float low, float high, uint32_t *ret_indices,
                        uint32_t *ret_bits);

    /* Rule R17: where |x[i] - x_hat[i]| >= lambda_down and (float)x[i] differs from x_hat[i], sets
     * x_hat[i] = (float)x[i] and touched[i] = version. Returns how many. x must be finite as float32,
     * lambda_down >= 0 in parameter units. */
    size_t (*publish)(const double *x, float *x_hat, uint32_t *touched, size_t n, double lambda_down,
                      uint32_t version);

    /*
     * Fused error feedback where few are taken: ret_p[i] = a[i] + b[i], and base + i to ret_indices, in
     * increasing order, for every i with low <= bits of |ret_p[i]| < high as integers. *worst becomes the
     * largest magnitude's bits when they are above it: at 0x7f800000 or more something is not finite. Returns
     * how many were written; there is room for n and FL_KERNELS_SLACK more, whose content is unspecified.
     * expected: about how many there will be; only the speed depends on it. low < high <= 2^31.
     */
    size_t (*add_list)(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       uint32_t base, size_t expected, uint32_t *ret_indices, uint32_t *worst);

    /*
     * The same where many are taken, in one go: bit i % 64 of ret_bitmap[i / 64] is 1 for what is taken, 0
     * past n; ret_bitmap has (n + 63) / 64 words. Without a grid (NULL) the bits of the sum go to ret_words,
     * and ret_p[i] = +0; on a grid the level as int32, and ret_p[i] = sum - level * step, where low is at
     * least the bits of step / 2 and high at most those of 2^44 step. ret_words: room as in add_list.
     */
    size_t (*add_pack)(const float *a, const float *b, float *ret_p, size_t n, uint32_t low, uint32_t high,
                       const struct fl_kernels_grid *grid, uint64_t *ret_bitmap, uint32_t *ret_words,
                       uint32_t *worst);

    /* Writes base plus the position of every 1 bit of bitmap, shape (words), in increasing order; returns how
     * many. Room for FL_KERNELS_SLACK more, and expected, as in add_list. */
    size_t (*list_bits)(const uint64_t *bitmap, size_t words, uint32_t base, size_t expected,
                        uint32_t *ret_indices);

    /* The random words of elements first to first + n - 1. */
    void (*draw)(const struct fl_kernels_draw *draw, uint64_t first, size_t n, uint32_t *ret_words);

    /* Rounding at random to a grid: with x = |p[i]| / step, 0 where |p[i]| >= 2^44 step, else
     * sign(p[i]) min(floor(x) + (words[i] < floor(2^32 (x - floor(x)))), level_most) as
     * int32. p must be finite. */
    void (*round_levels)(const float *p, const uint32_t *words, size_t n, const struct fl_kernels_grid *grid,
                         uint32_t *ret_levels);

    /* Rounding at random to powers of two: the float32 bits of 2^e or 2^(e+1), |p[i]| = m 2^e, the upper
     * where words[i] < 2^32 (m - 1); 0 or 2^-126 below that; at most 2^127; never -0. p must be finite. */
    void (*round_powers)(const float *p, const uint32_t *words, size_t n, uint32_t *ret_bits);

    /* Rounding at random to a table of 2 to 256 growing levels: with r = v[i] / norm in float32 and, in
     * float64, its share (r - a) / (c - a) between neighbours a <= r < c, cut to 0..1, the index of c where
     * words[i] < floor(2^32 share), else that of a. v finite, norm > 0. */
    void (*round_table)(const float *table, size_t count, const float *v, float norm, const uint32_t *words,
                        size_t n, uint8_t *ret_indices);
};

/* The fastest table this machine can run; never NULL. With FL_KERNELS=NAME in the environment it is that one
 * instead, when this machine can run it: for running tests at each level. */
const struct fl_kernels *fl_kernels_pick(void);

/* The table called name, NULL when there is none on this machine. */
const struct fl_kernels *fl_kernels_find(const char *name);

#endif
