/* `fl-server init`. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/crypto.h"
#include "server/port/commands.h"
#include "server/port/config.h"
#include "server/port/deployment.h"
#include "server/port/json.h"

#define CONFIG_BYTES ((size_t)64 << 10)
#define CONFIG_MODE  0644

/* The one call of init: the first token. */
struct token_call {
    struct fl_loop_call call; /* first: the loop gives it back */
    char token[FL_LIMIT_TOKEN_BYTES + 1];
};

static void on_collect(struct fl_loop_call *loop_call, const struct fl_reply *reply)
{
    struct token_call *call = (struct token_call *)(void *)loop_call;
    if (reply->token)
        snprintf(call->token, sizeof(call->token), "%s", reply->token);
}

static void on_release(struct fl_loop_call *loop_call, enum fl_loop_outcome outcome)
{
    struct token_call *call = (struct token_call *)(void *)loop_call;
    if (outcome == FL_LOOP_UNAVAILABLE)
        call->token[0] = 0;
}

static enum fl_status make_token(struct fl_deployment *deployment, uint64_t uses, uint64_t ttl_ms,
                                 struct token_call *call, struct fl_error *err)
{
    struct fl_loop_config config = fl_deployment_loop(deployment, 1);
    *call = (struct token_call){.call = {.collect = on_collect, .release = on_release}};
    call->call.request.kind = FL_REQUEST_TOKEN_CREATE;
    call->call.request.token_uses = uses;
    call->call.request.token_ttl_ms = ttl_ms;
    enum fl_status st = fl_loop_once(&config, &call->call, err);
    if (!st && !call->token[0])
        st = fl_error_set(err, FL_ERR_IO, "the first token could not be stored");
    return st;
}

/* Cuts "a,b,c" apart, in place. */
static enum fl_status split_hosts(char *hosts, const char *names[FL_AUTHORITY_NAMES_MAX], size_t *ret_count,
                                  struct fl_error *err)
{
    size_t count = 0;
    char *rest = hosts;
    for (char *name = strtok_r(hosts, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest)) {
        if (count == FL_AUTHORITY_NAMES_MAX)
            return fl_error_set(err, FL_ERR_USAGE, "--host: at most %d names", FL_AUTHORITY_NAMES_MAX);
        names[count++] = name;
    }
    if (!count)
        return fl_error_set(err, FL_ERR_USAGE, "--host: at least one name or address is wanted");
    *ret_count = count;
    return FL_OK;
}

static int is_loopback(const char *name)
{
    return !strcmp(name, "localhost") || !strncmp(name, "127.", 4) || !strcmp(name, "::1");
}

static const char *listen_address(const struct fl_init_options *options, const char *const *names,
                                  size_t count)
{
    if (options->listen[0])
        return options->listen;
    for (size_t i = 0; i < count; i++)
        if (!is_loopback(names[i]))
            return "0.0.0.0";
    return "127.0.0.1";
}

/* Every setting with its default but those asked for. */
static enum fl_status write_config(const char *dir, const char *address, uint64_t port, struct fl_error *err)
{
    struct fl_settings settings;
    struct fl_server_config config;
    char path[FL_PATH_SIZE], *text = NULL;
    size_t size = 0;
    enum fl_status st = fl_path_join(dir, FL_SERVER_CONFIG_FILE, path, err);

    if (!st)
        st = fl_settings_init(&settings, fl_server_config_rows, FL_SERVER_CONFIG_COUNT, &config, err);
    if (st)
        return st;
    snprintf(config.address, sizeof(config.address), "%s", address);
    config.port = port;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return fl_error_nomem(err);
    fl_settings_print_yaml(&settings, out);
    if (fclose(out))
        st = fl_error_nomem(err);
    if (!st)
        st = fl_file_write_atomic(path, (struct fl_bytes){(const uint8_t *)text, size}, CONFIG_MODE, err);
    free(text);
    return st;
}

static void print_result(const struct fl_command_call *call, const struct fl_init_options *options,
                         const char *fingerprint, const char *token)
{
    const char *dir = call->positional[0];
    struct fl_buf json;
    struct fl_json_writer writer;

    if (!options->json) {
        fprintf(call->out,
                "server folder     %s\nconfiguration     %s/" FL_SERVER_CONFIG_FILE "\n"
                "CA fingerprint    %s\nenrolment token   %s\n"
                "token             good for %llu client(s) within %s; more: fl-server token create\n\n"
                "Start the server:  fl-server serve --config %s/" FL_SERVER_CONFIG_FILE "\n"
                "Enrol a client:    fl-client enroll --server https://HOST:PORT --token TOKEN "
                "--ca-fingerprint FINGERPRINT --state DIR\n",
                dir, dir, fingerprint, token, (unsigned long long)options->token_uses, options->token_ttl,
                dir);
        return;
    }
    fl_buf_init(&json, CONFIG_BYTES);
    fl_json_writer_init(&writer, &json);
    fl_json_begin_object(&writer, NULL);
    fl_json_put_text(&writer, "dir", dir);
    fl_json_put_text(&writer, "ca_fingerprint", fingerprint);
    fl_json_put_text(&writer, "token", token);
    fl_json_put_uint(&writer, "port", options->port);
    fl_json_end(&writer);
    fprintf(call->out, "%.*s\n", (int)json.size, json.data ? (const char *)json.data : "");
    fl_buf_done(&json);
}

int fl_command_init(const struct fl_command_call *call)
{
    struct fl_init_options *options = call->values;
    const char *names[FL_AUTHORITY_NAMES_MAX], *dir = call->positional[0];
    struct fl_deployment deployment;
    struct token_call token;
    char hosts[sizeof(options->hosts)], fingerprint[2 * FL_DIGEST_SIZE + 1];
    size_t count = 0;
    uint64_t ttl_ms = 0;
    struct fl_error err;
    int is_made = 0, is_open = 0;

    memcpy(hosts, options->hosts, sizeof(hosts));
    enum fl_status st = split_hosts(hosts, names, &count, &err);
    if (!st)
        st = fl_duration_read(options->token_ttl, &ttl_ms, &err);
    if (!st)
        st = fl_deployment_create(dir, names, count, &err);
    is_made = !st;
    if (!st)
        st = fl_deployment_open(dir, "", &deployment, &err);
    is_open = !st;
    if (!st)
        st = make_token(&deployment, options->token_uses, ttl_ms, &token, &err);
    if (!st)
        st = write_config(dir, listen_address(options, names, count), options->port, &err);
    if (!st) {
        fl_hex_encode(deployment.authority.fingerprint, FL_DIGEST_SIZE, fingerprint);
        print_result(call, options, fingerprint, token.token);
    }
    if (is_open)
        fl_deployment_close(&deployment);
    if (st && is_made)
        fl_deployment_discard(dir);
    return st ? fl_command_fail(call, st, &err) : FL_EXIT_OK;
}
