/*
 * What a dense network needs beside matrix products and losses: the batch, bias and ReLU, the bias's
 * gradient, sums of losses. Each gives the bits of client/trainer/network.c. Launchers as in
 * kernels/cuda/workspace.h, but without one. Shapes: rows, outputs, features > 0.
 */
#ifndef FL_KERNELS_CUDA_NETWORK_H
#define FL_KERNELS_CUDA_NETWORK_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The batch: ret_x[i] = x[order[i]], shape (rows, features), and the labels likewise. */
cudaError_t fl_cuda_gather(const float *x, const uint32_t *labels, const uint32_t *order, uint32_t rows,
                           uint32_t features, float *ret_x, uint32_t *ret_labels, cudaStream_t stream);

/* z += bias, shape (rows, outputs), and with relu what is below 0 becomes 0. */
cudaError_t fl_cuda_bias(float *z, const float *bias, uint32_t rows, uint32_t outputs, int relu,
                         cudaStream_t stream);

/* error = 0 wherever activation, which a ReLU gave, is not above 0; count elements. */
cudaError_t fl_cuda_relu_back(float *error, const float *activation, size_t count, cudaStream_t stream);

/* ret_bias[j] = sum over the rows, in their order, of error[i][j]. */
cudaError_t fl_cuda_bias_gradient(const float *error, uint32_t rows, uint32_t outputs, float *ret_bias,
                                  cudaStream_t stream);

/* *loss_sum += (sum of the losses in their order) / rows */
cudaError_t fl_cuda_add_mean(const double *losses, uint32_t rows, double *loss_sum, cudaStream_t stream);

/* Of an evaluation, on the device. */
struct fl_cuda_measure {
    double loss_sum;
    uint64_t correct;
};

/* Adds the rows in their order. */
cudaError_t fl_cuda_add_answers(const double *losses, const uint32_t *right, uint32_t rows,
                                struct fl_cuda_measure *measure, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
