#include "codec/coded.h"

#include "codec/layout.h"
#include "codec/varint.h"
#include "codec/writer.h"

/* --- writing --- */

static enum fl_status put_listed(size_t dim, const uint32_t *indices, size_t count, struct fl_buf *out)
{
    struct fl_payload_head head = {.kind = FL_PAYLOAD_SUPPORT, .dim = dim, .count = count};
    struct fl_buf support;
    fl_buf_init(&support, out->limit);
    enum fl_status st = fl_payload_write(&head, indices, NULL, &support);
    if (!st)
        st = fl_varint_put(out, support.size);
    if (!st)
        st = fl_buf_append(out, support.data, support.size);
    fl_buf_done(&support);
    return st;
}

enum fl_status fl_coded_write_head(size_t dim, enum fl_support_form support, enum fl_value_form values,
                                   const uint32_t *indices, size_t count, struct fl_buf *out)
{
    uint8_t first = FL_PAYLOAD_CODED | FL_LAYOUT_VERSION << 4, forms = (uint8_t)(support | values << 4);
    enum fl_status st = fl_buf_append(out, &first, 1);
    if (!st)
        st = fl_varint_put(out, dim);
    if (!st)
        st = fl_buf_append(out, &forms, 1);
    return st || support == FL_SUPPORT_ALL ? st : put_listed(dim, indices, count, out);
}

/* --- reading --- */

static enum fl_status check_listed(size_t most, struct fl_cursor *cursor, struct fl_payload *payload)
{
    uint64_t size;
    struct fl_payload support;
    enum fl_status st = fl_cursor_varint(cursor, &size);
    if (!st)
        st = fl_cursor_bytes(cursor, (size_t)size, &payload->support.data);
    if (st)
        return st;
    payload->support.size = (size_t)size;
    st = fl_support_check_head(payload->dim, payload->support, &support);
    if (st)
        return st;
    if (support.count > most)
        return FL_ERR_RANGE;
    payload->count = support.count;
    payload->directory_at = support.directory_at;
    payload->bodies_at = support.bodies_at;
    payload->range_log2 = support.range_log2;
    payload->bitmap = support.bitmap;
    return FL_OK;
}

enum fl_status fl_coded_check_head(const struct fl_codec *codec, size_t most, struct fl_cursor *cursor,
                                   struct fl_payload *payload)
{
    struct fl_value_reader reader;
    const uint8_t *forms;
    enum fl_status st = fl_cursor_bytes(cursor, 1, &forms);
    if (st)
        return st;
    if (*forms != (codec->support | codec->values << 4))
        return FL_ERR_FORMAT;
    payload->support_form = (enum fl_support_form)codec->support;
    payload->value_form = (enum fl_value_form)codec->values;
    payload->count = payload->dim;
    if (payload->support_form == FL_SUPPORT_LISTED)
        st = check_listed(most, cursor, payload);
    if (st)
        return st;
    payload->values.size = fl_cursor_left(cursor);
    st = fl_cursor_bytes(cursor, payload->values.size, &payload->values.data);
    return st ? st : fl_value_reader_open(payload->value_form, payload->values, payload->count, &reader);
}

struct walk {
    struct fl_value_reader reader;
    fl_group_fn fn;
    void *user;
};

/* A group of the support gets its values. */
static enum fl_status fill_group(void *user, const struct fl_group *support)
{
    struct walk *walk = user;
    struct fl_group group = *support;
    enum fl_status st = fl_value_reader_next(&walk->reader, group.size, group.words);
    return st ? st : walk->fn(walk->user, &group);
}

static enum fl_status walk_all(struct walk *walk, uint64_t end)
{
    struct fl_group group;
    enum fl_status st = FL_OK;
    for (uint64_t at = 0; !st && at < end; at += group.size) {
        group.size = end - at < FL_RICE_BLOCK ? (size_t)(end - at) : FL_RICE_BLOCK;
        for (size_t i = 0; i < group.size; i++)
            group.indices[i] = (uint32_t)(at + i);
        st = fill_group(walk, &group);
    }
    return st;
}

enum fl_status fl_coded_walk(const struct fl_payload *payload, uint64_t end, fl_group_fn fn, void *user)
{
    struct walk walk = {.fn = fn, .user = user};
    enum fl_status st =
        fl_value_reader_open(payload->value_form, payload->values, payload->count, &walk.reader);
    if (st || !payload->count)
        return st;
    if (payload->support_form == FL_SUPPORT_ALL) {
        st = walk_all(&walk, end);
    } else {
        struct fl_payload support = *payload;
        support.kind = FL_PAYLOAD_SUPPORT;
        support.bytes = payload->support;
        st = fl_payload_walk(&support, 0, end, fill_group,
                             &walk); /* values have no index: from the first on */
    }
    return st || end < payload->dim ? st : fl_value_reader_end(&walk.reader);
}
