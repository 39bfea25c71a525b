/* Whole encodes against a[i] += b[i], bits an index against the information bound, and the wire coder's
 * speed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "codec/feedback.h"
#include "codec/reader.h"
#include "codec/taken.h"
#include "codec/writer.h"
#include "measure.h"

#define IN_CACHE   1000000
#define WIRE_ELEMS 10000000
#define DENSITIES  4

static const double densities[DENSITIES] = {1e-4, 1e-3, 1e-2, 1e-1};

struct bench {
    struct measure m;
    size_t elems; /* of those of m that are used */
    struct fl_buf payload;
};

static const struct fl_codec_params codecs[] = {
    {.id = FL_CODEC_THRESHOLD, .lambda = 1},
    {.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = 1},
    {.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = -1},
};
#define CODECS (sizeof codecs / sizeof codecs[0])

static void must(enum fl_status st)
{
    if (st) {
        fprintf(stderr, "fl-bench codec: %s\n", fl_status_text(st));
        exit(1);
    }
}

static const char *name_of(const struct fl_codec_params *params)
{
    return params->id != FL_CODEC_INT_THRESHOLD ? fl_codec_find_id(params->id)->name
           : params->step_log2 == 1             ? "int-threshold step=2lambda"
                                                : "int-threshold step=lambda/2";
}

/* --- whole encodes --- */

static double add_once(struct bench *bench, uint64_t seed)
{
    measure_fill(bench->m.delta, bench->elems, 0.01, MEASURE_RANDOM, seed);
    double start = measure_now();
    bench->m.kernels->add(bench->m.delta, bench->m.residual, bench->m.delta, bench->elems);
    return measure_now() - start;
}

static double encode_once(struct bench *bench, const struct fl_codec_params *params, double density,
                          uint64_t seed)
{
    struct fl_payload checked;
    fl_buf_clear(&bench->payload);
    measure_fill(bench->m.delta, bench->elems, density, MEASURE_RANDOM, seed);
    double start = measure_now();
    must(fl_error_feedback_step(bench->m.kernels, (unsigned)bench->m.options->threads, params, bench->m.delta,
                                bench->m.residual, bench->elems, &bench->payload, bench->m.delta, &checked));
    return measure_now() - start;
}

static void measure_encodes(struct bench *bench, size_t elems, const char *name)
{
    uint64_t repetitions = bench->m.options->repetitions * (elems <= IN_CACHE ? 10 : 1);
    bench->elems = elems;
    memset(bench->m.residual, 0, elems * sizeof(float));
    for (size_t c = 0; c < 2; c++) {
        for (size_t d = 0; d < DENSITIES; d++) {
            struct measure_pairs pairs = {0};
            for (uint64_t i = 0; i < repetitions; i++) {
                double bound = add_once(bench, i);
                measure_pair(&pairs, bound, encode_once(bench, &codecs[c], densities[d], i));
            }
            struct measure_row row = {.name = name,
                                      .unit = "ms",
                                      .value = pairs.value * 1e3,
                                      .bound = pairs.bound * 1e3,
                                      .ratio = measure_ratio(&pairs),
                                      .target = densities[d] <= 1e-2 ? 0.65 : NAN};
            snprintf(row.params, sizeof row.params, "%s d=%.0e density=%.0e",
                     c ? "int-threshold" : "threshold", (double)elems, densities[d]);
            measure_add(&bench->m.table, row);
        }
    }
}

/* --- the wire coder --- */

static void take(struct bench *bench, const struct fl_codec_params *params, double density,
                 enum measure_support support, uint64_t seed, struct fl_taken *taken)
{
    measure_fill(bench->m.delta, bench->elems, density, support, seed);
    must(fl_taken_fill(bench->m.kernels, (unsigned)bench->m.options->threads, params, bench->m.delta,
                       bench->m.residual, bench->elems, bench->m.delta, taken));
}

static struct fl_payload_head head_of(const struct bench *bench, const struct fl_codec_params *params,
                                      const struct fl_taken *taken)
{
    return (struct fl_payload_head){.kind = (enum fl_payload_kind)fl_codec_find_id(params->id)->kind,
                                    .dim = bench->elems,
                                    .count = taken->count,
                                    .lambda = params->lambda,
                                    .step_log2 = params->step_log2,
                                    .shift = (unsigned)(1 - params->step_log2)};
}

/* log2 of the number of ways to choose count of dim, for each chosen. */
static double information_bound(double dim, double count)
{
    return (lgamma(dim + 1) - lgamma(count + 1) - lgamma(dim - count + 1)) / count / M_LN2;
}

