#include "server/port/run_spec_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "server/port/codec_goal.h"

#define ANY      INFINITY
#define MS_MAX   (7.0 * 86400000)
#define SEED_MAX 9007199254740992.0 /* 2^53 */

/* The file's fields as the table fills them. */
struct spec_file {
    char name[FL_LIMIT_NAME_BYTES + 1];
    int kind, codec;
    uint64_t inputs, outputs, model_seed;
    struct fl_setting_list hidden;
    double lambda, ratio;
    struct fl_codec_goal goal;
    int64_t step_shift;
    uint64_t bits, bucket, rank, dense_below;
    double downlink_ratio, downlink_lambda;
    uint64_t steps, epochs, batch, seed;
    double learning_rate, momentum, weight_decay, server_rate;
    uint64_t rounds, target, minimum, over_select, gather_ms, deadline_ms, max_late;
    double norm_limit;
    bool keep_updates;
};

static const char *const kinds[] = {"logistic", "softmax", "mlp", NULL}; /* as enum fl_model_kind */

#define FIELD(field) FL_SETTING_FIELD(struct spec_file, field)

const struct fl_setting fl_run_spec_rows[] = {
    {.key = "name",
     .type = FL_SETTING_STRING,
     FIELD(name),
     .required = true,
     .help = "1 to 64 of a-z A-Z 0-9 . _ -"},
    {.key = "model.kind",
     .type = FL_SETTING_CHOICE,
     FIELD(kind),
     .choices = kinds,
     .required = true,
     .help = "logistic regression, softmax regression, or layers with ReLU"},
    {.key = "model.inputs",
     .type = FL_SETTING_U64,
     FIELD(inputs),
     .min = 1,
     .max = 4294967295.0,
     .required = true,
     .help = "features of one example"},
    {.key = "model.outputs",
     .type = FL_SETTING_U64,
     FIELD(outputs),
     .min = 1,
     .max = 4294967295.0,
     .required = true,
     .help = "classes; 1 for logistic"},
    {.key = "model.hidden",
     .type = FL_SETTING_U64_LIST,
     FIELD(hidden),
     .min = 1,
     .max = 4294967295.0,
     .help = "units of each hidden layer; for mlp only, at most 8 layers"},
    {.key = "model.seed",
     .type = FL_SETTING_U64,
     FIELD(model_seed),
     .max = SEED_MAX,
     .def = "1",
     .help = "of the first values of the model"},
    {.key = "codec.name",
     .type = FL_SETTING_CHOICE,
     FIELD(codec),
     .choices = fl_codec_names,
     .def = "int-threshold",
     .help = "how clients compress updates"},
    {.key = "codec.lambda",
     .type = FL_SETTING_DOUBLE,
     FIELD(lambda),
     .max = 1e15,
     .def = "0",
     .unit = "parameter units",
     .help = "threshold; 0: measured in a calibration round before round 1"},
    {.key = "codec.lambda_count",
     .type = FL_SETTING_DOUBLE,
     FIELD(goal.count),
     .max = (double)FL_CODEC_DIM_MAX,
     .def = "0",
     .unit = "coordinates",
     .help = "instead: lambda = learning_rate x steps / (2 sqrt(count)), for about so many in a message"},
    {.key = "codec.lambda_accuracy",
     .type = FL_SETTING_DOUBLE,
     FIELD(goal.accuracy),
     .max = 1e15,
     .def = "0",
     .help = "instead: lambda = sqrt(accuracy / d), so that no residual's squared norm is above accuracy"},
    {.key = "codec.lambda_smoothness",
     .type = FL_SETTING_DOUBLE,
     FIELD(goal.smoothness),
     .max = 1e15,
     .def = "0",
     .help = "with lambda_accuracy, L of the loss: lambda = sqrt(2 accuracy / (L d)), accuracy in the loss's "
             "unit"},
    {.key = "codec.step_shift",
     .type = FL_SETTING_I64,
     FIELD(step_shift),
     .min = -2,
     .max = 1,
     .def = "1",
     .help = "int-threshold: grid step = lambda * 2^step_shift, not 0; round-random: 1"},
    {.key = "codec.ratio",
     .type = FL_SETTING_DOUBLE,
     FIELD(ratio),
     .max = 1,
     .def = "0.01",
     .help = "topk and its kin: fraction of coordinates sent"},
    {.key = "codec.bytes",
     .type = FL_SETTING_U64,
     FIELD(goal.bytes),
     .max = 4294967295.0,
     .def = "0",
     .unit = "bytes",
     .help = "topk and its kin, instead of ratio: about how large a payload may be"},
    {.key = "codec.bits",
     .type = FL_SETTING_U64,
     FIELD(bits),
     .min = 2,
     .max = 8,
     .def = "3",
     .help = "quantisers with levels: bits of a value; sketches: of a counter"},
    {.key = "codec.bucket",
     .type = FL_SETTING_U64,
     FIELD(bucket),
     .min = 1,
     .max = 4294967295.0,
     .def = "512",
     .help = "quantisers, block-int: values that share a scale"},
    {.key = "codec.rank",
     .type = FL_SETTING_U64,
     FIELD(rank),
     .min = 1,
     .max = 4294967295.0,
     .def = "2",
     .help = "low rank: columns of each factor; sketches: 2 rank + 1 rows, rank up to 31"},
    {.key = "codec.dense_below",
     .type = FL_SETTING_U64,
     FIELD(dense_below),
     .max = 4294967295.0,
     .def = "0",
     .unit = "parameters",
     .help = "1 or more: each tensor is compressed by itself, and sent whole if it has fewer; 0: all as one"},
    {.key = "downlink.ratio",
     .type = FL_SETTING_DOUBLE,
     FIELD(downlink_ratio),
     .max = ANY,
     .def = "0.25",
     .help = "threshold of published changes as a fraction of lambda"},
    {.key = "downlink.lambda",
     .type = FL_SETTING_DOUBLE,
     FIELD(downlink_lambda),
     .max = ANY,
     .def = "0",
     .unit = "parameter units",
     .help = "the same for codecs without lambda; 0: every change is published"},
    {.key = "train.steps",
     .type = FL_SETTING_U64,
     FIELD(steps),
     .max = FL_LIMIT_LOCAL_STEPS,
     .def = "20",
     .help = "local mini-batches a round; 0: train.epochs counts"},
    {.key = "train.epochs",
     .type = FL_SETTING_U64,
     FIELD(epochs),
     .max = FL_LIMIT_LOCAL_STEPS,
     .def = "0",
     .help = "passes over the local data instead; giving it sets train.steps to 0"},
    {.key = "train.batch",
     .type = FL_SETTING_U64,
     FIELD(batch),
     .min = 1,
     .max = FL_LIMIT_BATCH,
     .def = "32",
     .unit = "examples",
     .help = "of one mini-batch"},
    {.key = "train.learning_rate",
     .type = FL_SETTING_DOUBLE,
     FIELD(learning_rate),
     .max = 1e15,
     .def = "0.1",
     .help = "of local SGD"},
    {.key = "train.momentum",
     .type = FL_SETTING_DOUBLE,
     FIELD(momentum),
     .max = 0.999999,
     .def = "0.9",
     .help = "of local SGD; starts at 0 in every round"},
    {.key = "train.weight_decay",
     .type = FL_SETTING_DOUBLE,
     FIELD(weight_decay),
     .max = 1e15,
     .def = "0",
     .help = "L2 coefficient of local SGD"},
    {.key = "seed",
     .type = FL_SETTING_U64,
     FIELD(seed),
     .max = SEED_MAX,
     .def = "1",
     .help = "of mini-batches and cohorts"},
    {.key = "server_rate",
     .type = FL_SETTING_DOUBLE,
     FIELD(server_rate),
     .max = ANY,
     .def = "1",
     .help = "step of the server along the weighted mean of the updates"},
    {.key = "rounds",
     .type = FL_SETTING_U64,
     FIELD(rounds),
     .min = 1,
     .max = 1e9,
     .required = true,
     .help = "training rounds until the run ends"},
    {.key = "round.target",
     .type = FL_SETTING_U64,
     FIELD(target),
     .min = 1,
     .max = (double)FL_LIMIT_COHORT,
     .required = true,
     .help = "updates that close a round"},
    {.key = "round.minimum",
     .type = FL_SETTING_U64,
     FIELD(minimum),
     .min = 1,
     .max = (double)FL_LIMIT_COHORT,
     .def = "1",
     .help = "updates without which the deadline only extends the round"},
    {.key = "round.over_select",
     .type = FL_SETTING_U64,
     FIELD(over_select),
     .max = (double)FL_LIMIT_COHORT,
     .def = "0",
     .help = "clients drawn beyond the target"},
    {.key = "round.gather_ms",
     .type = FL_SETTING_U64,
     FIELD(gather_ms),
     .max = MS_MAX,
     .def = "1000",
     .unit = "milliseconds",
     .help = "how long to wait for clients before the cohort is drawn"},
    {.key = "round.deadline_ms",
     .type = FL_SETTING_U64,
     FIELD(deadline_ms),
     .min = 100,
     .max = MS_MAX,
     .def = "600000",
     .unit = "milliseconds",
     .help = "of a round, from the drawing of its cohort"},
    {.key = "round.max_late",
     .type = FL_SETTING_U64,
     FIELD(max_late),
     .max = 1000,
     .def = "1",
     .unit = "rounds",
     .help = "that an update may be late and still count"},
    {.key = "norm_limit",
     .type = FL_SETTING_DOUBLE,
     FIELD(norm_limit),
     .max = ANY,
     .def = "0",
     .unit = "parameter units",
     .help = "largest l2 norm of one update; 0: no limit"},
    {.key = "keep_updates",
     .type = FL_SETTING_BOOL,
     FIELD(keep_updates),
     .def = "false",
     .help = "keep accepted payloads after publishing, as proof of what was sent"},
};

