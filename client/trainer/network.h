/*
 * Loss and gradient of a model on one batch: dense layers with ReLU between them, and at the end the log-loss
 * of a logistic or softmax output. Private to client/trainer; not for optimisation (builtin.c).
 */
#ifndef FL_CLIENT_TRAINER_NETWORK_H
#define FL_CLIENT_TRAINER_NETWORK_H

#include <stdint.h>

#include "base/status.h"
#include "protocol/messages.h"
#include "protocol/model_spec.h"

/* A model's shape; no memory of its own. */
struct fl_network {
    enum fl_model_kind kind;
    uint32_t layers;                              /* dense layers, >= 1 */
    uint32_t sizes[FL_LIMIT_HIDDEN_LAYERS + 2];   /* inputs, hidden units..., outputs */
    uint64_t weights[FL_LIMIT_HIDDEN_LAYERS + 1]; /* offset of each layer's weight */
    uint64_t biases[FL_LIMIT_HIDDEN_LAYERS + 1];  /* offset of each layer's bias */
    uint64_t elems;                               /* d */
};

/* The activations of one batch. */
struct fl_activations {
    uint32_t capacity;                         /* rows */
    float *layers[FL_LIMIT_HIDDEN_LAYERS + 2]; /* [0]: the batch, to be filled; shape (capacity, sizes[i]) */
    float *errors[2];                          /* shape (capacity, widest layer) */
    float *block;                              /* holds them all */
};

/* spec must have passed its check. */
void fl_network_init(struct fl_network *network, const struct fl_model_spec *spec);

/* Room for batches of up to capacity rows; with_errors: for fl_network_gradient too. FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_activations_init(const struct fl_network *network, uint32_t capacity,
                                                 int with_errors, struct fl_activations *ret_activations);
/* Frees; a zeroed struct is accepted. */
void fl_activations_done(struct fl_activations *activations);

/*
 * Forward pass over the rows filled into act->layers[0] (1 to capacity), then the gradient of the mean loss.
 * weights, ret_gradient: shape (d); labels: shape (rows), each among the outputs. The loss is the mean over
 * rows, nats; NaN or infinite when numbers overflow.
 */
void fl_network_gradient(const struct fl_network *network, const float *weights, const uint32_t *labels,
                         uint32_t rows, struct fl_activations *act, float *ret_gradient, double *ret_loss);

/* Rows that are judged at a time: as many on a device as on the host, since the last bits of a matrix product
 * may depend on how many there are. */
uint32_t fl_network_evaluate_batch(const struct fl_network *network, uint64_t rows);

/* Forward pass; adds the rows' count, right answers (largest output, the first of equals; logistic: 1 above
 * 0) and loss to *metrics. */
void fl_network_measure(const struct fl_network *network, const float *weights, const uint32_t *labels,
                        uint32_t rows, struct fl_activations *act, struct fl_metrics *metrics);

#endif
