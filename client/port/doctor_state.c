/* The state folder: whether it can be used, and whether what a run keeps in it is whole. */
#include "client/port/doctor_parts.h"

#include <inttypes.h>
#include <string.h>

#include "client/core/client.h"
#include "client/port/state_files.h"
#include "platform/checks.h"

#define READS         5 /* while a running client changes the files */
#define SPACE_MODELS  6 /* replica, residual, the next of both, an update */
#define SPACE_LEAST   ((uint64_t)1 << 20)
#define SPACE_UNKNOWN ((uint64_t)16 << 20) /* before the model is known */
#define SPACE_HISTORY 3                    /* models a round */

/* What is on disk, and what a client makes of it. */
struct loaded {
    struct fl_manifest stored;
    struct fl_client *client;
    int has_manifest;
    enum fl_status status;
};

void fl_doctor_check_folder(struct fl_doctor *doctor)
{
    char make[FL_PATH_SIZE + 768];
    const struct fl_client_config *config = doctor->config;
    if (!config->state[0])
        return;
    snprintf(make, sizeof make,
             "fl-client enroll --server %s --token-file TOKEN --ca-fingerprint FINGERPRINT --state %s",
             config->server_url[0] ? config->server_url : "URL", config->state);
    doctor->has_folder = fl_check_folder(doctor->findings, "state folder", config->state, make);
    if (doctor->has_folder)
        fl_check_lock(doctor->findings, config->state, "fl-client", &doctor->is_running);
}

/* The manifest as it stands; FL_ERR_NOT_FOUND when there is none yet. */
static enum fl_status read_manifest(struct fl_state_files *files, struct fl_buf *text)
{
    struct fl_client_reader reader = fl_state_files_reader(files);
    fl_buf_clear(text);
    return reader.read(reader.user, FL_MANIFEST_NAME, text);
}

static enum fl_status load_once(struct fl_doctor *doctor, struct fl_state_files *files, struct fl_bytes text,
                                struct loaded *loaded)
{
    struct fl_client_options options = {.env = doctor->env, .kernels = fl_kernels_pick()};
    struct fl_client_reader reader = fl_state_files_reader(files);
    fl_client_free(loaded->client);
    loaded->client = NULL;
    loaded->stored = (struct fl_manifest){0};
    strcpy(options.run, doctor->config->run);
    if (fl_manifest_decode(text, doctor->env, &loaded->stored)) {
        /* fl_client_load() says what is wrong with it */
    }
    enum fl_status st = fl_client_new(&options, &loaded->client);
    return st ? st : fl_client_load(loaded->client, &reader);
}

/* The file of what the codec keeps that could not be read; NULL when there is none. */
static const struct fl_state_file *lost_codec_state(const struct loaded *loaded)
{
    const struct fl_manifest *stored = &loaded->stored, *now = fl_client_manifest(loaded->client);
    if (stored->codec_state.name[0] && !now->codec_state.name[0])
        return &stored->codec_state;
    return now->outbox.name[0] && stored->pending_codec_state.name[0] && !now->pending_codec_state.name[0]
               ? &stored->pending_codec_state
               : NULL;
}

static int is_damaged(const struct loaded *loaded)
{
    const struct fl_manifest *now = fl_client_manifest(loaded->client);
    return loaded->status || (loaded->stored.outbox.name[0] && !now->outbox.name[0]) ||
           (loaded->stored.replica.name[0] && !now->replica.name[0]) || lost_codec_state(loaded);
}

/* Reads again as long as a running client has put another manifest there meanwhile. */
static enum fl_status load(struct fl_doctor *doctor, struct fl_state_files *files, struct loaded *loaded)
{
    struct fl_buf before, after;
    enum fl_status st;
    fl_buf_init(&before, FL_MANIFEST_MAX_BYTES);
    fl_buf_init(&after, FL_MANIFEST_MAX_BYTES);
    for (int i = 0; i < READS; i++) {
        st = read_manifest(files, &before);
        loaded->has_manifest = st != FL_ERR_NOT_FOUND;
        if (!loaded->has_manifest)
            break;
        loaded->status = load_once(doctor, files, fl_buf_view(&before), loaded);
        if (!loaded->client || !is_damaged(loaded) || !doctor->is_running || read_manifest(files, &after) ||
            fl_bytes_equal(fl_buf_view(&before), fl_buf_view(&after)))
            break;
    }
    fl_buf_done(&before);
    fl_buf_done(&after);
    return loaded->has_manifest && !loaded->client ? FL_ERR_NOMEM : FL_OK;
}

static void say_damaged(const struct fl_doctor *doctor, const struct fl_state_files *files,
                        const struct loaded *loaded)
{
    char words[FL_PATH_SIZE];
    fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "state files", "%s/%s%s%s", files->dir,
                   fl_client_reason(loaded->client), files->error.text[0] ? ": " : "", files->error.text);
    if (loaded->status == FL_ERR_IO || loaded->status == FL_ERR_NOMEM) {
        fl_finding_fix(doctor->findings,
                       loaded->status == FL_ERR_NOMEM
                           ? "make memory free, and try again"
                           : "run this as the folder's owner; if it is, look after the disk: dmesg");
        return;
    }
    fl_finding_fix(doctor->findings,
                   "put the whole folder %s back from a backup, else: mv %s %s.damaged (what waits in its "
                   "residual is lost). "
                   "Then: fl-client resync %s",
                   files->dir, files->dir, files->dir, fl_doctor_config_words(doctor, words));
}

