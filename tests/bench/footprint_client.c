/* What fl-client needs: a real one in a run, killed on the way, against a real server. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/random.h"
#include "footprint.h"
#include "platform/dir.h"
#include "protocol/model_spec.h"

#define INPUTS       64
#define OUTPUTS      10
#define EXAMPLES     500
#define ROUNDS       8
#define FIRST_ROUNDS 3 /* accepted before the client is killed, at least */
#define PATIENCE_S   300
#define LOG_BYTES    ((size_t)1 << 20)
#define DATA_BYTES   (EXAMPLES * (INPUTS * sizeof(float) + sizeof(uint32_t)))
#define RUN_TEXT                                                                                             \
    "name: %s\nrounds: %d\nmodel: {kind: mlp, inputs: %d, outputs: %d, hidden: [%u, %u], seed: %d}\n"        \
    "codec: {name: int-threshold, lambda: 0.0009765625}\n"                                                   \
    "train: {steps: 4, batch: 32, learning_rate: 0.1, momentum: 0.9}\n"                                      \
    "round: {target: 1, gather_ms: 10}\n"

/* A model of about so many parameters in two equal hidden layers. */
static const uint32_t hidden[FOOTPRINT_MODELS] = {24, 960, 3120};

static const char *const life_names[FOOTPRINT_LIVES] = {
    [FOOTPRINT_ROUNDS] = "first snapshot, then rounds with deltas; killed",
    [FOOTPRINT_RESTART] = "restart with an update in the outbox, then rounds to the end",
    [FOOTPRINT_RESYNC] = "resync",
    [FOOTPRINT_EVALUATE] = "evaluate",
};

/* One client with its deployment. */
struct scene {
    struct lab lab;
    struct footprint_model *model;
    char config[FL_PATH_SIZE], data[FL_PATH_SIZE], exported[FL_PATH_SIZE];
    char state[FL_PATH_SIZE], manifest[FL_PATH_SIZE], log[FL_PATH_SIZE];
    pid_t client; /* 0: not running */
};

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* --- what is there to be trained on --- */

static enum fl_status write_data(struct scene *scene, struct fl_error *err)
{
    struct fl_random random;
    struct fl_buf text;
    enum fl_status st = FL_OK;

    fl_buf_init(&text, (size_t)1 << 20);
    fl_random_init(&random, 1, 1);
    for (int row = 0; row < EXAMPLES && !st; row++) {
        for (int column = 0; column < INPUTS && !st; column++)
            st = fl_buf_printf(&text, "%.4f,", (double)fl_random_float(&random));
        if (!st)
            st = fl_buf_printf(&text, "%d\n", row % OUTPUTS);
    }
    if (!st)
        st = fl_buf_append(&text, "", 1);
    if (!st)
        st = lab_write(&scene->lab, "data.csv", (const char *)text.data, scene->data, err);
    fl_buf_done(&text);
    return st;
}

static enum fl_status call(const char *const *words, struct fl_error *err)
{
    struct fl_buf output;
    fl_buf_init(&output, LOG_BYTES);
    enum fl_status st = lab_call(words, &output, err);
    fl_buf_done(&output);
    return st;
}

/* A run called name; initial: file of its first model, or NULL. */
static enum fl_status create_run(struct scene *scene, const char *name, uint32_t width, int seed,
                                 const char *initial, struct fl_error *err)
{
    struct lab *lab = &scene->lab;
    char text[1024], path[FL_PATH_SIZE];
    snprintf(text, sizeof text, RUN_TEXT, name, ROUNDS, INPUTS, OUTPUTS, width, width, seed);
    enum fl_status st = lab_write(lab, "run.yaml", text, path, err);
    const char *const words[] = {lab->server_program,
                                 "run",
                                 "create",
                                 path,
                                 "--dir",
                                 lab->server_folder,
                                 initial ? "--initial-model" : NULL,
                                 initial,
                                 NULL};
    return st ? st : call(words, err);
}

