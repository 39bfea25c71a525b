#include "protocol/messages.h"

#include <string.h>

#include "protocol/fields.h"

_Static_assert(sizeof(enum fl_work_kind) == 4 && sizeof(enum fl_run_state) == 4 &&
                   sizeof(enum fl_verdict_kind) == 4 && sizeof(enum fl_model_form) == 4 &&
                   sizeof(enum fl_model_kind) == 4 && sizeof(enum fl_proof_state) == 4,
               "enums travel as uint32");

/* Where a member of a message's struct stands. */
#define AT(noun, member) .offset = offsetof(struct fl_##noun, member)
#define SHAPE(fields_name)                                                                                   \
    {                                                                                                        \
        .fields = fields_name, .count = sizeof fields_name / sizeof fields_name[0]                           \
    }

/* Parts of messages. */

static const struct fl_field version_fields[] = {
    {"epoch", FL_FIELD_U64, AT(version, epoch), .max = UINT64_MAX},
    {"number", FL_FIELD_U64, AT(version, number), .max = UINT64_MAX},
    {"digest", FL_FIELD_HASH, AT(version, digest), .max = sizeof(struct fl_model_digest)},
};
static const struct fl_shape version_shape = {version_fields, 3, .as_array = 1};

static const struct fl_field metrics_fields[] = {
    {"examples", FL_FIELD_U64, AT(metrics, examples), .max = UINT64_MAX},
    {"correct", FL_FIELD_U64, AT(metrics, correct), .max = UINT64_MAX},
    {"loss_sum", FL_FIELD_F64, AT(metrics, loss_sum)},
};
static const struct fl_shape metrics_shape = {metrics_fields, 3, .as_array = 1};

static const struct fl_field codec_fields[] = {
    {"name", FL_FIELD_NAME, AT(codec_spec, name), .max = FL_LIMIT_NAME_BYTES},
    {"lambda", FL_FIELD_F32, 1, AT(codec_spec, lambda)},
    {"step", FL_FIELD_I32, 1, AT(codec_spec, step_log2), .max = 200},
    {"ratio", FL_FIELD_F32, 1, AT(codec_spec, ratio), .float_max = 1},
    {"bits", FL_FIELD_U32, 1, AT(codec_spec, bits), .max = 32},
    {"bucket", FL_FIELD_U32, 1, AT(codec_spec, bucket), .max = UINT32_MAX},
    {"rank", FL_FIELD_U32, 1, AT(codec_spec, rank), .max = UINT32_MAX},
    {"part", FL_FIELD_NAME, 1, AT(codec_spec, part), .max = FL_LIMIT_NAME_BYTES},
    {"dense_below", FL_FIELD_U32, 1, AT(codec_spec, dense_below), .max = UINT32_MAX},
};
static const struct fl_shape codec_shape = SHAPE(codec_fields);

static const struct fl_field plan_fields[] = {
    {"s", FL_FIELD_U32, 1, AT(train_plan, steps), .max = FL_LIMIT_LOCAL_STEPS},
    {"e", FL_FIELD_U32, 1, AT(train_plan, epochs), .max = FL_LIMIT_LOCAL_STEPS},
    {"b", FL_FIELD_U32, AT(train_plan, batch), .min = 1, .max = FL_LIMIT_BATCH},
    {"l", FL_FIELD_F32, AT(train_plan, learning_rate)},
    {"m", FL_FIELD_F32, 1, AT(train_plan, momentum), .float_max = 0x1.fffffep-1},
    {"w", FL_FIELD_F32, 1, AT(train_plan, weight_decay)},
    {"z", FL_FIELD_U64, 1, AT(train_plan, seed), .max = UINT64_MAX},
};
static const struct fl_shape plan_shape = SHAPE(plan_fields);

static const char *model_kind_text(uint32_t kind)
{
    return fl_model_kind_name((enum fl_model_kind)kind);
}

