/*
 * One table of rows drives the configuration file, the command line, range checks, --help and the reference
 * page. Values land in the caller's own struct; nothing is allocated that outlives a call. Errors name file,
 * line, key, value and what is allowed. Not for data files.
 */
#ifndef FL_PLATFORM_SETTINGS_H
#define FL_PLATFORM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/status.h"
#include "platform/error.h"

#define FL_SETTINGS_MAX      128               /* rows of a table */
#define FL_SETTING_LIST_MAX  32                /* items of a list */
#define FL_SETTINGS_FILE_MAX ((size_t)1 << 20) /* bytes of a configuration file */

/* Storage of each type in the caller's struct. */
enum fl_setting_type {
    FL_SETTING_U64,      /* uint64_t */
    FL_SETTING_I64,      /* int64_t */
    FL_SETTING_SIZE,     /* uint64_t, bytes; "4096", "64KiB" or "8 MiB" or "2GiB" */
    FL_SETTING_DOUBLE,   /* double, finite */
    FL_SETTING_BOOL,     /* bool; "true" or "false" */
    FL_SETTING_STRING,   /* char[], zero-terminated */
    FL_SETTING_CHOICE,   /* int or an enum: index into choices */
    FL_SETTING_U64_LIST, /* struct fl_setting_list; "[64, 32]" in YAML, "64,32" on the command line */
};

struct fl_setting_list {
    uint64_t items[FL_SETTING_LIST_MAX];
    size_t count;
};

/* One setting. */
struct fl_setting {
    const char *key; /* dotted: "round.deadline_ms"; on the command line --round.deadline-ms (or _) */
    enum fl_setting_type type;
    size_t offset, size; /* of the field: FL_SETTING_FIELD */
    double min, max;     /* of the value or of each list item, within +-2^53; both 0: any; INFINITY: no end */
    const char *def;     /* default, as text; NULL: zero, "", or first choice */
    const char *const *choices; /* of FL_SETTING_CHOICE, ends with NULL */
    const char *unit;           /* "milliseconds", may be NULL */
    const char *help;           /* one line */
    const char *option;         /* other name on the command line, without dashes; may be NULL */
    bool required;              /* must be given; def is not used */
};

#define FL_SETTING_FIELD(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)

/* A table, the struct that it fills, and which rows were given. */
struct fl_settings {
    const struct fl_setting *rows;
    size_t count;
    void *values;
    bool given[FL_SETTINGS_MAX];
};

/* Writes the defaults to values (borrowed, the struct the offsets are for). FL_ERR_CONFIG for a table that
 * contradicts itself (its tests call this). */
FL_MUST_CHECK enum fl_status fl_settings_init(struct fl_settings *settings, const struct fl_setting *rows,
                                              size_t count, void *values, struct fl_error *err);

/*
 * Reads YAML: nested maps make dotted keys, scalars, lists of scalars for list rows; no anchors, aliases,
 * tags, second documents or repeated settings. FL_ERR_CONFIG with e.g.
 * "server.yaml:12: round.deadline_ms: 5 is outside 1000..86400000 (milliseconds)"; FL_ERR_NOT_FOUND,
 * FL_ERR_IO, FL_ERR_LIMIT for the file. After a failure values may be half written: drop them.
 */
FL_MUST_CHECK enum fl_status fl_settings_load_file(struct fl_settings *settings, const char *path,
                                                   struct fl_error *err);

/* The same from memory; name stands for the file in errors. */
FL_MUST_CHECK enum fl_status fl_settings_load_text(struct fl_settings *settings, const char *name,
                                                   struct fl_bytes text, struct fl_error *err);

/* Number of the row with this key, or count when there is none. */
size_t fl_settings_find(const struct fl_settings *settings, const char *key);

/* The known key that a wrong one most likely meant, or NULL. */
const char *fl_settings_suggest(const struct fl_settings *settings, const char *key);

/* Sets one row from text; where (e.g. "server.yaml:12" or "command line") opens the error. FL_ERR_CONFIG. */
FL_MUST_CHECK enum fl_status fl_settings_set(struct fl_settings *settings, const char *where, size_t row,
                                             const char *text, struct fl_error *err);

/* FL_ERR_CONFIG when a required row was given by nobody; where opens the error. */
FL_MUST_CHECK enum fl_status fl_settings_check_required(const struct fl_settings *settings, const char *where,
                                                        struct fl_error *err);

/* True when a file or the command line gave the key; false for a default and for an unknown key. */
bool fl_settings_given(const struct fl_settings *settings, const char *key);

/* Bytes that hold any text of fl_setting_allowed. */
#define FL_SETTING_ALLOWED_SIZE 256

/* "1000..86400000 (milliseconds)", "dense, top-k", "true or false", ... into ret_text, cut when too long. */
void fl_setting_allowed(const struct fl_setting *row, char *ret_text, size_t size);

/* The reference page of a table in Markdown: key, type, allowed, default, meaning. */
void fl_settings_print_reference(const struct fl_setting *rows, size_t count, FILE *out);

/* The present values as a YAML file that loads to the same values, each under its help; required ones that
 * nobody gave stand as comments. After fl_settings_init: an example file of all defaults. */
void fl_settings_print_yaml(const struct fl_settings *settings, FILE *out);

#endif
