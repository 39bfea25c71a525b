/*
 * What the independent decoder talks to:
 *     protocol_tool samples                 every sample as a line "KIND HEX", as our encoder writes it
 *     protocol_tool fields [KIND FILE]...   for each a line: its fields as JSON, or the name of the error
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../unit/protocol/samples.h"

#define FILE_LIMIT ((size_t)1 << 20)

static void print_hex(const char *key, const uint8_t *data, size_t size, const char *end)
{
    printf("\"%s\": \"", key);
    for (size_t i = 0; i < size; i++)
        printf("%02x", data[i]);
    printf("\"%s", end);
}

static void print_text(const char *key, const char *text, const char *end)
{
    printf("\"%s\": \"", key);
    for (; *text; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    printf("\"%s", end);
}

static void print_uint(const char *key, uint64_t value, const char *end)
{
    printf("\"%s\": %" PRIu64 "%s", key, value, end);
}

static void print_double(const char *key, double value, const char *end)
{
    printf("\"%s\": %.17g%s", key, value, end);
}

static void print_version(const char *key, const struct fl_version *version, const char *end)
{
    printf("\"%s\": {", key);
    print_uint("epoch", version->epoch, ", ");
    print_uint("number", version->number, ", ");
    print_hex("digest", version->digest.bytes, sizeof version->digest.bytes, "}");
    printf("%s", end);
}

static void print_codec(const struct fl_codec_spec *codec)
{
    printf("\"codec\": {");
    print_text("name", codec->name, ", ");
    print_double("lambda", codec->lambda, ", ");
    print_double("step_log2", codec->step_log2, ", ");
    print_double("ratio", codec->ratio, ", ");
    print_uint("bits", codec->bits, ", ");
    print_uint("bucket", codec->bucket, ", ");
    print_uint("rank", codec->rank, ", ");
    print_text("part", codec->part, ", ");
    print_uint("dense_below", codec->dense_below, "}");
}

static void print_run_info(const struct fl_run_info *info)
{
    printf("{");
    print_text("name", info->name, ", ");
    print_uint("epoch", info->epoch, ", ");
    print_text("state", info->state == FL_RUN_ACTIVE ? "active" : "ended", ", ");
    print_uint("round", info->round, ", ");
    print_uint("rounds", info->rounds, ", ");
    print_version("version", &info->version, ", \"model\": {");
    print_text("kind", fl_model_kind_name(info->model.kind), ", ");
    print_uint("inputs", info->model.inputs, ", ");
    print_uint("outputs", info->model.outputs, ", \"hidden\": [");
    for (uint32_t i = 0; i < info->model.hidden_count; i++)
        printf("%s%" PRIu32, i ? ", " : "", info->model.hidden[i]);
    printf("], ");
    print_uint("seed", info->model.seed, "}, ");
    print_codec(&info->codec);
    printf(", ");
    print_uint("origin", fl_run_info_origin(info), "}");
}

static void print_enroll_request(const struct fl_enroll_request *request)
{
    printf("{");
    print_text("token", request->token, ", ");
    print_text("name", request->name, ", ");
    print_hex("csr", request->csr.data, request->csr.size, "}");
}

static void print_enroll_answer(const struct fl_enroll_answer *answer)
{
    printf("{");
    print_text("client", answer->client, ", ");
    print_hex("chain", answer->chain.data, answer->chain.size, "}");
}

static void print_work(const struct fl_work *work)
{
    printf("{");
    print_uint("kind", work->kind, ", ");
    print_uint("round", work->round, ", ");
    print_version("base", &work->base, ", ");
    print_uint("seq", work->seq, ", ");
    print_uint("deadline_ms", work->deadline_ms, ", \"plan\": {");
    print_uint("steps", work->plan.steps, ", ");
    print_uint("epochs", work->plan.epochs, ", ");
    print_uint("batch", work->plan.batch, ", ");
    print_double("learning_rate", work->plan.learning_rate, ", ");
    print_double("momentum", work->plan.momentum, ", ");
    print_double("weight_decay", work->plan.weight_decay, ", ");
    print_uint("seed", work->plan.seed, "}, ");
    print_codec(&work->codec);
    printf("}");
}

static void print_update(const struct fl_update *update)
{
    printf("{");
    print_uint("kind", update->kind, ", ");
    print_uint("round", update->round, ", ");
    print_version("base", &update->base, ", ");
    print_uint("weight", update->weight, ", ");
    print_uint("steps", update->steps, ", ");
    print_double("train_loss", update->train_loss, ", ");
    print_double("delta_squares", update->delta_squares, ", ");
    print_double("residual_norm", update->residual_norm, ", ");
    print_uint("dropped", update->dropped, ", \"metrics\": {");
    print_uint("examples", update->metrics.examples, ", ");
    print_uint("correct", update->metrics.correct, ", ");
    print_double("loss_sum", update->metrics.loss_sum, "}, ");
    print_hex("payload", update->payload.data, update->payload.size, "}");
}

static void print_verdict(const struct fl_verdict *verdict)
{
    printf("{");
    print_uint("kind", verdict->kind, ", ");
    print_uint("epoch", verdict->epoch, ", ");
    print_uint("seq", verdict->seq, ", ");
    print_hex("digest", verdict->digest, sizeof verdict->digest, ", ");
    print_uint("round", verdict->round, ", ");
    print_uint("expected_seq", verdict->expected_seq, ", ");
    print_hex("receipt", verdict->receipt, sizeof verdict->receipt, ", ");
    print_text("reason", verdict->reason, ", ");
    print_uint("total", verdict->total, "}");
}

static void print_proof(const struct fl_proof *proof)
{
    printf("{");
    print_uint("kind", proof->kind, ", ");
    print_uint("epoch", proof->epoch, ", ");
    print_uint("seq", proof->seq, ", ");
    print_hex("digest", proof->digest, sizeof proof->digest, ", ");
    print_uint("round", proof->round, ", ");
    print_uint("weight", proof->weight, ", ");
    print_uint("total", proof->total, ", ");
    print_hex("receipt", proof->receipt, sizeof proof->receipt, "}");
}

static void print_standing(const struct fl_standing *standing)
{
    printf("{");
    print_uint("state", standing->state, ", ");
    print_uint("epoch", standing->epoch, ", ");
    print_uint("expected_seq", standing->expected_seq, ", ");
    print_uint("lost", standing->lost, "}");
}

static void print_model_message(const struct fl_model_message *message)
{
    printf("{");
    print_uint("form", message->form, ", ");
    print_version("version", &message->version, ", ");
    print_version("from", &message->from, ", ");
    print_uint("elems", message->elems, ", ");
    print_hex("data", message->data.data, message->data.size, "}");
}

/* For each kind of message: its samples, and its fields as JSON. */
#define KIND(noun, sample)                                                                                   \
    static enum fl_status sample##_samples(int extreme, struct fl_buf *buf)                                  \
    {                                                                                                        \
        struct fl_##noun message = sample(extreme);                                                          \
        return fl_##noun##_encode(&message, buf);                                                            \
    }                                                                                                        \
    static enum fl_status sample##_fields(struct fl_bytes bytes)                                             \
    {                                                                                                        \
        struct fl_##noun message;                                                                            \
        enum fl_status st = fl_##noun##_decode(bytes, &message);                                             \
        if (!st)                                                                                             \
            print_##noun(&message);                                                                          \
        return st;                                                                                           \
    }

