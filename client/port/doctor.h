/*
 * `fl-client doctor`: looks at everything that `fl-client run` needs, from the state folder to the server,
 * and says what is wrong and what to do. Changes nothing on either side: no renewal, no state, no request
 * that a running client could notice. Works before enrolment and while a client runs.
 */
#ifndef FL_CLIENT_PORT_DOCTOR_H
#define FL_CLIENT_PORT_DOCTOR_H

#include "client/port/config.h"
#include "platform/findings.h"

/* Adds to findings. config_path: NULL: none was given, and settings that are missing are passed over. config:
 * fl_config_data() cuts its paths. */
void fl_doctor_run(struct fl_client_config *config, const char *config_path, const struct fl_env *env,
                   struct fl_findings *findings);

#endif
