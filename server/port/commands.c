#include "server/port/commands.h"

#include "server/port/config.h"

#define INIT(field)  FL_SETTING_FIELD(struct fl_init_options, field)
#define ADMIN(field) FL_SETTING_FIELD(struct fl_admin_options, field)

#define JSON_HELP "print the result as JSON"

static const struct fl_setting init_rows[] = {
    {.key = "host",
     .type = FL_SETTING_STRING,
     INIT(hosts),
     .def = "localhost,127.0.0.1",
     .help = "names and addresses of the server in its certificate, separated by commas"},
    {.key = "listen",
     .type = FL_SETTING_STRING,
     INIT(listen),
     .help = "address to listen on; left out: 127.0.0.1 when every host is a loopback one, else 0.0.0.0"},
    {.key = "port",
     .type = FL_SETTING_U64,
     INIT(port),
     .max = 65535,
     .def = "8443",
     .help = "TCP port; 0: a free one at every start"},
    {.key = "token-uses",
     .type = FL_SETTING_U64,
     INIT(token_uses),
     .min = 1,
     .max = 1000000,
     .def = "1",
     .help = "clients that may enrol with the first token"},
    {.key = "token-ttl",
     .type = FL_SETTING_STRING,
     INIT(token_ttl),
     .def = "24h",
     .help = "life of the first token: 90s, 30m, 24h, 7d"},
    {.key = "json", .type = FL_SETTING_BOOL, INIT(json), .def = "false", .help = JSON_HELP},
};

#define DIR_ROWS                                                                                             \
    {.key = "dir", .type = FL_SETTING_STRING, ADMIN(dir), .def = ".", .help = "state folder of the server"}, \
        {.key = "config",                                                                                    \
         .type = FL_SETTING_STRING,                                                                          \
         ADMIN(config),                                                                                      \
         .help = "its server.yaml, instead of --dir"},                                                       \
    {                                                                                                        \
        .key = "json", .type = FL_SETTING_BOOL, ADMIN(json), .def = "false", .help = JSON_HELP               \
    }

static const struct fl_setting admin_rows[] = {DIR_ROWS};

static const struct fl_setting codecs_rows[] = {
    {.key = "json", .type = FL_SETTING_BOOL, ADMIN(json), .def = "false", .help = JSON_HELP},
};

static const struct fl_setting token_rows[] = {
    DIR_ROWS,
    {.key = "uses",
     .type = FL_SETTING_U64,
     ADMIN(uses),
     .min = 1,
     .max = 1000000,
     .def = "1",
     .help = "clients that may enrol with it"},
    {.key = "ttl",
     .type = FL_SETTING_STRING,
     ADMIN(ttl),
     .def = "24h",
     .help = "its life: 90s, 30m, 24h, 7d"},
};

static const struct fl_setting status_rows[] = {
    DIR_ROWS,
    {.key = "follow",
     .type = FL_SETTING_BOOL,
     ADMIN(follow),
     .def = "false",
     .help = "print each closed round as it happens, until the run ends; with --json one object a line"},
};

static const struct fl_setting create_rows[] = {
    DIR_ROWS,
    {.key = "initial-model",
     .type = FL_SETTING_STRING,
     ADMIN(initial_model),
     .help = "first model, a .safetensors file that the server can read; left out: drawn from the seed"},
};

static const struct fl_setting export_rows[] = {
    DIR_ROWS,
    {.key = "to",
     .type = FL_SETTING_STRING,
     ADMIN(to),
     .required = true,
     .help = "file to write: NAME.safetensors (named tensors) or NAME.npy (one flat vector)"},
};

#define ROWS(rows) .options = rows, .option_count = sizeof(rows) / sizeof(rows[0])
#define OF_ADMIN   .values_size = sizeof(struct fl_admin_options)

