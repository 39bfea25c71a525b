/* kernels/emu: the stand-in for cuBLAS gives the bits of the trainer's products, and refuses what does not
 * fit. */
#include "test.h"

#include "base/random.h"
#include "client/trainer/blas.h"
#include "kernels/emu/include/cublas_v2.h"

static const float one = 1, zero = 0;

/* A matrix on the device and on the host; elements of different sizes, so that the order of sums shows. */
struct matrix {
    float *host, *device;
    size_t bytes;
};

static struct matrix matrix_new(size_t elements, uint64_t stream)
{
    struct matrix m = {malloc(elements * sizeof(float)), NULL, elements * sizeof(float)};
    struct fl_random random;
    assert_non_null(m.host);
    fl_random_init(&random, 3, stream);
    for (size_t i = 0; i < elements; i++)
        m.host[i] = (fl_random_float(&random) - 0.5f) * (float)(1 << fl_random_below(&random, 12));
    assert_int_equal(cudaMalloc((void **)&m.device, m.bytes), cudaSuccess);
    assert_int_equal(cudaMemcpy(m.device, m.host, m.bytes, cudaMemcpyHostToDevice), cudaSuccess);
    return m;
}

static void matrix_free(struct matrix *m)
{
    assert_int_equal(cudaFree(m->device), cudaSuccess);
    free(m->host);
}

/* The product on the device, its bits against those in m->host. */
static void check(struct matrix *m, cublasStatus_t status)
{
    float *got = malloc(m->bytes);
    assert_non_null(got);
    assert_int_equal(status, CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaMemcpy(got, m->device, m->bytes, cudaMemcpyDeviceToHost), cudaSuccess);
    assert_memory_equal(got, m->host, m->bytes);
    free(got);
}

/* The three products of a dense layer, row by row as blas.h has them, are column by column the other way
 * round. */
static void check_layer(cublasHandle_t blas, uint32_t rows, uint32_t inputs, uint32_t outputs)
{
    struct matrix a = matrix_new((size_t)rows * inputs, 0), w = matrix_new((size_t)outputs * inputs, 1),
                  c = matrix_new((size_t)rows * outputs, 2);
    int r = (int)rows, i = (int)inputs, o = (int)outputs;
    fl_blas_forward(rows, inputs, outputs, a.host, w.host, c.host);
    check(&c, cublasSgemm(blas, CUBLAS_OP_T, CUBLAS_OP_N, o, r, i, &one, w.device, i, a.device, i, &zero,
                          c.device, o));
    fl_blas_gradient(rows, inputs, outputs, c.host, a.host, w.host);
    check(&w, cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_T, i, o, r, &one, a.device, i, c.device, o, &zero,
                          w.device, i));
    fl_blas_backward(rows, inputs, outputs, c.host, w.host, a.host);
    check(&a, cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, i, r, o, &one, w.device, i, c.device, o, &zero,
                          a.device, i));
    matrix_free(&a);
    matrix_free(&w);
    matrix_free(&c);
}

static void test_products_have_the_bits_of_the_trainer(void **state)
{
    static const uint32_t sizes[][3] = {{1, 1, 1},   {1, 784, 10},   {32, 784, 200}, {32, 200, 10},
                                        {33, 65, 7}, {100, 31, 129}, {256, 512, 10}};
    cublasHandle_t blas;
    (void)state;
    fl_blas_init();
    assert_int_equal(cublasCreate(&blas), CUBLAS_STATUS_SUCCESS);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        check_layer(blas, sizes[s][0], sizes[s][1], sizes[s][2]);
    assert_int_equal(cublasDestroy(blas), CUBLAS_STATUS_SUCCESS);
}

static void test_products_are_queued_on_the_stream(void **state)
{
    struct matrix m = matrix_new(1, 0), pinned = {0};
    cublasHandle_t blas;
    cudaStream_t stream;
    float factor = 2;
    (void)state;
    assert_int_equal(cublasCreate(&blas), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cublasSetStream(blas, stream), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaMallocHost((void **)&pinned.host, sizeof(float)), cudaSuccess);
    *pinned.host = 3;
    assert_int_equal(cudaMemcpyAsync(m.device, pinned.host, sizeof(float), cudaMemcpyHostToDevice, stream),
                     cudaSuccess);
    assert_int_equal(cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &factor, m.device, 1, m.device, 1,
                                 &zero, m.device, 1),
                     CUBLAS_STATUS_SUCCESS);
    factor = 100; /* was read by the call */
    assert_int_equal(cudaMemcpyAsync(pinned.host, m.device, sizeof(float), cudaMemcpyDeviceToHost, stream),
                     cudaSuccess);
    assert_true(*pinned.host == 3);
    assert_int_equal(cudaStreamSynchronize(stream), cudaSuccess);
    assert_true(*pinned.host == 18);
    assert_int_equal(cublasDestroy(blas), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
    assert_int_equal(cudaFreeHost(pinned.host), cudaSuccess);
    matrix_free(&m);
}

static void test_what_does_not_fit_is_refused(void **state)
{
    struct matrix m = matrix_new(6, 0);
    const struct {
        int m, n, k, lda, ldb, ldc;
        cublasStatus_t expected;
    } cases[] = {
        {2, 3, 1, 2, 1, 2, CUBLAS_STATUS_SUCCESS},        {0, 3, 1, 1, 1, 1, CUBLAS_STATUS_SUCCESS},
        {-1, 3, 1, 2, 1, 2, CUBLAS_STATUS_INVALID_VALUE}, {2, 3, 1, 1, 1, 2, CUBLAS_STATUS_INVALID_VALUE},
        {2, 3, 2, 2, 1, 2, CUBLAS_STATUS_INVALID_VALUE},  {2, 3, 1, 2, 1, 1, CUBLAS_STATUS_INVALID_VALUE},
        {2, 4, 1, 2, 1, 2, CUBLAS_STATUS_INVALID_VALUE},
    };
    cublasHandle_t blas;
    (void)state;
    assert_int_equal(cublasCreate(&blas), CUBLAS_STATUS_SUCCESS);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, cases[i].m, cases[i].n, cases[i].k, &one,
                                     m.device, cases[i].lda, m.device, cases[i].ldb, &zero, m.device,
                                     cases[i].ldc),
                         cases[i].expected);
    assert_int_equal(cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, 2, 3, 1, &one, m.host, 2, m.device, 1, &zero,
                                 m.device, 2),
                     CUBLAS_STATUS_INVALID_VALUE);
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
    assert_int_equal(cublasDestroy(blas), CUBLAS_STATUS_SUCCESS);
    matrix_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_have_the_bits_of_the_trainer),
        cmocka_unit_test(test_products_are_queued_on_the_stream),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
