#include "server/port/admin_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/file.h"
#include "server/port/admin.h"
#include "server/port/json.h"

#define CONNECT_TIMEOUT_MS 5000L
#define TIMEOUT_MS         600000L
#define URL_BYTES          512

struct fl_admin_client {
    CURL *curl;
    char socket[FL_PATH_SIZE];
    char authorization[32 + FL_ADMIN_TOKEN_BYTES];
};

static enum fl_status read_token(const char *dir, struct fl_admin_client *client, struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    struct fl_buf token;
    enum fl_status st = fl_path_join(dir, FL_ADMIN_TOKEN, path, err);

    fl_buf_init(&token, 2 * FL_ADMIN_TOKEN_BYTES);
    if (!st)
        st = fl_file_read(path, &token, err);
    if (!st && token.size < FL_ADMIN_TOKEN_BYTES)
        st = fl_error_set(err, FL_ERR_CORRUPT, "%s: not an admin token", path);
    if (!st)
        snprintf(client->authorization, sizeof(client->authorization), "Authorization: Bearer %.*s",
                 FL_ADMIN_TOKEN_BYTES, (const char *)token.data);
    fl_buf_done(&token);
    return st;
}

enum fl_status fl_admin_client_new(const char *dir, struct fl_admin_client **ret_client, struct fl_error *err)
{
    struct fl_admin_client *client = calloc(1, sizeof(*client));
    if (!client)
        return fl_error_nomem(err);
    enum fl_status st = fl_path_join(dir, FL_ADMIN_SOCKET, client->socket, err);
    if (!st)
        st = read_token(dir, client, err);
    if (!st && (curl_global_init(CURL_GLOBAL_DEFAULT) || !(client->curl = curl_easy_init())))
        st = fl_error_nomem(err);
    if (st) {
        fl_admin_client_free(client);
        return st;
    }
    *ret_client = client;
    return FL_OK;
}

void fl_admin_client_free(struct fl_admin_client *client)
{
    if (client && client->curl)
        curl_easy_cleanup(client->curl);
    free(client);
}

static size_t on_data(char *data, size_t one, size_t size, void *answer)
{
    return fl_buf_append(answer, data, one * size) ? 0 : size;
}

static enum fl_status read_error(long http_status, const struct fl_buf *answer, struct fl_error *err)
{
    struct fl_json *json = NULL;
    enum fl_status st = FL_ERR_NETWORK;

    if (fl_json_parse(fl_buf_view(answer), &json))
        return fl_error_set(err, st, "the server answered %ld", http_status);
    const char *name = fl_json_text(json, "error");
    (void)fl_status_find(name, strlen(name), &st);
    const char *hint = fl_json_text(json, "hint");
    st = fl_error_set(err, st ? st : FL_ERR_NETWORK, "%s%s%s", fl_json_text(json, "message"),
                      *hint ? "; " : "", hint);
    fl_json_free(json);
    return st;
}

static CURLcode set_options(struct fl_admin_client *client, const char *url, struct curl_slist *headers,
                            const struct fl_bytes *body, struct fl_buf *answer)
{
    CURL *curl = client->curl;
    CURLcode code = CURLE_OK;
    curl_easy_reset(curl);
#define SET(option, value)                                                                                   \
    if (!code)                                                                                               \
    code = curl_easy_setopt(curl, option, value)
    SET(CURLOPT_UNIX_SOCKET_PATH, client->socket);
    SET(CURLOPT_URL, url);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    SET(CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    SET(CURLOPT_WRITEFUNCTION, on_data);
    SET(CURLOPT_WRITEDATA, answer);
    if (body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->size);
        SET(CURLOPT_POSTFIELDS, (const char *)body->data);
    }
#undef SET
    return code;
}

/* One more header; on failure *headers stays as it was. */
static int add_header(struct curl_slist **headers, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*headers, text);
    if (longer)
        *headers = longer;
    return longer != NULL;
}

enum fl_status fl_admin_client_call(struct fl_admin_client *client, const char *path,
                                    const struct fl_bytes *body, struct fl_buf *answer, struct fl_error *err)
{
    struct curl_slist *headers = NULL;
    char url[URL_BYTES];
    long http_status = 0;
    enum fl_status st = FL_OK;

    snprintf(url, sizeof(url), "http://localhost%s", path);
    if (!add_header(&headers, client->authorization) ||
        !add_header(&headers, "Content-Type: application/json") || !add_header(&headers, "Expect:")) {
        st = fl_error_nomem(err);
        goto out;
    }
    CURLcode code = set_options(client, url, headers, body, answer);
    if (!code)
        code = curl_easy_perform(client->curl);
    if (code) {
        st = fl_error_set(err, FL_ERR_NETWORK, "no server answers at %s: %s; is `fl-server serve` running?",
                          client->socket, curl_easy_strerror(code));
        goto out;
    }
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &http_status);
    if (http_status >= 400)
        st = read_error(http_status, answer, err);
out:
    curl_slist_free_all(headers);
    return st;
}
