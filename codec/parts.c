#include "codec/parts.h"

#include <math.h>

#include "base/random.h"
#include "codec/floats.h"
#include "codec/layout.h"
#include "codec/varint.h"

struct fl_codec_params fl_parts_params(const struct fl_codec_params *params, size_t i)
{
    struct fl_codec_params part = *params;
    part.dense_below = 0;
    part.tensors = &params->tensors[i];
    part.tensor_count = 1;
    part.seed = fl_mix64(params->seed, i);
    if (fl_codec_tensor_elems(part.tensors) < params->dense_below)
        part.id = FL_CODEC_DENSE;
    return part;
}

/* --- what the parts keep --- */

/* Cuts the next part's state off; none when there is no whole one. */
static struct fl_bytes next_state(struct fl_bytes *states)
{
    struct fl_bytes state = {0};
    if (states->size >= 4 && fl_load_le32(states->data) <= states->size - 4)
        state = (struct fl_bytes){states->data + 4, fl_load_le32(states->data)};
    *states = state.size ? (struct fl_bytes){state.data + state.size, states->size - 4 - state.size}
                         : (struct fl_bytes){0};
    return state;
}

/* What the codec keeps of each part (codec/state.h), while a payload is made. */
struct states {
    const struct fl_codec_state *whole; /* NULL: nothing is kept */
    struct fl_bytes left;               /* of what was kept: the parts to come */
    struct fl_buf next;                 /* of the part at hand */
    struct fl_codec_state own;
};

static void states_begin(struct states *states, const struct fl_codec_params *params)
{
    *states = (struct states){0};
    if (!params->state || !fl_codec_keeps_state(fl_codec_find_id((unsigned)params->id)))
        return;
    states->whole = params->state;
    states->left = params->state->kept;
    fl_buf_clear(params->state->next);
    fl_buf_init(&states->next, params->state->next->limit);
}

/* Gives the next part a state of its own, if it keeps one. */
static void states_give(struct states *states, struct fl_codec_params *part)
{
    part->state = NULL;
    fl_buf_clear(&states->next);
    if (!states->whole || !fl_codec_keeps_state(fl_codec_find_id((unsigned)part->id)))
        return;
    states->own = (struct fl_codec_state){next_state(&states->left), &states->next};
    part->state = &states->own;
}

/* What the part leaves joins what all leave. */
static enum fl_status states_take(struct states *states)
{
    uint8_t size[4];
    if (!states->next.size)
        return FL_OK;
    fl_store_le32(size, (uint32_t)states->next.size);
    enum fl_status st = fl_buf_append(states->whole->next, size, sizeof size);
    return st ? st : fl_buf_append(states->whole->next, states->next.data, states->next.size);
}

int fl_parts_state_fits(const struct fl_codec_params *params, struct fl_bytes state)
{
    for (size_t i = 0; i < params->tensor_count; i++) {
        struct fl_codec_params own = fl_parts_params(params, i);
        if (fl_codec_keeps_state(fl_codec_find_id((unsigned)own.id)) &&
            !fl_codec_state_fits(&own, fl_codec_tensor_elems(own.tensors), next_state(&state)))
            return 0;
    }
    return !state.size;
}

/* --- writing --- */

void fl_parts_note(struct fl_payload *whole, const struct fl_payload *part)
{
    whole->count += part->count;
    whole->sum_squares += part->sum_squares;
    whole->max_abs = fmaxf(whole->max_abs, part->max_abs);
}

static enum fl_status write_part(struct fl_bytes part, struct fl_buf *out)
{
    enum fl_status st = fl_varint_put(out, part.size);
    return st ? st : fl_buf_append(out, part.data, part.size);
}

enum fl_status fl_parts_make(const struct fl_codec_params *params, size_t dim, fl_part_fn fn, void *user,
                             struct fl_buf *out, size_t *ret_bodies_at)
{
    uint8_t first = FL_PAYLOAD_PARTS | FL_LAYOUT_VERSION << 4;
    size_t before = out->size, elems;
    struct states states;
    struct fl_buf part;
    states_begin(&states, params);
    fl_buf_init(&part, out->limit);
    enum fl_status st = fl_buf_append(out, &first, 1);
    if (!st)
        st = fl_varint_put(out, dim);
    *ret_bodies_at = out->size - before;
    for (size_t i = 0, start = 0; !st && i < params->tensor_count; start += elems, i++) {
        struct fl_codec_params own = fl_parts_params(params, i);
        elems = fl_codec_tensor_elems(own.tensors);
        fl_buf_clear(&part);
        states_give(&states, &own);
        st = fn(user, &own, start, elems, &part);
        if (!st)
            st = states_take(&states);
        if (!st)
            st = write_part(fl_buf_view(&part), out);
    }
    fl_buf_done(&states.next);
    fl_buf_done(&part);
    return st;
}

