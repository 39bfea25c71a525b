#include <stdlib.h>

#include <lzma.h>

#include "client/data/inflate.h"

#define XZ_MEMORY_BYTES ((uint64_t)128 << 20) /* `xz -9` needs 65 MiB */

struct xz {
    struct fl_inflate base;
    lzma_stream stream;
};

static enum fl_status xz_step(struct fl_inflate *inflate, struct fl_inflate_io *io, bool *ret_end)
{
    lzma_stream *stream = &((struct xz *)inflate)->stream;

    stream->next_in = io->in;
    stream->avail_in = io->in_size;
    stream->next_out = io->out;
    stream->avail_out = io->out_size;
    lzma_ret rc = lzma_code(stream, io->in_last ? LZMA_FINISH : LZMA_RUN);
    io->in = stream->next_in;
    io->in_size = stream->avail_in;
    io->out = stream->next_out;
    io->out_size = stream->avail_out;
    *ret_end = rc == LZMA_STREAM_END;
    switch (rc) {
    case LZMA_OK:
    case LZMA_STREAM_END:
        return FL_OK;
    case LZMA_BUF_ERROR: /* no progress twice running; the caller always gives room */
        return io->in_last ? FL_ERR_TRUNCATED : FL_OK;
    case LZMA_MEM_ERROR:
        return FL_ERR_NOMEM;
    case LZMA_MEMLIMIT_ERROR:
        return FL_ERR_LIMIT;
    default:
        return FL_ERR_FORMAT;
    }
}

static void xz_free(struct fl_inflate *inflate)
{
    lzma_end(&((struct xz *)inflate)->stream);
    free(inflate);
}

static const struct fl_inflate_ops xz_ops = {xz_step, xz_free};

enum fl_status fl_inflate_new_xz(struct fl_inflate **ret_inflate)
{
    struct xz *xz = calloc(1, sizeof(*xz));

    if (!xz)
        return FL_ERR_NOMEM;
    xz->base.ops = &xz_ops;
    xz->stream = (lzma_stream)LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&xz->stream, XZ_MEMORY_BYTES, LZMA_CONCATENATED) != LZMA_OK) {
        free(xz);
        return FL_ERR_NOMEM;
    }
    *ret_inflate = &xz->base;
    return FL_OK;
}
