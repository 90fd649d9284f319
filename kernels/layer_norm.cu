// Layer normalization (Ba, Kiros and Hinton, 2016) of each row: y = (x - mean) / sqrt(variance + epsilon) * gain + bias.
#include "cuda.h"

// The sum over one warp, in every lane: a butterfly, so that all lanes add in the same order.
static __device__ __forceinline__ float warp_total(float value) {
    for (u32 by = 16; by > 0; by /= 2) {
        value += shuffle_bfly(value, by);
    }
    return value;
}

// x, y: gridDim.x rows of `columns` floats; gain, bias: `columns` floats. One warp (32 threads) per row: lane l adds the
// elements l, l + 32, ... in order. Every operation is rounded as IEEE says, so the bits are fixed.
extern "C" __global__ void layer_norm(u32 columns, float epsilon, const float *x, const float *gain, const float *bias,
                                      float *y) {
    const float *row = x + (u64)blockIdx.x * columns;
    float *out = y + (u64)blockIdx.x * columns;
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < columns; i += 32) {
        sum += row[i];
    }
    float mean = warp_total(sum) / (float)columns;
    float squares = 0.0f;
    for (u32 i = threadIdx.x; i < columns; i += 32) {
        float off = row[i] - mean;
        squares += off * off;
    }
    float deviation = sqrtf(warp_total(squares) / (float)columns + epsilon);
    for (u32 i = threadIdx.x; i < columns; i += 32) {
        out[i] = (row[i] - mean) / deviation * gain[i] + bias[i];
    }
}
