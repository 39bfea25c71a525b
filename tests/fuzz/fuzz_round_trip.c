/* Any floats: encoding is deterministic, what is encoded is accepted, and q + e gives p back where the codec
 * is exact (rule R8). */
#include <float.h>
#include <math.h>

#include "codec/downlink.h"
#include "codec/feedback.h"
#include "fuzz_codec.h"

static void check_step(const struct fuzz_codec *codec, const float *p)
{
    const struct fl_kernels *kernels = fl_kernels_pick();
    size_t dim = codec->dim;
    struct fl_payload payload;
    struct fl_buf first, second;
    float *zero = calloc(dim, sizeof *zero), *e = calloc(dim, sizeof *e), *q = malloc(dim * sizeof *q);
    FUZZ_CHECK(zero && e && q);
    fl_buf_init(&first, 1 << 24);
    fl_buf_init(&second, 1 << 24);
    enum fl_status st = fl_error_feedback_step(kernels, 1, &codec->params, p, zero, dim, &first, e, &payload);
    if (fl_codec_params_check(&codec->params, dim)) {
        FUZZ_CHECK(st && !first.size);
    } else if (!kernels->all_finite(p, dim)) {
        FUZZ_CHECK(st == FL_ERR_NOT_FINITE && !first.size);
    } else if (st && (double)kernels->max_abs(p, dim) * sqrt((double)dim) >= (double)FLT_MAX) {
        FUZZ_CHECK(st == FL_ERR_RANGE && !first.size); /* a norm beyond float32 */
    } else if (st == FL_ERR_RANGE) {                   /* a norm that is sent would be no float32 */
        FUZZ_CHECK(kernels->sum_squares(p, dim) > (double)FLT_MAX * (double)FLT_MAX && !first.size);
    } else {
        FUZZ_CHECK(!st);
        FUZZ_CHECK(!fl_codec_encode(kernels, &codec->params, p, dim, &second));
        FUZZ_CHECK(fl_bytes_equal(fl_buf_view(&first), fl_buf_view(&second)));
        fl_payload_decode(&payload, q);
        const struct fl_codec *row = fl_codec_find_id(codec->params.id);
        for (size_t i = 0; i < dim; i++) {
            FUZZ_CHECK(e[i] == (fl_codec_has_feedback(row) ? p[i] - q[i] : 0));
            FUZZ_CHECK(!fl_codec_is_exact(row) || q[i] + e[i] == p[i]);
        }
    }
    fl_buf_done(&first);
    fl_buf_done(&second);
    free(zero);
    free(e);
    free(q);
}

/* The non-zero elements as an assignment. */
static void check_assignment(const float *p, size_t dim)
{
    struct fl_buf payload;
    float *x = calloc(dim, sizeof *x), *x_hat = malloc(dim * sizeof *x_hat);
    uint32_t *touched = malloc(dim * sizeof *touched);
    FUZZ_CHECK(x && x_hat && touched);
    for (size_t i = 0; i < dim; i++) {
        x_hat[i] = isfinite(p[i]) ? p[i] : 0;
        touched[i] = x_hat[i] != 0;
    }
    fl_buf_init(&payload, 1 << 24);
    FUZZ_CHECK(!fl_delta_encode(touched, x_hat, dim, 0, &payload));
    FUZZ_CHECK(!fl_sparse_apply(fl_buf_view(&payload), x, dim));
    for (size_t i = 0; i < dim; i++)
        FUZZ_CHECK(x[i] == x_hat[i]);
    fl_buf_done(&payload);
    free(x);
    free(x_hat);
    free(touched);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_codec codec;
    if (size < FUZZ_CODEC_BYTES)
        return 0;
    fuzz_codec_read(data, &codec);
    data += FUZZ_CODEC_BYTES;
    size -= FUZZ_CODEC_BYTES;
    float *p = calloc(codec.dim, sizeof *p); /* the floats given, again and again */
    FUZZ_CHECK(p);
    for (size_t i = 0; size >= 4 && i < codec.dim; i++) {
        memcpy(&p[i], data + i % (size / 4) * 4, 4);
        p[i] += 0.0f; /* -0 to 0, as delta + residual does */
    }
    check_step(&codec, p);
    check_assignment(p, codec.dim);
    free(p);
    return 0;
}
