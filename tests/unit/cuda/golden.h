/*
 * Golden hashes of the numeric kernels: XXH3-64 of what each makes of the same vectors, one list for every
 * table of the host, for the device's kernels in the emulator, and for a card. A difference between two of
 * them shows as a difference from the list, on whichever machine it is. Bytes are hashed as they lie in
 * memory, little-endian.
 */
#ifndef FL_TESTS_UNIT_CUDA_GOLDEN_H
#define FL_TESTS_UNIT_CUDA_GOLDEN_H

#include "test.h"

#include <math.h>
#include <xxhash.h>

#include "base/random.h"
#include "codec/codec.h"
#include "codec/grid.h"
#include "kernels/exact.h"

/* More than three runs of sum_squares, and no multiple of anything. */
#define GOLDEN_ELEMS ((size_t)3 * 4096 + 1234)

#define GOLDEN_LAMBDA_BITS 0x3d000000u /* 2^-5, both thresholds */
#define GOLDEN_STEP_LOG2   (-6)
#define GOLDEN_TOP         ((size_t)777)
#define GOLDEN_RATIO       0.03
#define GOLDEN_SEED        UINT64_C(0x0123456789abcdef)
#define GOLDEN_ROWS        5
#define GOLDEN_COLUMNS     1040
#define GOLDEN_BLOCK       16
#define GOLDEN_UNIT_LOG2   (-20)

static const struct fl_kernels_grid golden_grid = {0x1p-6f, 0x1p6f, (float)FL_CODEC_LEVEL_MAX};
static const struct fl_kernels_descent golden_descent = {0.05f, 0.9f, 1e-4f};

/* delta, residual and gradient; delta + residual as sum. Shape (GOLDEN_ELEMS) each. */
struct golden_input {
    float delta[GOLDEN_ELEMS], residual[GOLDEN_ELEMS], gradient[GOLDEN_ELEMS], sum[GOLDEN_ELEMS];
};

/* What was taken out of `left`: the first count of indices and words. */
struct golden_taken {
    float left[GOLDEN_ELEMS];
    uint32_t indices[GOLDEN_ELEMS + FL_KERNELS_SLACK], words[GOLDEN_ELEMS + FL_KERNELS_SLACK];
    size_t count;
};

/* Everything that is hashed. */
struct golden_output {
    struct golden_taken threshold;                       /* delta + residual at lambda */
    struct golden_taken int_threshold;                   /* the same on the grid */
    struct golden_taken rounded;                         /* sum, rounded at random to the grid */
    struct golden_taken top;                             /* the GOLDEN_TOP largest of sum */
    struct golden_taken sampled;                         /* of sum, by DGC's threshold for the ratio */
    int64_t cells[GOLDEN_ROWS * GOLDEN_COLUMNS];         /* sketch of sum */
    float velocity[GOLDEN_ELEMS], weights[GOLDEN_ELEMS]; /* residual and delta after a step of training */
    float difference[GOLDEN_ELEMS];                      /* delta - residual */
    float folded[GOLDEN_ELEMS];                          /* gradient plus the levels of int_threshold */
    float assigned[GOLDEN_ELEMS]; /* gradient with the values of threshold in their places */
    double squares;               /* of sum */
    uint32_t worst;               /* bits of the largest magnitude of sum */
};

static inline uint64_t golden_of_taken(const struct golden_taken *taken)
{
    assert_true(taken->count > 0 && taken->count < GOLDEN_ELEMS); /* or it would show nothing */
    XXH3_state_t *state = XXH3_createState();
    uint64_t count = taken->count, hash;
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, &count, sizeof count);
    XXH3_64bits_update(state, taken->indices, taken->count * sizeof *taken->indices);
    XXH3_64bits_update(state, taken->words, taken->count * sizeof *taken->words);
    XXH3_64bits_update(state, taken->left, sizeof taken->left);
    hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return hash;
}

/* Gradients as they are: most are small, a few large, some 0. No sum or difference here rounds differently by
 * the order in which a compiler works out arguments. */
static inline void golden_fill(struct golden_input *input)
{
    float *vectors[] = {input->delta, input->residual, input->gradient};
    for (uint64_t v = 0; v < 3; v++) {
        struct fl_random random;
        fl_random_init(&random, GOLDEN_SEED, v);
        for (size_t i = 0; i < GOLDEN_ELEMS; i++) {
            int shift = (int)fl_random_below(&random, 16);
            float size = fl_random_float(&random);
            uint32_t word = fl_random_u32(&random);
            size = word % 7 ? ldexpf(size, -shift) : 0;
            vectors[v][i] = word & 0x100 ? -size : size;
        }
    }
    for (size_t i = 0; i < GOLDEN_ELEMS; i++)
        input->sum[i] = input->delta[i] + input->residual[i];
}

/* What the list says. */
static inline void golden_check(const struct golden_output *output)
{
    const struct {
        const char *name;
        uint64_t got, expected;
    } hashes[] = {
        {"threshold", golden_of_taken(&output->threshold), UINT64_C(0x15bea4836e5b66d8)},
        {"int_threshold", golden_of_taken(&output->int_threshold), UINT64_C(0x1fd5d101cbacd52a)},
        {"rounded", golden_of_taken(&output->rounded), UINT64_C(0x2c7e760eab5765a6)},
        {"top", golden_of_taken(&output->top), UINT64_C(0x1f379f6b2fcaa126)},
        {"sampled", golden_of_taken(&output->sampled), UINT64_C(0x556965619a8df37d)},
        {"cells", XXH3_64bits(output->cells, sizeof output->cells), UINT64_C(0xf1cada2a5c71264f)},
        {"velocity", XXH3_64bits(output->velocity, sizeof output->velocity), UINT64_C(0x740e45c38446a80d)},
        {"weights", XXH3_64bits(output->weights, sizeof output->weights), UINT64_C(0x513a22ccb66c613a)},
        {"difference", XXH3_64bits(output->difference, sizeof output->difference),
         UINT64_C(0x4c1cf14587b34341)},
        {"folded", XXH3_64bits(output->folded, sizeof output->folded), UINT64_C(0x388d8e4339a8370c)},
        {"assigned", XXH3_64bits(output->assigned, sizeof output->assigned), UINT64_C(0x94f87d766e12395c)},
        {"squares", XXH3_64bits(&output->squares, sizeof output->squares), UINT64_C(0x94f5fbcceb56ceb3)},
        {"worst", XXH3_64bits(&output->worst, sizeof output->worst), UINT64_C(0xba1d91cdb8ce8c9a)},
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        if (hashes[i].got != hashes[i].expected) {
            print_error("%s: 0x%016llx, and the list has 0x%016llx\n", hashes[i].name,
                        (unsigned long long)hashes[i].got, (unsigned long long)hashes[i].expected);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

#endif
