/* What fl-server needs: by itself, and with a large model and few or many clients a round. */
#include "footprint.h"
#include "large.h"

#define ROUNDS     3
#define ALLOWANCE  ((uint64_t)64 << 20)
#define PER_ELEM   24 /* bytes */
#define RATIO_MOST 1.1

/* The program, and a server without runs. */
static enum fl_status measure_idle(const struct footprint_options *options, struct footprint_server *ret,
                                   struct fl_error *err)
{
    struct lab lab = {.server = 0};
    enum fl_status st = lab_begin(&options->common, 1, &lab, err);

    if (!st)
        st = footprint_stripped(&lab, lab.server_program, &ret->stripped_bytes, err);
    if (!st)
        st = lab_start_server(&lab, err);
    if (!st) {
        ret->idle_rss_bytes = lab_memory(lab.server, "VmHWM");
        st = lab_stop_server(&lab, err);
    }
    lab_end(&lab);
    return st;
}

/* From the making of the run to its last version, then what a start of the server with that state takes. */
static enum fl_status play(struct large *large, struct footprint_load *ret, struct fl_error *err)
{
    struct lab *lab = large->swarm.lab;
    enum fl_status st;

    ret->created_bytes = lab_memory(lab->server, "VmHWM");
    st = large_play(large, ROUNDS, err);
    ret->peak_bytes = lab_memory(lab->server, "VmHWM");
    if (!st)
        st = large_finish(large, err);
    ret->last_bytes = lab_memory(lab->server, "VmHWM");
    for (size_t i = 0; i < large->swarm.count; i++)
        ret->in_flight_bytes += large->all[i].sent_bytes;
    if (!st)
        st = lab_stop_server(lab, err);
    if (!st)
        st = lab_start_server(lab, err);
    ret->start_bytes = lab_memory(lab->server, "VmHWM");
    return st ? st : lab_stop_server(lab, err);
}

static enum fl_status measure_load(const struct footprint_options *options, uint64_t clients,
                                   struct footprint_load *ret, struct fl_error *err)
{
    struct large_options large_options = {
        .elems = options->parameters, .clients = clients, .density = options->density};
    struct lab lab = {.server = 0};
    struct large large = {.all = NULL};
    enum fl_status st = lab_begin(&options->common, (unsigned)clients, &lab, err);

    *ret = (struct footprint_load){.clients = clients};
    if (!st)
        st = large_begin(&large, &lab, &large_options, err);
    large.with_snapshot = 1;
    if (!st)
        st = play(&large, ret, err);
    ret->elems = large.options.elems;
    lab_end(&lab);
    large_end(&large);
    return st;
}

enum fl_status footprint_server_measure(const struct footprint_options *options,
                                        struct footprint_server *ret_figures, struct fl_error *err)
{
    enum fl_status st = measure_idle(options, ret_figures, err);

    if (!st)
        st = measure_load(options, options->few, &ret_figures->few, err);
    if (!st)
        st = measure_load(options, options->many, &ret_figures->many, err);
    return st;
}

static uint64_t peak(const struct footprint_load *load)
{
    return load->last_bytes; /* the high-water mark of all before */
}

static uint64_t bound(const struct footprint_load *load)
{
    return load->elems * PER_ELEM + load->in_flight_bytes + ALLOWANCE;
}

static void print_load(FILE *out, const char *name, const struct footprint_load *load, int json)
{
    double each = ((double)peak(load) - (double)load->in_flight_bytes) / (double)load->elems;

    fprintf(
        out,
        json ? ", \"%s\": {\"clients\": %llu, \"parameters\": %llu, \"created_bytes\": %llu, "
               "\"rounds_bytes\": %llu, \"last_version_bytes\": %llu, \"start_bytes\": %llu, "
               "\"in_flight_bytes\": %llu, \"bytes_a_parameter\": %.2f, \"bound_bytes\": %llu, \"met\": %s}"
             : "%-6s %3llu clients a round, %llu parameters; peak resident, bytes:\n"
               "  run made   %12llu\n  rounds     %12llu\n  last one   %12llu\n  start      %12llu\n"
               "  in flight  %12llu at most\n  %.2f bytes a parameter, all of the process but what is in "
               "flight\n"
               "  bound      %12llu  met: %s\n",
        name, (unsigned long long)load->clients, (unsigned long long)load->elems,
        (unsigned long long)load->created_bytes, (unsigned long long)load->peak_bytes,
        (unsigned long long)load->last_bytes, (unsigned long long)load->start_bytes,
        (unsigned long long)load->in_flight_bytes, each, (unsigned long long)bound(load),
        peak(load) <= bound(load) && load->start_bytes <= bound(load) ? "true" : "false");
}

void footprint_server_print(FILE *out, const struct footprint_server *figures, int json)
{
    double ratio = (double)peak(&figures->many) / (double)peak(&figures->few);

    fprintf(
        out,
        json ? "\"stripped_bytes\": %llu, \"idle_rss_bytes\": %llu"
             : "fl-server, stripped        %12llu bytes\nfl-server without runs     %12llu bytes resident\n",
        (unsigned long long)figures->stripped_bytes, (unsigned long long)figures->idle_rss_bytes);
    print_load(out, "few", &figures->few, json);
    print_load(out, "many", &figures->many, json);
    fprintf(out, json ? ", \"many_to_few\": %.3f, \"ratio_met\": %s" : "many / few  %.3f  within 10 %%: %s\n",
            ratio, ratio <= RATIO_MOST && ratio >= 1 / RATIO_MOST ? "true" : "false");
}
