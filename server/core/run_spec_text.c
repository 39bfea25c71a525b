#include "server/core/run_spec_text.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum field_type { FIELD_NAME, FIELD_U64, FIELD_U32, FIELD_I32, FIELD_F32, FIELD_F64, FIELD_INT, FIELD_MODEL };

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
};

#define FIELD(name, type, member)                                                                            \
    {                                                                                                        \
        name, type, offsetof(struct fl_run_spec, member)                                                     \
    }

static const struct field fields[] = {
    FIELD("name", FIELD_NAME, name),
    FIELD("model.kind", FIELD_MODEL, model.kind),
    FIELD("model.inputs", FIELD_U32, model.inputs),
    FIELD("model.outputs", FIELD_U32, model.outputs),
    FIELD("model.hidden_count", FIELD_U32, model.hidden_count),
    FIELD("model.hidden.0", FIELD_U32, model.hidden[0]),
    FIELD("model.hidden.1", FIELD_U32, model.hidden[1]),
    FIELD("model.hidden.2", FIELD_U32, model.hidden[2]),
    FIELD("model.hidden.3", FIELD_U32, model.hidden[3]),
    FIELD("model.hidden.4", FIELD_U32, model.hidden[4]),
    FIELD("model.hidden.5", FIELD_U32, model.hidden[5]),
    FIELD("model.hidden.6", FIELD_U32, model.hidden[6]),
    FIELD("model.hidden.7", FIELD_U32, model.hidden[7]),
    FIELD("model.seed", FIELD_U64, model.seed),
    FIELD("codec.name", FIELD_NAME, codec.name),
    FIELD("codec.lambda", FIELD_F32, codec.lambda),
    FIELD("codec.ratio", FIELD_F32, codec.ratio),
    FIELD("codec.bits", FIELD_U32, codec.bits),
    FIELD("codec.bucket", FIELD_U32, codec.bucket),
    FIELD("codec.rank", FIELD_U32, codec.rank),
    FIELD("step_shift", FIELD_I32, step_shift),
    FIELD("dense_below", FIELD_U32, dense_below),
    FIELD("downlink_ratio", FIELD_F64, downlink_ratio),
    FIELD("downlink_lambda", FIELD_F64, downlink_lambda),
    FIELD("plan.steps", FIELD_U32, plan.steps),
    FIELD("plan.epochs", FIELD_U32, plan.epochs),
    FIELD("plan.batch", FIELD_U32, plan.batch),
    FIELD("plan.learning_rate", FIELD_F32, plan.learning_rate),
    FIELD("plan.momentum", FIELD_F32, plan.momentum),
    FIELD("plan.weight_decay", FIELD_F32, plan.weight_decay),
    FIELD("plan.seed", FIELD_U64, plan.seed),
    FIELD("server_rate", FIELD_F64, server_rate),
    FIELD("rounds", FIELD_U64, rounds),
    FIELD("target", FIELD_U64, target),
    FIELD("minimum", FIELD_U64, minimum),
    FIELD("over_select", FIELD_U64, over_select),
    FIELD("gather_ms", FIELD_U64, gather_ms),
    FIELD("deadline_ms", FIELD_U64, deadline_ms),
    FIELD("max_late", FIELD_U64, max_late),
    FIELD("norm_limit", FIELD_F64, norm_limit),
    FIELD("keep_updates", FIELD_INT, keep_updates),
};
_Static_assert(FL_LIMIT_HIDDEN_LAYERS == 8, "one row of the table for each hidden layer");

enum fl_status fl_run_spec_to_text(const struct fl_run_spec *spec, struct fl_buf *text)
{
    enum fl_status st = FL_OK;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && !st; i++) {
        const void *at = (const char *)spec + fields[i].offset;
        const char *name = fields[i].name;
        switch (fields[i].type) {
        case FIELD_NAME:
            st = fl_buf_printf(text, "%s=%s\n", name, (const char *)at);
            break;
        case FIELD_U64:
            st = fl_buf_printf(text, "%s=%llu\n", name, (unsigned long long)*(const uint64_t *)at);
            break;
        case FIELD_U32:
            st = fl_buf_printf(text, "%s=%lu\n", name, (unsigned long)*(const uint32_t *)at);
            break;
        case FIELD_I32:
            st = fl_buf_printf(text, "%s=%ld\n", name, (long)*(const int32_t *)at);
            break;
        case FIELD_F32:
            st = fl_buf_printf(text, "%s=%a\n", name, (double)*(const float *)at);
            break;
        case FIELD_F64:
            st = fl_buf_printf(text, "%s=%a\n", name, *(const double *)at);
            break;
        case FIELD_INT:
            st = fl_buf_printf(text, "%s=%d\n", name, *(const int *)at);
            break;
        case FIELD_MODEL:
            st = fl_buf_printf(text, "%s=%s\n", name, fl_model_kind_name(*(const enum fl_model_kind *)at));
            break;
        }
    }
    return st;
}

static enum fl_status parse_value(const struct field *field, const char *value, struct fl_run_spec *spec)
{
    void *at = (char *)spec + field->offset;
    char *end = NULL;

    errno = 0;
    switch (field->type) {
    case FIELD_NAME:
        if (strlen(value) > FL_LIMIT_NAME_BYTES)
            return FL_ERR_FORMAT;
        memcpy(at, value, strlen(value) + 1);
        return FL_OK;
    case FIELD_MODEL:
        return fl_model_kind_find(value, at) ? FL_ERR_FORMAT : FL_OK;
    case FIELD_U64:
        *(uint64_t *)at = strtoull(value, &end, 10);
        break;
    case FIELD_U32:
        *(uint32_t *)at = (uint32_t)strtoul(value, &end, 10);
        break;
    case FIELD_I32:
        *(int32_t *)at = (int32_t)strtol(value, &end, 10);
        break;
    case FIELD_INT:
        *(int *)at = (int)strtol(value, &end, 10);
        break;
    case FIELD_F32:
        *(float *)at = strtof(value, &end);
        break;
    case FIELD_F64:
        *(double *)at = strtod(value, &end);
        break;
    }
    return end == value || *end != '\0' || errno != 0 ? FL_ERR_FORMAT : FL_OK;
}

static enum fl_status parse_line(char *line, struct fl_run_spec *spec)
{
    char *equals = strchr(line, '=');

    if (!equals)
        return FL_ERR_FORMAT;
    *equals = '\0';
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (!strcmp(fields[i].name, line))
            return parse_value(&fields[i], equals + 1, spec);
    return FL_ERR_FORMAT;
}

enum fl_status fl_run_spec_from_text(const char *text, struct fl_run_spec *ret_spec)
{
    struct fl_run_spec spec;

    memset(&spec, 0, sizeof spec);
    while (*text) {
        char line[256];
        size_t length = strcspn(text, "\n");
        if (length >= sizeof line)
            return FL_ERR_FORMAT;
        memcpy(line, text, length);
        line[length] = '\0';
        enum fl_status st = parse_line(line, &spec);
        if (st)
            return st;
        text += length + (text[length] == '\n');
    }
    *ret_spec = spec;
    return FL_OK;
}
