#include "base/shared.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct fl_shared {
    atomic_uint references;
    uint8_t *data;
    size_t size;
    struct fl_shared_source source; /* data_size 0: none */
};

enum fl_status fl_shared_new_source(struct fl_buf *head, const struct fl_shared_source *source,
                                    struct fl_shared **ret_shared)
{
    struct fl_shared *shared = malloc(sizeof *shared);
    if (!shared)
        return FL_ERR_NOMEM;
    atomic_init(&shared->references, 1);
    shared->data = fl_buf_take(head, &shared->size);
    shared->source = *source;
    *ret_shared = shared;
    return FL_OK;
}

enum fl_status fl_shared_new(struct fl_buf *buf, struct fl_shared **ret_shared)
{
    return fl_shared_new_source(buf, &(struct fl_shared_source){.data_size = 0}, ret_shared);
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
    if (shared->source.done)
        shared->source.done(shared->source.user);
    free(shared->data);
    free(shared);
}

size_t fl_shared_size(const struct fl_shared *shared)
{
    return shared ? shared->size + (size_t)shared->source.data_size : 0;
}

enum fl_status fl_shared_read(const struct fl_shared *shared, size_t offset, uint8_t *ret_data, size_t size)
{
    size_t held = offset < shared->size ? shared->size - offset : 0;

    if (held > size)
        held = size;
    if (held)
        memcpy(ret_data, shared->data + offset, held);
    if (held == size)
        return FL_OK;
    return shared->source.read(shared->source.user, offset + held - shared->size, ret_data + held,
                               size - held);
}

struct fl_bytes fl_shared_view(const struct fl_shared *shared)
{
    return shared ? (struct fl_bytes){shared->data, shared->size} : (struct fl_bytes){NULL, 0};
}
