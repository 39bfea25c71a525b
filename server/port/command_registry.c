/* `fl-server token create`, `clients list`, `clients revoke`. */
#include <stdio.h>

#include "platform/text.h"
#include "protocol/routes.h"
#include "server/port/command_client.h"

#define PATH_BYTES 256

int fl_command_token_create(const struct fl_command_call *call)
{
    const struct fl_admin_options *options = call->values;
    struct fl_json *json = NULL;
    struct fl_error err;
    uint64_t ttl_ms;
    char text[128];

    enum fl_status st = fl_duration_read(options->ttl, &ttl_ms, &err);
    if (!st) {
        snprintf(text, sizeof(text), "{\"uses\":%llu,\"ttl_ms\":%llu}", (unsigned long long)options->uses,
                 (unsigned long long)ttl_ms);
        struct fl_bytes body = fl_bytes_from_text(text);
        st = fl_command_ask(call, "/v1/tokens", &body, &json, &err);
    }
    if (st)
        return fl_command_fail(call, st, &err);
    if (options->json)
        fl_command_print_json(call, json);
    else
        fprintf(call->out, "%s\n", fl_json_text(json, "token"));
    fl_json_free(json);
    return FL_EXIT_OK;
}

static void time_text(uint64_t wall_ms, char text[FL_TIME_TEXT_BYTES])
{
    if (wall_ms)
        fl_time_to_text((int64_t)(wall_ms / 1000), text);
    else
        snprintf(text, FL_TIME_TEXT_BYTES, "never");
}

static void print_clients(const struct fl_command_call *call, const struct fl_json *clients)
{
    char enrolled[FL_TIME_TEXT_BYTES], seen[FL_TIME_TEXT_BYTES];
    fprintf(call->out, "%-32s  %-16s  %-19s  %-19s  %s\n", "ID", "NAME", "ENROLLED (UTC)", "SEEN (UTC)",
            "STATE");
    for (size_t i = 0; i < fl_json_count(clients); i++) {
        const struct fl_json *client = fl_json_at(clients, i);
        time_text(fl_json_uint(client, "enrolled_ms"), enrolled);
        time_text(fl_json_uint(client, "seen_ms"), seen);
        fprintf(call->out, "%-32s  %-16s  %-19.19s  %-19.19s  %s\n", fl_json_text(client, "id"),
                fl_json_text(client, "name"), enrolled, seen,
                fl_json_bool(client, "revoked") ? "revoked" : "active");
    }
}

int fl_command_clients_list(const struct fl_command_call *call)
{
    const struct fl_admin_options *options = call->values;
    struct fl_json *json = NULL;
    struct fl_error err;
    enum fl_status st = fl_command_ask(call, "/v1/clients", NULL, &json, &err);
    if (st)
        return fl_command_fail(call, st, &err);
    if (options->json)
        fl_command_print_json(call, json);
    else
        print_clients(call, fl_json_get(json, "clients"));
    fl_json_free(json);
    return FL_EXIT_OK;
}

int fl_command_clients_revoke(const struct fl_command_call *call)
{
    const struct fl_admin_options *options = call->values;
    struct fl_bytes body = fl_bytes_from_text("{}");
    struct fl_json *json = NULL;
    struct fl_error err;
    char path[PATH_BYTES];
    enum fl_status st = FL_OK;

    if (!fl_name_valid(call->positional[0]))
        st = fl_error_set(&err, FL_ERR_USAGE, "ID: the id of a client, or its beginning, is wanted");
    if (!st) {
        snprintf(path, sizeof(path), "/v1/clients/%s/revoke", call->positional[0]);
        st = fl_command_ask(call, path, &body, &json, &err);
    }
    if (st)
        return fl_command_fail(call, st, &err);
    if (options->json)
        fl_command_print_json(call, json);
    else
        fprintf(call->out, "revoked: every request of it is refused from now on\n");
    fl_json_free(json);
    return FL_EXIT_OK;
}
