/* Keys, secrets and certificates of the deployment. */
#include "server/port/doctor_parts.h"

#include <string.h>
#include <sys/stat.h>

#include "platform/cert.h"
#include "platform/checks.h"
#include "server/port/certificate_watch.h"

/* 1 when all that must be there can be read. */
static int check_modes(const struct fl_server_doctor *doctor)
{
    static const struct {
        const char *name;
        mode_t closed;
        int may_be_missing;
    } files[] = {{FL_DEPLOYMENT_AUTHORITY "/root.pem", 0022, 0},
                 {FL_DEPLOYMENT_AUTHORITY "/root.key", 0077, 1},
                 {FL_DEPLOYMENT_AUTHORITY "/issuing.pem", 0022, 0},
                 {FL_DEPLOYMENT_AUTHORITY "/issuing.key", 0077, 0},
                 {FL_DEPLOYMENT_AUTHORITY "/server.pem", 0022, 0},
                 {FL_DEPLOYMENT_AUTHORITY "/server.key", 0077, 0},
                 {FL_DEPLOYMENT_RECEIPTS, 0077, 0},
                 {FL_ADMIN_TOKEN, 0077, 0},
                 {FL_DEPLOYMENT_DATABASE, 0077, 1},
                 {FL_ADMIN_SOCKET, 0077, 1},
                 {FL_SERVER_CONFIG_FILE, 0022, 1}};
    static const char restore[] = "put it back from a backup of the folder. Without one, clients cannot go "
                                  "on with this server: make a new one "
                                  "with `fl-server init` and enrol them there (a new receipt.key or "
                                  "admin.token alone: copy one that `fl-server "
                                  "init` makes elsewhere)";
    char path[FL_PATH_SIZE];
    struct stat info;
    size_t before = doctor->findings->count;
    int can_be_read = 1;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (fl_path_join(doctor->dir, files[i].name, path, NULL) ||
            (files[i].may_be_missing && stat(path, &info)))
            continue;
        can_be_read &= fl_check_file(doctor->findings, files[i].closed == 0077 ? "secrets" : "files", path,
                                     files[i].closed, restore);
    }
    if (doctor->findings->count == before)
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "secrets",
                       "keys, tokens and database are there and closed to others");
    return can_be_read;
}

/* The certificates lead to the root, and the key is that of the server's. */
static enum fl_status check_chain(const struct fl_authority_files *files, struct fl_error *err)
{
    struct fl_bytes root = fl_buf_view(&files->root_pem), chain = fl_authority_files_chain(files);
    enum fl_status st = fl_cert_root_check(root, err);
    if (!st)
        st = fl_cert_chain_check(fl_buf_view(&files->trust_pem), root, err);
    if (!st)
        st = fl_cert_chain_check(chain, root, err);
    return st ? st : fl_cert_key_check(chain, fl_authority_files_key(files), err);
}

static void check_ends(const struct fl_server_doctor *doctor)
{
    const struct fl_authority_files *files = &doctor->deployment.authority;
    fl_check_end(
        doctor->findings,
        &(struct fl_check_end){
            .name = "certificate",
            .what = "the server's",
            .begins_s = files->server.not_before_s,
            .ends_s = files->server.not_after_s,
            .now_s = doctor->now_s,
            .warn_s = files->server.not_after_s - fl_authority_files_due_s(files),
            .near = FL_OUTCOME_WARN,
            .over = doctor->is_running ? FL_OUTCOME_FAIL : FL_OUTCOME_WARN,
            .fix =
                "the server renews it at its start and while it runs: systemctl restart fl-server, and look "
                "for server.authority in its log; a folder that cannot be written to prevents it"});
    struct fl_check_end authority = {.name = "root",
                                     .what = "the authority's",
                                     .begins_s = files->root.not_before_s,
                                     .ends_s = files->root.not_after_s,
                                     .now_s = doctor->now_s,
                                     .warn_s = (int64_t)FL_AUTHORITY_WARN_DAYS * FL_AUTHORITY_DAY_S,
                                     .near = FL_OUTCOME_WARN,
                                     .over = FL_OUTCOME_FAIL,
                                     .fix = "nothing renews it and no certificate outlives it: make a new "
                                            "folder with `fl-server init` before its end, "
                                            "and enrol the clients there"};
    fl_check_end(doctor->findings, &authority);
    authority.name = "issuing authority";
    authority.what = "that of all certificates";
    authority.begins_s = files->issuer.not_before_s;
    authority.ends_s = files->issuer.not_after_s;
    fl_check_end(doctor->findings, &authority);
}

/* What clients may call the server, and whether the address that it listens on is among it. */
static void check_names(const struct fl_server_doctor *doctor)
{
    static const char *const anywhere[] = {"0.0.0.0", "::", "127.0.0.1", "::1"};
    const char *address = doctor->config.address;
    struct fl_cert_names names;
    struct fl_error err = {""};
    char text[512] = "";
    int is_named = 0;
    if (fl_cert_names_read(fl_authority_files_chain(&doctor->deployment.authority), &names, &err)) {
        fl_finding_add(doctor->findings, FL_OUTCOME_WARN, "certificate names", "%s", err.text);
        fl_finding_fix(doctor->findings,
                       "see what is in it: openssl x509 -noout -text -in %s/" FL_DEPLOYMENT_AUTHORITY
                       "/server.pem",
                       doctor->dir);
        return;
    }
    for (size_t i = 0, used = 0; i < names.count && used < sizeof text; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "", names.items[i]);
        is_named |= strcmp(names.items[i], address) == 0;
    }
    for (size_t i = 0; i < sizeof anywhere / sizeof anywhere[0]; i++)
        is_named |= strcmp(anywhere[i], address) == 0;
    fl_finding_add(doctor->findings, is_named ? FL_OUTCOME_OK : FL_OUTCOME_WARN, "certificate names",
                   is_named ? "clients reach this server as %s"
                            : "clients reach this server as %s, but it listens on %s",
                   text, address);
    if (!is_named)
        fl_finding_fix(doctor->findings,
                       "use one of these names in the clients' server.url, or set listen.address in %s to "
                       "0.0.0.0",
                       doctor->path);
}

void fl_server_doctor_check_authority(struct fl_server_doctor *doctor)
{
    struct fl_error err = {""};
    char hex[2 * FL_DIGEST_SIZE + 1];
    if (!check_modes(doctor))
        return;
    enum fl_status st = fl_deployment_load(doctor->dir, &doctor->deployment, &err);
    doctor->has_deployment = !st;
    if (!st)
        st = check_chain(&doctor->deployment.authority, &err);
    if (st == FL_ERR_NOT_FOUND || st == FL_ERR_IO)
        return; /* said already */
    if (st) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "authority", "%s/" FL_DEPLOYMENT_AUTHORITY ": %s",
                       doctor->dir, err.text);
        fl_finding_fix(doctor->findings,
                       "its files belong together: put all of %s/" FL_DEPLOYMENT_AUTHORITY
                       ", receipt.key and admin.token back from one backup",
                       doctor->dir);
        return;
    }
    fl_hex_encode(doctor->deployment.authority.fingerprint, FL_DIGEST_SIZE, hex);
    fl_finding_add(doctor->findings, FL_OUTCOME_OK, "authority",
                   "certificates and keys are whole and belong together; fingerprint %s", hex);
    check_ends(doctor);
    check_names(doctor);
}
