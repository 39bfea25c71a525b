#include "kernels/emu/runtime.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/emu/grid.h"
#include "kernels/emu/sanitizers.h"

/* A piece of device memory or of pinned host memory: exactly as long as asked for, so that AddressSanitizer
 * sees what lies outside. */
struct piece {
    struct piece *next;
    char *at;
    size_t bytes;
    int pinned;
};

#define ALIGNMENT 256 /* as CUDA's */

static struct piece *pieces;

static struct piece *find(const void *memory)
{
    for (struct piece *piece = pieces; piece; piece = piece->next) {
        if ((const char *)memory >= piece->at && (const char *)memory < piece->at + piece->bytes)
            return piece;
    }
    return NULL;
}

static int holds(const struct piece *piece, const void *memory, size_t bytes)
{
    return piece && bytes <= (size_t)(piece->at + piece->bytes - (const char *)memory);
}

int fl_memory_reachable(const void *memory, size_t bytes)
{
    return holds(find(memory), memory, bytes);
}

int fl_memory_ends(const void *memory)
{
    return find((const char *)memory - 1) != NULL;
}

void fl_memory_open(void)
{
    for (const struct piece *piece = pieces; piece; piece = piece->next)
        fl_asan_open(piece->at, piece->bytes);
}

void fl_memory_close(void)
{
    for (const struct piece *piece = pieces; piece; piece = piece->next) {
        if (!piece->pinned)
            fl_asan_close(piece->at, piece->bytes);
    }
}

static cudaError_t add_piece(void **ret_memory, size_t bytes, int pinned)
{
    struct piece *piece = malloc(sizeof *piece);
    void *at;
    if (!piece || posix_memalign(&at, ALIGNMENT, bytes)) {
        free(piece);
        return cudaErrorMemoryAllocation;
    }
    fl_garbage(at, bytes, fl_runtime.options.seed, ++fl_runtime.counts.allocations);
    *piece = (struct piece){pieces, at, bytes, pinned};
    pieces = piece;
    *(pinned ? &fl_runtime.counts.pinned_bytes : &fl_runtime.counts.device_bytes) += bytes;
    fl_memory_close();
    *ret_memory = at;
    return cudaSuccess;
}

static cudaError_t allocate(void **ret_memory, size_t bytes, int pinned)
{
    fl_runtime_enter();
    cudaError_t error = fl_runtime_device();
    if (!error && !ret_memory)
        error = cudaErrorInvalidValue;
    if (!error && bytes == 0) {
        *ret_memory = NULL;
        return fl_runtime_leave(cudaSuccess);
    }
    if (!error && fl_runtime_fails(&fl_runtime.fail_allocation))
        error = cudaErrorMemoryAllocation;
    if (!error && !pinned && bytes > fl_runtime.options.memory_bytes - fl_runtime.counts.device_bytes)
        error = cudaErrorMemoryAllocation;
    return fl_runtime_leave(error ? error : add_piece(ret_memory, bytes, pinned));
}

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    return allocate(memory, bytes, 0);
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags)
{
    (void)flags; /* say how a device may reach it: always here */
    return allocate(memory, bytes, 1);
}

cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
    return allocate(memory, bytes, 1);
}

/* Waits for everything that may use the memory, as CUDA does. */
static cudaError_t release(void *memory, int pinned)
{
    if (!memory)
        return cudaSuccess;
    fl_runtime_enter();
    struct piece **link = &pieces, *piece;
    while (*link && ((*link)->at != memory || (*link)->pinned != pinned))
        link = &(*link)->next;
    piece = *link;
    if (!piece)
        return fl_runtime_leave(cudaErrorInvalidValue);
    fl_stream_drain_all();
    *link = piece->next;
    *(pinned ? &fl_runtime.counts.pinned_bytes : &fl_runtime.counts.device_bytes) -= piece->bytes;
    fl_asan_open(piece->at, piece->bytes);
    free(piece->at);
    free(piece);
    return fl_runtime_leave(cudaSuccess);
}

cudaError_t cudaFree(void *memory)
{
    return release(memory, 0);
}

cudaError_t cudaFreeHost(void *memory)
{
    return release(memory, 1);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    fl_runtime_enter();
    *total_bytes = fl_runtime.options.memory_bytes;
    *free_bytes = fl_runtime.options.memory_bytes - fl_runtime.counts.device_bytes;
    return fl_runtime_leave(fl_runtime_device());
}

/* Copies. */

