/*
 * Every cap on what a peer can make us allocate or loop over, in one place. Units are in the names.
 */
#ifndef FL_PROTOCOL_LIMITS_H
#define FL_PROTOCOL_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#define FL_LIMIT_NAME_BYTES        64  /* run and client names, without the final zero */
#define FL_LIMIT_TEXT_BYTES        512 /* any other text in a message */
#define FL_LIMIT_DEPTH             8   /* nesting of msgpack containers */
#define FL_LIMIT_FIELDS            64  /* entries of one map in a message */
#define FL_LIMIT_HIDDEN_LAYERS     8
#define FL_LIMIT_TENSORS           (2 * (FL_LIMIT_HIDDEN_LAYERS + 1)) /* a weight and a bias for each layer */
#define FL_LIMIT_RUNS              256
#define FL_LIMIT_MODEL_ELEMS       ((uint64_t)1 << 28) /* parameters of one model: 1 GiB of float32 */
#define FL_LIMIT_UPDATE_HEAD_BYTES 1024                /* an update message without its payload */
#define FL_LIMIT_SMALL_BODY_BYTES  ((size_t)16 << 10)  /* enrolment, work, verdict, run answers and errors */
#define FL_LIMIT_RUN_LIST_BYTES    ((size_t)128 << 10) /* answer of GET /v1/runs */
#define FL_LIMIT_DURATION_MS       ((uint64_t)1 << 48) /* any duration in a message */
#define FL_LIMIT_TOKEN_BYTES       128
#define FL_LIMIT_CSR_BYTES         4096
#define FL_LIMIT_CHAIN_BYTES       ((size_t)12 << 10) /* PEM certificate chain */
#define FL_LIMIT_LOCAL_STEPS       1000000
#define FL_LIMIT_BATCH             65536
#define FL_LIMIT_WEIGHT            ((uint64_t)1 << 24) /* aggregation weight of one update: its examples */
#define FL_LIMIT_COHORT            ((uint64_t)1 << 16) /* updates in one round */
#define FL_LIMIT_LEVEL             ((int64_t)1 << 20)  /* magnitude of a grid level (rule R8) */

/* Rule R8: a round's exact integer sum cannot overflow int64. Updates carried over from earlier rounds count
 * into the cohort. */
_Static_assert(FL_LIMIT_COHORT <= INT64_MAX / FL_LIMIT_LEVEL / (int64_t)FL_LIMIT_WEIGHT,
               "the sum fits int64");

/* Largest body of an update or model of d parameters: dense float32 and room for headers and directories. */
static inline size_t fl_limit_model_body_bytes(uint64_t elems)
{
    return (size_t)elems * 5 + 65536;
}

#endif
