/*
 * What the commands that ask a running server have in common: finding it, asking, printing bytes and times.
 */
#ifndef FL_SERVER_PORT_COMMAND_CLIENT_H
#define FL_SERVER_PORT_COMMAND_CLIENT_H

#include "server/port/admin_client.h"
#include "server/port/commands.h"
#include "server/port/json.h"

/* A client of the server that call's --dir or --config names. */
FL_MUST_CHECK enum fl_status fl_command_connect(const struct fl_command_call *call,
                                                struct fl_admin_client **ret_client, struct fl_error *err);

/* One question: connects, calls, parses. body NULL: GET. *ret_json is freed by the caller. */
FL_MUST_CHECK enum fl_status fl_command_ask(const struct fl_command_call *call, const char *path,
                                            const struct fl_bytes *body, struct fl_json **ret_json,
                                            struct fl_error *err);

/* The same with a client that is there. */
FL_MUST_CHECK enum fl_status fl_command_get(struct fl_admin_client *client, const char *path,
                                            struct fl_json **ret_json, struct fl_error *err);

/* A line of JSON on call->out. */
void fl_command_print_json(const struct fl_command_call *call, const struct fl_json *json);

#endif