static void say_lost(const struct fl_doctor *doctor, const struct fl_state_files *files,
                     const struct loaded *loaded)
{
    const struct fl_manifest *stored = &loaded->stored, *now = fl_client_manifest(loaded->client);
    if (stored->outbox.name[0] && !now->outbox.name[0]) {
        fl_finding_add(
            doctor->findings, FL_OUTCOME_WARN, "outbox",
            "%s/%s (or the residual after it) is damaged: the next run goes on without this update, one is "
            "counted as lost",
            files->dir, stored->outbox.name);
        fl_finding_fix(doctor->findings,
                       "put the file back from a backup before the next run, or do nothing");
    }
    if (stored->replica.name[0] && !now->replica.name[0]) {
        fl_finding_add(
            doctor->findings, FL_OUTCOME_WARN, "replica",
            "%s/%s (or a delta after it) is damaged: the next run fetches the model again; nothing is lost",
            files->dir, stored->replica.name);
        fl_finding_fix(doctor->findings, "nothing; but look after the disk: dmesg, smartctl -a DEVICE");
    }
    const struct fl_state_file *lost = lost_codec_state(loaded);
    if (lost) {
        fl_finding_add(doctor->findings, FL_OUTCOME_WARN, "codec state",
                       "%s/%s is damaged: in the next run the codec starts afresh; nothing is lost",
                       files->dir, lost->name);
        fl_finding_fix(doctor->findings, "nothing; but look after the disk: dmesg, smartctl -a DEVICE");
    }
}

/* Would the client go on with the run as the server has it? Its own core is asked, and nothing carried out.
 */
static void check_against_run(const struct fl_doctor *doctor, const struct loaded *loaded)
{
    struct fl_client_event started = {.kind = FL_CLIENT_STARTED},
                           answered = {.kind = FL_CLIENT_ANSWERED,
                                       .http_status = 200,
                                       .body = fl_buf_view(&doctor->run)};
    struct fl_client_effect effect;
    char words[FL_PATH_SIZE];
    fl_client_next(loaded->client, &started, &effect);
    fl_client_next(loaded->client, &answered, &effect);
    if (effect.kind != FL_CLIENT_STOP || !effect.status)
        return;
    fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "state and run", "%s", effect.reason);
    fl_finding_fix(doctor->findings, "mv %s/runs/%s %s/runs/%s.before, then: fl-client run %s",
                   doctor->config->state, doctor->config->run, doctor->config->state, doctor->config->run,
                   fl_doctor_config_words(doctor, words));
}

static void check_run_files(struct fl_doctor *doctor, struct loaded *loaded)
{
    struct fl_state_files files = {.error = {""}};
    struct fl_error err = {""};
    const char *run = doctor->config->run;
    if (fl_state_files_at(&files, doctor->config->state, run, &err) || load(doctor, &files, loaded)) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "state files", "%s",
                       err.text[0] ? err.text : fl_status_text(FL_ERR_NOMEM));
        fl_finding_fix(doctor->findings,
                       err.text[0] ? "use a shorter path" : "make memory free, and try again");
    } else if (!loaded->has_manifest) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "state files", "none yet for run %s", run);
    } else if (loaded->status) {
        say_damaged(doctor, &files, loaded);
    } else {
        const struct fl_manifest *m = &loaded->stored;
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "state files",
                       "run %s: version %" PRIu64 ", update %" PRIu64 " %s, %" PRIu64 " lost so far", run,
                       m->version.number, m->next_seq,
                       m->outbox.name[0] ? "waits for its verdict" : "comes next", m->dropped);
        say_lost(doctor, &files, loaded);
        if (doctor->run.size)
            check_against_run(doctor, loaded);
    }
}

static void check_space(const struct fl_doctor *doctor, const struct loaded *loaded)
{
    struct fl_run_info info;
    int has_info = doctor->run.size && !fl_run_info_decode(fl_buf_view(&doctor->run), &info);
    uint64_t elems = has_info ? fl_model_spec_elems(&info.model) : loaded->stored.elems;
    uint64_t model_bytes = elems * sizeof(float),
             need_bytes = elems ? SPACE_LEAST + SPACE_MODELS * model_bytes : SPACE_UNKNOWN;
    char what[96];
    snprintf(what, sizeof what, elems ? "a model of %" PRIu64 " parameters" : "a small model", elems);
    if (doctor->config->keep_history && has_info && info.rounds > info.round) {
        need_bytes += SPACE_HISTORY * model_bytes * (info.rounds - info.round);
        snprintf(what, sizeof what, "a model of %" PRIu64 " parameters with keep_history to the end", elems);
    }
    fl_check_space(doctor->findings, doctor->config->state, need_bytes, what);
}

void fl_doctor_check_files(struct fl_doctor *doctor)
{
    struct loaded loaded = {.status = FL_OK};
    if (!doctor->has_folder)
        return;
    if (fl_name_valid(doctor->config->run))
        check_run_files(doctor, &loaded);
    check_space(doctor, &loaded);
    fl_client_free(loaded.client);
}
