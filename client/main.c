/* fl-client: the commands and what they print. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "client/port/config.h"
#include "client/port/doctor.h"
#include "client/port/identity.h"
#include "client/port/runner.h"
#include "client/trainer/builtin.h"
#include "formats/safetensors.h"
#include "platform/args.h"
#include "platform/env.h"
#include "platform/signals.h"

static int finish(const struct fl_command_call *call, enum fl_status st, const struct fl_error *err)
{
    if (st)
        fprintf(call->err, "fl-client %s: %s\n", call->command->words,
                err->text[0] ? err->text : fl_status_text(st));
    if (st == FL_ERR_NOT_FOUND) /* a file that the options or the configuration name */
        return FL_EXIT_CONFIG;
    /* Out of step with the server: the state is of no use as it is, like a damaged one. */
    return st == FL_ERR_STATE ? FL_EXIT_CORRUPT : (int)fl_exit_code_from_status(st);
}

static int enroll(const struct fl_command_call *call)
{
    struct fl_client_config *config = call->values;
    const struct fl_env *env = call->user;
    struct fl_error err = {""};
    char client[FL_LIMIT_NAME_BYTES + 1];
    enum fl_status st = fl_config_token(config, &err);
    if (!st)
        st = fl_identity_enroll(&(struct fl_enroll_options){.url = config->server_url,
                                                            .token = config->token,
                                                            .fingerprint = config->fingerprint,
                                                            .state_dir = config->state,
                                                            .name = config->name,
                                                            .stop_fd = fl_signals_fd()},
                                env, client, &err);
    if (!st)
        fprintf(call->out, config->json ? "{\"client\": \"%s\"}\n" : "enrolled as client %s\n", client);
    return finish(call, st, &err);
}

static int run(const struct fl_command_call *call)
{
    struct fl_client_config *config = call->values;
    const struct fl_env *env = call->user;
    struct fl_error err = {""};
    fl_log_set_level(config->log_level);
    return finish(call, fl_runner_run(config, env, &err), &err);
}

static int resync(const struct fl_command_call *call)
{
    struct fl_client_config *config = call->values;
    struct fl_error err = {""};
    fl_log_set_level(config->log_level);
    config->resync = true;
    enum fl_status st = fl_runner_run(config, call->user, &err);
    if (!st)
        fprintf(call->out,
                "in step with the server again; what was under way is dropped and counted as one lost "
                "update\n");
    return finish(call, st, &err);
}

static int doctor(const struct fl_command_call *call)
{
    struct fl_client_config *config = call->values;
    static struct fl_findings findings;
    fl_log_set_level(FL_LOG_OFF);
    fl_doctor_run(config, call->config_path, call->user, &findings);
    fl_findings_print(&findings, config->json, call->out);
    return fl_findings_exit_code(&findings);
}

/* Data and model of train and evaluate; what is taken is in ret_* even on failure. */
struct bench {
    struct fl_data data;
    struct fl_model_spec spec;
    struct fl_trainer *trainer;
    float *weights; /* shape (d) */
};

static enum fl_status bench_begin(struct bench *b, struct fl_client_config *config, const struct fl_env *env,
                                  struct fl_error *err)
{
    struct fl_data_config data_config;
    enum fl_status st = fl_config_data(&config->data, &data_config, err);
    if (!st)
        st = fl_data_load(&data_config, &b->data, err);
    if (!st)
        st = fl_config_model(&config->model, b->data.train.features, b->data.train.classes, &b->spec, err);
    if (!st)
        st = fl_trainer_new_builtin(&b->spec, &b->data.train, &b->data.test, env, &b->trainer, err);
    if (st)
        return st;
    b->weights = calloc(fl_model_spec_elems(&b->spec), sizeof *b->weights);
    return b->weights ? FL_OK : fl_error_nomem(err);
}

static void bench_end(struct bench *b)
{
    free(b->weights);
    fl_trainer_free(b->trainer);
    fl_data_done(&b->data);
}

