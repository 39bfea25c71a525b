#include "server/port/codec_goal.h"

#include <float.h>
#include <inttypes.h>

#include "codec/lambda_rules.h"
#include "codec/payload.h"

/* Of a payload, or of a part of one, besides its coordinates: codec/lambda_rules.h. */
#define HEAD_BYTES 16

static enum fl_status lambda_of(const struct fl_codec_goal *goal, const char *file,
                                const struct fl_run_spec *spec, double *ret_lambda, struct fl_error *err)
{
    double dim = (double)fl_model_spec_elems(&spec->model), rate = (double)spec->plan.learning_rate;
    if (goal->count > 0 && goal->count > dim)
        return fl_error_set(err, FL_ERR_CONFIG, "%s: codec.lambda_count: the model has only %.0f coordinates",
                            file, dim);
    if (goal->count > 0 && spec->plan.steps == 0)
        return fl_error_set(err, FL_ERR_CONFIG,
                            "%s: codec.lambda_count: lambda grows with the local steps, so it goes with "
                            "train.steps and not with train.epochs",
                            file);
    enum fl_status st =
        goal->count > 0 ? fl_lambda_delta_from_count(goal->count, rate, spec->plan.steps, ret_lambda)
                        /* step size 1: of the change of the model, not of its gradients */
                        : fl_lambda_from_accuracy(goal->smoothness > 0 ? FL_LAMBDA_SAFE : FL_LAMBDA_RELAXED,
                                                  goal->accuracy, 1, goal->smoothness, dim, ret_lambda);
    if (!st && !((float)*ret_lambda >= FLT_MIN && (float)*ret_lambda <= FLT_MAX))
        st = FL_ERR_RANGE;
    return st ? fl_error_set(err, FL_ERR_CONFIG,
                             "%s: codec.%s: with these values lambda is no positive number of float32", file,
                             goal->count > 0 ? "lambda_count" : "lambda_accuracy")
              : FL_OK;
}

/* Bits of one value where the codec sends about the largest magnitudes; 0 for other codecs. */
static double value_bits(const struct fl_codec *codec, const struct fl_codec_spec *spec)
{
    if (codec->kind == FL_PAYLOAD_TOPK || codec->kind == FL_PAYLOAD_TOPK_TENSOR)
        return 32;
    if (codec->kind != FL_PAYLOAD_CODED || codec->support != FL_SUPPORT_LISTED)
        return 0;
    if (codec->values == FL_VALUES_LEVELS)
        return spec->bits;
    return codec->values == FL_VALUES_FLOAT32 ? 32 : 16;
}

/* What a payload holds whatever the ratio, its head and dense tensors; ret_dim: the coordinates of the
 * others. */
static size_t fixed_bytes(const struct fl_run_spec *spec, size_t *ret_dim)
{
    struct fl_tensor tensors[FL_LIMIT_TENSORS];
    size_t count = fl_model_spec_tensors(&spec->model, tensors), bytes = HEAD_BYTES;

    *ret_dim = 0;
    for (size_t i = 0; i < count; i++) {
        int dense = tensors[i].elems < spec->dense_below;
        *ret_dim += dense ? 0 : (size_t)tensors[i].elems;
        bytes += spec->dense_below ? HEAD_BYTES : 0;
        bytes += dense ? 4 * (size_t)tensors[i].elems : 0;
    }
    return bytes;
}

static enum fl_status ratio_of(const struct fl_codec_goal *goal, const char *file, struct fl_run_spec *spec,
                               struct fl_error *err)
{
    const struct fl_codec *codec = fl_codec_find(spec->codec.name);
    double bits = value_bits(codec, &spec->codec);
    size_t dim, fixed = fixed_bytes(spec, &dim);
    if (bits == 0)
        return fl_error_set(err, FL_ERR_CONFIG,
                            "%s: codec.bytes: %s does not send the largest magnitudes, so its size is not "
                            "set by their number: take threshold-sampled, topk or one of its kin",
                            file, codec->name);
    size_t count =
        goal->bytes <= fixed || !dim ? 0 : fl_lambda_budget_count(dim, (size_t)goal->bytes - fixed, bits);
    if (count == 0)
        return fl_error_set(err, FL_ERR_CONFIG,
                            "%s: codec.bytes: not one coordinate fits in %" PRIu64
                            " bytes, of which %zu are for "
                            "the head%s",
                            file, goal->bytes, fixed, spec->dense_below ? "s and dense tensors" : "");
    spec->codec.ratio = (float)((double)count / (double)dim);
    return FL_OK;
}

enum fl_status fl_codec_goal_apply(const struct fl_codec_goal *goal, const char *file, int lambda_given,
                                   int ratio_given, struct fl_run_spec *spec, struct fl_error *err)
{
    const struct fl_codec *codec = fl_codec_find(spec->codec.name);
    int for_lambda = (goal->count > 0) + (goal->accuracy > 0);
    double lambda = 0;

    if (goal->smoothness > 0 && !(goal->accuracy > 0))
        return fl_error_set(err, FL_ERR_CONFIG, "%s: codec.lambda_smoothness goes with codec.lambda_accuracy",
                            file);
    if (for_lambda + lambda_given > 1)
        return fl_error_set(err, FL_ERR_CONFIG,
                            "%s: give only one of codec.lambda, codec.lambda_count and codec.lambda_accuracy",
                            file);
    if (for_lambda && !codec->uses_lambda)
        return fl_error_set(err, FL_ERR_CONFIG, "%s: codec.%s: %s has no lambda", file,
                            goal->count > 0 ? "lambda_count" : "lambda_accuracy", codec->name);
    if (goal->bytes > 0 && ratio_given)
        return fl_error_set(err, FL_ERR_CONFIG, "%s: give only one of codec.ratio and codec.bytes", file);
    if (goal->bytes > 0)
        return ratio_of(goal, file, spec, err);
    enum fl_status st = for_lambda ? lambda_of(goal, file, spec, &lambda, err) : FL_OK;
    if (!st && for_lambda)
        spec->codec.lambda = codec->on_grid ? fl_lambda_nearest_power(lambda) : (float)lambda;
    return st;
}
