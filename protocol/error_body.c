#include "protocol/error_body.h"

#include <string.h>

/* The rest of the text; a character past the end is 0, which ends everything. */
struct cursor {
    const uint8_t *at, *end;
};

static int here(const struct cursor *c)
{
    return c->at < c->end ? *c->at : 0;
}

static void skip_space(struct cursor *c)
{
    while (here(c) == ' ' || here(c) == '\t' || here(c) == '\r' || here(c) == '\n')
        c->at++;
}

/* Takes the character, with the white space around it. */
static int take(struct cursor *c, int character)
{
    skip_space(c);
    if (here(c) != character)
        return 0;
    c->at++;
    skip_space(c);
    return 1;
}

/* What stands between two quotes, as it is: names of ours need no escapes. */
static int take_string(struct cursor *c, struct fl_bytes *ret_text)
{
    if (here(c) != '"')
        return 0;
    const uint8_t *from = ++c->at;
    while (here(c) >= ' ' && here(c) != '"')
        c->at += here(c) == '\\' && c->at + 1 < c->end ? 2 : 1;
    if (here(c) != '"')
        return 0;
    *ret_text = (struct fl_bytes){from, (size_t)(c->at++ - from)};
    return 1;
}

static int take_number(struct cursor *c, uint64_t *ret_number)
{
    uint64_t number = 0;
    const uint8_t *from = c->at;
    for (; here(c) >= '0' && here(c) <= '9'; c->at++) {
        uint64_t digit = (uint64_t)(here(c) - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return 0;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return c->at > from;
}

/* Passes over any value: up to the comma or the end of the object that holds it. */
static int skip_value(struct cursor *c)
{
    struct fl_bytes text;
    size_t depth = 0;
    const uint8_t *from = c->at;
    while (here(c) && (depth || (here(c) != ',' && here(c) != '}'))) {
        if (here(c) == '"') {
            if (!take_string(c, &text))
                return 0;
            continue;
        }
        depth += here(c) == '{' || here(c) == '[';
        if (here(c) == '}' || here(c) == ']') {
            if (!depth)
                return 0;
            depth--;
        }
        c->at++;
    }
    return c->at > from;
}

static int is(struct fl_bytes text, const char *expected)
{
    return fl_bytes_equal(text, fl_bytes_from_text(expected));
}

static int take_member(struct cursor *c, struct fl_error_body *body)
{
    struct fl_bytes key, name;
    if (!take_string(c, &key) || !take(c, ':'))
        return 0;
    if (is(key, "error"))
        return take_string(c, &name) && fl_status_find((const char *)name.data, name.size, &body->status);
    if (is(key, "limit_bytes"))
        return take_number(c, &body->limit_bytes);
    return skip_value(c);
}

enum fl_status fl_error_body_read(struct fl_bytes bytes, struct fl_error_body *ret_body)
{
    struct fl_error_body body = {FL_OK, 0};
    if (!bytes.size)
        return FL_ERR_FORMAT;
    struct cursor c = {bytes.data, bytes.data + bytes.size};
    if (!take(&c, '{'))
        return FL_ERR_FORMAT;
    do {
        if (!take_member(&c, &body))
            return FL_ERR_FORMAT;
    } while (take(&c, ','));
    if (!take(&c, '}') || c.at != c.end || !body.status)
        return FL_ERR_FORMAT;
    *ret_body = body;
    return FL_OK;
}
