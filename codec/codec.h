/*
 * Compressors: a vector of float32 to payload bytes. One table, one interface; error feedback stands outside
 * (codec/feedback.h), reading payloads in codec/payload.h, the wire format in codec/README.md.
 * Everything here is deterministic and may be called from any thread.
 */
#ifndef FL_CODEC_CODEC_H
#define FL_CODEC_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "codec/tensor.h"
#include "kernels/kernels.h"

/* Which compressor. Not what travels (see fl_codec.kind), though the first five are the same numbers; 6 to 15
 * stay free. */
enum fl_codec_id {
    FL_CODEC_DENSE = 1,         /* every value, float32 */
    FL_CODEC_THRESHOLD = 2,     /* hard threshold: exact values with |p| >= lambda */
    FL_CODEC_INT_THRESHOLD = 3, /* integer hard threshold on a power-of-two grid, rule R8 */
    FL_CODEC_TOPK = 4,          /* the k largest magnitudes of the whole vector */
    FL_CODEC_TOPK_TENSOR = 5,   /* the k_l largest magnitudes of each tensor */
    FL_CODEC_TOPK_BF16 = 16,    /* top-k with values as bfloat16 */
    FL_CODEC_TOPK_FP16,         /* top-k with values as IEEE binary16 */
    FL_CODEC_RANDOM_K,          /* coordinates drawn at random from a seed */
    FL_CODEC_RANDOM_BLOCK,      /* neighbours from a random start */
    FL_CODEC_GRBS,              /* a random block of rows of each tensor (CSER) */
    FL_CODEC_SIGN,              /* this one and the next: codec/quantiser.h */
    FL_CODEC_ONE_BIT,
    FL_CODEC_TREE_8,
    FL_CODEC_TREE_8_FIXED,
    FL_CODEC_QSGD,
    FL_CODEC_QSGD_MAX,
    FL_CODEC_NUQSGD,
    FL_CODEC_TERNGRAD,
    FL_CODEC_ALQ,
    FL_CODEC_ALQ_N,
    FL_CODEC_AMQ,
    FL_CODEC_AMQ_N,
    FL_CODEC_QSPARSE,
    FL_CODEC_POWER_SGD, /* this one and the next: codec/factored.h */
    FL_CODEC_LOW_RANK,
    FL_CODEC_ROUND_RANDOM, /* stochastic rounding to the grid of step 2 lambda, no dead zone */
    FL_CODEC_NATURAL,      /* a power of two at random */
    FL_CODEC_BLOCK_INT,    /* integers scaled by blocks: codec/block_int.h */
    FL_CODEC_TOPK_SAMPLED, /* top-k by estimated thresholds: codec/estimated_threshold.h */
    FL_CODEC_SIDCO_EXPONENTIAL,
    FL_CODEC_SIDCO_PARETO,
    FL_CODEC_SIDCO_GAMMA,
    FL_CODEC_THRESHOLD_SAMPLED, /* hard threshold, lambda from a sample of each vector for k coordinates */
    FL_CODEC_ADAQS,             /* this one and the next: codec/quantiser.h */
    FL_CODEC_DQSGD,
    FL_CODEC_SKETCH, /* this one and the next: codec/sketched.h */
    FL_CODEC_SKETCH_BLOCK,
};

/* What is promised of q, the decoded payload of p (algorithms.md section 0). */
enum fl_codec_class {
    FL_CLASS_LOSSLESS,    /* q = p */
    FL_CLASS_ABSOLUTE,    /* |p - q| is bounded whatever p is; error feedback */
    FL_CLASS_CONTRACTION, /* ||p - q||^2 <= (1 - delta) ||p||^2, delta > 0; error feedback */
    FL_CLASS_UNBIASED,    /* E q = p, E ||p - q||^2 <= omega ||p||^2; no error feedback: the noise has mean 0,
                             and a residual would grow where omega >= 1 */
};

