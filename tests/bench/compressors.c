/* Every compressor on the same vectors: bits a coordinate, what is missed, how fast. What docs/compressors.md
 * shows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "bench.h"
#include "codec/payload.h"
#include "protocol/model_spec.h"

#define REPETITIONS 5
#define RATIO       0.01
#define BITS        3
#define BUCKET      512
#define RANK        2

/* The model of the quickstart on MNIST, which a recorded update is of. */
static const struct fl_codec_tensor tensors[] = {{128, 784}, {128, 1}, {10, 128}, {10, 1}};
#define TENSORS (sizeof tensors / sizeof tensors[0])
#define ELEMS   ((size_t)128 * 784 + 128 + 10 * 128 + 10)

struct options {
    bool json;
    char update[FL_PATH_SIZE];
};

struct figures {
    double bits;               /* a coordinate of the vector */
    double missed;             /* ||p - q|| / ||p|| */
    double encode_s, decode_s; /* least of the repetitions; decoding checks every bit first */
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fill(int laplace, float *x)
{
    struct fl_random random;
    fl_random_init(&random, 1, (uint64_t)laplace);
    for (size_t i = 0; i < ELEMS; i++) {
        double magnitude = -log(fl_random_double(&random));
        x[i] = laplace ? (float)(fl_random_u32(&random) & 1 ? magnitude : -magnitude)
                       : (float)fl_random_normal(&random);
    }
}

/* A vector of a client's history: history/SEQ.p, see client/core/vector.h. */
static enum fl_status read_update(const char *path, float *x, struct fl_error *err)
{
    struct fl_buf file;
    fl_buf_init(&file, 16 + 4 * ELEMS);
    enum fl_status st = fl_file_read(path, &file, err);
    if (!st && (file.size != 16 + 4 * ELEMS || memcmp(file.data, "FLV1", 4) != 0))
        st = fl_error_set(
            err, FL_ERR_SHAPE,
            "%s: not a history vector of %zu elements: take one of a client of deploy/quickstart.sh "
            "--data mnist with keep_history",
            path, ELEMS);
    if (!st)
        memcpy(x, file.data + 16, 4 * ELEMS);
    fl_buf_done(&file);
    return st;
}

static struct fl_codec_params params_of(const struct fl_codec *codec, const float *x)
{
    double rms = sqrt(fl_kernels_pick()->sum_squares(x, ELEMS) / (double)ELEMS);
    struct fl_codec_params params = {.id = codec->id,
                                     .lambda = fl_lambda_from_rms(rms),
                                     .ratio = RATIO,
                                     .tensors = tensors,
                                     .tensor_count = TENSORS,
                                     .bits = BITS,
                                     .bucket = BUCKET,
                                     .rank = RANK,
                                     .seed = 1};
    if (codec->on_grid && fl_lambda_log2(params.lambda, &params.step_log2) == FL_OK)
        params.step_log2++;
    return params;
}

static enum fl_status measure_codec(const struct fl_codec *codec, const float *x, struct figures *ret_figures)
{
    struct fl_codec_params params = params_of(codec, x);
    struct figures figures = {.encode_s = INFINITY, .decode_s = INFINITY};
    float *q = malloc(ELEMS * sizeof *q);
    struct fl_buf buf;
    enum fl_status st = q ? FL_OK : FL_ERR_NOMEM;
    fl_buf_init(&buf, 8 * ELEMS + 4096);
    for (int i = 0; !st && i < REPETITIONS; i++) {
        struct fl_payload payload;
        fl_buf_clear(&buf);
        double start = now_s();
        st = fl_codec_encode(fl_kernels_pick(), &params, x, ELEMS, &buf);
        double middle = now_s();
        if (!st)
            st = fl_payload_check(&params, ELEMS, fl_buf_view(&buf), &payload);
        if (st)
            break;
        fl_payload_decode(&payload, q);
        figures.encode_s = fmin(figures.encode_s, middle - start);
        figures.decode_s = fmin(figures.decode_s, now_s() - middle);
    }
    double missed = 0;
    for (size_t i = 0; !st && i < ELEMS; i++)
        missed += ((double)x[i] - (double)q[i]) * ((double)x[i] - (double)q[i]);
    figures.bits = 8.0 * (double)buf.size / (double)ELEMS;
    figures.missed = sqrt(missed / fl_kernels_pick()->sum_squares(x, ELEMS));
    fl_buf_done(&buf);
    free(q);
    *ret_figures = figures;
    return st;
}

static void print(const struct fl_command_call *call, const char *vector, const struct fl_codec *codec,
                  const struct figures *figures, int first)
{
    const struct options *options = call->values;
    double encode = (double)ELEMS / figures->encode_s / 1e6, decode = (double)ELEMS / figures->decode_s / 1e6;
    if (options->json)
        fprintf(
            call->out,
            "%s{\"vector\": \"%s\", \"codec\": \"%s\", \"class\": \"%s\", \"bits\": %.4g, \"missed\": %.4g, "
            "\"encode_m_per_s\": %.4g, \"decode_m_per_s\": %.4g}",
            first ? "[" : ",\n ", vector, codec->name, fl_codec_class_name(codec->class), figures->bits,
            figures->missed, encode, decode);
    else
        fprintf(call->out, "%-9s %-18s %-12s %8.3f %8.4f %9.1f %9.1f\n", vector, codec->name,
                fl_codec_class_name(codec->class), figures->bits, figures->missed, encode, decode);
}

static enum fl_status measure_vector(const struct fl_command_call *call, const char *vector, const float *x,
                                     int *first, struct fl_error *err)
{
    size_t count;
    const struct fl_codec *table = fl_codec_table(&count);
    for (size_t i = 0; i < count; i++) {
        struct figures figures;
        enum fl_status st = measure_codec(&table[i], x, &figures);
        if (st)
            return fl_error_set(err, st, "%s of %s: %s", table[i].name, vector, fl_status_text(st));
        print(call, vector, &table[i], &figures, *first);
        *first = 0;
    }
    return FL_OK;
}

static int run(const struct fl_command_call *call)
{
    const struct options *options = call->values;
    float *x = malloc(ELEMS * sizeof *x);
    struct fl_error err = {""};
    int first = 1;
    enum fl_status st = x ? FL_OK : FL_ERR_NOMEM;
    if (!options->json)
        fprintf(call->out, "%-9s %-18s %-12s %8s %8s %9s %9s\n", "vector", "codec", "class", "bits", "missed",
                "enc M/s", "dec M/s");
    for (int laplace = 0; !st && laplace < 2; laplace++) {
        fill(laplace, x);
        st = measure_vector(call, laplace ? "laplace" : "gaussian", x, &first, &err);
    }
    if (!st && options->update[0]) {
        st = read_update(options->update, x, &err);
        if (!st)
            st = measure_vector(call, "update", x, &first, &err);
    }
    if (st)
        fprintf(call->err, "fl-bench compressors: %s\n", err.text[0] ? err.text : fl_status_text(st));
    else if (options->json)
        fprintf(call->out, "]\n");
    free(x);
    return (int)fl_exit_code_from_status(st);
}

static const struct fl_setting rows[] = {
    {.key = "json",
     .type = FL_SETTING_BOOL,
     FL_SETTING_FIELD(struct options, json),
     .def = "false",
     .help = "print an array of objects, one for each vector and compressor"},
    {.key = "update",
     .type = FL_SETTING_STRING,
     FL_SETTING_FIELD(struct options, update),
     .help = "a real update too: history/SEQ.p of a client of the quickstart on MNIST"},
};

const struct fl_command bench_compressors = {
    .words = "compressors",
    .summary = "every compressor on the same vectors: bits, what is missed, speed",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
    .values_size = sizeof(struct options),
    .examples = "  fl-bench compressors\n  fl-bench compressors --update "
                "client-0/runs/quickstart/history/12.p --json\n",
    .run = run,
};
