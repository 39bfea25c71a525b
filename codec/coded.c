#include "codec/coded.h"

#include "codec/layout.h"
#include "codec/varint.h"
#include "codec/writer.h"

_Static_assert(FL_SUPPORT_GROUP == FL_RICE_BLOCK, "a step of a support from a seed fills a group");

/* --- writing --- */

static enum fl_status put_listed(const struct fl_coded_head *coded, struct fl_buf *out)
{
    struct fl_payload_head head = {.kind = FL_PAYLOAD_SUPPORT, .dim = coded->dim, .count = coded->count};
    struct fl_buf support;
    fl_buf_init(&support, out->limit);
    enum fl_status st = fl_payload_write(&head, coded->indices, NULL, &support);
    if (!st)
        st = fl_varint_put(out, support.size);
    if (!st)
        st = fl_buf_append(out, support.data, support.size);
    fl_buf_done(&support);
    return st;
}

enum fl_status fl_coded_write_head(const struct fl_coded_head *head, struct fl_buf *out)
{
    uint8_t first = FL_PAYLOAD_CODED | FL_LAYOUT_VERSION << 4, seed[8];
    uint8_t forms = (uint8_t)(head->support | head->values << 4);
    enum fl_status st = fl_buf_append(out, &first, 1);
    if (!st)
        st = fl_varint_put(out, head->dim);
    if (!st)
        st = fl_buf_append(out, &forms, 1);
    if (st || head->support == FL_SUPPORT_ALL)
        return st;
    if (head->support == FL_SUPPORT_LISTED)
        return put_listed(head, out);
    fl_store_le64(seed, head->seed);
    return fl_buf_append(out, seed, sizeof seed);
}

/* --- supports from a seed --- */

enum fl_status fl_coded_seeded(const struct fl_codec_params *params, size_t dim, uint64_t seed,
                               struct fl_support *ret_support)
{
    struct fl_grbs rule = {.rows_ratio = params->ratio, .columns_ratio = 1, .tensor_ratio = 1};
    switch (fl_codec_find_id(params->id)->support) {
    case FL_SUPPORT_RANDOM:
        return fl_support_random(dim, fl_codec_top_count(params->ratio, dim), seed, ret_support);
    case FL_SUPPORT_BLOCK:
        return fl_support_block(dim, fl_codec_top_count(params->ratio, dim), seed, ret_support);
    case FL_SUPPORT_GRBS:
        return fl_support_grbs(params->tensors, params->tensor_count, &rule, seed, ret_support);
    default:
        return FL_ERR_NOT_FOUND;
    }
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
    st = fl_payload_open(NULL, payload->dim, FL_PAYLOAD_SUPPORT, payload->support, &support);
    if (st)
        return st;
    if (support.count > most)
        return FL_ERR_RANGE;
    payload->count = support.count;
    payload->directory_at = support.directory_at;
    payload->bodies_at = support.bodies_at;
    payload->range_log2 = support.range_log2;
    payload->bitmap = support.bitmap;
    payload->adaptive = support.adaptive;
    payload->stream = support.stream;
    return FL_OK;
}

static enum fl_status check_support(const struct fl_codec_params *params, size_t most,
                                    struct fl_cursor *cursor, struct fl_payload *payload)
{
    const uint8_t *seed;
    payload->count = payload->dim;
    if (payload->support_form == FL_SUPPORT_ALL)
        return FL_OK;
    if (payload->support_form == FL_SUPPORT_LISTED)
        return check_listed(most, cursor, payload);
    enum fl_status st = fl_cursor_bytes(cursor, 8, &seed);
    if (!st)
        st = fl_coded_seeded(params, payload->dim, fl_load_le64(seed), &payload->seeded);
    payload->count = payload->seeded.count;
    return st;
}

enum fl_status fl_coded_check_head(const struct fl_codec_params *params, size_t most,
                                   struct fl_cursor *cursor, struct fl_payload *payload)
{
    const struct fl_codec *codec = fl_codec_find_id(params->id);
    struct fl_value_reader reader;
    const uint8_t *forms;
    enum fl_status st = fl_cursor_bytes(cursor, 1, &forms);
    if (st)
        return st;
    if (*forms != (codec->support | codec->values << 4))
        return FL_ERR_FORMAT;
    payload->support_form = (enum fl_support_form)codec->support;
    payload->value_form = (enum fl_value_form)codec->values;
    st = check_support(params, most, cursor, payload);
    if (st)
        return st;
    payload->values.size = fl_cursor_left(cursor);
    st = fl_cursor_bytes(cursor, payload->values.size, &payload->values.data);
    if (!st)
        st = fl_value_reader_open(payload->value_form, payload->values, payload->count, &reader);
    if (!st && payload->value_form == FL_VALUES_BLOCK_INT && payload->count &&
        reader.block.contributors != fl_codec_contributors(params))
        return FL_ERR_RANGE;
    return st;
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

static enum fl_status walk_seeded(struct walk *walk, const struct fl_support *seeded, uint64_t end)
{
    struct fl_support support = *seeded;
    struct fl_group group;
    enum fl_status st = FL_OK;
    while (!st && (group.size = fl_support_next(&support, group.indices)) > 0 && group.indices[0] < end)
        st = fill_group(walk, &group);
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
    } else if (payload->support_form != FL_SUPPORT_LISTED) {
        st = walk_seeded(&walk, &payload->seeded, end);
    } else {
        struct fl_payload support = *payload;
        support.kind = FL_PAYLOAD_SUPPORT;
        support.bytes = payload->support;
        st = fl_payload_walk(&support, 0, end, fill_group,
                             &walk); /* values have no index: from the first on */
    }
    return st || end < payload->dim ? st : fl_value_reader_end(&walk.reader);
}
