/* Database and blobs: whether they are whole, and whether they belong together. */
#include "server/port/doctor_parts.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/checks.h"
#include "platform/text.h"
#include "server/core/run_spec_text.h"
#include "server/core/state_blob.h"
#include "server/port/database.h"
#include "server/port/store_schema.h"

#define WAL_WARN_BYTES ((uint64_t)256 << 20)
#define STATE_BYTES    16 /* a parameter */
#define READS          5  /* while a running server changes the files */
#define BACKUP                                                                                               \
    "stop the server and put state.db and blobs/ of one backup back, without state.db-wal and "              \
    "state.db-shm, then "                                                                                    \
    "fl-server restore (server/port/README.md, \"Backups\")"

/* What a look at the blobs has counted. */
struct blobs {
    char dir[FL_PATH_SIZE];
    struct fl_database *database;
    uint64_t named, bad, unnamed, unnamed_bytes;
    char first_bad[FL_BLOB_NAME_BYTES + 64]; /* with what is wrong */
};

static int size_of(const char *path, uint64_t *ret_bytes)
{
    struct stat info;
    if (stat(path, &info))
        return 0;
    *ret_bytes = (uint64_t)info.st_size;
    return 1;
}

/* --- the database itself --- */

/* How to open it; 0 when it is not to be looked at, which has been said. */
static int find_use(const struct fl_server_doctor *doctor, const char *path, enum fl_database_use *ret_use)
{
    char beside[FL_PATH_SIZE + 8], text[FL_SIZE_TEXT_BYTES];
    uint64_t wal_bytes = 0, shm_bytes = 0, bytes;
    if (!size_of(path, &bytes)) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "database", "%s is made at the first start", path);
        return 0;
    }
    snprintf(beside, sizeof beside, "%s-wal", path);
    size_of(beside, &wal_bytes);
    fl_size_to_text(wal_bytes, text);
    if (wal_bytes > WAL_WARN_BYTES) {
        fl_finding_add(doctor->findings, FL_OUTCOME_WARN, "database log", "%s has %s", beside, text);
        fl_finding_fix(doctor->findings,
                       "something reads state.db and does not end: fuser -v %s; else systemctl restart "
                       "fl-server",
                       path);
    }
    *ret_use = doctor->is_running ? FL_DATABASE_LIVE : wal_bytes ? FL_DATABASE_LEFT : FL_DATABASE_CLOSED;
    snprintf(beside, sizeof beside, "%s-shm", path);
    if (*ret_use != FL_DATABASE_LEFT || size_of(beside, &shm_bytes))
        return 1;
    fl_finding_add(doctor->findings, FL_OUTCOME_NOTE, "database",
                   "%s-wal (%s) is there without %s, so that it cannot be read without a change", path, text,
                   beside);
    fl_finding_fix(doctor->findings,
                   "if the folder came from a backup: rm %s-wal, then fl-server restore --dir %s; else start "
                   "the server and run this again",
                   path, doctor->dir);
    return 0;
}

static void say_damaged(const struct fl_server_doctor *doctor, const char *path, const char *why)
{
    fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "database", "%s is damaged: %s", path, why);
    fl_finding_fix(doctor->findings, BACKUP "; and look after the disk: dmesg, smartctl -a DEVICE");
}

/* One number; 0 when there is none. */
static uint64_t ask_number(struct fl_database *database, const char *sql)
{
    struct fl_query *query = fl_query_begin(database, sql);
    int row = 0;
    uint64_t number = !fl_query_step(query, &row) && row ? fl_query_take_u64(query) : 0;
    fl_query_end(query);
    return number;
}

