#include "test.h"

#include <math.h>

#include "client/trainer/network.h"
#include "naive.h"

#define ROWS  37
#define ELEMS 4096

static const struct fl_model_spec specs[] = {
    {.kind = FL_MODEL_LOGISTIC, .inputs = 7, .outputs = 1, .seed = 1},
    {.kind = FL_MODEL_LOGISTIC, .inputs = 1, .outputs = 1, .seed = 2},
    {.kind = FL_MODEL_SOFTMAX, .inputs = 7, .outputs = 5, .seed = 3},
    {.kind = FL_MODEL_SOFTMAX, .inputs = 33, .outputs = 2, .seed = 4},
    {.kind = FL_MODEL_MLP, .inputs = 7, .outputs = 4, .hidden_count = 1, .hidden = {9}, .seed = 5},
    {.kind = FL_MODEL_MLP, .inputs = 5, .outputs = 3, .hidden_count = 3, .hidden = {31, 8, 17}, .seed = 6},
    {.kind = FL_MODEL_MLP, .inputs = 1, .outputs = 2, .hidden_count = 2, .hidden = {1, 2}, .seed = 7},
};
#define SPECS (sizeof(specs) / sizeof(specs[0]))

/* x_0 with biases that are not 0, so that nothing cancels. */
static size_t make_weights(const struct fl_model_spec *spec, float *single, double *twice)
{
    size_t elems = (size_t)fl_model_spec_elems(spec);
    assert_true(elems <= ELEMS);
    fl_model_spec_init(spec, single);
    for (size_t i = 0; i < elems; i++) {
        single[i] += 0.01f * (float)(i % 7);
        twice[i] = single[i];
    }
    return elems;
}

static void network_gradient(const struct fl_model_spec *spec, const float *weights,
                             const struct fl_dataset *data, uint32_t rows, float *ret_gradient,
                             double *ret_loss)
{
    struct fl_network network;
    struct fl_activations act;
    fl_network_init(&network, spec);
    assert_ok(fl_activations_init(&network, rows, 1, &act));
    memcpy(act.layers[0], data->x, rows * data->features * sizeof(float));
    fl_network_gradient(&network, weights, data->labels, rows, &act, ret_gradient, ret_loss);
    fl_activations_done(&act);
}

static void test_gradient_is_that_of_naive_loops(void **state)
{
    static float weights[ELEMS], gradient[ELEMS];
    static double twice[ELEMS], expected[ELEMS];
    uint32_t rows[ROWS];
    (void)state;
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = i;
    for (size_t s = 0; s < SPECS; s++) {
        size_t elems = make_weights(&specs[s], weights, twice);
        struct fl_dataset data;
        naive_data(&specs[s], ROWS, s, &data);
        for (uint32_t count = 1; count <= ROWS; count += 9) {
            double loss;
            network_gradient(&specs[s], weights, &data, count, gradient, &loss);
            naive_gradient(&specs[s], twice, &data, rows, count, expected);
            assert_true(fabs(loss - naive_loss(&specs[s], twice, &data, rows, count)) < 1e-5);
            for (size_t i = 0; i < elems; i++)
                assert_true(fabs(gradient[i] - expected[i]) < 1e-5);
        }
        fl_dataset_done(&data);
    }
}

static void test_gradient_is_that_of_finite_differences(void **state)
{
    static float weights[ELEMS], gradient[ELEMS];
    static double twice[ELEMS];
    const double h = 1e-6;
    uint32_t rows[ROWS];
    (void)state;
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = i;
    for (size_t s = 0; s < SPECS; s++) {
        size_t elems = make_weights(&specs[s], weights, twice);
        struct fl_dataset data;
        double loss;
        naive_data(&specs[s], ROWS, s, &data);
        network_gradient(&specs[s], weights, &data, ROWS, gradient, &loss);
        for (size_t i = 0; i < elems; i++) {
            double kept = twice[i];
            twice[i] = kept + h;
            double above = naive_loss(&specs[s], twice, &data, rows, ROWS);
            twice[i] = kept - h;
            double below = naive_loss(&specs[s], twice, &data, rows, ROWS);
            twice[i] = kept;
            assert_true(fabs(gradient[i] - (above - below) / (2 * h)) < 1e-5);
        }
        fl_dataset_done(&data);
    }
}

