/*
 * The life of a round: gathering clients, drawing the cohort (rule R15), giving work (R14), closing (R5,
 * R10), having the version made and taking it (R11, R17), ending. Judging updates is in intake.h, the numbers
 * are in publish.h. All calls within a turn; a status other than FL_OK makes the turn fail.
 */
#ifndef FL_SERVER_CORE_ROUND_H
#define FL_SERVER_CORE_ROUND_H

#include "server/core/state.h"

/* Does what is due now; ret_next: when to call again at the latest (env's monotonic clock). */
FL_MUST_CHECK enum fl_status fl_round_advance(struct fl_server *server, struct fl_run *run,
                                              uint64_t *ret_next);

/* Takes the outcome of the run's job. */
FL_MUST_CHECK enum fl_status fl_round_job_done(struct fl_server *server, struct fl_run *run,
                                               struct fl_job *job);

/* Closes to new work: what is accepted is drained into a last version (rule R5). */
FL_MUST_CHECK enum fl_status fl_round_stop(struct fl_server *server, struct fl_run *run);

#endif
