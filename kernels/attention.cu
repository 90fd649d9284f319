// Attention, forward: out = softmax(q * k^T / sqrt(32)) * v, for one head of width 32.
#include "cuda.h"

constexpr u32 WIDTH = 32;
constexpr u32 KEYS = 32;
constexpr float LOG2_E = 1.44269504f;

// q, out: `queries` rows of 32 floats; k, v: `keys` rows of 32 floats, at least one. One thread per query; a block reads
// 32 keys and values at a time into shared memory (its threads share the work), so blockDim.x is any. The softmax is
// online (Milakov and Gimelshein, 2018): when a greater score comes, what was summed up is scaled down. Approximate as
// in softmax.cu.
extern "C" __global__ void attention(u32 queries, u32 keys, const float *q, const float *k, const float *v, float *out) {
    __shared__ float tile_k[KEYS][WIDTH], tile_v[KEYS][WIDTH];
    u32 query = blockIdx.x * blockDim.x + threadIdx.x;
    bool is_query = query < queries;
    float own[WIDTH], sum[WIDTH];
    for (u32 d = 0; d < WIDTH; d++) {
        own[d] = is_query ? q[query * WIDTH + d] * 0.17677669f : 0.0f;
        sum[d] = 0.0f;
    }
    float greatest = -__uint_as_float(0x7f800000), weight = 0.0f;
    for (u32 first = 0; first < keys; first += KEYS) {
        u32 here = keys - first < KEYS ? keys - first : KEYS;
        for (u32 i = threadIdx.x; i < here * WIDTH; i += blockDim.x) {
            tile_k[i / WIDTH][i % WIDTH] = k[first * WIDTH + i];
            tile_v[i / WIDTH][i % WIDTH] = v[first * WIDTH + i];
        }
        __syncthreads();
        for (u32 j = 0; j < here; j++) {
            float score = 0.0f;
            for (u32 d = 0; d < WIDTH; d++) {
                score = fma_rn(own[d], tile_k[j][d], score);
            }
            float now_greatest = fmaxf(greatest, score);
            float scale = exp2_approx((greatest - now_greatest) * LOG2_E);
            float power = exp2_approx((score - now_greatest) * LOG2_E);
            weight = fma_rn(weight, scale, power);
            for (u32 d = 0; d < WIDTH; d++) {
                sum[d] = fma_rn(sum[d], scale, power * tile_v[j][d]);
            }
            greatest = now_greatest;
        }
        __syncthreads();
    }
    if (is_query) {
        for (u32 d = 0; d < WIDTH; d++) {
            out[query * WIDTH + d] = sum[d] / weight;
        }
    }
}
