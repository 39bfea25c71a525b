#include "server/port/doctor.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "platform/checks.h"
#include "platform/crypto.h"
#include "platform/env.h"
#include "platform/text.h"
#include "server/port/certificate_watch.h"
#include "server/port/database.h"
#include "server/port/doctor_parts.h"
#include "server/port/guard.h"
#include "server/port/http_mhd.h"

#define SPACE_LEAST ((uint64_t)64 << 20)
#define AHEAD_S     60 /* a file may be so much newer than the clock says it is */

/* 1 when the state folder is known. */
static int check_config(struct fl_server_doctor *doctor, const char *dir, const char *config_path)
{
    struct fl_error err = {""};
    struct fl_authority_files unused;
    struct fl_certificate_watch lives = {.files = &unused};
    const struct fl_server_config *config = &doctor->config;
    enum fl_status st =
        fl_server_config_find(dir, config_path, doctor->path, doctor->dir, &doctor->config, &err);

    if (st) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "configuration", "%s", err.text);
        fl_finding_fix(
            doctor->findings,
            st == FL_ERR_NOT_FOUND
                ? "name it: fl-server doctor --config FILE; or make a server: fl-server init DIR --host NAME"
                : "correct that setting; `fl-server serve --help` lists them all");
        return 0;
    }
    st = fl_server_config_check(config, &err);
    if (!st)
        st = fl_certificate_watch_lives(&lives, config->client_life, config->server_life, &err);
    if (st) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "configuration", "%s: %s", doctor->path, err.text);
        fl_finding_fix(doctor->findings,
                       "correct that setting in %s; `fl-server serve --help` lists them all", doctor->path);
    } else if (config->durability == FL_DURABILITY_OFF) {
        fl_finding_add(doctor->findings, FL_OUTCOME_WARN, "configuration",
                       "%s: store.durability is off: a power cut may lose updates that were accepted",
                       doctor->path);
        fl_finding_fix(doctor->findings, "remove store.durability from %s and start the server again",
                       doctor->path);
    } else {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "configuration", "%s", doctor->path);
    }
    return 1;
}

static void check_versions(const struct fl_server_doctor *doctor)
{
    char http[64], tls[64], crypto[32], processor[128];
    fl_mhd_version(http, sizeof http);
    fl_tls_version(tls, sizeof tls);
    fl_crypto_version(crypto, sizeof crypto);
    fl_check_processor(processor, sizeof processor);
    fl_finding_add(doctor->findings, FL_OUTCOME_OK, "versions",
                   "fl-server " FL_VERSION ", %s, %s, SQLite %s, %s, on %s", http, tls, fl_database_version(),
                   crypto, processor);
}

static void check_open_files(const struct fl_server_doctor *doctor)
{
    struct rlimit limit;
    uint64_t wanted = doctor->config.connections + FL_SERVER_SPARE_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    int is_low = limit.rlim_max < wanted;
    fl_finding_add(doctor->findings, is_low ? FL_OUTCOME_WARN : FL_OUTCOME_OK, "open files",
                   "at most %llu where this runs, listen.connections needs %" PRIu64,
                   (unsigned long long)limit.rlim_max, wanted);
    if (is_low)
        fl_finding_fix(doctor->findings,
                       "LimitNOFILE=%" PRIu64 " in the unit of the server, or ulimit -Hn before it; or lower "
                       "listen.connections",
                       wanted);
}

/* A clock that is behind what it said before makes certificates that have not begun, and times that lie. */
static void check_clock(const struct fl_server_doctor *doctor)
{
    static const char *const names[] = {FL_DEPLOYMENT_DATABASE, FL_DEPLOYMENT_DATABASE "-wal",
                                        FL_ADMIN_TOKEN};
    char path[FL_PATH_SIZE], here[FL_TIME_TEXT_BYTES], there[FL_TIME_TEXT_BYTES];
    struct stat info;
    int64_t newest_s = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!fl_path_join(doctor->dir, names[i], path, NULL) && !stat(path, &info) &&
            info.st_mtime > newest_s)
            newest_s = info.st_mtime;
    fl_time_to_text(doctor->now_s, here);
    fl_time_to_text(newest_s, there);
    if (newest_s <= doctor->now_s + AHEAD_S) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "clock", "%s", here);
        return;
    }
    fl_finding_add(doctor->findings, FL_OUTCOME_WARN, "clock",
                   "it says %s, but files here were written at %s", here, there);
    fl_finding_fix(doctor->findings,
                   "timedatectl set-ntp true; without a network clock: date -u -s 'YYYY-MM-DD HH:MM'");
}

