/*
 * Checks that the doctors of client and server share: folders, files, space, ends of certificates. Each adds
 * findings, and changes nothing but for a probe file that it removes. One that returns int returns 1 when
 * what was looked at will do, and 0 when it will not.
 */
#ifndef FL_PLATFORM_CHECKS_H
#define FL_PLATFORM_CHECKS_H

#include <stdint.h>
#include <sys/types.h>

#include "platform/findings.h"

/* A state folder: there, ours, closed to others, and writable, found out by writing. 1 when it can be looked
 * into, writable or not. make: the command that makes one. */
int fl_check_folder(struct fl_findings *findings, const char *name, const char *path, const char *make);

/* A file that must be there: readable, and without the permissions in closed (0077: nobody else's). Nothing
 * is added when all is well. 1 when it can be read. restore: what to do when it is not there. */
int fl_check_file(struct fl_findings *findings, const char *name, const char *path, mode_t closed,
                  const char *restore);

/* The file system of path has room for need_bytes more and for new files. what: what needs so much. */
int fl_check_space(struct fl_findings *findings, const char *path, uint64_t need_bytes, const char *what);

/* Whether a process holds the lock of a state folder; program: "fl-client". */
void fl_check_lock(struct fl_findings *findings, const char *dir, const char *program, int *ret_is_held);

/* A certificate and what comes near its end. */
struct fl_check_end {
    const char *name, *what; /* of the finding; "certificate of client 4f2a" */
    int64_t begins_s, ends_s, now_s;
    int64_t warn_s;             /* fewer seconds left than these are worth a word */
    enum fl_outcome near, over; /* what that is, and what the end is */
    const char *fix;
};

int fl_check_end(struct fl_findings *findings, const struct fl_check_end *end);

/* What the processor offers, for a person: "x86-64 with avx2, 4 processors". */
void fl_check_processor(char *ret_text, size_t size);

#endif
