/*
 * The routes of the server: how a method and a path become a route with its parameters, and back. The table
 * in protocol/README.md says what each one takes and answers.
 */
#ifndef FL_PROTOCOL_ROUTES_H
#define FL_PROTOCOL_ROUTES_H

#include <stdint.h>

#include "base/status.h"
#include "protocol/limits.h"

enum fl_route_kind {
    FL_ROUTE_HEALTH,    /* GET  /v1/health                      no certificate needed */
    FL_ROUTE_AUTHORITY, /* GET  /v1/authority                   no certificate needed: root certificate */
    FL_ROUTE_ENROLL,    /* POST /v1/enroll                      no certificate needed */
    FL_ROUTE_RENEW,     /* POST /v1/renew                       an expired certificate will do */
    FL_ROUTE_RUN_LIST,  /* GET  /v1/runs */
    FL_ROUTE_RUN,       /* GET  /v1/runs/{run} */
    FL_ROUTE_WORK,      /* GET  /v1/runs/{run}/work?have=V&wait=MS   both may be left out */
    FL_ROUTE_MODEL,     /* GET  /v1/runs/{run}/model?have=V     have may be left out: snapshot */
    FL_ROUTE_UPDATE,    /* PUT  /v1/runs/{run}/updates/{seq}?epoch=E   may be left out */
    FL_ROUTE_RECEIPT,   /* PUT  /v1/runs/{run}/receipt */
};

/* Query parameters: a version (fl_version_from_text), how many milliseconds the answer may be held back, and
 * the epoch that a client with an update of an earlier one has gone on to. */
#define FL_QUERY_HAVE  "have"
#define FL_QUERY_WAIT  "wait"
#define FL_QUERY_EPOCH "epoch"

/* Content-Type of messages, and what Accept must name to get one instead of JSON. */
#define FL_MEDIA_MSGPACK "application/msgpack"
#define FL_MEDIA_JSON    "application/json"

struct fl_route {
    enum fl_route_kind kind;
    char run[FL_LIMIT_NAME_BYTES + 1]; /* empty where the route has none */
    uint64_t seq;                      /* FL_ROUTE_UPDATE */
};

/* path without query. FL_ERR_NOT_FOUND: no such path; FL_ERR_STATE: the path exists with another method;
 * FL_ERR_VERSION: the path starts with another /vN; FL_ERR_FORMAT: a bad run name or sequence number. */
FL_MUST_CHECK enum fl_status fl_route_parse(const char *method, const char *path, struct fl_route *ret_route);

/* The path of a route, e.g. "/v1/runs/digits/updates/7", into text[FL_ROUTE_TEXT_BYTES]. run must be a valid
 * name where the route has one. */
#define FL_ROUTE_TEXT_BYTES 128
void fl_route_to_text(const struct fl_route *route, char text[FL_ROUTE_TEXT_BYTES]);

/* 1 when the name is 1 to FL_LIMIT_NAME_BYTES of a-z A-Z 0-9 . _ - and does not start with a dot. */
int fl_name_valid(const char *name);

#endif
