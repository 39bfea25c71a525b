/* For tests of .cu files in the emulator: the same check under every kind of schedule and both ways of
 * switching. */
#ifndef FL_TESTS_SUPPORT_SCHEDULES_H
#define FL_TESTS_SUPPORT_SCHEDULES_H

#include "test.h"

#include "kernels/emu/emu.h"

/* Random schedules, each with a seed of its own. */
#define FL_SCHEDULES_RANDOM 4

static inline void fl_schedules_run(const struct fl_emu_options *options, void (*check)(void *),
                                    void *context)
{
    static const char *const names[] = {"forward", "reverse", "random"};
    print_message("    schedule %s, seed %u, %s, %u resident blocks\n", names[options->schedule],
                  (unsigned)options->seed, options->switching == FL_EMU_UCONTEXT ? "ucontext" : "x86-64",
                  options->resident_blocks);
    fl_emu_configure(options);
    check(context);
}

/* Calls check with context under each, and says which on stdout. Leaves the emulator with its defaults. */
static inline void fl_schedules_each(void (*check)(void *context), void *context)
{
    const struct fl_emu_options defaults = fl_emu_defaults();
    struct fl_emu_options options;
    for (int schedule = FL_EMU_FORWARD; schedule <= FL_EMU_RANDOM; schedule++) {
        options = defaults;
        options.schedule = schedule;
        for (unsigned i = 0; i < (schedule == FL_EMU_RANDOM ? FL_SCHEDULES_RANDOM : 1u); i++) {
            options.seed = i + 1;
            options.resident_blocks = defaults.resident_blocks + i;
            fl_schedules_run(&options, check, context);
        }
        options.switching = FL_EMU_UCONTEXT;
        fl_schedules_run(&options, check, context);
    }
    fl_emu_configure(&defaults);
}

#endif
