/* How much memory and disk the programs need. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "lab.h"

struct options {
    struct bench_options common;
};

struct figures {
    uint64_t client_bytes, server_bytes; /* of the stripped programs */
    uint64_t idle_rss_bytes;             /* of a server without runs */
};

static enum fl_status stripped_size(struct lab *lab, const char *program, uint64_t *ret_bytes,
                                    struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    struct fl_buf output;
    enum fl_status st = fl_path_join(lab->folder, "stripped", path, err);
    const char *const words[] = {"strip", "-o", path, program, NULL};

    fl_buf_init(&output, 1 << 16);
    if (!st)
        st = lab_call(words, &output, err);
    if (!st)
        st = fl_file_size(path, ret_bytes, err);
    fl_buf_done(&output);
    return st;
}

static enum fl_status measure(struct lab *lab, struct figures *ret_figures, struct fl_error *err)
{
    enum fl_status st = stripped_size(lab, lab->client_program, &ret_figures->client_bytes, err);

    if (!st)
        st = stripped_size(lab, lab->server_program, &ret_figures->server_bytes, err);
    if (!st)
        st = lab_start_server(lab, err);
    if (st)
        return st;
    ret_figures->idle_rss_bytes = lab_memory(lab->server, "VmHWM");
    return lab_stop_server(lab, err);
}

static void print(const struct fl_command_call *call, const struct figures *figures)
{
    const struct options *options = call->values;

    if (options->common.json)
        fprintf(call->out,
                "{\"client_stripped_bytes\": %llu, \"server_stripped_bytes\": %llu, "
                "\"server_idle_rss_bytes\": %llu}\n",
                (unsigned long long)figures->client_bytes, (unsigned long long)figures->server_bytes,
                (unsigned long long)figures->idle_rss_bytes);
    else
        fprintf(call->out,
                "fl-client, stripped        %8.1f KiB\nfl-server, stripped        %8.1f KiB\n"
                "fl-server without runs     %8.1f MiB resident\n",
                (double)figures->client_bytes / 1024, (double)figures->server_bytes / 1024,
                (double)figures->idle_rss_bytes / 1048576);
}

static int run(const struct fl_command_call *call)
{
    const struct options *options = call->values;
    struct lab lab = {.server = 0};
    struct figures figures;
    struct fl_error err = {""};
    enum fl_status st = lab_begin(&options->common, 1, &lab, &err);

    if (!st)
        st = measure(&lab, &figures, &err);
    lab_end(&lab);
    if (st)
        fprintf(call->err, "fl-bench footprint: %s\n", err.text[0] ? err.text : fl_status_text(st));
    else
        print(call, &figures);
    return (int)fl_exit_code_from_status(st);
}

static const struct fl_setting rows[] = {BENCH_ROWS(struct options)};

const struct fl_command bench_footprint = {
    .words = "footprint",
    .summary = "memory and program sizes",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
    .values_size = sizeof(struct options),
    .examples = "  fl-bench footprint --json\n",
    .run = run,
};
