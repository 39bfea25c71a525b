/*
 * What a .cu file writes differently so that it also runs in the emulator (kernels/emu): launches and shared
 * memory.
 *
 *     FL_LAUNCH(kernel, blocks, threads, stream, ...)   kernel<<<blocks, threads, 0, stream>>>(...); the
 * outcome is what cudaGetLastError() says after it FL_SHARED(struct kernel_shared, shared);          the
 * kernel's one struct of shared memory, as a variable
 *
 * Both are statements; a kernel that is a template with several arguments stands in parentheses.
 */
#ifndef FL_KERNELS_CUDA_LAUNCH_CUH
#define FL_KERNELS_CUDA_LAUNCH_CUH

#include <cuda_runtime.h>

/* Static shared memory a block may have on every architecture, bytes. */
#define FL_SHARED_BYTES_MAX 49152

#ifdef FL_EMU
#define FL_LAUNCH(kernel, blocks, threads, stream, ...)                                                      \
    fl_emu_launch_kernel(#kernel, kernel, blocks, threads, stream, ##__VA_ARGS__)
#define FL_SHARED(type, name)                                                                                \
    static_assert(sizeof(type) <= FL_SHARED_BYTES_MAX, "too much shared memory");                            \
    type &name = *static_cast<type *>(fl_emu_shared(sizeof(type), alignof(type)))
#else
#define FL_LAUNCH(kernel, blocks, threads, stream, ...)                                                      \
    (kernel)<<<(blocks), (threads), 0, (stream)>>>(__VA_ARGS__)
#define FL_SHARED(type, name)                                                                                \
    static_assert(sizeof(type) <= FL_SHARED_BYTES_MAX, "too much shared memory");                            \
    __shared__ type name
#endif

#endif
