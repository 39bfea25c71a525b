#include "server/port/command_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/port/config.h"

#define ANSWER_BYTES ((size_t)256 << 20)

int fl_command_fail(const struct fl_command_call *call, enum fl_status st, const struct fl_error *err)
{
    fprintf(call->err, "%s %s: %s\n", call->program->name, call->command->words, err->text);
    return (int)fl_exit_code_from_status(st);
}

enum fl_status fl_duration_read(const char *text, uint64_t *ret_ms, struct fl_error *err)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t digits = strspn(text, "0123456789");

    if (digits >= 1 && digits <= 9)
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
            if (!strcmp(text + digits, units[i].unit)) {
                *ret_ms = strtoull(text, NULL, 10) * units[i].ms;
                if (*ret_ms)
                    return FL_OK;
            }
    return fl_error_set(err, FL_ERR_USAGE, "%s: a time like 90s, 30m, 24h or 7d is wanted", text);
}

static enum fl_status find_dir(const struct fl_admin_options *options, char dir[FL_PATH_SIZE],
                               struct fl_error *err)
{
    struct fl_server_config config;
    char path[FL_PATH_SIZE];

    if (options->config[0])
        return fl_server_config_find(options->dir, options->config, path, dir, &config, err);
    memcpy(dir, options->dir, strlen(options->dir) + 1);
    return FL_OK;
}

enum fl_status fl_command_connect(const struct fl_command_call *call, struct fl_admin_client **ret_client,
                                  struct fl_error *err)
{
    char dir[FL_PATH_SIZE];
    enum fl_status st = find_dir(call->values, dir, err);
    return st ? st : fl_admin_client_new(dir, ret_client, err);
}

static enum fl_status ask(struct fl_admin_client *client, const char *path, const struct fl_bytes *body,
                          struct fl_json **ret_json, struct fl_error *err)
{
    struct fl_buf answer;
    fl_buf_init(&answer, ANSWER_BYTES);
    enum fl_status st = fl_admin_client_call(client, path, body, &answer, err);
    if (!st && fl_json_parse(fl_buf_view(&answer), ret_json))
        st = fl_error_set(err, FL_ERR_NETWORK, "the server's answer is not JSON");
    fl_buf_done(&answer);
    return st;
}

enum fl_status fl_command_get(struct fl_admin_client *client, const char *path, struct fl_json **ret_json,
                              struct fl_error *err)
{
    return ask(client, path, NULL, ret_json, err);
}

enum fl_status fl_command_ask(const struct fl_command_call *call, const char *path,
                              const struct fl_bytes *body, struct fl_json **ret_json, struct fl_error *err)
{
    struct fl_admin_client *client = NULL;
    enum fl_status st = fl_command_connect(call, &client, err);
    if (!st)
        st = ask(client, path, body, ret_json, err);
    fl_admin_client_free(client);
    return st;
}

void fl_command_print_json(const struct fl_command_call *call, const struct fl_json *json)
{
    struct fl_buf line;
    fl_buf_init(&line, ANSWER_BYTES);
    if (fl_json_print(json, &line) == FL_OK) {
        fwrite(line.data, 1, line.size, call->out);
        fputc('\n', call->out);
        fflush(call->out);
    }
    fl_buf_done(&line);
}
