#include <limits.h>
#include <stdlib.h>

#include <zlib.h>

#include "client/data/inflate.h"

#define GZIP_WINDOW_BITS (15 + 16) /* largest window; gzip header and checksum expected */

struct gzip {
    struct fl_inflate base;
    z_stream z;
    bool between; /* a member has ended */
};

static enum fl_status gzip_step(struct fl_inflate *self, struct fl_inflate_io *io, bool *ret_end)
{
    struct gzip *gzip = (struct gzip *)self;

    if (gzip->between) {
        if (io->in_size == 0) {
            *ret_end = io->in_last;
            return FL_OK;
        }
        if (inflateReset(&gzip->z) != Z_OK)
            return FL_ERR_FORMAT;
        gzip->between = false;
    }
    uInt in = io->in_size < UINT_MAX ? (uInt)io->in_size : UINT_MAX;
    uInt out = io->out_size < UINT_MAX ? (uInt)io->out_size : UINT_MAX;
    gzip->z.next_in = (z_const Bytef *)io->in;
    gzip->z.avail_in = in;
    gzip->z.next_out = io->out;
    gzip->z.avail_out = out;
    int rc = inflate(&gzip->z, Z_NO_FLUSH);
    io->in += in - gzip->z.avail_in;
    io->in_size -= in - gzip->z.avail_in;
    io->out += out - gzip->z.avail_out;
    io->out_size -= out - gzip->z.avail_out;
    *ret_end = false;
    if (rc == Z_STREAM_END) {
        gzip->between = true;
        *ret_end = io->in_last && io->in_size == 0;
        return FL_OK;
    }
    if (rc == Z_MEM_ERROR)
        return FL_ERR_NOMEM;
    if (rc == Z_BUF_ERROR || rc == Z_OK) /* Z_BUF_ERROR: no progress without more input or room */
        return io->in_last && io->in_size == 0 && io->out_size > 0 ? FL_ERR_TRUNCATED : FL_OK;
    return FL_ERR_FORMAT;
}

static void gzip_free(struct fl_inflate *self)
{
    struct gzip *gzip = (struct gzip *)self;

    inflateEnd(&gzip->z);
    free(gzip);
}

static const struct fl_inflate_ops gzip_ops = {gzip_step, gzip_free};

enum fl_status fl_inflate_new_gzip(struct fl_inflate **ret_inflate)
{
    struct gzip *gzip = calloc(1, sizeof(*gzip));

    if (!gzip)
        return FL_ERR_NOMEM;
    gzip->base.ops = &gzip_ops;
    if (inflateInit2(&gzip->z, GZIP_WINDOW_BITS) != Z_OK) {
        free(gzip);
        return FL_ERR_NOMEM;
    }
    *ret_inflate = &gzip->base;
    return FL_OK;
}