enum where {
    PAGEABLE,
    PINNED,
    DEVICE,
    OUTSIDE, /* begins in a known piece and goes past its end */
};

static enum where where_is(const void *memory, size_t bytes)
{
    const struct piece *piece = find(memory);
    if (!piece)
        return PAGEABLE;
    if (!holds(piece, memory, bytes))
        return OUTSIDE;
    return piece->pinned ? PINNED : DEVICE;
}

struct copy {
    struct fl_task task;
    void *to;
    const void *from; /* NULL: the bytes that follow the struct */
    size_t bytes;
    uint64_t *counter; /* NULL: not over the bus */
};

static void run_copy(struct fl_task *task)
{
    struct copy *copy = (struct copy *)task;
    memmove(copy->to, copy->from ? copy->from : copy + 1, copy->bytes);
    if (copy->counter)
        *copy->counter += copy->bytes;
}

static cudaError_t check_kind(enum where to, enum where from, enum cudaMemcpyKind kind)
{
    if (to == OUTSIDE || from == OUTSIDE)
        return cudaErrorInvalidValue;
    switch (kind) {
    case cudaMemcpyHostToHost:
        return to == DEVICE || from == DEVICE ? cudaErrorInvalidValue : cudaSuccess;
    case cudaMemcpyHostToDevice:
        return to != DEVICE || from == DEVICE ? cudaErrorInvalidValue : cudaSuccess;
    case cudaMemcpyDeviceToHost:
        return to == DEVICE || from != DEVICE ? cudaErrorInvalidValue : cudaSuccess;
    case cudaMemcpyDeviceToDevice:
        return to != DEVICE || from != DEVICE ? cudaErrorInvalidValue : cudaSuccess;
    case cudaMemcpyDefault:
        return cudaSuccess;
    }
    return cudaErrorInvalidMemcpyDirection;
}

/* A copy from pageable memory takes the bytes at once; one to pageable memory is over when the call returns.
 */
static cudaError_t queue_copy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                              cudaStream_t stream, int wait)
{
    enum where target = where_is(to, bytes), source = where_is(from, bytes);
    cudaError_t error = fl_stream_check(stream);
    if (!error && bytes)
        error = check_kind(target, source, kind);
    if (error || bytes == 0)
        return error;
    size_t snapshot = source == PAGEABLE ? bytes : 0;
    struct copy *copy = fl_task_new(sizeof *copy + snapshot, run_copy);
    if (!copy)
        return cudaErrorMemoryAllocation;
    copy->to = to;
    copy->from = snapshot ? NULL : from;
    copy->bytes = bytes;
    if ((target == DEVICE) != (source == DEVICE))
        copy->counter =
            target == DEVICE ? &fl_runtime.counts.bytes_to_device : &fl_runtime.counts.bytes_to_host;
    if (snapshot)
        memcpy(copy + 1, from, bytes);
    fl_stream_queue(stream, &copy->task);
    if (target == PAGEABLE || (wait && !(target == DEVICE && source == DEVICE)))
        fl_stream_drain(stream);
    return cudaSuccess;
}

static cudaError_t start_copy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                              cudaStream_t stream, int wait)
{
    fl_runtime_enter();
    cudaError_t error = fl_runtime_device();
    return fl_runtime_leave(error ? error : queue_copy(to, from, bytes, kind, stream, wait));
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    return start_copy(to, from, bytes, kind, NULL, 1);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    return start_copy(to, from, bytes, kind, stream, 0);
}

struct fill {
    struct fl_task task;
    void *memory;
    int value;
    size_t bytes;
};

static void run_fill(struct fl_task *task)
{
    struct fill *fill = (struct fill *)task;
    memset(fill->memory, fill->value, fill->bytes);
}

static cudaError_t queue_fill(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    cudaError_t error = fl_stream_check(stream);
    if (error || bytes == 0)
        return error;
    if (!fl_memory_reachable(memory, bytes))
        return cudaErrorInvalidValue;
    struct fill *fill = fl_task_new(sizeof *fill, run_fill);
    if (!fill)
        return cudaErrorMemoryAllocation;
    fill->memory = memory;
    fill->value = value;
    fill->bytes = bytes;
    fl_stream_queue(stream, &fill->task);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    fl_runtime_enter();
    cudaError_t error = fl_runtime_device();
    return fl_runtime_leave(error ? error : queue_fill(memory, value, bytes, stream));
}

cudaError_t cudaMemset(void *memory, int value, size_t bytes)
{
    return cudaMemsetAsync(memory, value, bytes, NULL);
}
