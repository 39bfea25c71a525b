#include "codec/estimated_threshold.h"

#include <math.h>

#include "codec/lambda_rules.h"
#include "codec/sampled_threshold.h"
#include "codec/sidco.h"

/* Observations after which SIDCo looks at its stages. */
#define OBSERVED_EACH 5

int fl_threshold_is_estimated(enum fl_codec_id id)
{
    return id >= FL_CODEC_TOPK_SAMPLED && id <= FL_CODEC_THRESHOLD_SAMPLED;
}

static enum fl_status fitted(const struct fl_kernels *kernels, enum fl_sidco_fit fit, double ratio,
                             const float *x, size_t n, float *ret_threshold)
{
    struct fl_sidco sidco;
    enum fl_status st = fl_sidco_init(fit, ratio, &sidco);
    double nearest = INFINITY;
    for (unsigned tries = 0; !st && tries < sidco.stages_max; tries++) {
        float threshold;
        st = fl_sidco_threshold(&sidco, kernels, x, n, &threshold);
        if (st)
            break;
        size_t count = kernels->count_band(x, n, threshold, INFINITY);
        double share = (double)count / (ratio * (double)n);
        if (tries == 0 || fabs(share - 1) < nearest) {
            nearest = fabs(share - 1);
            *ret_threshold = threshold;
        }
        if (nearest <= 0.2)
            break;
        for (int i = 0; i < OBSERVED_EACH; i++)
            fl_sidco_observe(&sidco, count, n);
    }
    return st;
}

enum fl_status fl_threshold_estimate(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                     const float *x, size_t n, float *ret_threshold)
{
    switch (params->id) {
    case FL_CODEC_TOPK_SAMPLED:
        return fl_threshold_dgc(kernels, x, n, params->ratio, params->seed, ret_threshold);
    case FL_CODEC_SIDCO_EXPONENTIAL:
        return fitted(kernels, FL_SIDCO_EXPONENTIAL, params->ratio, x, n, ret_threshold);
    case FL_CODEC_SIDCO_PARETO:
        return fitted(kernels, FL_SIDCO_PARETO, params->ratio, x, n, ret_threshold);
    case FL_CODEC_SIDCO_GAMMA:
        return fitted(kernels, FL_SIDCO_GAMMA, params->ratio, x, n, ret_threshold);
    case FL_CODEC_THRESHOLD_SAMPLED:
        return fl_lambda_from_sample(kernels, x, n, fl_codec_top_count(params->ratio, n), params->seed,
                                     ret_threshold);
    default:
        return FL_ERR_NOT_FOUND;
    }
}
