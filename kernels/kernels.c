#include "kernels/kernels.h"

#include <string.h>

#include "kernels/portable.h"

/* Fastest first. */
static const struct fl_kernels *const tables[] = {&fl_kernels_portable};

const struct fl_kernels *fl_kernels_pick(void)
{
    return tables[0];
}

const struct fl_kernels *fl_kernels_find(const char *name)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (strcmp(tables[i]->name, name) == 0)
            return tables[i];
    }
    return NULL;
}
