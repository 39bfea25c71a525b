#include "platform/checks.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "platform/dir.h"
#include "platform/spool.h"
#include "platform/text.h"

#define PROBE_BYTES 4096
#define FILES_LEAST 64
#define FILES_FEW   1024
#define DAY_S       86400

static const char *user_name(uid_t uid, char *text, size_t size)
{
    const struct passwd *entry = getpwuid(uid);
    if (entry)
        snprintf(text, size, "%s", entry->pw_name);
    else
        snprintf(text, size, "user %u", (unsigned)uid);
    return text;
}

/* Writes, syncs and removes a file. */
static enum fl_status probe(const char *path, struct fl_error *err)
{
    static const uint8_t zeros[PROBE_BYTES];
    struct fl_spool spool;
    enum fl_status st = fl_spool_begin(&spool, path, FL_FILE_SECRET, err);
    if (st)
        return st;
    st = fl_spool_append(&spool, (struct fl_bytes){zeros, sizeof zeros}, err);
    if (!st && fsync(spool.fd))
        st = fl_error_set(err, FL_ERR_IO, "%s: fsync: %m", path);
    fl_spool_abort(&spool);
    return st;
}

static void say_not_writable(struct fl_findings *findings, const char *name, const char *path,
                             const char *owner, const struct fl_error *err)
{
    fl_finding_add(findings, FL_OUTCOME_FAIL, name, "%s cannot be written to: %s", path, err->text);
    if (strstr(err->text, strerror(EROFS)))
        fl_finding_fix(
            findings,
            "make the file system writable again: mount -o remount,rw $(findmnt -nT %s -o TARGET); "
            "see `dmesg` for why it is not",
            path);
    else if (strstr(err->text, strerror(ENOSPC)) || strstr(err->text, strerror(EDQUOT)))
        fl_finding_fix(findings, "make room on its file system: df -h %s; df -i %s", path, path);
    else
        fl_finding_fix(findings, "run this as the folder's owner (%s): sudo -u %s ...; or: chmod u+rwx %s",
                       owner, owner, path);
}

int fl_check_folder(struct fl_findings *findings, const char *name, const char *path, const char *make)
{
    struct fl_error err = {""};
    struct stat info;
    char owner[64], self[64];

    if (stat(path, &info)) {
        fl_finding_add(findings, FL_OUTCOME_FAIL, name, "%s: %s", path, strerror(errno));
        if (errno == ENOENT)
            fl_finding_fix(findings, "make it: %s; or name the right folder", make);
        else
            fl_finding_fix(findings, "let this user into the folders above it: namei -l %s", path);
        return 0;
    }
    if (!S_ISDIR(info.st_mode)) {
        fl_finding_add(findings, FL_OUTCOME_FAIL, name, "%s is not a folder", path);
        fl_finding_fix(findings, "name the right folder, or move that file away and: %s", make);
        return 0;
    }
    user_name(info.st_uid, owner, sizeof owner);
    if (probe(path, &err)) {
        say_not_writable(findings, name, path, owner, &err);
        return access(path, R_OK | X_OK) == 0;
    }
    if (info.st_mode & 0077) {
        fl_finding_add(findings, FL_OUTCOME_WARN, name, "%s has the mode %04o: others may look into it", path,
                       (unsigned)info.st_mode & 07777);
        fl_finding_fix(findings, "chmod 700 %s", path);
    } else if (info.st_uid != geteuid()) {
        fl_finding_add(findings, FL_OUTCOME_WARN, name,
                       "%s belongs to %s, and this runs as %s: what it makes "
                       "there, %s may not be able to use",
                       path, owner, user_name(geteuid(), self, sizeof self), owner);
        fl_finding_fix(findings, "run programs on this folder as its owner: sudo -u %s ...", owner);
    } else {
        fl_finding_add(findings, FL_OUTCOME_OK, name, "%s: mode %04o, of %s, writable", path,
                       (unsigned)info.st_mode & 07777, owner);
    }
    return 1;
}

int fl_check_file(struct fl_findings *findings, const char *name, const char *path, mode_t closed,
                  const char *restore)
{
    struct stat info;

    if (stat(path, &info)) {
        fl_finding_add(findings, FL_OUTCOME_FAIL, name, "%s: %s", path, strerror(errno));
        fl_finding_fix(findings, "%s", restore);
        return 0;
    }
    if (access(path, R_OK)) {
        const char *why = strerror(errno);
        char owner[64];
        fl_finding_add(findings, FL_OUTCOME_FAIL, name, "%s: %s (mode %04o, of %s)", path, why,
                       (unsigned)info.st_mode & 07777, user_name(info.st_uid, owner, sizeof owner));
        fl_finding_fix(findings, "run this as %s, or: chown $(id -u) %s; chmod 600 %s", owner, path, path);
        return 0;
    }
    if (info.st_mode & closed) {
        fl_finding_add(findings, FL_OUTCOME_FAIL, name, "%s has the mode %04o: others may read or change it",
                       path, (unsigned)info.st_mode & 07777);
        fl_finding_fix(findings, "chmod %03o %s", (unsigned)(info.st_mode & 0777 & ~closed), path);
    }
    return 1;
}

