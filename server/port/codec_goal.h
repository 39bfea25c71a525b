/*
 * What a person asks of a codec (coordinates, an accuracy, bytes), turned into its lambda or ratio once, when
 * the run is made. Not for the lambda that a calibration round measures (server/core/round.c).
 */
#ifndef FL_SERVER_PORT_CODEC_GOAL_H
#define FL_SERVER_PORT_CODEC_GOAL_H

#include <stdint.h>

#include "platform/error.h"
#include "server/core/run_spec.h"

/* 0: not asked for. */
struct fl_codec_goal {
    double count;      /* lambda_count: coordinates of a message, 1 to d; fl_lambda_delta_from_count() */
    double accuracy;   /* lambda_accuracy: fl_lambda_from_accuracy() on the change of the model */
    double smoothness; /* lambda_smoothness: L of its safe form; 0: the relaxed form */
    uint64_t bytes;    /* bytes: of a payload with about the largest magnitudes; fl_lambda_budget_count() */
};

/*
 * Sets spec->codec.lambda (to the nearest power of two where the codec is on a grid) or spec->codec.ratio;
 * the model, the codec's name and the plan must be filled in. lambda_given, ratio_given: whether the person
 * set these too. FL_ERR_CONFIG, naming the file, the keys and what to do, when goals contradict each other,
 * the codec or the plan.
 */
FL_MUST_CHECK enum fl_status fl_codec_goal_apply(const struct fl_codec_goal *goal, const char *file,
                                                 int lambda_given, int ratio_given, struct fl_run_spec *spec,
                                                 struct fl_error *err);

#endif
