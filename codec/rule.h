/* What a threshold codec takes out of p, as magnitudes in bits: the same on the host and on a device. */
#ifndef FL_CODEC_RULE_H
#define FL_CODEC_RULE_H

#include <math.h>

#include "codec/codec.h"
#include "codec/floats.h"
#include "codec/grid.h"

/* low <= bits of |p| < high, whole or (on the grid) as levels. */
struct fl_codec_rule {
    uint32_t low, high;
    int on_grid;
    struct fl_kernels_grid grid;
};

/* Of FL_CODEC_THRESHOLD and FL_CODEC_INT_THRESHOLD; params as fl_codec_params_check() accepts them. */
static inline struct fl_codec_rule fl_codec_rule(const struct fl_codec_params *params)
{
    struct fl_codec_rule rule = {.low = fl_float_bits(params->lambda), .high = FL_FLOAT_INFINITY};
    if (params->id != FL_CODEC_INT_THRESHOLD)
        return rule;
    rule.high = fl_float_bits(fl_grid_ceiling(params->step_log2));
    rule.on_grid = 1;
    rule.grid = (struct fl_kernels_grid){.step = ldexpf(1, params->step_log2),
                                         .inverse_step = ldexpf(1, -params->step_log2),
                                         .level_most = (float)FL_CODEC_LEVEL_MAX};
    return rule;
}

#endif
