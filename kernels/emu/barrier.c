#include "kernels/emu/grid.h"
#include "kernels/emu/report.h"
#include "kernels/emu/sanitizers.h"

static void check(const struct fl_thread *self, const char *file, int line)
{
    const struct fl_block *block = self->block;
    if (block->returned)
        fl_report_thread(self, file, line, "__syncthreads after %u of the block's %u threads have returned",
                         block->returned, fl_grid.block_threads);
    if (block->at_barrier && (block->line != line || block->file != file))
        fl_report_thread(self, file, line,
                         "__syncthreads while %u of the block's %u threads wait in another, at %s:%d",
                         block->at_barrier, fl_grid.block_threads, block->file, block->line);
}

static void complete(struct fl_block *block)
{
    block->last_votes = block->votes;
    block->votes = block->at_barrier = 0;
    block->barriers++;
    fl_grid_progress();
    fl_block_wake(block);
}

unsigned fl_emu_barrier(int value, const char *file, int line)
{
    struct fl_thread *self = fl_thread_self();
    struct fl_block *block = self->block;
    check(self, file, line);
    block->file = file;
    block->line = line;
    char *order = &block->order->barrier[block->barriers % 2];
    fl_tsan_release(order);
    block->votes += value != 0;
    if (++block->at_barrier == fl_grid.block_threads) {
        complete(block);
        fl_thread_pass();
    } else {
        fl_thread_wait(FL_THREAD_AT_BARRIER, file, line);
    }
    fl_tsan_acquire(order);
    return block->last_votes;
}
