#include "lab.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/port/identity.h"
#include "platform/dir.h"
#include "platform/env.h"

#define READY_MS     60000
#define PAUSE_MS     10
#define OUTPUT_BYTES ((size_t)16 << 20)

/* --- processes --- */

/* Only calls that are safe between fork and exec. */
static void become(int output, const char *const *words)
{
    int null = open("/dev/null", O_RDONLY);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execvp(words[0], (char *const *)words);
    _exit(127);
}

enum fl_status lab_spawn(struct lab *lab, const char *log, const char *const *words, pid_t *ret_pid,
                         struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    enum fl_status st = fl_path_join(lab->folder, log, path, err);

    if (st)
        return st;
    int output = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (output < 0)
        return fl_error_set(err, FL_ERR_IO, "%s: %m", path);
    pid_t pid = fork();
    if (pid == 0)
        become(output, words);
    close(output);
    if (pid < 0)
        return fl_error_set(err, FL_ERR_IO, "cannot start %s: %m", words[0]);
    *ret_pid = pid;
    return FL_OK;
}

static enum fl_status read_all(int from, struct fl_buf *output)
{
    char block[4096];

    for (ssize_t size; (size = read(from, block, sizeof block)) > 0;) {
        enum fl_status st = fl_buf_append(output, block, (size_t)size);
        if (st)
            return st;
    }
    return FL_OK;
}

enum fl_status lab_call(const char *const *words, struct fl_buf *output, struct fl_error *err)
{
    size_t before = output->size;
    int ends[2], code;

    if (pipe2(ends, O_CLOEXEC))
        return fl_error_set(err, FL_ERR_IO, "pipe: %m");
    pid_t pid = fork();
    if (pid == 0)
        become(ends[1], words);
    close(ends[1]);
    enum fl_status st = pid < 0 ? FL_ERR_IO : read_all(ends[0], output);
    close(ends[0]);
    if (pid < 0)
        return fl_error_set(err, FL_ERR_IO, "cannot start %s: %m", words[0]);
    waitpid(pid, &code, 0);
    if (!st && (!WIFEXITED(code) || WEXITSTATUS(code)))
        st = fl_error_set(err, FL_ERR_STATE, "%s %s: %.*s", words[0], words[1] ? words[1] : "",
                          (int)(output->size - before > 300 ? 300 : output->size - before),
                          (const char *)output->data + before);
    return st;
}

static void end_process(pid_t *pid, int with)
{
    if (*pid <= 0)
        return;
    kill(*pid, with);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

/* --- facts --- */

uint64_t lab_memory(pid_t pid, const char *field)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    size_t length = strlen(field);

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, field, length) && line[length] == ':')
            kib = strtoull(line + length + 1, NULL, 10);
    fclose(file);
    return kib * 1024;
}

double lab_cpu_s(const struct lab *lab)
{
    char path[64], text[1024];
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)lab->server);
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[size] = '\0';
    const char *at = strrchr(text, ')');
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        return 0;
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

enum fl_status lab_json_text(struct fl_bytes json, const char *key, char *ret_text, size_t size)
{
    char name[80];
    int length = snprintf(name, sizeof name, "\"%s\":\"", key);
    const char *at = memmem(json.data, json.size, name, (size_t)length);

    if (!at)
        return FL_ERR_NOT_FOUND;
    at += length;
    const char *end = memchr(at, '"', json.size - (size_t)(at - (const char *)json.data));
    if (!end || (size_t)(end - at) >= size)
        return FL_ERR_NOT_FOUND;
    memcpy(ret_text, at, (size_t)(end - at));
    ret_text[end - at] = '\0';
    return FL_OK;
}

/* --- the deployment --- */

static enum fl_status find_programs(const struct bench_options *options, struct lab *lab,
                                    struct fl_error *err)
{
    char own[FL_PATH_SIZE] = "", folder[FL_PATH_SIZE];
    enum fl_status st = FL_OK;

    snprintf(folder, sizeof folder, "%s", options->binaries);
    if (!folder[0]) {
        if (readlink("/proc/self/exe", own, sizeof own - 1) < 0)
            return fl_error_set(err, FL_ERR_IO, "/proc/self/exe: %m");
        st = fl_path_parent(own, folder, err);
    }
    if (!st)
        st = fl_path_join(folder, "fl-server", lab->server_program, err);
    return st ? st : fl_path_join(folder, "fl-client", lab->client_program, err);
}

enum fl_status lab_begin(const struct bench_options *options, unsigned clients, struct lab *ret_lab,
                         struct fl_error *err)
{
    char uses[16];
    struct fl_buf output;
    enum fl_status st = fl_path_join(options->folder, "fl-bench.XXXXXX", ret_lab->folder, err);

