#include "server/core/published.h"

#include <stdlib.h>
#include <string.h>

#include "codec/downlink.h"

#define STATE_MAGIC        "FLSTATE1"
#define STATE_HEADER_BYTES 128
#define ELEM_BYTES         (sizeof(double) + sizeof(float) + sizeof(uint32_t))

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "state blobs are written as they lie in memory");

static struct fl_published *allocate(size_t elems)
{
    struct fl_published *published = calloc(1, sizeof *published);

    if (!published)
        return NULL;
    published->refs = 1;
    published->elems = elems;
    published->x = malloc(elems * sizeof *published->x);
    published->x_hat = malloc(elems * sizeof *published->x_hat);
    published->touched = calloc(elems, sizeof *published->touched);
    if (published->x && published->x_hat && published->touched)
        return published;
    fl_published_unref(published);
    return NULL;
}

enum fl_status fl_published_first(const struct fl_model_spec *spec, const float *x_0, uint64_t epoch,
                                  struct fl_published **ret_published)
{
    size_t elems = (size_t)fl_model_spec_elems(spec);
    struct fl_published *published = allocate(elems);
    enum fl_status st;

    if (!published)
        return FL_ERR_NOMEM;
    published->version.epoch = epoch;
    if (x_0)
        memcpy(published->x_hat, x_0, elems * sizeof *x_0);
    else
        fl_model_spec_init(spec, published->x_hat);
    for (size_t i = 0; i < elems; i++)
        published->x[i] = (double)published->x_hat[i];
    st = fl_published_digest(published);
    if (st) {
        fl_published_unref(published);
        return st;
    }
    *ret_published = published;
    return FL_OK;
}

enum fl_status fl_published_next(struct fl_published *base, struct fl_published **ret_published)
{
    struct fl_published *next = allocate(base->elems);

    if (!next)
        return FL_ERR_NOMEM;
    next->version.epoch = base->version.epoch;
    next->version.number = base->version.number + 1;
    memcpy(next->x, base->x, base->elems * sizeof *base->x);
    memcpy(next->x_hat, base->x_hat, base->elems * sizeof *base->x_hat);
    memcpy(next->touched, base->touched, base->elems * sizeof *base->touched);
    next->tree = base->tree;
    base->tree = NULL;
    *ret_published = next;
    return FL_OK;
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
    fl_shared_unref(published->snapshot);
    fl_digest_tree_free(published->tree);
    free(published->x);
    free(published->x_hat);
    free(published->touched);
    free(published);
}

enum fl_status fl_published_digest(struct fl_published *published)
{
    if (published->tree) {
        for (size_t i = 0; i < published->elems; i++)
            if (published->touched[i] == published->version.number)
                fl_digest_tree_touch(published->tree, i);
    } else {
        enum fl_status st = fl_digest_tree_new(published->elems, &published->tree);
        if (st)
            return st;
    }
    published->version.digest = fl_digest_tree_get(published->tree, published->x_hat);
    return FL_OK;
}

static void section_views(const struct fl_published *published, struct fl_bytes views[3])
{
    views[0] = (struct fl_bytes){(const uint8_t *)published->x, published->elems * sizeof *published->x};
    views[1] =
        (struct fl_bytes){(const uint8_t *)published->x_hat, published->elems * sizeof *published->x_hat};
    views[2] =
        (struct fl_bytes){(const uint8_t *)published->touched, published->elems * sizeof *published->touched};
}

static void make_header(const struct fl_published *published, const struct fl_env *env,
                        uint8_t header[STATE_HEADER_BYTES])
{
    struct fl_bytes views[3];

    memcpy(header, STATE_MAGIC, 8);
    fl_store_le64(header + 8, published->elems);
    fl_store_le64(header + 16, published->version.epoch);
    fl_store_le64(header + 24, published->version.number);
    section_views(published, views);
    for (int i = 0; i < 3; i++)
        env->sha256(env->user, views[i], header + 32 + FL_DIGEST_SIZE * i);
}

enum fl_status fl_published_save(const struct fl_published *published, const struct fl_env *env,
                                 struct fl_store *store)
{
    uint8_t header[STATE_HEADER_BYTES];
    struct fl_bytes parts[4] = {{header, sizeof header}};

    make_header(published, env, header);
    section_views(published, parts + 1);
    return store->blob_write(store, published->blob, parts, 4);
}

enum fl_status fl_published_load(const struct fl_env *env, struct fl_store *store, const char *blob,
                                 const struct fl_version *expected, size_t elems,
                                 struct fl_published **ret_published)
{
    struct fl_published *published = NULL;
    struct fl_buf file;
    uint8_t header[STATE_HEADER_BYTES];
    enum fl_status st;

