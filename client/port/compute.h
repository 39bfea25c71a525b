/*
 * What a run computes on, by the setting `device`: the CPU, or a device with the engine and the trainer that
 * stand for it. `auto` falls back to the CPU and says why in the log; a device that was asked for by name and
 * cannot be had is an error. Not for computing (client/device).
 */
#ifndef FL_CLIENT_PORT_COMPUTE_H
#define FL_CLIENT_PORT_COMPUTE_H

#include "client/core/client.h"
#include "client/data/load.h"
#include "client/device/device.h"
#include "client/port/config.h"

/* Caller storage; all zero is the CPU. */
struct fl_compute {
    const struct fl_client_config *config;
    struct fl_card_choice choice;
    int has_card;
    struct fl_card card;
    struct fl_device *device; /* NULL: the CPU; owned */
};

/* At start: finds the device. FL_ERR_CONFIG says what cannot be had, why, and what to do. */
FL_MUST_CHECK enum fl_status fl_compute_init(struct fl_compute *compute,
                                             const struct fl_client_config *config, struct fl_error *err);

/* When model and data are known and fit each other: the client's rounds are the device's from now on, if
 * there is one and they fit. FL_ERR_CONFIG likewise. data, env: borrowed until fl_compute_done(). */
FL_MUST_CHECK enum fl_status fl_compute_begin(struct fl_compute *compute, const struct fl_model_spec *spec,
                                              const struct fl_data *data, const struct fl_env *env,
                                              struct fl_client *client, struct fl_error *err);

/* The run has ended with an error that is the device's: with `auto` 1, said in the log, and what follows is
 * on the CPU (go on from the state folder); else 0, and the sentence names the device. */
int fl_compute_falls_back(struct fl_compute *compute, struct fl_error *err);

/* Gives the device back. */
void fl_compute_done(struct fl_compute *compute);

#endif
