#include "client/port/doctor.h"

#include <stdlib.h>
#include <string.h>

#include "client/port/doctor_parts.h"
#include "client/trainer/builtin.h"
#include "kernels/kernels.h"
#include "platform/checks.h"
#include "platform/crypto.h"
#include "protocol/routes.h"

const char *fl_doctor_config_words(const struct fl_doctor *doctor, char ret_words[FL_PATH_SIZE])
{
    snprintf(ret_words, FL_PATH_SIZE, "--config %s", doctor->config_path ? doctor->config_path : "FILE");
    return ret_words;
}

void fl_doctor_excerpt(struct fl_bytes body, char ret_text[FL_DOCTOR_EXCERPT + 1])
{
    size_t size = body.size < FL_DOCTOR_EXCERPT ? body.size : FL_DOCTOR_EXCERPT;
    for (size_t i = 0; i < size; i++)
        ret_text[i] = body.data[i] >= ' ' && body.data[i] < 127 ? (char)body.data[i] : ' ';
    ret_text[size] = 0;
}

/* What `run` requires and nobody has given. */
static void check_config(const struct fl_doctor *doctor)
{
    const struct {
        const char *key, *value, *example;
    } wanted[] = {
        {"server.url", doctor->config->server_url, "https://fl.example.org:8443"},
        {"run", doctor->config->run, "digits"},
        {"state", doctor->config->state, "/var/lib/fl-client"},
        {"data.path", doctor->config->data.path.text, "/srv/data/mine.csv"},
    };
    char missing[128] = "", first[64] = "";
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (wanted[i].value[0])
            continue;
        size_t at = strlen(missing);
        snprintf(missing + at, sizeof missing - at, "%s%s", at ? ", " : "", wanted[i].key);
        if (!first[0])
            snprintf(first, sizeof first, "%s: %s", wanted[i].key, wanted[i].example);
    }
    if (!missing[0] && (!doctor->config_path || fl_name_valid(doctor->config->run))) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "configuration", "%s",
                       doctor->config_path ? doctor->config_path : "complete, from the command line");
    } else if (!missing[0]) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "configuration", "run: %s is no name of a run",
                       doctor->config->run);
        fl_finding_fix(doctor->findings, "set run in %s to a name that `fl-server run list` shows",
                       doctor->config_path);
    } else {
        fl_finding_add(doctor->findings, doctor->config_path ? FL_OUTCOME_FAIL : FL_OUTCOME_NOTE,
                       "configuration", "%s%snot set: %s; what needs them is not looked at",
                       doctor->config_path ? doctor->config_path : "", doctor->config_path ? ": " : "",
                       missing);
        fl_finding_fix(doctor->findings,
                       "set them in %s, for example `%s`; deploy/examples/client.yaml has all",
                       doctor->config_path ? doctor->config_path : "a file and give --config FILE", first);
    }
}

static void check_versions(const struct fl_doctor *doctor)
{
    char http[128], crypto[32], processor[128];
    fl_http_version(http, sizeof http);
    fl_crypto_version(crypto, sizeof crypto);
    fl_check_processor(processor, sizeof processor);
    fl_finding_add(doctor->findings, FL_OUTCOME_OK, "versions",
                   "fl-client " FL_VERSION ", %s, %s, %s; loops \"%s\" on %s", http, crypto,
                   fl_trainer_library(), fl_kernels_pick()->name, processor);
    if (!strstr(http, "with OpenSSL/")) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "libcurl",
                       "%s: fl-client needs the one with OpenSSL", http);
        fl_finding_fix(doctor->findings, "apt install libcurl4");
    }
}

/* Training has one thread, whatever these say; but libraries make threads and buffers for them at start. */
static void check_threads(const struct fl_doctor *doctor)
{
    static const char *const names[] = {"OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (!value || strcmp(value, "1") == 0)
            continue;
        fl_finding_add(doctor->findings, FL_OUTCOME_NOTE, "threads",
                       "%s=%.20s: training has one thread all the same, the others only take memory",
                       names[i], value);
        fl_finding_fix(doctor->findings, "export %s=1", names[i]);
        return;
    }
    fl_finding_add(doctor->findings, FL_OUTCOME_OK, "threads",
                   "training has one; nothing in the environment asks "
                   "for more");
}

void fl_doctor_run(struct fl_client_config *config, const char *config_path, const struct fl_env *env,
                   struct fl_findings *findings)
{
    struct fl_doctor doctor = {
        .config = config, .config_path = config_path, .env = env, .findings = findings};

    fl_buf_init(&doctor.root, FL_CRYPTO_INPUT_MAX);
    fl_buf_init(&doctor.run, FL_LIMIT_SMALL_BODY_BYTES);
    check_config(&doctor);
    check_versions(&doctor);
    check_threads(&doctor);
    fl_doctor_check_device(&doctor);
    fl_doctor_check_folder(&doctor);
    fl_doctor_check_identity(&doctor);
    fl_doctor_check_clock(&doctor);
    fl_doctor_check_server(&doctor);
    fl_doctor_check_files(&doctor);
    fl_doctor_check_data(&doctor);
    fl_buf_done(&doctor.root);
    fl_buf_done(&doctor.run);
}
