#include "server/port/certificate_watch.h"

#include "base/log.h"
#include "server/port/commands.h"

#define LOOK_MAX_S    60
#define RETRY_S       300 /* after a renewal that failed */
#define WARN_EVERY_S  FL_AUTHORITY_DAY_S
#define LOG_COMPONENT "server.authority"
#define DAYS(seconds) ((long long)((seconds) / FL_AUTHORITY_DAY_S))

static enum fl_status read_life(const char *key, const char *text, int64_t *ret_s, struct fl_error *err)
{
    uint64_t ms;
    enum fl_status st = fl_duration_read(text, &ms, err);

    if (st)
        return fl_error_set(err, FL_ERR_CONFIG, "%s: %s", key, err->text);
    if (ms / 1000 > (uint64_t)FL_AUTHORITY_LIFE_MAX_S)
        return fl_error_set(err, FL_ERR_CONFIG, "%s: %s is more than %lldd", key, text,
                            DAYS(FL_AUTHORITY_LIFE_MAX_S));
    *ret_s = (int64_t)(ms / 1000);
    return FL_OK;
}

enum fl_status fl_certificate_watch_lives(struct fl_certificate_watch *watch, const char *client_life,
                                          const char *server_life, struct fl_error *err)
{
    enum fl_status st = read_life("certificates.client_life", client_life, &watch->files->client_life_s, err);
    return st ? st : read_life("certificates.server_life", server_life, &watch->files->server_life_s, err);
}

static void renew(struct fl_certificate_watch *watch, struct fl_tls *tls, int64_t now_s)
{
    struct fl_authority_files *files = watch->files;
    struct fl_error err = {""};
    int renewed = 0;

    if (now_s < watch->retry_s)
        return;
    enum fl_status st = fl_authority_files_renew(files, now_s, &renewed, &err);
    if (!st && renewed && tls)
        st = fl_tls_reload(tls, fl_authority_files_chain(files), fl_authority_files_key(files),
                           fl_buf_view(&files->trust_pem), &err);
    if (st) {
        watch->retry_s = now_s + RETRY_S;
        fl_log(
            FL_LOG_ERROR, LOG_COMPONENT,
            "status=%s days_left=%lld; the server's certificate could not be renewed, trying again in %d s: "
            "%s",
            fl_status_name(st), DAYS(files->server.not_after_s - now_s), RETRY_S, err.text);
    } else if (renewed) {
        fl_log(FL_LOG_INFO, LOG_COMPONENT, "days_left=%lld; the server's certificate is renewed",
               DAYS(files->server.not_after_s - now_s));
    }
}

static void warn(const char *name, const struct fl_cert_info *info, int64_t now_s)
{
    if (info->not_after_s - now_s < (int64_t)FL_AUTHORITY_WARN_DAYS * FL_AUTHORITY_DAY_S)
        fl_log(FL_LOG_WARN, LOG_COMPONENT,
               "authority=%s days_left=%lld; no certificate outlives it: make a new folder with `fl-server "
               "init` before it ends, and enrol the clients there",
               name, DAYS(info->not_after_s - now_s));
}

int fl_certificate_watch_look(struct fl_certificate_watch *watch, struct fl_tls *tls, int64_t now_s)
{
    renew(watch, tls, now_s);
    if (now_s >= watch->warn_s) {
        watch->warn_s = now_s + WARN_EVERY_S;
        warn("root", &watch->files->root, now_s);
        warn("issuing", &watch->files->issuer, now_s);
    }
    int64_t wait_s = fl_authority_files_due_s(watch->files) - now_s;
    return (int)(wait_s < 1 || wait_s > LOOK_MAX_S ? LOOK_MAX_S : wait_s) * 1000;
}
