/* Local steps and evaluation: the same arithmetic in the same order as client/trainer/builtin.c and
 * network.c, with the matrix products of cuBLAS. */
#include "client/device/session.cuh"
#include "kernels/cuda/norms.h"
#include "kernels/cuda/vectors.h"
#include "kernels/exact.h"

static const float one = 1.0f, zero = 0.0f;

/* Row by row as in client/trainer/blas.h; cuBLAS counts by columns, so that each matrix is its transpose
 * there. */
static int product(struct fl_device_session *s, cublasOperation_t left, cublasOperation_t right, uint64_t m,
                   uint64_t n, uint64_t k, const float *a, uint64_t lda, const float *b, uint64_t ldb,
                   float *ret_c)
{
    cublasStatus_t status = cublasSgemm(s->blas, left, right, (int)m, (int)n, (int)k, &one, a, (int)lda, b,
                                        (int)ldb, &zero, ret_c, (int)m);
    return status ? fl_session_fail_blas(s, "multiplying matrices", status) : FL_DEVICE_OK;
}

/* z = x * transpose of w, shape (rows, outputs) */
static int forward(struct fl_device_session *s, uint32_t rows, uint32_t inputs, uint32_t outputs,
                   const float *x, const float *w, float *ret_z)
{
    return product(s, CUBLAS_OP_T, CUBLAS_OP_N, outputs, rows, inputs, w, inputs, x, inputs, ret_z);
}

/* e = d * w, shape (rows, inputs) */
static int backward(struct fl_device_session *s, uint32_t rows, uint32_t inputs, uint32_t outputs,
                    const float *d, const float *w, float *ret_e)
{
    return product(s, CUBLAS_OP_N, CUBLAS_OP_N, inputs, rows, outputs, w, inputs, d, outputs, ret_e);
}

/* g = transpose of d * x, shape (outputs, inputs) */
static int gradient(struct fl_device_session *s, uint32_t rows, uint32_t inputs, uint32_t outputs,
                    const float *d, const float *x, float *ret_g)
{
    return product(s, CUBLAS_OP_N, CUBLAS_OP_T, inputs, outputs, rows, x, inputs, d, outputs, ret_g);
}

/* The last layer's outputs go to activations[layers]. */
static int go_forward(struct fl_device_session *s, const float *weights, const float *x, uint32_t rows)
{
    const struct fl_device_network *n = &s->network;
    for (uint32_t layer = 0; layer < n->layers; layer++) {
        uint32_t outputs = n->sizes[layer + 1];
        float *out = s->activations[layer + 1];
        int status = forward(s, rows, n->sizes[layer], outputs, layer ? s->activations[layer] : x,
                             weights + n->weights[layer], out);
        if (status)
            return status;
        FL_TRY(
            s, "adding a bias",
            fl_cuda_bias(out, weights + n->biases[layer], rows, outputs, layer + 1 < n->layers, s->stream));
    }
    return FL_DEVICE_OK;
}

/* From errors[0], the derivatives by the outputs, to the gradient of the mean loss. */
static int go_back(struct fl_device_session *s, const float *weights, const float *x, uint32_t rows)
{
    const struct fl_device_network *n = &s->network;
    float *error = s->errors[0], *before = s->errors[1];
    for (uint32_t layer = n->layers; layer-- > 0;) {
        uint32_t inputs = n->sizes[layer], outputs = n->sizes[layer + 1];
        const float *a = layer ? s->activations[layer] : x;
        int status = gradient(s, rows, inputs, outputs, error, a, s->gradient + n->weights[layer]);
        if (status)
            return status;
        FL_TRY(s, "summing a bias's gradient",
               fl_cuda_bias_gradient(error, rows, outputs, s->gradient + n->biases[layer], s->stream));
        if (layer == 0)
            break;
        status = backward(s, rows, inputs, outputs, error, weights + n->weights[layer], before);
        if (status)
            return status;
        FL_TRY(s, "going back through a ReLU",
               fl_cuda_relu_back(before, a, (size_t)rows * inputs, s->stream));
        float *swap = error;
        error = before;
        before = swap;
    }
    return FL_DEVICE_OK;
}

