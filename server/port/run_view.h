/*
 * Runs and rounds for people: tables and lines from the server's JSON.
 */
#ifndef FL_SERVER_PORT_RUN_VIEW_H
#define FL_SERVER_PORT_RUN_VIEW_H

#include <stdio.h>

#include "server/port/json.h"

void fl_run_view_list(const struct fl_json *runs, FILE *out);
void fl_run_view_totals(const struct fl_json *run, FILE *out);

#define FL_ROUND_LINE_BYTES 256
/* "round 12/60  8/8 updates  loss 0.1234  accuracy 0.9512  up 3.4 KiB  down 12.0 KiB  density 1.35 %  0.8 s"
 */
void fl_run_view_round(const struct fl_json *round, uint64_t rounds, char line[FL_ROUND_LINE_BYTES]);

#endif
