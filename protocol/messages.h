/*
 * What travels between server and clients: one struct for each message, with its msgpack encoder and decoder.
 * The wire form of every field is in protocol/README.md. Encoders append to a buffer, which a failure leaves
 * as it was, and refuse (with the codes below) what the decoder would refuse; decoders accept any bytes,
 * never allocate, never read outside their input, ignore unknown keys, and write *ret only on success. Views
 * in a decoded struct borrow from the input. Not for payloads inside updates and models: see codec/.
 *
 * Decoders return FL_ERR_TRUNCATED, FL_ERR_FORMAT (wrong type, missing or repeated field), FL_ERR_LIMIT (a
 * count or text above protocol/limits.h, nesting too deep), FL_ERR_RANGE (a value outside its range),
 * FL_ERR_SHAPE (a snapshot whose size is not that of its elems), FL_ERR_NOT_FINITE, or FL_ERR_VERSION (the
 * major version in "v" is not FL_PROTOCOL_MAJOR; checked before anything else).
 */
#ifndef FL_PROTOCOL_MESSAGES_H
#define FL_PROTOCOL_MESSAGES_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/env.h"
#include "protocol/digest.h"
#include "protocol/limits.h"
#include "protocol/model_spec.h"

#define FL_PROTOCOL_MAJOR 1

/* A published model (rule R13): which life of the run, which number, which bits. */
struct fl_version {
    uint64_t epoch;
    uint64_t number; /* 0 is x_0 */
    struct fl_model_digest digest;
};

/* Text form used in `have=`: EPOCH.NUMBER.DIGEST, digest in 32 hexadecimal digits. */
#define FL_VERSION_TEXT_BYTES 80
void fl_version_to_text(const struct fl_version *version, char text[FL_VERSION_TEXT_BYTES]);
FL_MUST_CHECK enum fl_status fl_version_from_text(const char *text, struct fl_version *ret_version);
int fl_version_equal(const struct fl_version *a, const struct fl_version *b);

/* The same bits, whichever epoch they were published in. */
int fl_version_same_model(const struct fl_version *a, const struct fl_version *b);

/* In place of the codec's name: each tensor has a payload of its own. A name, so that a client that knows of
 * no parts refuses the codec instead of passing over the field. */
#define FL_CODEC_SPEC_PARTS "parts"

/* How a client compresses: the same numbers for every client of a run. */
struct fl_codec_spec {
    char name[FL_LIMIT_NAME_BYTES + 1]; /* of codec/'s table, e.g. "int-threshold", or FL_CODEC_SPEC_PARTS */
    char part[FL_LIMIT_NAME_BYTES +
              1];         /* FL_CODEC_SPEC_PARTS: of codec/'s table, for each tensor by itself; "" */
    uint32_t dense_below; /* FL_CODEC_SPEC_PARTS: tensors with fewer elements are dense, >= 1; else 0 */
    float lambda;         /* threshold in parameter units; 0: not set yet, see FL_WORK_CALIBRATE */
    int32_t step_log2;    /* grid step 2^step_log2, parameter units; for grid codecs, else 0 */
    float ratio;          /* fraction kept; for Top-k, else 0 */
    uint32_t bits;        /* of a quantised value; for quantisers with levels, else 0 */
    uint32_t bucket;      /* values that share a scale; for quantisers, else 0 */
    uint32_t rank;        /* of a tensor's approximation; for low rank, else 0 */
};

/* Name in codec/'s table, in parts or not. */
static inline const char *fl_codec_spec_name(const struct fl_codec_spec *spec)
{
    return spec->part[0] ? spec->part : spec->name;
}

/* What a client does locally. Steps count mini-batches; momentum starts at 0 in every round. */
struct fl_train_plan {
    uint32_t steps;  /* local steps; 0: epochs counts instead */
    uint32_t epochs; /* passes over the local data; 0: steps counts */
    uint32_t batch;  /* examples of one mini-batch */
    float learning_rate;
    float momentum;     /* 0 to below 1 */
    float weight_decay; /* L2 coefficient: adds weight_decay * x to the gradient */
    uint64_t seed;      /* of the order of the mini-batches */
};

