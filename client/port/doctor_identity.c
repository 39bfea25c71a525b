/* The identity in the state folder, and the time by which it is judged. */
#include "client/port/doctor_parts.h"

#include <stdio.h>
#include <string.h>

#include "client/port/identity.h"
#include "platform/cert.h"
#include "platform/checks.h"
#include "platform/text.h"

#define AUTHORITY_WARN_S ((int64_t)365 * FL_AUTHORITY_DAY_S)
#define RENEW_PART       (1.0 / 3) /* of the life of a certificate: renewal.c */
#define AHEAD_S          3600      /* of the server's word: worth a word */

/* 1 when the files are there, whatever is in them. */
static int check_modes(struct fl_doctor *doctor, const struct fl_identity *identity)
{
    static const char restore[] =
        "root.pem, key.pem and client.pem belong together: put them back from a backup of "
        "the state folder, or enrol again in a new one with `fl-client enroll`";
    uint64_t size;
    if (fl_file_size(identity->cert_path, &size, NULL) == FL_ERR_NOT_FOUND &&
        fl_file_size(identity->root_path, &size, NULL) == FL_ERR_NOT_FOUND) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "identity", "%s is not enrolled",
                       doctor->config->state);
        fl_finding_fix(
            doctor->findings,
            "with a token and the fingerprint that the operator gives: fl-client enroll --server %s "
            "--token-file TOKEN --ca-fingerprint FINGERPRINT --state %s",
            doctor->config->server_url[0] ? doctor->config->server_url : "URL", doctor->config->state);
        return 0;
    }
    return fl_check_file(doctor->findings, "key", identity->key_path, 0077, restore) &
           fl_check_file(doctor->findings, "certificate", identity->cert_path, 0022, restore) &
           fl_check_file(doctor->findings, "authority", identity->root_path, 0022, restore);
}

static void check_ends(struct fl_doctor *doctor, struct fl_bytes chain)
{
    char what[FL_COMMON_NAME_MAX + 64], fix[FL_PATH_SIZE + 128], words[FL_PATH_SIZE];
    struct fl_cert_info own, issuing, root;
    struct fl_error err;
    int64_t now_s = fl_clock_now_s(&doctor->clock);

    if (fl_cert_read(chain, &own, &err) || fl_cert_read(fl_buf_view(&doctor->root), &root, &err))
        return; /* they have been read before */
    snprintf(what, sizeof what, "that of client %s", own.common_name);
    snprintf(fix, sizeof fix,
             "nothing, if a client runs: it renews by itself while the server can be reached; else: "
             "fl-client run %s",
             fl_doctor_config_words(doctor, words));
    fl_check_end(doctor->findings,
                 &(struct fl_check_end){.name = "certificate",
                                        .what = what,
                                        .begins_s = own.not_before_s,
                                        .ends_s = own.not_after_s,
                                        .now_s = now_s,
                                        .warn_s = own.not_after_s - fl_cert_due_s(&own, RENEW_PART),
                                        .near = FL_OUTCOME_WARN,
                                        .over = FL_OUTCOME_WARN,
                                        .fix = fix});
    struct fl_check_end authority = {.name = "root",
                                     .what = "the pinned one",
                                     .begins_s = root.not_before_s,
                                     .ends_s = root.not_after_s,
                                     .now_s = now_s,
                                     .warn_s = AUTHORITY_WARN_S,
                                     .near = FL_OUTCOME_WARN,
                                     .over = FL_OUTCOME_FAIL,
                                     .fix = "no certificate outlives it: the operator has to make a new "
                                            "folder with `fl-server init`, and this "
                                            "client has to enrol there, in a new state folder"};
    fl_check_end(doctor->findings, &authority);
    if (fl_cert_read(fl_cert_chain_next(chain), &issuing, &err))
        return; /* a chain without it has not passed */
    authority.name = "issuing authority";
    authority.what = "that of this client's certificate";
    authority.begins_s = issuing.not_before_s;
    authority.ends_s = issuing.not_after_s;
    fl_check_end(doctor->findings, &authority);
}

/* The server can be judged by it even when the rest of the identity is damaged. */
static void take_root(struct fl_doctor *doctor, const struct fl_identity *identity)
{
    if (fl_file_read(identity->root_path, &doctor->root, NULL) ||
        fl_cert_root_check(fl_buf_view(&doctor->root), NULL))
        fl_buf_clear(&doctor->root);
}

void fl_doctor_check_identity(struct fl_doctor *doctor)
{
    struct fl_identity identity;
    struct fl_buf chain, root;
    struct fl_error err = {""};

    if (!doctor->has_folder || fl_clock_open(&doctor->clock, doctor->config->state, doctor->env, &err) ||
        fl_identity_paths(doctor->config->state, &identity, &err))
        return;
    doctor->clock.is_read_only = 1;
    take_root(doctor, &identity);
    if (!check_modes(doctor, &identity))
        return;
    fl_buf_init(&chain, FL_IDENTITY_PEM_BYTES);
    fl_buf_init(&root, FL_IDENTITY_PEM_BYTES);
    if (fl_identity_check(doctor->config->state, &identity, &root, &err) ||
        fl_file_read(identity.cert_path, &chain, &err)) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "identity", "%s", err.text);
        fl_finding_fix(
            doctor->findings,
            "put root.pem, key.pem and client.pem of one enrolment back into %s from a backup; without "
            "one, ask the operator for a token and enrol again in a new folder with `fl-client enroll`",
            doctor->config->state);
    } else {
        doctor->is_enrolled = 1;
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "identity",
                       "key, certificate and pinned root are whole and belong together");
        check_ends(doctor, fl_buf_view(&chain));
    }
    fl_buf_done(&chain);
    fl_buf_done(&root);
}

void fl_doctor_check_clock(struct fl_doctor *doctor)
{
    char here[FL_TIME_TEXT_BYTES], judged[FL_TIME_TEXT_BYTES];
    int64_t wall_s = doctor->env->wall_ms(doctor->env->user) / 1000;

    if (!doctor->clock.env)
        doctor->clock = (struct fl_clock){.env = doctor->env, .is_read_only = 1};
    int64_t now_s = fl_clock_now_s(&doctor->clock);
    fl_time_to_text(wall_s, here);
    fl_time_to_text(now_s, judged);
    if (now_s <= wall_s + AHEAD_S) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "clock", "%s", here);
        return;
    }
    fl_finding_add(doctor->findings, FL_OUTCOME_WARN, "clock",
                   "it says %s, which is behind %s; certificates are judged at %s instead", here,
                   fl_clock_source(&doctor->clock), judged);
    fl_finding_fix(doctor->findings,
                   "timedatectl set-ntp true; without a network clock: date -u -s 'YYYY-MM-DD HH:MM'");
}
