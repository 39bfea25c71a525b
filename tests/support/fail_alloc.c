#include "fail_alloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *old);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *old);

static atomic_int armed;
static atomic_long left, live, bytes, peak;

void fl_fail_alloc_after(size_t successes)
{
    left = (long)successes;
    armed = 1;
}

void fl_fail_alloc_never(void)
{
    armed = 0;
}

long fl_live_allocations(void)
{
    return live;
}

long fl_live_bytes(void)
{
    return bytes;
}

void fl_peak_bytes_begin(void)
{
    peak = bytes;
}

long fl_peak_bytes(void)
{
    return peak;
}

static int refused(void)
{
    if (!armed || atomic_fetch_sub(&left, 1) > 0)
        return 0;
    errno = ENOMEM;
    return 1;
}

static void add_bytes(long more)
{
    long now = atomic_fetch_add(&bytes, more) + more;
    if (now > peak)
        peak = now;
}

static void *counted(void *block)
{
    if (block) {
        live++;
        add_bytes((long)malloc_usable_size(block));
    }
    return block;
}

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (refused())
        return NULL;
    if (!old)
        return counted(__real_malloc(size));
    long before = (long)malloc_usable_size(old);
    void *block = __real_realloc(old, size);
    if (block)
        add_bytes((long)malloc_usable_size(block) - before);
    return block;
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void __wrap_free(void *old)
{
    if (old) {
        live--;
        bytes -= (long)malloc_usable_size(old);
    }
    __real_free(old);
}
