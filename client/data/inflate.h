/*
 * Decompression as a step function, one for each format; private to client/data. Each wraps its library.
 */
#ifndef FL_CLIENT_DATA_INFLATE_H
#define FL_CLIENT_DATA_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Input to read and room to write; a step moves both on. */
struct fl_inflate_io {
    const uint8_t *in;
    size_t in_size;
    bool in_last; /* no input follows */
    uint8_t *out;
    size_t out_size;
};

struct fl_inflate;

struct fl_inflate_ops {
    /* Makes progress or fails: FL_ERR_FORMAT, FL_ERR_TRUNCATED (input ended too early), FL_ERR_LIMIT (would
     * need too much memory), FL_ERR_NOMEM. *ret_end: everything is out (members or streams that follow each
     * other count as one). */
    enum fl_status (*step)(struct fl_inflate *inflate, struct fl_inflate_io *io, bool *ret_end);
    void (*free)(struct fl_inflate *inflate);
};

/* First member of each kind. */
struct fl_inflate {
    const struct fl_inflate_ops *ops;
};

FL_MUST_CHECK enum fl_status fl_inflate_new_gzip(struct fl_inflate **ret_inflate);
FL_MUST_CHECK enum fl_status fl_inflate_new_xz(struct fl_inflate **ret_inflate);

#endif