static const struct fl_field model_fields[] = {
    {"kind", FL_FIELD_CHOICE, AT(model_spec, kind), .max = FL_MODEL_MLP, .choice = model_kind_text},
    {"inputs", FL_FIELD_U32, AT(model_spec, inputs), .max = UINT32_MAX},
    {"outputs", FL_FIELD_U32, AT(model_spec, outputs), .max = UINT32_MAX},
    {"hidden", FL_FIELD_LIST, 1, AT(model_spec, hidden), .max = FL_LIMIT_HIDDEN_LAYERS,
     .count_offset = offsetof(struct fl_model_spec, hidden_count)},
    {"seed", FL_FIELD_U64, 1, AT(model_spec, seed), .max = UINT64_MAX},
};
static const struct fl_shape model_shape = SHAPE(model_fields);

/* Whole messages. */

static const struct fl_field enroll_request_fields[] = {
    {"token", FL_FIELD_TEXT, AT(enroll_request, token), .min = 1, .max = FL_LIMIT_TOKEN_BYTES},
    {"name", FL_FIELD_TEXT, 1, AT(enroll_request, name), .max = FL_LIMIT_NAME_BYTES},
    {"csr", FL_FIELD_BIN, AT(enroll_request, csr), .min = 1, .max = FL_LIMIT_CSR_BYTES},
};
static const struct fl_shape enroll_request_shape = SHAPE(enroll_request_fields);

static const struct fl_field enroll_answer_fields[] = {
    {"client", FL_FIELD_NAME, AT(enroll_answer, client), .max = FL_LIMIT_NAME_BYTES},
    {"chain", FL_FIELD_BIN, AT(enroll_answer, chain), .min = 1, .max = FL_LIMIT_CHAIN_BYTES},
};
static const struct fl_shape enroll_answer_shape = SHAPE(enroll_answer_fields);

static const char *run_state_text(uint32_t state)
{
    return state == FL_RUN_ACTIVE ? "active" : "ended";
}

static const struct fl_field run_info_fields[] = {
    {"name", FL_FIELD_NAME, AT(run_info, name), .max = FL_LIMIT_NAME_BYTES},
    {"epoch", FL_FIELD_U64, AT(run_info, epoch), .max = UINT64_MAX},
    {"state", FL_FIELD_CHOICE, AT(run_info, state), .max = FL_RUN_ENDED, .choice = run_state_text},
    {"round", FL_FIELD_U64, AT(run_info, round), .max = UINT64_MAX},
    {"rounds", FL_FIELD_U64, AT(run_info, rounds), .max = UINT64_MAX},
    {"version", FL_FIELD_GROUP, AT(run_info, version), .group = &version_shape},
    {"model", FL_FIELD_GROUP, AT(run_info, model), .group = &model_shape},
    {"codec", FL_FIELD_GROUP, AT(run_info, codec), .group = &codec_shape},
    {"origin", FL_FIELD_U64, 1, AT(run_info, origin), .max = UINT64_MAX},
};
static const struct fl_shape run_info_shape = SHAPE(run_info_fields);

static const struct fl_field work_fields[] = {
    {"k", FL_FIELD_U32, 1, AT(work, kind), .max = FL_WORK_CALIBRATE},
    {"r", FL_FIELD_U64, AT(work, round), .max = UINT64_MAX},
    {"b", FL_FIELD_GROUP, AT(work, base), .group = &version_shape},
    {"q", FL_FIELD_U64, AT(work, seq), .min = 1, .max = UINT64_MAX},
    {"t", FL_FIELD_U64, AT(work, deadline_ms), .max = FL_LIMIT_DURATION_MS},
    {"p", FL_FIELD_GROUP, AT(work, plan), .group = &plan_shape},
    {"c", FL_FIELD_GROUP, AT(work, codec), .group = &codec_shape},
};
static const struct fl_shape work_shape = SHAPE(work_fields);

