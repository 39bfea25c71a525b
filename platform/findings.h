/*
 * What a doctor command has looked at: one finding a check, each with what was found and, where something is
 * not as it should be, what exactly to do. Not for looking: see checks.h and the doctors of client and
 * server.
 *
 *     fl_finding_add(&findings, FL_OUTCOME_FAIL, "key", "%s: mode %04o", path, mode);
 *     fl_finding_fix(&findings, "chmod 600 %s", path);
 */
#ifndef FL_PLATFORM_FINDINGS_H
#define FL_PLATFORM_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "platform/exit_code.h"

#define FL_FINDINGS_MAX      64 /* of these the first are kept; none is forgotten in the exit code */
#define FL_FINDING_NAME_SIZE 40
#define FL_FINDING_TEXT_SIZE 1024

/* From good to bad. NOTE: worth knowing, nothing is wrong. WARN: it works, but not for ever or not well.
 * FAIL: it does not work, or will not at the next start. */
enum fl_outcome { FL_OUTCOME_OK, FL_OUTCOME_NOTE, FL_OUTCOME_WARN, FL_OUTCOME_FAIL };

struct fl_finding {
    enum fl_outcome outcome;
    char name[FL_FINDING_NAME_SIZE]; /* what was looked at */
    char found[FL_FINDING_TEXT_SIZE];
    char fix[FL_FINDING_TEXT_SIZE]; /* "": nothing to do */
};

/* Caller storage; all zero is empty. One thread at a time. */
struct fl_findings {
    struct fl_finding items[FL_FINDINGS_MAX];
    size_t count; /* found, which may be more than are kept */
    enum fl_outcome worst;
};

/* Texts are cut where they are too long, and control characters become spaces. */
void fl_finding_add(struct fl_findings *findings, enum fl_outcome outcome, const char *name,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What to do about the finding added last. */
void fl_finding_fix(struct fl_findings *findings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "ok", "note", "WARN", "FAIL"; static. */
const char *fl_outcome_name(enum fl_outcome outcome);

/* A line a finding, with the fix on a line of its own below it; or, as JSON, an array of objects with name,
 * outcome (in lower case), found and fix (null when there is none). */
void fl_findings_print(const struct fl_findings *findings, bool as_json, FILE *out);

/* FL_EXIT_FAILED when anything failed, else FL_EXIT_OK. */
enum fl_exit_code fl_findings_exit_code(const struct fl_findings *findings);

#endif
