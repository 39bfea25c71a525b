/*
 * A whole federated run in one process: the shipped cores of server and clients, the shipped store and
 * trainers, on a simulated clock and an in-memory network that loses messages, with processes that crash.
 * Everything follows from the seed. Not for what needs real sockets, disks or kills: tests/integration and
 * tests/fault.
 */
#ifndef FL_TESTS_HARNESS_SIMULATION_H
#define FL_TESTS_HARNESS_SIMULATION_H

#include "protocol/messages.h"
#include "server/core/run_spec.h"

struct fl_simulation_config {
    uint64_t seed; /* of network, crashes, entropy; data and model have the spec's own */
    uint32_t clients;
    struct fl_run_spec spec;
    double loss;         /* probability that a request, and that an answer, is lost */
    double client_crash; /* probability that a client crashes at any one of its events */
    double server_crash; /* probability that the server crashes after a request, before or after its commit */
    uint64_t time_limit_ms; /* simulated; a run that has not ended by then fails */
};

struct fl_simulation_result {
    struct fl_version version; /* the last */
    uint64_t clients_done;     /* clients that ended with the last version in their hands */
    uint64_t accepted, late;   /* updates that the server accepted, and those it refused as late */
    uint64_t client_crashes, server_crashes, messages_lost;
    uint64_t ended_ms; /* simulated */
    double accuracy;   /* of the last version on all held-out rows */
};

/* FL_OK when the run ended in time; FL_ERR_TIMEOUT when not; failures of the cores. */
FL_MUST_CHECK enum fl_status fl_simulation_run(const struct fl_simulation_config *config,
                                               struct fl_simulation_result *ret_result);

#endif
