/*
 * The client of one run in the real world: carries out the core's effects with HTTPS, files, a trainer and
 * time, until the run ends or a signal asks to stop.
 */
#ifndef FL_CLIENT_PORT_RUNNER_H
#define FL_CLIENT_PORT_RUNNER_H

#include "base/env.h"
#include "client/port/config.h"

/*
 * Takes part in config's run, or with config->resync only takes over the server's count (rule R13);
 * fl_signals_install() has been called. FL_OK when the run has ended and its last version is stored;
 * FL_ERR_STOPPED after a signal; else what stopped the client, with its sentence in err: FL_ERR_LOCKED,
 * FL_ERR_CORRUPT, FL_ERR_STATE (out of step with the server), FL_ERR_AUTH, FL_ERR_CONFIG, FL_ERR_IO,
 * FL_ERR_NOT_FINITE, FL_ERR_RANGE, FL_ERR_SHAPE, FL_ERR_VERSION, FL_ERR_NOMEM, or a failure of
 * fl_data_load(). The state folder is whole in every case.
 */
FL_MUST_CHECK enum fl_status fl_runner_run(struct fl_client_config *config, const struct fl_env *env,
                                           struct fl_error *err);

#endif
