// Softmax of each row: y = exp(x - max) / (sum of exp(x - max)).
#include "cuda.h"

constexpr float LOG2_E = 1.44269504f;

// x, y: gridDim.x rows of `columns` floats, at least one. One warp (32 threads) per row; lanes are combined by a
// butterfly of shuffles. Approximate: each power of two has a relative error of at most 2^-22, and its argument's
// rounding adds |x - max| * 2^-24.
extern "C" __global__ void softmax(u32 columns, const float *x, float *y) {
    const float *row = x + (u64)blockIdx.x * columns;
    float *out = y + (u64)blockIdx.x * columns;
    float greatest = -__uint_as_float(0x7f800000);
    for (u32 i = threadIdx.x; i < columns; i += 32) {
        greatest = fmaxf(greatest, row[i]);
    }
    for (u32 by = 16; by > 0; by /= 2) {
        greatest = fmaxf(greatest, shuffle_bfly(greatest, by));
    }
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < columns; i += 32) {
        float power = exp2_approx((row[i] - greatest) * LOG2_E);
        out[i] = power;
        sum += power;
    }
    for (u32 by = 16; by > 0; by /= 2) {
        sum += shuffle_bfly(sum, by);
    }
    for (u32 i = threadIdx.x; i < columns; i += 32) {
        out[i] = out[i] / sum;
    }
}
