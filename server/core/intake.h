/*
 * Judging an update exactly once (rules R1 to R4, R6, R9): from the bytes of a request to a durable verdict.
 * Not for what accepted updates turn into: see round.h and publish.h.
 */
#ifndef FL_SERVER_CORE_INTAKE_H
#define FL_SERVER_CORE_INTAKE_H

#include "server/core/state.h"

/* Largest magnitude of one value in an update, parameter units: with the bound on server_rate x rounds in
 * run_spec.c no sequence of updates can take a coordinate out of float32. */
#define FL_INTAKE_VALUE_MAX 1e30

/* Answers the request with a verdict, or 400 when the body is no update at all. A status other than FL_OK
 * makes the turn fail. */
FL_MUST_CHECK enum fl_status fl_intake_update(struct fl_server *server, struct fl_run *run,
                                              struct fl_client *client, const struct fl_request *request);

#endif