static const struct fl_field update_fields[] = {
    {"k", FL_FIELD_U32, 1, AT(update, kind), .max = FL_WORK_CALIBRATE},
    {"r", FL_FIELD_U64, AT(update, round), .max = UINT64_MAX},
    {"b", FL_FIELD_GROUP, AT(update, base), .group = &version_shape},
    {"w", FL_FIELD_U64, AT(update, weight), .min = 1, .max = FL_LIMIT_WEIGHT},
    {"s", FL_FIELD_U32, AT(update, steps), .max = FL_LIMIT_LOCAL_STEPS},
    {"l", FL_FIELD_F64, 1, AT(update, train_loss)},
    {"n", FL_FIELD_F32, 1, AT(update, residual_norm)},
    {"d", FL_FIELD_U64, 1, AT(update, dropped), .max = UINT64_MAX},
    {"m", FL_FIELD_GROUP, 1, AT(update, metrics), .group = &metrics_shape},
    {"x", FL_FIELD_F64, 1, AT(update, delta_squares)},
    {"p", FL_FIELD_BIN, 1, AT(update, payload), .max = UINT32_MAX},
};
static const struct fl_shape update_shape = SHAPE(update_fields);

static const struct fl_field verdict_fields[] = {
    {"k", FL_FIELD_U32, AT(verdict, kind), .max = FL_VERDICT_CONFLICT},
    {"e", FL_FIELD_U64, AT(verdict, epoch), .max = UINT64_MAX},
    {"q", FL_FIELD_U64, AT(verdict, seq), .max = UINT64_MAX},
    {"h", FL_FIELD_HASH, AT(verdict, digest), .max = FL_DIGEST_SIZE},
    {"r", FL_FIELD_U64, AT(verdict, round), .max = UINT64_MAX},
    {"n", FL_FIELD_U64, AT(verdict, expected_seq), .max = UINT64_MAX},
    {"t", FL_FIELD_HASH, 1, AT(verdict, receipt), .max = FL_DIGEST_SIZE},
    {"m", FL_FIELD_TEXT, 1, AT(verdict, reason), .max = FL_LIMIT_TEXT_BYTES},
    {"a", FL_FIELD_U64, 1, AT(verdict, total), .max = UINT64_MAX},
};
static const struct fl_shape verdict_shape = SHAPE(verdict_fields);

static const struct fl_field proof_fields[] = {
    {"k", FL_FIELD_U32, 1, AT(proof, kind), .max = FL_VERDICT_INVALID},
    {"e", FL_FIELD_U64, 1, AT(proof, epoch), .max = UINT64_MAX},
    {"q", FL_FIELD_U64, 1, AT(proof, seq), .max = UINT64_MAX},
    {"h", FL_FIELD_HASH, 1, AT(proof, digest), .max = FL_DIGEST_SIZE},
    {"r", FL_FIELD_U64, 1, AT(proof, round), .max = UINT64_MAX},
    {"w", FL_FIELD_U64, 1, AT(proof, weight), .max = FL_LIMIT_WEIGHT},
    {"a", FL_FIELD_U64, 1, AT(proof, total), .max = UINT64_MAX},
    {"t", FL_FIELD_HASH, 1, AT(proof, receipt), .max = FL_DIGEST_SIZE},
};
static const struct fl_shape proof_shape = SHAPE(proof_fields);

static const struct fl_field standing_fields[] = {
    {"k", FL_FIELD_U32, AT(standing, state), .max = FL_PROOF_LOST},
    {"e", FL_FIELD_U64, AT(standing, epoch), .max = UINT64_MAX},
    {"n", FL_FIELD_U64, AT(standing, expected_seq), .min = 1, .max = UINT64_MAX},
    {"l", FL_FIELD_U64, 1, AT(standing, lost), .max = UINT64_MAX},
};
static const struct fl_shape standing_shape = SHAPE(standing_fields);

static const struct fl_field model_message_fields[] = {
    {"f", FL_FIELD_U32, 1, AT(model_message, form), .max = FL_FORM_DELTA},
    {"b", FL_FIELD_GROUP, AT(model_message, version), .group = &version_shape},
    {"o", FL_FIELD_U64, 1, AT(model_message, from.number), .max = UINT64_MAX},
    {"d", FL_FIELD_U64, AT(model_message, elems), .min = 1, .max = FL_LIMIT_MODEL_ELEMS},
    {"x", FL_FIELD_BIN, AT(model_message, data), .max = UINT32_MAX},
};
static const struct fl_shape model_message_shape = SHAPE(model_message_fields);

