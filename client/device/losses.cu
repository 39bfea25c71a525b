#include "client/device/losses.cuh"

#include "kernels/cuda/launch.cuh"

#define THREADS 64u /* batches are small, and so are many blocks then */

static unsigned blocks(uint32_t rows)
{
    return (rows + THREADS - 1) / THREADS;
}

static __device__ size_t position(void)
{
    return (size_t)blockIdx.x * THREADS + threadIdx.x;
}

static __global__ void output_errors(struct fl_loss_kind kind, const float *z, const uint32_t *labels,
                                     uint32_t rows, float *ret_errors, double *ret_losses)
{
    size_t at = position(), first = at * kind.count;
    if (at < rows)
        ret_losses[at] = fl_loss_row(kind, z + first, labels[at], rows, ret_errors + first);
}

cudaError_t fl_losses_back(struct fl_loss_kind kind, const float *z, const uint32_t *labels, uint32_t rows,
                           float *ret_errors, double *ret_losses, cudaStream_t stream)
{
    FL_LAUNCH(output_errors, blocks(rows), THREADS, stream, kind, z, labels, rows, ret_errors, ret_losses);
    return cudaGetLastError();
}

static __global__ void answers(struct fl_loss_kind kind, const float *z, const uint32_t *labels,
                               uint32_t rows, double *ret_losses, uint32_t *ret_right)
{
    size_t at = position();
    if (at >= rows)
        return;
    const float *row = z + at * kind.count;
    ret_right[at] = fl_loss_answer(kind, row) == labels[at];
    ret_losses[at] = fl_loss_row(kind, row, labels[at], rows, NULL);
}

cudaError_t fl_losses_answers(struct fl_loss_kind kind, const float *z, const uint32_t *labels, uint32_t rows,
                              double *ret_losses, uint32_t *ret_right, cudaStream_t stream)
{
    FL_LAUNCH(answers, blocks(rows), THREADS, stream, kind, z, labels, rows, ret_losses, ret_right);
    return cudaGetLastError();
}
