/* Walking through the coordinates of a payload, group by group, whatever its kind. Not for the header
 * (codec/payload.c). */
#ifndef FL_CODEC_READER_H
#define FL_CODEC_READER_H

#include "codec/payload.h"
#include "codec/rice.h"

/* Up to 64 coordinates, indices strictly increasing; words as in fl_payload_write(): levels on the grid, else
 * the bits of float32; none for kind 8. */
struct fl_group {
    uint32_t indices[FL_RICE_BLOCK], words[FL_RICE_BLOCK];
    size_t size;
};

typedef enum fl_status (*fl_group_fn)(void *user, const struct fl_group *group);

/*
 * Gives at least every coordinate with begin <= index < end to fn, in order, and stops at fn's first failure.
 * payload needs its header fields and offsets; whatever the bodies hold, no byte outside is read. With the
 * whole vector as the interval every bit is checked: FL_ERR_TRUNCATED, FL_ERR_FORMAT, FL_ERR_RANGE.
 */
FL_MUST_CHECK enum fl_status fl_payload_walk(const struct fl_payload *payload, uint64_t begin, uint64_t end,
                                             fl_group_fn fn, void *user);

/* Reads the header of a payload and where all lies; the bodies are for fl_payload_walk(). params: checked;
 * NULL for kinds 6 and 8. Failures as fl_payload_check(). */
FL_MUST_CHECK enum fl_status fl_payload_open(const struct fl_codec_params *params, size_t dim,
                                             enum fl_payload_kind kind, struct fl_bytes bytes,
                                             struct fl_payload *ret_payload);

/* Whether values are plain float32 rather than levels. */
static inline int fl_payload_has_floats(unsigned kind)
{
    return kind != FL_PAYLOAD_INT_THRESHOLD && kind != FL_PAYLOAD_SUPPORT;
}

#endif