const size_t fl_run_spec_row_count = sizeof(fl_run_spec_rows) / sizeof(fl_run_spec_rows[0]);

static void fill_model(const struct spec_file *file, struct fl_model_spec *model)
{
    model->kind = (enum fl_model_kind)file->kind;
    model->inputs = (uint32_t)file->inputs;
    model->outputs = (uint32_t)file->outputs;
    model->seed = file->model_seed;
    model->hidden_count = (uint32_t)file->hidden.count;
    for (size_t i = 0; i < file->hidden.count; i++)
        model->hidden[i] = (uint32_t)file->hidden.items[i];
}

static void fill_codec(const struct spec_file *file, struct fl_run_spec *spec)
{
    const struct fl_codec *codec = fl_codec_find(fl_codec_names[file->codec]);
    snprintf(spec->codec.name, sizeof(spec->codec.name), "%s", codec->name);
    spec->codec.lambda = codec->uses_lambda ? (float)file->lambda : 0;
    spec->codec.ratio = codec->uses_ratio ? (float)file->ratio : 0;
    spec->codec.bits = codec->uses_bits ? (uint32_t)file->bits : 0;
    spec->codec.bucket = codec->uses_bucket ? (uint32_t)file->bucket : 0;
    spec->codec.rank = codec->uses_rank ? (uint32_t)file->rank : 0;
    spec->step_shift = (int32_t)file->step_shift;
    spec->dense_below = (uint32_t)file->dense_below;
    spec->downlink_ratio = file->downlink_ratio;
    spec->downlink_lambda = file->downlink_lambda;
}

