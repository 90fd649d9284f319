// Philox4x32-10, the counter-based random number generator of Salmon, Moraes, Dror and Shaw: Parallel Random Numbers:
// As Easy as 1, 2, 3 (2011), with the constants given there.
#include "cuda.h"

static __device__ uint4_t philox4x32_10(uint4_t counter, u32 key0, u32 key1) {
    for (u32 round = 0; round < 10; round++) {
        u32 high0 = __umulhi(0xD2511F53, counter.x), low0 = 0xD2511F53 * counter.x;
        u32 high1 = __umulhi(0xCD9E8D57, counter.z), low1 = 0xCD9E8D57 * counter.z;
        counter = uint4_t{high1 ^ counter.y ^ key0, low1, high0 ^ counter.w ^ key1, low0};
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
    return counter;
}

// out[i] = the four words of the counter (first + i, 0, stream, 0) under the key seed. out: n groups of four words.
extern "C" __global__ void philox_words(u32 n, u64 seed, u64 first, u32 stream, uint4_t *out) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        u64 count = first + i;
        uint4_t counter = {(u32)count, (u32)(count >> 32), stream, 0};
        out[i] = philox4x32_10(counter, (u32)seed, (u32)(seed >> 32));
    }
}

// The same words as floats of [0, 1): the upper 24 bits times 2^-24, which is exact.
extern "C" __global__ void philox_unit(u32 n, u64 seed, u64 first, u32 stream, float4_t *out) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        u64 count = first + i;
        uint4_t counter = {(u32)count, (u32)(count >> 32), stream, 0};
        uint4_t words = philox4x32_10(counter, (u32)seed, (u32)(seed >> 32));
        constexpr float SCALE = 1.0f / 16777216.0f;
        out[i] = float4_t{(float)(words.x >> 8) * SCALE, (float)(words.y >> 8) * SCALE,
                          (float)(words.z >> 8) * SCALE, (float)(words.w >> 8) * SCALE};
    }
}
