#include "client/trainer/network.h"

#include <stdlib.h>
#include <string.h>

#include "client/trainer/blas.h"
#include "kernels/loss.h"

#define EVALUATE_BATCH 256
#define EVALUATE_ELEMS (UINT64_C(1) << 18) /* a batch is smaller where its activations would be more */

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

uint32_t fl_network_evaluate_batch(const struct fl_network *network, uint64_t rows)
{
    uint64_t width = 0, most;

    for (uint32_t i = 0; i <= network->layers; i++)
        width += network->sizes[i];
    most = EVALUATE_ELEMS / width;
    most = most < 1 ? 1 : most > EVALUATE_BATCH ? EVALUATE_BATCH : most;
    return (uint32_t)(rows < most ? rows : most);
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

static struct fl_loss_kind loss_kind(const struct fl_network *network)
{
    return (struct fl_loss_kind){.is_logistic = network->kind == FL_MODEL_LOGISTIC,
                                 .count = network->sizes[network->layers]};
}

/* Derivatives of the mean loss by the outputs into ret_errors, shape (rows, outputs); the mean loss. */
static double network_output_errors(const struct fl_network *network, const uint32_t *labels, uint32_t rows,
                                    const float *outputs, float *ret_errors)
{
    struct fl_loss_kind kind = loss_kind(network);
    double loss = 0.0;

    for (uint32_t i = 0; i < rows; i++) {
        size_t at = (size_t)i * kind.count;
        loss += fl_loss_row(kind, outputs + at, labels[i], rows, ret_errors + at);
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

void fl_network_measure(const struct fl_network *network, const float *weights, const uint32_t *labels,
                        uint32_t rows, struct fl_activations *act, struct fl_metrics *metrics)
{
    struct fl_loss_kind kind = loss_kind(network);

    network_forward(network, weights, rows, act);
    for (uint32_t i = 0; i < rows; i++) {
        const float *z = act->layers[network->layers] + (size_t)i * kind.count;
        metrics->correct += fl_loss_answer(kind, z) == labels[i];
        metrics->loss_sum += fl_loss_row(kind, z, labels[i], rows, NULL);
    }
    metrics->examples += rows;
}