/* POST /v1/enroll */
struct fl_enroll_request {
    char token[FL_LIMIT_TOKEN_BYTES + 1]; /* ID.SECRET */
    char name[FL_LIMIT_NAME_BYTES + 1];   /* for people; need not be unique */
    struct fl_bytes csr;                  /* PKCS#10, DER */
};

/* also of POST /v1/renew */
struct fl_enroll_answer {
    char client[FL_LIMIT_NAME_BYTES + 1]; /* client id: 32 hexadecimal digits */
    struct fl_bytes chain;                /* PEM: the client's certificate, then the issuing authority's */
};

/* GET /v1/runs and GET /v1/runs/{run} */
enum fl_run_state { FL_RUN_ACTIVE, FL_RUN_ENDED };

struct fl_run_info {
    char name[FL_LIMIT_NAME_BYTES + 1];
    uint64_t epoch;  /* which life of the run (rule R13) */
    uint64_t origin; /* its first epoch, which names the run itself; 0: the same as epoch */
    enum fl_run_state state;
    uint64_t round;            /* the round now open; rounds count from 1, 0 is calibration */
    uint64_t rounds;           /* how many the run will have */
    struct fl_version version; /* the newest */
    struct fl_model_spec model;
    struct fl_codec_spec codec;
};

/* The run's first epoch. */
static inline uint64_t fl_run_info_origin(const struct fl_run_info *info)
{
    return info->origin ? info->origin : info->epoch;
}

/* GET /v1/runs/{run}/work */
enum fl_work_kind {
    FL_WORK_TRAIN,     /* train, compress, send */
    FL_WORK_CALIBRATE, /* train, send only the sum of squares of the delta; nothing enters the residual */
};

struct fl_work {
    enum fl_work_kind kind;
    uint64_t round;
    struct fl_version base; /* train from exactly this model */
    uint64_t seq;           /* the sequence number the server expects next from this client */
    uint64_t deadline_ms;   /* from now */
    struct fl_train_plan plan;
    struct fl_codec_spec codec;
};

/* Result of evaluating the base model on a client's own held-out data. */
struct fl_metrics {
    uint64_t examples; /* 0: not evaluated */
    uint64_t correct;
    double loss_sum; /* summed over examples, nats */
};

/* PUT /v1/runs/{run}/updates/{seq}. The digest of an update is SHA-256 of these encoded bytes. */
struct fl_update {
    enum fl_work_kind kind;
    uint64_t round;
    struct fl_version base;
    uint64_t weight;           /* local training examples, 1 to FL_LIMIT_WEIGHT */
    uint32_t steps;            /* local steps taken */
    double train_loss;         /* mean over the steps, nats */
    double delta_squares;      /* sum of squares of the delta; travels with FL_WORK_CALIBRATE only, else 0 */
    float residual_norm;       /* l2 norm of the residual that stays, parameter units */
    uint64_t dropped;          /* updates of this run whose sent part was lost so far (rule R6) */
    struct fl_metrics metrics; /* of the base version */
    struct fl_bytes payload;   /* codec payload; empty for FL_WORK_CALIBRATE */
};

/* Answer to an update (rules R3, R4): terminal, durable before it is sent. */
enum fl_verdict_kind {
    FL_VERDICT_ACCEPTED, /* 201, and 200 when repeated */
    FL_VERDICT_LATE,     /* 409 */
    FL_VERDICT_ENDED,    /* 410 */
    FL_VERDICT_INVALID,  /* 422 */
    FL_VERDICT_CONFLICT, /* 412: fork or gap; not terminal for the seq: stop and resynchronise */
};

