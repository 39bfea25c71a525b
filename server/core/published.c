#include "server/core/published.h"

#include <stdlib.h>
#include <string.h>

#include "codec/downlink.h"

#define HEAD_BYTES 128 /* more than a model message without its data */

/* touched of all elements is 0. */
static struct fl_published *allocate(size_t elems)
{
    struct fl_published *published = calloc(1, sizeof *published);

    if (!published)
        return NULL;
    published->refs = 1;
    published->elems = elems;
    published->x_hat = malloc(elems * sizeof *published->x_hat);
    published->touched = calloc(elems, sizeof *published->touched);
    published->x_sums = calloc(fl_state_chunks(elems), sizeof *published->x_sums);
    if (published->x_hat && published->touched && published->x_sums)
        return published;
    fl_published_unref(published);
    return NULL;
}

enum fl_status fl_published_first(const struct fl_model_spec *spec, const float *x_0, uint64_t epoch,
                                  struct fl_published **ret_published)
{
    size_t elems = (size_t)fl_model_spec_elems(spec);
    struct fl_published *published = allocate(elems);

    if (!published)
        return FL_ERR_NOMEM;
    published->version.epoch = epoch;
    if (x_0)
        memcpy(published->x_hat, x_0, elems * sizeof *x_0);
    else
        fl_model_spec_init(spec, published->x_hat);
    if (fl_digest_tree_new(elems, &published->tree)) {
        fl_published_unref(published);
        return FL_ERR_NOMEM;
    }
    fl_published_digest(published);
    *ret_published = published;
    return FL_OK;
}

enum fl_status fl_published_save_first(struct fl_published *published, struct fl_store *store)
{
    size_t elems = published->elems;
    double *x = malloc(fl_state_chunk_elems(elems, 0) * sizeof *x);
    struct fl_state_writer writer = {.store = NULL};
    enum fl_status st, ended;

    st = x ? fl_state_begin(store, published->blob, &published->version, elems, &writer) : FL_ERR_NOMEM;
    for (size_t chunk = 0; chunk < fl_state_chunks(elems) && !st; chunk++) {
        const float *x_hat = published->x_hat + chunk * FL_STATE_CHUNK_ELEMS;
        for (size_t i = 0; i < fl_state_chunk_elems(elems, chunk); i++)
            x[i] = (double)x_hat[i];
        st = fl_state_put(&writer, chunk, x, x_hat, published->touched + chunk * FL_STATE_CHUNK_ELEMS);
    }
    ended = fl_state_end(&writer, !st, published->x_sums);
    free(x);
    return st ? st : ended;
}

enum fl_status fl_published_next(const struct fl_published *base, struct fl_published **ret_published)
{
    struct fl_published *next = allocate(base->elems);

    if (!next)
        return FL_ERR_NOMEM;
    if (fl_digest_tree_copy(base->tree, &next->tree)) {
        fl_published_unref(next);
        return FL_ERR_NOMEM;
    }
    next->version.epoch = base->version.epoch;
    next->version.number = base->version.number + 1;
    *ret_published = next;
    return FL_OK;
}

enum fl_status fl_published_load(const struct fl_env *env, struct fl_store *store, const char *blob,
                                 const struct fl_version *expected, size_t elems,
                                 struct fl_published **ret_published)
{
    struct fl_published *published = allocate(elems);
    enum fl_status st;

    if (!published)
        return FL_ERR_NOMEM;
    published->version = *expected;
    memcpy(published->blob, blob, strlen(blob) + 1);
    st = fl_state_load(env, store, blob, expected->number, elems, published->x_hat, published->touched,
                       published->x_sums);
    if (!st)
        st = fl_digest_tree_new(elems, &published->tree);
    if (!st) {
        fl_published_digest(published);
        if (!fl_version_equal(&published->version, expected))
            st = FL_ERR_CORRUPT;
    }
    if (st)
        fl_published_unref(published);
    else
        *ret_published = published;
    return st;
}

struct fl_published *fl_published_ref(struct fl_published *published)
{
    published->refs++;
    return published;
}

void fl_published_unref(struct fl_published *published)
{
    if (!published || --published->refs > 0)
        return;
    for (size_t i = 0; i < published->delta_count; i++)
        fl_shared_unref(published->deltas[i].body);
    fl_digest_tree_free(published->tree);
    free(published->x_hat);
    free(published->touched);
    free(published->x_sums);
    free(published);
}

void fl_published_digest(struct fl_published *published)
{
    for (size_t i = 0; i < published->elems; i++)
        if (published->touched[i] == published->version.number)
            fl_digest_tree_touch(published->tree, i);
    published->version.digest = fl_digest_tree_get(published->tree, published->x_hat);
}

/* --- bodies --- */

/* A model message up to its data, which are size bytes. */
static enum fl_status encode_head(const struct fl_version *version, size_t elems, enum fl_model_form form,
                                  uint64_t from, size_t size, struct fl_buf *head)
{
    struct fl_model_message message = {
        .form = form, .version = *version, .elems = elems, .data = {NULL, size}};

    message.from.number = from;
    return fl_model_message_encode(&message, head);
}

