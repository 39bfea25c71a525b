/*
 * The operator's side: JSON over HTTP on a Unix socket, with a bearer token. Routes:
 *     POST /v1/tokens                 {"uses", "ttl_ms"}          200 {"token"}
 *     GET  /v1/clients                                            200 {"clients"}
 *     POST /v1/clients/{id}/revoke                                200 {"revoked"}; {id}: or its beginning
 *     GET  /v1/runs                                               200 {"runs"}
 *     POST /v1/runs                   {"spec": YAML text, "initial_model"}   200 {"runs": [it]}; (*)
 *     GET  /v1/runs/{run}?since=N     rounds from N on            200 {"runs": [it], "rounds"}
 *     POST /v1/runs/{run}/stop                                    200 {"runs": [it]}
 *     GET  /v1/runs/{run}/model                                   200 the newest model, a msgpack snapshot
 * (*) initial_model may be left out: absolute path of a .safetensors file, which the server reads itself.
 */
#ifndef FL_SERVER_PORT_ADMIN_H
#define FL_SERVER_PORT_ADMIN_H

#include "server/port/http_mhd.h"
#include "server/port/loop.h"

#define FL_ADMIN_SOCKET      "admin.sock"  /* in the state folder */
#define FL_ADMIN_TOKEN       "admin.token" /* in the state folder, 0600: hexadecimal digits */
#define FL_ADMIN_TOKEN_BYTES 64

struct fl_admin {
    struct fl_loop *loop;
    char token[FL_ADMIN_TOKEN_BYTES + 1];
};

/* The handler for a listener; admin must outlive it. */
struct fl_http_handler fl_admin_handler(struct fl_admin *admin);

#endif
