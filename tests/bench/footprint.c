/* How much memory and disk the programs need. */
#include "footprint.h"

enum fl_status footprint_stripped(struct lab *lab, const char *program, uint64_t *ret_bytes,
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

static void print(const struct fl_command_call *call, const struct footprint_server *server,
                  const struct footprint_client *client)
{
    const struct footprint_options *options = call->values;
    int json = options->common.json;

    fputs(json ? "{\"server\": {" : "", call->out);
    footprint_server_print(call->out, server, json);
    fputs(json ? "}, \"client\": {" : "", call->out);
    footprint_client_print(call->out, client, json);
    fputs(json ? "}}\n" : "", call->out);
}

static int run(const struct fl_command_call *call)
{
    const struct footprint_options *options = call->values;
    struct footprint_server server;
    struct footprint_client client;
    struct fl_error err = {""};
    /* The client first: what a process forked with counts as its own peak, and the server's part needs much.
     */
    enum fl_status st = footprint_client_measure(options, &client, &err);

    if (!st)
        st = footprint_server_measure(options, &server, &err);
    if (st)
        fprintf(call->err, "fl-bench footprint: %s\n", err.text[0] ? err.text : fl_status_text(st));
    else
        print(call, &server, &client);
    return (int)fl_exit_code_from_status(st);
}

static const struct fl_setting rows[] = {
    BENCH_ROWS(struct footprint_options),
    {.key = "parameters",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct footprint_options, parameters),
     .min = 1000,
     .max = 268435456,
     .def = "10000000",
     .help = "of the model that the server's memory is measured with"},
    {.key = "few",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct footprint_options, few),
     .min = 1,
     .max = 1000,
     .def = "8",
     .help = "clients a round, which the memory with many is compared with"},
    {.key = "many",
     .type = FL_SETTING_U64,
     FL_SETTING_FIELD(struct footprint_options, many),
     .min = 1,
     .max = 1000,
     .def = "64",
     .help = "clients a round"},
    {.key = "density",
     .type = FL_SETTING_DOUBLE,
     FL_SETTING_FIELD(struct footprint_options, density),
     .min = 1e-6,
     .max = 1,
     .def = "0.01",
     .help = "share of its coordinates that a client sends"},
};

const struct fl_command bench_footprint = {
    .words = "footprint",
    .summary = "memory and program sizes",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
    .values_size = sizeof(struct footprint_options),
    .examples = "  fl-bench footprint --json\n",
    .run = run,
};
