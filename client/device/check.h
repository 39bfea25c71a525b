/*
 * Whether a device computes what it must, shown at start on a small model before anything depends on it:
 * updates, assignments and residuals bit for bit as the portable kernels, training within a tolerance of the
 * host's, since its matrix products are a library's.
 */
#ifndef FL_CLIENT_DEVICE_CHECK_H
#define FL_CLIENT_DEVICE_CHECK_H

#include "client/device/card.h"

/* FL_ERR_DIGEST says what differs; else the failures of fl_device_new(). */
FL_MUST_CHECK enum fl_status fl_card_check(const struct fl_card *card, struct fl_error *err);

#endif
