/* What the codec tests share: one set of parameters for each codec, and vectors of a wanted density. */
#ifndef FL_TESTS_UNIT_CODEC_SAMPLE_H
#define FL_TESTS_UNIT_CODEC_SAMPLE_H

#include <math.h>

#include "base/random.h"
#include "codec/feedback.h"

/* Four tensors of a vector of SAMPLE_DIM elements. */
#define SAMPLE_DIM 4810
static const struct fl_codec_tensor sample_tensors[] = {{64, 64}, {64, 1}, {10, 64}, {10, 1}};

/* A payload for each of them, where the second and the last are dense. */
#define SAMPLE_PARTS .tensors = sample_tensors, .tensor_count = 4, .dense_below = 65

/* The last ones go by tensors and fit no other size. */
static const struct fl_codec_params sample_params[] = {
    {.id = FL_CODEC_DENSE},
    {.id = FL_CODEC_THRESHOLD, .lambda = 0.75f},
    {.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = 1},
    {.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = 0},
    {.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = -1},
    {.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = -16},
    {.id = FL_CODEC_TOPK, .ratio = 0.01},
    {.id = FL_CODEC_TOPK, .ratio = 1},
    {.id = FL_CODEC_TOPK_BF16, .ratio = 0.01},
    {.id = FL_CODEC_TOPK_BF16, .ratio = 1},
    {.id = FL_CODEC_TOPK_FP16, .ratio = 0.01},
    {.id = FL_CODEC_RANDOM_K, .ratio = 0.1, .seed = 5},
    {.id = FL_CODEC_RANDOM_K, .ratio = 1},
    {.id = FL_CODEC_RANDOM_BLOCK, .ratio = 0.3, .seed = 7},
    {.id = FL_CODEC_SIGN, .bucket = 64},
    {.id = FL_CODEC_ONE_BIT},
    {.id = FL_CODEC_TREE_8, .bucket = 256},
    {.id = FL_CODEC_TREE_8_FIXED, .lambda = 0.1f},
    {.id = FL_CODEC_QSGD, .bits = 4, .bucket = 128, .seed = 1},
    {.id = FL_CODEC_QSGD_MAX, .bits = 2, .bucket = 500, .seed = 2},
    {.id = FL_CODEC_NUQSGD, .bits = 3, .bucket = 512, .seed = 3},
    {.id = FL_CODEC_TERNGRAD, .bucket = 1024, .seed = 4},
    {.id = FL_CODEC_ALQ, .bits = 3, .bucket = 512, .seed = 5},
    {.id = FL_CODEC_ALQ_N, .bits = 2, .bucket = 512, .seed = 6},
    {.id = FL_CODEC_AMQ, .bits = 3, .bucket = 512, .seed = 7},
    {.id = FL_CODEC_AMQ_N, .bits = 4, .bucket = 512, .seed = 8},
    {.id = FL_CODEC_QSPARSE, .ratio = 0.05, .bits = 4, .bucket = 64, .seed = 9},
    {.id = FL_CODEC_ROUND_RANDOM, .lambda = 2, .step_log2 = 2, .seed = 10},
    {.id = FL_CODEC_NATURAL, .seed = 11},
    {.id = FL_CODEC_BLOCK_INT, .bucket = 64},
    {.id = FL_CODEC_TOPK_SAMPLED, .ratio = 0.05, .seed = 12},
    {.id = FL_CODEC_SIDCO_EXPONENTIAL, .ratio = 0.05},
    {.id = FL_CODEC_SIDCO_PARETO, .ratio = 0.05},
    {.id = FL_CODEC_SIDCO_GAMMA, .ratio = 0.05},
    {.id = FL_CODEC_THRESHOLD_SAMPLED, .ratio = 0.05, .seed = 13},
    {.id = FL_CODEC_ADAQS, .bits = 4, .bucket = 128, .seed = 14},
    {.id = FL_CODEC_DQSGD, .bits = 4, .bucket = 128, .seed = 15},
    {.id = FL_CODEC_SKETCH, .ratio = 0.02, .bits = 3, .rank = 1, .seed = 16},
    {.id = FL_CODEC_SKETCH_BLOCK, .ratio = 0.1, .bits = 4, .rank = 2, .seed = 17},
    {.id = FL_CODEC_TOPK_TENSOR, .ratio = 0.01, .tensors = sample_tensors, .tensor_count = 4},
    {.id = FL_CODEC_GRBS, .ratio = 0.1, .seed = 3, .tensors = sample_tensors, .tensor_count = 4},
    {.id = FL_CODEC_POWER_SGD, .rank = 2, .seed = 4, .tensors = sample_tensors, .tensor_count = 4},
    {.id = FL_CODEC_LOW_RANK, .lambda = 0.3f, .seed = 5, .tensors = sample_tensors, .tensor_count = 4},
    {.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = -1, SAMPLE_PARTS},
    {.id = FL_CODEC_TOPK, .ratio = 0.01, SAMPLE_PARTS},
    {.id = FL_CODEC_TOPK_BF16, .ratio = 0.1, SAMPLE_PARTS},
    {.id = FL_CODEC_RANDOM_K, .ratio = 0.1, .seed = 6, SAMPLE_PARTS},
    {.id = FL_CODEC_QSGD, .bits = 4, .bucket = 128, .seed = 1, SAMPLE_PARTS},
    {.id = FL_CODEC_LOW_RANK, .lambda = 0.3f, .seed = 5, SAMPLE_PARTS},
    {.id = FL_CODEC_POWER_SGD, .rank = 1, .seed = 4, SAMPLE_PARTS},
    {.id = FL_CODEC_DQSGD, .bits = 4, .bucket = 64, .seed = 7, SAMPLE_PARTS},
    {.id = FL_CODEC_SKETCH, .ratio = 0.05, .bits = 3, .rank = 1, .seed = 16, SAMPLE_PARTS},
};
#define SAMPLE_PARAMS (sizeof sample_params / sizeof sample_params[0])
#define SAMPLE_ANY    (SAMPLE_PARAMS - 13) /* that fit vectors of any size */

/* About density * n elements with magnitudes from 1 up, exponentially distributed; the others below 0.75. */
static inline void sample_fill(float *x, size_t n, double density, uint64_t seed)
{
    struct fl_random random;
    fl_random_init(&random, seed, 0);
    for (size_t i = 0; i < n; i++) {
        float small = (fl_random_float(&random) - 0.5f) * 1.4f;
        double large = 1 - 0.7 * log(fl_random_double(&random));
        int keep = fl_random_double(&random) < density;
        x[i] = keep ? (float)(fl_random_u32(&random) & 1 ? large : -large) : small;
    }
}

/* Encodes or fails the test. */
static inline void sample_encode(const struct fl_codec_params *params, const float *p, size_t dim,
                                 struct fl_buf *payload)
{
    assert_ok(fl_codec_encode(fl_kernels_pick(), params, p, dim, payload));
}

#endif
