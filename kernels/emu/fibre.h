/*
 * Fibres: stacks that take turns on one thread of the host. They are kept in a pool and never freed; one that
 * is not in use runs nothing. Not for anything that knows of kernels.
 */
#ifndef FL_KERNELS_EMU_FIBRE_H
#define FL_KERNELS_EMU_FIBRE_H

#include "kernels/emu/emu.h"

struct fl_fibre;

/* What every fibre runs from its first switch on; it never returns. */
typedef void (*fl_fibre_body_fn)(void);

/* A fibre out of the pool: a new one that will run body, or one that was put back and will go on behind the
 * switch it left by. NULL: out of memory. All fibres of a pool have the same body; there is a pool for each
 * way of switching. */
struct fl_fibre *fl_fibre_take(enum fl_emu_switching switching, fl_fibre_body_fn body);

/* Back to the pool; the fibre may still be the running one, and must then switch away next. */
void fl_fibre_put(struct fl_fibre *fibre);

/* The host's own stack as a fibre, to switch away from and back to. */
struct fl_fibre *fl_fibre_host(enum fl_emu_switching switching);

/* Leaves from, which must be running, and goes on with to; both use the same way of switching. Returns when
 * somebody switches to from. */
void fl_fibre_switch(struct fl_fibre *from, struct fl_fibre *to);

#endif