/* 1 when it is whole and of this program's version. */
static int check_whole(const struct fl_server_doctor *doctor, const char *path, struct fl_database *database)
{
    struct fl_query *query = fl_query_begin(database, "PRAGMA quick_check(1)");
    char word[256] = "", bytes_text[FL_SIZE_TEXT_BYTES];
    uint64_t bytes = 0;
    int row = 0;
    enum fl_status st = fl_query_step(query, &row);
    if (!st && row)
        snprintf(word, sizeof word, "%s", fl_query_take_text(query));
    else
        snprintf(word, sizeof word, "%s", fl_status_text(st));
    fl_query_end(query);
    if (strcmp(word, "ok") != 0) {
        say_damaged(doctor, path, word);
        return 0;
    }
    uint64_t version = ask_number(database, "PRAGMA user_version");
    size_of(path, &bytes);
    fl_size_to_text(bytes, bytes_text);
    if (version > FL_STORE_SCHEMA_VERSION) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "database",
                       "%s was made by a newer fl-server (schema %" PRIu64 ", this one has %d)", path,
                       version, FL_STORE_SCHEMA_VERSION);
        fl_finding_fix(doctor->findings, "install that release again; an older one cannot read it");
    } else if (version && version < FL_STORE_SCHEMA_VERSION) {
        fl_finding_add(doctor->findings, FL_OUTCOME_NOTE, "database",
                       "%s is of an older release (schema %" PRIu64 ")", path, version);
        fl_finding_fix(doctor->findings,
                       "copy the folder, if you may want to go back: the next start brings it to schema %d",
                       FL_STORE_SCHEMA_VERSION);
    } else {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "database", "%s is whole, %s, schema %" PRIu64, path,
                       bytes_text, version);
    }
    return version == FL_STORE_SCHEMA_VERSION;
}

/* --- runs: what they will need --- */

static uint64_t elems_of(const char *spec_text, struct fl_run_spec *ret_spec)
{
    return fl_run_spec_from_text(spec_text, ret_spec) ? 0 : fl_model_spec_elems(&ret_spec->model);
}

/* The states of each run that goes on, and the updates of a round as large as the largest was. */
static void add_up_runs(struct fl_server_doctor *doctor, struct fl_database *database)
{
    static const char sql[] =
        "SELECT spec,round,COALESCE((SELECT MAX(body_bytes) FROM receipts WHERE receipts.run=runs.name),0)"
        " FROM runs WHERE phase<>'ended'";
    struct fl_query *query = fl_query_begin(database, sql);
    int row;
    while (!fl_query_step(query, &row) && row) {
        struct fl_run_spec spec = {.rounds = 0};
        uint64_t elems = elems_of(fl_query_take_text(query), &spec), round = fl_query_take_u64(query);
        uint64_t updates = (spec.target + spec.over_select) * fl_query_take_u64(query);
        if (spec.keep_updates && spec.rounds > round)
            updates *= spec.rounds - round + 1;
        doctor->need_bytes += (2 + doctor->config.snapshots_kept) * STATE_BYTES * elems + updates;
    }
    fl_query_end(query);
}

/* --- blobs --- */

static int is_named(struct fl_database *database, const char *name)
{
    static const char sql[] = "SELECT 1 FROM versions WHERE state_blob=?1"
                              " UNION ALL SELECT 1 FROM receipts WHERE payload_blob=?1";
    struct fl_query *query = fl_query_begin(database, sql);
    int row = 0;
    fl_query_put_text(query, name);
    int found = !fl_query_step(query, &row) && row;
    fl_query_end(query);
    return found;
}

static int find_blob(const struct blobs *blobs, const char *name, uint64_t *ret_bytes)
{
    char path[FL_PATH_SIZE];
    return !fl_path_join(blobs->dir, name, path, NULL) && size_of(path, ret_bytes);
}

static void note_blob(struct blobs *blobs, const char *name, int is_there, int is_right)
{
    blobs->named++;
    if ((!is_there || !is_right) && !blobs->bad++)
        snprintf(blobs->first_bad, sizeof blobs->first_bad, "%s %s", name,
                 is_there ? "has another size" : "is not there");
}

