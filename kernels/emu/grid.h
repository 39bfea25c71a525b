/*
 * One grid under way: its resident blocks, their threads, and who runs next; private to kernels/emu. Only one
 * grid runs at a time, so that its state is in one place, fl_grid.
 */
#ifndef FL_KERNELS_EMU_GRID_H
#define FL_KERNELS_EMU_GRID_H

#include <stdatomic.h>

#include "kernels/emu/context.h"
#include "kernels/emu/device.h"
#include "kernels/emu/emu.h"
#include "kernels/emu/fibre.h"

enum fl_thread_state {
    FL_THREAD_READY,
    FL_THREAD_AT_BARRIER,
    FL_THREAD_IN_WARP,
    FL_THREAD_RETURNED,
};

/* What a lane brings to a warp operation. */
struct fl_lane_call {
    enum fl_emu_warp_operation operation;
    uint32_t mask;
    uint64_t value;
    int source, width;
};

/* Atomics done since the last fence: what the next fence takes from. The oldest are forgotten. */
#define FL_ATOMICS_SEEN_MAX 8

struct fl_thread {
    struct fl_emu_thread view; /* first: fl_emu_self points here */
    struct fl_block *block;
    unsigned number; /* in the block; its lane is number % FL_EMU_WARP */
    enum fl_thread_state state;
    const char *file; /* where it waits */
    int line;
    struct fl_fibre *fibre;        /* NULL until it starts */
    struct fl_context *context;    /* ThreadSanitizer's, while it runs */
    struct fl_lane_call lane_call; /* while it is FL_THREAD_IN_WARP */
    uint64_t lane_result;
    int fenced; /* it has passed a fence */
    unsigned seen_count;
    void *seen[FL_ATOMICS_SEEN_MAX];
};

/* Lanes that do a warp operation together, from the first to come until all have come. */
struct fl_warp_group {
    uint32_t mask, arrived;
    enum fl_emu_warp_operation operation;
    const char *file; /* where the first of them stands */
    int line;
    unsigned completions;
};

struct fl_block {
    struct fl_emu_block view;
    uint64_t number;
    struct fl_thread *threads; /* fl_grid.block_threads of them */
    unsigned at_barrier, returned, votes, last_votes, barriers;
    const char *file; /* of the barrier the first of them reached */
    int line;
    void *shared;
    size_t shared_bytes;
    struct fl_order *order;
    struct fl_warp_group groups[FL_EMU_WARPS_MAX][FL_EMU_WARP]; /* no mask: not in use */
    uint32_t gone[FL_EMU_WARPS_MAX]; /* lanes that have returned or do not exist, in each warp */
    unsigned group_count;            /* in use are none from here on, in each warp */
    int live;
};

struct fl_grid_work {
    const char *kernel;
    struct fl_emu_index blocks, threads;
    void (*call)(const void *arguments);
    const void *arguments;
};

struct fl_grid {
    const struct fl_grid_work *work;
    struct fl_emu_options options;
    uint64_t block_count, admitted;
    unsigned block_threads, resident, live;
    uint64_t random;
    struct fl_block *blocks; /* resident of them */
    struct fl_thread *threads;
    struct fl_thread **ready; /* a ring of ready_size, a power of two */
    size_t ready_size, ready_first, ready_count;
    struct fl_fibre *host;
    atomic_uint_fast64_t progress; /* changes whenever something happens that a waiting thread may wait for */
};

extern struct fl_grid fl_grid;

/* Runs all blocks of work to the end on the calling thread. */
void fl_grid_run(const struct fl_grid_work *work, const struct fl_emu_options *options);

/* The running thread. */
static inline struct fl_thread *fl_thread_self(void)
{
    return (struct fl_thread *)fl_emu_self;
}

/* Lets a waiting thread run again, later. */
void fl_thread_wake(struct fl_thread *thread);

/* Runs others until somebody has woken this thread, which waits in state at file:line. */
void fl_thread_wait(enum fl_thread_state state, const char *file, int line);

/* Runs others until it is this thread's turn, which must have been woken already. */
void fl_thread_pass(void);

/* Wakes all threads of block, or the lanes in mask of the warp that begins at lanes, in the schedule's order.
 */
void fl_block_wake(struct fl_block *block);
void fl_lanes_wake(struct fl_thread *lanes, uint32_t mask);

/* Something has changed: whoever waits in a loop may have got what it waits for. */
static inline void fl_grid_progress(void)
{
    atomic_fetch_add_explicit(&fl_grid.progress, 1, memory_order_relaxed);
}

/* Sets the schedule's own generator back to where seed begins. */
void fl_grid_seed(uint64_t seed);

/* A number below bound, of that generator. */
uint64_t fl_grid_random(uint64_t bound);

/* Fills fresh memory with garbage that depends on seed and number. */
void fl_garbage(void *at, size_t bytes, uint64_t seed, uint64_t number);

/* A thread is about to return: no warp operation may wait for it. */
void fl_warp_check_return(const struct fl_thread *thread);

const char *fl_warp_operation_name(enum fl_emu_warp_operation operation);

#endif
