/* The device's sums, differences, steps of training, sparse changes and norms are the host's, bit for bit. */
#include "on_device.h"

#include "kernels/cuda/norms.h"
#include "kernels/cuda/vectors.h"
#include "kernels/exact.h"

/* Three runs of sum_squares and some. */
#define LONG (3 * FL_KERNELS_RUN + 13)

struct vectors {
    float a[MOST], b[MOST], c[MOST];
};

static void fill_all(struct vectors *vectors, size_t n, uint64_t stream)
{
    fill(vectors->a, n, 0x1p-3f, 0.2, stream);
    fill(vectors->b, n, 0x1p-20f, 0.2, stream + 1);
    fill(vectors->c, n, 0x1p-125f, 0.2, stream + 2);
}

static void expect_vector(const float *d_x, const float *expected, size_t n)
{
    static float got[MOST];
    device_read(got, d_x, n * sizeof *got);
    assert_memory_equal(got, expected, n * sizeof *got);
}

static void sums(void *context)
{
    const struct fl_kernels *portable = fl_kernels_find("portable");
    struct vectors *vectors = context;
    for (size_t s = 0; s < SIZES; s++) {
        static float expected[MOST];
        size_t n = sizes[s], bytes = n * sizeof(float);
        fill_all(vectors, n, s);
        float *a = device_copy(vectors->a, bytes), *b = device_copy(vectors->b, bytes),
              *c = device_new(bytes);
        portable->add(vectors->a, vectors->b, expected, n);
        assert_queued(fl_cuda_add(a, b, c, n, NULL));
        expect_vector(c, expected, n);
        portable->subtract(vectors->a, vectors->b, expected, n);
        assert_queued(fl_cuda_subtract(a, b, c, n, NULL));
        expect_vector(c, expected, n);
        assert_queued(fl_cuda_subtract(a, b, b, n, NULL)); /* in place */
        expect_vector(b, expected, n);
        device_free(a);
        device_free(b);
        device_free(c);
    }
}

static void test_sums_and_differences(void **state)
{
    static struct vectors vectors;
    (void)state;
    fl_schedules_each(sums, &vectors);
}

static void descents(void *context)
{
    static const struct fl_kernels_descent rules[] = {{0.1f, 0, 0}, {0.01f, 0.9f, 1e-4f}, {3, 0.5f, 0.3f}};
    struct vectors *vectors = context;
    for (size_t s = 0; s < SIZES; s++) {
        size_t n = sizes[s], bytes = n * sizeof(float);
        for (size_t r = 0; r < 3; r++) {
            fill_all(vectors, n, s);
            float *g = device_copy(vectors->a, bytes), *v = device_copy(vectors->b, bytes),
                  *w = device_copy(vectors->c, bytes);
            for (size_t i = 0; i < n; i++) { /* client/trainer, written out */
                vectors->b[i] = rules[r].momentum * vectors->b[i] +
                                (vectors->a[i] + rules[r].weight_decay * vectors->c[i]);
                vectors->c[i] -= rules[r].learning_rate * vectors->b[i];
            }
            assert_queued(fl_cuda_descend(&rules[r], g, v, w, n, NULL));
            expect_vector(v, vectors->b, n);
            expect_vector(w, vectors->c, n);
            device_free(g);
            device_free(v);
            device_free(w);
        }
    }
}

static void test_a_step_of_training(void **state)
{
    static struct vectors vectors;
    (void)state;
    fl_schedules_each(descents, &vectors);
}