    ret_lab->server = 0;
    fl_buf_init(&output, OUTPUT_BYTES);
    snprintf(uses, sizeof uses, "%u", clients);
    if (!st && !mkdtemp(ret_lab->folder)) {
        st = fl_error_set(err, FL_ERR_IO, "%s: %m", ret_lab->folder);
        ret_lab->folder[0] = '\0';
    }
    if (!st)
        st = find_programs(options, ret_lab, err);
    if (!st)
        st = fl_path_join(ret_lab->folder, "server", ret_lab->server_folder, err);
    if (!st)
        st = fl_path_join(ret_lab->server_folder, "server.yaml", ret_lab->config, err);
    if (!st) {
        const char *const words[] = {ret_lab->server_program,
                                     "init",
                                     ret_lab->server_folder,
                                     "--host",
                                     "127.0.0.1",
                                     "--port",
                                     "0",
                                     "--token-uses",
                                     uses,
                                     "--json",
                                     NULL};
        st = lab_call(words, &output, err);
    }
    if (!st && (lab_json_text(fl_buf_view(&output), "ca_fingerprint", ret_lab->fingerprint,
                              sizeof ret_lab->fingerprint) ||
                lab_json_text(fl_buf_view(&output), "token", ret_lab->token, sizeof ret_lab->token)))
        st = fl_error_set(err, FL_ERR_FORMAT, "fl-server init: no fingerprint and token in its answer");
    fl_buf_done(&output);
    return st;
}

enum fl_status lab_start_server(struct lab *lab, struct fl_error *err)
{
    const char *const words[] = {lab->server_program, "serve", "--config", lab->config, NULL};
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    char path[FL_PATH_SIZE];
    struct fl_buf port;
    enum fl_status st = fl_path_join(lab->server_folder, "server.port", path, err);

    if (!st)
        st = fl_file_remove(path, err);
    if (!st)
        st = lab_spawn(lab, "server.log", words, &lab->server, err);
    if (st)
        return st;
    fl_buf_init(&port, 64);
    st = FL_ERR_NOT_FOUND;
    for (int waited = 0; st && waited < READY_MS; waited += PAUSE_MS) {
        if (waitpid(lab->server, NULL, WNOHANG) == lab->server) {
            lab->server = 0;
            return fl_error_set(err, FL_ERR_STATE, "fl-server ended; see %s/server.log", lab->folder);
        }
        nanosleep(&pause, NULL);
        st = fl_file_read(path, &port, err);
    }
    if (!st)
        snprintf(lab->url, sizeof lab->url, "https://127.0.0.1:%d", atoi((const char *)port.data));
    fl_buf_done(&port);
    return st;
}

enum fl_status lab_stop_server(struct lab *lab, struct fl_error *err)
{
    int code = 0;

    if (!lab->server)
        return FL_OK;
    kill(lab->server, SIGTERM);
    waitpid(lab->server, &code, 0);
    lab->server = 0;
    return code ? fl_error_set(err, FL_ERR_STATE, "fl-server ended with %d", code) : FL_OK;
}

void lab_end(struct lab *lab)
{
    struct fl_buf output;

    end_process(&lab->server, SIGKILL);
    if (!lab->folder[0])
        return;
    const char *const words[] = {"rm", "-rf", lab->folder, NULL};
    fl_buf_init(&output, OUTPUT_BYTES);
    if (lab_call(words, &output, NULL))
        fprintf(stderr, "fl-bench: %s is left behind\n", lab->folder);
    fl_buf_done(&output);
}

enum fl_status lab_write(struct lab *lab, const char *name, const char *text, char ret_path[FL_PATH_SIZE],
                         struct fl_error *err)
{
    enum fl_status st = fl_path_join(lab->folder, name, ret_path, err);

    return st ? st : fl_file_write_atomic(ret_path, fl_bytes_from_text(text), FL_FILE_SECRET, err);
}

enum fl_status lab_enroll(struct lab *lab, const char *name, char ret_state[FL_PATH_SIZE],
                          struct fl_error *err)
{
    struct fl_env env = fl_env_system();
    char client[FL_LIMIT_NAME_BYTES + 1];
    enum fl_status st = fl_path_join(lab->folder, name, ret_state, err);

    if (st)
        return st;
    return fl_identity_enroll(&(struct fl_enroll_options){.url = lab->url,
                                                          .token = lab->token,
                                                          .fingerprint = lab->fingerprint,
                                                          .state_dir = ret_state,
                                                          .name = name,
                                                          .stop_fd = -1},
                              &env, client, err);
}

enum fl_status lab_change_setting(struct lab *lab, const char *from, const char *to, struct fl_error *err)
{
    struct fl_buf old, new;
    fl_buf_init(&old, 1 << 16);
    fl_buf_init(&new, 1 << 16);
    enum fl_status st = fl_file_read(lab->config, &old, err);
    const uint8_t *at = st ? NULL : memmem(old.data, old.size, from, strlen(from));
    if (!st && !at)
        st = fl_error_set(err, FL_ERR_FORMAT, "%s: no line \"%s\"", lab->config, from);
    if (!st) {
        const uint8_t *rest = at + strlen(from);
        st = fl_buf_append(&new, old.data, (size_t)(at - old.data));
        if (!st)
            st = fl_buf_append(&new, to, strlen(to));
        if (!st)
            st = fl_buf_append(&new, rest, (size_t)(old.data + old.size - rest));
        if (!st)
            st = fl_file_write_atomic(lab->config, fl_buf_view(&new), FL_FILE_SECRET, err);
    }
    fl_buf_done(&old);
    fl_buf_done(&new);
    return st;
}

enum fl_status lab_create_run(struct lab *lab, const char *text, struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    struct fl_buf output;
    enum fl_status st = lab_write(lab, "run.yaml", text, path, err);
    const char *const words[] = {lab->server_program, "run", "create", path, "--dir",
                                 lab->server_folder,  NULL};

    fl_buf_init(&output, OUTPUT_BYTES);
    if (!st)
        st = lab_call(words, &output, err);
    fl_buf_done(&output);
    return st;
}
