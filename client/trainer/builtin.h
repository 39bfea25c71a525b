/*
 * The built-in trainer: logistic regression, softmax regression and MLPs on the CPU by mini-batch SGD.
 *
 * Each step takes the next mini-batch of a seeded shuffle of the rows (sampling without replacement; shuffled
 * again after each pass; the last batch of a pass is smaller when the rows do not divide, and a batch larger
 * than the data is the whole data), and then
 *     g = gradient of the mean loss + weight_decay * w    (all parameters, biases too)
 *     v = momentum * v + g ;  w = w - learning_rate * v   (v starts at 0 in every call)
 * An epoch is one pass: ceil(rows / batch) steps. The same input gives the same bits on the same machine.
 * Memory while training, beside start and end: 2 d float32, the activations of one batch, 4 bytes a row.
 */
#ifndef FL_CLIENT_TRAINER_BUILTIN_H
#define FL_CLIENT_TRAINER_BUILTIN_H

#include "base/env.h"
#include "client/data/dataset.h"
#include "client/trainer/trainer.h"
#include "platform/error.h"
#include "protocol/model_spec.h"

/*
 * spec   must have passed its check; copied
 * train  borrowed until fl_trainer_free, at least one row
 * test   borrowed likewise; may be NULL or empty: nothing to evaluate on
 * env    borrowed likewise, its clock measures the time budget; may be NULL: budgets are not kept
 *
 * FL_ERR_SHAPE when the data's features differ from the model's inputs, FL_ERR_RANGE when train is empty or a
 * label is not among the model's outputs, FL_ERR_NOMEM. Free with fl_trainer_free.
 */
FL_MUST_CHECK enum fl_status fl_trainer_new_builtin(const struct fl_model_spec *spec,
                                                    const struct fl_dataset *train,
                                                    const struct fl_dataset *test, const struct fl_env *env,
                                                    struct fl_trainer **ret_trainer, struct fl_error *err);

/* The library that multiplies matrices, and for which processor, as it names itself: "OpenBLAS 0.3.29 ...".
 */
const char *fl_trainer_library(void);

#endif