/* Bits an index of what was taken, written as float32, whose own bits are left out. */
static double bits_of(struct bench *bench, enum fl_payload_coding coding, const struct fl_taken *taken)
{
    struct fl_payload_head head = head_of(bench, &codecs[0], taken);
    head.coding = coding;
    fl_buf_clear(&bench->payload);
    must(fl_taken_write(bench->m.kernels, &head, taken, &bench->payload));
    double count = (double)taken->count;
    return ((double)bench->payload.size - 4 * count) * 8 / count;
}

static void add_bits(struct bench *bench, const char *name, double density, double bits, double bound,
                     double target)
{
    struct measure_row row = {.name = name,
                              .unit = "bits an index",
                              .value = bits,
                              .bound = bound,
                              .ratio = bits / bound,
                              .at_most = true,
                              .target = target};
    snprintf(row.params, sizeof row.params, "d=%.3g density=%.0e", (double)bench->elems, density);
    measure_add(&bench->m.table, row);
}

static void measure_bits(struct bench *bench, double density, enum measure_support support,
                         struct fl_taken *taken)
{
    double target = support == MEASURE_CLUSTERED ? 0.7 : density <= 1e-2 ? 1.015 : 1.03;
    take(bench, &codecs[0], density, support, 1, taken);
    add_bits(bench, support == MEASURE_RANDOM ? "indices, random" : "indices, clustered", density,
             bits_of(bench, FL_CODING_BEST, taken),
             information_bound((double)bench->elems, (double)taken->count), target);
}

static volatile uint32_t seen; /* so that decoding cannot be left out */

static enum fl_status see_group(void *user, const struct fl_group *group)
{
    (void)user;
    seen = group->indices[group->size - 1] + group->words[0];
    return FL_OK;
}

enum wire { WIRE_ENCODE, WIRE_DECODE, WIRE_CHECK, WIRE_ADD, WIRES };

static const struct {
    const char *name;
    double target; /* million coordinates a second */
} wires[WIRES] = {
    {"encode", 500},
    {"decode", 700},
    {"check", NAN},
    {"decode and add", NAN},
};

/* Seconds of one use of one payload. sum: shape (elems) of 8 bytes. */
static double use_once(struct bench *bench, const struct fl_codec_params *params,
                       const struct fl_taken *taken, enum wire wire, void *sum)
{
    struct fl_payload_head head = head_of(bench, params, taken);
    struct fl_payload payload;
    double start = measure_now();
    if (wire == WIRE_ENCODE) {
        fl_buf_clear(&bench->payload);
        must(fl_taken_write(bench->m.kernels, &head, taken, &bench->payload));
        return measure_now() - start;
    }
    must(fl_payload_check(params, bench->elems, fl_buf_view(&bench->payload), &payload));
    if (wire == WIRE_CHECK)
        return measure_now() - start;
    start = measure_now();
    if (wire == WIRE_DECODE)
        must(fl_payload_walk(&payload, 0, bench->elems, see_group, NULL));
    else if (payload.on_grid)
        fl_payload_add_levels(&payload, 3, sum, 0, bench->elems);
    else
        fl_payload_add_values(&payload, 3, sum, 0, bench->elems);
    return measure_now() - start;
}

/* Speeds of what was taken, drawn afresh each time or from the file. */
static void measure_wire(struct bench *bench, const struct fl_codec_params *params, double density,
                         struct fl_taken *taken, void *sum)
{
    double best[WIRES] = {INFINITY, INFINITY, INFINITY, INFINITY};
    for (uint64_t i = 0; i < bench->m.options->repetitions; i++) {
        if (!bench->m.input)
            take(bench, params, density, MEASURE_RANDOM, i, taken);
        for (int w = 0; w < WIRES; w++)
            best[w] = fmin(best[w], use_once(bench, params, taken, (enum wire)w, sum) / (double)taken->count);
    }
    for (int w = 0; w < WIRES; w++) {
        double speed = 1e-6 / best[w], target = bench->m.input ? NAN : wires[w].target;
        struct measure_row row = {.name = wires[w].name,
                                  .unit = "M/s",
                                  .value = speed,
                                  .bound = target,
                                  .ratio = speed / target,
                                  .target = isnan(target) ? NAN : 1};
        snprintf(row.params, sizeof row.params, "%s density=%.0e", name_of(params), density);
        measure_add(&bench->m.table, row);
    }
}

