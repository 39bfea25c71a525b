/* codec/taken: error feedback in one pass gives the bits of the plain way, with every table of kernels. */
#include "test.h"

#include <float.h>

#include "codec/taken.h"
#include "codec/topk.h"
#include "fail_alloc.h"
#include "sample.h"

#define LARGE ((size_t)300000) /* top-k takes a sample from 2^18 elements on */

static const size_t sizes[] = {1, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 4095, 4097, SAMPLE_DIM, 10007};
#define SIZES (sizeof sizes / sizeof sizes[0])

static const char *const names[] = {"portable", "avx2", "avx512", "neon"};
#define NAMES (sizeof names / sizeof names[0])

struct outcome {
    enum fl_status status;
    struct fl_buf payload;
    struct fl_payload checked;
    float *residual;
};

/* With threads, or 0: the plain way. */
static void step(unsigned threads, const struct fl_kernels *kernels, const struct fl_codec_params *params,
                 const float *delta, const float *residual, size_t dim, struct outcome *ret)
{
    memset(&ret->checked, 0, sizeof ret->checked);
    fl_buf_init(&ret->payload, 64 << 20);
    ret->residual = malloc(dim * sizeof(float));
    memcpy(ret->residual, delta, dim * sizeof(float)); /* in place */
    ret->status = threads ? fl_error_feedback_step(kernels, threads, params, ret->residual, residual, dim,
                                                   &ret->payload, ret->residual, &ret->checked)
                          : fl_error_feedback_plain(kernels, params, ret->residual, residual, dim,
                                                    &ret->payload, ret->residual, &ret->checked);
}

static void outcome_done(struct outcome *outcome)
{
    fl_buf_done(&outcome->payload);
    free(outcome->residual);
}

static void assert_same(const struct outcome *fused, const struct outcome *plain, size_t dim)
{
    assert_status(fused->status, plain->status);
    assert_int_equal(fused->payload.size, plain->payload.size);
    if (plain->status == FL_OK) {
        assert_memory_equal(fused->payload.data, plain->payload.data, plain->payload.size);
        assert_memory_equal(fused->residual, plain->residual, dim * sizeof(float));
        assert_true(fused->checked.count == plain->checked.count);
        assert_true(fused->checked.sum_squares == plain->checked.sum_squares);
    }
}

/* Both ways with every table: same status, same payload, same residual, bit for bit. */
static void check(const struct fl_codec_params *params, const float *delta, const float *residual, size_t dim)
{
    struct outcome plain, fused;
    step(0, fl_kernels_find("portable"), params, delta, residual, dim, &plain);
    for (size_t i = 0; i < NAMES; i++) {
        const struct fl_kernels *kernels = fl_kernels_find(names[i]);
        if (!kernels)
            continue;
        step(1, kernels, params, delta, residual, dim, &fused);
        assert_same(&fused, &plain, dim);
        outcome_done(&fused);
    }
    outcome_done(&plain);
}

/* Parameters of each codec that is taken, for a lambda near scale; tensors: of a vector of dim. */
static size_t make_params(double scale, double ratio, size_t dim, struct fl_codec_tensor tensors[2],
                          struct fl_codec_params ret[7])
{
    struct fl_codec_params grid = {.id = FL_CODEC_INT_THRESHOLD, .lambda = fl_lambda_nearest_power(scale)};
    int lambda_log2;
    size_t count = 0;
    assert_ok(fl_lambda_log2(grid.lambda, &lambda_log2));
    ret[count++] = (struct fl_codec_params){.id = FL_CODEC_THRESHOLD, .lambda = (float)scale};
    for (int finer = -1; finer <= 16; finer += finer < 2 ? 1 : 14) {
        grid.step_log2 = lambda_log2 - finer;
        ret[count++] = grid;
    }
    ret[count++] = (struct fl_codec_params){.id = FL_CODEC_TOPK, .ratio = ratio};
    if (dim > 1) {
        tensors[0] = (struct fl_codec_tensor){dim / 3 + 1, 1};
        tensors[1] = (struct fl_codec_tensor){dim - tensors[0].rows, 1};
        ret[count] = (struct fl_codec_params){
            .id = FL_CODEC_TOPK_TENSOR, .ratio = ratio, .tensors = tensors, .tensor_count = 2};
        count += tensors[1].rows > 0;
    }
    return count;
}

static void check_all(double scale, double ratio, const float *delta, const float *residual, size_t dim)
{
    struct fl_codec_params params[8];
    struct fl_codec_tensor tensors[2];
    size_t count = make_params(scale, ratio, dim, tensors, params);
    for (size_t i = 0; i < count; i++) {
        check(&params[i], delta, residual, dim);
        if (count < 7) /* one tensor only */
            continue;
        params[i].tensors = tensors;
        params[i].tensor_count = 2;
        params[i].dense_below =
            tensors[1].rows + 1; /* the second of them, and the first where it is smaller */
        check(&params[i], delta, residual, dim);
    }
}

