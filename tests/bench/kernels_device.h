/* The kernels of a device: whether they give the host's bits on vectors of full size, and how their speed
 * compares with a plain copy on the same device. */
#ifndef FL_TESTS_BENCH_KERNELS_DEVICE_H
#define FL_TESTS_BENCH_KERNELS_DEVICE_H

#include "measure.h"

/* On the device that options->device names. FL_EXIT_OK; FL_EXIT_FAILED when bits differ or the device fails;
 * FL_EXIT_CONFIG with "skipped: no device: ..." when there is none. */
int kernels_device_run(const struct fl_command_call *call, const struct measure_options *options);

#endif
