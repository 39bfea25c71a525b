#include "client/trainer/blas.h"

#include <cblas.h>

void fl_blas_init(void)
{
    openblas_set_num_threads(1);
}

const char *fl_blas_name(void)
{
    return openblas_get_config();
}

void fl_blas_forward(uint32_t rows, uint32_t inputs, uint32_t outputs, const float *a, const float *w,
                     float *ret_c)
{
    blasint m = (blasint)rows, k = (blasint)inputs, n = (blasint)outputs;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0f, a, k, w, k, 0.0f, ret_c, n);
}

void fl_blas_backward(uint32_t rows, uint32_t inputs, uint32_t outputs, const float *d, const float *w,
                      float *ret_c)
{
    blasint m = (blasint)rows, n = (blasint)inputs, k = (blasint)outputs;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1.0f, d, k, w, n, 0.0f, ret_c, n);
}

void fl_blas_gradient(uint32_t rows, uint32_t inputs, uint32_t outputs, const float *d, const float *a,
                      float *ret_g)
{
    blasint m = (blasint)outputs, n = (blasint)inputs, k = (blasint)rows;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, n, k, 1.0f, d, m, a, n, 0.0f, ret_g, n);
}
