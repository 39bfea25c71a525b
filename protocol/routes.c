#include "protocol/routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/number.h"

/* In a pattern `*` stands for a run name and `#` for a sequence number. */
static const struct {
    enum fl_route_kind kind;
    const char *method, *pattern;
} routes[] = {
    {FL_ROUTE_HEALTH, "GET", "/v1/health"},           {FL_ROUTE_AUTHORITY, "GET", "/v1/authority"},
    {FL_ROUTE_ENROLL, "POST", "/v1/enroll"},          {FL_ROUTE_RENEW, "POST", "/v1/renew"},
    {FL_ROUTE_RUN_LIST, "GET", "/v1/runs"},           {FL_ROUTE_RUN, "GET", "/v1/runs/*"},
    {FL_ROUTE_WORK, "GET", "/v1/runs/*/work"},        {FL_ROUTE_MODEL, "GET", "/v1/runs/*/model"},
    {FL_ROUTE_UPDATE, "PUT", "/v1/runs/*/updates/#"}, {FL_ROUTE_RECEIPT, "PUT", "/v1/runs/*/receipt"},
};
#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

/* Whether path has the form of pattern; where the parameters begin and how long they are. */
struct match {
    const char *run, *seq;
    size_t run_size, seq_size;
};

static int path_matches(const char *pattern, const char *path, struct match *ret_match)
{
    *ret_match = (struct match){NULL, NULL, 0, 0};
    for (; *pattern; pattern++) {
        size_t size = strcspn(path, "/");
        if (*pattern == '*') {
            ret_match->run = path;
            ret_match->run_size = size;
            path += size;
        } else if (*pattern == '#') {
            ret_match->seq = path;
            ret_match->seq_size = size;
            path += size;
        } else if (*pattern == *path) {
            path++;
        } else {
            return 0;
        }
    }
    return *path == '\0';
}

/* 1 when path starts with /v and digits other than those of this protocol's version. */
static int other_version(const char *path)
{
    if (strncmp(path, "/v", 2) != 0)
        return 0;
    size_t digits = strspn(path + 2, "0123456789");
    int ends = path[2 + digits] == '/' || path[2 + digits] == '\0';
    return digits > 0 && ends && (digits != 1 || path[2] != '1');
}

static enum fl_status parameters(const struct match *match, struct fl_route *route)
{
    if (match->run) {
        if (match->run_size > FL_LIMIT_NAME_BYTES)
            return FL_ERR_FORMAT;
        memcpy(route->run, match->run, match->run_size);
        if (!fl_name_valid(route->run))
            return FL_ERR_FORMAT;
    }
    if (!match->seq)
        return FL_OK;
    enum fl_status st = fl_number_parse(match->seq, match->seq_size, &route->seq);
    return st == FL_OK && route->seq == 0 ? FL_ERR_FORMAT : st;
}

enum fl_status fl_route_parse(const char *method, const char *path, struct fl_route *ret_route)
{
    struct match match;
    int known_path = 0;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (!path_matches(routes[i].pattern, path, &match))
            continue;
        known_path = 1;
        if (strcmp(method, routes[i].method) != 0)
            continue;
        struct fl_route route = {.kind = routes[i].kind};
        enum fl_status st = parameters(&match, &route);
        if (!st)
            *ret_route = route;
        return st;
    }
    if (known_path)
        return FL_ERR_STATE;
    return other_version(path) ? FL_ERR_VERSION : FL_ERR_NOT_FOUND;
}

void fl_route_to_text(const struct fl_route *route, char text[FL_ROUTE_TEXT_BYTES])
{
    size_t row = 0, size = 0;
    while (row + 1 < ROUTE_COUNT && routes[row].kind != route->kind)
        row++;
    for (const char *pattern = routes[row].pattern; *pattern; pattern++) {
        char *at = text + size;
        size_t room = FL_ROUTE_TEXT_BYTES - size;
        if (*pattern == '*')
            size += (size_t)snprintf(at, room, "%s", route->run);
        else if (*pattern == '#')
            size += (size_t)snprintf(at, room, "%" PRIu64, route->seq);
        else
            size += (size_t)snprintf(at, room, "%c", *pattern);
    }
}

int fl_name_valid(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return size > 0 && size <= FL_LIMIT_NAME_BYTES && name[size] == '\0' && name[0] != '.';
}