/* One input of 1, so that the bias alone sets the outputs. */
static void measure_outputs(const struct fl_model_spec *spec, const float *outputs, uint32_t label,
                            struct fl_metrics *metrics, double *gradient_loss, float *gradient)
{
    float weights[8] = {0};
    float x = 0;
    struct fl_dataset data = {.rows = 1, .features = 1, .x = &x, .labels = &label};
    struct fl_network network;
    struct fl_activations act;
    memcpy(weights + spec->outputs, outputs, spec->outputs * sizeof(float));
    network_gradient(spec, weights, &data, 1, gradient, gradient_loss);
    fl_network_init(&network, spec);
    assert_ok(fl_activations_init(&network, 1, 0, &act));
    act.layers[0][0] = 0;
    *metrics = (struct fl_metrics){0};
    fl_network_measure(&network, weights, &label, 1, &act, metrics);
    fl_activations_done(&act);
}

static void test_loss_is_stable_for_large_outputs(void **state)
{
    static const struct fl_model_spec softmax = {.kind = FL_MODEL_SOFTMAX, .inputs = 1, .outputs = 3};
    static const struct fl_model_spec logistic = {.kind = FL_MODEL_LOGISTIC, .inputs = 1, .outputs = 1};
    static const struct {
        const struct fl_model_spec *spec;
        float outputs[3];
        uint32_t label;
        double loss;
        uint64_t correct;
    } cases[] = {
        {&softmax, {0, 0, 0}, 1, 1.0986122886681098, 0}, /* ties: the first answer */
        {&softmax, {0, 0, 0}, 0, 1.0986122886681098, 1},
        {&softmax, {1000, 0, -1000}, 0, 0, 1},
        {&softmax, {1000, 0, -1000}, 2, 2000, 0},
        {&softmax, {-1e30f, -1e30f, -1e30f}, 0, 1.0986122886681098, 1},
        {&logistic, {0}, 1, 0.6931471805599453, 0},
        {&logistic, {0}, 0, 0.6931471805599453, 1},
        {&logistic, {1000}, 1, 0, 1},
        {&logistic, {1000}, 0, 1000, 0},
        {&logistic, {-1000}, 0, 0, 1},
        {&logistic, {-1000}, 1, 1000, 0},
        {&logistic, {-50}, 0, 1.9287498479639178e-22, 1},
        {&logistic, {INFINITY}, 1, NAN, 0},
        {&logistic, {NAN}, 1, NAN, 0},
        {&softmax, {INFINITY, 0, 0}, 0, NAN, 0},
        {&softmax, {0, NAN, 0}, 0, NAN, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_metrics metrics;
        float gradient[8];
        double loss;
        measure_outputs(cases[i].spec, cases[i].outputs, cases[i].label, &metrics, &loss, gradient);
        assert_int_equal(metrics.examples, 1);
        if (isnan(cases[i].loss)) {
            assert_false(isfinite(loss));
            assert_false(isfinite(metrics.loss_sum));
            continue;
        }
        assert_int_equal(metrics.correct, cases[i].correct);
        assert_true(fabs(loss - cases[i].loss) <= 1e-12 * (1 + cases[i].loss));
        assert_true(loss == metrics.loss_sum);
        for (uint32_t k = 0; k < 2 * cases[i].spec->outputs; k++)
            assert_true(isfinite(gradient[k]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient_is_that_of_naive_loops),
        cmocka_unit_test(test_gradient_is_that_of_finite_differences),
        cmocka_unit_test(test_loss_is_stable_for_large_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
