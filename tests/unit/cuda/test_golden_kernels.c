/* The host's kernels, at each level this machine has, make of fixed vectors what the golden list says. */
#include "golden.h"

#include "codec/rounding.h"
#include "codec/sampled_threshold.h"
#include "codec/sketch.h"
#include "codec/topk.h"

static struct golden_input input;

static void take(const struct fl_kernels *kernels, uint32_t high, const struct fl_kernels_grid *grid,
                 struct golden_taken *ret)
{
    static uint64_t bitmap[GOLDEN_ELEMS / 64 + 1];
    uint32_t worst = 0;
    ret->count = kernels->add_pack(input.delta, input.residual, ret->left, GOLDEN_ELEMS, GOLDEN_LAMBDA_BITS,
                                   high, grid, bitmap, ret->words, &worst);
    assert_int_equal(kernels->list_bits(bitmap, (GOLDEN_ELEMS + 63) / 64, 0, ret->count, ret->indices),
                     ret->count);
}

/* The words of ret are taken out of sum: as levels times step, or whole where step is 0. */
static void subtract(float step, struct golden_taken *ret)
{
    memcpy(ret->left, input.sum, sizeof input.sum);
    for (size_t i = 0; i < ret->count; i++) {
        float *left = &ret->left[ret->indices[i]];
        *left = step > 0 ? *left - (float)(int32_t)ret->words[i] * step : 0;
    }
}

static void sketch(int64_t *ret_cells)
{
    struct fl_sketch *made;
    assert_ok(fl_sketch_new(&(struct fl_sketch_shape){.dim = GOLDEN_ELEMS,
                                                      .columns = GOLDEN_COLUMNS,
                                                      .rows = GOLDEN_ROWS,
                                                      .block = GOLDEN_BLOCK,
                                                      .unit_log2 = GOLDEN_UNIT_LOG2,
                                                      .seed = GOLDEN_SEED},
                            &made));
    assert_ok(fl_sketch_insert(made, input.sum, GOLDEN_ELEMS));
    memcpy(ret_cells, made->cells, GOLDEN_ROWS * GOLDEN_COLUMNS * sizeof *ret_cells);
    fl_sketch_free(made);
}

static void make(const struct fl_kernels *kernels, struct golden_output *ret)
{
    const float ceiling = fl_grid_ceiling(GOLDEN_STEP_LOG2);
    float threshold;
    take(kernels, FL_BITS_INFINITY, NULL, &ret->threshold);
    take(kernels, fl_bits_of(ceiling), &golden_grid, &ret->int_threshold);
    ret->rounded.count = fl_rounding_levels(kernels, input.sum, GOLDEN_ELEMS, GOLDEN_STEP_LOG2, GOLDEN_SEED,
                                            ret->rounded.indices, ret->rounded.words);
    subtract(golden_grid.step, &ret->rounded);
    ret->top.count = fl_topk_select(input.sum, GOLDEN_ELEMS, GOLDEN_TOP, 0, ret->top.indices, ret->top.words);
    subtract(0, &ret->top);
    assert_ok(fl_threshold_dgc(kernels, input.sum, GOLDEN_ELEMS, GOLDEN_RATIO, GOLDEN_SEED, &threshold));
    ret->sampled.count = fl_threshold_select(kernels, input.sum, GOLDEN_ELEMS, threshold,
                                             fl_codec_top_count(GOLDEN_RATIO, GOLDEN_ELEMS),
                                             ret->sampled.indices, ret->sampled.words);
    subtract(0, &ret->sampled);
    sketch(ret->cells);
    memcpy(ret->velocity, input.residual, sizeof input.residual);
    memcpy(ret->weights, input.delta, sizeof input.delta);
    for (size_t i = 0; i < GOLDEN_ELEMS; i++)
        fl_descend(&golden_descent, input.gradient[i], &ret->velocity[i], &ret->weights[i]);
    kernels->subtract(input.delta, input.residual, ret->difference, GOLDEN_ELEMS);
    memcpy(ret->folded, input.gradient, sizeof input.gradient);
    for (size_t i = 0; i < ret->int_threshold.count; i++)
        ret->folded[ret->int_threshold.indices[i]] +=
            (float)(int32_t)ret->int_threshold.words[i] * golden_grid.step;
    memcpy(ret->assigned, input.gradient, sizeof input.gradient);
    for (size_t i = 0; i < ret->threshold.count; i++)
        ret->assigned[ret->threshold.indices[i]] = fl_from_bits(ret->threshold.words[i]);
    ret->squares = kernels->sum_squares(input.sum, GOLDEN_ELEMS);
    ret->worst = fl_bits_of(kernels->max_abs(input.sum, GOLDEN_ELEMS));
}

static void test_every_table_gives_the_golden_hashes(void **state)
{
    static const char *const names[] = {"portable", "avx2", "avx512", "neon"};
    static struct golden_output output;
    (void)state;
    golden_fill(&input);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct fl_kernels *kernels = fl_kernels_find(names[i]);
        if (!kernels)
            continue;
        print_message("    %s\n", names[i]);
        memset(&output, 0, sizeof output);
        make(kernels, &output);
        golden_check(&output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_table_gives_the_golden_hashes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
