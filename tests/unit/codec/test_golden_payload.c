/* The golden payloads of tests/golden/codec, whose values an independent decoder confirms: accepted and
 * refused. */
#include "test.h"

#include <ctype.h>

#include "codec/downlink.h"
#include "guarded.h"
#include "sample.h"

/* One case of the file as it is read, line by line. */
struct golden {
    char name[64];
    unsigned kind;
    size_t dim;
    struct fl_codec_tensor tensors[16];
    struct fl_codec_params params;
    struct fl_buf payload;
    float *input, *output; /* NULL where absent */
    char status[32];
};

/* Vectors longer than this are given by their coordinates alone. */
#define GOLDEN_DIM_MAX 100000

static void read_codec(struct golden *golden, const char *rest)
{
    char name[32];
    assert_int_equal(sscanf(rest, "%31s %zu", name, &golden->dim), 2);
    const struct fl_codec *codec = fl_codec_find(name);
    assert_true(codec || strcmp(name, "assign") == 0);
    golden->kind = codec ? codec->kind : FL_PAYLOAD_ASSIGN;
    golden->params.id = codec ? codec->id : (enum fl_codec_id)0;
}

static void read_payload(struct golden *golden, const char *rest)
{
    size_t size = strspn(rest, "0123456789abcdef") / 2;
    char *hex = strndup(rest, 2 * size);
    uint8_t *at;
    assert_non_null(hex);
    assert_ok(fl_buf_extend(&golden->payload, size, &at));
    assert_ok(fl_hex_decode(hex, at, size));
    free(hex);
}

static float *read_pairs(const struct golden *golden, const char *rest)
{
    if (golden->dim > GOLDEN_DIM_MAX)
        return NULL;
    float *values = calloc(golden->dim, sizeof *values);
    size_t index;
    unsigned bits;
    int used;
    assert_non_null(values);
    for (; sscanf(rest, " %zu:%x%n", &index, &bits, &used) == 2; rest += used) {
        assert_true(index < golden->dim);
        memcpy(&values[index], &bits, 4);
    }
    return values;
}

static void read_tensors(struct golden *golden, const char *rest)
{
    int used;
    golden->params.tensors = golden->tensors;
    while (sscanf(rest, " %zu%n", &golden->tensors[golden->params.tensor_count].rows, &used) == 1) {
        golden->tensors[golden->params.tensor_count].columns = 1;
        rest += used;
        golden->params.tensor_count++;
    }
}

static void read_shapes(struct golden *golden, const char *rest)
{
    struct fl_codec_tensor *tensor = golden->tensors;
    int used;
    golden->params.tensors = golden->tensors;
    for (; sscanf(rest, " %zux%zu%n", &tensor->rows, &tensor->columns, &used) == 2; tensor++) {
        rest += used;
        golden->params.tensor_count++;
    }
}

static void read_line(struct golden *golden, const char *line)
{
    char word[16];
    int used;
    assert_int_equal(sscanf(line, "%15s %n", word, &used), 1);
    const char *rest = line + used;
    if (strcmp(word, "case") == 0)
        sscanf(rest, "%63s", golden->name);
    else if (strcmp(word, "codec") == 0)
        read_codec(golden, rest);
    else if (strcmp(word, "lambda") == 0)
        golden->params.lambda = strtof(rest, NULL);
    else if (strcmp(word, "step") == 0)
        golden->params.step_log2 = atoi(rest);
    else if (strcmp(word, "ratio") == 0)
        golden->params.ratio = strtod(rest, NULL);
    else if (strcmp(word, "seed") == 0)
        golden->params.seed = strtoull(rest, NULL, 10);
    else if (strcmp(word, "contributors") == 0)
        golden->params.contributors = (uint32_t)strtoul(rest, NULL, 10);
    else if (strcmp(word, "bits") == 0)
        golden->params.bits = (unsigned)atoi(rest);
    else if (strcmp(word, "bucket") == 0)
        golden->params.bucket = (size_t)atoi(rest);
    else if (strcmp(word, "rank") == 0)
        golden->params.rank = (unsigned)atoi(rest);
    else if (strcmp(word, "dense_below") == 0)
        golden->params.dense_below = (size_t)atoi(rest);
    else if (strcmp(word, "shapes") == 0)
        read_shapes(golden, rest);
    else if (strcmp(word, "tensors") == 0)
        read_tensors(golden, rest);
    else if (strcmp(word, "payload") == 0)
        read_payload(golden, rest);
    else if (strcmp(word, "input") == 0)
        golden->input = read_pairs(golden, rest);
    else if (strcmp(word, "output") == 0)
        golden->output = read_pairs(golden, rest);
    else if (strcmp(word, "status") == 0)
        sscanf(rest, "%31s", golden->status);
    else
        fail_msg("unknown word %s", word);
}

