/* Ends a process whose grid makes no progress: a thread of its own looks from time to time; private to
 * kernels/emu. */
#ifndef FL_KERNELS_EMU_WATCHDOG_H
#define FL_KERNELS_EMU_WATCHDOG_H

#include <stdatomic.h>
#include <stdint.h>

/* From here on the calling thread runs kernel: when it uses patience_s seconds of processor time while
 * *progress stays the same, the process ends with a report. Both pointers are borrowed until the end. */
void fl_watchdog_begin(const char *kernel, atomic_uint_fast64_t *progress, unsigned patience_s);
void fl_watchdog_end(void);

#endif
