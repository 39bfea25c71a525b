#include "server/port/run_view.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "platform/text.h"
#include "server/port/command_client.h"

/* "topk", or in parts "topk by tensors, dense below 65" */
static void print_codec(const struct fl_json *run, FILE *out)
{
    const struct fl_json *codec = fl_json_get(run, "codec");
    uint64_t dense_below = fl_json_uint(codec, "dense_below");
    fputs(fl_json_text(codec, dense_below ? "part" : "name"), out);
    if (dense_below)
        fprintf(out, " by tensors, dense below %" PRIu64, dense_below);
}

void fl_run_view_list(const struct fl_json *runs, FILE *out)
{
    fprintf(out, "%-20s  %-10s  %-11s  %-15s  %10s  %s\n", "NAME", "PHASE", "ROUND", "UPDATES", "PARAMETERS",
            "CODEC");
    for (size_t i = 0; i < fl_json_count(runs); i++) {
        const struct fl_json *run = fl_json_at(runs, i);
        char round[24], updates[32];
        snprintf(round, sizeof(round), "%" PRIu64 "/%" PRIu64, fl_json_uint(run, "round"),
                 fl_json_uint(run, "rounds"));
        snprintf(updates, sizeof(updates), "%" PRIu64 "/%" PRIu64, fl_json_uint(run, "accepted"),
                 fl_json_uint(run, "target"));
        fprintf(out, "%-20s  %-10s  %-11s  %-15s  %10" PRIu64 "  ", fl_json_text(run, "name"),
                fl_json_text(run, "phase"), round, updates, fl_json_uint(run, "elems"));
        print_codec(run, out);
        fputc('\n', out);
    }
}

/* "up  12.0 KiB in bodies, dense 2.1 MiB (182 x), headers 40.1 KiB" */
static void print_traffic(const struct fl_json *run, const char *label, const char *const keys[3], FILE *out)
{
    char body[FL_SIZE_TEXT_BYTES], dense[FL_SIZE_TEXT_BYTES], header[FL_SIZE_TEXT_BYTES];
    uint64_t bytes = fl_json_uint(run, keys[0]), dense_bytes = fl_json_uint(run, keys[1]);
    fl_size_to_text(bytes, body);
    fl_size_to_text(dense_bytes, dense);
    fl_size_to_text(fl_json_uint(run, keys[2]), header);
    fprintf(out, "%-10s%s in bodies; dense would be %s (%.1f times as much); HTTP headers %s\n", label, body,
            dense, bytes ? (double)dense_bytes / (double)bytes : 0.0, header);
}

void fl_run_view_totals(const struct fl_json *run, FILE *out)
{
    static const char *const up[3] = {"uplink_bytes", "uplink_dense_bytes", "uplink_header_bytes"};
    static const char *const down[3] = {"downlink_bytes", "downlink_dense_bytes", "downlink_header_bytes"};
    const struct fl_json *codec = fl_json_get(run, "codec");

    fprintf(out, "%-10s%s, %s\n", "run", fl_json_text(run, "name"), fl_json_text(run, "phase"));
    fprintf(out,
            "%-10s%" PRIu64 " of %" PRIu64 ", %" PRIu64 "/%" PRIu64 " updates, %" PRIu64 " clients waiting\n",
            "round", fl_json_uint(run, "round"), fl_json_uint(run, "rounds"), fl_json_uint(run, "accepted"),
            fl_json_uint(run, "target"), fl_json_uint(run, "waiting"));
    fprintf(out, "%-10s%" PRIu64 " of epoch %" PRIu64 ", digest %s\n", "version",
            fl_json_uint(run, "version"), fl_json_uint(run, "epoch"), fl_json_text(run, "digest"));
    fprintf(out, "%-10s%s, %" PRIu64 " parameters\n", "model",
            fl_json_text(fl_json_get(run, "model"), "kind"), fl_json_uint(run, "elems"));
    fprintf(out, "%-10s", "codec");
    print_codec(run, out);
    fprintf(out, ", lambda %g, ratio %g\n", fl_json_double(codec, "lambda"), fl_json_double(codec, "ratio"));
    fprintf(out,
            "%-10s%" PRIu64 " accepted, %" PRIu64 " late, %" PRIu64 " invalid, %" PRIu64
            " after the end, %" PRIu64 " dropped by clients\n",
            "updates", fl_json_uint(run, "updates_accepted"), fl_json_uint(run, "updates_late"),
            fl_json_uint(run, "updates_invalid"), fl_json_uint(run, "updates_ended"),
            fl_json_uint(run, "dropped"));
    if (*fl_json_text(run, "problem"))
        fprintf(out, "%-10s%s\n", "problem", fl_json_text(run, "problem"));
    if (fl_json_uint(run, "restores") > 0)
        fprintf(out, "%-10s%" PRIu64 " times from a backup, %" PRIu64 " accepted updates known to be lost\n",
                "restored", fl_json_uint(run, "restores"), fl_json_uint(run, "lost"));
    print_traffic(run, "up", up, out);
    print_traffic(run, "down", down, out);
    fprintf(out, "%-10slargest l2 norm %g\n", "residual", fl_json_double(run, "residual_norm"));
}

/* "-" for a number that is not there. */
static void number_text(double value, char text[24])
{
    if (isnan(value))
        snprintf(text, 24, "-");
    else
        snprintf(text, 24, "%.4f", value);
}

static void percent_text(double value, char text[24])
{
    if (isnan(value))
        snprintf(text, 24, "-");
    else
        snprintf(text, 24, "%.2f %%", 100 * value);
}

void fl_run_view_round(const struct fl_json *round, uint64_t rounds, char line[FL_ROUND_LINE_BYTES])
{
    char up[FL_SIZE_TEXT_BYTES], down[FL_SIZE_TEXT_BYTES], loss[24], accuracy[24], density[24];
    int calibrates = !strcmp(fl_json_text(round, "kind"), "calibrate");

    fl_size_to_text(fl_json_uint(round, "uplink_bytes"), up);
    fl_size_to_text(fl_json_uint(round, "downlink_bytes"), down);
    number_text(fl_json_double(round, "test_loss"), loss);
    number_text(fl_json_double(round, "test_accuracy"), accuracy);
    percent_text(calibrates ? NAN : fl_json_double(round, "density"), density);
    snprintf(line, FL_ROUND_LINE_BYTES,
             "round %" PRIu64 "/%" PRIu64 "%s  %" PRIu64 "/%" PRIu64
             " updates  loss %s  accuracy %s  up %s  down %s  density %s  %.2f s",
             fl_json_uint(round, "round"), rounds, calibrates ? " (calibration)" : "",
             fl_json_uint(round, "accepted"), fl_json_uint(round, "target"), loss, accuracy, up, down,
             density, (double)fl_json_uint(round, "duration_ms") / 1000);
}
