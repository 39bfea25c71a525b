/* A library with nothing of fl-client in it: stands for one that is no plugin, and for a driver. */
int fl_no_plugin(void);

int fl_no_plugin(void)
{
    return 1;
}
