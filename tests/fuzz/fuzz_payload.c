/* Hostile payloads: checked, and when accepted used in every way; no overrun, no broken promise. */
#include <math.h>

#include "codec/downlink.h"
#include "codec/payload.h"
#include "fuzz_codec.h"

static void use_levels(const struct fl_payload *payload)
{
    size_t dim = payload->dim;
    int64_t *sum = calloc(dim, sizeof *sum), *part = calloc(dim, sizeof *part);
    FUZZ_CHECK(sum && part);
    fl_payload_add_levels(payload, 5, sum, 0, dim);
    fl_payload_add_levels(payload, 5, part, 0, dim / 2);
    fl_payload_add_levels(payload, 5, part + dim / 2, dim / 2, dim);
    FUZZ_CHECK(memcmp(sum, part, dim * sizeof *sum) == 0);
    size_t count = 0;
    for (size_t i = 0; i < dim; i++) {
        FUZZ_CHECK(sum[i] % 5 == 0 && sum[i] / 5 <= FL_CODEC_LEVEL_MAX && sum[i] / 5 >= -FL_CODEC_LEVEL_MAX);
        count += sum[i] != 0;
    }
    FUZZ_CHECK(count == payload->count);
    free(sum);
    free(part);
}

static void use_values(const struct fl_payload *payload)
{
    size_t dim = payload->dim;
    float *q = malloc(dim * sizeof *q);
    double *sum = calloc(dim, sizeof *sum), squares = 0;
    FUZZ_CHECK(q && sum);
    fl_payload_decode(payload, q);
    fl_payload_add_values(payload, 1, sum, 0, dim / 3);
    fl_payload_add_values(payload, 1, sum + dim / 3, dim / 3, dim);
    for (size_t i = 0; i < dim; i++) {
        FUZZ_CHECK(isfinite(q[i]) && sum[i] == (double)q[i] && fabsf(q[i]) <= payload->max_abs);
        squares += (double)q[i] * q[i];
    }
    FUZZ_CHECK(fabs(squares - payload->sum_squares) <= 1e-12 * squares);
    fl_payload_subtract(payload, q);
    for (size_t i = 0; i < dim; i++)
        FUZZ_CHECK(q[i] == 0);
    fl_payload_fold(payload, q);
    for (size_t i = 0; i < dim; i++)
        FUZZ_CHECK((double)q[i] == sum[i]);
    free(q);
    free(sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_codec codec;
    struct fl_payload payload;
    if (size < FUZZ_CODEC_BYTES)
        return 0;
    fuzz_codec_read(data, &codec);
    size -= FUZZ_CODEC_BYTES;
    uint8_t *copy = malloc(size ? size : 1); /* exact size: AddressSanitizer sees a read too far */
    FUZZ_CHECK(copy);
    memcpy(copy, data + FUZZ_CODEC_BYTES, size);
    struct fl_bytes bytes = {copy, size};
    enum fl_status st = codec.kind == FL_PAYLOAD_ASSIGN
                            ? fl_sparse_check(codec.dim, bytes, &payload)
                            : fl_payload_check(&codec.params, codec.dim, bytes, &payload);
    if (!st) {
        FUZZ_CHECK(payload.dim == codec.dim && payload.count <= codec.dim && payload.kind == codec.kind);
        use_values(&payload);
        if (payload.on_grid)
            use_levels(&payload);
    }
    free(copy);
    return 0;
}
