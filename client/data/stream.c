#include "client/data/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/data/inflate.h"

#define RAW_BYTES ((size_t)64 << 10)

struct fl_stream {
    const char *const *paths;
    size_t count;
    size_t next; /* path to open next */
    int fd;      /* of paths[next - 1], or -1 */
    uint64_t left;
    struct fl_inflate *inflate; /* NULL: plain */
    int ended;
    size_t start, size; /* of the unread part of raw */
    uint8_t raw[RAW_BYTES];
};

const char *fl_stream_name(const struct fl_stream *stream)
{
    return stream->paths[0];
}

static int stream_at_last(const struct fl_stream *stream)
{
    return stream->fd < 0 && stream->next == stream->count;
}

/* Adds to raw until it holds want bytes or the last part ends. */
static enum fl_status stream_fill(struct fl_stream *stream, size_t want, struct fl_error *err)
{
    if (stream->start > 0) {
        memmove(stream->raw, stream->raw + stream->start, stream->size);
        stream->start = 0;
    }
    while (stream->size < want && !stream_at_last(stream)) {
        if (stream->fd < 0) {
            const char *path = stream->paths[stream->next];
            stream->fd = open(path, O_RDONLY | O_CLOEXEC);
            if (stream->fd < 0)
                return fl_error_set(err, errno == ENOENT ? FL_ERR_NOT_FOUND : FL_ERR_IO, "%s: %m", path);
            stream->next++;
        }
        ssize_t got = read(stream->fd, stream->raw + stream->size, RAW_BYTES - stream->size);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            return fl_error_set(err, FL_ERR_IO, "%s: %m", stream->paths[stream->next - 1]);
        }
        if (got == 0) {
            close(stream->fd);
            stream->fd = -1;
        }
        stream->size += (size_t)got;
    }
    return FL_OK;
}

static enum fl_status stream_detect(struct fl_stream *stream, struct fl_error *err)
{
    static const uint8_t gzip[] = {0x1f, 0x8b}, xz[] = {0xfd, '7', 'z', 'X', 'Z', 0};
    enum fl_status st = stream_fill(stream, sizeof(xz), err);

    if (st)
        return st;
    if (stream->size >= sizeof(gzip) && memcmp(stream->raw, gzip, sizeof(gzip)) == 0)
        st = fl_inflate_new_gzip(&stream->inflate);
    else if (stream->size >= sizeof(xz) && memcmp(stream->raw, xz, sizeof(xz)) == 0)
        st = fl_inflate_new_xz(&stream->inflate);
    return st ? fl_error_nomem(err) : FL_OK;
}

enum fl_status fl_stream_open(const char *const *paths, size_t count, uint64_t limit,
                              struct fl_stream **ret_stream, struct fl_error *err)
{
    struct fl_stream *stream = malloc(sizeof(*stream));
    enum fl_status st;

    if (!stream)
        return fl_error_nomem(err);
    stream->paths = paths;
    stream->count = count;
    stream->next = 0;
    stream->fd = -1;
    stream->left = limit;
    stream->inflate = NULL;
    stream->ended = 0;
    stream->start = stream->size = 0;
    st = stream_detect(stream, err);
    if (st) {
        fl_stream_close(stream);
        return st;
    }
    *ret_stream = stream;
    return FL_OK;
}

void fl_stream_close(struct fl_stream *stream)
{
    if (!stream)
        return;
    if (stream->fd >= 0)
        close(stream->fd);
    if (stream->inflate)
        stream->inflate->ops->free(stream->inflate);
    free(stream);
}

/* One step of plain or compressed data into io->out. */
static enum fl_status stream_step(struct fl_stream *stream, struct fl_inflate_io *io, struct fl_error *err)
{
    enum fl_status st = stream->size > 0 ? FL_OK : stream_fill(stream, 1, err);
    bool ended = false;

    if (st)
        return st;
    io->in = stream->raw + stream->start;
    io->in_size = stream->size;
    io->in_last = stream_at_last(stream);
    if (stream->inflate) {
        st = stream->inflate->ops->step(stream->inflate, io, &ended);
    } else {
        size_t size = io->in_size < io->out_size ? io->in_size : io->out_size;
        memcpy(io->out, io->in, size);
        io->in_size -= size;
        io->out_size -= size;
        io->out += size;
        ended = io->in_last && io->in_size == 0;
    }
    stream->start += stream->size - io->in_size;
    stream->size = io->in_size;
    stream->ended = ended;
    switch (st) {
    case FL_OK:
        return FL_OK;
    case FL_ERR_NOMEM:
        return fl_error_nomem(err);
    case FL_ERR_TRUNCATED:
        return fl_error_set(err, st, "%s: ends inside compressed data", fl_stream_name(stream));
    case FL_ERR_LIMIT:
        return fl_error_set(err, st, "%s: needs too much memory to decompress", fl_stream_name(stream));
    default:
        return fl_error_set(err, st, "%s: compressed data is damaged", fl_stream_name(stream));
    }
}

enum fl_status fl_stream_read(struct fl_stream *stream, void *to, size_t size, size_t *ret_got,
                              struct fl_error *err)
{
    struct fl_inflate_io io = {.out = to, .out_size = size};

    while (io.out_size > 0 && !stream->ended) {
        enum fl_status st = stream_step(stream, &io, err);
        if (st)
            return st;
    }
    size_t got = size - io.out_size;
    if (got > stream->left)
        return fl_error_set(err, FL_ERR_LIMIT, "%s: holds more data than is allowed to be read",
                            fl_stream_name(stream));
    stream->left -= got;
    *ret_got = got;
    return FL_OK;
}