static enum fl_status export(struct scene *scene, const char *name, struct fl_error *err) {
    struct lab *lab = &scene->lab;
    const char *const words[] = {lab->server_program, "run", "export", name, "--dir", lab->server_folder,
                                 "--to", scene->exported, NULL};
    return call(words, err);
}

static enum fl_status set_up(struct scene *scene, uint32_t width, struct fl_error *err)
{
    struct lab *lab = &scene->lab;
    char text[3 * FL_PATH_SIZE];
    enum fl_status st = lab_start_server(lab, err);
    if (!st)
        st = fl_path_join(lab->folder, "model.safetensors", scene->exported, err);
    if (!st) /* a first model that is not the seed's: the client has to fetch it */
        st = create_run(scene, "other", width, 7, NULL, err);
    if (!st)
        st = export(scene, "other", err);
    if (!st)
        st = create_run(scene, "big", width, 1, scene->exported, err);
    if (!st)
        st = write_data(scene, err);
    if (!st)
        st = lab_enroll(lab, "client", scene->state, err);
    if (!st)
        st = fl_path_join(scene->state, "runs/big/manifest", scene->manifest, err);
    if (st)
        return st;
    snprintf(text, sizeof text,
             "server: {url: \"%s\"}\nrun: big\nstate: %s\npoll_ms: 5000\ndata: {path: %s, classes: %d}\n",
             lab->url, scene->state, scene->data, OUTPUTS);
    return lab_write(lab, "client.yaml", text, scene->config, err);
}

/* --- a client's lives --- */

static enum fl_status begin_life(struct scene *scene, const char *log, const char *const *words,
                                 struct fl_error *err)
{
    enum fl_status st = fl_path_join(scene->lab.folder, log, scene->log, err);
    return st ? st : lab_spawn(&scene->lab, log, words, &scene->client, err);
}

static int has_ended(const struct scene *scene)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)scene->client, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid;
}

/* Waits for the end, which must be of this exit code (or a kill: -1), and keeps the peak. */
static enum fl_status end_life(struct scene *scene, enum footprint_life life, int code, struct fl_error *err)
{
    struct rusage usage;
    int status;
    if (wait4(scene->client, &status, 0, &usage) != scene->client)
        return fl_error_set(err, FL_ERR_IO, "wait4: %m");
    scene->client = 0;
    scene->model->peak_bytes[life] = (uint64_t)usage.ru_maxrss * 1024;
    int seen = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return seen == code ? FL_OK
                        : fl_error_set(err, FL_ERR_STATE, "fl-client (%s): ended with %d, expected %d",
                                       life_names[life], seen, code);
}

/* How often a file holds the text; 0 too when it cannot be read. */
static unsigned occurrences(const char *path, const char *text)
{
    struct fl_buf file;
    unsigned count = 0;
    fl_buf_init(&file, LOG_BYTES);
    if (!fl_file_read(path, &file, NULL) && !fl_buf_append(&file, "", 1))
        for (const char *at = (const char *)file.data; (at = strstr(at, text)); at += strlen(text))
            count++;
    fl_buf_done(&file);
    return count;
}

static unsigned accepted(const struct scene *scene)
{
    return occurrences(scene->log, "verdict=accepted");
}

static uint64_t written_bytes(pid_t pid)
{
    char path[64], line[128];
    unsigned long long bytes = 0;
    snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        (void)sscanf(line, "write_bytes: %llu", &bytes);
    if (file)
        fclose(file);
    return bytes;
}

/* Freezes the server when an update is trained; 1 when the update then waits in the outbox. */
static int catch_update(struct scene *scene)
{
    unsigned trained = occurrences(scene->log, ": trained"), judged = accepted(scene);
    if (trained <= FIRST_ROUNDS || trained == judged)
        return 0;
    kill(scene->lab.server, SIGSTOP);
    for (int waited = 0; waited < PATIENCE_S * 100; waited++, pause_ms(10)) {
        if (occurrences(scene->manifest, "\noutbox update."))
            return 1;
        if (accepted(scene) == occurrences(scene->log, ": trained"))
            break; /* it was faster: the next one then */
    }
    kill(scene->lab.server, SIGCONT);
    return 0;
}