int fl_session_train_begin(struct fl_device_session *s, const struct fl_device_descent *descent)
{
    size_t bytes = s->network.elems * sizeof(float);
    int status = fl_batches_make_room(s, descent->batch);
    if (status)
        return status;
    s->descent.learning_rate = descent->learning_rate;
    s->descent.momentum = descent->momentum;
    s->descent.weight_decay = descent->weight_decay;
    FL_TRY(s, "starting to train",
           cudaMemcpyAsync(s->end, s->replica, bytes, cudaMemcpyDeviceToDevice, s->stream));
    FL_TRY(s, "starting to train", cudaMemsetAsync(s->momentum, 0, bytes, s->stream));
    FL_TRY(s, "starting to train", cudaMemsetAsync(s->numbers, 0, sizeof *s->numbers, s->stream));
    return FL_DEVICE_OK;
}

int fl_session_train_step(struct fl_device_session *s, const uint32_t *rows, uint32_t count)
{
    const float *x;
    const uint32_t *labels;
    int status = fl_batches_put(s, &s->train, rows, 0, count, &x, &labels);
    if (!status)
        status = go_forward(s, s->end, x, count);
    if (status)
        return status;
    FL_TRY(s, "the loss",
           fl_losses_back(s->kind, s->activations[s->network.layers], labels, count, s->errors[0], s->losses,
                          s->stream));
    FL_TRY(s, "the loss", fl_cuda_add_mean(s->losses, count, &s->numbers->loss_sum, s->stream));
    status = go_back(s, s->end, x, count);
    if (status)
        return status;
    status = fl_batches_used(s);
    if (status)
        return status;
    FL_TRY(s, "a step down the gradient",
           fl_cuda_descend(&s->descent, s->gradient, s->momentum, s->end, s->network.elems, s->stream));
    return FL_DEVICE_OK;
}

int fl_session_evaluate(struct fl_device_session *s, struct fl_device_metrics *ret_metrics)
{
    uint64_t rows = s->test.host.rows;
    uint32_t most = s->evaluate_batch;
    FL_TRY(s, "starting to evaluate", cudaMemsetAsync(s->numbers, 0, sizeof *s->numbers, s->stream));
    for (uint64_t at = 0; at < rows; at += most) {
        uint32_t count = rows - at < most ? (uint32_t)(rows - at) : most;
        const float *x;
        const uint32_t *labels;
        int status = fl_batches_put(s, &s->test, NULL, at, count, &x, &labels);
        if (!status)
            status = go_forward(s, s->replica, x, count);
        if (status)
            return status;
        FL_TRY(s, "judging answers",
               fl_losses_answers(s->kind, s->activations[s->network.layers], labels, count, s->losses,
                                 s->right, s->stream));
        FL_TRY(s, "judging answers",
               fl_cuda_add_answers(s->losses, s->right, count, &s->numbers->measure, s->stream));
        status = fl_batches_used(s);
        if (status)
            return status;
    }
    int status = fl_session_read_numbers(s);
    if (status)
        return status;
    *ret_metrics = fl_device_metrics();
    ret_metrics->examples = rows;
    ret_metrics->correct = s->pinned_numbers->measure.correct;
    ret_metrics->loss_sum = s->pinned_numbers->measure.loss_sum;
    return FL_DEVICE_OK;
}

int fl_session_train_end(struct fl_device_session *s, double *ret_loss_sum, uint32_t *ret_finite)
{
    FL_TRY(s, "looking at the end", fl_cuda_worst(s->end, s->network.elems, &s->numbers->worst, s->stream));
    int status = fl_session_read_numbers(s);
    if (status)
        return status;
    *ret_loss_sum = s->pinned_numbers->loss_sum;
    *ret_finite = s->pinned_numbers->worst < FL_BITS_INFINITY && isfinite(*ret_loss_sum);
    return FL_DEVICE_OK;
}
