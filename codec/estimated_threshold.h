/*
 * The threshold of the codecs that find about the k largest magnitudes without sorting: from a sample (DGC,
 * or one of equal parts) or from a fitted distribution (SIDCo), chosen by the codec's id. Not for the
 * estimates themselves (codec/sampled_threshold.h, codec/lambda_rules.h, codec/sidco.h) nor for exact
 * selection (codec/topk.h).
 */
#ifndef FL_CODEC_ESTIMATED_THRESHOLD_H
#define FL_CODEC_ESTIMATED_THRESHOLD_H

#include "codec/codec.h"

/* Whether the codec's coordinates are chosen by such a threshold. */
int fl_threshold_is_estimated(enum fl_codec_id id);

/*
 * A threshold, in the unit of x, that about ratio * n elements reach; at least FLT_MIN. x: finite, shape (n),
 * n > 0. With a state (codec/state.h) SIDCo follows its stages from payload to payload and looks at them at
 * every fifth, as in the paper. At a fresh start, and without a state, its control begins with one stage and
 * is fed with this vector alone, until the share is right within a fifth or it has tried as many times as
 * there can be stages. For the other codecs FL_ERR_NOT_FOUND; else the failures of the
 * estimate, and of the buffer of the state.
 */
FL_MUST_CHECK enum fl_status fl_threshold_estimate(const struct fl_kernels *kernels,
                                                   const struct fl_codec_params *params, const float *x,
                                                   size_t n, float *ret_threshold);

/* state_fits of the SIDCo codecs: the bytes of fl_sidco_save() for this ratio. */
int fl_threshold_state_fits(const struct fl_codec_params *params, struct fl_bytes body);

#endif
