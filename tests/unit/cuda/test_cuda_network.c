/* The kernels of a dense network against plain loops, bit by bit, under every schedule. */
#include "on_device.h"

#include "kernels/cuda/network.h"

/* Shapes (rows, outputs): single rows and columns, less than a block, and more. */
static const struct {
    uint32_t rows, outputs;
} shapes[] = {{1, 1}, {1, 63}, {64, 1}, {65, 1}, {3, 31}, {7, 33}, {32, 129}, {130, 10}};
#define SHAPES (sizeof shapes / sizeof shapes[0])
#define AREA   (130 * 129)

static float a[AREA], b[AREA], expected[AREA], got[AREA];

static void check_bias(void *unused)
{
    (void)unused;
    for (size_t s = 0; s < 2 * SHAPES; s++) {
        uint32_t rows = shapes[s / 2].rows, outputs = shapes[s / 2].outputs;
        size_t n = (size_t)rows * outputs, bytes = n * sizeof(float);
        int relu = s % 2;
        fill(a, n, 1.0f, 0.3, 1);
        fill(b, outputs, 1.0f, 0.3, 2);
        a[n - 1] = NAN; /* stays, to be seen in the loss */
        for (size_t i = 0; i < n; i++) {
            float z = a[i] + b[i % outputs];
            expected[i] = relu && z < 0.0f ? 0.0f : z;
        }
        float *z = device_copy(a, bytes), *bias = device_copy(b, outputs * sizeof(float));
        assert_queued(fl_cuda_bias(z, bias, rows, outputs, relu, NULL));
        device_read(got, z, bytes);
        assert_true(isnan(got[n - 1]));
        assert_memory_equal(got, expected, bytes - sizeof(float));
        device_free(z);
        device_free(bias);
    }
}

static void check_back(void *unused)
{
    (void)unused;
    for (size_t s = 0; s < SHAPES; s++) {
        uint32_t rows = shapes[s].rows, outputs = shapes[s].outputs;
        size_t n = (size_t)rows * outputs, bytes = n * sizeof(float);
        fill(a, n, 1.0f, 0.3, 3);
        fill(b, n, 1.0f, 0.3, 4);
        b[0] = NAN;
        float *error = device_copy(a, bytes), *activation = device_copy(b, bytes);
        float *bias = device_new(outputs * sizeof(float));
        assert_queued(fl_cuda_bias_gradient(error, rows, outputs, bias, NULL));
        device_read(got, bias, outputs * sizeof(float));
        memset(expected, 0, outputs * sizeof(float));
        for (size_t i = 0; i < n; i++)
            expected[i % outputs] += a[i];
        assert_memory_equal(got, expected, outputs * sizeof(float));
        assert_queued(fl_cuda_relu_back(error, activation, n, NULL));
        device_read(got, error, bytes);
        for (size_t i = 0; i < n; i++)
            expected[i] = b[i] > 0.0f ? a[i] : 0.0f;
        assert_memory_equal(got, expected, bytes);
        device_free(error);
        device_free(activation);
        device_free(bias);
    }
}

static void check_gather(void *unused)
{
    uint32_t labels[130], order[130], some[130];
    (void)unused;
    for (size_t s = 0; s < SHAPES; s++) {
        uint32_t rows = shapes[s].rows, features = shapes[s].outputs;
        size_t n = (size_t)rows * features, bytes = n * sizeof(float);
        fill(a, n, 1.0f, 0.3, 5);
        for (uint32_t i = 0; i < rows; i++) {
            labels[i] = 1000 + i;
            order[i] = (i * 7 + 3) % rows; /* with repeats where 7 divides rows */
        }
        float *x = device_copy(a, bytes), *ret_x = device_new(bytes);
        uint32_t *all = device_copy(labels, rows * sizeof *labels),
                 *rows_at = device_copy(order, rows * sizeof *order);
        uint32_t *ret_labels = device_new(rows * sizeof *labels);
        assert_queued(fl_cuda_gather(x, all, rows_at, rows, features, ret_x, ret_labels, NULL));
        device_read(got, ret_x, bytes);
        device_read(some, ret_labels, rows * sizeof *labels);
        for (uint32_t i = 0; i < rows; i++) {
            assert_memory_equal(got + (size_t)i * features, a + (size_t)order[i] * features,
                                features * sizeof(float));
            assert_int_equal(some[i], labels[order[i]]);
        }
        device_free(x);
        device_free(ret_x);
        device_free(all);
        device_free(rows_at);
        device_free(ret_labels);
    }
}

static void check_sums(void *unused)
{
    double losses[130], sum = 0, mean;
    uint32_t right[130];
    struct fl_cuda_measure measure;
    (void)unused;
    for (uint32_t i = 0; i < 130; i++) {
        losses[i] = 1.0 / (3.0 + i);
        right[i] = i % 3 == 0;
    }
    double *at = device_copy(losses, sizeof losses), *loss_sum = device_zeroed(sizeof *loss_sum);
    uint32_t *right_at = device_copy(right, sizeof right);
    struct fl_cuda_measure *measure_at = device_zeroed(sizeof *measure_at);
    for (uint32_t i = 0; i < 130; i++)
        sum += losses[i];
    for (int i = 0; i < 2; i++) {
        assert_queued(fl_cuda_add_mean(at, 130, loss_sum, NULL));
        assert_queued(fl_cuda_add_answers(at, right_at, 130, measure_at, NULL));
    }
    device_read(&mean, loss_sum, sizeof mean);
    device_read(&measure, measure_at, sizeof measure);
    assert_true(mean == sum / 130 + sum / 130);
    for (uint32_t i = 0; i < 130; i++)
        sum += losses[i];
    assert_true(measure.loss_sum == sum);
    assert_int_equal(measure.correct, 2 * 44);
    device_free(at);
    device_free(loss_sum);
    device_free(right_at);
    device_free(measure_at);
}

static void test_bias_and_relu(void **state)
{
    (void)state;
    fl_schedules_each(check_bias, NULL);
}

static void test_back_through_relu_and_bias(void **state)
{
    (void)state;
    fl_schedules_each(check_back, NULL);
}

static void test_gathering_a_batch(void **state)
{
    (void)state;
    fl_schedules_each(check_gather, NULL);
}

static void test_sums_of_losses_in_their_order(void **state)
{
    (void)state;
    fl_schedules_each(check_sums, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bias_and_relu),
        cmocka_unit_test(test_back_through_relu_and_bias),
        cmocka_unit_test(test_gathering_a_batch),
        cmocka_unit_test(test_sums_of_losses_in_their_order),
    };
    return run_on_device(tests);
}
