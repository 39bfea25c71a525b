#include "server/port/config.h"

#include <stdio.h>
#include <string.h>

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

const struct fl_setting fl_server_config_rows[FL_SERVER_CONFIG_COUNT] = {
    {.key = "state",
     .type = FL_SETTING_STRING,
     FL_SETTING_FIELD(struct fl_server_config, state),
     .help = "folder of the server's state; empty: the folder that holds this file"},
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
     .min = 256,
     .max = 65536,
     .def = "4096",
     .unit = "connections",
     .help = "connections that may be open at once"},
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
    {.key = "timeouts.head_ms",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, head_ms),
     .min = 100,
     .max = 600000,
     .def = "30000",
     .unit = "milliseconds",
     .help = "within which handshake and request head must arrive; bodies get this and 1 s for each 4 KiB"},
    {.key = "timeouts.idle_ms",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct fl_server_config, idle_ms),
     .min = 1000,
     .max = 3600000,
     .def = "120000",
     .unit = "milliseconds",
     .help = "that a connection may stay open between two requests"},
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
