/* `fl-server doctor`. */
#include "base/log.h"
#include "server/port/commands.h"
#include "server/port/doctor.h"

int fl_command_doctor(const struct fl_command_call *call)
{
    const struct fl_admin_options *options = call->values;
    static struct fl_findings findings;

    fl_log_set_level(FL_LOG_OFF);
    fl_server_doctor_run(options->dir, options->config, &findings);
    fl_findings_print(&findings, options->json, call->out);
    return fl_findings_exit_code(&findings);
}
