#include "server/port/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "platform/crypto.h"
#include "platform/dir.h"
#include "platform/file.h"
#include "platform/file_error.h"
#include "protocol/number.h"

#define LOG_NAME    "revocations.log"
#define LOG_HEAD    "residue revocations 1"
#define MARK_NAME   "state.mark"
#define LOG_BYTES   ((size_t)256 << 20)
#define MARK_BYTES  1024
#define LINE_BYTES  320
#define CHECK_BYTES 8
#define TIME_BYTES  32

struct fl_guard {
    char log_path[FL_PATH_SIZE], mark_path[FL_PATH_SIZE];
    int fd;     /* of the log, at its end; -1: read only */
    int is_new; /* 1: there is no log yet */
    struct fl_revocation_row *rows;
    size_t count;
    uint64_t marked;
    uint64_t marked_rows; /* lines of the log when the mark was written */
};

static void hex_digest(struct fl_bytes text, size_t bytes, char *ret_hex)
{
    uint8_t digest[FL_DIGEST_SIZE];

    fl_sha256(text, digest);
    fl_hex_encode(digest, bytes, ret_hex);
}

static enum fl_status remember(struct fl_guard *guard, const struct fl_revocation_row *row)
{
    struct fl_revocation_row *grown = realloc(guard->rows, (guard->count + 1) * sizeof *grown);

    if (!grown)
        return FL_ERR_NOMEM;
    guard->rows = grown;
    guard->rows[guard->count++] = *row;
    return FL_OK;
}

/* --- the log --- */

/* One line without its end. 0 when it is not as it was written. */
static int read_line(const char *line, struct fl_revocation_row *ret_row)
{
    char client[FL_LIMIT_NAME_BYTES + 1], key[2 * FL_DIGEST_SIZE + 1], when[TIME_BYTES];
    char check[2 * CHECK_BYTES + 1], expected[2 * CHECK_BYTES + 1], again[LINE_BYTES];
    const char *last = strrchr(line, ' ');

    if (!last || sscanf(line, "revoked %64s %64s %31s %16s", client, key, when, check) != 4)
        return 0;
    hex_digest((struct fl_bytes){(const uint8_t *)line, (size_t)(last - line)}, CHECK_BYTES, expected);
    snprintf(again, sizeof again, "revoked %s %s %s %s", client, key, when, expected);
    if (strcmp(again, line) || fl_hex_decode(key, ret_row->key, FL_DIGEST_SIZE))
        return 0;
    memcpy(ret_row->client, client, sizeof client);
    return 1;
}

static enum fl_status bad_line(const struct fl_guard *guard, size_t number, struct fl_error *err)
{
    return fl_error_set(
        err, FL_ERR_CORRUPT,
        "%s, line %zu: damaged or cut off, so that a revoked client could pass as a good one; put "
        "the file back from a copy, or take this line out and revoke the client that it was "
        "about again (fl-server clients revoke)",
        guard->log_path, number);
}

/* text: the whole file, with a zero behind it. */
static enum fl_status read_log(struct fl_guard *guard, char *text, struct fl_error *err)
{
    size_t number = 1;

    for (char *at = text; *at; number++) {
        struct fl_revocation_row row;
        char *end = strchr(at, '\n');
        if (!end)
            return bad_line(guard, number, err);
        *end = 0;
        if (number == 1 ? strcmp(at, LOG_HEAD) : !read_line(at, &row))
            return bad_line(guard, number, err);
        if (number > 1 && remember(guard, &row))
            return fl_error_nomem(err);
        at = end + 1;
    }
    return FL_OK;
}

static enum fl_status load_log(struct fl_guard *guard, struct fl_error *err)
{
    struct fl_buf file;
    enum fl_status st;