static enum fl_status bench_judge(struct bench *b, struct fl_metrics *ret_metrics, struct fl_error *err)
{
    enum fl_status st = fl_trainer_evaluate(b->trainer, b->weights, ret_metrics);
    if (st)
        return fl_error_set(err, st, "evaluation: %s", fl_status_text(st));
    return ret_metrics->examples
               ? FL_OK
               : fl_error_set(err, FL_ERR_CONFIG, "data: no examples are held out for testing");
}

static void print_metrics(const struct fl_command_call *call, const struct fl_metrics *metrics,
                          const struct fl_train_report *report)
{
    const struct fl_client_config *config = call->values;
    double accuracy = (double)metrics->correct / (double)metrics->examples;
    double loss = metrics->loss_sum / (double)metrics->examples;
    unsigned long long examples = metrics->examples;
    if (config->json && report)
        fprintf(call->out,
                "{\"test_accuracy\": %.17g, \"test_loss\": %.17g, \"test_examples\": %llu, \"train_loss\": "
                "%.17g, "
                "\"train_examples\": %llu, \"steps\": %u}\n",
                accuracy, loss, examples, report->mean_loss, (unsigned long long)report->examples,
                report->steps);
    else if (config->json)
        fprintf(call->out, "{\"test_accuracy\": %.17g, \"test_loss\": %.17g, \"test_examples\": %llu}\n",
                accuracy, loss, examples);
    else
        fprintf(call->out, "test accuracy %.4f, loss %.4f on %llu examples\n", accuracy, loss, examples);
}

static int train(const struct fl_command_call *call)
{
    struct fl_client_config *config = call->values;
    const struct fl_config_model *model = &config->model;
    struct fl_error err = {""};
    struct bench b = {0};
    struct fl_metrics metrics;
    struct fl_train_report report;
    struct fl_train_plan plan = {
        .steps = (uint32_t)model->steps,
        .epochs = (uint32_t)model->epochs,
        .batch = (uint32_t)model->batch,
        .learning_rate = (float)model->learning_rate,
        .momentum = (float)model->momentum,
        .weight_decay = (float)model->weight_decay,
        .seed = model->seed,
    };
    enum fl_status st = bench_begin(&b, config, call->user, &err);
    if (!st) {
        fl_model_spec_init(&b.spec, b.weights);
        st = fl_trainer_train(b.trainer, b.weights, &plan, 0, NULL, b.weights, &report);
        if (st)
            fl_error_set(&err, st, "training: %s", fl_status_text(st));
    }
    if (!st)
        st = bench_judge(&b, &metrics, &err);
    if (!st)
        print_metrics(call, &metrics, &report);
    bench_end(&b);
    return finish(call, st, &err);
}

static int evaluate(const struct fl_command_call *call)
{
    struct fl_client_config *config = call->values;
    struct fl_error err = {""};
    struct bench b = {0};
    struct fl_metrics metrics;
    enum fl_status st = bench_begin(&b, config, call->user, &err);
    if (!st)
        st = fl_safetensors_read(config->model.file, &b.spec, b.weights, &err);
    if (!st)
        st = bench_judge(&b, &metrics, &err);
    if (!st)
        print_metrics(call, &metrics, NULL);
    bench_end(&b);
    return finish(call, st, &err);
}

/* Vectors and bodies are blocks of their own that go back to the system as soon as they are freed. Left
 * alone, glibc raises this size to that of what was freed, and keeps freed models for itself. */
#define OWN_BLOCK_BYTES (128 << 10)

