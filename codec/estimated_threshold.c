#include "codec/estimated_threshold.h"

#include <math.h>

#include "codec/lambda_rules.h"
#include "codec/sampled_threshold.h"
#include "codec/sidco.h"
#include "codec/state.h"

/* Observations after which SIDCo looks at its stages. */
#define OBSERVED_EACH 5

int fl_threshold_is_estimated(enum fl_codec_id id)
{
    return id >= FL_CODEC_TOPK_SAMPLED && id <= FL_CODEC_THRESHOLD_SAMPLED;
}

/* How near to 1 the share that was achieved is of what was wanted. */
static double distance(const struct fl_sidco *sidco, size_t count, size_t n)
{
    return fabs((double)count / (sidco->ratio * (double)n) - 1);
}

/* The fresh start: the control of the stages is fed with this vector alone. Leaves sidco as new, with the
 * number of stages that came nearest. */
static enum fl_status search(struct fl_sidco *sidco, const struct fl_kernels *kernels, const float *x,
                             size_t n, float *ret_threshold)
{
    struct fl_sidco best = *sidco;
    double nearest = INFINITY;
    enum fl_status st = FL_OK;
    for (unsigned tries = 0; tries < sidco->stages_max && nearest > 0.2; tries++) {
        float threshold;
        st = fl_sidco_threshold(sidco, kernels, x, n, &threshold);
        if (st)
            return st;
        size_t count = kernels->count_band(x, n, threshold, INFINITY);
        if (tries == 0 || distance(sidco, count, n) < nearest) {
            nearest = distance(sidco, count, n);
            best.stages = sidco->stages;
            *ret_threshold = threshold;
        }
        for (int i = 0; i < OBSERVED_EACH; i++)
            fl_sidco_observe(sidco, count, n);
    }
    *sidco = best;
    return st;
}

/* With a state, as in the paper: the threshold of the stages that there are, and one observation. */
static enum fl_status follow(struct fl_sidco *sidco, const struct fl_kernels *kernels, const float *x,
                             size_t n, float *ret_threshold)
{
    enum fl_status st = fl_sidco_threshold(sidco, kernels, x, n, ret_threshold);
    if (!st)
        fl_sidco_observe(sidco, kernels->count_band(x, n, *ret_threshold, INFINITY), n);
    return st;
}

static enum fl_sidco_fit fit_of(enum fl_codec_id id)
{
    return id == FL_CODEC_SIDCO_PARETO  ? FL_SIDCO_PARETO
           : id == FL_CODEC_SIDCO_GAMMA ? FL_SIDCO_GAMMA
                                        : FL_SIDCO_EXPONENTIAL;
}

static enum fl_status fitted(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                             const float *x, size_t n, float *ret_threshold)
{
    struct fl_sidco sidco;
    const struct fl_codec_state *state = params->state;
    enum fl_status st = fl_sidco_init(fit_of(params->id), params->ratio, &sidco);
    if (st)
        return st;
    if (state && !fl_sidco_load(&sidco, state->kept))
        st = follow(&sidco, kernels, x, n, ret_threshold);
    else
        st = search(&sidco, kernels, x, n, ret_threshold);
    return st || !state ? st : fl_sidco_save(&sidco, state->next);
}

int fl_threshold_state_fits(const struct fl_codec_params *params, struct fl_bytes body)
{
    struct fl_sidco sidco;
    return !fl_sidco_init(fit_of(params->id), params->ratio, &sidco) && !fl_sidco_load(&sidco, body);
}

enum fl_status fl_threshold_estimate(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                     const float *x, size_t n, float *ret_threshold)
{
    switch (params->id) {
    case FL_CODEC_TOPK_SAMPLED:
        return fl_threshold_dgc(kernels, x, n, params->ratio, params->seed, ret_threshold);
    case FL_CODEC_SIDCO_EXPONENTIAL:
    case FL_CODEC_SIDCO_PARETO:
    case FL_CODEC_SIDCO_GAMMA:
        return fitted(kernels, params, x, n, ret_threshold);
    case FL_CODEC_THRESHOLD_SAMPLED:
        return fl_lambda_from_sample(kernels, x, n, fl_codec_top_count(params->ratio, n), params->seed,
                                     ret_threshold);
    default:
        return FL_ERR_NOT_FOUND;
    }
}