    fl_buf_init(&file, STATE_HEADER_BYTES + elems * ELEM_BYTES);
    st = store->blob_read(store, blob, &file);
    if (st)
        goto out;
    st = FL_ERR_CORRUPT;
    if (file.size != STATE_HEADER_BYTES + elems * ELEM_BYTES)
        goto out;
    published = allocate(elems);
    if (!published) {
        st = FL_ERR_NOMEM;
        goto out;
    }
    published->version = *expected;
    memcpy(published->blob, blob, strlen(blob) + 1);
    const uint8_t *at = file.data + STATE_HEADER_BYTES;
    memcpy(published->x, at, elems * sizeof *published->x);
    memcpy(published->x_hat, at + elems * sizeof(double), elems * sizeof *published->x_hat);
    memcpy(published->touched, at + elems * (sizeof(double) + sizeof(float)),
           elems * sizeof *published->touched);
    make_header(published, env, header);
    memcpy(header + 16, file.data + 16, 8); /* it may have been written in an earlier epoch (rule R13) */
    if (memcmp(header, file.data, sizeof header))
        goto out;
    st = fl_published_digest(published);
    if (st)
        goto out;
    if (!fl_version_equal(&published->version, expected)) {
        st = FL_ERR_CORRUPT;
        goto out;
    }
    *ret_published = published;
    published = NULL;
out:
    fl_published_unref(published);
    fl_buf_done(&file);
    return st;
}

static enum fl_status encode_body(const struct fl_published *published, enum fl_model_form form,
                                  const struct fl_version *from, struct fl_bytes data,
                                  struct fl_shared **ret_body)
{
    struct fl_model_message message = {
        .form = form, .version = published->version, .elems = published->elems, .data = data};
    struct fl_buf body;
    enum fl_status st;

    if (from)
        message.from = *from;
    fl_buf_init(&body, fl_limit_model_body_bytes(published->elems));
    st = fl_model_message_encode(&message, &body);
    if (!st)
        st = fl_shared_new(&body, ret_body);
    fl_buf_done(&body);
    return st;
}

enum fl_status fl_published_snapshot(struct fl_published *published, struct fl_shared **ret_body)
{
    if (!published->snapshot) {
        struct fl_bytes views[3];
        section_views(published, views);
        enum fl_status st = encode_body(published, FL_FORM_SNAPSHOT, NULL, views[1], &published->snapshot);
        if (st)
            return st;
    }
    *ret_body = published->snapshot;
    return FL_OK;
}

/* Makes the body of a delta, or another reference to the snapshot when that is no larger. */
static enum fl_status make_delta(struct fl_published *published, const struct fl_version *from,
                                 struct fl_shared **ret_body)
{
    struct fl_buf payload;
    enum fl_status st;

    fl_buf_init(&payload, fl_limit_model_body_bytes(published->elems));
    st = fl_delta_encode(published->touched, published->x_hat, published->elems, (uint32_t)from->number,
                         &payload);
    if (st)
        goto out;
    if (payload.size < published->elems * sizeof(float)) {
        st = encode_body(published, FL_FORM_DELTA, from, fl_buf_view(&payload), ret_body);
    } else {
        struct fl_shared *snapshot;
        st = fl_published_snapshot(published, &snapshot);
        if (!st)
            *ret_body = fl_shared_ref(snapshot);
    }
out:
    fl_buf_done(&payload);
    return st;
}

enum fl_status fl_published_delta(struct fl_published *published, const struct fl_version *have,
                                  struct fl_shared **ret_body)
{
    const struct fl_published_delta *nearest = NULL; /* that starts at have or before */

    for (size_t i = 0; i < published->delta_count; i++) {
        const struct fl_published_delta *delta = &published->deltas[i];
        if (delta->from <= have->number && (!nearest || delta->from > nearest->from))
            nearest = delta;
    }
    if (nearest && (nearest->from == have->number || published->delta_count == FL_PUBLISHED_DELTAS)) {
        *ret_body = nearest->body;
        return FL_OK;
    }
    if (published->delta_count == FL_PUBLISHED_DELTAS)
        return fl_published_snapshot(published, ret_body);
    struct fl_published_delta *delta = &published->deltas[published->delta_count];
    enum fl_status st = make_delta(published, have, &delta->body);
    if (st)
        return st;
    delta->from = have->number;
    published->delta_count++;
    *ret_body = delta->body;
    return FL_OK;
}

_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "the state blob's element sizes");