/* A vector of float32, or one of a client's history with its header (client/core/vector.h). */
static void read_file(struct bench *bench)
{
    char head[16];
    rewind(bench->m.input);
    if (fread(head, 1, sizeof head, bench->m.input) != sizeof head || memcmp(head, "FLV1", 4) != 0)
        rewind(bench->m.input);
    if (fread(bench->m.delta, sizeof(float), bench->elems, bench->m.input) != bench->elems)
        must(FL_ERR_TRUNCATED);
}

/* The largest of a vector from a file: written range by range, and as the writer chooses. */
static void measure_file(struct bench *bench)
{
    struct fl_taken taken = {0};
    bench->elems = bench->m.options->elems;
    void *sum = measure_memory(bench->elems * sizeof(double));
    for (size_t d = 0; d < DENSITIES; d++) {
        struct fl_codec_params top = {.id = FL_CODEC_TOPK, .ratio = densities[d]};
        read_file(bench);
        must(fl_taken_fill(bench->m.kernels, (unsigned)bench->m.options->threads, &top, bench->m.delta,
                           bench->m.residual, bench->elems, bench->m.delta, &taken));
        double ranges = bits_of(bench, FL_CODING_RANGES, &taken),
               best = bits_of(bench, FL_CODING_BEST, &taken);
        add_bits(bench, "indices of the file, by ranges", densities[d], ranges,
                 information_bound((double)bench->elems, (double)taken.count), NAN);
        add_bits(bench, "as the writer chooses, against that", densities[d], best, ranges, NAN);
        measure_wire(bench, &top, densities[d], &taken, sum);
    }
    munmap(sum, bench->elems * sizeof(double));
    fl_taken_done(&taken);
}

/* How fast the processor is just now: additions of which each needs the one before. */
static void measure_clock(struct bench *bench)
{
    double best = INFINITY;
    for (int i = 0; i < 20; i++) {
        uint64_t sum = 0;
        double start = measure_now();
        for (uint64_t j = 0; j < 1000000; j++) {
            sum += j;
            __asm__ volatile("" : "+r"(sum));
        }
        best = fmin(best, measure_now() - start);
    }
    measure_add(&bench->m.table, (struct measure_row){.name = "one addition after the other",
                                                      .unit = "M/s",
                                                      .value = 1 / best,
                                                      .bound = NAN,
                                                      .ratio = NAN,
                                                      .target = NAN});
}

static void measure_all(struct bench *bench)
{
    struct fl_taken taken = {0};
    measure_encodes(bench, bench->m.options->elems, "whole encode, in memory");
    measure_encodes(bench, IN_CACHE, "whole encode, in cache");
    bench->elems = bench->m.options->elems;
    memset(bench->m.residual, 0, bench->elems * sizeof(float));
    for (size_t d = 0; d < DENSITIES; d++)
        measure_bits(bench, densities[d], MEASURE_RANDOM, &taken);
    for (size_t d = 1; d < DENSITIES; d++)
        measure_bits(bench, densities[d], MEASURE_CLUSTERED, &taken);
    bench->elems = bench->m.options->elems < WIRE_ELEMS ? bench->m.options->elems : WIRE_ELEMS;
    memset(bench->m.residual, 0, bench->elems * sizeof(float));
    size_t bytes = bench->elems * sizeof(int64_t);
    measure_clock(bench);
    void *sum = measure_memory(bytes);
    for (size_t c = 0; c < CODECS; c++) {
        for (size_t d = 1; d < DENSITIES; d++) {
            memset(sum, 0, bytes);
            measure_wire(bench, &codecs[c], densities[d], &taken, sum);
        }
    }
    munmap(sum, bytes);
    fl_taken_done(&taken);
}

static int run(const struct fl_command_call *call)
{
    struct bench bench = {0};
    int code = measure_begin(call, &bench.m);
    if (code != FL_EXIT_OK)
        return code;
    fl_buf_init(&bench.payload, bench.m.options->elems * sizeof(float));
    if (bench.m.input)
        measure_file(&bench);
    else
        measure_all(&bench);
    measure_end(call, &bench.m, "a[i] += b[i], log2 C(d, k) / k, or the target in coordinates a second");
    fl_buf_done(&bench.payload);
    return FL_EXIT_OK;
}

static const struct fl_setting rows[] = {MEASURE_ROWS};

const struct fl_command bench_codec = {
    .words = "codec",
    .summary = "whole encodes, bits an index, coordinates a second",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
    .values_size = sizeof(struct measure_options),
    .examples = "  fl-bench codec\n"
                "  fl-bench codec --elems 10000000 --json\n",
    .run = run,
};