struct encoding {
    const struct fl_kernels *kernels;
    const float *p;
};

static enum fl_status encode_part(void *user, const struct fl_codec_params *own, size_t start, size_t elems,
                                  struct fl_buf *out)
{
    const struct encoding *encoding = user;
    return fl_codec_encode(encoding->kernels, own, encoding->p + start, elems, out);
}

enum fl_status fl_parts_encode(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                               const float *p, size_t dim, struct fl_buf *payload)
{
    struct encoding encoding = {kernels, p};
    size_t bodies_at;
    return fl_parts_make(params, dim, encode_part, &encoding, payload, &bodies_at);
}

/* --- reading --- */

/* The bytes of the next part. */
static enum fl_status next_part(struct fl_cursor *cursor, struct fl_bytes *ret_part)
{
    uint64_t size;
    enum fl_status st = fl_cursor_varint(cursor, &size);
    if (st)
        return st;
    ret_part->size = (size_t)size;
    return fl_cursor_bytes(cursor, ret_part->size, &ret_part->data);
}

enum fl_status fl_parts_check(const struct fl_codec_params *params, struct fl_cursor *cursor,
                              struct fl_payload *payload)
{
    payload->params = *params;
    payload->bodies_at = cursor->at;
    for (size_t i = 0; i < params->tensor_count; i++) {
        struct fl_codec_params own = fl_parts_params(params, i);
        struct fl_bytes bytes;
        struct fl_payload part;
        enum fl_status st = next_part(cursor, &bytes);
        if (!st)
            st = fl_payload_check(&own, fl_codec_tensor_elems(own.tensors), bytes, &part);
        if (st)
            return st;
        fl_parts_note(payload, &part);
    }
    return fl_cursor_left(cursor) ? FL_ERR_FORMAT : FL_OK;
}

/* A part while it is walked through. */
struct walk {
    uint32_t base; /* where its tensor starts */
    float step;    /* of its grid; 0: its words are values */
    fl_group_fn fn;
    void *user;
};

/* A group of a part as one of the vector. */
static enum fl_status move_group(void *user, const struct fl_group *group)
{
    const struct walk *walk = user;
    struct fl_group moved;
    moved.size = group->size;
    for (size_t i = 0; i < group->size; i++) {
        moved.indices[i] = group->indices[i] + walk->base;
        moved.words[i] =
            walk->step > 0 ? fl_float_bits((float)(int32_t)group->words[i] * walk->step) : group->words[i];
    }
    return walk->fn(walk->user, &moved);
}

enum fl_status fl_parts_walk(const struct fl_payload *payload, uint64_t begin, uint64_t end, fl_group_fn fn,
                             void *user)
{
    struct fl_cursor cursor = {payload->bytes, payload->bodies_at};
    uint64_t base = 0, elems;
    enum fl_status st = FL_OK;
    for (size_t i = 0; !st && i < payload->params.tensor_count && base < end; base += elems, i++) {
        struct fl_codec_params own = fl_parts_params(&payload->params, i);
        struct walk walk = {.base = (uint32_t)base, .fn = fn, .user = user};
        struct fl_bytes bytes;
        struct fl_payload part;
        elems = fl_codec_tensor_elems(own.tensors);
        st = next_part(&cursor, &bytes);
        if (st || base + elems <= begin)
            continue;
        st = fl_payload_open(&own, (size_t)elems, fl_payload_kind_of(&own), bytes, &part);
        walk.step = !st && part.on_grid ? ldexpf(1, part.step_log2) : 0;
        if (!st)
            st = fl_payload_walk(&part, begin > base ? begin - base : 0,
                                 end - base < elems ? end - base : elems, move_group, &walk);
    }
    return st;
}
