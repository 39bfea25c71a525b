/* The speed of error feedback, threshold and selection, against a plain a[i] += b[i] in the same run, and of
 * rounding at random. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "codec/levels.h"
#include "codec/quantise.h"
#include "codec/rounding.h"
#include "codec/taken.h"
#include "codec/topk.h"
#include "kernels_device.h"
#include "measure.h"

#define IN_CACHE  1000000
#define TOP_ELEMS 10000000
#define DENSITIES 4

static const double densities[DENSITIES] = {1e-4, 1e-3, 1e-2, 1e-1};

struct bench {
    struct measure m;
    size_t elems; /* of those of m that are used */
    struct fl_taken taken;
};

/* So many elements, or all where there are fewer. */
static size_t at_most(const struct bench *bench, size_t elems)
{
    return bench->m.options->elems < elems ? bench->m.options->elems : elems;
}

/* What is timed, on bench->m.delta and bench->m.residual. */
typedef void (*timed_fn)(struct bench *bench, const void *what);

static void fail(const char *why)
{
    fprintf(stderr, "fl-bench kernels: %s\n", why);
    exit(1);
}

static void refill(struct bench *bench, double density, uint64_t seed)
{
    memset(bench->m.residual, 0, bench->elems * sizeof(float));
    if (!bench->m.input)
        measure_fill(bench->m.delta, bench->elems, density, MEASURE_RANDOM, seed);
    else if (fseeko(bench->m.input, (off_t)(seed % bench->m.options->repetitions * bench->elems * 4),
                    SEEK_SET) ||
             fread(bench->m.delta, 4, bench->elems, bench->m.input) != bench->elems)
        fail("--input: the file does not have --elems times --repetitions float32");
}

static void run_add(struct bench *bench, const void *what)
{
    (void)what;
    bench->m.kernels->add(bench->m.delta, bench->m.residual, bench->m.delta, bench->elems);
}

static void run_fill(struct bench *bench, const void *what)
{
    if (fl_taken_fill(bench->m.kernels, (unsigned)bench->m.options->threads, what, bench->m.delta,
                      bench->m.residual, bench->elems, bench->m.delta, &bench->taken))
        fail("out of memory");
}

/* Vectors that stay in the cache take so little time that many can be measured. */
static uint64_t repetitions(const struct bench *bench)
{
    return bench->m.options->repetitions * (bench->elems <= IN_CACHE ? 10 : 1);
}

static double timed(struct bench *bench, timed_fn fn, const void *what, double density, uint64_t seed)
{
    refill(bench, density, seed);
    double start = measure_now();
    fn(bench, what);
    return measure_now() - start;
}

/* Repetitions on fresh data, by turns with the bound. */
static void repeat(struct bench *bench, timed_fn fn, const void *what, double density,
                   struct measure_pairs *ret)
{
    ret->count = 0;
    for (uint64_t i = 0; i < repetitions(bench); i++) {
        double bound = timed(bench, run_add, NULL, density, i);
        measure_pair(ret, bound, timed(bench, fn, what, density, i));
    }
}

static void add_row(struct bench *bench, const char *name, const struct fl_codec_params *params, timed_fn fn,
                    double density, double target)
{
    struct measure_pairs pairs;
    repeat(bench, fn, params, density, &pairs);
    struct measure_row row = {.name = name,
                              .unit = "ms",
                              .value = pairs.value * 1e3,
                              .bound = pairs.bound * 1e3,
                              .ratio = measure_ratio(&pairs),
                              .target = target};
    snprintf(row.params, sizeof row.params, "%s d=%.0e density=%.0e", fl_codec_find_id(params->id)->name,
             (double)bench->elems, density);
    measure_add(&bench->m.table, row);
}

static void measure_thresholds(struct bench *bench, size_t elems, const char *name, double target,
                               double up_to)
{
    const struct fl_codec_params codecs[] = {
        {.id = FL_CODEC_THRESHOLD, .lambda = 1},
        {.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = 1},
    };
    bench->elems = elems;
    for (size_t c = 0; c < 2; c++) {
        for (size_t d = 0; d < DENSITIES; d++) {
            add_row(bench, name, &codecs[c], run_fill, densities[d], densities[d] <= up_to ? target : NAN);
        }
    }
}

static void run_plain_top(struct bench *bench, const void *what)
{
    const struct fl_codec_params *params = what;
    size_t k = fl_codec_top_count(params->ratio, bench->elems);
    run_add(bench, NULL);
    bench->taken.count =
        fl_topk_select(bench->m.delta, bench->elems, k, 0, bench->taken.indices, bench->taken.words);
    for (size_t i = 0; i < bench->taken.count; i++)
        bench->m.delta[bench->taken.indices[i]] = 0;
}

/* What DGC sends: all that reaches a bound from a sample, a few more than k. */
static void run_sampled_top(struct bench *bench, const void *what)
{
    const struct fl_codec_params *params = what;
    size_t k = fl_codec_top_count(params->ratio, bench->elems), most;
    uint32_t bound = fl_topk_bound(bench->m.delta, bench->m.residual, bench->elems, k, &most);
    struct fl_codec_params hard = {.id = FL_CODEC_THRESHOLD};
    memcpy(&hard.lambda, &bound, sizeof bound);
    run_fill(bench, &hard);
}