enum fl_status fl_published_snapshot(struct fl_store *store, const char *blob,
                                     const struct fl_version *version, size_t elems,
                                     struct fl_shared **ret_body)
{
    struct fl_buf head;
    enum fl_status st;

    fl_buf_init(&head, HEAD_BYTES);
    st = encode_head(version, elems, FL_FORM_SNAPSHOT, 0, elems * sizeof(float), &head);
    if (!st)
        st = fl_state_share_x_hat(store, blob, elems, &head, ret_body);
    fl_buf_done(&head);
    return st;
}

enum fl_status fl_published_copy(const struct fl_published *published, struct fl_shared **ret_body)
{
    size_t size = published->elems * sizeof *published->x_hat;
    struct fl_buf body;
    enum fl_status st;

    fl_buf_init(&body, HEAD_BYTES + size);
    st = fl_buf_reserve(&body, HEAD_BYTES + size);
    if (!st)
        st = encode_head(&published->version, published->elems, FL_FORM_SNAPSHOT, 0, size, &body);
    if (!st)
        st = fl_buf_append(&body, published->x_hat, size);
    if (!st)
        st = fl_shared_new(&body, ret_body);
    fl_buf_done(&body);
    return st;
}

/* Closes the gap before the payload but for what its head takes, so that one buffer is enough. */
static enum fl_status put_head(const struct fl_published *published, uint64_t from, struct fl_buf *body)
{
    size_t size = body->size - HEAD_BYTES;
    struct fl_buf head;
    enum fl_status st;

    fl_buf_init(&head, HEAD_BYTES);
    st = encode_head(&published->version, published->elems, FL_FORM_DELTA, from, size, &head);
    if (!st) {
        memmove(body->data + head.size, body->data + HEAD_BYTES, size);
        memcpy(body->data, head.data, head.size);
        fl_buf_truncate(body, head.size + size);
    }
    fl_buf_done(&head);
    return st;
}

/* *ret_body NULL: a snapshot would be no larger. */
static enum fl_status make_delta(const struct fl_published *published, uint64_t from, int any_size,
                                 struct fl_shared **ret_body)
{
    size_t most = any_size ? SIZE_MAX : published->elems * sizeof *published->x_hat;
    struct fl_buf body;
    uint8_t *gap;
    enum fl_status st = FL_OK;

    *ret_body = NULL;
    if (fl_delta_count(published->touched, published->elems, (uint32_t)from) * sizeof(float) >= most)
        return FL_OK;
    fl_buf_init(&body, HEAD_BYTES + fl_limit_model_body_bytes(published->elems));
    st = fl_buf_extend(&body, HEAD_BYTES, &gap);
    if (!st)
        st = fl_delta_encode(published->touched, published->x_hat, published->elems, (uint32_t)from, &body);
    if (!st && body.size - HEAD_BYTES < most) {
        st = put_head(published, from, &body);
        if (!st)
            st = fl_shared_new(&body, ret_body);
    }
    fl_buf_done(&body);
    return st;
}

/* The kept delta from exactly this version, or else the nearest before it, that may be used; NULL: none. */
static struct fl_published_delta *find_delta(struct fl_published *published, uint64_t from)
{
    struct fl_published_delta *nearest = NULL;

    for (size_t i = 0; i < published->delta_count; i++) {
        struct fl_published_delta *delta = &published->deltas[i];
        if (delta->from == from)
            return delta;
        if (delta->body && delta->from < from && (!nearest || delta->from > nearest->from))
            nearest = delta;
    }
    return nearest;
}

/* Keeps the delta where there is room. */
static void keep_delta(struct fl_published *published, uint64_t from, struct fl_shared *body)
{
    size_t most = published->elems * FL_PUBLISHED_DELTA_BYTES, size = fl_shared_size(body);

    if (published->delta_count == FL_PUBLISHED_DELTAS ||
        (published->delta_bytes > 0 && (size > most || published->delta_bytes > most - size)))
        return;
    published->deltas[published->delta_count++] = (struct fl_published_delta){from, fl_shared_ref(body)};
    published->delta_bytes += size;
}

enum fl_status fl_published_delta(struct fl_published *published, const struct fl_version *have, int any_size,
                                  struct fl_shared **ret_body)
{
    struct fl_published_delta *found = find_delta(published, have->number);
    int is_full = published->delta_count == FL_PUBLISHED_DELTAS ||
                  published->delta_bytes >= published->elems * FL_PUBLISHED_DELTA_BYTES;
    struct fl_shared *body;
    enum fl_status st;

    if (found && found->body && (is_full || found->from == have->number)) {
        *ret_body = fl_shared_ref(found->body);
        return FL_OK;
    }
    if (found && !found->body && !any_size)
        return FL_ERR_LIMIT;
    st = make_delta(published, have->number, any_size, &body);
    if (st)
        return st;
    if (!any_size) /* rare, and large: not kept */
        keep_delta(published, have->number, body);
    if (!body)
        return FL_ERR_LIMIT;
    *ret_body = body;
    return FL_OK;
}
