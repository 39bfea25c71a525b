#include "kernels_device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "bench.h"
#include "client/device/card.h"
#include "codec/feedback.h"
#include "codec/rule.h"

struct device_bench {
    const struct fl_command_call *call;
    const struct measure_options *options;
    struct fl_card card;
    struct fl_device_session *session;
    size_t elems;
    float *replica, *residual, *end; /* shape (elems): of the host */
    struct measure_table table;
    double copy_rate; /* bytes a second */
};

static void *memory(size_t bytes)
{
    void *block = malloc(bytes);
    if (!block) {
        fprintf(stderr, "fl-bench: no memory for %zu bytes: choose a smaller --elems\n", bytes);
        exit(FL_EXIT_FAILED);
    }
    return block;
}

static int failed(const struct device_bench *b, const char *what)
{
    fprintf(b->call->err, "fl-bench kernels: %s: %s\n", what,
            b->session ? b->card.ops->error(b->session) : "the device cannot be opened");
    return FL_EXIT_FAILED;
}

/* A logistic model has one parameter more than inputs; no data, since nothing is trained. */
static int open_session(struct device_bench *b)
{
    struct fl_device_text text = {""};
    struct fl_device_job job = {.size = sizeof job,
                                .device = b->card.index,
                                .network = {.layers = 1,
                                            .is_logistic = 1,
                                            .sizes = {(uint32_t)b->elems - 1, 1},
                                            .biases = {b->elems - 1},
                                            .elems = b->elems}};
    if (b->card.ops->open(&job, &b->session, &text)) {
        fprintf(b->call->err, "fl-bench kernels: --elems %zu: %s\n", b->elems, text.text);
        return FL_EXIT_FAILED;
    }
    if (b->card.ops->put_replica(b->session, b->replica) ||
        b->card.ops->put_residual(b->session, b->residual))
        return failed(b, "copying to the device");
    return FL_EXIT_OK;
}

/* The sum of two numbers uniform in (-1, 1) is above t in magnitude with probability (1 - t / 2)^2. */
static struct fl_codec_params threshold(double density)
{
    return (struct fl_codec_params){.id = FL_CODEC_THRESHOLD, .lambda = (float)(2 - 2 * sqrt(density))};
}

static struct fl_device_rule rule_of(const struct device_bench *b, const struct fl_codec_params *params)
{
    if (params->id == FL_CODEC_TOPK)
        return (struct fl_device_rule){
            .top = fl_codec_top_count(params->ratio, b->elems), .low = 1, .high = FL_FLOAT_INFINITY};
    struct fl_codec_rule rule = fl_codec_rule(params);
    return (struct fl_device_rule){.low = rule.low, .high = rule.high};
}

/* What the device takes out of the sum of both vectors, as a payload, and what it leaves. */
static int take(struct device_bench *b, const struct fl_codec_params *params, struct fl_buf *payload)
{
    const struct fl_device_ops *ops = b->card.ops;
    struct fl_device_rule rule = rule_of(b, params);
    struct fl_device_descent none = {0};
    struct fl_taken taken = {0};
    struct fl_payload checked;
    uint64_t count = 0;
    uint32_t finite = 0;
    if (ops->train_begin(b->session, &none) || ops->take(b->session, &rule, &count, &finite))
        return failed(b, "taking what is sent");
    taken.count = (size_t)count;
    taken.indices = memory((taken.count + 1) * sizeof *taken.indices);
    taken.words = memory((taken.count + 1) * sizeof *taken.words);
    int code = FL_EXIT_OK;
    if (ops->get_taken(b->session, taken.indices, taken.words) || ops->get_end(b->session, b->end))
        code = failed(b, "copying from the device");
    else if (fl_error_feedback_write(fl_kernels_pick(), params, b->elems, &taken, payload, &checked))
        code = FL_EXIT_FAILED;
    fl_taken_done(&taken);
    return code;
}

/* The same on the host, and whether both are the same bits. */
static int check(struct device_bench *b, const char *name, const struct fl_codec_params *params)
{
    size_t limit = 9 * b->elems + (1 << 20);
    struct fl_buf device, host;
    struct fl_payload checked;
    float *left = memory(b->elems * sizeof *left);
    fl_buf_init(&device, limit);
    fl_buf_init(&host, limit);
    int code = take(b, params, &device);
    if (!code && fl_error_feedback_step(fl_kernels_find("portable"), 1, params, b->replica, b->residual,
                                        b->elems, &host, left, &checked))
        code = FL_EXIT_FAILED;
    if (!code && (device.size != host.size || memcmp(device.data, host.data, host.size) != 0 ||
                  memcmp(left, b->end, b->elems * sizeof *left) != 0)) {
        fprintf(b->call->err, "fl-bench kernels: %s of %zu elements: not the bits of the portable kernels\n",
                name, b->elems);
        code = FL_EXIT_FAILED;
    }
    fl_buf_done(&device);
    fl_buf_done(&host);
    free(left);
    return code;
}