/* From nothing to an update that waits, then SIGKILL. */
static enum fl_status live_and_die(struct scene *scene, struct fl_error *err)
{
    const char *const words[] = {scene->lab.client_program, "run", "--config", scene->config, NULL};
    enum fl_status st = begin_life(scene, "client-1.log", words, err);
    int caught = 0;
    for (long waited = 0; !st && !(caught = catch_update(scene)); waited++) {
        if (waited == PATIENCE_S * 1000L || has_ended(scene))
            st =
                fl_error_set(err, FL_ERR_STATE, "no update of fl-client could be caught; see %s", scene->log);
        pause_ms(1);
    }
    if (st)
        return st;
    kill(scene->client, SIGKILL);
    st = end_life(scene, FOOTPRINT_ROUNDS, -1, err);
    kill(scene->lab.server, SIGCONT);
    return st;
}

/* From the update that waits to the end of the run; what a round writes is looked at from verdict to verdict.
 */
static enum fl_status live_again(struct scene *scene, struct fl_error *err)
{
    const char *const words[] = {scene->lab.client_program, "run", "--config", scene->config, NULL};
    enum fl_status st = begin_life(scene, "client-2.log", words, err);
    uint64_t first_bytes = 0, last_bytes = 0;
    unsigned seen = 0;
    while (!st && !has_ended(scene)) {
        unsigned now = accepted(scene);
        uint64_t bytes = written_bytes(scene->client);
        if (now != seen && bytes) {
            if (!seen)
                first_bytes = bytes;
            last_bytes = bytes;
            scene->model->rounds += seen ? now - seen : 0;
            seen = now;
        }
        pause_ms(1);
    }
    if (!st)
        st = end_life(scene, FOOTPRINT_RESTART, 0, err);
    if (!st && scene->model->rounds)
        scene->model->written_bytes = (last_bytes - first_bytes) / scene->model->rounds;
    return st;
}

static enum fl_status live_shortly(struct scene *scene, enum footprint_life life, const char *log,
                                   const char *const *words, struct fl_error *err)
{
    enum fl_status st = begin_life(scene, log, words, err);
    return st ? st : end_life(scene, life, 0, err);
}

static enum fl_status measure_lives(struct scene *scene, uint32_t width, struct fl_error *err)
{
    char widths[32];
    snprintf(widths, sizeof widths, "%u,%u", width, width);
    const char *const resync[] = {scene->lab.client_program, "resync", "--config", scene->config, NULL};
    const char *const evaluate[] = {scene->lab.client_program,
                                    "evaluate",
                                    "--model",
                                    scene->exported,
                                    "--hidden",
                                    widths,
                                    "--data",
                                    scene->data,
                                    NULL};
    enum fl_status st = set_up(scene, width, err);
    if (!st)
        st = live_and_die(scene, err);
    if (!st)
        st = live_again(scene, err);
    if (!st)
        st = live_shortly(scene, FOOTPRINT_RESYNC, "resync.log", resync, err);
    if (!st)
        st = export(scene, "big", err);
    return st ? st : live_shortly(scene, FOOTPRINT_EVALUATE, "evaluate.log", evaluate, err);
}

static enum fl_status measure_model(const struct footprint_options *options, uint32_t width,
                                    struct footprint_model *ret_model, struct fl_error *err)
{
    struct fl_model_spec spec = {.kind = FL_MODEL_MLP,
                                 .inputs = INPUTS,
                                 .outputs = OUTPUTS,
                                 .hidden_count = 2,
                                 .hidden = {width, width}};
    struct scene scene = {.model = ret_model};
    *ret_model = (struct footprint_model){.elems = fl_model_spec_elems(&spec), .data_bytes = DATA_BYTES};
    enum fl_status st = lab_begin(&options->common, 1, &scene.lab, err);
    if (!st)
        st = measure_lives(&scene, width, err);
    if (scene.client) {
        kill(scene.client, SIGKILL);
        waitpid(scene.client, NULL, 0);
    }
    lab_end(&scene.lab);
    return st;
}

