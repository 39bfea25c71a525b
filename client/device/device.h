/*
 * One client's model and data on a device: the trainer and the engine of client/core that stand in for those
 * of the host, over the plugin's session. The same plans give the same batches, and the same updates bit for
 * bit as far as the device's matrix products and exp do (docs/gpu.md). Codecs that the device does not know
 * are the host's: then the delta comes over the bus. One device belongs to one thread at a time.
 */
#ifndef FL_CLIENT_DEVICE_DEVICE_H
#define FL_CLIENT_DEVICE_DEVICE_H

#include "base/env.h"
#include "client/core/engine.h"
#include "client/data/dataset.h"
#include "client/device/card.h"
#include "client/trainer/trainer.h"
#include "protocol/model_spec.h"

struct fl_device;

struct fl_device_options {
    struct fl_model_spec spec;      /* has passed its check */
    const struct fl_dataset *train; /* borrowed for the device's life, as the others; fits the model, as
                                       checked by fl_trainer_new_builtin() */
    const struct fl_dataset *test;  /* may be empty */
    const struct fl_env *env;       /* its clock measures the time budget */
    const struct fl_kernels *kernels;
    unsigned threads;      /* of the host, for its codecs; at least 1 */
    uint64_t memory_bytes; /* of the device to take at most; 0: what is free */
};

/* FL_ERR_NOMEM: the model does not fit (data that does not is streamed); FL_ERR_IO. Free with fl_device_free.
 */
FL_MUST_CHECK enum fl_status fl_device_new(const struct fl_card *card,
                                           const struct fl_device_options *options,
                                           struct fl_device **ret_device, struct fl_error *err);
/* NULL is accepted. */
void fl_device_free(struct fl_device *device);

/* Borrowed; fl_trainer_free() does nothing to it. Without weights of its own (NULL) it works on the engine's
 * replica, FL_ERR_STATE when the engine was told of none; other weights leave that as it is. */
struct fl_trainer *fl_device_trainer(struct fl_device *device);
struct fl_engine *fl_device_engine(struct fl_device *device);

void fl_device_use(const struct fl_device *device, struct fl_device_use *ret_use);

/* What the device said when it failed, after which it is of no more use; NULL while it works. */
const char *fl_device_failure(const struct fl_device *device);

#endif
