#include <cblas.h>
#include <stdlib.h>

#include "kernels/emu/include/cublas_v2.h"
#include "kernels/emu/runtime.h"

struct cublasContext {
    cudaStream_t stream;
};

struct product {
    struct fl_task task;
    CBLAS_TRANSPOSE op_a, op_b;
    int m, n, k, lda, ldb, ldc;
    float alpha, beta;
    const float *a, *b;
    float *c;
};

const char *cublasGetStatusString(cublasStatus_t status)
{
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "an invalid value was used as an argument";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "the function failed to launch on the GPU";
    }
    return "unknown status";
}

cublasStatus_t cublasCreate(cublasHandle_t *ret_handle)
{
    fl_runtime_enter();
    cudaError_t error = fl_runtime_device();
    fl_runtime_leave(cudaSuccess);
    if (error)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    struct cublasContext *handle = calloc(1, sizeof *handle);
    if (!handle)
        return CUBLAS_STATUS_ALLOC_FAILED;
    openblas_set_num_threads(1);
    *ret_handle = handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle)
{
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

/* Every mode here is float32 all through. */
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    (void)handle;
    return mode == CUBLAS_DEFAULT_MATH || mode == CUBLAS_PEDANTIC_MATH ? CUBLAS_STATUS_SUCCESS
                                                                       : CUBLAS_STATUS_INVALID_VALUE;
}

/* Memory cuBLAS may use instead of its own; OpenBLAS has no use for it. */
cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes)
{
    (void)handle;
    fl_runtime_enter();
    int reachable = bytes == 0 || fl_memory_reachable(workspace, bytes);
    fl_runtime_leave(cudaSuccess);
    return reachable ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

static void run_product(struct fl_task *task)
{
    const struct product *p = (const struct product *)task;
    cblas_sgemm(CblasColMajor, p->op_a, p->op_b, p->m, p->n, p->k, p->alpha, p->a, p->lda, p->b, p->ldb,
                p->beta, p->c, p->ldc);
}

/* Elements from the first to the last of a matrix of rows by columns whose columns lie ld apart. */
static size_t extent(int rows, int columns, int ld)
{
    return rows && columns ? (size_t)ld * (size_t)(columns - 1) + (size_t)rows : 0;
}

static int matrix_is_right(const float *at, int rows, int columns, int ld)
{
    return ld >= (rows ? rows : 1) && fl_memory_reachable(at, extent(rows, columns, ld) * sizeof *at);
}

static cublasStatus_t queue_product(const struct product *wanted, cudaStream_t stream)
{
    const struct product *p = wanted;
    int trans_a = p->op_a == CblasTrans, trans_b = p->op_b == CblasTrans;
    if (p->m < 0 || p->n < 0 || p->k < 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (p->m == 0 || p->n == 0)
        return CUBLAS_STATUS_SUCCESS;
    if (!matrix_is_right(p->a, trans_a ? p->k : p->m, trans_a ? p->m : p->k, p->lda) ||
        !matrix_is_right(p->b, trans_b ? p->n : p->k, trans_b ? p->k : p->n, p->ldb) ||
        !matrix_is_right(p->c, p->m, p->n, p->ldc))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (fl_stream_check(stream))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    struct product *product = fl_task_new(sizeof *product, run_product);
    if (!product)
        return CUBLAS_STATUS_ALLOC_FAILED;
    struct fl_task task = product->task;
    *product = *wanted;
    product->task = task;
    fl_stream_queue(stream, &product->task);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                           int n, int k, const float *alpha, const float *a, int lda, const float *b, int ldb,
                           const float *beta, float *c, int ldc)
{
    struct product product = {.op_a = op_a == CUBLAS_OP_T ? CblasTrans : CblasNoTrans,
                              .op_b = op_b == CUBLAS_OP_T ? CblasTrans : CblasNoTrans,
                              .m = m,
                              .n = n,
                              .k = k,
                              .lda = lda,
                              .ldb = ldb,
                              .ldc = ldc,
                              .alpha = *alpha,
                              .beta = *beta,
                              .a = a,
                              .b = b,
                              .c = c};
    fl_runtime_enter();
    cublasStatus_t status = queue_product(&product, handle->stream);
    fl_runtime_leave(cudaSuccess);
    return status;
}
