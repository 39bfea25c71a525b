#include "server/port/config.h"

#include <stdio.h>
#include <string.h>

#include "base/parallel.h"

static const char *const durabilities[] = {"full", "off", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

const struct fl_setting fl_server_config_rows[FL_SERVER_CONFIG_COUNT] = {
    {.key = "state",
     .type = FL_SETTING_STRING,
     FL_SETTING_FIELD(struct fl_server_config, state),
     .help = "folder of the server's state; empty: the folder that holds this file"},
    {.key = "guard",
     .type = FL_SETTING_STRING,
     FL_SETTING_FIELD(struct fl_server_config, guard),
     .help = "folder of revocations.log and state.mark, which no restored backup may bring back; empty: the "
             "state folder. One that backups leave alone is better"},
    {.key = "listen.address",
     .type = FL_SETTING_STRING,
     FL_SETTING_FIELD(struct fl_server_config, address),
     .def = "0.0.0.0",
     .help = "IPv4 or IPv6 address that clients reach"},
    {.key = "listen.port",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, port),
     .max = 65535,
     .def = "8443",
     .help = "TCP port; 0: a free one, told in server.port"},
    {.key = "listen.threads",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, threads),
     .min = 1,
     .max = 256,
     .def = "4",
     .help = "threads that read and write HTTP"},
    {.key = "listen.connections",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, connections),
     .min = 16,
     .max = 65536,
     .def = "4096",
     .unit = "connections",
     .help = "connections that may be open at once"},
    {.key = "listen.strangers",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, strangers),
     .min = 1,
     .max = 65535,
     .def = "512",
     .unit = "connections",
     .help = "of these may have shown no client certificate; below listen.connections"},
    {.key = "listen.per_address",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, per_address),
     .min = 1,
     .max = 65536,
     .def = "2048",
     .unit = "connections",
     .help = "may come from one IPv4 address or IPv6 /64 network; a proxy or NAT is one address"},
    {.key = "listen.strangers_per_address",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, strangers_per_address),
     .min = 1,
     .max = 65536,
     .def = "256",
     .unit = "connections",
     .help = "of these may have shown no client certificate"},
    {.key = "limits.update_bytes",
     .type = FL_SETTING_SIZE,
     FL_SETTING_FIELD(struct fl_server_config, update_bytes),
     .min = 65536,
     .max = 2147483648.0,
     .def = "256MiB",
     .unit = "bytes",
     .help = "longest body of an update; dense models need 5 bytes a parameter"},
    {.key = "limits.in_flight_bytes",
     .type = FL_SETTING_SIZE,
     FL_SETTING_FIELD(struct fl_server_config, in_flight_bytes),
     .min = 1048576,
     .max = 1099511627776.0,
     .def = "1GiB",
     .unit = "bytes",
     .help = "memory for bodies that are being read; beyond it clients are asked to come back"},
    {.key = "limits.enrolments_per_minute",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, enrolments_per_minute),
     .min = 1,
     .max = 1000000,
     .def = "600",
     .unit = "attempts",
     .help = "to enrol from one address, so many at once; beyond them clients are asked to come back"},
    {.key = "timeouts.handshake_ms",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, handshake_ms),
     .min = 100,
     .max = 600000,
     .def = "10000",
     .unit = "milliseconds",
     .help = "within which a TLS handshake must be over"},
    {.key = "timeouts.head_ms",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, head_ms),
     .min = 100,
     .max = 600000,
     .def = "10000",
     .unit = "milliseconds",
     .help = "within which the head of a request must arrive"},
    {.key = "timeouts.body_ms",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, body_ms),
     .min = 100,
     .max = 600000,
     .def = "30000",
     .unit = "milliseconds",
     .help = "that a body may stall; with timeouts.min_rate it bounds how long one takes, either way"},
    {.key = "timeouts.min_rate",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, min_rate),
     .min = 1,
     .max = 1073741824,
     .def = "1024",
     .unit = "bytes a second",
     .help = "least rate of a body: it may take timeouts.body_ms and its bytes at this rate"},
    {.key = "timeouts.idle_ms",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, idle_ms),
     .min = 1000,
     .max = 3600000,
     .def = "120000",
     .unit = "milliseconds",
     .help = "that a connection may stay open between two requests"},
    {.key = "sum.threads",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, sum_threads),
     .min = 1,
     .max = FL_PARALLEL_MAX,
     .def = "1",
     .help = "threads that add up the updates of a round; more pay where updates have tens of thousands of "
             "coordinates and cores have nothing else to do"},
    {.key = "snapshots.kept",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, snapshots_kept),
     .min = 2,
     .max = 64,
     .def = "2",
     .unit = "versions",
     .help =
         "of each run, that are kept while they are downloaded, besides the newest; each takes 16 bytes a "
         "parameter of the disk"},
    {.key = "snapshots.keep_ms",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, snapshots_keep_ms),
     .min = 1000,
     .max = 604800000,
     .def = "3600000",
     .unit = "milliseconds",
     .help = "that a download of a snapshot has at least, before a newer version takes its place"},
    {.key = "store.durability",
     .type = FL_SETTING_CHOICE,
     FL_SETTING_FIELD(struct fl_server_config, durability),
     .choices = durabilities,
     .help =
         "off: nothing is synced to disk, and a power cut may lose accepted updates; for measurements only"},
    {.key = "log.level",
     .type = FL_SETTING_CHOICE,
     FL_SETTING_FIELD(struct fl_server_config, log_level),
     .choices = levels,
     .def = "info",
     .help = "least level that is written"},
    {.key = "certificates.client_life",
     .type = FL_SETTING_STRING,
     FL_SETTING_FIELD(struct fl_server_config, client_life),
     .def = "365d",
     .help = "life of a client's certificate: 90s, 30m, 24h, 365d; clients renew at a third of it"},
    {.key = "certificates.server_life",
     .type = FL_SETTING_STRING,
     FL_SETTING_FIELD(struct fl_server_config, server_life),
     .def = "825d",
     .help = "life of the server's own certificate, which the server renews by itself at a third of it"},
    {.key = "listen.port_file",
     .type = FL_SETTING_STRING,
     FL_SETTING_FIELD(struct fl_server_config, port_file),
     .option = "port-file",
     .help = "file to write the port to; empty: server.port in the state folder"},
};