static struct guarded memory;

/* Where no byte before or behind the payload may be touched. */
static enum fl_status check_at(const struct golden *golden, int at_end, struct fl_payload *ret_payload)
{
    size_t size = golden->payload.size;
    struct fl_bytes bytes = {guarded_copy(&memory, golden->payload.data, size, at_end), size};
    return golden->kind == FL_PAYLOAD_ASSIGN
               ? fl_sparse_check(golden->dim, bytes, ret_payload)
               : fl_payload_check(&golden->params, golden->dim, bytes, ret_payload);
}

static enum fl_status check(const struct golden *golden, struct fl_payload *ret_payload)
{
    enum fl_status at_start = check_at(golden, 0, ret_payload);
    enum fl_status at_end = check_at(golden, 1, ret_payload);
    assert_status(at_start, at_end);
    return at_end;
}

static void check_accepted(const struct golden *golden)
{
    struct fl_payload payload;
    enum fl_status st = check(golden, &payload);
    if (st)
        fail_msg("%s: %s", golden->name, fl_status_name(st));
    if (!golden->output)
        return;
    float *q = malloc(golden->dim * sizeof *q);
    assert_non_null(q);
    fl_payload_decode(&payload, q);
    assert_memory_equal(q, golden->output, golden->dim * sizeof *q);
    if (golden->input) { /* what is encoded from the same input today gives the same values */
        struct fl_buf again;
        fl_buf_init(&again, 1 << 20);
        sample_encode(&golden->params, golden->input, golden->dim, &again);
        assert_ok(fl_payload_check(&golden->params, golden->dim, fl_buf_view(&again), &payload));
        fl_payload_decode(&payload, q);
        assert_memory_equal(q, golden->output, golden->dim * sizeof *q);
        fl_buf_done(&again);
    }
    free(q);
}

static void check_refused(const struct golden *golden)
{
    struct fl_payload payload;
    enum fl_status st = check(golden, &payload);
    if (strcmp(fl_status_name(st), golden->status) != 0)
        fail_msg("%s: %s, not %s", golden->name, fl_status_name(st), golden->status);
}

static void check_file(const char *path, void (*check_case)(const struct golden *))
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0, cases = 0;
    int more;
    assert_non_null(file);
    do {
        struct golden golden = {0};
        fl_buf_init(&golden.payload, 1 << 20);
        while ((more = getline(&line, &capacity, file) > 0) && !isspace((unsigned char)line[0]))
            read_line(&golden, line);
        if (golden.dim || golden.name[0]) {
            check_case(&golden);
            cases++;
        }
        fl_buf_done(&golden.payload);
        free(golden.input);
        free(golden.output);
    } while (more);
    assert_true(cases > 20);
    free(line);
    fclose(file);
}

static void test_accepted_payloads_decode_to_their_values(void **state)
{
    (void)state;
    check_file(FL_GOLDEN_DIR "/codec/accepted.txt", check_accepted);
}

static void test_refused_payloads_are_refused_for_their_reason(void **state)
{
    (void)state;
    check_file(FL_GOLDEN_DIR "/codec/refused.txt", check_refused);
}

static int make(void **state)
{
    (void)state;
    memory = guarded_new(1 << 16);
    return 0;
}

static int give_up(void **state)
{
    (void)state;
    guarded_done(&memory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted_payloads_decode_to_their_values),
        cmocka_unit_test(test_refused_payloads_are_refused_for_their_reason),
    };
    return cmocka_run_group_tests(tests, make, give_up);
}
