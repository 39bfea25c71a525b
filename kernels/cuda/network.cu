#include "kernels/cuda/network.h"

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/workspace.cuh"
#include "kernels/exact.h"

/* A thread an element. */
static unsigned blocks(size_t elements)
{
    return fl_cuda_parts(elements, FL_CUDA_THREADS);
}

static __global__ void gather(const float *x, const uint32_t *labels, const uint32_t *order, uint32_t rows,
                              uint32_t features, float *ret_x, uint32_t *ret_labels)
{
    size_t at = fl_cuda_thread();
    if (at < (size_t)rows * features)
        ret_x[at] = x[(size_t)order[at / features] * features + at % features];
    if (at < rows)
        ret_labels[at] = labels[order[at]];
}

cudaError_t fl_cuda_gather(const float *x, const uint32_t *labels, const uint32_t *order, uint32_t rows,
                           uint32_t features, float *ret_x, uint32_t *ret_labels, cudaStream_t stream)
{
    FL_LAUNCH(gather, blocks((size_t)rows * features), FL_CUDA_THREADS, stream, x, labels, order, rows,
              features, ret_x, ret_labels);
    return cudaGetLastError();
}

static __global__ void bias_add(float *z, const float *bias, uint32_t rows, uint32_t outputs, int relu)
{
    size_t at = fl_cuda_thread();
    if (at >= (size_t)rows * outputs)
        return;
    float sum = fl_exact_add(z[at], bias[at % outputs]);
    z[at] = relu && sum < 0.0f ? 0.0f : sum; /* NaN stays and is seen in the loss */
}

cudaError_t fl_cuda_bias(float *z, const float *bias, uint32_t rows, uint32_t outputs, int relu,
                         cudaStream_t stream)
{
    FL_LAUNCH(bias_add, blocks((size_t)rows * outputs), FL_CUDA_THREADS, stream, z, bias, rows, outputs,
              relu);
    return cudaGetLastError();
}

static __global__ void relu_back(float *error, const float *activation, size_t count)
{
    size_t at = fl_cuda_thread();
    if (at < count && !(activation[at] > 0.0f))
        error[at] = 0.0f;
}

cudaError_t fl_cuda_relu_back(float *error, const float *activation, size_t count, cudaStream_t stream)
{
    FL_LAUNCH(relu_back, blocks(count), FL_CUDA_THREADS, stream, error, activation, count);
    return cudaGetLastError();
}

static __global__ void bias_gradient(const float *error, uint32_t rows, uint32_t outputs, float *ret_bias)
{
    size_t at = fl_cuda_thread();
    if (at >= outputs)
        return;
    float sum = 0.0f;
    for (uint32_t i = 0; i < rows; i++)
        sum = fl_exact_add(sum, error[(size_t)i * outputs + at]);
    ret_bias[at] = sum;
}

cudaError_t fl_cuda_bias_gradient(const float *error, uint32_t rows, uint32_t outputs, float *ret_bias,
                                  cudaStream_t stream)
{
    FL_LAUNCH(bias_gradient, blocks(outputs), FL_CUDA_THREADS, stream, error, rows, outputs, ret_bias);
    return cudaGetLastError();
}

/* One thread: the order of a sum of floats is part of its value, and a batch has few rows. */
static __global__ void add_mean(const double *losses, uint32_t rows, double *loss_sum)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < rows; i++)
        sum = fl_exact_add_wide(sum, losses[i]);
    *loss_sum = fl_exact_add_wide(*loss_sum, sum / rows);
}

cudaError_t fl_cuda_add_mean(const double *losses, uint32_t rows, double *loss_sum, cudaStream_t stream)
{
    FL_LAUNCH(add_mean, 1, 1, stream, losses, rows, loss_sum);
    return cudaGetLastError();
}

static __global__ void add_answers(const double *losses, const uint32_t *right, uint32_t rows,
                                   struct fl_cuda_measure *measure)
{
    for (uint32_t i = 0; i < rows; i++) {
        measure->loss_sum = fl_exact_add_wide(measure->loss_sum, losses[i]);
        measure->correct += right[i];
    }
}

cudaError_t fl_cuda_add_answers(const double *losses, const uint32_t *right, uint32_t rows,
                                struct fl_cuda_measure *measure, cudaStream_t stream)
{
    FL_LAUNCH(add_answers, 1, 1, stream, losses, right, rows, measure);
    return cudaGetLastError();
}