enum fl_status fl_server_config_check(const struct fl_server_config *config, struct fl_error *err)
{
    if (config->strangers >= config->connections)
        return fl_error_set(err, FL_ERR_CONFIG,
                            "listen.strangers: %llu must be below listen.connections (%llu), so that "
                            "strangers cannot shut enrolled clients out",
                            (unsigned long long)config->strangers, (unsigned long long)config->connections);
    if (config->update_bytes > config->in_flight_bytes)
        return fl_error_set(
            err, FL_ERR_CONFIG, "limits.update_bytes: %llu must not be above limits.in_flight_bytes (%llu)",
            (unsigned long long)config->update_bytes, (unsigned long long)config->in_flight_bytes);
    return FL_OK;
}

enum fl_status fl_server_config_state(const char *config_path, const char *setting,
                                      char ret_state[FL_PATH_SIZE], struct fl_error *err)
{
    char folder[FL_PATH_SIZE];
    enum fl_status st = fl_path_parent(config_path, folder, err);
    if (st)
        return st;
    if (!setting[0])
        memcpy(ret_state, folder, strlen(folder) + 1);
    else if (setting[0] == '/')
        memcpy(ret_state, setting, strlen(setting) + 1);
    else
        st = fl_path_join(folder, setting, ret_state, err);
    return st;
}

enum fl_status fl_server_config_guard(const char *config_path, struct fl_server_config *config,
                                      struct fl_error *err)
{
    char folder[FL_PATH_SIZE];

    if (!config->guard[0])
        return FL_OK;
    enum fl_status st = fl_server_config_state(config_path, config->guard, folder, err);
    if (!st)
        memcpy(config->guard, folder, strlen(folder) + 1);
    return st;
}

enum fl_status fl_server_config_find(const char *dir, const char *config_path, char ret_path[FL_PATH_SIZE],
                                     char ret_state[FL_PATH_SIZE], struct fl_server_config *ret_config,
                                     struct fl_error *err)
{
    struct fl_settings settings;
    enum fl_status st =
        fl_settings_init(&settings, fl_server_config_rows, FL_SERVER_CONFIG_COUNT, ret_config, err);

    if (!st && config_path[0])
        memcpy(ret_path, config_path, strlen(config_path) + 1);
    else if (!st)
        st = fl_path_join(dir, FL_SERVER_CONFIG_FILE, ret_path, err);
    if (!st)
        st = fl_settings_load_file(&settings, ret_path, err);
    if (!st)
        st = fl_server_config_guard(ret_path, ret_config, err);
    return st ? st : fl_server_config_state(ret_path, ret_config->state, ret_state, err);
}
