/*
 * Work in parts on several threads, which begin and end within the call: none waits in a loop for work, and
 * nothing is left running. Not for work that must share data while it runs.
 */
#ifndef FL_BASE_PARALLEL_H
#define FL_BASE_PARALLEL_H

#include <stddef.h>

#define FL_PARALLEL_MAX 64

/* Does one part of the work. Parts run at the same time, so none may write what another reads or writes. */
typedef void (*fl_part_fn)(void *user, unsigned part);

/*
 * Calls fn(user, part) once for each part < parts, at most FL_PARALLEL_MAX, part 0 on the caller's thread and
 * each other on one of its own, and returns when all have returned. A part whose thread cannot be started is
 * done by the caller, so the work is done in any case.
 */
void fl_parallel(unsigned parts, fl_part_fn fn, void *user);

/* Parts that n elements are worth, from 1 to most, with at least so many elements each. */
static inline unsigned fl_parallel_parts(size_t n, size_t least, unsigned most)
{
    size_t parts = n / least;
    return parts < 1 ? 1 : parts < most ? (unsigned)parts : most;
}

/* Where a part of n elements begins, and the one before it ends: a multiple of grain, or n. The parts' sizes
 * differ by one grain at most, and by what is missing from the last. */
static inline size_t fl_parallel_begin(size_t n, size_t grain, unsigned parts, unsigned part)
{
    size_t grains = (n + grain - 1) / grain,
           begin = (grains / parts * part + grains % parts * part / parts) * grain;
    return begin < n ? begin : n;
}

#endif
