#include "kernels/emu/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernels/emu/grid.h"

#define INDEX       "(%u, %u, %u)"
#define INDEX_OF(i) (i).x, (i).y, (i).z

static _Noreturn void leave(void)
{
    fputc('\n', stderr);
    fflush(NULL);
    _exit(FL_EMU_EXIT);
}

_Noreturn void fl_report_now(const char *message)
{
    if (write(STDERR_FILENO, message, strlen(message)) < 0)
        _exit(FL_EMU_EXIT);
    _exit(FL_EMU_EXIT);
}

_Noreturn void fl_report_thread(const struct fl_thread *thread, const char *file, int line,
                                const char *format, ...)
{
    va_list list;
    fprintf(stderr, "emulator: kernel %s, block " INDEX ", thread " INDEX, fl_grid.work->kernel,
            INDEX_OF(thread->block->view.index), INDEX_OF(thread->view.index));
    if (file)
        fprintf(stderr, ", %s:%d", file, line);
    fputs(": ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    leave();
}

_Noreturn void fl_report_kernel(const char *kernel, const char *format, ...)
{
    va_list list;
    fprintf(stderr, "emulator: kernel %s: ", kernel);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    leave();
}

_Noreturn void fl_report_environment(const char *name, const char *text, const char *expected)
{
    fprintf(stderr, "emulator: the environment's %s is \"%s\", but must be %s", name, text, expected);
    leave();
}

static int same_wait(const struct fl_thread *a, const struct fl_thread *b)
{
    return a->state == b->state && a->line == b->line && a->file == b->file &&
           (a->state != FL_THREAD_IN_WARP ||
            (a->lane_call.operation == b->lane_call.operation && a->lane_call.mask == b->lane_call.mask &&
             a->number / FL_EMU_WARP == b->number / FL_EMU_WARP));
}

/* How many threads wait like threads[i]; 0 when an earlier one does. */
static unsigned alike(const struct fl_thread *threads, unsigned i)
{
    unsigned count = 0;
    for (unsigned j = 0; j < fl_grid.block_threads; j++) {
        if (!same_wait(&threads[j], &threads[i]))
            continue;
        if (j < i)
            return 0;
        count++;
    }
    return count;
}

static void print_wait(const struct fl_thread *thread, unsigned count)
{
    const char *unit = count == 1 ? "thread waits" : "threads wait";
    fprintf(stderr, "\n    %u %s, first " INDEX ", at %s:%d in ", count, unit, INDEX_OF(thread->view.index),
            thread->file, thread->line);
    if (thread->state == FL_THREAD_AT_BARRIER)
        fprintf(stderr, "__syncthreads");
    else
        fprintf(stderr, "%s with mask 0x%08x", fl_warp_operation_name(thread->lane_call.operation),
                thread->lane_call.mask);
}

_Noreturn void fl_report_deadlock(void)
{
    const struct fl_block *block = fl_grid.blocks;
    while (!block->live)
        block++;
    fprintf(stderr, "emulator: kernel %s, block " INDEX ": no thread can go on: %u of %u have returned, and",
            fl_grid.work->kernel, INDEX_OF(block->view.index), block->returned, fl_grid.block_threads);
    for (unsigned i = 0; i < fl_grid.block_threads; i++) {
        unsigned count = block->threads[i].state == FL_THREAD_RETURNED ? 0 : alike(block->threads, i);
        if (count)
            print_wait(&block->threads[i], count);
    }
    leave();
}
