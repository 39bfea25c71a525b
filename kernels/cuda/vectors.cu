#include "kernels/cuda/vectors.h"

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/workspace.cuh"
#include "kernels/exact.h"

/* Elements of a thread, so that a few loads are under way at once. */
#define EACH 4

struct sum {
    const float *a, *b;
    float *result;

    __device__ void operator()(size_t i) const
    {
        result[i] = fl_exact_add(a[i], b[i]);
    }
};

struct difference {
    const float *a, *b;
    float *result;

    __device__ void operator()(size_t i) const
    {
        result[i] = fl_exact_subtract(a[i], b[i]);
    }
};

struct descent {
    struct fl_kernels_descent rule;
    const float *gradient;
    float *velocity, *weights;

    __device__ void operator()(size_t i) const
    {
        fl_descend(&rule, gradient[i], &velocity[i], &weights[i]);
    }
};

struct assignment {
    float *x;
    const uint32_t *indices, *words;

    __device__ void operator()(size_t i) const
    {
        x[indices[i]] = fl_from_bits(words[i]);
    }
};

struct folding {
    float *x;
    const uint32_t *indices, *words;
    float step;

    __device__ void operator()(size_t i) const
    {
        const float value =
            step > 0 ? fl_exact_multiply((float)(int32_t)words[i], step) : fl_from_bits(words[i]);
        x[indices[i]] = fl_exact_add(x[indices[i]], value);
    }
};

template <class Step>
static __global__ void __launch_bounds__(FL_CUDA_THREADS) each_kernel(Step step, size_t n)
{
    size_t i = (size_t)blockIdx.x * EACH * FL_CUDA_THREADS + threadIdx.x;
    for (unsigned j = 0; j < EACH && i < n; j++, i += FL_CUDA_THREADS)
        step(i);
}

template <class Step> static cudaError_t for_each(const Step &step, size_t n, cudaStream_t stream)
{
    if (n == 0)
        return cudaSuccess;
    FL_LAUNCH(each_kernel<Step>, fl_cuda_parts(n, EACH * FL_CUDA_THREADS), FL_CUDA_THREADS, stream, step, n);
    return cudaGetLastError();
}

cudaError_t fl_cuda_add(const float *a, const float *b, float *ret_sum, size_t n, cudaStream_t stream)
{
    return for_each(sum{a, b, ret_sum}, n, stream);
}

cudaError_t fl_cuda_subtract(const float *a, const float *b, float *ret_difference, size_t n,
                             cudaStream_t stream)
{
    return for_each(difference{a, b, ret_difference}, n, stream);
}

cudaError_t fl_cuda_descend(const struct fl_kernels_descent *rule, const float *gradient, float *velocity,
                            float *weights, size_t n, cudaStream_t stream)
{
    return for_each(descent{*rule, gradient, velocity, weights}, n, stream);
}

cudaError_t fl_cuda_assign(float *x, const uint32_t *indices, const uint32_t *words, size_t count,
                           cudaStream_t stream)
{
    return for_each(assignment{x, indices, words}, count, stream);
}

cudaError_t fl_cuda_fold(float *x, const uint32_t *indices, const uint32_t *words, size_t count, float step,
                         cudaStream_t stream)
{
    return for_each(folding{x, indices, words, step}, count, stream);
}