    fl_buf_init(&file, LOG_BYTES);
    st = fl_file_read(guard->log_path, &file, err);
    guard->is_new = st == FL_ERR_NOT_FOUND;
    if (guard->is_new)
        st = FL_OK;
    else if (!st && (file.size == 0 || memchr(file.data, 0, file.size)))
        st = bad_line(guard, 1, err);
    else if (!st && fl_buf_append(&file, "", 1))
        st = fl_error_nomem(err);
    else if (!st)
        st = read_log(guard, (char *)file.data, err);
    fl_buf_done(&file);
    return st;
}

/* Makes the log where there is none, and opens it at its end. */
static enum fl_status begin_log(struct fl_guard *guard, struct fl_error *err)
{
    if (guard->is_new) {
        enum fl_status st =
            fl_file_write_atomic(guard->log_path, fl_bytes_from_text(LOG_HEAD "\n"), FL_FILE_SECRET, err);
        if (st)
            return st;
    }
    guard->fd = open(guard->log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
    return guard->fd < 0 ? fl_file_error_write(err, guard->log_path, 0) : FL_OK;
}

enum fl_status fl_guard_revocations(const struct fl_guard *guard, fl_revocation_visit_fn visit, void *user)
{
    enum fl_status st = FL_OK;

    for (size_t i = 0; i < guard->count && !st; i++)
        st = visit(user, &guard->rows[i]);
    return st;
}

/* All of it or, when the disk is full or broken, nothing. */
static enum fl_status append(struct fl_guard *guard, const char *line, size_t size, struct fl_error *err)
{
    off_t before = lseek(guard->fd, 0, SEEK_END);
    ssize_t written = before < 0 ? -1 : write(guard->fd, line, size);

    if (written == (ssize_t)size && fsync(guard->fd) == 0)
        return FL_OK;
    if (written >= 0 && written != (ssize_t)size)
        errno = ENOSPC; /* a part was written */
    enum fl_status st = fl_file_error_write(err, guard->log_path, size);
    if (before >= 0 && ftruncate(guard->fd, before))
        fl_error_set(err, FL_ERR_IO, "%s: an unfinished line could not be taken back: %m", guard->log_path);
    return st;
}

enum fl_status fl_guard_revoke(struct fl_guard *guard, const struct fl_revocation_row *row,
                               struct fl_error *err)
{
    char key[2 * FL_DIGEST_SIZE + 1], when[TIME_BYTES] = "-", check[2 * CHECK_BYTES + 1], line[LINE_BYTES];
    time_t now = time(NULL);
    struct tm parts;
    enum fl_status st;

    fl_hex_encode(row->key, FL_DIGEST_SIZE, key);
    if (gmtime_r(&now, &parts))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    int size = snprintf(line, sizeof line, "revoked %s %s %s", row->client, key, when);
    hex_digest((struct fl_bytes){(const uint8_t *)line, (size_t)size}, CHECK_BYTES, check);
    size += snprintf(line + size, sizeof line - (size_t)size, " %s\n", check);
    st = append(guard, line, (size_t)size, err);
    return !st && remember(guard, row) ? fl_error_nomem(err) : st;
}

/* --- the mark --- */

static enum fl_status bad_mark(const struct fl_guard *guard, struct fl_error *err)
{
    return fl_error_set(
        err, FL_ERR_CORRUPT,
        "%s: damaged, so that a restored backup could not be told from the newest state; if the "
        "database is a backup, remove this file and run: fl-server restore; if it is the newest, "
        "remove this file",
        guard->mark_path);
}

/* "WORD NUMBER" and the end of the line, at *at, which moves behind it. */
static int read_number(const char **at, const char *word, uint64_t *ret_value)
{
    size_t size = strlen(word);
    const char *end = strchr(*at, '\n');

    if (!end || strncmp(*at, word, size) ||
        fl_number_parse(*at + size, (size_t)(end - *at) - size, ret_value))
        return 0;
    *at = end + 1;
    return 1;
}

static enum fl_status load_mark(struct fl_guard *guard, struct fl_error *err)
{
    static const char head[] = "residue mark 1\n";
    char hex[2 * FL_DIGEST_SIZE + 1];
    struct fl_buf file;
    enum fl_status st;

