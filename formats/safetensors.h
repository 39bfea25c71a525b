/*
 * Reading a model from a safetensors file (8-byte little-endian header length, JSON header, raw tensors), as
 * the server exports it. F32 only, and exactly the tensors of the model. Not for writing.
 * Source: the format section of the safetensors README (Hugging Face).
 */
#ifndef FL_FORMATS_SAFETENSORS_H
#define FL_FORMATS_SAFETENSORS_H

#include "base/bytes.h"
#include "base/status.h"
#include "platform/error.h"
#include "protocol/model_spec.h"

/*
 * Reads the weights of spec (which has passed its check). FL_ERR_TRUNCATED, FL_ERR_FORMAT (header is not what
 * the format says, tensors overlap or leave holes), FL_ERR_SHAPE (a tensor is missing, unknown or shaped
 * otherwise), FL_ERR_NOT_FINITE, FL_ERR_NOMEM. name opens the error. ret_weights: shape (d), written only on
 * success.
 */
FL_MUST_CHECK enum fl_status fl_safetensors_parse(const char *name, struct fl_bytes bytes,
                                                  const struct fl_model_spec *spec, float *ret_weights,
                                                  struct fl_error *err);

/* The same from a file; also FL_ERR_NOT_FOUND, FL_ERR_IO, and FL_ERR_LIMIT when it is larger than the model
 * and a header of 1 MiB can be. */
FL_MUST_CHECK enum fl_status fl_safetensors_read(const char *path, const struct fl_model_spec *spec,
                                                 float *ret_weights, struct fl_error *err);

#endif