int main(int argc, char **argv)
{
    size_t doctor_count;
    const struct fl_setting *doctor_rows = fl_config_doctor_rows(&doctor_count);
    const struct fl_command commands[] = {
        {
            .words = "enroll",
            .summary = "make a key and get a certificate for it with a one-time token",
            .options = fl_config_enroll_rows,
            .option_count = fl_config_enroll_count,
            .values_size = sizeof(struct fl_client_config),
            .examples = "  fl-client enroll --server https://fl.example:8443 --token-file ./token \\\n"
                        "      --ca-fingerprint 5e1d... --state /var/lib/fl-client --name site-7\n"
                        "  A lost answer is no harm: the same command again gets the same certificate.\n",
            .run = enroll,
        },
        {
            .words = "run",
            .summary = "take part in a run until it ends",
            .options = fl_config_run_rows,
            .option_count = fl_config_run_count,
            .values_size = sizeof(struct fl_client_config),
            .config = FL_CONFIG_OPTIONAL,
            .examples =
                "  fl-client run --config client.yaml\n"
                "  fl-client run --config client.yaml --run digits-2 --data.index 3\n"
                "  Ends with 0 when the run has ended, 130 after SIGINT or SIGTERM (start it again to go "
                "on),\n"
                "  7 when the state folder is damaged or out of step with the server (client/README.md).\n",
            .run = run,
        },
        {
            .words = "resync",
            .summary = "take over the server's count of updates, dropping what is under way",
            .options = fl_config_run_rows,
            .option_count = fl_config_run_count,
            .values_size = sizeof(struct fl_client_config),
            .config = FL_CONFIG_OPTIONAL,
            .examples = "  fl-client resync --config client.yaml\n"
                        "  For a state folder restored from an older copy. Its outbox and residual are "
                        "dropped, since\n"
                        "  parts of them may have been sent already; that is counted as one lost update. A "
                        "copy that\n"
                        "  is in use elsewhere needs a folder and an enrolment of its own instead.\n",
            .run = resync,
        },
        {
            .words = "doctor",
            .summary = "look at all that `run` needs and say what is wrong and what to do; changes nothing",
            .options = doctor_rows,
            .option_count = doctor_count,
            .values_size = sizeof(struct fl_client_config),
            .config = FL_CONFIG_OPTIONAL,
            .examples =
                "  fl-client doctor --config client.yaml\n"
                "  fl-client doctor --config client.yaml --json\n"
                "  fl-client doctor --server https://fl.example:8443      before enrolling\n"
                "  A line a check, `ok`, `note`, `WARN` or `FAIL`, with what to do below it. May be used "
                "while "
                "a\n"
                "  client runs. Ends with 0 when nothing failed (warnings may stand there), 1 when something "
                "did,\n"
                "  3 when the configuration cannot be read: the message says where.\n",
            .run = doctor,
        },
        {
            .words = "train",
            .summary = "train on all the data alone, to compare with",
            .options = fl_config_train_rows,
            .option_count = fl_config_train_count,
            .values_size = sizeof(struct fl_client_config),
            .examples =
                "  fl-client train --data digits.csv.gz --data.scale 0.0625 --model mlp --hidden 64 --steps "
                "9600\n"
                "  fl-client train --data a9a.xz --data.format libsvm --model logistic --epochs 10 --json\n",
            .run = train,
        },
        {
            .words = "evaluate",
            .summary = "judge an exported model on the test part of the data",
            .options = fl_config_evaluate_rows,
            .option_count = fl_config_evaluate_count,
            .values_size = sizeof(struct fl_client_config),
            .examples = "  fl-client evaluate --model model.safetensors --hidden 64 --data digits.csv.gz "
                        "--data.scale 0.0625\n",
            .run = evaluate,
        },
    };
    const struct fl_program program = {
        .name = "fl-client",
        .summary = "the edge side of Residue: trains on local data, sends compressed updates exactly once",
        .version = FL_VERSION,
        .commands = commands,
        .command_count = sizeof commands / sizeof commands[0],
    };
    struct fl_env env = fl_env_system();
    struct fl_error err = {""};
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, OWN_BLOCK_BYTES);
#endif
    enum fl_status st = fl_signals_install(&err);
    if (st) {
        fprintf(stderr, "fl-client: %s\n", err.text);
        return (int)fl_exit_code_from_status(st);
    }
    return fl_args_main(&program, argc, argv, stdout, stderr, &env);
}
