#include "server/core/run_spec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codec/sketched.h"
#include "protocol/routes.h"

/* Sum of all steps that the server may take, server_rate x rounds: with FL_INTAKE_VALUE_MAX (intake.c) it
 * keeps every coordinate inside float32. */
#define TRAVEL_MAX 1e8

static enum fl_status refuse(char *ret_reason, const char *sentence)
{
    snprintf(ret_reason, FL_LIMIT_TEXT_BYTES + 1, "%s", sentence);
    return FL_ERR_RANGE;
}

/* Nothing would be compressed: more likely a mistake than a wish, for which there is the codec dense. */
static int all_tensors_are_dense(const struct fl_run_spec *spec)
{
    struct fl_tensor tensors[FL_LIMIT_TENSORS];
    size_t count = fl_model_spec_tensors(&spec->model, tensors);

    for (size_t i = 0; i < count; i++)
        if (tensors[i].elems >= spec->dense_below)
            return 0;
    return 1;
}

static enum fl_status check_codec(const struct fl_run_spec *spec, char *ret_reason)
{
    const struct fl_codec *codec = fl_codec_find(spec->codec.name);
    int log2;

    if (!codec)
        return refuse(ret_reason, "codec.name is not a known codec");
    if (codec->uses_lambda && !(isfinite(spec->codec.lambda) && spec->codec.lambda >= 0))
        return refuse(ret_reason, "codec.lambda must be finite and >= 0 (0: measured in the first round)");
    if (codec->on_grid && spec->step_shift != 1 && spec->step_shift != -1 && spec->step_shift != -2)
        return refuse(ret_reason, "step_shift must be 1, -1 or -2");
    if (codec->id == FL_CODEC_ROUND_RANDOM && spec->step_shift != 1)
        return refuse(ret_reason, "step_shift must be 1 for round-random, whose step is 2 lambda");
    if (codec->on_grid && spec->codec.lambda > 0 &&
        (fl_lambda_log2(spec->codec.lambda, &log2) || log2 < FL_CODEC_LAMBDA_LOG2_MIN ||
         log2 > FL_CODEC_LAMBDA_LOG2_MAX))
        return refuse(ret_reason, "codec.lambda must be a power of two from 2^-80 to 2^59 for this codec, so "
                                  "that sums are exact; 0 lets the server measure one");
    if (codec->uses_ratio && !(spec->codec.ratio > 0 && spec->codec.ratio <= 1))
        return refuse(ret_reason, "codec.ratio must be above 0 and at most 1");
    if (codec->uses_bits && (spec->codec.bits < 2 || spec->codec.bits > 8))
        return refuse(ret_reason, "codec.bits must be from 2 to 8");
    if (codec->uses_bucket && spec->codec.bucket < 1)
        return refuse(ret_reason, "codec.bucket must be at least 1");
    if (codec->uses_rank && spec->codec.rank < 1)
        return refuse(ret_reason, "codec.rank must be at least 1");
    if (codec->kind == FL_PAYLOAD_SKETCHED && spec->codec.rank > FL_SKETCHED_RANK_MAX)
        return refuse(ret_reason, "codec.rank must be at most 31 for a sketch, which has 2 rank + 1 rows");
    if (all_tensors_are_dense(spec))
        return refuse(ret_reason,
                      "codec.dense_below is more than the parameters of the model's largest tensor, so "
                      "that all would be dense; for that, take codec.name dense without it");
    if (codec->uses_lambda && !(isfinite(spec->downlink_ratio) && spec->downlink_ratio >= 0))
        return refuse(ret_reason, "downlink_ratio must be finite and >= 0");
    if (!codec->uses_lambda && !(isfinite(spec->downlink_lambda) && spec->downlink_lambda >= 0))
        return refuse(ret_reason, "downlink_lambda must be finite and >= 0");
    return FL_OK;
}

static enum fl_status check_plan(const struct fl_train_plan *plan, char *ret_reason)
{
    if ((plan->steps == 0) == (plan->epochs == 0))
        return refuse(ret_reason, "exactly one of plan.steps and plan.epochs must be above 0");
    if (plan->steps > FL_LIMIT_LOCAL_STEPS || plan->epochs > FL_LIMIT_LOCAL_STEPS)
        return refuse(ret_reason, "plan.steps and plan.epochs must be at most 1000000");
    if (plan->batch < 1 || plan->batch > FL_LIMIT_BATCH)
        return refuse(ret_reason, "plan.batch must be from 1 to 65536");
    if (!(isfinite(plan->learning_rate) && plan->learning_rate > 0))
        return refuse(ret_reason, "plan.learning_rate must be finite and above 0");
    if (!(plan->momentum >= 0 && plan->momentum < 1))
        return refuse(ret_reason, "plan.momentum must be from 0 to below 1");
    if (!(isfinite(plan->weight_decay) && plan->weight_decay >= 0))
        return refuse(ret_reason, "plan.weight_decay must be finite and >= 0");
    return FL_OK;
}

static enum fl_status check_rounds(const struct fl_run_spec *spec, char *ret_reason)
{
    if (spec->rounds < 1 || spec->rounds > 1000000)
        return refuse(ret_reason, "rounds must be from 1 to 1000000");
    if (!(spec->server_rate > 0 && spec->server_rate * (double)spec->rounds <= TRAVEL_MAX))
        return refuse(ret_reason, "server_rate must be above 0 and server_rate x rounds at most 1e8");
    if (spec->target < 1 || spec->target > FL_LIMIT_COHORT)
        return refuse(ret_reason, "target must be from 1 to 65536");
    if (spec->minimum < 1 || spec->minimum > spec->target)
        return refuse(ret_reason, "minimum must be from 1 to target");
    if (spec->over_select > FL_LIMIT_COHORT || spec->max_late > FL_RUN_MAX_LATE ||
        (spec->target + spec->over_select) * (spec->max_late + 1) > FL_LIMIT_COHORT)
        return refuse(ret_reason,
                      "(target + over_select) x (max_late + 1) must be at most 65536 and max_late "
                      "at most 64, so that sums cannot overflow");
    if (spec->gather_ms > 86400000)
        return refuse(ret_reason, "gather_ms must be at most 86400000");
    if (spec->deadline_ms < 1 || spec->deadline_ms > 30ull * 86400000)
        return refuse(ret_reason, "deadline_ms must be from 1 to 2592000000");
    if (!(isfinite(spec->norm_limit) && spec->norm_limit >= 0))
        return refuse(ret_reason, "norm_limit must be finite and >= 0 (0: no limit)");
    return FL_OK;
}

enum fl_status fl_run_spec_check(const struct fl_run_spec *spec, char *ret_reason)
{
    enum fl_status st;

    if (!fl_name_valid(spec->name))
        return refuse(ret_reason, "name must be 1 to 64 of a-z A-Z 0-9 . _ - and not start with a dot");
    if (fl_model_spec_check(&spec->model))
        return refuse(ret_reason, "model: a size is out of range, or kind and layers do not agree");
    st = check_codec(spec, ret_reason);
    if (!st)
        st = check_plan(&spec->plan, ret_reason);
    if (!st)
        st = check_rounds(spec, ret_reason);
    return st;
}
