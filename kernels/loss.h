/*
 * The log-loss of one example and its derivatives, for host and device alike: float32 in and out, float64
 * between, sums in the order of the outputs. exp, log and log1p are the library's: their last bit may differ
 * between host and device, all else is the same. Not for batches (client/trainer/network.c,
 * kernels/cuda/network.cu).
 */
#ifndef FL_KERNELS_LOSS_H
#define FL_KERNELS_LOSS_H

#include <math.h>
#include <stdint.h>

#include "base/host_device.h"

/* The outputs of one example as its model has them. */
struct fl_loss_kind {
    uint32_t is_logistic; /* 1: one output, the log-odds of label 1; 0: softmax over count outputs */
    uint32_t count;
};

/* -log of the probability that sigmoid(z) gives the label, stable for any z; NaN when z is not finite. */
FL_HOST_DEVICE double fl_loss_logistic(float z, uint32_t label)
{
    double margin = label ? z : -(double)z;

    if (!isfinite(z))
        return NAN;
    return log1p(exp(-fabs(margin))) + fmax(-margin, 0.0);
}

/* -log of softmax(z)[label], stable for any z; softmax(z)[j] is exp(z[j] - *ret_largest) / *ret_sum. */
FL_HOST_DEVICE double fl_loss_softmax(const float *z, uint32_t count, uint32_t label, double *ret_largest,
                                      double *ret_sum)
{
    double largest = z[0], sum = 0.0;

    for (uint32_t j = 1; j < count; j++)
        largest = z[j] > largest ? z[j] : largest;
    for (uint32_t j = 0; j < count; j++)
        sum += exp(z[j] - largest);
    *ret_largest = largest;
    *ret_sum = sum;
    return log(sum) + (largest - z[label]);
}

/* The loss of one example with outputs z, shape (count). ret_errors: its derivatives by them, divided by the
 * rows of the batch, shape (count); NULL: not wanted. */
FL_HOST_DEVICE double fl_loss_row(struct fl_loss_kind kind, const float *z, uint32_t label, uint32_t rows,
                                  float *ret_errors)
{
    double largest, sum;

    if (kind.is_logistic) {
        if (ret_errors)
            ret_errors[0] = (float)((1.0 / (1.0 + exp(-(double)z[0])) - label) / rows);
        return fl_loss_logistic(z[0], label);
    }
    double loss = fl_loss_softmax(z, kind.count, label, &largest, &sum);
    for (uint32_t j = 0; ret_errors && j < kind.count; j++)
        ret_errors[j] = (float)((exp(z[j] - largest) / sum - (j == label)) / rows);
    return loss;
}

/* The label that the outputs say: the first of the largest; logistic: 1 above 0. */
FL_HOST_DEVICE uint32_t fl_loss_answer(struct fl_loss_kind kind, const float *z)
{
    uint32_t best = 0;

    if (kind.is_logistic)
        return z[0] > 0.0f;
    for (uint32_t j = 1; j < kind.count; j++)
        if (z[j] > z[best])
            best = j;
    return best;
}

#endif
