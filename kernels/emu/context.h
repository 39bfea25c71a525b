/*
 * ThreadSanitizer's view of the threads of a grid: each has a context of its own, ordered after the launch
 * and before the end of the grid, and by nothing that switching does. Without that sanitizer there is nothing
 * to do.
 */
#ifndef FL_KERNELS_EMU_CONTEXT_H
#define FL_KERNELS_EMU_CONTEXT_H

#include "kernels/emu/device.h"
#include "kernels/emu/sanitizers.h"

struct fl_context;

/* Addresses by which the threads of one block are ordered; barriers and warp operations take turns with two.
 */
struct fl_order {
    char begun, ended, shared, barrier[2], warp[FL_EMU_WARPS_MAX][FL_EMU_WARP][2];
};

#ifdef FL_EMU_TSAN

/* Before the first thread of a grid, and after the last; by the host. */
void fl_context_grid_begins(void);
void fl_context_grid_ends(void);

/* For a block that begins; by the host. NULL: out of memory. Freed by the last thread of the block. */
struct fl_order *fl_order_new(void);
void fl_order_free(struct fl_order *order);

/* A context for the time a thread of a block runs, which becomes the acting one. */
struct fl_context *fl_context_begin(struct fl_order *order);

/* The thread of context has returned. The host's context becomes the acting one. */
void fl_context_end(struct fl_context *context);

/* Makes context the acting one; NULL is the host's. */
void fl_context_switch(struct fl_context *context);

#else

static inline void fl_context_grid_begins(void)
{
}

static inline void fl_context_grid_ends(void)
{
}

static inline struct fl_order *fl_order_new(void)
{
    static struct fl_order unused;
    return &unused;
}

static inline void fl_order_free(struct fl_order *order)
{
    (void)order;
}

static inline struct fl_context *fl_context_begin(struct fl_order *order)
{
    (void)order;
    return NULL;
}

static inline void fl_context_end(struct fl_context *context)
{
    (void)context;
}

static inline void fl_context_switch(struct fl_context *context)
{
    (void)context;
}

#endif

#endif
