/* fl-server: see server/port/commands.h. */
#include "server/port/commands.h"

int main(int argc, char **argv)
{
    return fl_args_main(&fl_server_program, argc, argv, stdout, stderr, NULL);
}
