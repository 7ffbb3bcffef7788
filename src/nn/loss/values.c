#include "nn/loss/values.h"

void loss_add_errors(const float *y, const float *values, size_t N, size_t O, struct loss_sums *sums)
{
    double absolute = 0, squared = 0;

    for (size_t i = 0; i < N * O; i++) {
        double error = (double)y[i] - (double)values[i];

        absolute += error < 0 ? -error : error;
        squared += error * error;
    }
    sums->absolute_error += absolute / (double)O;
    sums->squared_error += squared / (double)O;
    sums->predictions += (int64_t)N;
}

size_t loss_largest(const float *y, size_t O)
{
    size_t best = 0;

    for (size_t o = 1; o < O; o++)
        if (y[o] > y[best])
            best = o;
    return best;
}

void loss_add_correct(const float *y, const float *values, size_t N, size_t O, float threshold, struct loss_sums *sums)
{
    for (size_t n = 0; n < N; n++, y += O, values += O)
        sums->correct +=
            O == 1 ? (*y > threshold) == (*values > threshold) : loss_largest(y, O) == loss_largest(values, O);
}
