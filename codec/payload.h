/*
 * Reading payloads, hostile ones too: fl_payload_check() validates every bit without allocating and gives a
 * `struct fl_payload`, and only that can be decoded or added, so bad bytes never reach an accumulator.
 * Not for making payloads (codec/codec.h, codec/downlink.h). The format is in codec/README.md.
 * All calls are thread-safe on the same payload.
 */
#ifndef FL_CODEC_PAYLOAD_H
#define FL_CODEC_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "codec/codec.h"
#include "codec/seeded_support.h"

/* What a payload's first byte tells: never reused, never renumbered. */
enum fl_payload_kind {
    FL_PAYLOAD_DENSE = 1,
    FL_PAYLOAD_THRESHOLD = 2,
    FL_PAYLOAD_INT_THRESHOLD = 3,
    FL_PAYLOAD_TOPK = 4,
    FL_PAYLOAD_TOPK_TENSOR = 5,
    FL_PAYLOAD_ASSIGN = 6,    /* a sparse assignment (downlink delta): values replace. No codec of params. */
    FL_PAYLOAD_CODED = 7,     /* a support and values in one of several forms */
    FL_PAYLOAD_SUPPORT = 8,   /* coordinates without values: inside kind 7 only */
    FL_PAYLOAD_FACTORED = 9,  /* each tensor as factors of low rank, or as it is */
    FL_PAYLOAD_PARTS = 10,    /* a payload of another kind for each tensor */
    FL_PAYLOAD_SKETCHED = 11, /* a count sketch, and exact values where it says */
};

/* Kind 7: which coordinates the values belong to. */
enum fl_support_form {
    FL_SUPPORT_ALL = 0,    /* every one */
    FL_SUPPORT_LISTED = 1, /* those of a payload of kind 8 */
    FL_SUPPORT_RANDOM = 2, /* from a seed: codec/seeded_support.h, fl_support_random() */
    FL_SUPPORT_BLOCK = 3,  /* from a seed: fl_support_block() */
    FL_SUPPORT_GRBS = 4,   /* from a seed: fl_support_grbs() by rows of the run's tensors */
};

/* Kind 7: how the values are written. */
enum fl_value_form {
    FL_VALUES_FLOAT32 = 0,
    FL_VALUES_BFLOAT16 = 1,
    FL_VALUES_FLOAT16 = 2,
    FL_VALUES_LEVELS = 3,    /* codes into a table of levels, times a scale for each bucket */
    FL_VALUES_NATURAL = 4,   /* powers of two in 9 bits */
    FL_VALUES_BLOCK_INT = 5, /* integers of 32 bits that share an exponent in each block */
};

/* A checked payload. Fields may be read; only fl_payload_check() and fl_sparse_check() fill them. */
struct fl_payload {
    struct fl_bytes bytes; /* borrowed; must stay as it was when checked */
    enum fl_payload_kind kind;
    size_t dim;                     /* elements of the vector */
    size_t count;                   /* coordinates sent */
    float lambda;                   /* parameter units, 0 where the codec has none */
    int step_log2;                  /* grid step 2^step_log2, 0 where the codec has none */
    int on_grid;                    /* 1: levels, 0: float32 values */
    double sum_squares;             /* of the decoded values, float64, in an order of our own */
    float max_abs;                  /* largest magnitude among the decoded values */
    int32_t level_max;              /* largest |level|, 0 off the grid */
    size_t directory_at, bodies_at; /* for reader.c: offsets in bytes */
    unsigned range_log2, shift;     /* for reader.c: size of a range, 2 lambda / step */
    int bitmap, adaptive;    /* for reader.c: mode of a single range; indices and levels are in stream */
    struct fl_bytes stream;  /* adaptive code */
    struct fl_bytes support; /* kind 7, listed: the payload of kind 8, which the offsets are of */
    struct fl_bytes values;  /* kind 7 */
    const struct fl_codec_tensor *tensors; /* kind 9: borrows those of params */
    size_t tensor_count;
    enum fl_support_form support_form;
    struct fl_support seeded; /* kind 7, from a seed: before its first step; borrows the params' tensors */
    enum fl_value_form value_form;
    struct fl_codec_params params; /* kind 10: what its parts were checked against; borrows the tensors */
};

/* Kind of the payloads of params, whose codec is known. */
enum fl_payload_kind fl_payload_kind_of(const struct fl_codec_params *params);

/*
 * Checks a whole payload against what was agreed: kind, dim, lambda and step equal to those of params,
 * counts, indices strictly increasing and < dim, levels non-zero and in range, values finite (threshold: |v|
 * >= lambda; top-k: non-zero, not more than k), no bit left over. Allocates nothing. bytes is borrowed by
 * ret_payload. FL_ERR_TRUNCATED, FL_ERR_FORMAT, FL_ERR_SHAPE (dim), FL_ERR_RANGE (lambda, step, count,
 * value), FL_ERR_NOT_FINITE, or a failure of fl_codec_params_check().
 */
FL_MUST_CHECK enum fl_status fl_payload_check(const struct fl_codec_params *params, size_t dim,
                                              struct fl_bytes bytes, struct fl_payload *ret_payload);

/* ret_q[i] = decoded value of coordinate i, 0 where nothing was sent; shape (payload->dim). */
void fl_payload_decode(const struct fl_payload *payload, float *ret_q);

/*
 * sum[i - begin] += weight * level[i] for begin <= i < end <= dim, exactly; grid payloads only. The caller
 * has proven |weight| * 2^20 and the sums to stay below 2^63 (rule R8). A payload on a coarser grid than the
 * accumulator's unit brings the factor in its weight.
 */
void fl_payload_add_levels(const struct fl_payload *payload, int64_t weight, int64_t *sum, size_t begin,
                           size_t end);

/* sum[i - begin] += weight * q[i] in float64 for begin <= i < end <= dim; any payload but an assignment. */
void fl_payload_add_values(const struct fl_payload *payload, double weight, double *sum, size_t begin,
                           size_t end);

/* x[i] -= q[i] where something was sent, float32; exact when x is the p the payload was made from. */
void fl_payload_subtract(const struct fl_payload *payload, float *x);

/* x[i] += q[i] where something was sent, float32; exact when x is the residual that was left (rules R6, R8).
 */
void fl_payload_fold(const struct fl_payload *payload, float *x);

/* x[i] = v[i] where something was sent; for FL_PAYLOAD_ASSIGN. */
void fl_payload_assign(const struct fl_payload *payload, float *x);

#endif
