/*
 * What the launchers of this folder have in common. Each queues its kernels on a stream and returns: it
 * allocates nothing, waits for nothing, and what it did is there for what is queued behind it. All pointers
 * are to device memory unless said otherwise, and everything that is passed by pointer belongs to the caller,
 * who keeps it until the stream has come that far.
 *
 * Results are those of the portable table (kernels/kernels.h) and of codec/ bit for bit. n: elements, at most
 * 2^32 - 1; 0 is allowed unless said otherwise. Vectors may be in place where said. A launcher returns
 * cudaSuccess or why a kernel could not be queued; kernels themselves do not fail, and say in a result what
 * was wrong with numbers. A stream, and what is queued on it, belongs to one thread at a time.
 */
#ifndef FL_KERNELS_CUDA_WORKSPACE_H
#define FL_KERNELS_CUDA_WORKSPACE_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Device memory that launchers with a workspace need for vectors of up to n elements, bytes: about n / 8.
 * Aligned to 256 bytes, as cudaMalloc does; of no particular content at first. One serves all launchers, one
 * after the other on a stream; it carries the marks from fl_cuda_mark_*() to fl_cuda_take_*(), which must
 * have no other launcher on the same workspace between them.
 */
size_t fl_cuda_workspace_bytes(size_t n);

#ifdef __cplusplus
}
#endif

#endif
