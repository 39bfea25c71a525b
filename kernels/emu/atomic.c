#include "kernels/emu/grid.h"
#include "kernels/emu/sanitizers.h"

/* Before every such many atomics, on average, another thread comes first under the random schedule. */
#define ATOMICS_BETWEEN_TURNS 4

void fl_emu_pause(void)
{
    fl_thread_wake(fl_thread_self());
    fl_thread_pass();
}

void fl_emu_atomic_before(void *place)
{
    if (fl_grid.options.schedule == FL_EMU_RANDOM && fl_grid_random(ATOMICS_BETWEEN_TURNS) == 0)
        fl_emu_pause();
    if (fl_thread_self()->fenced)
        fl_tsan_release(place);
}

static void remember(struct fl_thread *self, void *place)
{
    for (unsigned i = 0; i < self->seen_count && i < FL_ATOMICS_SEEN_MAX; i++) {
        if (self->seen[i] == place)
            return;
    }
    self->seen[self->seen_count++ % FL_ATOMICS_SEEN_MAX] = place;
}

/* An atomic that leaves its place as it was may be one that waits in a loop for another thread. */
void fl_emu_atomic_after(void *place, int changed)
{
    remember(fl_thread_self(), place);
    if (changed)
        fl_grid_progress();
    else
        fl_emu_pause();
}

void fl_emu_fence(void)
{
    struct fl_thread *self = fl_thread_self();
    for (unsigned i = 0; i < self->seen_count && i < FL_ATOMICS_SEEN_MAX; i++)
        fl_tsan_acquire(self->seen[i]);
    self->seen_count = 0;
    self->fenced = 1;
}