/* Largest vector: indices are 32 bits. */
#define FL_CODEC_DIM_MAX ((size_t)UINT32_MAX)
/* Largest magnitude of a level; what exceeds it stays in the residual (rule R8). */
#define FL_CODEC_LEVEL_MAX (INT32_C(1) << 20)
/* Grid steps run from 2^-100 to 2^60: see the proof in codec/grid.h. */
#define FL_CODEC_STEP_LOG2_MIN (-100)
#define FL_CODEC_STEP_LOG2_MAX 60
/* The grid may be finer than 2 lambda by at most 2^17. */
#define FL_CODEC_FINEST_SHIFT 17
/* Range of lambda for the grid codec that fl_lambda_from_rms() stays in, as powers of two. */
#define FL_CODEC_LAMBDA_LOG2_MIN (-80)
#define FL_CODEC_LAMBDA_LOG2_MAX 59

struct fl_codec_state;

struct fl_codec_params {
    enum fl_codec_id id;
    float lambda;  /* parameter units, > 0: threshold and int-threshold (there a power of two) */
    int step_log2; /* int-threshold: grid step 2^step_log2, lambda * 2^-16 <= step <= 2 * lambda */
    double ratio;  /* top-k: share of coordinates sent, in (0, 1] */
    const struct fl_codec_tensor
        *tensors;          /* fl_codec_needs_tensors(): borrowed, those of the vector in order */
    size_t tensor_count;   /* their elements add up to the size of the vector */
    size_t dense_below;    /* > 0: each tensor by itself, dense if it has fewer elements (codec/parts.h) */
    unsigned bits;         /* quantisers with uses_bits: about 2^bits levels, 2 to 8 */
    size_t bucket;         /* quantisers: values that share a scale, 1 to 2^32 - 1 */
    unsigned rank;         /* low rank: columns of a factor, > 0 */
    uint32_t contributors; /* block-int: messages that are planned to be added as integers; 0: one */
    uint64_t seed;         /* of random rounding: another one for each client and round; encoding only */
    const struct fl_codec_state *state; /* codecs that keep one (codec/state.h): NULL: nothing is kept, and
                                           each payload is a fresh start; encoding only */
};

struct fl_codec_params;

/* Appends the payload of p. params are checked, p is finite; what was appended on failure is taken back by
 * the caller. */
typedef enum fl_status (*fl_codec_encode_fn)(const struct fl_kernels *kernels,
                                             const struct fl_codec_params *params, const float *p, size_t dim,
                                             struct fl_buf *payload);

/* One row of the table of codecs. */
struct fl_codec {
    enum fl_codec_id id;
    const char *name; /* in run specs and messages, e.g. "int-threshold" */
    enum fl_codec_class class;
    unsigned kind;       /* of its payloads: enum fl_payload_kind */
    unsigned values;     /* kind FL_PAYLOAD_CODED: their form, enum fl_value_form */
    unsigned support;    /* kind FL_PAYLOAD_CODED: where they belong, enum fl_support_form */
    int on_grid;         /* 1: values are integer levels times a step, summed exactly as integers */
    int uses_lambda;     /* 1: params.lambda matters */
    int uses_ratio;      /* 1: params.ratio matters */
    int uses_tensors;    /* 1: params.tensors matters */
    int uses_bits;       /* 1: params.bits matters */
    int uses_bucket;     /* 1: params.bucket matters */
    int uses_rank;       /* 1: params.rank matters */
    const char *summary; /* one line for people: `fl-server codecs` */
    fl_codec_encode_fn encode;
    /* Whether body is what the codec keeps between payloads (codec/state.h); NULL: it keeps nothing. params
     * are checked. */
    int (*state_fits)(const struct fl_codec_params *params, struct fl_bytes body);
};

static inline uint32_t fl_codec_contributors(const struct fl_codec_params *params)
{
    return params->contributors ? params->contributors : 1;
}

