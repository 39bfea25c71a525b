/*
 * What an operator asks for when creating a run: everything that is fixed for the run's whole life. Parsed
 * from a file by server/port; checked here.
 */
#ifndef FL_SERVER_CORE_RUN_SPEC_H
#define FL_SERVER_CORE_RUN_SPEC_H

#include <stdint.h>

#include "base/status.h"
#include "protocol/messages.h"

#define FL_RUN_MAX_LATE 64 /* largest max_late */

struct fl_run_spec {
    char name[FL_LIMIT_NAME_BYTES + 1];
    struct fl_model_spec model;
    struct fl_codec_spec codec; /* lambda 0: measured in calibration round 0 (4 x pooled RMS, power of two) */
    int32_t step_shift;    /* int-threshold: step = lambda * 2^step_shift; 1 (default), 0 never, -1, -2 */
    uint32_t dense_below;  /* 0: the model in one payload; else each tensor in its own, smaller ones dense */
    double downlink_ratio; /* lambda_down / lambda, default 0.25; for codecs that have a lambda */
    double
        downlink_lambda; /* for codecs without lambda, parameter units; 0: every changed value is published */
    struct fl_train_plan plan; /* seed: the run's seed; the plan in a work answer gets one derived from
                                  (seed, round, name of the client) by fl_mix64 */
    double server_rate;        /* eta_s: x -= server_rate * weighted mean; default 1 */
    uint64_t rounds;           /* training rounds until the run ends */
    uint64_t target;           /* updates that close a round */
    uint64_t minimum;          /* updates without which the deadline only extends the round */
    uint64_t over_select;      /* clients drawn beyond target */
    uint64_t gather_ms;        /* how long to wait for clients to ask for work before the cohort is drawn */
    uint64_t deadline_ms;      /* of a round, from the drawing of its cohort */
    uint64_t max_late;         /* rounds an update may be late and still count (rule R6) */
    double norm_limit;         /* largest l2 norm of one decoded update, parameter units; 0: no limit */
    int keep_updates; /* 1: accepted payloads stay in the store after publishing, as proof of what was sent */
};

/* FL_OK, or FL_ERR_RANGE with a sentence naming the field in ret_reason[FL_LIMIT_TEXT_BYTES + 1]. Proves rule
 * R8's bound: (target + over_select) * (max_late + 1) <= FL_LIMIT_COHORT. */
FL_MUST_CHECK enum fl_status fl_run_spec_check(const struct fl_run_spec *spec, char *ret_reason);

#endif
