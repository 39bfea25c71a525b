/* What the sampled threshold of DGC does after a count, on host and device (codec/sampled_threshold.h). */
#ifndef FL_KERNELS_DGC_H
#define FL_KERNELS_DGC_H

#include <float.h>

#include "kernels/exact.h"

/* Thresholds are lowered at most so often. */
#define FL_DGC_ROUNDS_MAX 10

enum fl_dgc_verdict {
    FL_DGC_DONE,  /* about the target reach it, or it cannot be lowered */
    FL_DGC_LOWER, /* too few do: *threshold was lowered */
    FL_DGC_EXACT, /* too many do: the target-th largest magnitude is wanted instead */
};

/* count elements reach *threshold, target should; target > 0. */
FL_HOST_DEVICE enum fl_dgc_verdict fl_dgc_judge(size_t count, size_t target, float *threshold)
{
    double share = (double)count / (double)target;
    if (share > 1.3)
        return FL_DGC_EXACT;
    if (share >= 0.8 || *threshold == FLT_MIN)
        return FL_DGC_DONE;
    *threshold = fmaxf(FLT_MIN, fl_exact_multiply(0.8f, *threshold));
    return FL_DGC_LOWER;
}

#endif
