#include "codec/state.h"

#include <string.h>

#include "base/random.h"
#include "codec/floats.h"
#include "codec/parts.h"

static const uint8_t magic[4] = {'F', 'L', 'C', '1'};

int fl_codec_keeps_state(const struct fl_codec *codec)
{
    return codec->state_fits != NULL;
}

static uint64_t digest_of(const struct fl_codec_params *params, size_t dim)
{
    const struct fl_codec *codec = fl_codec_find_id(params->id);
    uint64_t digest = fl_mix64(dim, params->id);
    digest = fl_mix64(digest, codec->uses_ratio ? fl_double_bits(params->ratio) : 0);
    digest = fl_mix64(digest, codec->uses_bits ? params->bits : 0);
    digest = fl_mix64(digest, codec->uses_bucket ? params->bucket : 0);
    digest = fl_mix64(digest, codec->uses_rank ? params->rank : 0);
    for (size_t i = 0; codec->uses_tensors && i < params->tensor_count; i++)
        digest = fl_mix64(fl_mix64(digest, params->tensors[i].rows), params->tensors[i].columns);
    return digest;
}

static void put_head(const struct fl_codec_params *params, size_t dim, uint8_t ret_head[])
{
    memcpy(ret_head, magic, sizeof magic);
    fl_store_le32(ret_head + 4, (uint32_t)params->id);
    fl_store_le64(ret_head + 8, digest_of(params, dim));
}

int fl_codec_state_fits(const struct fl_codec_params *params, size_t dim, struct fl_bytes state)
{
    const struct fl_codec *codec = fl_codec_find_id(params->id);
    uint8_t head[FL_CODEC_STATE_HEAD_BYTES];
    if (!fl_codec_keeps_state(codec))
        return 0;
    if (params->dense_below)
        return fl_parts_state_fits(params, state);
    if (state.size < sizeof head)
        return 0;
    put_head(params, dim, head);
    return memcmp(state.data, head, sizeof head) == 0 &&
           codec->state_fits(params, (struct fl_bytes){state.data + sizeof head, state.size - sizeof head});
}

enum fl_status fl_codec_state_open(const struct fl_codec_params *params, size_t dim,
                                   struct fl_codec_state *ret_inner)
{
    struct fl_bytes kept = params->state->kept;
    uint8_t head[FL_CODEC_STATE_HEAD_BYTES];
    *ret_inner = (struct fl_codec_state){.next = params->state->next};
    if (fl_codec_state_fits(params, dim, kept))
        ret_inner->kept = (struct fl_bytes){kept.data + sizeof head, kept.size - sizeof head};
    put_head(params, dim, head);
    fl_buf_clear(ret_inner->next);
    return fl_buf_append(ret_inner->next, head, sizeof head);
}
