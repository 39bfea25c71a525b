/*
 * The commands of fl-server: the table that main hands to platform/args.h, the structs its rows fill, and the
 * functions behind them.
 */
#ifndef FL_SERVER_PORT_COMMANDS_H
#define FL_SERVER_PORT_COMMANDS_H

#include "platform/args.h"
#include "platform/file.h"

extern const struct fl_program fl_server_program;

struct fl_init_options {
    char hosts[2048];
    char listen[64];
    uint64_t port;
    uint64_t token_uses;
    char token_ttl[16];
    bool json;
};

/* Of every command that speaks to a running server. */
struct fl_admin_options {
    char dir[FL_PATH_SIZE], config[FL_PATH_SIZE];
    bool json;     /* codecs too */
    uint64_t uses; /* token create */
    char ttl[16];
    bool follow;                      /* run status */
    char to[FL_PATH_SIZE];            /* run export */
    char initial_model[FL_PATH_SIZE]; /* run create; "": the seeded rule */
};

int fl_command_init(const struct fl_command_call *call);
int fl_command_serve(const struct fl_command_call *call);
int fl_command_doctor(const struct fl_command_call *call);
int fl_command_restore(const struct fl_command_call *call);
int fl_command_token_create(const struct fl_command_call *call);
int fl_command_clients_list(const struct fl_command_call *call);
int fl_command_clients_revoke(const struct fl_command_call *call);
int fl_command_codecs(const struct fl_command_call *call);
int fl_command_run_create(const struct fl_command_call *call);
int fl_command_run_list(const struct fl_command_call *call);
int fl_command_run_status(const struct fl_command_call *call);
int fl_command_run_stop(const struct fl_command_call *call);
int fl_command_run_export(const struct fl_command_call *call);

/* Says why on call->err; returns the exit code of st. */
int fl_command_fail(const struct fl_command_call *call, enum fl_status st, const struct fl_error *err);

/* "90s", "30m", "24h", "7d" to milliseconds. FL_ERR_USAGE. */
FL_MUST_CHECK enum fl_status fl_duration_read(const char *text, uint64_t *ret_ms, struct fl_error *err);

#endif
