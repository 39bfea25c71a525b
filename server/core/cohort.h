/*
 * Who takes part in a round: asking for work (rule R14), waiting, the draw (rule R15). When a round closes
 * and what follows is in round.h. All calls within a turn; a status other than FL_OK makes the turn fail.
 */
#ifndef FL_SERVER_CORE_COHORT_H
#define FL_SERVER_CORE_COHORT_H

#include "server/core/state.h"

/* Answers a request for work at once, or parks it. */
FL_MUST_CHECK enum fl_status fl_cohort_work(struct fl_server *server, struct fl_run *run,
                                            struct fl_client *client, const struct fl_request *request);

/* GATHERING: draws the cohort and opens the round when enough clients wait, or for long enough; else
 * ret_next: when the waiting may end. */
FL_MUST_CHECK enum fl_status fl_cohort_gather(struct fl_server *server, struct fl_run *run,
                                              uint64_t *ret_next);

/* OPEN, when the round is extended: whoever was refused in it may take part in it again. */
FL_MUST_CHECK enum fl_status fl_cohort_forgive(struct fl_server *server, struct fl_run *run);

/* OPEN: lets waiting clients join where there is room. */
FL_MUST_CHECK enum fl_status fl_cohort_fill(struct fl_server *server, struct fl_run *run);

#endif
