/* A model with data, the host's trainer, and a device in the emulator: what the tests of client/device share.
 */
#ifndef FL_TESTS_UNIT_DEVICE_BENCH_H
#define FL_TESTS_UNIT_DEVICE_BENCH_H

#include "client/device/device.h"
#include "kernels/emu/emu.h"

/* Of the plugin's objects, which are linked in. */
const struct fl_device_ops *fl_device_plugin(void);

#define BENCH_ROWS      70
#define BENCH_TEST_ROWS 300 /* more than are judged at a time */

struct bench {
    struct fl_device_options options;
    struct fl_dataset train, test;
    struct fl_trainer *host;
    struct fl_device *device;
    size_t elems;
    float *start, *residual, *end, *other; /* shape (elems) */
};

extern const struct fl_model_spec bench_logistic, bench_softmax, bench_mlp, bench_deep;
extern const struct fl_train_plan bench_plan;

/* memory_bytes: of the device at most; 0: what is free. */
void bench_init(struct bench *bench, const struct fl_model_spec *spec, uint64_t memory_bytes);
void bench_done(struct bench *bench);

/* Bytes of the device that the model alone takes. */
uint64_t bench_model_bytes(const struct fl_model_spec *spec);

#endif