static const char *guard_dir(const struct fl_server_doctor *doctor)
{
    return doctor->config.guard[0] ? doctor->config.guard : doctor->dir;
}

/* The files that no backup may bring back (rules R13, R23). guard: NULL and why when they cannot be read.
 * They were read before the database, since a busy server goes on meanwhile: it marks a change after the
 * database has it, so a mark that is ahead even so is one of another database. */
static void check_guard(const struct fl_server_doctor *doctor, const struct fl_guard *guard, const char *why)
{
    const char *dir = guard_dir(doctor);
    if (!guard) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "revocations", "%s", why);
        fl_finding_fix(doctor->findings,
                       "as it says; then start the server, and: fl-server clients list --dir %s; fl-server "
                       "clients revoke ID "
                       "--dir %s",
                       doctor->dir, doctor->dir);
        return;
    }
    fl_finding_add(doctor->findings, FL_OUTCOME_OK, "revocations", "%zu in %s/revocations.log, all readable",
                   fl_guard_count(guard), dir);
    uint64_t marked = fl_guard_marked(guard);
    if (doctor->has_stamp && marked > doctor->stamp) {
        fl_finding_add(doctor->findings, FL_OUTCOME_WARN, "backup",
                       "the database is at %" PRIu64 ", state.mark at %" PRIu64
                       ": it came from a backup, and every run begins a new epoch at the next start",
                       doctor->stamp, marked);
        fl_finding_fix(doctor->findings,
                       "put the newest state.db and blobs/ back if there are any; else say so before the "
                       "start: fl-server "
                       "restore --dir %s",
                       doctor->dir);
    } else if (doctor->has_stamp && doctor->stamp && !marked) {
        fl_finding_add(
            doctor->findings, FL_OUTCOME_NOTE, "backup",
            "%s/state.mark is not there: a restored backup could not be told from the newest state", dir);
        fl_finding_fix(doctor->findings, "nothing: the server writes it at its next change");
    } else if (doctor->has_stamp) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "backup",
                       "the database is the newest state, by state.mark");
    }
}

static void check_folders(struct fl_server_doctor *doctor)
{
    char make[FL_PATH_SIZE + 64];
    snprintf(make, sizeof make, "fl-server init %s --host NAME", doctor->dir);
    if (!fl_check_folder(doctor->findings, "state folder", doctor->dir, make))
        return;
    fl_check_lock(doctor->findings, doctor->dir, "fl-server", &doctor->is_running);
    if (doctor->config.guard[0]) {
        snprintf(make, sizeof make, "mkdir -m 700 %s", doctor->config.guard);
        fl_check_folder(doctor->findings, "guard folder", doctor->config.guard, make);
    }
    check_clock(doctor);
    fl_server_doctor_check_authority(doctor);
    struct fl_error err = {""};
    struct fl_guard *guard = NULL;
    if (fl_guard_read(guard_dir(doctor), &err, &guard))
        guard = NULL;
    fl_server_doctor_check_store(doctor);
    check_guard(doctor, guard, err.text);
    fl_guard_close(guard);
    fl_check_space(doctor->findings, doctor->dir, SPACE_LEAST + doctor->need_bytes, "what its runs make");
    fl_server_doctor_check_listeners(doctor);
}

void fl_server_doctor_run(const char *dir, const char *config_path, struct fl_findings *findings)
{
    struct fl_env env = fl_env_system();
    struct fl_server_doctor doctor = {.findings = findings, .now_s = env.wall_ms(env.user) / 1000};

    int has_config = check_config(&doctor, dir, config_path);
    check_versions(&doctor);
    if (!has_config)
        return;
    check_open_files(&doctor);
    check_folders(&doctor);
    if (doctor.has_deployment)
        fl_deployment_close(&doctor.deployment);
}
