/*
 * Answers that both listeners give: errors as JSON, and small texts.
 */
#ifndef FL_SERVER_PORT_ANSWER_H
#define FL_SERVER_PORT_ANSWER_H

#include "server/core/server.h"
#include "server/port/http_mhd.h"

/* {"error","message","hint"}; text NULL: the sentence of st; hint may be NULL. Without memory the body is
 * missing. */
struct fl_http_answer fl_answer_error(int http_status, enum fl_status st, const char *text, const char *hint);

/* 503 with Retry-After. */
struct fl_http_answer fl_answer_unavailable(const char *text, uint64_t retry_after_ms);

/* 429 with Retry-After: of this there has been enough for now. */
struct fl_http_answer fl_answer_too_many(const char *text, uint64_t retry_after_ms);

/* 413 for a body longer than limit bytes, with the limit; setting: that it comes from, NULL: none. */
struct fl_http_answer fl_answer_too_long(size_t limit, const char *setting);

/* The core's error or empty answer; the body of others is the caller's affair. */
struct fl_http_answer fl_answer_of_reply(const struct fl_reply *reply);

/* 200 with the content of buf (left empty); 503 without memory. */
struct fl_http_answer fl_answer_buf(int http_status, struct fl_buf *buf, const char *content_type);

#endif
