#include "client/trainer/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/trainer/blas.h"

void fl_network_init(struct fl_network *network, const struct fl_model_spec *spec)
{
    struct fl_tensor tensors[FL_LIMIT_TENSORS];

    (void)fl_model_spec_tensors(spec, tensors);
    *network = (struct fl_network){.kind = spec->kind,
                                   .layers = spec->hidden_count + 1,
                                   .sizes = {spec->inputs},
                                   .elems = fl_model_spec_elems(spec)};
    for (uint32_t i = 0; i < network->layers; i++) { /* each layer has a weight and then a bias */
        network->sizes[i + 1] = tensors[2 * i].shape[0];
        network->weights[i] = tensors[2 * i].offset;
        network->biases[i] = tensors[2 * i + 1].offset;
    }
}

enum fl_status fl_activations_init(const struct fl_network *network, uint32_t capacity, int with_errors,
                                   struct fl_activations *ret_activations)
{
    struct fl_activations act = {.capacity = capacity};
    size_t widest = 0, total = 0; /* sizes < 2^29 and at most 12 arrays: below 2^33, times 2^16 rows */

    for (uint32_t i = 0; i <= network->layers; i++) {
        total += network->sizes[i];
        if (i > 0 && network->sizes[i] > widest)
            widest = network->sizes[i];
    }
    if (with_errors)
        total += 2 * widest;
    act.block = malloc(total * capacity * sizeof(float));
    if (!act.block)
        return FL_ERR_NOMEM;
    float *at = act.block;
    for (uint32_t i = 0; i <= network->layers; i++) {
        act.layers[i] = at;
        at += (size_t)network->sizes[i] * capacity;
    }
    for (int i = 0; with_errors && i < 2; i++) {
        act.errors[i] = at;
        at += widest * capacity;
    }
    *ret_activations = act;
    return FL_OK;
}

void fl_activations_done(struct fl_activations *activations)
{
    free(activations->block);
    activations->block = NULL;
}

static void network_forward(const struct fl_network *network, const float *weights, uint32_t rows,
                            struct fl_activations *act)
{
    for (uint32_t layer = 0; layer < network->layers; layer++) {
        uint32_t inputs = network->sizes[layer], outputs = network->sizes[layer + 1];
        const float *bias = weights + network->biases[layer];
        float *out = act->layers[layer + 1];
        int relu = layer + 1 < network->layers;
        fl_blas_forward(rows, inputs, outputs, act->layers[layer], weights + network->weights[layer], out);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < outputs; j++) {
                float z = out[i * outputs + j] + bias[j];
                out[i * outputs + j] = relu && z < 0.0f ? 0.0f : z; /* NaN stays and is seen in the loss */
            }
    }
}

/* -log of the probability that sigmoid(z) gives the label, stable for any z. */
static double logistic_loss(float z, uint32_t label)
{
    double margin = label ? z : -(double)z;

    if (!isfinite(z))
        return NAN;
    return log1p(exp(-fabs(margin))) + fmax(-margin, 0.0);
}

/* -log of softmax(z)[label], stable for any z; softmax(z)[j] is exp(z[j] - *ret_largest) / *ret_sum. */
static double softmax_loss(const float *z, uint32_t count, uint32_t label, double *ret_largest,
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

/* Derivatives of the mean loss by the outputs into ret_errors, shape (rows, outputs); the mean loss. */
static double network_output_errors(const struct fl_network *network, const uint32_t *labels, uint32_t rows,
                                    const float *outputs, float *ret_errors)
{
    uint32_t count = network->sizes[network->layers];
    double loss = 0.0, largest, sum;

    for (uint32_t i = 0; i < rows; i++) {
        const float *z = outputs + (size_t)i * count;
        float *error = ret_errors + (size_t)i * count;
        if (network->kind == FL_MODEL_LOGISTIC) {
            loss += logistic_loss(z[0], labels[i]);
            error[0] = (float)((1.0 / (1.0 + exp(-(double)z[0])) - labels[i]) / rows);
            continue;
        }
        loss += softmax_loss(z, count, labels[i], &largest, &sum);
        for (uint32_t j = 0; j < count; j++)
            error[j] = (float)((exp(z[j] - largest) / sum - (j == labels[i])) / rows);
    }
    return loss / rows;
}

void fl_network_gradient(const struct fl_network *network, const float *weights, const uint32_t *labels,
                         uint32_t rows, struct fl_activations *act, float *ret_gradient, double *ret_loss)
{
    float *error = act->errors[0], *before = act->errors[1];

    network_forward(network, weights, rows, act);
    *ret_loss = network_output_errors(network, labels, rows, act->layers[network->layers], error);
    for (uint32_t layer = network->layers; layer-- > 0;) {
        uint32_t inputs = network->sizes[layer], outputs = network->sizes[layer + 1];
        const float *a = act->layers[layer];
        float *bias = ret_gradient + network->biases[layer];
        fl_blas_gradient(rows, inputs, outputs, error, a, ret_gradient + network->weights[layer]);
        memset(bias, 0, outputs * sizeof(*bias));
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < outputs; j++)
                bias[j] += error[i * outputs + j];
        if (layer == 0)
            break;
        fl_blas_backward(rows, inputs, outputs, error, weights + network->weights[layer], before);
        for (size_t i = 0; i < (size_t)rows * inputs; i++)
            if (!(a[i] > 0.0f)) /* ReLU passes nothing back where it gave 0 */
                before[i] = 0.0f;
        float *swap = error;
        error = before;
        before = swap;
    }
}

static uint32_t network_answer(const struct fl_network *network, const float *z)
{
    uint32_t best = 0;

    if (network->kind == FL_MODEL_LOGISTIC)
        return z[0] > 0.0f;
    for (uint32_t j = 1; j < network->sizes[network->layers]; j++)
        if (z[j] > z[best])
            best = j;
    return best;
}

void fl_network_measure(const struct fl_network *network, const float *weights, const uint32_t *labels,
                        uint32_t rows, struct fl_activations *act, struct fl_metrics *metrics)
{
    uint32_t count = network->sizes[network->layers];
    double largest, sum;

    network_forward(network, weights, rows, act);
    for (uint32_t i = 0; i < rows; i++) {
        const float *z = act->layers[network->layers] + (size_t)i * count;
        metrics->correct += network_answer(network, z) == labels[i];
        if (network->kind == FL_MODEL_LOGISTIC)
            metrics->loss_sum += logistic_loss(z[0], labels[i]);
        else
            metrics->loss_sum += softmax_loss(z, count, labels[i], &largest, &sum);
    }
    metrics->examples += rows;
}
