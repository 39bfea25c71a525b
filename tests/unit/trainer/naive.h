/*
 * The models again, in plain loops and double precision: what the trainer is compared with. Reads the tensors
 * one after the other as protocol/model_spec.h lays them out.
 */
#ifndef FL_TESTS_UNIT_TRAINER_NAIVE_H
#define FL_TESTS_UNIT_TRAINER_NAIVE_H

#include "client/data/dataset.h"
#include "protocol/model_spec.h"

/* Mean loss over the given rows (shape (count)), nats. weights: shape (d). */
double naive_loss(const struct fl_model_spec *spec, const double *weights, const struct fl_dataset *data,
                  const uint32_t *rows, size_t count);

/* Its gradient by back-propagation, shape (d). */
void naive_gradient(const struct fl_model_spec *spec, const double *weights, const struct fl_dataset *data,
                    const uint32_t *rows, size_t count, double *ret_gradient);

/* Random data of a spec's shape: x uniform in (-1, 1), labels uniform. Free with fl_dataset_done. */
void naive_data(const struct fl_model_spec *spec, size_t rows, uint64_t seed, struct fl_dataset *ret);

#endif
