/*
 * A published model as a file for other programs: safetensors, or one flat NumPy vector. Written atomically.
 */
#ifndef FL_SERVER_PORT_EXPORT_H
#define FL_SERVER_PORT_EXPORT_H

#include "platform/error.h"
#include "protocol/messages.h"

/*
 * The end of path decides: ".safetensors" (named tensors, F32, metadata: run, epoch, version, digest) or
 * ".npy" (format 1.0, shape (d,), float32). message: a snapshot of a run of this model. FL_ERR_USAGE: another
 * ending; FL_ERR_SHAPE: the snapshot is not of this model.
 */
FL_MUST_CHECK enum fl_status fl_export(const char *path, const char *run, const struct fl_model_spec *model,
                                       const struct fl_model_message *message, struct fl_error *err);

#endif