/* What must hold between fields, and fields that follow from others: the same before writing and after
 * reading. */

static enum fl_status settle_enroll_request(struct fl_enroll_request *request)
{
    (void)request;
    return FL_OK;
}

static enum fl_status settle_enroll_answer(struct fl_enroll_answer *answer)
{
    (void)answer;
    return FL_OK;
}

static enum fl_status check_codec(const struct fl_codec_spec *codec)
{
    int parts = strcmp(codec->name, FL_CODEC_SPEC_PARTS) == 0;
    return parts == (codec->part[0] != 0) && parts == (codec->dense_below > 0) &&
                   strcmp(codec->part, FL_CODEC_SPEC_PARTS) != 0
               ? FL_OK
               : FL_ERR_RANGE;
}

static enum fl_status settle_run_info(struct fl_run_info *info)
{
    enum fl_status st = check_codec(&info->codec);
    return st ? st : fl_model_spec_check(&info->model);
}

static enum fl_status settle_work(struct fl_work *work)
{
    if (check_codec(&work->codec))
        return FL_ERR_RANGE;
    return work->plan.steps == 0 && work->plan.epochs == 0 ? FL_ERR_RANGE : FL_OK;
}

static enum fl_status settle_update(struct fl_update *update)
{
    if (update->metrics.correct > update->metrics.examples)
        return FL_ERR_RANGE;
    if (update->kind == FL_WORK_CALIBRATE)
        return update->payload.size > 0 ? FL_ERR_RANGE : FL_OK;
    update->delta_squares = 0;
    return FL_OK;
}

static enum fl_status settle_verdict(struct fl_verdict *verdict)
{
    (void)verdict;
    return FL_OK;
}

static enum fl_status settle_proof(struct fl_proof *proof)
{
    (void)proof;
    return FL_OK;
}

static enum fl_status settle_standing(struct fl_standing *standing)
{
    (void)standing;
    return FL_OK;
}

static enum fl_status settle_model_message(struct fl_model_message *message)
{
    uint64_t from = message->from.number;
    memset(&message->from, 0, sizeof message->from);
    if (message->form == FL_FORM_SNAPSHOT)
        return message->data.size == message->elems * sizeof(float) ? FL_OK : FL_ERR_SHAPE;
    message->from.epoch = message->version.epoch;
    message->from.number = from;
    return from < message->version.number ? FL_OK : FL_ERR_RANGE;
}

static enum fl_status encode(const struct fl_shape *shape, const void *message, struct fl_buf *buf)
{
    struct fl_writer writer;
    size_t before = buf->size;
    fl_writer_init(&writer, buf);
    fl_shape_write(&writer, shape, message, 1);
    if (writer.status)
        fl_buf_truncate(buf, before);
    return writer.status;
}

static enum fl_status decode(const struct fl_shape *shape, struct fl_bytes bytes, void *message)
{
    struct fl_reader reader;
    enum fl_status st = fl_message_check(bytes);
    if (st)
        return st;
    fl_reader_init(&reader, bytes);
    fl_shape_read(&reader, shape, message);
    return fl_reader_finish(&reader);
}

