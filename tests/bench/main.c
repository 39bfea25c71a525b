/* fl-bench: the table of what can be measured. */
#include "bench.h"

#include "platform/signals.h"

int main(int argc, char **argv)
{
    const struct fl_command commands[] = {
        bench_codec, bench_compressors, bench_footprint, bench_kernels, bench_round, bench_server,
    };
    const struct fl_program program = {
        .name = "fl-bench",
        .summary = "measures Residue's speed and memory; prints figures, judges nothing",
        .version = FL_VERSION,
        .commands = commands,
        .command_count = sizeof commands / sizeof commands[0],
    };
    struct fl_error err = {""};
    enum fl_status st = fl_signals_install(&err);

    if (st) {
        fprintf(stderr, "fl-bench: %s\n", err.text);
        return (int)fl_exit_code_from_status(st);
    }
    return fl_args_main(&program, argc, argv, stdout, stderr, NULL);
}