static const struct fl_command commands[] = {
    {.words = "init",
     .summary = "Makes a server's folder: authority, server certificate, configuration and a first token.",
     .positionals = "DIR",
     ROWS(init_rows),
     .values_size = sizeof(struct fl_init_options),
     .examples = "  fl-server init /var/lib/residue --host fl.example.org,10.0.0.5\n"
                 "  fl-server init ./server --host 127.0.0.1 --port 0 --token-uses 8 --json\n",
     .run = fl_command_init},
    {.words = "serve",
     .summary = "Runs the server until SIGTERM or SIGINT.",
     .options = fl_server_config_rows,
     .option_count = FL_SERVER_CONFIG_COUNT,
     .values_size = sizeof(struct fl_server_config),
     .config = FL_CONFIG_REQUIRED,
     .examples = "  fl-server serve --config /var/lib/residue/server.yaml\n"
                 "  fl-server serve --config ./server/server.yaml --listen.port 0 --port-file ./port\n",
     .run = fl_command_serve},
    {.words = "restore",
     .summary = "Says that the state in the folder came from a backup: after restoring one, before serve.",
     ROWS(admin_rows),
     OF_ADMIN,
     .examples = "  fl-server restore --dir /var/lib/residue\n"
                 "  Every run begins a new epoch, every token made so far is void. The server must not run.\n"
                 "  What to restore, and what clients do then: server/port/README.md.\n",
     .run = fl_command_restore},
    {.words = "doctor",
     .summary = "Looks at all that serve needs and says what is wrong and what to do; changes nothing.",
     ROWS(admin_rows),
     OF_ADMIN,
     .examples =
         "  fl-server doctor --config /var/lib/residue/server.yaml\n"
         "  fl-server doctor --dir ./server --json\n"
         "  A line a check, `ok`, `note`, `WARN` or `FAIL`, with what to do below it; the server may run or "
         "not.\n"
         "  Ends with 0 when nothing failed (warnings may stand there), 1 when something did.\n",
     .run = fl_command_doctor},
    {.words = "token create",
     .summary = "Makes a token with which clients enrol.",
     ROWS(token_rows),
     OF_ADMIN,
     .examples = "  fl-server token create --dir /var/lib/residue\n"
                 "  fl-server token create --dir ./server --uses 8 --ttl 30m --json\n",
     .run = fl_command_token_create},
    {.words = "clients list",
     .summary = "Lists the enrolled clients.",
     ROWS(admin_rows),
     OF_ADMIN,
     .examples = "  fl-server clients list --dir /var/lib/residue\n"
                 "  fl-server clients list --config /etc/residue/server.yaml --json\n",
     .run = fl_command_clients_list},
    {.words = "clients revoke",
     .summary = "Shuts a client out, at once and for good.",
     .positionals = "ID",
     ROWS(admin_rows),
     OF_ADMIN,
     .examples =
         "  fl-server clients revoke 4f2a --dir /var/lib/residue      the beginning of an id will do\n",
     .run = fl_command_clients_revoke},
    {.words = "codecs",
     .summary = "Lists the compressors that a run spec can name, with what each promises and its settings.",
     ROWS(codecs_rows),
     OF_ADMIN,
     .examples = "  fl-server codecs\n"
                 "  fl-server codecs --json\n"
                 "  lossless: nothing is missed. absolute: the miss is bounded whatever the input. "
                 "contraction: it is\n"
                 "  a share of the input's norm. unbiased: it is noise of mean 0. Bounds, bits and speeds:\n"
                 "  docs/compressors.md.\n",
     .run = fl_command_codecs},
    {.words = "run create",
     .summary = "Starts a run from a run spec.",
     .positionals = "SPEC",
     ROWS(create_rows),
     OF_ADMIN,
     .examples =
         "  fl-server run create deploy/examples/run-digits.yaml --dir /var/lib/residue\n"
         "  fl-server run create next.yaml --dir /var/lib/residue --initial-model digits.safetensors\n"
         "  What codec.name can be: fl-server codecs.\n",
     .run = fl_command_run_create},
    {.words = "run list",
     .summary = "Lists all runs.",
     ROWS(admin_rows),
     OF_ADMIN,
     .examples = "  fl-server run list --dir /var/lib/residue\n",
     .run = fl_command_run_list},
    {.words = "run status",
     .summary = "Tells where a run stands, with its rounds.",
     .positionals = "NAME",
     ROWS(status_rows),
     OF_ADMIN,
     .examples = "  fl-server run status digits --dir /var/lib/residue\n"
                 "  fl-server run status digits --dir ./server --follow --json >rounds.jsonl\n",
     .run = fl_command_run_status},
    {.words = "run stop",
     .summary = "Ends a run: what was accepted still goes into a last version.",
     .positionals = "NAME",
     ROWS(admin_rows),
     OF_ADMIN,
     .examples = "  fl-server run stop digits --dir /var/lib/residue\n",
     .run = fl_command_run_stop},
    {.words = "run export",
     .summary = "Writes the newest published model of a run to a file.",
     .positionals = "NAME",
     ROWS(export_rows),
     OF_ADMIN,
     .examples = "  fl-server run export digits --dir /var/lib/residue --to digits.safetensors\n"
                 "  fl-server run export digits --dir ./server --to digits.npy --json\n",
     .run = fl_command_run_export},
};

const struct fl_program fl_server_program = {
    .name = "fl-server",
    .summary = "federated-learning aggregation server",
    .version = FL_VERSION,
    .commands = commands,
    .command_count = sizeof(commands) / sizeof(commands[0]),
};
