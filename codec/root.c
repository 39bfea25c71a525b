#include "codec/root.h"

#include <math.h>

double fl_root_find(fl_root_fn *function, const void *user, double low, double high)
{
    double x = 0.5 * (low + high), before = high - low;
    for (int call = 0; call < 120 && low < high; call++) {
        double slope, value = function(user, x, &slope);
        if (value == 0)
            return x;
        if (value < 0)
            low = x;
        else
            high = x;
        double step = value / slope, next = x - step;
        /* a step that is not half of the one before it is not converging */
        if (!(next > low && next < high) || fabs(step) > 0.5 * before)
            next = 0.5 * (low + high);
        before = fabs(next - x);
        if (next == x || before <= 0x1p-52 * fabs(x))
            return next;
        x = next;
    }
    return x;
}
