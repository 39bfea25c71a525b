#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/tables.h"

/* Fastest first. */
static const struct fl_kernels *const tables[] = {
#if defined(__x86_64__)
    &fl_kernels_avx512,
    &fl_kernels_avx2,
#elif defined(__aarch64__)
    &fl_kernels_neon,
#endif
    &fl_kernels_portable,
};

#define TABLES (sizeof tables / sizeof tables[0])

static int runs_here(const struct fl_kernels *table)
{
#if defined(__x86_64__)
    if (table == &fl_kernels_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("bmi2");
    if (table == &fl_kernels_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
#endif
    (void)table;
    return 1;
}

const struct fl_kernels *fl_kernels_pick(void)
{
    const char *wanted = getenv("FL_KERNELS");
    const struct fl_kernels *table = wanted ? fl_kernels_find(wanted) : NULL;
    for (size_t i = 0; !table && i < TABLES; i++) {
        if (runs_here(tables[i]))
            table = tables[i];
    }
    return table;
}

const struct fl_kernels *fl_kernels_find(const char *name)
{
    for (size_t i = 0; i < TABLES; i++) {
        if (strcmp(tables[i]->name, name) == 0)
            return runs_here(tables[i]) ? tables[i] : NULL;
    }
    return NULL;
}
