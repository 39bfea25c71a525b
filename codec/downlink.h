/*
 * The way down: what the server publishes (rule R17) and the sparse deltas that bring a replica from one
 * version to a later one by assignment (rule R19). Not for full snapshots.
 */
#ifndef FL_CODEC_DOWNLINK_H
#define FL_CODEC_DOWNLINK_H

#include "codec/payload.h"

/*
 * Where |x[i] - x_hat[i]| >= lambda_down (parameter units, >= 0) and (float)x[i] != x_hat[i]: x_hat[i] =
 * (float)x[i], touched[i] = version. lambda_down = 0 publishes everything that differs. Shapes (dim).
 * FL_ERR_NOT_FINITE when an x[i] is not finite as float32, FL_ERR_RANGE when lambda_down is; then nothing
 * changed. ret_count: how many coordinates were set.
 */
FL_MUST_CHECK enum fl_status fl_publish_threshold(const struct fl_kernels *kernels, const double *x,
                                                  float *x_hat, uint32_t *touched, size_t dim,
                                                  double lambda_down, uint32_t version, size_t *ret_count);

/* How many i have touched[i] > have. */
size_t fl_delta_count(const uint32_t *touched, size_t dim, uint32_t have);

/* Appends the assignment payload of every i with touched[i] > have and x_hat[i]. Needs memory for the payload
 * and one range of it. Failures as fl_sparse_encode, FL_ERR_NOMEM. */
FL_MUST_CHECK enum fl_status fl_delta_encode(const uint32_t *touched, const float *x_hat, size_t dim,
                                             uint32_t have, struct fl_buf *payload);

/*
 * Appends the assignment payload of count values at strictly increasing indices < dim.
 * FL_ERR_SHAPE: dim 0, or an index out of order or range; FL_ERR_LIMIT: dim too large or buffer full;
 * FL_ERR_NOT_FINITE; FL_ERR_NOMEM. On failure payload is unchanged.
 */
FL_MUST_CHECK enum fl_status fl_sparse_encode(const uint32_t *indices, const float *values, size_t count,
                                              size_t dim, struct fl_buf *payload);

/* Checks a whole assignment payload for vectors of dim elements, as fl_payload_check(). */
FL_MUST_CHECK enum fl_status fl_sparse_check(size_t dim, struct fl_bytes bytes,
                                             struct fl_payload *ret_payload);

/* Checks, then sets x[i] = v; x, shape (dim), is unchanged on failure. */
FL_MUST_CHECK enum fl_status fl_sparse_apply(struct fl_bytes bytes, float *x, size_t dim);

#endif