KIND(enroll_request, sample_enroll_request)
KIND(enroll_answer, sample_enroll_answer)
KIND(run_info, sample_run_info)
KIND(work, sample_work)
KIND(update, sample_update)
KIND(update, sample_calibration)
KIND(verdict, sample_verdict)
KIND(proof, sample_proof)
KIND(standing, sample_standing)
KIND(model_message, sample_model_message)

static enum fl_status run_list_samples(int extreme, struct fl_buf *buf)
{
    struct fl_run_info runs[2] = {sample_run_info(0), sample_run_info(1)};
    return fl_run_list_encode(runs, extreme ? 2 : 1, buf);
}

static enum fl_status run_list_fields(struct fl_bytes bytes)
{
    static struct fl_run_info runs[FL_LIMIT_RUNS];
    size_t count;
    enum fl_status st = fl_run_list_decode(bytes, runs, FL_LIMIT_RUNS, &count);
    if (st)
        return st;
    printf("{\"runs\": [");
    for (size_t i = 0; i < count; i++) {
        printf(i ? ", " : "");
        print_run_info(&runs[i]);
    }
    printf("]}");
    return FL_OK;
}

static const struct {
    const char *kind;
    enum fl_status (*samples)(int extreme, struct fl_buf *buf);
    enum fl_status (*fields)(struct fl_bytes bytes);
} kinds[] = {
    {"enroll_request", sample_enroll_request_samples, sample_enroll_request_fields},
    {"enroll_answer", sample_enroll_answer_samples, sample_enroll_answer_fields},
    {"run_info", sample_run_info_samples, sample_run_info_fields},
    {"work", sample_work_samples, sample_work_fields},
    {"update", sample_update_samples, sample_update_fields},
    {"update", sample_calibration_samples, sample_calibration_fields},
    {"verdict", sample_verdict_samples, sample_verdict_fields},
    {"proof", sample_proof_samples, sample_proof_fields},
    {"standing", sample_standing_samples, sample_standing_fields},
    {"model_message", sample_model_message_samples, sample_model_message_fields},
    {"run_list", run_list_samples, run_list_fields},
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static enum fl_status print_samples(void)
{
    for (size_t i = 0; i < 2 * KIND_COUNT; i++) {
        struct fl_buf buf;
        fl_buf_init(&buf, FILE_LIMIT);
        enum fl_status st = kinds[i / 2].samples((int)(i & 1), &buf);
        if (!st) {
            printf("%s ", kinds[i / 2].kind);
            for (size_t at = 0; at < buf.size; at++)
                printf("%02x", buf.data[at]);
            printf("\n");
        }
        fl_buf_done(&buf);
        if (st)
            return st;
    }
    return FL_OK;
}

static enum fl_status print_fields(const char *kind, const char *path)
{
    static uint8_t data[FILE_LIMIT];
    FILE *file = fopen(path, "rb");
    if (!file)
        return FL_ERR_IO;
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(kind, kinds[i].kind) == 0)
            return kinds[i].fields((struct fl_bytes){data, size});
    return FL_ERR_NOT_FOUND;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "samples") == 0)
        return print_samples() ? EXIT_FAILURE : EXIT_SUCCESS;
    if (argc < 4 || argc % 2 != 0 || strcmp(argv[1], "fields") != 0)
        return EXIT_FAILURE;
    for (int i = 2; i < argc; i += 2) {
        enum fl_status st = print_fields(argv[i], argv[i + 1]);
        printf("%s\n", st ? fl_status_name(st) : "");
    }
    return EXIT_SUCCESS;
}
