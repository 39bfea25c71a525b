/* The first bytes of an input of the codec targets give parameters and size, so that the rest can match them.
 */
#ifndef FL_TESTS_FUZZ_FUZZ_CODEC_H
#define FL_TESTS_FUZZ_FUZZ_CODEC_H

#include <string.h>

#include "codec/payload.h"
#include "fuzz.h"

/* codec id (128 more: in parts, with the first tensor dense) or FL_PAYLOAD_ASSIGN, dim - 1 (16 bits, modulo
 * 6000), lambda (float32), step_log2 (signed), ratio in 255ths */
#define FUZZ_CODEC_BYTES 9

struct fuzz_codec {
    struct fl_codec_params params;
    unsigned kind;
    size_t dim;
    struct fl_codec_tensor tensors[2];
};

/* data has at least FUZZ_CODEC_BYTES bytes; codec must not move afterwards. */
static inline void fuzz_codec_read(const uint8_t *data, struct fuzz_codec *codec)
{
    uint32_t lambda = fl_load_le32(data + 3);
    unsigned id = data[0] & 127;
    *codec = (struct fuzz_codec){.kind = id, .dim = (data[1] + data[2] * (size_t)256) % 6000 + 1};
    codec->tensors[0] = (struct fl_codec_tensor){codec->dim / 3, 1};
    codec->tensors[1] = (struct fl_codec_tensor){codec->dim - codec->dim / 3, 1};
    codec->params = (struct fl_codec_params){.id = (enum fl_codec_id)id,
                                             .step_log2 = (int8_t)data[7],
                                             .ratio = data[8] / 255.0,
                                             .bits = 3,
                                             .bucket = 64,
                                             .rank = 1,
                                             .dense_below = data[0] & 128 ? codec->dim / 3 + 1 : 0,
                                             .tensors = codec->tensors,
                                             .tensor_count = 2};
    memcpy(&codec->params.lambda, &lambda, sizeof lambda);
    if (fl_codec_find_id(id))
        codec->kind = fl_payload_kind_of(&codec->params);
}

#endif
