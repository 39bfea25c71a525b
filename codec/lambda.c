/* The rules that give lambda. */
#include <math.h>

#include "codec/codec.h"

float fl_lambda_nearest_power(double lambda)
{
    int exponent = FL_CODEC_LAMBDA_LOG2_MIN;
    if (lambda > 0) {
        double mantissa = frexp(lambda, &exponent); /* in [1/2, 1) */
        if (isinf(lambda))
            exponent = FL_CODEC_LAMBDA_LOG2_MAX;
        else if (mantissa * mantissa < 0.5)
            exponent--;
    }
    if (exponent < FL_CODEC_LAMBDA_LOG2_MIN)
        exponent = FL_CODEC_LAMBDA_LOG2_MIN;
    if (exponent > FL_CODEC_LAMBDA_LOG2_MAX)
        exponent = FL_CODEC_LAMBDA_LOG2_MAX;
    return ldexpf(1.0f, exponent);
}

float fl_lambda_from_rms(double rms)
{
    return fl_lambda_nearest_power(4 * rms);
}

enum fl_status fl_lambda_log2(float lambda, int *ret_log2)
{
    int exponent;
    if (!isnormal(lambda) || frexpf(lambda, &exponent) != 0.5f)
        return FL_ERR_RANGE;
    *ret_log2 = exponent - 1;
    return FL_OK;
}
