#include "measure.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/random.h"

/* Elements of a run, and density inside those that have any: 1e-2 of the whole in 12 % of the runs. */
#define RUN             8192
#define INSIDE(density) ((density) <= 0.05 ? 0.0833 : 0.35)

void measure_add(struct measure_table *table, struct measure_row row)
{
    if (table->count < MEASURE_ROWS_MAX)
        table->rows[table->count++] = row;
}

static bool met(const struct measure_row *row)
{
    return row->at_most ? row->ratio <= row->target : row->ratio >= row->target;
}

static void print_number(FILE *out, double value)
{
    if (isnan(value))
        fputs("null", out);
    else
        fprintf(out, "%.6g", value);
}

static void print_json(const struct measure_table *table, FILE *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct measure_row *row = &table->rows[i];
        fprintf(out, "%s{\"name\": \"%s\", \"params\": \"%s\", \"value\": ", i ? ",\n " : "[", row->name,
                row->params);
        print_number(out, row->value);
        fprintf(out, ", \"unit\": \"%s\", \"bound\": ", row->unit);
        print_number(out, row->bound);
        fputs(", \"ratio\": ", out);
        print_number(out, row->ratio);
        fputs(", \"target\": ", out);
        print_number(out, row->target);
        fprintf(out, ", \"met\": %s}", isnan(row->target) ? "null" : met(row) ? "true" : "false");
    }
    fputs(table->count ? "]\n" : "[]\n", out);
}

static void print_text(const struct measure_table *table, FILE *out)
{
    fprintf(out, "%-34s %-34s %11s %-14s %11s %7s %7s\n", "what", "of", "figure", "unit", "bound", "ratio",
            "target");
    for (size_t i = 0; i < table->count; i++) {
        const struct measure_row *row = &table->rows[i];
        fprintf(out, "%-34s %-34s %11.5g %-14s ", row->name, row->params, row->value, row->unit);
        if (isnan(row->bound))
            fprintf(out, "%11s %7s", "-", "-");
        else
            fprintf(out, "%11.5g %7.3f", row->bound, row->ratio);
        if (!isnan(row->target))
            fprintf(out, " %s%6.3f %s", row->at_most ? "<" : ">", row->target, met(row) ? "met" : "MISSED");
        fputc('\n', out);
    }
}

static clockid_t clock_of_times = CLOCK_THREAD_CPUTIME_ID;

double measure_now(void)
{
    struct timespec now;
    clock_gettime(clock_of_times, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Uniform in [0, 1) from 24 bits. */
static float unit(uint64_t bits)
{
    return (float)(bits & 0xffffff) * 0x1p-24f;
}

static float large(uint64_t bits)
{
    float magnitude = 1 - 0.7f * logf(1 - unit(bits));
    return bits >> 24 & 1 ? -magnitude : magnitude;
}

void measure_fill(float *x, size_t n, double density, enum measure_support support, uint64_t seed)
{
    double inside = support == MEASURE_CLUSTERED ? INSIDE(density) : density;
    uint64_t in = (uint64_t)(inside * 0x1p32), run = (uint64_t)(density / inside * 0x1p32);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = fl_mix64(seed, i);
        int here = support == MEASURE_RANDOM || fl_mix64(~seed, i / RUN) >> 32 < run;
        x[i] = here && bits >> 32 < in ? large(fl_mix64(bits, seed)) : (unit(bits) - 0.5f) * 1.4f;
    }
}

void measure_pair(struct measure_pairs *pairs, double bound, double value)
{
    if (!pairs->count || value < pairs->value)
        pairs->value = value;
    if (!pairs->count || bound < pairs->bound)
        pairs->bound = bound;
    if (pairs->count < sizeof pairs->ratios / sizeof pairs->ratios[0])
        pairs->ratios[pairs->count++] = bound / value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double measure_ratio(struct measure_pairs *pairs)
{
    qsort(pairs->ratios, pairs->count, sizeof pairs->ratios[0], compare);
    return pairs->ratios[pairs->count / 2];
}

void *measure_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "fl-bench: no memory for %zu bytes: choose a smaller --elems\n", bytes);
        exit(1);
    }
    madvise(memory, bytes, MADV_HUGEPAGE);
    memset(memory, 0, bytes);
    return memory;
}

int measure_begin(const struct fl_command_call *call, struct measure *ret_measure)
{
    const struct measure_options *options = call->values;
    struct measure measure = {.options = options};
    measure.kernels = options->kernels[0] ? fl_kernels_find(options->kernels) : fl_kernels_pick();
    if (!measure.kernels) {
        fprintf(call->err, "fl-bench: --kernels: this machine has no table called %s\n", options->kernels);
        return FL_EXIT_USAGE;
    }
    if (options->input[0] && !(measure.input = fopen(options->input, "rb"))) {
        fprintf(call->err, "fl-bench: --input: %s cannot be read\n", options->input);
        return FL_EXIT_USAGE;
    }
    clock_of_times = options->threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    measure.delta = measure_memory(options->elems * sizeof(float));
    measure.residual = measure_memory(options->elems * sizeof(float));
    *ret_measure = measure;
    return FL_EXIT_OK;
}

void measure_print(const struct fl_command_call *call, const struct measure_options *options,
                   const struct measure_table *table, const char *head)
{
    if (!options->json)
        fprintf(call->out, "%s\n", head);
    (options->json ? print_json : print_text)(table, call->out);
}

void measure_end(const struct fl_command_call *call, struct measure *measure, const char *bounds)
{
    const struct measure_options *options = measure->options;
    char head[256];
    snprintf(head, sizeof head,
             "kernels: %s; threads: %d; bounds: %s; times: least of %d repetitions, ratio: median",
             measure->kernels->name, (int)options->threads, bounds, (int)options->repetitions);
    measure_print(call, options, &measure->table, head);
    munmap(measure->delta, options->elems * sizeof(float));
    munmap(measure->residual, options->elems * sizeof(float));
    if (measure->input)
        fclose(measure->input);
}