enum fl_status footprint_client_measure(const struct footprint_options *options,
                                        struct footprint_client *ret_figures, struct fl_error *err)
{
    struct lab lab = {.server = 0};
    enum fl_status st = lab_begin(&options->common, 1, &lab, err);

    if (!st)
        st = footprint_stripped(&lab, lab.client_program, &ret_figures->stripped_bytes, err);
    lab_end(&lab);
    for (size_t i = 0; i < FOOTPRINT_MODELS && !st; i++)
        st = measure_model(options, hidden[i], &ret_figures->models[i], err);
    return st;
}

/* --- what comes out --- */

static uint64_t bound_bytes(const struct footprint_model *model)
{
    return 6 * model->elems * sizeof(float) + model->data_bytes + ((uint64_t)16 << 20);
}

static uint64_t most_bytes(const struct footprint_model *model)
{
    uint64_t most = 0;
    for (size_t i = 0; i < FOOTPRINT_LIVES; i++)
        most = model->peak_bytes[i] > most ? model->peak_bytes[i] : most;
    return most;
}

static double mib(uint64_t bytes)
{
    return (double)bytes / 1048576;
}

static void print_json(FILE *out, const struct footprint_model *model)
{
    static const char *const keys[FOOTPRINT_LIVES] = {[FOOTPRINT_ROUNDS] = "rounds",
                                                      [FOOTPRINT_RESTART] = "restart",
                                                      [FOOTPRINT_RESYNC] = "resync",
                                                      [FOOTPRINT_EVALUATE] = "evaluate"};
    fprintf(out, "{\"elems\": %llu, \"data_bytes\": %llu, \"peak_rss_bytes\": {",
            (unsigned long long)model->elems, (unsigned long long)model->data_bytes);
    for (size_t i = 0; i < FOOTPRINT_LIVES; i++)
        fprintf(out, "%s\"%s\": %llu", i ? ", " : "", keys[i], (unsigned long long)model->peak_bytes[i]);
    fprintf(out, "}, \"bound_bytes\": %llu, \"within\": %s, \"written_bytes_per_round\": %llu}",
            (unsigned long long)bound_bytes(model),
            most_bytes(model) <= bound_bytes(model) ? "true" : "false",
            (unsigned long long)model->written_bytes);
}

static void print_text(FILE *out, const struct footprint_model *model)
{
    int within = most_bytes(model) <= bound_bytes(model);
    fprintf(out, "fl-client with %llu parameters (a model is %.1f MiB), most resident:\n",
            (unsigned long long)model->elems, mib(model->elems * sizeof(float)));
    for (size_t i = 0; i < FOOTPRINT_LIVES; i++)
        fprintf(out, "  %8.1f MiB  %s\n", mib(model->peak_bytes[i]), life_names[i]);
    fprintf(out, "  %8.1f MiB  6 models + data (%.1f) + 16: %s\n", mib(bound_bytes(model)),
            mib(model->data_bytes), within ? "kept" : "NOT kept");
    fprintf(out, "  %8.1f MiB  written to disk a round (%u rounds)\n", mib(model->written_bytes),
            model->rounds);
}

void footprint_client_print(FILE *out, const struct footprint_client *figures, int json)
{
    if (json)
        fprintf(out, "\"stripped_bytes\": %llu, \"models\": [", (unsigned long long)figures->stripped_bytes);
    else
        fprintf(out, "fl-client, stripped        %8.1f KiB\n", (double)figures->stripped_bytes / 1024);
    for (size_t i = 0; i < FOOTPRINT_MODELS; i++)
        if (json) {
            fputs(i ? ", " : "", out);
            print_json(out, &figures->models[i]);
        } else
            print_text(out, &figures->models[i]);
    fputs(json ? "]" : "", out);
}
