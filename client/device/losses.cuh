/*
 * The losses of a batch on the device, a thread a row, as client/trainer/network.c but for the last bits of
 * the device's exp, log and log1p (kernels/loss.h). Pointers and streams as in kernels/cuda/network.h.
 * Private to the plugin.
 */
#ifndef FL_CLIENT_DEVICE_LOSSES_CUH
#define FL_CLIENT_DEVICE_LOSSES_CUH

#include <cuda_runtime.h>

#include "kernels/loss.h"

/* Losses of the rows, shape (rows), and the derivatives of the mean, shape (rows, kind.count). */
cudaError_t fl_losses_back(struct fl_loss_kind kind, const float *z, const uint32_t *labels, uint32_t rows,
                           float *ret_errors, double *ret_losses, cudaStream_t stream);

/* Losses of the rows, and 1 in ret_right where the answer is the label; shape (rows) each. */
cudaError_t fl_losses_answers(struct fl_loss_kind kind, const float *z, const uint32_t *labels, uint32_t rows,
                              double *ret_losses, uint32_t *ret_right, cudaStream_t stream);

#endif
