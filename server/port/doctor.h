/*
 * `fl-server doctor`: looks at everything that `fl-server serve` needs and says what is wrong and what to do.
 * Changes nothing; works while a server runs on the folder and while none does.
 */
#ifndef FL_SERVER_PORT_DOCTOR_H
#define FL_SERVER_PORT_DOCTOR_H

#include "platform/findings.h"

/* Adds to findings. The configuration is config_path, or where that is "" the server.yaml in dir. */
void fl_server_doctor_run(const char *dir, const char *config_path, struct fl_findings *findings);

#endif
