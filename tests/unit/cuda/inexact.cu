/* For tests/check_ptx.py, which must refuse all of it: compiled to PTX with nvcc's fast mathematics. */
__global__ void inexact(float *x, float *sum)
{
    const float value = x[threadIdx.x];
    atomicAdd(sum, value * sum[1] + __expf(value));
}

/* A product without a named rounding: what reads it later might be fused with it. */
__global__ void unnamed(const float *x, float *product)
{
    product[threadIdx.x] = x[threadIdx.x] * x[threadIdx.x + 1];
}
