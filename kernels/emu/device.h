/*
 * What a kernel asks of the emulator while it runs; called by the inline functions of include/cuda_runtime.h
 * only. file and line are where the kernel stands, for reports.
 */
#ifndef FL_KERNELS_EMU_DEVICE_H
#define FL_KERNELS_EMU_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FL_EMU_WARP      32u /* lanes */
#define FL_EMU_WARPS_MAX 32u /* in a block */

struct fl_emu_index {
    unsigned x, y, z;
};

struct fl_emu_block {
    struct fl_emu_index index, threads, blocks; /* blockIdx, blockDim, gridDim */
};

struct fl_emu_thread {
    struct fl_emu_index index; /* threadIdx */
    const struct fl_emu_block *block;
};

/* The thread that runs; NULL outside of kernels. */
extern struct fl_emu_thread *fl_emu_self;

/* The block's one struct of shared memory: exactly so many bytes, garbage at first. */
void *fl_emu_shared(size_t bytes, size_t alignment);

/* Waits for all threads of the block and returns how many of them gave a value other than 0. */
unsigned fl_emu_barrier(int value, const char *file, int line);

enum fl_emu_warp_operation {
    FL_EMU_SYNCWARP,
    FL_EMU_BALLOT,
    FL_EMU_SHFL,
    FL_EMU_SHFL_UP,
    FL_EMU_SHFL_DOWN,
    FL_EMU_SHFL_XOR,
    FL_EMU_REDUCE_ADD, /* of 32 bits */
    FL_EMU_REDUCE_AND,
    FL_EMU_REDUCE_OR,
    FL_EMU_REDUCE_XOR,
    FL_EMU_REDUCE_MIN,
    FL_EMU_REDUCE_MAX,
    FL_EMU_REDUCE_MIN_SIGNED,
    FL_EMU_REDUCE_MAX_SIGNED,
};

/* Waits for the lanes of mask and returns this lane's result. value: predicate, or what is shuffled or
 * reduced; source and width: the further arguments of a shuffle. */
uint64_t fl_emu_warp(enum fl_emu_warp_operation operation, uint32_t mask, uint64_t value, int source,
                     int width, const char *file, int line);

/* Around every atomic: where another thread may come first, and what a fence has to say of the place. */
void fl_emu_atomic_before(void *place);
void fl_emu_atomic_after(void *place, int changed);

/* __threadfence() */
void fl_emu_fence(void);

/* Lets others run: for loops that wait. */
void fl_emu_pause(void);

/* Queues a kernel on stream. call runs it for fl_emu_self, with the bytes of arguments, which are copied. */
void fl_emu_launch(const char *kernel, struct fl_emu_index blocks, struct fl_emu_index threads, void *stream,
                   void (*call)(const void *arguments), const void *arguments, size_t bytes);

/* Reports a kernel argument that is a pointer no device could follow. number: its position, from 1. */
void fl_emu_check_pointer(const char *kernel, unsigned number, const void *pointer);

#ifdef __cplusplus
}
#endif

#endif