#define DEFINE_CODEC(noun)                                                                                   \
    enum fl_status fl_##noun##_encode(const struct fl_##noun *message, struct fl_buf *buf)                   \
    {                                                                                                        \
        struct fl_##noun settled = *message;                                                                 \
        enum fl_status st = settle_##noun(&settled);                                                         \
        return st ? st : encode(&noun##_shape, &settled, buf);                                               \
    }                                                                                                        \
                                                                                                             \
    enum fl_status fl_##noun##_decode(struct fl_bytes bytes, struct fl_##noun *ret_message)                  \
    {                                                                                                        \
        struct fl_##noun message;                                                                            \
        memset(&message, 0, sizeof message);                                                                 \
        enum fl_status st = decode(&noun##_shape, bytes, &message);                                          \
        if (!st)                                                                                             \
            st = settle_##noun(&message);                                                                    \
        if (!st)                                                                                             \
            *ret_message = message;                                                                          \
        return st;                                                                                           \
    }

DEFINE_CODEC(enroll_request)
DEFINE_CODEC(enroll_answer)
DEFINE_CODEC(run_info)
DEFINE_CODEC(work)
DEFINE_CODEC(update)
DEFINE_CODEC(verdict)
DEFINE_CODEC(proof)
DEFINE_CODEC(standing)
DEFINE_CODEC(model_message)

enum fl_status fl_run_list_encode(const struct fl_run_info *runs, size_t count, struct fl_buf *buf)
{
    struct fl_writer writer;
    size_t before = buf->size;
    if (count > FL_LIMIT_RUNS)
        return FL_ERR_LIMIT;
    fl_writer_init(&writer, buf);
    fl_writer_map(&writer, 2);
    fl_writer_text(&writer, "v");
    fl_writer_uint(&writer, FL_PROTOCOL_MAJOR);
    fl_writer_text(&writer, "runs");
    fl_writer_array(&writer, (uint32_t)count);
    for (size_t i = 0; i < count && !writer.status; i++) {
        struct fl_run_info settled = runs[i];
        writer.status = settle_run_info(&settled);
        fl_shape_write(&writer, &run_info_shape, &settled, 0);
    }
    if (writer.status)
        fl_buf_truncate(buf, before);
    return writer.status;
}

/* The array behind "runs"; runs[capacity] may be partly written on failure. */
static size_t read_runs(struct fl_reader *reader, struct fl_run_info *runs, size_t capacity)
{
    uint32_t cap = capacity < FL_LIMIT_RUNS ? (uint32_t)capacity : FL_LIMIT_RUNS;
    uint32_t count = fl_reader_get_array(reader, cap);
    for (uint32_t i = 0; i < count && !reader->status; i++) {
        memset(&runs[i], 0, sizeof runs[i]);
        fl_shape_read(reader, &run_info_shape, &runs[i]);
        if (!reader->status)
            reader->status = settle_run_info(&runs[i]);
    }
    return count;
}

enum fl_status fl_run_list_decode(struct fl_bytes bytes, struct fl_run_info *runs, size_t capacity,
                                  size_t *ret_count)
{
    struct fl_reader reader;
    size_t found = 0, count = 0;
    enum fl_status st = fl_message_check(bytes);
    if (st)
        return st;
    fl_reader_init(&reader, bytes);
    uint32_t entries = fl_reader_get_map(&reader, FL_LIMIT_FIELDS);
    for (uint32_t i = 0; i < entries && !reader.status; i++) {
        struct fl_bytes key = fl_reader_get_text(&reader, FL_LIMIT_NAME_BYTES);
        if (!fl_bytes_equal(key, fl_bytes_from_text("runs")))
            fl_reader_skip(&reader);
        else if (found++ == 0)
            count = read_runs(&reader, runs, capacity);
    }
    st = fl_reader_finish(&reader);
    if (!st && found != 1)
        st = FL_ERR_FORMAT;
    if (!st)
        *ret_count = count;
    return st;
}

static const struct {
    const char *name;
    int http_status;
} verdicts[] = {
    [FL_VERDICT_ACCEPTED] = {"accepted", 201}, [FL_VERDICT_LATE] = {"late", 409},
    [FL_VERDICT_ENDED] = {"ended", 410},       [FL_VERDICT_INVALID] = {"invalid", 422},
    [FL_VERDICT_CONFLICT] = {"conflict", 412},
};

int fl_verdict_http_status(enum fl_verdict_kind kind)
{
    return verdicts[kind].http_status;
}

const char *fl_verdict_name(enum fl_verdict_kind kind)
{
    return verdicts[kind].name;
}
