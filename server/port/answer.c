#include "server/port/answer.h"

#include <stdio.h>

#include "protocol/routes.h"
#include "server/port/json.h"

#define RETRY_MS 1000

struct fl_http_answer fl_answer_buf(int http_status, struct fl_buf *buf, const char *content_type)
{
    struct fl_http_answer answer = {.status = http_status, .content_type = content_type};
    if (fl_shared_new(buf, &answer.body)) {
        fl_buf_done(buf);
        answer = (struct fl_http_answer){.status = 503, .retry_after_ms = RETRY_MS};
    }
    return answer;
}

/* limit: 0: none is told. */
static struct fl_http_answer error_with_limit(int http_status, enum fl_status st, const char *text,
                                              const char *hint, size_t limit)
{
    struct fl_buf buf;
    struct fl_json_writer writer;

    fl_buf_init(&buf, FL_LIMIT_SMALL_BODY_BYTES);
    fl_json_writer_init(&writer, &buf);
    fl_json_begin_object(&writer, NULL);
    fl_json_put_text(&writer, "error", fl_status_name(st));
    fl_json_put_text(&writer, "message", text ? text : fl_status_text(st));
    if (hint)
        fl_json_put_text(&writer, "hint", hint);
    if (limit)
        fl_json_put_uint(&writer, "limit_bytes", limit);
    fl_json_end(&writer);
    if (writer.status) {
        fl_buf_done(&buf);
        return (struct fl_http_answer){.status = http_status};
    }
    return fl_answer_buf(http_status, &buf, FL_MEDIA_JSON);
}

struct fl_http_answer fl_answer_error(int http_status, enum fl_status st, const char *text, const char *hint)
{
    return error_with_limit(http_status, st, text, hint, 0);
}

static struct fl_http_answer ask_later(int http_status, const char *text, uint64_t retry_after_ms)
{
    struct fl_http_answer answer =
        fl_answer_error(http_status, FL_ERR_STATE, text, "ask again a little later");
    answer.retry_after_ms = retry_after_ms;
    return answer;
}

struct fl_http_answer fl_answer_unavailable(const char *text, uint64_t retry_after_ms)
{
    return ask_later(503, text, retry_after_ms);
}

struct fl_http_answer fl_answer_too_many(const char *text, uint64_t retry_after_ms)
{
    return ask_later(429, text, retry_after_ms);
}

struct fl_http_answer fl_answer_too_long(size_t limit, const char *setting)
{
    char text[128], hint[128];
    snprintf(text, sizeof(text), "the body is longer than the %zu bytes that this route takes", limit);
    snprintf(hint, sizeof(hint), "the operator may raise %s of the server", setting ? setting : "");
    return error_with_limit(413, FL_ERR_LIMIT, text,
                            setting ? hint : "see protocol/README.md, section 7, for what may be sent",
                            limit);
}

struct fl_http_answer fl_answer_of_reply(const struct fl_reply *reply)
{
    struct fl_http_answer answer = {.status = reply->http_status};
    if (reply->text)
        answer = fl_answer_error(reply->http_status, reply->error, reply->text, reply->hint);
    answer.retry_after_ms = reply->retry_after_ms;
    return answer;
}
