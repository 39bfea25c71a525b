/*
 * The runtime behind include/cuda_runtime_api.h: what its files share; private to kernels/emu. All state is
 * under one lock, which every call of the interface holds; so does a grid that runs.
 */
#ifndef FL_KERNELS_EMU_RUNTIME_H
#define FL_KERNELS_EMU_RUNTIME_H

#include "kernels/emu/emu.h"
#include "kernels/emu/include/cuda_runtime_api.h"

struct fl_runtime {
    struct fl_emu_options options;
    struct fl_emu_counts counts;
    unsigned fail_allocation, fail_launch; /* so many from now; 0: none */
};

extern struct fl_runtime fl_runtime;

/* Takes the lock and sees to it that there are options. */
void fl_runtime_enter(void);

/* Gives the lock back. Returns error, which the thread's cudaGetLastError() knows from here on if it is one.
 */
cudaError_t fl_runtime_leave(cudaError_t error);

/* 1 for the one that was to fail. */
int fl_runtime_fails(unsigned *countdown);

/* cudaErrorNoDevice where there is none. */
cudaError_t fl_runtime_device(void);

/* Work on a stream; the first member of a struct with what it needs, in one piece of malloc. */
struct fl_task {
    struct fl_task *next;
    uint64_t ticket;                          /* in the order of the host's calls */
    int (*ready)(const struct fl_task *task); /* NULL: at any time */
    void (*run)(struct fl_task *task);
};

/* Memory for a task with bytes bytes in all; zero. NULL: out of memory. */
void *fl_task_new(size_t bytes, void (*run)(struct fl_task *task));

/* cudaErrorInvalidResourceHandle when stream is none. */
cudaError_t fl_stream_check(cudaStream_t stream);

/* Behind what is on stream; task is freed after it has run. */
void fl_stream_queue(cudaStream_t stream, struct fl_task *task);

/* Runs tasks until stream has none, or until no stream has any. */
void fl_stream_drain(cudaStream_t stream);
void fl_stream_drain_all(void);

/* 1 when a device can reach all bytes at memory, and the first of them in any case: device memory, or pinned.
 */
int fl_memory_reachable(const void *memory, size_t bytes);

/* Around whatever runs on the device: AddressSanitizer lets nobody else touch device memory. */
void fl_memory_open(void);
void fl_memory_close(void);

/* 1 when such memory ends right before memory. */
int fl_memory_ends(const void *memory);

#endif