/* The smallest magnitude that top-k takes of the first repetition's vector. */
static float kth_value(struct bench *bench, const struct fl_codec_params *top)
{
    float least_value = INFINITY;
    refill(bench, top->ratio, 0);
    run_fill(bench, top);
    for (size_t i = 0; i < bench->taken.count; i++) {
        float value;
        memcpy(&value, &bench->taken.words[i], sizeof value);
        least_value = fminf(least_value, fabsf(value));
    }
    return least_value;
}

static void measure_top(struct bench *bench, size_t elems, double ratio)
{
    struct fl_codec_params top = {.id = FL_CODEC_TOPK, .ratio = ratio};
    struct fl_codec_params hard = {.id = FL_CODEC_THRESHOLD};
    bench->elems = elems;
    hard.lambda = kth_value(bench, &top);
    add_row(bench, "hard threshold", &hard, run_fill, ratio, NAN);
    add_row(bench, "top-k, sampled threshold", &top, run_sampled_top, ratio, NAN);
    add_row(bench, "top-k, exact by a sampled bound", &top, run_fill, ratio, NAN);
    add_row(bench, "top-k, exact by radix, not fused", &top, run_plain_top, ratio, NAN);
}

/* --- rounding at random, with the drawing of its words --- */

enum use { USE_DRAW, USE_GRID, USE_POWERS, USE_7_LEVELS, USE_255_LEVELS, USES };

static const struct {
    const char *name, *params;
    size_t levels;
} uses[USES] = {{"random words", "", 0},
                {"rounding at random", "to a grid", 0},
                {"rounding at random", "to powers of two", 0},
                {"rounding at random", "to 7 levels", 7},
                {"rounding at random", "to 255 levels", 255}};

/* Seconds that a use of bench->m.delta takes; what comes out goes to bench->m.residual. */
static double use_once(struct bench *bench, enum use use)
{
    const struct fl_kernels *kernels = bench->m.kernels;
    const struct fl_kernels_draw draw = {.seed = 1};
    uint32_t *words = (uint32_t *)(void *)bench->m.residual;
    double values[FL_LEVELS_MAX];
    float table[FL_LEVELS_MAX];
    struct fl_quantise_levels levels = {table, uses[use].levels};
    if (levels.count) {
        fl_levels_uniform(levels.count, values);
        fl_levels_table(values, levels.count, table);
    }
    double start = measure_now();
    if (use == USE_DRAW)
        kernels->draw(&draw, 0, bench->elems, words);
    else if (use == USE_GRID)
        fl_rounding_levels(kernels, bench->m.delta, bench->elems, 1, 1, NULL, NULL);
    else if (use == USE_POWERS)
        fl_rounding_natural(kernels, bench->m.delta, bench->elems, 0, 1, words);
    else
        fl_quantise_stochastic(kernels, &levels, bench->m.delta, 8, bench->elems, 0, &draw, (uint8_t *)words);
    return measure_now() - start;
}

static void measure_rounding(struct bench *bench)
{
    bench->elems = at_most(bench, IN_CACHE);
    for (int use = 0; use < USES; use++) {
        double best = INFINITY;
        for (uint64_t i = 0; i < repetitions(bench); i++) {
            refill(bench, 1e-1, i);
            best = fmin(best, use_once(bench, (enum use)use));
        }
        struct measure_row row = {.name = uses[use].name,
                                  .unit = "ns an element",
                                  .value = best / (double)bench->elems * 1e9,
                                  .bound = NAN,
                                  .ratio = NAN,
                                  .target = NAN};
        snprintf(row.params, sizeof row.params, "%s", uses[use].params);
        measure_add(&bench->m.table, row);
    }
}

static void measure_all(struct bench *bench)
{
    if (bench->m.input) {
        measure_top(bench, bench->m.options->elems, 1e-2);
        return;
    }
    measure_thresholds(bench, bench->m.options->elems, "fused threshold, in memory", 0.95, 1);
    measure_thresholds(bench, at_most(bench, IN_CACHE), "fused threshold, in cache", 0.85, 1e-2);
    measure_top(bench, at_most(bench, TOP_ELEMS), 1e-3);
    measure_top(bench, at_most(bench, TOP_ELEMS), 1e-2);
    measure_rounding(bench);
}

static int run(const struct fl_command_call *call)
{
    const struct measure_options *options = call->values;
    struct bench bench = {0};
    if (options->device[0])
        return kernels_device_run(call, options);
    int code = measure_begin(call, &bench.m);
    if (code != FL_EXIT_OK)
        return code;
    measure_all(&bench);
    measure_end(call, &bench.m, "a[i] += b[i]");
    fl_taken_done(&bench.taken);
    return FL_EXIT_OK;
}

static const struct fl_setting rows[] = {
    MEASURE_ROWS,
    {.key = "device",
     .type = FL_SETTING_STRING,
     FL_SETTING_FIELD(struct measure_options, device),
     .help = "measure a device's kernels instead, cuda:N, after holding them to the portable ones; 32 bytes "
             "of its "
             "memory an element"},
};

const struct fl_command bench_kernels = {
    .words = "kernels",
    .summary = "fused error feedback and top-k against the speed of memory; rounding at random",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
    .values_size = sizeof(struct measure_options),
    .examples = "  fl-bench kernels\n"
                "  fl-bench kernels --kernels avx2 --elems 10000000 --json\n"
                "  fl-bench kernels --device cuda:0\n",
    .run = run,
};
