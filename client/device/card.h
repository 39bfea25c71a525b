/*
 * Which device a client computes on, and whether that device can be had and computes right. Not for a run's
 * model and data (device.h).
 */
#ifndef FL_CLIENT_DEVICE_CARD_H
#define FL_CLIENT_DEVICE_CARD_H

#include "client/device/abi.h"
#include "kernels/kernels.h"
#include "platform/error.h"

enum fl_card_kind {
    FL_CARD_AUTO, /* the first CUDA device if it can be had, else the CPU */
    FL_CARD_CPU,
    FL_CARD_CUDA,
    FL_CARD_EMU, /* the emulator of the tests */
};

/* "auto", "cpu", "cuda:N"; in builds with tests "emu" too. */
struct fl_card_choice {
    enum fl_card_kind kind;
    uint32_t index; /* of FL_CARD_CUDA */
};

/* A device that has passed fl_card_find(). */
struct fl_card {
    const struct fl_device_ops *ops;
    uint32_t index;
    struct fl_device_info info;
};

/* FL_ERR_CONFIG says what is allowed. */
FL_MUST_CHECK enum fl_status fl_card_choose(const char *text, struct fl_card_choice *ret_choice,
                                            struct fl_error *err);

/*
 * The device that choice names, not FL_CARD_CPU: plugin, driver and device are there, and what it computes is
 * what the portable kernels do (check.h). FL_ERR_NOT_FOUND: no plugin or no driver; FL_ERR_STATE: the driver
 * has no such device; FL_ERR_VERSION, FL_ERR_FORMAT: a plugin of another build, or none; FL_ERR_NOMEM;
 * FL_ERR_DIGEST: it computes something else; FL_ERR_IO: it fails.
 */
FL_MUST_CHECK enum fl_status fl_card_find(const struct fl_card_choice *choice, struct fl_card *ret_card,
                                          struct fl_error *err);

#endif
