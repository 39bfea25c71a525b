/* What fl-client needs. */
#include "footprint.h"

enum fl_status footprint_client_measure(const struct footprint_options *options,
                                        struct footprint_client *ret_figures, struct fl_error *err)
{
    struct lab lab = {.server = 0};
    enum fl_status st = lab_begin(&options->common, 1, &lab, err);

    if (!st)
        st = footprint_stripped(&lab, lab.client_program, &ret_figures->stripped_bytes, err);
    lab_end(&lab);
    return st;
}

void footprint_client_print(FILE *out, const struct footprint_client *figures, int json)
{
    if (json)
        fprintf(out, "\"stripped_bytes\": %llu", (unsigned long long)figures->stripped_bytes);
    else
        fprintf(out, "fl-client, stripped        %8.1f KiB\n", (double)figures->stripped_bytes / 1024);
}