/* Every third element is assigned, or has a value or a level added. */
static void sparse(void *context)
{
    static uint32_t indices[MOST], words[MOST];
    struct vectors *vectors = context;
    for (size_t s = 0; s < SIZES; s++) {
        size_t n = sizes[s], count = 0;
        for (int what = 0; what < 3; what++) {
            const float step = what == 2 ? 0x1p-7f : 0;
            fill_all(vectors, n, s);
            float *x = device_copy(vectors->a, n * sizeof *x);
            count = 0;
            for (size_t i = s % 3; i < n; i += 3, count++) {
                int32_t level = (int32_t)(i * 37 % 1000) - 500;
                indices[count] = (uint32_t)i;
                words[count] = what == 2 ? (uint32_t)level : fl_bits_of(vectors->b[i]);
                if (what == 0)
                    memcpy(&vectors->a[i], &vectors->b[i], sizeof(float));
                else
                    vectors->a[i] += what == 2 ? (float)level * step : vectors->b[i];
            }
            uint32_t *d_indices = device_copy(indices, count * 4), *d_words = device_copy(words, count * 4);
            assert_queued(what ? fl_cuda_fold(x, d_indices, d_words, count, step, NULL)
                               : fl_cuda_assign(x, d_indices, d_words, count, NULL));
            expect_vector(x, vectors->a, n);
            device_free(x);
            device_free(d_indices);
            device_free(d_words);
        }
    }
}

static void test_R19_sparse_changes(void **state)
{
    static struct vectors vectors;
    (void)state;
    fl_schedules_each(sparse, &vectors);
}

static double squares_on_device(const float *d_x, size_t n)
{
    void *workspace = device_new(fl_cuda_workspace_bytes(n));
    double sum, *d_sum = device_new(sizeof *d_sum);
    assert_queued(fl_cuda_sum_squares(d_x, n, workspace, d_sum, NULL));
    device_read(&sum, d_sum, sizeof sum);
    device_free(workspace);
    device_free(d_sum);
    return sum;
}

static void squares(void *context)
{
    static const size_t more[] = {FL_KERNELS_RUN - 1, FL_KERNELS_RUN, FL_KERNELS_RUN + 1, LONG};
    const struct fl_kernels *portable = fl_kernels_find("portable");
    struct vectors *vectors = context;
    for (size_t s = 0; s < SIZES + 4; s++) {
        size_t n = s < SIZES ? sizes[s] : more[s - SIZES];
        fill_all(vectors, n, s);
        float *d_x = device_copy(vectors->a, n * sizeof *d_x);
        assert_true(squares_on_device(d_x, n) == portable->sum_squares(vectors->a, n));
        device_free(d_x);
    }
    /* numbers in which the order shows, as in the table's own test */
    for (size_t i = 0; i < LONG; i++)
        vectors->a[i] = i == 0 ? 0x1p27f : 1;
    float *d_x = device_copy(vectors->a, LONG * sizeof *d_x);
    assert_true(squares_on_device(d_x, LONG) == 0x1p54 + 7 * 512 + 2 * 4096 + 12);
    device_free(d_x);
}

static void test_sums_of_squares_keep_the_tables_order(void **state)
{
    static struct vectors vectors;
    (void)state;
    fl_schedules_each(squares, &vectors);
}

static uint32_t worst_on_device(const float *x, size_t n)
{
    float *d_x = device_copy(x, n * sizeof *x);
    uint32_t bits, *d_bits = device_new(sizeof bits);
    assert_queued(fl_cuda_worst(d_x, n, d_bits, NULL));
    device_read(&bits, d_bits, sizeof bits);
    device_free(d_x);
    device_free(d_bits);
    return bits;
}

static void worst(void *context)
{
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    const struct fl_kernels *portable = fl_kernels_find("portable");
    struct vectors *vectors = context;
    for (size_t s = 0; s < SIZES; s++) {
        size_t n = sizes[s];
        fill_all(vectors, n, s);
        float most = portable->max_abs(vectors->a, n);
        assert_int_equal(worst_on_device(vectors->a, n), fl_bits_of(most));
        for (size_t i = 0; n > 0 && i < 4; i++) {
            size_t at = i * (n - 1) / 3;
            float kept = vectors->a[at];
            vectors->a[at] = bad[i];
            assert_true(worst_on_device(vectors->a, n) >= FL_BITS_INFINITY);
            vectors->a[at] = kept;
        }
    }
}

static void test_the_worst_magnitude(void **state)
{
    static struct vectors vectors;
    (void)state;
    fl_schedules_each(worst, &vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_and_differences),
        cmocka_unit_test(test_a_step_of_training),
        cmocka_unit_test(test_R19_sparse_changes),
        cmocka_unit_test(test_sums_of_squares_keep_the_tables_order),
        cmocka_unit_test(test_the_worst_magnitude),
    };
    return run_on_device(tests);
}