static void test_R8_awkward_sizes_and_all_densities(void **state)
{
    (void)state;
    static float delta[10007], residual[10007];
    static const double densities[] = {0, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.5, 1};
    for (size_t s = 0; s < SIZES; s++) {
        for (size_t d = 0; d < 8; d++) {
            sample_fill(delta, sizes[s], densities[d], s);
            sample_fill(residual, sizes[s], 0, s + 100);
            for (size_t i = 0; i < sizes[s]; i++)
                residual[i] *= 0.25f;
            check_all(1, densities[d] > 0 ? densities[d] : 1e-4, delta, residual, sizes[s]);
        }
    }
}

static void test_R8_all_scales_and_special_values(void **state)
{
    (void)state;
    static float delta[SAMPLE_DIM], residual[SAMPLE_DIM];
    for (double scale = 1e-12; scale < 2e12; scale *= 10) {
        float lambda = (float)scale, power = fl_lambda_nearest_power(scale);
        const float special[] = {0.0f,
                                 -0.0f,
                                 FLT_TRUE_MIN,
                                 -FLT_MIN / 2,
                                 lambda,
                                 -lambda,
                                 power,
                                 -power,
                                 nextafterf(lambda, 0),
                                 1.5f * power,
                                 nextafterf(power, 0),
                                 -2.5f * power,
                                 1e30f,
                                 -nextafterf(1.5f * power, 0)};
        sample_fill(delta, SAMPLE_DIM, 0.1, 6);
        for (size_t i = 0; i < SAMPLE_DIM; i++) {
            delta[i] = i % 3 ? delta[i] * lambda : special[i / 3 % 14];
            residual[i] = i % 2 ? -0.0f : 0.0f;
        }
        check_all(scale, 0.05, delta, residual, SAMPLE_DIM);
    }
}

static void test_R8_what_is_not_finite_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    static float delta[4200], residual[4200], kept[4200];
    static const float bad[] = {NAN, INFINITY, -INFINITY, FLT_MAX};
    static const size_t at[] = {0, 1, 63, 64, 65, 4095, 4096, 4160, 4199};
    sample_fill(residual, 4200, 0.1, 1);
    for (size_t i = 0; i < 4 * 9; i++) {
        sample_fill(delta, 4200, 0.1, 2);
        delta[at[i / 4]] = bad[i % 4];
        residual[at[i / 4]] = i % 4 == 3 ? FLT_MAX : 1;
        memcpy(kept, residual, sizeof kept);
        struct outcome fused;
        struct fl_codec_params params[8];
        struct fl_codec_tensor tensors[2];
        size_t count = make_params(1, 0.1, 4200, tensors, params);
        for (size_t c = 0; c < count; c++) {
            check(&params[c], delta, residual, 4200);
            step(1, fl_kernels_pick(), &params[c], delta, residual, 4200, &fused);
            assert_status(fused.status, FL_ERR_NOT_FINITE);
            assert_int_equal(fused.payload.size, 0);
            assert_int_equal(fused.checked.dim, 0);
            assert_memory_equal(residual, kept, sizeof kept);
            outcome_done(&fused);
        }
        residual[at[i / 4]] = 1;
    }
}

/* Kinds of large vectors: as drawn; most of it zero; all of one magnitude; few magnitudes; sorted; all in a
 * small part, where the sample is blind or sees nothing else. */
#define KINDS 6

static void fill_large(float *x, size_t n, int kind)
{
    struct fl_random random;
    fl_random_init(&random, 11, (uint64_t)kind);
    for (size_t i = 0; i < n; i++) {
        float u = fl_random_float(&random) - 0.5f, sign = u < 0 ? -1.0f : 1.0f;
        float choices[KINDS] = {u * u * u,       i % 5000 == 3 ? u : 0,     sign, sign * (float)(int)(u * 6),
                                sign * (float)i, i > n - 40 ? u : u * 1e-6f};
        x[i] = choices[kind];
    }
}

static void test_top_k_from_a_sample_is_exact(void **state)
{
    (void)state;
    static float delta[LARGE], residual[LARGE];
    static const double ratios[] = {1e-5, 1e-3, 1e-2, 0.3, 1};
    for (int kind = 0; kind < KINDS; kind++) {
        fill_large(delta, LARGE, kind);
        for (size_t r = 0; r < 5; r++) {
            struct fl_codec_tensor tensors[2] = {{LARGE - 1000, 1}, {1000, 1}};
            struct fl_codec_params params = {.id = FL_CODEC_TOPK, .ratio = ratios[r]};
            check(&params, delta, residual, LARGE);
            params = (struct fl_codec_params){
                .id = FL_CODEC_TOPK_TENSOR, .ratio = ratios[r], .tensors = tensors, .tensor_count = 2};
            check(&params, delta, residual, LARGE);
        }
    }
}

