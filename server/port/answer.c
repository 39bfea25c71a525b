#include "server/port/answer.h"

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

struct fl_http_answer fl_answer_error(int http_status, enum fl_status st, const char *text, const char *hint)
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
    fl_json_end(&writer);
    if (writer.status) {
        fl_buf_done(&buf);
        return (struct fl_http_answer){.status = http_status};
    }
    return fl_answer_buf(http_status, &buf, FL_MEDIA_JSON);
}

struct fl_http_answer fl_answer_unavailable(const char *text, uint64_t retry_after_ms)
{
    struct fl_http_answer answer = fl_answer_error(503, FL_ERR_STATE, text, "ask again a little later");
    answer.retry_after_ms = retry_after_ms;
    return answer;
}

struct fl_http_answer fl_answer_body_refused(enum fl_status st)
{
    if (st == FL_ERR_LIMIT)
        return fl_answer_error(413, st, "the body is longer than this route takes",
                               "see protocol/README.md, section 7, and limits.update_bytes of the server");
    return fl_answer_unavailable("the server reads as many bodies as it may at once", RETRY_MS);
}

struct fl_http_answer fl_answer_of_reply(const struct fl_reply *reply)
{
    struct fl_http_answer answer = {.status = reply->http_status};
    if (reply->text)
        answer = fl_answer_error(reply->http_status, reply->error, reply->text, reply->hint);
    answer.retry_after_ms = reply->retry_after_ms;
    return answer;
}
