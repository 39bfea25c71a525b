/* Marks small functions that host code and kernels on a device share: plain C for a C compiler, both for
 * nvcc. */
#ifndef FL_BASE_HOST_DEVICE_H
#define FL_BASE_HOST_DEVICE_H

#ifdef __CUDACC__
#define FL_HOST_DEVICE static __host__ __device__ __forceinline__
#else
#define FL_HOST_DEVICE static inline
#endif

#endif
