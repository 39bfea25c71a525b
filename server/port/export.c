#include "server/port/export.h"

#include <string.h>

#include "platform/dir.h"
#include "platform/spool.h"
#include "server/port/json.h"

#define HEADER_BYTES ((size_t)64 << 10)
#define ALIGNMENT    64 /* of the data in the file, as both formats recommend or require */
#define FILE_MODE    0644

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "both formats are written as the wire has it");

static void put_shape(struct fl_json_writer *writer, const struct fl_tensor *tensor)
{
    fl_json_begin_array(writer, "shape");
    for (uint32_t i = 0; i < tensor->rank; i++)
        fl_json_put_uint(writer, NULL, tensor->shape[i]);
    fl_json_end(writer);
}

/* https://github.com/huggingface/safetensors: length, JSON padded with spaces, data. */
static enum fl_status safetensors_header(const char *run, const struct fl_model_spec *model,
                                         const struct fl_model_message *message, struct fl_buf *header)
{
    struct fl_tensor tensors[FL_LIMIT_TENSORS];
    size_t count = fl_model_spec_tensors(model, tensors);
    struct fl_json_writer writer;
    char text[FL_VERSION_TEXT_BYTES];
    uint8_t length[8] = {0};
    enum fl_status st = fl_buf_append(header, length, sizeof(length));

    fl_json_writer_init(&writer, header);
    fl_json_begin_object(&writer, NULL);
    fl_json_begin_object(&writer, "__metadata__");
    fl_json_put_text(&writer, "run", run);
    fl_version_to_text(&message->version, text);
    fl_json_put_text(&writer, "version", text); /* EPOCH.NUMBER.DIGEST, and its parts */
    fl_json_put_text(&writer, "epoch", strtok(text, "."));
    fl_json_put_text(&writer, "number", strtok(NULL, "."));
    fl_json_put_text(&writer, "digest", strtok(NULL, "."));
    fl_json_end(&writer);
    for (size_t i = 0; i < count; i++) {
        fl_json_begin_object(&writer, tensors[i].name);
        fl_json_put_text(&writer, "dtype", "F32");
        put_shape(&writer, &tensors[i]);
        fl_json_begin_array(&writer, "data_offsets");
        fl_json_put_uint(&writer, NULL, tensors[i].offset * sizeof(float));
        fl_json_put_uint(&writer, NULL, (tensors[i].offset + tensors[i].elems) * sizeof(float));
        fl_json_end(&writer);
        fl_json_end(&writer);
    }
    fl_json_end(&writer);
    if (!st)
        st = writer.status;
    while (!st && header->size % ALIGNMENT)
        st = fl_buf_append(header, " ", 1);
    if (!st)
        fl_store_le64(header->data, header->size - sizeof(length));
    return st;
}

/* https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0. */
static enum fl_status npy_header(uint64_t elems, struct fl_buf *header)
{
    static const uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 0, 0};
    enum fl_status st = fl_buf_append(header, magic, sizeof(magic));
    if (!st)
        st = fl_buf_printf(header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu,), }",
                           (unsigned long long)elems);
    while (!st && (header->size + 1) % ALIGNMENT)
        st = fl_buf_append(header, " ", 1);
    if (!st)
        st = fl_buf_append(header, "\n", 1);
    if (!st) {
        size_t length = header->size - sizeof(magic);
        header->data[8] = (uint8_t)(length & 0xff);
        header->data[9] = (uint8_t)(length >> 8);
    }
    return st;
}

static int ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size > end_size && !strcmp(text + size - end_size, end);
}

static enum fl_status write_file(const char *path, struct fl_bytes header, struct fl_bytes data,
                                 struct fl_error *err)
{
    char dir[FL_PATH_SIZE];
    struct fl_spool spool;
    enum fl_status st = fl_path_parent(path, dir, err);
    if (!st)
        st = fl_spool_begin(&spool, dir, FILE_MODE, err);
    if (st)
        return st;
    st = fl_spool_append(&spool, header, err);
    if (!st)
        st = fl_spool_append(&spool, data, err);
    if (!st)
        st = fl_spool_commit(&spool, path, err);
    else
        fl_spool_abort(&spool);
    return st ? st : fl_dir_sync(dir, err);
}

enum fl_status fl_export(const char *path, const char *run, const struct fl_model_spec *model,
                         const struct fl_model_message *message, struct fl_error *err)
{
    struct fl_buf header;
    uint64_t elems = fl_model_spec_elems(model);
    enum fl_status st;

    if (message->form != FL_FORM_SNAPSHOT || message->elems != elems ||
        message->data.size != elems * sizeof(float))
        return fl_error_set(err, FL_ERR_SHAPE, "the server's answer is not a snapshot of this model");
    fl_buf_init(&header, HEADER_BYTES);
    if (ends_with(path, ".safetensors"))
        st = safetensors_header(run, model, message, &header);
    else if (ends_with(path, ".npy"))
        st = npy_header(elems, &header);
    else
        st = fl_error_set(err, FL_ERR_USAGE, "%s: the name must end in .safetensors or .npy", path);
    if (st && st != FL_ERR_USAGE)
        (void)fl_error_set(err, st, "%s: cannot build the header: %s", path, fl_status_text(st));
    if (!st)
        st = write_file(path, fl_buf_view(&header), message->data, err);
    fl_buf_done(&header);
    return st;
}
