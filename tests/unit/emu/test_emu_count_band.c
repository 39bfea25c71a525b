/* The example of kernels/emu/README.md: a kernel against the portable table, under every schedule. */
#include "schedules.h"

#include "base/random.h"
#include "count_band.h"
#include "kernels/kernels.h"

#define MOST 5000

static const size_t sizes[] = {0, 1, 31, 33, 64, 129, MOST};

static unsigned count_on_device(const float *x, size_t n, unsigned blocks)
{
    float *d_x;
    unsigned *d_count, count = 0;
    assert_int_equal(cudaMalloc((void **)&d_x, MOST * sizeof *d_x), cudaSuccess);
    assert_int_equal(cudaMalloc((void **)&d_count, sizeof *d_count), cudaSuccess);
    assert_int_equal(cudaMemcpy(d_x, x, n * sizeof *x, cudaMemcpyHostToDevice), cudaSuccess);
    assert_int_equal(cudaMemset(d_count, 0, sizeof *d_count), cudaSuccess);
    count_band(d_x, n, 0.25f, 0.75f, d_count, blocks, NULL);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    assert_int_equal(cudaMemcpy(&count, d_count, sizeof count, cudaMemcpyDeviceToHost), cudaSuccess);
    assert_int_equal(cudaFree(d_x), cudaSuccess);
    assert_int_equal(cudaFree(d_count), cudaSuccess);
    return count;
}

static void check(void *context)
{
    const float *x = context;
    const struct fl_kernels *portable = fl_kernels_find("portable");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t expected = portable->count_band(x, sizes[i], 0.25f, 0.75f);
        assert_int_equal(count_on_device(x, sizes[i], 1), expected);
        assert_int_equal(count_on_device(x, sizes[i], 9), expected);
    }
}

static void test_it_counts_what_the_portable_table_counts(void **state)
{
    static float x[MOST];
    struct fl_random random;
    (void)state;
    fl_random_init(&random, 42, 0);
    for (size_t i = 0; i < MOST; i++)
        x[i] = fl_random_float(&random) * 2 - 1;
    fl_schedules_each(check, x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_it_counts_what_the_portable_table_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
