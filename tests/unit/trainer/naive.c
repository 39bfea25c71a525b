#include "naive.h"

#include <math.h>

#include "base/random.h"
#include "test.h"

#define WIDEST 64

struct values {
    double layers[FL_LIMIT_HIDDEN_LAYERS + 2][WIDEST];
};

static uint32_t layer_count(const struct fl_model_spec *spec)
{
    return spec->hidden_count + 1;
}

/* Outputs of every layer for one example; the last are before softmax or sigmoid. */
static void forward(const struct fl_model_spec *spec, const double *weights, const float *x,
                    struct values *values)
{
    struct fl_tensor t[FL_LIMIT_TENSORS];
    assert_int_equal(fl_model_spec_tensors(spec, t), 2 * layer_count(spec));
    for (uint32_t j = 0; j < spec->inputs; j++)
        values->layers[0][j] = x[j];
    for (uint32_t l = 0; l < layer_count(spec); l++)
        for (uint32_t o = 0; o < t[2 * l].shape[0]; o++) {
            double z = weights[t[2 * l + 1].offset + o];
            for (uint32_t i = 0; i < t[2 * l].shape[1]; i++)
                z += weights[t[2 * l].offset + o * t[2 * l].shape[1] + i] * values->layers[l][i];
            values->layers[l + 1][o] = l + 1 < layer_count(spec) && z < 0 ? 0 : z;
        }
}

static double probability(const struct fl_model_spec *spec, const double *z, uint32_t class)
{
    double sum = 0;
    if (spec->kind == FL_MODEL_LOGISTIC)
        return class ? 1 / (1 + exp(-z[0])) : 1 / (1 + exp(z[0]));
    for (uint32_t k = 0; k < spec->outputs; k++)
        sum += exp(z[k]);
    return exp(z[class]) / sum;
}

double naive_loss(const struct fl_model_spec *spec, const double *weights, const struct fl_dataset *data,
                  const uint32_t *rows, size_t count)
{
    static struct values values;
    double loss = 0;
    for (size_t r = 0; r < count; r++) {
        forward(spec, weights, data->x + rows[r] * data->features, &values);
        loss -= log(probability(spec, values.layers[layer_count(spec)], data->labels[rows[r]]));
    }
    return loss / (double)count;
}

void naive_gradient(const struct fl_model_spec *spec, const double *weights, const struct fl_dataset *data,
                    const uint32_t *rows, size_t count, double *ret_gradient)
{
    static struct values values, errors;
    struct fl_tensor t[FL_LIMIT_TENSORS];
    uint32_t layers = layer_count(spec);
    assert_int_equal(fl_model_spec_tensors(spec, t), 2 * layers);
    memset(ret_gradient, 0, fl_model_spec_elems(spec) * sizeof(double));
    for (size_t r = 0; r < count; r++) {
        uint32_t label = data->labels[rows[r]];
        forward(spec, weights, data->x + rows[r] * data->features, &values);
        for (uint32_t k = 0; k < spec->outputs; k++)
            errors.layers[layers][k] = spec->kind == FL_MODEL_LOGISTIC
                                           ? probability(spec, values.layers[layers], 1) - label
                                           : probability(spec, values.layers[layers], k) - (k == label);
        for (uint32_t l = layers; l-- > 0;) {
            uint32_t inputs = t[2 * l].shape[1];
            memset(errors.layers[l], 0, sizeof(errors.layers[l]));
            for (uint32_t o = 0; o < t[2 * l].shape[0]; o++) {
                double error = errors.layers[l + 1][o];
                ret_gradient[t[2 * l + 1].offset + o] += error / (double)count;
                for (uint32_t i = 0; i < inputs; i++) {
                    uint64_t at = t[2 * l].offset + o * inputs + i;
                    ret_gradient[at] += error * values.layers[l][i] / (double)count;
                    if (values.layers[l][i] > 0)
                        errors.layers[l][i] += error * weights[at];
                }
            }
        }
    }
}

void naive_data(const struct fl_model_spec *spec, size_t rows, uint64_t seed, struct fl_dataset *ret)
{
    uint32_t classes = spec->kind == FL_MODEL_LOGISTIC ? 2 : spec->outputs;
    struct fl_random random;
    *ret = (struct fl_dataset){.rows = rows, .features = spec->inputs, .classes = classes};
    ret->x = malloc(rows * spec->inputs * sizeof(float));
    ret->labels = malloc(rows * sizeof(uint32_t));
    assert_non_null(ret->x);
    assert_non_null(ret->labels);
    fl_random_init(&random, seed, 0);
    for (size_t i = 0; i < rows * spec->inputs; i++)
        ret->x[i] = 2 * fl_random_float(&random) - 1;
    for (size_t i = 0; i < rows; i++)
        ret->labels[i] = (uint32_t)fl_random_below(&random, classes);
}
