/* What fl-server needs. */
#include "footprint.h"

enum fl_status footprint_server_measure(const struct footprint_options *options,
                                        struct footprint_server *ret_figures, struct fl_error *err)
{
    struct lab lab = {.server = 0};
    enum fl_status st = lab_begin(&options->common, 1, &lab, err);

    if (!st)
        st = footprint_stripped(&lab, lab.server_program, &ret_figures->stripped_bytes, err);
    if (!st)
        st = lab_start_server(&lab, err);
    if (!st) {
        ret_figures->idle_rss_bytes = lab_memory(lab.server, "VmHWM");
        st = lab_stop_server(&lab, err);
    }
    lab_end(&lab);
    return st;
}

void footprint_server_print(FILE *out, const struct footprint_server *figures, int json)
{
    if (json)
        fprintf(out, "\"stripped_bytes\": %llu, \"idle_rss_bytes\": %llu",
                (unsigned long long)figures->stripped_bytes, (unsigned long long)figures->idle_rss_bytes);
    else
        fprintf(out, "fl-server, stripped        %8.1f KiB\nfl-server without runs     %8.1f MiB resident\n",
                (double)figures->stripped_bytes / 1024, (double)figures->idle_rss_bytes / 1048576);
}