struct fl_verdict {
    enum fl_verdict_kind kind;
    uint64_t epoch;
    uint64_t seq;
    uint8_t digest[FL_DIGEST_SIZE];       /* of the update that was judged */
    uint64_t round;                       /* the round it was judged for */
    uint64_t expected_seq;                /* what the server would take next */
    uint8_t receipt[FL_DIGEST_SIZE];      /* MAC by the server's key; zero for FL_VERDICT_CONFLICT */
    char reason[FL_LIMIT_TEXT_BYTES + 1]; /* empty when accepted */
    uint64_t total; /* updates of this client accepted so far in this run, this one included; 0: conflict */
};

/* HTTP status of a verdict answered for the first time: 201, 409, 410, 422 or 412. */
int fl_verdict_http_status(enum fl_verdict_kind kind);
const char *
fl_verdict_name(enum fl_verdict_kind kind); /* "accepted", "late", "ended", "invalid", "conflict" */

/* PUT /v1/runs/{run}/receipt: the newest terminal verdict that a client has, shown back (rules R4, R13). */
struct fl_proof {
    enum fl_verdict_kind kind; /* terminal */
    uint64_t epoch, seq, round, total;
    uint64_t weight; /* of the update */
    uint8_t digest[FL_DIGEST_SIZE];
    uint8_t receipt[FL_DIGEST_SIZE];
};

/* What the server makes of it. */
enum fl_proof_state {
    FL_PROOF_UNPROVEN, /* none was shown, or it is no receipt of this server for this client and run */
    FL_PROOF_KNOWN,    /* the update it is about is in the server's books */
    FL_PROOF_LOST,     /* it is not: the server was restored since, and has counted what it lost */
};

struct fl_standing {
    enum fl_proof_state state;
    uint64_t epoch;        /* of the run now */
    uint64_t expected_seq; /* what the server would take next from this client */
    uint64_t lost;         /* accepted updates of this client that the server has lost, all in all */
};

/* GET /v1/runs/{run}/model */
enum fl_model_form {
    FL_FORM_SNAPSHOT, /* data: d float32, little-endian */
    FL_FORM_DELTA,    /* data: sparse assignments (codec/sparse.h) from version `from` */
};

struct fl_model_message {
    enum fl_model_form form;
    struct fl_version version; /* what the receiver holds after applying it */
    /* FL_FORM_DELTA: may start from any version number in [from.number, version.number) of the same epoch.
     * Its digest does not travel (zero when decoded); all zero for FL_FORM_SNAPSHOT. */
    struct fl_version from;
    uint64_t elems; /* d */
    struct fl_bytes data;
};

#define FL_MESSAGE_CODEC(noun)                                                                               \
    FL_MUST_CHECK enum fl_status fl_##noun##_encode(const struct fl_##noun *message, struct fl_buf *buf);    \
    FL_MUST_CHECK enum fl_status fl_##noun##_decode(struct fl_bytes bytes, struct fl_##noun *ret_message);

FL_MESSAGE_CODEC(enroll_request)
FL_MESSAGE_CODEC(enroll_answer)
FL_MESSAGE_CODEC(run_info)
FL_MESSAGE_CODEC(work)
FL_MESSAGE_CODEC(update)
FL_MESSAGE_CODEC(verdict)
FL_MESSAGE_CODEC(proof)
FL_MESSAGE_CODEC(standing)
/* Without data (NULL and their size) everything is written but their bytes, which would be the last. */
FL_MESSAGE_CODEC(model_message)

/* The list answered by GET /v1/runs: at most FL_LIMIT_RUNS entries, and FL_ERR_LIMIT when it has more than
 * capacity. runs[] is unspecified after a failure. */
FL_MUST_CHECK enum fl_status fl_run_list_encode(const struct fl_run_info *runs, size_t count,
                                                struct fl_buf *buf);
FL_MUST_CHECK enum fl_status fl_run_list_decode(struct fl_bytes bytes, struct fl_run_info *runs,
                                                size_t capacity, size_t *ret_count);

#endif
