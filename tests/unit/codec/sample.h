/* What the codec tests share: one set of parameters for each codec, and vectors of a wanted density. */
#ifndef FL_TESTS_UNIT_CODEC_SAMPLE_H
#define FL_TESTS_UNIT_CODEC_SAMPLE_H

#include <math.h>

#include "base/random.h"
#include "codec/feedback.h"

/* Four tensors of a vector of SAMPLE_DIM elements. */
#define SAMPLE_DIM 4810
static const size_t sample_tensors[] = {4096, 64, 640, 10};

/* The last one is the only one that fits no other size. */
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
    {.id = FL_CODEC_TOPK_TENSOR, .ratio = 0.01, .tensor_elems = sample_tensors, .tensor_count = 4},
};
#define SAMPLE_PARAMS (sizeof sample_params / sizeof sample_params[0])

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