static void check_named(struct blobs *blobs)
{
    static const char sql_states[] =
        "SELECT state_blob,spec FROM versions JOIN runs ON runs.name=versions.run"
        " WHERE state_blob IS NOT NULL";
    static const char sql_updates[] =
        "SELECT payload_blob,body_bytes FROM receipts WHERE payload_blob IS NOT NULL";
    char name[FL_BLOB_NAME_BYTES];
    uint64_t bytes = 0;
    int row;
    struct fl_query *query = fl_query_begin(blobs->database, sql_states);
    while (!fl_query_step(query, &row) && row && !fl_query_copy_text(query, name, sizeof name)) {
        struct fl_run_spec spec;
        uint64_t elems = elems_of(fl_query_take_text(query), &spec);
        int is_there = find_blob(blobs, name, &bytes);
        note_blob(blobs, name, is_there, !elems || fl_state_size_is_right((size_t)elems, bytes));
    }
    fl_query_end(query);
    query = fl_query_begin(blobs->database, sql_updates);
    while (!fl_query_step(query, &row) && row && !fl_query_copy_text(query, name, sizeof name)) {
        uint64_t body_bytes = fl_query_take_u64(query); /* the payload and what stands before it */
        int is_there = find_blob(blobs, name, &bytes);
        note_blob(blobs, name, is_there,
                  bytes <= body_bytes && bytes + FL_LIMIT_UPDATE_HEAD_BYTES >= body_bytes);
    }
    fl_query_end(query);
}

static enum fl_status count_unnamed(void *user, const char *name)
{
    struct blobs *blobs = user;
    uint64_t bytes = 0;
    if (strlen(name) < FL_BLOB_NAME_BYTES && !is_named(blobs->database, name) &&
        find_blob(blobs, name, &bytes)) {
        blobs->unnamed++;
        blobs->unnamed_bytes += bytes;
    }
    return FL_OK;
}

static void check_blobs(const struct fl_server_doctor *doctor, struct fl_database *database)
{
    struct blobs blobs = {.database = database};
    struct fl_error err = {""};
    char text[FL_SIZE_TEXT_BYTES];
    if (fl_path_join(doctor->dir, FL_DEPLOYMENT_BLOBS, blobs.dir, &err))
        return;                       /* the database has the longer name */
    for (int i = 0; i < READS; i++) { /* a running server removes files once their rows are gone */
        blobs.named = blobs.bad = 0;
        check_named(&blobs);
        if (!blobs.bad || !doctor->is_running)
            break;
    }
    if (blobs.bad) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "blobs",
                       "%" PRIu64 " of %" PRIu64 " files that the database names in %s are wrong: %s",
                       blobs.bad, blobs.named, blobs.dir, blobs.first_bad);
        fl_finding_fix(doctor->findings, "put the file back from a backup if it is there; else " BACKUP);
    } else {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "blobs",
                       "all %" PRIu64 " files that the database names are in %s", blobs.named, blobs.dir);
    }
    if (doctor->is_running || fl_dir_list(blobs.dir, count_unnamed, &blobs, &err) || !blobs.unnamed)
        return; /* a running server makes files before it names them */
    fl_size_to_text(blobs.unnamed_bytes, text);
    fl_finding_add(doctor->findings, FL_OUTCOME_NOTE, "blobs",
                   "%" PRIu64 " files (%s) in %s that the database does not name", blobs.unnamed, text,
                   blobs.dir);
    fl_finding_fix(doctor->findings,
                   "nothing: the next start removes those of the server; others there are not its own");
}

void fl_server_doctor_check_store(struct fl_server_doctor *doctor)
{
    char path[FL_PATH_SIZE];
    struct fl_database *database = NULL;
    struct fl_error err = {""};
    enum fl_database_use use;
    if (fl_path_join(doctor->dir, FL_DEPLOYMENT_DATABASE, path, &err) || !find_use(doctor, path, &use))
        return;
    enum fl_status st = fl_database_look(path, use, &err, &database);
    if (st == FL_ERR_CORRUPT) {
        say_damaged(doctor, path, err.text);
    } else if (st) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "database", "%s", err.text);
        fl_finding_fix(doctor->findings, "run this as the folder's owner: ls -l %s*", path);
    } else if (check_whole(doctor, path, database)) {
        doctor->stamp = ask_number(database, "SELECT stamp FROM stamp");
        doctor->has_stamp = 1;
        add_up_runs(doctor, database);
        check_blobs(doctor, database);
    }
    fl_database_close(database);
}