/* Whether params.tensors matters. */
static inline int fl_codec_needs_tensors(const struct fl_codec *codec, size_t dense_below)
{
    return codec->uses_tensors || dense_below;
}

/* Whether payloads of params are levels on one grid, which fl_payload_add_levels() sums as integers. */
int fl_codec_sums_levels(const struct fl_codec_params *params);

/* Whether what is not sent waits in a residual. */
static inline int fl_codec_has_feedback(const struct fl_codec *codec)
{
    return codec->class != FL_CLASS_UNBIASED;
}

/* Whether q + (p - q) is p in every bit, so that nothing is ever rounded away between payload and residual
 * (rule R8): values sent as they are, as bfloat16, or on the grid. Levels times a scale round the residual
 * once, in float32, and so does float16 where |p| is 2^29 or more, of which it sends 65504. */
int fl_codec_is_exact(const struct fl_codec *codec);

/* "lossless", "absolute", "contraction" or "unbiased". */
const char *fl_codec_class_name(enum fl_codec_class class);

/* Names of the table's rows in their order, NULL at the end: choices of a setting. */
extern const char *const fl_codec_names[];

/* The whole table, ret_count rows. */
const struct fl_codec *fl_codec_table(size_t *ret_count);

/* Row by name or by id; NULL when unknown. */
const struct fl_codec *fl_codec_find(const char *name);
const struct fl_codec *fl_codec_find_id(unsigned id);

/*
 * Whether params make sense for vectors of dim elements. FL_ERR_NOT_FOUND: unknown codec; FL_ERR_SHAPE: dim
 * is 0 or the tensors, where they matter, do not add up to it; FL_ERR_LIMIT: dim above FL_CODEC_DIM_MAX;
 * FL_ERR_RANGE: lambda not finite or <= 0 (or no power of two on the grid), step, ratio, bits, bucket, rank
 * or contributors outside their range.
 */
FL_MUST_CHECK enum fl_status fl_codec_params_check(const struct fl_codec_params *params, size_t dim);

/* k = max(1, floor(ratio * elems)), the product in float64. */
size_t fl_codec_top_count(double ratio, size_t elems);

/*
 * Appends the payload of p, shape (dim), finite, to payload. On failure payload is unchanged:
 * the failures of fl_codec_params_check, FL_ERR_NOT_FINITE, FL_ERR_RANGE where a norm that the codec sends is
 * beyond float32, FL_ERR_NOMEM, FL_ERR_LIMIT of the buffer.
 * FL_ERR_RANGE also when a norm that the codec sends is above the largest float32.
 * Needs 8 bytes of memory a survivor while it runs; dense nothing; dense_below > 0 a copy of the largest
 * part. params->state->next, where there is one and the codec keeps a state, is what the next payload starts
 * from.
 */
FL_MUST_CHECK enum fl_status fl_codec_encode(const struct fl_kernels *kernels,
                                             const struct fl_codec_params *params, const float *p, size_t dim,
                                             struct fl_buf *payload);

/*
 * The rule for lambda (reference: defaults): 4 * rms, rounded to the nearest power of two on a logarithmic
 * scale and clamped to 2^FL_CODEC_LAMBDA_LOG2_MIN .. 2^FL_CODEC_LAMBDA_LOG2_MAX; the least of them when rms
 * is 0, negative or NaN. rms: root mean square of the first round's deltas, parameter units.
 */
float fl_lambda_from_rms(double rms);

/* The nearest power of two to lambda in the same sense and range, for a lambda given by a person. */
float fl_lambda_nearest_power(double lambda);

/* log2 of a power of two; what params.step_log2 is for step = lambda is this, for 2 lambda (the default)
 * one more. FL_ERR_RANGE when lambda is not a positive normal power of two. */
FL_MUST_CHECK enum fl_status fl_lambda_log2(float lambda, int *ret_log2);

#endif
