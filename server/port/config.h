/*
 * Settings of a server: server.yaml, as written by `fl-server init`.
 */
#ifndef FL_SERVER_PORT_CONFIG_H
#define FL_SERVER_PORT_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "platform/error.h"
#include "platform/file.h"
#include "platform/settings.h"

#define FL_SERVER_CONFIG_FILE "server.yaml" /* as `fl-server init` names it */
#define FL_SERVER_SPARE_FILES 128           /* descriptors besides those of connections */

struct fl_server_config {
    char state[FL_PATH_SIZE]; /* folder; "": the one that holds the file */
    char address[64];
    uint64_t port;
    uint64_t threads, connections, strangers, per_address, strangers_per_address;
    uint64_t update_bytes, in_flight_bytes, enrolments_per_minute;
    uint64_t snapshots_kept, snapshots_keep_ms, sum_threads;
    uint64_t handshake_ms, head_ms, body_ms, idle_ms, min_rate;
    int durability;                        /* enum fl_durability */
    int log_level;                         /* enum fl_log_level */
    char client_life[16], server_life[16]; /* of certificates: fl_duration_read() */
    char guard[FL_PATH_SIZE];              /* "": the state folder */
    char port_file[FL_PATH_SIZE];          /* "": server.port in the state folder */
};

enum fl_durability { FL_DURABILITY_FULL, FL_DURABILITY_OFF };

#define FL_SERVER_CONFIG_COUNT 25
extern const struct fl_setting fl_server_config_rows[FL_SERVER_CONFIG_COUNT];

/* What must hold between settings. FL_ERR_CONFIG. */
FL_MUST_CHECK enum fl_status fl_server_config_check(const struct fl_server_config *config,
                                                    struct fl_error *err);

/* The folder that a configuration file means: its setting, taken from the file's folder when relative. */
FL_MUST_CHECK enum fl_status fl_server_config_state(const char *config_path, const char *setting,
                                                    char ret_state[FL_PATH_SIZE], struct fl_error *err);

/* Replaces config->guard by the folder that it means, likewise; "" stays. */
FL_MUST_CHECK enum fl_status fl_server_config_guard(const char *config_path, struct fl_server_config *config,
                                                    struct fl_error *err);

/*
 * Reads the configuration of a server to look at, not to serve: that of config_path, or where that is "" the
 * server.yaml in dir. ret_path is the file, ret_state the folder it means, config->guard as
 * fl_server_config_guard(). Failures of fl_settings_load_file; ret_path and ret_state are then as far as
 * known.
 */
FL_MUST_CHECK enum fl_status fl_server_config_find(const char *dir, const char *config_path,
                                                   char ret_path[FL_PATH_SIZE], char ret_state[FL_PATH_SIZE],
                                                   struct fl_server_config *ret_config, struct fl_error *err);

#endif
