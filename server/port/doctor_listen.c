/* What a server listens on: the port of the clients and the socket of the operator. */
#include "server/port/doctor_parts.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/cert.h"
#include "protocol/limits.h"
#include "server/port/admin_client.h"
#include "server/port/listen.h"

#define TIMEOUT_MS   5000L
#define ANSWER_BYTES ((size_t)16 << 20)

static size_t take(char *data, size_t one, size_t size, void *answer)
{
    return fl_buf_append(answer, data, one * size) ? 0 : size;
}

/* GET /v1/health at port, at the address listened on, as the name of the certificate and under our root. */
static CURLcode ask_health(const struct fl_server_doctor *doctor, unsigned port, struct fl_buf *answer)
{
    const char *at = doctor->config.address;
    const struct fl_buf *root = &doctor->deployment.authority.root_pem;
    struct fl_cert_names names;
    struct curl_blob trust = {.data = root->data, .len = root->size, .flags = CURL_BLOB_COPY};
    char url[FL_CERT_NAME_SIZE + 64], to[FL_CERT_NAME_SIZE];
    int is_v6;
    if (fl_cert_names_read(fl_authority_files_chain(&doctor->deployment.authority), &names, NULL) ||
        !names.count)
        return CURLE_SSL_CERTPROBLEM;
    at = strcmp(at, "0.0.0.0") == 0 ? "127.0.0.1" : strcmp(at, "::") == 0 ? "::1" : at;
    is_v6 = strchr(names.items[0], ':') != NULL;
    snprintf(url, sizeof url, "https://%s%s%s:%u/v1/health", is_v6 ? "[" : "", names.items[0],
             is_v6 ? "]" : "", port);
    snprintf(to, sizeof to, strchr(at, ':') ? "::[%s]:%u" : "::%s:%u", at, port);
    struct curl_slist *hosts = curl_slist_append(NULL, to);
    CURL *curl = curl_easy_init();
    CURLcode code = hosts && curl ? CURLE_OK : CURLE_OUT_OF_MEMORY;
#define SET(option, value)                                                                                   \
    if (!code)                                                                                               \
    code = curl_easy_setopt(curl, option, value)
    SET(CURLOPT_URL, url);
    SET(CURLOPT_CONNECT_TO, hosts);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_CAINFO_BLOB, &trust);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    SET(CURLOPT_WRITEFUNCTION, take);
    SET(CURLOPT_WRITEDATA, answer);
#undef SET
    if (!code)
        code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    curl_slist_free_all(hosts);
    return code;
}

/* As configured, or, where any free one will do, as the running server has told; 0: not known. */
static unsigned find_port(const struct fl_server_doctor *doctor)
{
    char path[FL_PATH_SIZE];
    struct fl_buf text;
    unsigned port = (unsigned)doctor->config.port;
    if (port)
        return port;
    fl_buf_init(&text, 16);
    if (doctor->config.port_file[0])
        snprintf(path, sizeof path, "%s", doctor->config.port_file);
    else if (fl_path_join(doctor->dir, FL_DEPLOYMENT_PORT, path, NULL))
        return 0;
    if (!fl_file_read(path, &text, NULL) && !fl_buf_append(&text, "", 1))
        port = (unsigned)strtoul((const char *)text.data, NULL, 10);
    fl_buf_done(&text);
    return port;
}

static void check_port_of_running(const struct fl_server_doctor *doctor)
{
    struct fl_buf answer;
    unsigned port = find_port(doctor);
    if (!port || !doctor->has_deployment) {
        fl_finding_add(doctor->findings, FL_OUTCOME_NOTE, "port",
                       "which one the server has is told in no file that is here");
        fl_finding_fix(doctor->findings,
                       "if it was started with --port-file or --listen.port: ss -ltnp | grep fl-server");
        return;
    }
    fl_buf_init(&answer, FL_LIMIT_SMALL_BODY_BYTES);
    CURLcode code = ask_health(doctor, port, &answer);
    if (!code && answer.size && memmem(answer.data, answer.size, "\"ok\"", 4)) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "port", "the server is well on %s port %u",
                       doctor->config.address, port);
    } else {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "port",
                       "no fl-server of this authority answers on %s port %u: %s", doctor->config.address,
                       port, code ? curl_easy_strerror(code) : "another answer than that of health");
        fl_finding_fix(doctor->findings,
                       "see who has the port: ss -ltnp 'sport = :%u'; if the server hangs: systemctl restart "
                       "fl-server; if it "
                       "was started with other options, give them in %s",
                       port, doctor->path);
    }
    fl_buf_done(&answer);
}

static void check_port_of_stopped(const struct fl_server_doctor *doctor)
{
    struct fl_error err = {""};
    uint16_t port;
    int fd;
    enum fl_status st =
        fl_listen_tcp(doctor->config.address, (uint16_t)doctor->config.port, &fd, &port, &err);
    if (!st) {
        close(fd);
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "port",
                       doctor->config.port ? "%s port %u is free" : "%s: any free port will do",
                       doctor->config.address, port);
        return;
    }
    fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "port", "%s", err.text);
    if (st == FL_ERR_CONFIG || strstr(err.text, strerror(EADDRNOTAVAIL)))
        fl_finding_fix(doctor->findings,
                       "set listen.address in %s to 0.0.0.0, or to an address that `ip addr` shows",
                       doctor->path);
    else if (strstr(err.text, strerror(EACCES)))
        fl_finding_fix(doctor->findings,
                       "ports below 1024 are for root: set listen.port in %s to 8443, or give the unit "
                       "AmbientCapabilities=CAP_NET_BIND_SERVICE",
                       doctor->path);
    else
        fl_finding_fix(doctor->findings,
                       "see who has it: ss -ltnp 'sport = :%u'; stop that, or set listen.port in %s",
                       (unsigned)doctor->config.port, doctor->path);
}

static void check_operator(const struct fl_server_doctor *doctor)
{
    struct fl_admin_client *client = NULL;
    struct fl_error err = {""};
    struct fl_buf answer;
    fl_buf_init(&answer, ANSWER_BYTES);
    enum fl_status st = fl_admin_client_new(doctor->dir, &client, &err);
    if (!st)
        st = fl_admin_client_call(client, "/v1/runs", NULL, &answer, &err);
    if (!st) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "operator", "%s/" FL_ADMIN_SOCKET " answers",
                       doctor->dir);
    } else {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "operator", "%s", err.text);
        fl_finding_fix(doctor->findings, "%s",
                       st == FL_ERR_AUTH
                           ? "admin.token was replaced while the server ran: systemctl restart fl-server"
                           : "run this as the folder's owner; if the socket was removed or the server hangs: "
                             "systemctl restart fl-server");
    }
    fl_admin_client_free(client);
    fl_buf_done(&answer);
}

void fl_server_doctor_check_listeners(struct fl_server_doctor *doctor)
{
    if (!doctor->is_running) {
        check_port_of_stopped(doctor);
        return;
    }
    check_port_of_running(doctor);
    check_operator(doctor);
}
