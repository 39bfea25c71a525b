#include "client/port/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/parallel.h"
#include "platform/crypto.h"

#define FIELD(field) FL_SETTING_FIELD(struct fl_client_config, field)
#define COUNT(rows)  (sizeof(rows) / sizeof(rows)[0])

static const char *const formats[] = {"csv", "libsvm", "idx", NULL};
static const char *const headers[] = {"auto", "yes", "no", NULL};
static const char *const label_maps[] = {"auto", "zero", "one", "signed", NULL};
static const char *const partitions[] = {"none", "iid", "dirichlet", "shards", "groups", NULL};
static const char *const model_kinds[] = {"logistic", "softmax", "mlp", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

_Static_assert(FL_DATA_CSV == 0 && FL_DATA_LIBSVM == 1 && FL_DATA_IDX == 2, "order of formats");
_Static_assert(FL_CSV_HEADER_AUTO == 0 && FL_CSV_HEADER_YES == 1 && FL_CSV_HEADER_NO == 2, "headers");
_Static_assert(FL_LABELS_AUTO == 0 && FL_LABELS_ZERO == 1 && FL_LABELS_ONE == 2 && FL_LABELS_SIGNED == 3,
               "order of label_maps");
_Static_assert(FL_PARTITION_NONE == 0 && FL_PARTITION_IID == 1 && FL_PARTITION_DIRICHLET == 2 &&
                   FL_PARTITION_SHARDS == 3 && FL_PARTITION_GROUPS == 4,
               "order of partitions");
_Static_assert(FL_MODEL_LOGISTIC == 0 && FL_MODEL_SOFTMAX == 1 && FL_MODEL_MLP == 2, "order of model_kinds");
_Static_assert(FL_LOG_DEBUG == 0 && FL_LOG_INFO == 1 && FL_LOG_WARN == 2 && FL_LOG_ERROR == 3, "log_levels");

/* clang-format off */
#define DATA_ROWS                                                                                            \
    {.key = "data.path", .type = FL_SETTING_STRING, FIELD(data.path.text), .option = "data", .required = true, \
     .help = "file with the examples; several parts of one file: parted by commas"},                         \
    {.key = "data.labels", .type = FL_SETTING_STRING, FIELD(data.labels.text),                               \
     .help = "file with the labels, for idx"},                                                               \
    {.key = "data.test_path", .type = FL_SETTING_STRING, FIELD(data.test_path.text),                         \
     .help = "file with the test examples; otherwise a part of data.path is held out"},                      \
    {.key = "data.test_labels", .type = FL_SETTING_STRING, FIELD(data.test_labels.text),                     \
     .help = "file with the labels of the test examples, for idx"},                                          \
    {.key = "data.format", .type = FL_SETTING_CHOICE, FIELD(data.format), .choices = formats, .def = "csv",  \
     .help = "format of the files; each may be plain, gzip or xz"},                                          \
    {.key = "data.header", .type = FL_SETTING_CHOICE, FIELD(data.header), .choices = headers, .def = "auto", \
     .help = "whether a csv file opens with names of columns"},                                              \
    {.key = "data.label_column", .type = FL_SETTING_I64, FIELD(data.label_column), .min = -1, .max = 1e6,    \
     .def = "-1", .help = "column of the label in a csv file, from 0; -1 is the last"},                      \
    {.key = "data.label_map", .type = FL_SETTING_CHOICE, FIELD(data.label_map), .choices = label_maps,       \
     .def = "auto", .help = "labels as in the file: from zero, from one, or -1 and +1"},                     \
    {.key = "data.features", .type = FL_SETTING_U64, FIELD(data.features), .min = 0,                         \
     .max = FL_DATA_LIMIT_FEATURES, .def = "0", .help = "features of an example; 0: as the file has"},       \
    {.key = "data.classes", .type = FL_SETTING_U64, FIELD(data.classes), .min = 0,                           \
     .max = FL_DATA_LIMIT_CLASSES, .def = "0", .help = "number of classes; 0: as the file has"},             \
    {.key = "data.max_bytes", .type = FL_SETTING_SIZE, FIELD(data.max_bytes), .min = 1, .max = 0x1p40,       \
     .def = "2GiB", .help = "most memory that the examples may take"},                                       \
    {.key = "data.scale", .type = FL_SETTING_DOUBLE, FIELD(data.scale), .min = 0, .max = 1e9, .def = "0",    \
     .help = "factor on every feature; 0: 1, and 1/255 for idx"},                                            \
    {.key = "data.scale_columns", .type = FL_SETTING_BOOL, FIELD(data.scale_columns), .def = "false",        \
     .help = "divide each feature by its largest magnitude in the whole file"},                              \
    {.key = "data.test_fraction", .type = FL_SETTING_DOUBLE, FIELD(data.test_fraction), .min = 0,            \
     .max = 0.99, .def = "0.2", .help = "share of the examples that is held out for testing"},               \
    {.key = "data.seed", .type = FL_SETTING_U64, FIELD(data.seed), .def = "0",                               \
     .help = "seed of what is held out and of the partition; the same for all clients"}

static const struct fl_setting run_rows[] = {
    {.key = "server.url", .type = FL_SETTING_STRING, FIELD(server_url), .option = "server", .required = true,
     .help = "https://HOST:PORT of the server"},
    {.key = "run", .type = FL_SETTING_STRING, FIELD(run), .required = true, .help = "name of the run to take part in"},
    {.key = "state", .type = FL_SETTING_STRING, FIELD(state), .required = true,
     .help = "state folder made by `fl-client enroll`; as precious as data"},
    {.key = "keep_history", .type = FL_SETTING_BOOL, FIELD(keep_history), .def = "false",
     .help = "keep the vectors of every update, to check the books from outside; grows by 3 models a round"},
    {.key = "poll_ms", .type = FL_SETTING_U64, FIELD(poll_ms), .min = 0, .max = 600000, .def = "30000",
     .unit = "milliseconds", .help = "how long one request for work may wait on the server"},
    {.key = "train.time_budget_ms", .type = FL_SETTING_U64, FIELD(time_budget_ms), .min = 0, .max = 86400000,
     .def = "0", .unit = "milliseconds", .help = "end local training after this long, after one step at least; 0: no budget"},
    {.key = "threads", .type = FL_SETTING_U64, FIELD(threads), .min = 1, .max = FL_PARALLEL_MAX, .def = "1",
     .help = "threads that compress an update of more than a million parameters; training has one"},
    {.key = "device", .type = FL_SETTING_STRING, FIELD(device), .def = "auto",
     .help = "what computes: cpu, cuda:N (an NVIDIA card, from 0), or auto: cuda:0 if it can be had, else cpu"},
    {.key = "device_memory", .type = FL_SETTING_SIZE, FIELD(device_memory), .min = 0, .max = 0x1p50, .def = "0",
     .help = "memory of the card to take at most; 0: what is free. Data that does not fit is streamed"},
    {.key = "log.level", .type = FL_SETTING_CHOICE, FIELD(log_level), .choices = log_levels, .def = "info",
     .help = "least level of the lines on standard error"},
    DATA_ROWS,
    {.key = "data.partition", .type = FL_SETTING_CHOICE, FIELD(data.partition), .choices = partitions, .def = "none",
     .help = "how a common file is shared out; none: the file is this client's own"},
    {.key = "data.clients", .type = FL_SETTING_U64, FIELD(data.clients), .min = 1, .max = FL_PARTITION_LIMIT_CLIENTS,
     .def = "1", .help = "clients that share the file"},
    {.key = "data.index", .type = FL_SETTING_U64, FIELD(data.index), .min = 0, .max = FL_PARTITION_LIMIT_CLIENTS - 1,
     .def = "0", .help = "which of them this one is, from 0"},
    {.key = "data.alpha", .type = FL_SETTING_DOUBLE, FIELD(data.alpha), .min = 1e-3, .max = 1e6, .def = "0.5",
     .help = "of the Dirichlet partition; small is skewed"},
    {.key = "data.min_samples", .type = FL_SETTING_U64, FIELD(data.min_samples), .min = 0, .max = 1e6, .def = "10",
     .help = "examples of the smallest client of a Dirichlet partition"},
    {.key = "data.groups", .type = FL_SETTING_STRING, FIELD(data.groups),
     .help = "file with the group (writer, patient, site) of each example, for the partition groups"},
    {.key = "data.group_column", .type = FL_SETTING_U64, FIELD(data.group_column), .min = 0, .max = 1e6, .def = "0",
     .help = "column of the group in that file, from 0"},
};

static const struct fl_setting enroll_rows[] = {
    {.key = "server", .type = FL_SETTING_STRING, FIELD(server_url), .required = true, .help = "https://HOST:PORT of the server"},
    {.key = "token", .type = FL_SETTING_STRING, FIELD(token), .help = "enrolment token, ID.SECRET; others can see it in the list of processes"},
    {.key = "token_file", .type = FL_SETTING_STRING, FIELD(token_file), .help = "file that holds the token, instead of --token"},
    {.key = "ca_fingerprint", .type = FL_SETTING_STRING, FIELD(fingerprint), .required = true,
     .help = "SHA-256 of the authority's root certificate, 64 hexadecimal digits"},
    {.key = "state", .type = FL_SETTING_STRING, FIELD(state), .required = true, .help = "state folder to make"},
    {.key = "name", .type = FL_SETTING_STRING, FIELD(name), .help = "name of this client, for people"},
    {.key = "json", .type = FL_SETTING_BOOL, FIELD(json), .def = "false", .help = "print the result as JSON"},
};

#define MODEL_ROWS                                                                                           \
    {.key = "hidden", .type = FL_SETTING_U64_LIST, FIELD(model.hidden), .min = 1, .max = 1e6, .def = "64",   \
     .help = "units of each hidden layer, for mlp"},                                                         \
    {.key = "json", .type = FL_SETTING_BOOL, FIELD(json), .def = "false", .help = "print the result as JSON"}

static const struct fl_setting train_rows[] = {
    DATA_ROWS,
    {.key = "model", .type = FL_SETTING_CHOICE, FIELD(model.kind), .choices = model_kinds, .def = "mlp", .help = "kind of the model"},
    MODEL_ROWS,
    {.key = "seed", .type = FL_SETTING_U64, FIELD(model.seed), .def = "0", .help = "of the first values and of the mini-batches"},
    {.key = "steps", .type = FL_SETTING_U64, FIELD(model.steps), .min = 0, .max = FL_LIMIT_LOCAL_STEPS, .def = "0", .help = "mini-batches; 0: epochs counts"},
    {.key = "epochs", .type = FL_SETTING_U64, FIELD(model.epochs), .min = 0, .max = 1e6, .def = "20", .help = "passes over the data, when steps is 0"},
    {.key = "batch", .type = FL_SETTING_U64, FIELD(model.batch), .min = 1, .max = FL_LIMIT_BATCH, .def = "32", .help = "examples of a mini-batch"},
    {.key = "learning_rate", .type = FL_SETTING_DOUBLE, FIELD(model.learning_rate), .min = 0, .max = 1e6, .def = "0.1", .help = "step size"},
    {.key = "momentum", .type = FL_SETTING_DOUBLE, FIELD(model.momentum), .min = 0, .max = 0.9999, .def = "0.9", .help = "heavy-ball momentum"},
    {.key = "weight_decay", .type = FL_SETTING_DOUBLE, FIELD(model.weight_decay), .min = 0, .max = 1e6, .def = "0", .help = "L2 coefficient"},
};

static const struct fl_setting evaluate_rows[] = {
    DATA_ROWS,
    {.key = "model", .type = FL_SETTING_STRING, FIELD(model.file), .required = true, .help = "exported model, .safetensors"},
    {.key = "kind", .type = FL_SETTING_CHOICE, FIELD(model.kind), .choices = model_kinds, .def = "mlp", .help = "kind of the model"},
    MODEL_ROWS,
};
/* clang-format on */

const struct fl_setting *const fl_config_run_rows = run_rows;
const struct fl_setting *const fl_config_enroll_rows = enroll_rows;
const struct fl_setting *const fl_config_train_rows = train_rows;
const struct fl_setting *const fl_config_evaluate_rows = evaluate_rows;
const size_t fl_config_run_count = COUNT(run_rows), fl_config_enroll_count = COUNT(enroll_rows),
             fl_config_train_count = COUNT(train_rows), fl_config_evaluate_count = COUNT(evaluate_rows);

const struct fl_setting *fl_config_doctor_rows(size_t *ret_count)
{
    static struct fl_setting rows[COUNT(run_rows) + 1];

    memcpy(rows, run_rows, sizeof run_rows);
    for (size_t i = 0; i < COUNT(run_rows); i++)
        rows[i].required = false;
    rows[COUNT(run_rows)] = (struct fl_setting){.key = "json",
                                                .type = FL_SETTING_BOOL,
                                                FIELD(json),
                                                .def = "false",
                                                .help = "print the findings as a JSON array"};
    *ret_count = COUNT(rows);
    return rows;
}

static enum fl_status cut(struct fl_config_paths *paths, const char *key, struct fl_error *err)
{
    paths->count = 0;
    for (char *word = paths->text; *word;) {
        char *comma = strchr(word, ',');
        if (paths->count == FL_CONFIG_PATHS_MAX || comma == word)
            return fl_error_set(err, FL_ERR_CONFIG, "%s: expected 1 to %d file names, parted by commas", key,
                                FL_CONFIG_PATHS_MAX);
        paths->items[paths->count++] = word;
        if (!comma)
            break;
        *comma = 0;
        word = comma + 1;
    }
    return FL_OK;
}

enum fl_status fl_config_token(struct fl_client_config *config, struct fl_error *err)
{
    struct fl_buf file;
    if (!config->token[0] == !config->token_file[0])
        return fl_error_set(err, FL_ERR_CONFIG, "one of --token and --token-file is wanted");
    if (config->token[0])
        return FL_OK;
    fl_buf_init(&file, sizeof config->token);
    enum fl_status st = fl_file_read(config->token_file, &file, err);
    if (!st) {
        const char *end = file.size ? memchr(file.data, '\n', file.size) : NULL;
        size_t size = end ? (size_t)((const uint8_t *)end - file.data) : file.size;
        if (!size || size >= sizeof config->token)
            st = fl_error_set(err, FL_ERR_CONFIG, "%s: one line with a token is wanted", config->token_file);
        else
            snprintf(config->token, sizeof config->token, "%.*s", (int)size, (const char *)file.data);
    }
    if (file.data)
        fl_secret_wipe(file.data, file.size);
    fl_buf_done(&file);
    return st;
}

enum fl_status fl_config_data(struct fl_config_data *data, struct fl_data_config *ret_config,
                              struct fl_error *err)
{
    enum fl_status st = cut(&data->path, "data.path", err);
    if (!st)
        st = cut(&data->labels, "data.labels", err);
    if (!st)
        st = cut(&data->test_path, "data.test_path", err);
    if (!st)
        st = cut(&data->test_labels, "data.test_labels", err);
    if (st)
        return st;
    fl_data_config_init(ret_config);
    ret_config->source.format = data->format;
    ret_config->source.paths = data->path.items;
    ret_config->source.path_count = data->path.count;
    ret_config->source.label_paths = data->labels.items;
    ret_config->source.label_path_count = data->labels.count;
    ret_config->source.header = data->header;
    ret_config->source.label_column = (int32_t)data->label_column;
    ret_config->source.features = (uint32_t)data->features;
    ret_config->source.classes = (uint32_t)data->classes;
    ret_config->source.map = data->label_map;
    ret_config->source.max_bytes = data->max_bytes;
    ret_config->test_paths = data->test_path.items;
    ret_config->test_path_count = data->test_path.count;
    ret_config->test_label_paths = data->test_labels.items;
    ret_config->test_label_path_count = data->test_labels.count;
    ret_config->scale = data->scale;
    ret_config->scale_columns = data->scale_columns;
    ret_config->test_fraction = data->test_fraction;
    ret_config->partition.seed = data->seed;
    /* A command without these rows takes the whole file. */
    ret_config->partition.kind = FL_PARTITION_IID;
    ret_config->partition.count = 1;
    if (data->clients) {
        ret_config->partition.kind = data->partition;
        ret_config->partition.count = (uint32_t)data->clients;
        ret_config->partition.alpha = data->alpha;
        ret_config->partition.min_samples = (uint32_t)data->min_samples;
        ret_config->index = (uint32_t)data->index;
        ret_config->groups_path = data->groups[0] ? data->groups : NULL;
        ret_config->group_column = (uint32_t)data->group_column;
    }
    return FL_OK;
}

enum fl_status fl_config_model(const struct fl_config_model *model, size_t features, uint32_t classes,
                               struct fl_model_spec *ret_spec, struct fl_error *err)
{
    struct fl_model_spec spec = {.kind = model->kind,
                                 .inputs = (uint32_t)features,
                                 .outputs = model->kind == FL_MODEL_LOGISTIC ? 1 : classes,
                                 .seed = model->seed};
    if (model->kind == FL_MODEL_MLP) {
        if (model->hidden.count > FL_LIMIT_HIDDEN_LAYERS)
            return fl_error_set(err, FL_ERR_CONFIG, "hidden: at most %d layers", FL_LIMIT_HIDDEN_LAYERS);
        spec.hidden_count = (uint32_t)model->hidden.count;
        for (size_t i = 0; i < model->hidden.count; i++)
            spec.hidden[i] = (uint32_t)model->hidden.items[i];
    }
    if (model->kind == FL_MODEL_LOGISTIC && classes > 2)
        return fl_error_set(err, FL_ERR_CONFIG, "logistic needs 2 classes, the data has %u", classes);
    if (fl_model_spec_check(&spec))
        return fl_error_set(err, FL_ERR_CONFIG, "model: no layers, or more than %llu parameters",
                            (unsigned long long)FL_LIMIT_MODEL_ELEMS);
    *ret_spec = spec;
    return FL_OK;
}
