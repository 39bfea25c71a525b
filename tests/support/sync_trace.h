/*
 * What the program under test has synced and renamed, in order: fsync() and rename() pass through here
 * (linked with --wrap), so that a test can see an order that no killed process shows. Calls inside shared
 * libraries, SQLite's, are not seen.
 */
#ifndef FL_TESTS_SYNC_TRACE_H
#define FL_TESTS_SYNC_TRACE_H

/* Forgets what was seen. */
void sync_trace_clear(void);

/* "sync NAME" and "name NAME", each followed by a semicolon and a space; NAME is a path's last part, "temp"
 * for a temporary file. */
const char *sync_trace(void);

#endif
