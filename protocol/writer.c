#include "protocol/writer.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include <msgpack/pack.h>

static int append(void *user, const char *data, size_t size)
{
    struct fl_writer *writer = user;
    if (!writer->status)
        writer->status = fl_buf_append(writer->buf, data, size);
    return writer->status ? -1 : 0;
}

static msgpack_packer packer_of(struct fl_writer *writer)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, writer, append);
    return packer;
}

void fl_writer_init(struct fl_writer *writer, struct fl_buf *buf)
{
    *writer = (struct fl_writer){.buf = buf};
}

/* The results of msgpack_pack_* say only what append() has already put into status. */

void fl_writer_array(struct fl_writer *writer, uint32_t count)
{
    msgpack_packer packer = packer_of(writer);
    (void)msgpack_pack_array(&packer, count);
}

void fl_writer_map(struct fl_writer *writer, uint32_t count)
{
    msgpack_packer packer = packer_of(writer);
    (void)msgpack_pack_map(&packer, count);
}

void fl_writer_uint(struct fl_writer *writer, uint64_t value)
{
    msgpack_packer packer = packer_of(writer);
    (void)msgpack_pack_uint64(&packer, value);
}

void fl_writer_int(struct fl_writer *writer, int64_t value)
{
    msgpack_packer packer = packer_of(writer);
    (void)msgpack_pack_int64(&packer, value);
}

void fl_writer_double(struct fl_writer *writer, double value)
{
    msgpack_packer packer = packer_of(writer);
    if (fabs(value) <= FLT_MAX && (double)(float)value == value)
        (void)msgpack_pack_float(&packer, (float)value);
    else
        (void)msgpack_pack_double(&packer, value);
}

void fl_writer_text(struct fl_writer *writer, const char *text)
{
    msgpack_packer packer = packer_of(writer);
    (void)msgpack_pack_str_with_body(&packer, text, strlen(text));
}

void fl_writer_bin(struct fl_writer *writer, struct fl_bytes bytes)
{
    if (!writer->status && bytes.size > UINT32_MAX)
        writer->status = FL_ERR_LIMIT;
    if (writer->status)
        return;
    msgpack_packer packer = packer_of(writer);
    if (bytes.data || !bytes.size)
        (void)msgpack_pack_bin_with_body(&packer, bytes.data, bytes.size);
    else
        (void)msgpack_pack_bin(&packer, bytes.size);
}