    fl_buf_init(&file, MARK_BYTES);
    st = fl_file_read(guard->mark_path, &file, err);
    if (st) {
        fl_buf_done(&file);
        return st == FL_ERR_NOT_FOUND ? FL_OK : st == FL_ERR_LIMIT ? bad_mark(guard, err) : st;
    }
    st = fl_buf_append(&file, "", 1) ? bad_mark(guard, err) : FL_OK;
    const char *text = (const char *)file.data, *at = text;
    if (!st && (strncmp(at, head, sizeof head - 1) != 0))
        st = bad_mark(guard, err);
    if (!st) {
        at += sizeof head - 1;
        if (!read_number(&at, "stamp ", &guard->marked) ||
            !read_number(&at, "revocations ", &guard->marked_rows))
            st = bad_mark(guard, err);
    }
    if (!st) {
        hex_digest((struct fl_bytes){file.data, (size_t)(at - text)}, FL_DIGEST_SIZE, hex);
        if (strncmp(at, "sha256 ", 7) || strncmp(at + 7, hex, sizeof hex - 1) ||
            strcmp(at + 7 + sizeof hex - 1, "\n"))
            st = bad_mark(guard, err);
    }
    fl_buf_done(&file);
    return st;
}

uint64_t fl_guard_marked(const struct fl_guard *guard)
{
    return guard->marked;
}

enum fl_status fl_guard_mark(struct fl_guard *guard, uint64_t stamp, struct fl_error *err)
{
    char text[MARK_BYTES], hex[2 * FL_DIGEST_SIZE + 1];
    int size = snprintf(text, sizeof text, "residue mark 1\nstamp %llu\nrevocations %zu\n",
                        (unsigned long long)stamp, guard->count);

    hex_digest((struct fl_bytes){(const uint8_t *)text, (size_t)size}, FL_DIGEST_SIZE, hex);
    snprintf(text + size, sizeof text - (size_t)size, "sha256 %s\n", hex);
    enum fl_status st = fl_file_write_atomic(guard->mark_path, fl_bytes_from_text(text), FL_FILE_SECRET, err);
    if (!st)
        guard->marked = stamp;
    return st;
}

/* --- open and close --- */

enum fl_status fl_guard_read(const char *dir, struct fl_error *err, struct fl_guard **ret_guard)
{
    struct fl_guard *guard = calloc(1, sizeof *guard);
    enum fl_status st;

    if (!guard)
        return fl_error_nomem(err);
    guard->fd = -1;
    if ((st = fl_path_join(dir, LOG_NAME, guard->log_path, err)) ||
        (st = fl_path_join(dir, MARK_NAME, guard->mark_path, err)) || (st = load_mark(guard, err)) ||
        (st = load_log(guard, err)))
        goto out;
    if (guard->count < guard->marked_rows)
        st = fl_error_set(
            err, FL_ERR_CORRUPT,
            "%s: %zu lines, but %llu clients had been revoked; put the file back from a copy, or "
            "remove %s, start the server and revoke again whom the missing lines were about",
            guard->log_path, guard->count, (unsigned long long)guard->marked_rows, guard->mark_path);
out:
    if (st)
        fl_guard_close(guard);
    else
        *ret_guard = guard;
    return st;
}

enum fl_status fl_guard_open(const char *dir, struct fl_error *err, struct fl_guard **ret_guard)
{
    struct fl_guard *guard;
    enum fl_status st = fl_guard_read(dir, err, &guard);

    if (st)
        return st;
    st = begin_log(guard, err);
    if (st)
        fl_guard_close(guard);
    else
        *ret_guard = guard;
    return st;
}

size_t fl_guard_count(const struct fl_guard *guard)
{
    return guard->count;
}

void fl_guard_close(struct fl_guard *guard)
{
    if (!guard)
        return;
    if (guard->fd >= 0)
        close(guard->fd);
    free(guard->rows);
    free(guard);
}
