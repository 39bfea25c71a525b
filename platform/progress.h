/*
 * Progress of a long command: one bar that is redrawn on a terminal, plain lines in a pipe or file. Not a
 * log. One thread at a time.
 */
#ifndef FL_PLATFORM_PROGRESS_H
#define FL_PLATFORM_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct fl_progress {
    FILE *out;
    bool terminal;
    bool drawn;         /* a bar stands on the last line of the terminal */
    uint64_t last_done; /* of the last plain line; UINT64_MAX: none */
};

/* out is borrowed until fl_progress_done. */
void fl_progress_init(struct fl_progress *progress, FILE *out);

/* done of total steps, and a few words. Terminal: redraws the bar, cut to the terminal's width. Elsewhere:
 * writes "3/60 words" once for each new value of done. */
void fl_progress_show(struct fl_progress *progress, uint64_t done, uint64_t total, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes a line that stays; on a terminal it takes the bar's place until the next fl_progress_show. */
void fl_progress_line(struct fl_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Removes the bar. */
void fl_progress_done(struct fl_progress *progress);

#endif
