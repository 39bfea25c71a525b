/*
 * What a model is: its kind, its tensors, and the seeded rule for its first values x_0 (rule R18). Server and
 * client derive the same tensors and, bit for bit, the same x_0 from the same spec. Not for training: see
 * client/trainer.
 */
#ifndef FL_PROTOCOL_MODEL_SPEC_H
#define FL_PROTOCOL_MODEL_SPEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "protocol/limits.h"

enum fl_model_kind {
    FL_MODEL_LOGISTIC, /* binary logistic regression: one output, labels 0 and 1 */
    FL_MODEL_SOFTMAX,  /* multinomial logistic regression: no hidden layer */
    FL_MODEL_MLP,      /* hidden layers with ReLU, softmax cross-entropy at the end */
};

struct fl_model_spec {
    enum fl_model_kind kind;
    uint32_t inputs;                         /* features of one example, > 0 */
    uint32_t outputs;                        /* classes; 1 for logistic, else >= 2 */
    uint32_t hidden_count;                   /* 0 but for FL_MODEL_MLP, where it is >= 1 */
    uint32_t hidden[FL_LIMIT_HIDDEN_LAYERS]; /* units of each hidden layer, > 0 */
    uint64_t seed;                           /* of x_0 */
};

/* One tensor, stored row by row in the flat parameter vector. */
struct fl_tensor {
    char name[32];     /* "layers.0.weight", "layers.0.bias", ... in the order of the vector */
    uint32_t rank;     /* 1 or 2 */
    uint32_t shape[2]; /* weight: (outputs of the layer, inputs of the layer); bias: (outputs) */
    uint64_t offset;   /* first element in the parameter vector */
    uint64_t elems;
};

/* Name of a kind as written in run specs and messages: "logistic", "softmax", "mlp". */
const char *fl_model_kind_name(enum fl_model_kind kind);
FL_MUST_CHECK enum fl_status fl_model_kind_find(const char *name, enum fl_model_kind *ret_kind);

/* FL_OK when every field is in range, kind and layers agree, and the model has at most FL_LIMIT_MODEL_ELEMS
 * parameters; else FL_ERR_RANGE. */
FL_MUST_CHECK enum fl_status fl_model_spec_check(const struct fl_model_spec *spec);

/* Parameters of the model (d). spec must have passed the check. */
uint64_t fl_model_spec_elems(const struct fl_model_spec *spec);

/* Fills tensors[FL_LIMIT_TENSORS] and returns how many there are. */
size_t fl_model_spec_tensors(const struct fl_model_spec *spec, struct fl_tensor *ret_tensors);

/*
 * x_0 by the seeded rule: biases 0; a weight of tensor t, element j is (2u - 1) / sqrt(fan_in) with
 * u = (Philox4x32-10 word >> 8) * 2^-24 drawn in order from fl_random stream t of the spec's seed. Every step
 * is one correctly rounded float32 operation, so all machines agree. ret_weights: shape (d), overwritten.
 */
void fl_model_spec_init(const struct fl_model_spec *spec, float *ret_weights);

#endif