/* Enough for three threads, of which the last has no whole number of words. */
#define WIDE ((size_t)3 * (1 << 19) + 77)

static void test_any_number_of_threads_gives_the_same(void **state)
{
    (void)state;
    static float delta[WIDE], residual[WIDE];
    static const unsigned threads[] = {1, 2, 64};
    static const struct fl_codec_params codecs[] = {
        {.id = FL_CODEC_THRESHOLD, .lambda = 1},
        {.id = FL_CODEC_INT_THRESHOLD, .lambda = 1, .step_log2 = -1},
        {.id = FL_CODEC_TOPK, .ratio = 0.01},
        {.id = FL_CODEC_TOPK, .ratio = 0.3},
    };
    static const double densities[] = {0.02, 0.2}; /* listed, packed */
    /* what is done: nothing; one element is not finite, in the last part; all lies in the last part, or all
     * of one magnitude, where the sample misleads top-k */
    for (int kind = 0; kind < 4 * 2; kind++) {
        sample_fill(delta, WIDE, densities[kind % 2], (uint64_t)kind);
        for (size_t i = 0; i < WIDE; i++) {
            residual[i] = kind / 2 == 3 ? (i % 2 ? 2.0f : -2.0f) - delta[i] : (float)(i % 100) * 1e-3f;
            if (kind / 2 == 2 && i < WIDE - 3000)
                delta[i] *= 1e-3f;
        }
        if (kind / 2 == 1)
            delta[WIDE - 40] = INFINITY;
        for (size_t c = 0; c < 4; c++) {
            struct outcome plain, fused;
            step(0, fl_kernels_pick(), &codecs[c], delta, residual, WIDE, &plain);
            assert_status(plain.status, kind / 2 == 1 ? FL_ERR_NOT_FINITE : FL_OK);
            for (size_t t = 0; t < 3; t++) {
                step(threads[t], fl_kernels_pick(), &codecs[c], delta, residual, WIDE, &fused);
                assert_same(&fused, &plain, WIDE);
                outcome_done(&fused);
            }
            outcome_done(&plain);
        }
    }
}

static void test_the_bound_holds_for_plain_vectors(void **state)
{
    (void)state;
    static float x[LARGE], zero[LARGE];
    fill_large(x, LARGE, 0);
    for (size_t k = 30; k < LARGE; k *= 10) {
        size_t most, count = 0;
        uint32_t bound = fl_topk_bound(x, zero, LARGE, k, &most);
        for (size_t i = 0; i < LARGE; i++) {
            float magnitude = fabsf(x[i]);
            uint32_t bits;
            memcpy(&bits, &magnitude, 4);
            count += bits >= bound;
        }
        assert_true(count >= k && count <= most);
    }
}

static void test_failed_allocations_leave_residual_and_payload(void **state)
{
    (void)state;
    static float delta[WIDE], residual[WIDE], ret[WIDE];
    long before = fl_live_allocations();
    for (size_t c = 0; c < 6; c++) {
        struct fl_codec_params params[] = {{.id = FL_CODEC_TOPK, .ratio = 0.01},
                                           {.id = FL_CODEC_THRESHOLD, .lambda = 0.01f},
                                           {.id = FL_CODEC_INT_THRESHOLD, .lambda = 0.125f, .step_log2 = -2}};
        size_t dim = c < 3 ? LARGE : WIDE;
        fill_large(delta, dim, c % 3 == 0 ? 2 : 0); /* the sample misleads: memory is asked for twice */
        for (size_t k = 0;; k++) {
            struct fl_payload payload;
            struct fl_buf buf;
            fl_buf_init(&buf, 16 << 20);
            fl_fail_alloc_after(k);
            enum fl_status st = fl_error_feedback_step(fl_kernels_pick(), 1 + (unsigned)c / 3, &params[c % 3],
                                                       delta, residual, dim, &buf, ret, &payload);
            fl_fail_alloc_never();
            assert_int_equal(buf.size != 0, st == FL_OK);
            fl_buf_done(&buf);
            assert_int_equal(fl_live_allocations(), before);
            if (st == FL_OK)
                break;
            assert_status(st, FL_ERR_NOMEM);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R8_awkward_sizes_and_all_densities),
        cmocka_unit_test(test_R8_all_scales_and_special_values),
        cmocka_unit_test(test_R8_what_is_not_finite_is_refused_wherever_it_stands),
        cmocka_unit_test(test_top_k_from_a_sample_is_exact),
        cmocka_unit_test(test_any_number_of_threads_gives_the_same),
        cmocka_unit_test(test_the_bound_holds_for_plain_vectors),
        cmocka_unit_test(test_failed_allocations_leave_residual_and_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
