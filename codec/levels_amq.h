/*
 * AMQ: exponential levels p^j and -p^j with the p that fits a distribution best (Faghri et al., NeurIPS 2020,
 * section 3 and appendix; AMQ-N is the same with a mixture of one part). Not for free levels
 * (codec/levels_alq.h). The levels are symmetric, so Psi depends on the symmetric part of F only;
 * mixture->symmetric makes no difference. An odd count has a level 0 in the middle. Nothing here allocates.
 */
#ifndef FL_CODEC_LEVELS_AMQ_H
#define FL_CODEC_LEVELS_AMQ_H

#include "codec/levels.h"

/* Steps from each start and first learning rate of the authors' scripts. */
#define FL_LEVELS_AMQ_STEPS         50
#define FL_LEVELS_AMQ_LEARNING_RATE 0.7

/* dPsi/dp of the levels of p, which fl_levels_exponential accepts for count: the sum over all levels of
 * dPsi/dl_j times j p^(j-1). The paper's longer formula is the same number (the tests compare them). */
double fl_levels_amq_gradient(const struct fl_mixture *mixture, size_t count, double p);

/*
 * p by gradient descent from each of 0.1, 0.2, 0.3, 0.4, previous (0.5 when it is 0), 0.6, 0.8 and 0.9, the
 * best of all that were met. Returns its Psi. Our own additions: starts below 0.1, where the best p of few
 * levels and large buckets lies; a step that lowers Psi doubles the rate, one that does not is taken back and
 * quarters it, as Psi's scale depends on the bucket; a descent also ends when a step would change p by less
 * than 1e-9 of itself; and p keeps inside what fl_levels_exponential accepts.
 */
double fl_levels_amq(const struct fl_mixture *mixture, size_t count, unsigned steps, double previous,
                     double *ret_p);

#endif