static void fill_rest(const struct spec_file *file, int steps_given, struct fl_run_spec *spec)
{
    memcpy(spec->name, file->name, sizeof(spec->name));
    spec->plan = (struct fl_train_plan){
        .steps = file->epochs && !steps_given ? 0 : (uint32_t)file->steps,
        .epochs = (uint32_t)file->epochs,
        .batch = (uint32_t)file->batch,
        .learning_rate = (float)file->learning_rate,
        .momentum = (float)file->momentum,
        .weight_decay = (float)file->weight_decay,
        .seed = file->seed,
    };
    spec->server_rate = file->server_rate;
    spec->rounds = file->rounds;
    spec->target = file->target;
    spec->minimum = file->minimum;
    spec->over_select = file->over_select;
    spec->gather_ms = file->gather_ms;
    spec->deadline_ms = file->deadline_ms;
    spec->max_late = file->max_late;
    spec->norm_limit = file->norm_limit;
    spec->keep_updates = file->keep_updates;
}

enum fl_status fl_run_spec_read(const char *name, struct fl_bytes text, struct fl_run_spec *ret_spec,
                                struct fl_error *err)
{
    struct fl_settings settings;
    struct spec_file file;
    struct fl_run_spec spec = {0};
    char reason[FL_LIMIT_TEXT_BYTES + 1];
    enum fl_status st = fl_settings_init(&settings, fl_run_spec_rows, fl_run_spec_row_count, &file, err);

    if (!st)
        st = fl_settings_load_text(&settings, name, text, err);
    if (!st)
        st = fl_settings_check_required(&settings, name, err);
    if (st)
        return st;
    if (file.hidden.count > FL_LIMIT_HIDDEN_LAYERS)
        return fl_error_set(err, FL_ERR_CONFIG, "%s: model.hidden: at most %d layers", name,
                            FL_LIMIT_HIDDEN_LAYERS);
    fill_model(&file, &spec.model);
    fill_codec(&file, &spec);
    fill_rest(&file, fl_settings_given(&settings, "train.steps"), &spec);
    st = fl_codec_goal_apply(&file.goal, name, fl_settings_given(&settings, "codec.lambda"),
                             fl_settings_given(&settings, "codec.ratio"), &spec, err);
    if (st)
        return st;
    if (fl_run_spec_check(&spec, reason))
        return fl_error_set(err, FL_ERR_CONFIG, "%s: %s", name, reason);
    *ret_spec = spec;
    return FL_OK;
}
