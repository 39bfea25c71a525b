#include "protocol/model_spec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"

static const char *const kind_names[] = {"logistic", "softmax", "mlp"};

const char *fl_model_kind_name(enum fl_model_kind kind)
{
    return kind_names[kind];
}

enum fl_status fl_model_kind_find(const char *name, enum fl_model_kind *ret_kind)
{
    for (size_t i = 0; i < sizeof kind_names / sizeof kind_names[0]; i++)
        if (strcmp(name, kind_names[i]) == 0) {
            *ret_kind = (enum fl_model_kind)i;
            return FL_OK;
        }
    return FL_ERR_NOT_FOUND;
}

static uint32_t layer_inputs(const struct fl_model_spec *spec, uint32_t layer)
{
    return layer == 0 ? spec->inputs : spec->hidden[layer - 1];
}

static uint32_t layer_outputs(const struct fl_model_spec *spec, uint32_t layer)
{
    return layer == spec->hidden_count ? spec->outputs : spec->hidden[layer];
}

enum fl_status fl_model_spec_check(const struct fl_model_spec *spec)
{
    if (spec->kind > FL_MODEL_MLP || spec->inputs == 0 || spec->hidden_count > FL_LIMIT_HIDDEN_LAYERS)
        return FL_ERR_RANGE;
    if ((spec->kind == FL_MODEL_MLP) != (spec->hidden_count > 0))
        return FL_ERR_RANGE;
    if (spec->kind == FL_MODEL_LOGISTIC ? spec->outputs != 1 : spec->outputs < 2)
        return FL_ERR_RANGE;
    uint64_t elems = 0;
    for (uint32_t layer = 0; layer <= spec->hidden_count; layer++) {
        uint64_t inputs = layer_inputs(spec, layer), outputs = layer_outputs(spec, layer);
        if (outputs == 0 || outputs > FL_LIMIT_MODEL_ELEMS / (inputs + 1))
            return FL_ERR_RANGE;
        elems += (inputs + 1) * outputs;
    }
    return elems > FL_LIMIT_MODEL_ELEMS ? FL_ERR_RANGE : FL_OK;
}

size_t fl_model_spec_tensors(const struct fl_model_spec *spec, struct fl_tensor *ret_tensors)
{
    uint64_t offset = 0;
    size_t count = 0;
    for (uint32_t layer = 0; layer <= spec->hidden_count; layer++) {
        uint32_t inputs = layer_inputs(spec, layer), outputs = layer_outputs(spec, layer);
        struct fl_tensor *weight = &ret_tensors[count++], *bias = &ret_tensors[count++];
        *weight = (struct fl_tensor){.rank = 2, .shape = {outputs, inputs}, .offset = offset};
        weight->elems = (uint64_t)inputs * outputs;
        offset += weight->elems;
        *bias = (struct fl_tensor){.rank = 1, .shape = {outputs, 0}, .offset = offset, .elems = outputs};
        offset += bias->elems;
        snprintf(weight->name, sizeof weight->name, "layers.%u.weight", layer);
        snprintf(bias->name, sizeof bias->name, "layers.%u.bias", layer);
    }
    return count;
}

uint64_t fl_model_spec_elems(const struct fl_model_spec *spec)
{
    struct fl_tensor tensors[FL_LIMIT_TENSORS];
    size_t count = fl_model_spec_tensors(spec, tensors);
    return tensors[count - 1].offset + tensors[count - 1].elems;
}

void fl_model_spec_init(const struct fl_model_spec *spec, float *ret_weights)
{
    struct fl_tensor tensors[FL_LIMIT_TENSORS];
    size_t count = fl_model_spec_tensors(spec, tensors);
    for (size_t t = 0; t < count; t++) {
        float *values = ret_weights + tensors[t].offset;
        if (tensors[t].rank == 1) {
            memset(values, 0, tensors[t].elems * sizeof *values);
            continue;
        }
        struct fl_random random;
        float fan_in = sqrtf((float)tensors[t].shape[1]);
        fl_random_init(&random, spec->seed, t);
        for (uint64_t j = 0; j < tensors[t].elems; j++)
            values[j] = (2.0f * fl_random_float(&random) - 1.0f) / fan_in;
    }
}