/* The least of the repetitions' times, as bytes moved a second beside those of a copy. */
static int add_row(struct device_bench *b, const char *name, enum fl_device_timed what,
                   const struct fl_device_rule *rule, double density, double bytes_each)
{
    double least = INFINITY, seconds;
    for (uint64_t i = 0; i <= b->options->repetitions; i++) { /* once more, to warm up */
        if (b->card.ops->time(b->session, what, rule, &seconds))
            return failed(b, name);
        least = i && seconds < least ? seconds : least;
    }
    double rate = bytes_each * (double)b->elems / least;
    if (what == FL_DEVICE_TIMED_COPY)
        b->copy_rate = rate;
    struct measure_row row = {.name = name,
                              .unit = "GB/s",
                              .value = rate / 1e9,
                              .bound = b->copy_rate / 1e9,
                              .ratio = rate / b->copy_rate,
                              .target = NAN};
    snprintf(row.params, sizeof row.params, "%zu elems, %.4g bytes each%s", b->elems, bytes_each,
             density < 1e-3   ? ", 1e-4"
             : density < 1e-2 ? ", 1e-3"
             : density < 1e-1 ? ", 1e-2"
             : density < 1    ? ", 1e-1"
                              : "");
    measure_add(&b->table, row);
    return FL_EXIT_OK;
}

/* Bytes that each element moves: docs/gpu.md. */
static int measure_all(struct device_bench *b)
{
    static const struct {
        const char *name;
        enum fl_device_timed what;
        double bytes;
    } plain[] = {{"copy", FL_DEVICE_TIMED_COPY, 8},
                 {"difference", FL_DEVICE_TIMED_SUBTRACT, 12},
                 {"sum of squares", FL_DEVICE_TIMED_SQUARES, 4},
                 {"largest magnitude", FL_DEVICE_TIMED_WORST, 4},
                 {"step down the gradient", FL_DEVICE_TIMED_DESCEND, 20}};
    static const double densities[] = {1e-4, 1e-3, 1e-2, 1e-1};
    int code = FL_EXIT_OK;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0] && !code; i++)
        code = add_row(b, plain[i].name, plain[i].what, NULL, 1, plain[i].bytes);
    for (size_t i = 0; i < sizeof densities / sizeof densities[0] && !code; i++) {
        struct fl_codec_params hard = threshold(densities[i]);
        struct fl_device_rule rule = rule_of(b, &hard);
        code = check(b, "threshold", &hard);
        if (!code)
            code = add_row(b, "sum, threshold, compaction", FL_DEVICE_TIMED_TAKE, &rule, densities[i],
                           12.25 + 16 * densities[i]);
    }
    for (size_t i = 1; i < 3 && !code; i++) {
        struct fl_codec_params top = {.id = FL_CODEC_TOPK, .ratio = densities[i]};
        struct fl_device_rule rule = rule_of(b, &top);
        code = check(b, "top-k", &top);
        if (!code)
            code = add_row(b, "sum, top-k, compaction", FL_DEVICE_TIMED_TAKE, &rule, densities[i],
                           32.375 + 16 * densities[i]);
    }
    return code;
}

static void fill(float *x, size_t n, uint64_t stream)
{
    struct fl_random random;
    fl_random_init(&random, 17, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = 2 * fl_random_float(&random) - 1;
}

static void print(const struct device_bench *b)
{
    char head[512];
    snprintf(head, sizeof head,
             "device: %s, driver for CUDA %u.%u, plugin %s: the bits of the portable kernels; bounds: a copy "
             "on the "
             "device; times: least of %d repetitions",
             b->card.info.name, b->card.info.driver / 1000, b->card.info.driver % 1000 / 10,
             b->card.ops->name, (int)b->options->repetitions);
    measure_print(b->call, b->options, &b->table, head);
}

int kernels_device_run(const struct fl_command_call *call, const struct measure_options *options)
{
    struct device_bench b = {.call = call, .options = options, .elems = (size_t)options->elems};
    struct fl_card_choice choice;
    struct fl_error err = {""};
    enum fl_status st = fl_card_choose(options->device, &choice, &err);
    if (!st && (choice.kind == FL_CARD_AUTO || choice.kind == FL_CARD_CPU))
        st = fl_error_set(&err, FL_ERR_CONFIG, "--device %s: one device is wanted, cuda:N", options->device);
    if (st) {
        fprintf(call->err, "fl-bench kernels: %s\n", err.text);
        return FL_EXIT_CONFIG;
    }
    st = fl_card_find(&choice, &b.card, &err);
    if (st) {
        int is_absent = st == FL_ERR_NOT_FOUND || st == FL_ERR_STATE;
        fprintf(call->err, "fl-bench kernels: %s: %s\n", is_absent ? "skipped: no device" : options->device,
                err.text);
        return is_absent ? FL_EXIT_CONFIG : FL_EXIT_FAILED;
    }
    float **vectors[] = {&b.replica, &b.residual, &b.end};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        *vectors[i] = memory(b.elems * sizeof(float));
    fill(b.replica, b.elems, 1);
    fill(b.residual, b.elems, 2);
    int code = open_session(&b);
    if (!code)
        code = measure_all(&b);
    if (!code)
        print(&b);
    b.card.ops->close(b.session);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        free(*vectors[i]);
    return code;
}
