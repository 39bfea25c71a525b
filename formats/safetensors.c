#include "formats/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "platform/file.h"

#define HEADER_LIMIT_BYTES ((uint64_t)1 << 20)
#define LENGTH_BYTES       8

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are copied as they are: little-endian hosts only"
#endif
_Static_assert(sizeof(float) == 4, "float32");

/* One tensor of the file, checked on its own. */
static enum fl_status tensor_check(const char *name, const struct fl_tensor *tensor, json_t *entry,
                                   uint64_t data_size, uint64_t *ret_begin, struct fl_error *err)
{
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);

    if (!json_is_object(entry) || !type || !json_is_array(shape) || json_array_size(offsets) != 2 ||
        !json_is_integer(begin) || !json_is_integer(end))
        return fl_error_set(err, FL_ERR_FORMAT, "%s: tensor %s: expected dtype, shape and data_offsets", name,
                            tensor->name);
    if (strcmp(type, "F32") != 0)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: tensor %s is %.20s, expected F32", name, tensor->name,
                            type);
    int same = json_array_size(shape) == tensor->rank;
    for (uint32_t i = 0; same && i < tensor->rank; i++) {
        json_t *size = json_array_get(shape, i);
        same = json_is_integer(size) && json_integer_value(size) == (json_int_t)tensor->shape[i];
    }
    if (!same)
        return fl_error_set(err, FL_ERR_SHAPE,
                            tensor->rank == 2 ? "%s: tensor %s: expected shape (%u, %u)"
                                              : "%s: tensor %s: expected shape (%u)",
                            name, tensor->name, tensor->shape[0], tensor->shape[1]);
    json_int_t first = json_integer_value(begin), past = json_integer_value(end);
    if (first < 0 || past < first || (uint64_t)past > data_size ||
        (uint64_t)(past - first) != tensor->elems * sizeof(float))
        return fl_error_set(err, FL_ERR_FORMAT,
                            "%s: tensor %s: data_offsets %" PRId64 " to %" PRId64 ", expected %" PRIu64
                            " bytes within %" PRIu64,
                            name, tensor->name, (int64_t)first, (int64_t)past, tensor->elems * sizeof(float),
                            data_size);
    *ret_begin = (uint64_t)first;
    return FL_OK;
}

/* With every size right and their sum the whole data, tensors that do not overlap leave no holes. */
static enum fl_status tensors_check_apart(const char *name, const struct fl_tensor *tensors, size_t count,
                                          const uint64_t *begins, struct fl_error *err)
{
    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < count; b++)
            if (a != b && begins[a] <= begins[b] && begins[b] < begins[a] + tensors[a].elems * sizeof(float))
                return fl_error_set(err, FL_ERR_FORMAT, "%s: tensors %s and %s overlap", name,
                                    tensors[a].name, tensors[b].name);
    return FL_OK;
}

static enum fl_status header_check(const char *name, json_t *header, const struct fl_tensor *tensors,
                                   size_t count, uint64_t data_size, uint64_t *ret_begins,
                                   struct fl_error *err)
{
    const char *key;
    json_t *entry;

    if (!json_is_object(header))
        return fl_error_set(err, FL_ERR_FORMAT, "%s: the header is not a JSON object", name);
    for (size_t t = 0; t < count; t++) {
        entry = json_object_get(header, tensors[t].name);
        if (!entry)
            return fl_error_set(err, FL_ERR_SHAPE, "%s: tensor %s is missing", name, tensors[t].name);
        enum fl_status st = tensor_check(name, &tensors[t], entry, data_size, &ret_begins[t], err);
        if (st)
            return st;
    }
    json_object_foreach(header, key, entry)
    {
        int known = strcmp(key, "__metadata__") == 0;
        for (size_t t = 0; !known && t < count; t++)
            known = strcmp(key, tensors[t].name) == 0;
        if (!known)
            return fl_error_set(err, FL_ERR_SHAPE, "%s: the model has no tensor %.60s", name, key);
    }
    return tensors_check_apart(name, tensors, count, ret_begins, err);
}

static enum fl_status values_check(const char *name, const struct fl_tensor *tensor, const uint8_t *at,
                                   struct fl_error *err)
{
    for (uint64_t i = 0; i < tensor->elems; i++) {
        float value;
        memcpy(&value, at + i * sizeof(value), sizeof(value));
        if (!isfinite(value))
            return fl_error_set(err, FL_ERR_NOT_FINITE, "%s: tensor %s: element %" PRIu64 " is not finite",
                                name, tensor->name, i);
    }
    return FL_OK;
}

enum fl_status fl_safetensors_parse(const char *name, struct fl_bytes bytes, const struct fl_model_spec *spec,
                                    float *ret_weights, struct fl_error *err)
{
    struct fl_tensor tensors[FL_LIMIT_TENSORS];
    uint64_t begins[FL_LIMIT_TENSORS], elems = fl_model_spec_elems(spec);
    size_t count = fl_model_spec_tensors(spec, tensors);
    json_error_t reason;

    if (bytes.size < LENGTH_BYTES)
        return fl_error_set(err, FL_ERR_TRUNCATED, "%s: ends inside the header length", name);
    uint64_t header_size = fl_load_le64(bytes.data);
    if (header_size > HEADER_LIMIT_BYTES)
        return fl_error_set(err, FL_ERR_FORMAT, "%s: header of %" PRIu64 " bytes, expected at most %" PRIu64,
                            name, header_size, HEADER_LIMIT_BYTES);
    if (header_size > bytes.size - LENGTH_BYTES)
        return fl_error_set(err, FL_ERR_TRUNCATED, "%s: ends inside the header", name);
    const uint8_t *data = bytes.data + LENGTH_BYTES + header_size;
    uint64_t data_size = bytes.size - LENGTH_BYTES - header_size;

    json_t *header = json_loadb((const char *)bytes.data + LENGTH_BYTES, (size_t)header_size,
                                JSON_REJECT_DUPLICATES, &reason);
    if (!header) {
        if (json_error_code(&reason) == json_error_out_of_memory)
            return fl_error_nomem(err);
        return fl_error_set(err, FL_ERR_FORMAT, "%s: header: %s", name, reason.text);
    }
    enum fl_status st = header_check(name, header, tensors, count, data_size, begins, err);
    json_decref(header);
    if (!st && data_size != elems * sizeof(float))
        st = fl_error_set(err, FL_ERR_FORMAT, "%s: %" PRIu64 " bytes of tensors, expected %" PRIu64, name,
                          data_size, elems * sizeof(float));
    for (size_t t = 0; !st && t < count; t++)
        st = values_check(name, &tensors[t], data + begins[t], err);
    for (size_t t = 0; !st && t < count; t++)
        memcpy(ret_weights + tensors[t].offset, data + begins[t], tensors[t].elems * sizeof(float));
    return st;
}

enum fl_status fl_safetensors_read(const char *path, const struct fl_model_spec *spec, float *ret_weights,
                                   struct fl_error *err)
{
    struct fl_buf file;

    fl_buf_init(&file, LENGTH_BYTES + HEADER_LIMIT_BYTES + fl_model_spec_elems(spec) * sizeof(float));
    enum fl_status st = fl_file_read(path, &file, err);
    if (!st)
        st = fl_safetensors_parse(path, fl_buf_view(&file), spec, ret_weights, err);
    fl_buf_done(&file);
    return st;
}
