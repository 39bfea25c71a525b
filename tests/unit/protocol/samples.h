/*
 * Messages with every field at an ordinary value or at its extreme, for the tests of the protocol.
 */
#ifndef FL_TESTS_PROTOCOL_SAMPLES_H
#define FL_TESTS_PROTOCOL_SAMPLES_H

#include <float.h>
#include <stdint.h>
#include <string.h>

#include "protocol/messages.h"

static const uint8_t sample_bytes[64] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static inline struct fl_version sample_version(int extreme)
{
    struct fl_version version = {1, 17, {{0xd1, 0x9e, 0x57}}};
    if (extreme) {
        version.epoch = version.number = UINT64_MAX;
        memset(version.digest.bytes, 0xff, sizeof version.digest.bytes);
    }
    return version;
}

static inline struct fl_codec_spec sample_codec(int extreme)
{
    struct fl_codec_spec codec = {.name = "int-threshold", .lambda = 0x1p-7f, .step_log2 = -6};
    if (extreme) {
        codec.lambda = FLT_MAX;
        codec.step_log2 = -200;
        codec.ratio = 1;
        codec.bits = 32;
        codec.bucket = codec.rank = codec.dense_below = UINT32_MAX;
        strcpy(codec.name, FL_CODEC_SPEC_PARTS);
        memset(codec.part, 'n', FL_LIMIT_NAME_BYTES);
    }
    return codec;
}

static inline struct fl_enroll_request sample_enroll_request(int extreme)
{
    struct fl_enroll_request request = {.token = "id.secret", .name = "ward-3", .csr = {sample_bytes, 16}};
    if (extreme) {
        memset(request.token, 't', FL_LIMIT_TOKEN_BYTES);
        memset(request.name, 'n', FL_LIMIT_NAME_BYTES);
    }
    return request;
}

static inline struct fl_enroll_answer sample_enroll_answer(int extreme)
{
    struct fl_enroll_answer answer = {.client = "00112233445566778899aabbccddeeff",
                                      .chain = {sample_bytes, 64}};
    if (extreme)
        memset(answer.client, 'f', FL_LIMIT_NAME_BYTES);
    return answer;
}

static inline struct fl_run_info sample_run_info(int extreme)
{
    struct fl_run_info info = {
        .name = "digits",
        .epoch = 1,
        .state = FL_RUN_ACTIVE,
        .round = 18,
        .rounds = 60,
        .version = sample_version(extreme),
        .model =
            {.kind = FL_MODEL_MLP, .inputs = 64, .outputs = 10, .hidden_count = 1, .hidden = {64}, .seed = 7},
        .codec = sample_codec(extreme)};
    if (extreme) {
        memset(info.name, 'r', FL_LIMIT_NAME_BYTES);
        info.epoch = info.origin = info.round = info.rounds = info.model.seed = UINT64_MAX;
        info.state = FL_RUN_ENDED;
        info.model.hidden_count = FL_LIMIT_HIDDEN_LAYERS;
        for (int i = 0; i < FL_LIMIT_HIDDEN_LAYERS; i++)
            info.model.hidden[i] = 5000;
    }
    return info;
}

static inline struct fl_work sample_work(int extreme)
{
    struct fl_work work = {.round = 18,
                           .base = sample_version(extreme),
                           .seq = 18,
                           .deadline_ms = 60000,
                           .plan = {.steps = 20,
                                    .batch = 32,
                                    .learning_rate = 0.1f,
                                    .momentum = 0.9f,
                                    .seed = UINT64_C(0x0123456789abcdef)},
                           .codec = sample_codec(extreme)};
    if (extreme) {
        work.kind = FL_WORK_CALIBRATE;
        work.round = work.seq = UINT64_MAX;
        work.deadline_ms = FL_LIMIT_DURATION_MS;
        work.plan = (struct fl_train_plan){FL_LIMIT_LOCAL_STEPS,
                                           FL_LIMIT_LOCAL_STEPS,
                                           FL_LIMIT_BATCH,
                                           FLT_MAX,
                                           0x1.fffffep-1f,
                                           FLT_MAX,
                                           UINT64_MAX};
    }
    return work;
}

static inline struct fl_update sample_update(int extreme)
{
    struct fl_update update = {.round = 18,
                               .base = sample_version(extreme),
                               .weight = 180,
                               .steps = 20,
                               .train_loss = 0.1,
                               .residual_norm = 0.25f,
                               .metrics = {45, 41, 9.7},
                               .payload = {sample_bytes, 16}};
    if (extreme) {
        update.round = update.dropped = UINT64_MAX;
        update.weight = FL_LIMIT_WEIGHT;
        update.steps = FL_LIMIT_LOCAL_STEPS;
        update.train_loss = DBL_MAX;
        update.residual_norm = FLT_MAX;
        update.metrics = (struct fl_metrics){UINT64_MAX, UINT64_MAX, DBL_MIN};
        update.payload.size = 64;
    }
    return update;
}

/* The answer to a calibration assignment. */
static inline struct fl_update sample_calibration(int extreme)
{
    struct fl_update update = sample_update(extreme);
    update.kind = FL_WORK_CALIBRATE;
    update.delta_squares = extreme ? DBL_MAX : 0.3;
    update.payload = (struct fl_bytes){NULL, 0};
    return update;
}

static inline struct fl_verdict sample_verdict(int extreme)
{
    struct fl_verdict verdict = {.epoch = 1, .seq = 18, .round = 18, .expected_seq = 19, .total = 16};
    memcpy(verdict.digest, sample_bytes, sizeof verdict.digest);
    memset(verdict.receipt, 0xa5, sizeof verdict.receipt);
    if (extreme) {
        verdict = (struct fl_verdict){FL_VERDICT_CONFLICT, .epoch = UINT64_MAX,        .seq = UINT64_MAX,
                                      .round = UINT64_MAX, .expected_seq = UINT64_MAX, .total = UINT64_MAX};
        memset(verdict.reason, 'x', FL_LIMIT_TEXT_BYTES);
    }
    return verdict;
}

static inline struct fl_proof sample_proof(int extreme)
{
    struct fl_proof proof = {.epoch = 1, .seq = 18, .round = 18, .total = 16, .weight = 180};
    memcpy(proof.digest, sample_bytes, sizeof proof.digest);
    memset(proof.receipt, 0xa5, sizeof proof.receipt);
    if (extreme) {
        proof.kind = FL_VERDICT_INVALID;
        proof.epoch = proof.seq = proof.round = proof.total = UINT64_MAX;
        proof.weight = FL_LIMIT_WEIGHT;
    }
    return proof;
}

static inline struct fl_standing sample_standing(int extreme)
{
    if (extreme)
        return (struct fl_standing){FL_PROOF_LOST, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    return (struct fl_standing){.state = FL_PROOF_KNOWN, .epoch = 1, .expected_seq = 19};
}

static inline struct fl_model_message sample_model_message(int extreme)
{
    if (extreme)
        return (struct fl_model_message){.form = FL_FORM_DELTA,
                                         .version = sample_version(1),
                                         .from = {.epoch = UINT64_MAX, .number = UINT64_MAX - 1},
                                         .elems = FL_LIMIT_MODEL_ELEMS,
                                         .data = {sample_bytes, 64}};
    return (struct fl_model_message){
        .form = FL_FORM_SNAPSHOT, .version = sample_version(0), .elems = 4, .data = {sample_bytes, 16}};
}

#endif
