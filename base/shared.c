#include "base/shared.h"

#include <stdatomic.h>
#include <stdlib.h>

struct fl_shared {
    atomic_uint references;
    uint8_t *data;
    size_t size;
};

enum fl_status fl_shared_new(struct fl_buf *buf, struct fl_shared **ret_shared)
{
    struct fl_shared *shared = malloc(sizeof *shared);
    if (!shared)
        return FL_ERR_NOMEM;
    atomic_init(&shared->references, 1);
    shared->data = fl_buf_take(buf, &shared->size);
    *ret_shared = shared;
    return FL_OK;
}

struct fl_shared *fl_shared_ref(struct fl_shared *shared)
{
    if (shared)
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

void fl_shared_unref(struct fl_shared *shared)
{
    if (!shared || atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1)
        return;
    free(shared->data);
    free(shared);
}

struct fl_bytes fl_shared_view(const struct fl_shared *shared)
{
    return shared ? (struct fl_bytes){shared->data, shared->size} : (struct fl_bytes){NULL, 0};
}
