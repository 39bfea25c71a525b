/* Reports on stderr that end the process with FL_EMU_EXIT; private to kernels/emu. */
#ifndef FL_KERNELS_EMU_REPORT_H
#define FL_KERNELS_EMU_REPORT_H

struct fl_thread;

/* "emulator: kernel K, block (x, y, z), thread (x, y, z), FILE:LINE: ..."; file may be NULL. */
_Noreturn void fl_report_thread(const struct fl_thread *thread, const char *file, int line,
                                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* "emulator: kernel K: ..." */
_Noreturn void fl_report_kernel(const char *kernel, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "emulator: the environment's NAME is TEXT, but must be EXPECTED" */
_Noreturn void fl_report_environment(const char *name, const char *text, const char *expected);

/* No thread of the grid can go on: says who waits where and for whom. */
_Noreturn void fl_report_deadlock(void);

/* For a process that may be in the middle of anything: writes message, which ends in a new line, and leaves.
 */
_Noreturn void fl_report_now(const char *message);

#endif
