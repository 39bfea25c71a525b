/* The zero of an increasing function: Newton's steps, and bisection wherever those would leave the bracket.
 */
#ifndef FL_CODEC_ROOT_H
#define FL_CODEC_ROOT_H

/* Value of the function at x; its derivative goes to ret_slope. user is what fl_root_find was given. */
typedef double fl_root_fn(const void *user, double x, double *ret_slope);

/* x in [low, high] where the increasing function changes sign, to the last few bits; low or high when it has
 * one sign in between. Calls function at most 120 times. */
double fl_root_find(fl_root_fn *function, const void *user, double low, double high);

#endif
