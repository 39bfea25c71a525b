#include "client/port/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "protocol/number.h"

#define STORE_EVERY_S   3600
#define FILE_BYTES      64
#define CHECK_BYTES     4 /* of SHA-256: a damaged time far ahead would lock the client out */
#define LATEST_SECOND_S INT64_C(253402300799) /* the end of year 9999 */

int64_t fl_clock_build_s(void)
{
    return FL_BUILD_TIME_S; /* set by CMakeLists.txt, for this file only */
}

/* "SECONDS CHECK" and the end of the line. */
static void write_text(const struct fl_clock *clock, int64_t time_s, char ret_text[FILE_BYTES])
{
    uint8_t digest[FL_DIGEST_SIZE];
    char check[2 * CHECK_BYTES + 1];
    int size = snprintf(ret_text, FILE_BYTES, "%" PRId64, time_s);

    clock->env->sha256(clock->env->user, fl_bytes_from_text(ret_text), digest);
    fl_hex_encode(digest, CHECK_BYTES, check);
    snprintf(ret_text + size, (size_t)(FILE_BYTES - size), " %s\n", check);
}

/* Files of older programs are without a check. */
static int read_text(const struct fl_clock *clock, struct fl_bytes file, int64_t *ret_time_s)
{
    char again[FILE_BYTES];
    const uint8_t *end = memchr(file.data, ' ', file.size);
    uint64_t stored;

    if (!end)
        end = memchr(file.data, '\n', file.size);
    if (!end || fl_number_parse((const char *)file.data, (size_t)(end - file.data), &stored) ||
        stored > LATEST_SECOND_S)
        return 0;
    write_text(clock, (int64_t)stored, again);
    if (*end == ' ' && !fl_bytes_equal(file, fl_bytes_from_text(again)))
        return 0;
    *ret_time_s = (int64_t)stored;
    return 1;
}

static void load(struct fl_clock *clock)
{
    struct fl_buf file;

    fl_buf_init(&file, FILE_BYTES);
    enum fl_status st = fl_file_read(clock->path, &file, NULL);
    if (!st && file.size && read_text(clock, fl_buf_view(&file), &clock->stored_s))
        clock->seen_s = clock->stored_s;
    else if (st != FL_ERR_NOT_FOUND)
        fl_log(FL_LOG_WARN, "client.clock", "file=%s; cannot be read, the time last seen is not known",
               clock->path);
    fl_buf_done(&file);
}

enum fl_status fl_clock_open(struct fl_clock *ret_clock, const char *state_dir, const struct fl_env *env,
                             struct fl_error *err)
{
    *ret_clock = (struct fl_clock){.env = env, .seen_at_ms = env->monotonic_ms(env->user)};
    enum fl_status st = fl_path_join(state_dir, FL_CLOCK_FILE, ret_clock->path, err);
    if (!st)
        load(ret_clock);
    return st;
}

/* What the server has said, carried on since. */
static int64_t seen_now_s(const struct fl_clock *clock)
{
    uint64_t since_ms = clock->env->monotonic_ms(clock->env->user) - clock->seen_at_ms;
    return clock->seen_s ? clock->seen_s + (int64_t)(since_ms / 1000) : 0;
}

int64_t fl_clock_now_s(const struct fl_clock *clock)
{
    int64_t now_s = clock->env->wall_ms(clock->env->user) / 1000, seen_s = seen_now_s(clock);

    if (now_s < seen_s)
        now_s = seen_s;
    return now_s < fl_clock_build_s() ? fl_clock_build_s() : now_s;
}

const char *fl_clock_source(const struct fl_clock *clock)
{
    int64_t now_s = fl_clock_now_s(clock);

    if (now_s <= clock->env->wall_ms(clock->env->user) / 1000)
        return "the system's clock";
    return now_s <= seen_now_s(clock) ? "the time last seen from the server" : "the time of this build";
}

void fl_clock_saw(struct fl_clock *clock, int64_t date_s)
{
    char text[FILE_BYTES];
    struct fl_error err = {""};

    if (date_s <= seen_now_s(clock) || date_s > LATEST_SECOND_S)
        return;
    clock->seen_s = date_s;
    clock->seen_at_ms = clock->env->monotonic_ms(clock->env->user);
    if (clock->is_read_only || date_s - clock->stored_s < STORE_EVERY_S)
        return;
    write_text(clock, date_s, text);
    if (fl_file_write_atomic(clock->path, fl_bytes_from_text(text), FL_FILE_SECRET, &err))
        fl_log(FL_LOG_WARN, "client.clock", "%s; going on without", err.text);
    clock->stored_s = date_s; /* after a failure too: it is not worth more than one try an hour */
}
