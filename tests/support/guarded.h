/*
 * Memory between two pages that nobody may touch: a byte read or written too far, or too early, ends the test
 * in every build, not only under AddressSanitizer.
 */
#ifndef FL_TESTS_SUPPORT_GUARDED_H
#define FL_TESTS_SUPPORT_GUARDED_H

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test.h"

struct guarded {
    uint8_t *start;  /* of what may be used */
    size_t capacity; /* whole pages */
};

/* For at least so many bytes; for guarded_done(). */
static inline struct guarded guarded_new(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), capacity = (bytes + page) / page * page;
    uint8_t *map = mmap(NULL, capacity + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map + page, capacity, PROT_READ | PROT_WRITE), 0);
    return (struct guarded){map + page, capacity};
}

static inline void guarded_done(struct guarded *guarded)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(munmap(guarded->start - page, guarded->capacity + 2 * page), 0);
}

/* Room whose last byte is the last that may be used. */
static inline void *guarded_end(const struct guarded *guarded, size_t bytes)
{
    assert_true(bytes <= guarded->capacity);
    return guarded->start + guarded->capacity - bytes;
}

/* A copy at the end, or at the start, where what lies before is forbidden; the rest is filled with ones,
 * which a reader that goes too far inside would take for codes. */
static inline const uint8_t *guarded_copy(const struct guarded *guarded, const void *data, size_t size,
                                          int at_end)
{
    uint8_t *copy = at_end ? guarded_end(guarded, size) : guarded->start;
    assert_true(size <= guarded->capacity);
    memset(guarded->start, 0xff, guarded->capacity);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

#endif