int fl_check_space(struct fl_findings *findings, const char *path, uint64_t need_bytes, const char *what)
{
    struct statvfs fs;
    char free_text[FL_SIZE_TEXT_BYTES], need_text[FL_SIZE_TEXT_BYTES];

    if (statvfs(path, &fs)) {
        fl_finding_add(findings, FL_OUTCOME_WARN, "disk", "%s: %s", path, strerror(errno));
        fl_finding_fix(findings, "look yourself: df -h %s", path);
        return 0;
    }
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    fl_size_to_text(free_bytes, free_text);
    fl_size_to_text(need_bytes, need_text);
    enum fl_outcome outcome = free_bytes < need_bytes       ? FL_OUTCOME_FAIL
                              : free_bytes / 2 < need_bytes ? FL_OUTCOME_WARN
                                                            : FL_OUTCOME_OK;
    fl_finding_add(findings, outcome, "disk", "%s free for %s, %s needs %s", free_text, path, what,
                   need_text);
    if (outcome)
        fl_finding_fix(findings,
                       "make room on its file system, which du -xhd1 $(findmnt -nT %s -o TARGET) "
                       "shows by folder; or move the folder to a larger one while nothing runs on it",
                       path);
    if (fs.f_files && fs.f_favail < FILES_FEW) {
        fl_finding_add(findings, fs.f_favail < FILES_LEAST ? FL_OUTCOME_FAIL : FL_OUTCOME_WARN, "inodes",
                       "only %" PRIu64 " more files fit the file system of %s", (uint64_t)fs.f_favail, path);
        fl_finding_fix(findings, "remove files there, or make it with more inodes: df -i %s", path);
        return outcome != FL_OUTCOME_FAIL && fs.f_favail >= FILES_LEAST;
    }
    return outcome != FL_OUTCOME_FAIL;
}

void fl_check_lock(struct fl_findings *findings, const char *dir, const char *program, int *ret_is_held)
{
    struct fl_error err = {""};
    int is_held = 0;

    if (fl_lock_look(dir, &is_held, &err)) {
        fl_finding_add(findings, FL_OUTCOME_WARN, "process", "whether an %s runs here cannot be told: %s",
                       program, err.text);
        fl_finding_fix(findings, "run this as the folder's owner");
    } else {
        fl_finding_add(findings, FL_OUTCOME_OK, "process",
                       is_held ? "an %s runs on %s (fuser %s/lock tells which)" : "no %s runs on %s", program,
                       dir, dir);
    }
    *ret_is_held = is_held;
}

int fl_check_end(struct fl_findings *findings, const struct fl_check_end *end)
{
    char text[FL_TIME_TEXT_BYTES];
    int64_t left_s = end->ends_s - end->now_s;
    long long days = (long long)((left_s < 0 ? -left_s : left_s) / DAY_S);

    fl_time_to_text(left_s < 0 || end->begins_s <= end->now_s ? end->ends_s : end->begins_s, text);
    if (left_s < 0) {
        fl_finding_add(findings, end->over, end->name, "%s has expired: %s, %lld days ago", end->what, text,
                       days);
    } else if (end->begins_s > end->now_s) {
        fl_finding_add(findings, FL_OUTCOME_WARN, end->name, "%s begins at %s, later than the time here",
                       end->what, text);
        fl_finding_fix(findings, "set the clock: timedatectl set-ntp true");
        return 1;
    } else {
        fl_finding_add(findings, left_s < end->warn_s ? end->near : FL_OUTCOME_OK, end->name,
                       "%s ends %s, in %lld days", end->what, text, days);
    }
    if (left_s < end->warn_s)
        fl_finding_fix(findings, "%s", end->fix);
    return left_s >= 0;
}

void fl_check_processor(char *ret_text, size_t size)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    size_t used = 0;
#if defined(__x86_64__)
    static const char architecture[] = "x86-64";
    const struct {
        const char *name;
        int is_there;
    } features[] = {{"avx2", __builtin_cpu_supports("avx2") != 0},
                    {"fma", __builtin_cpu_supports("fma") != 0},
                    {"avx512f", __builtin_cpu_supports("avx512f") != 0}};
#elif defined(__aarch64__)
    static const char architecture[] = "aarch64";
    const struct {
        const char *name;
        int is_there;
    } features[] = {{"neon", 1}};
#else
    static const char architecture[] = "other";
    const struct {
        const char *name;
        int is_there;
    } features[] = {{"", 0}};
#endif
    used += (size_t)snprintf(ret_text, size, "%s", architecture);
    for (size_t i = 0; i < sizeof features / sizeof features[0] && used < size; i++)
        if (features[i].is_there)
            used += (size_t)snprintf(ret_text + used, size - used, " %s", features[i].name);
    if (used < size)
        snprintf(ret_text + used, size - used, ", %d processor%s", count, count == 1 ? "" : "s");
}
