/* Exit codes of emu_planted, the program with the planted bugs. */
#ifndef FL_TESTS_UNIT_EMU_PLANTED_H
#define FL_TESTS_UNIT_EMU_PLANTED_H

#define PLANTED_WRONG 3 /* it ran, and the result is wrong */
#define PLANTED_USAGE 4 /* it could not run */

#endif
