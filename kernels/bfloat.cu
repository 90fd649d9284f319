// bfloat16, the upper half of a binary32. From compute capability 8.0 on by its own instructions, before by arithmetic
// in floats: a sum or product of two bfloat16 rounded to a float and then again comes out the same, since 24 bits are
// at least 2 * 8 + 2 (Figueroa, 1995). A NaN becomes the canonical one.
#include "cuda.h"

static __device__ __forceinline__ float from_bfloat(u16 x) { return __uint_as_float((u32)x << 16); }

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
static __device__ __forceinline__ u16 to_bfloat(float x) {
    u16 result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result) : "f"(x));
    return result;
}
#else
static __device__ __forceinline__ u16 to_bfloat(float x) {
    u32 bits = __float_as_uint(x);
    if ((bits & 0x7fffffff) > 0x7f800000) {
        return 0x7fff;
    }
    // To nearest, ties to even: what is cut off is at least a half, or more than a half, by the last bit that stays.
    return (u16)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
#endif

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define BFLOAT_BINARY(NAME, OPERATOR, INSTRUCTION)                                                                   \
    static __device__ __forceinline__ u16 NAME(u16 a, u16 b) {                                                       \
        u16 result;                                                                                                  \
        asm(INSTRUCTION " %0, %1, %2;" : "=h"(result) : "h"(a), "h"(b));                                             \
        return result;                                                                                               \
    }
#else
#define BFLOAT_BINARY(NAME, OPERATOR, INSTRUCTION)                                                                   \
    static __device__ __forceinline__ u16 NAME(u16 a, u16 b) {                                                       \
        return to_bfloat(from_bfloat(a) OPERATOR from_bfloat(b));                                                    \
    }
#endif
BFLOAT_BINARY(add, +, "add.rn.bf16")
BFLOAT_BINARY(mul, *, "mul.rn.bf16")

// y[i] = a * x[i] + y[i], with two roundings. x, y: n bfloat16.
extern "C" __global__ void axpy_bf16(u32 n, u16 a, const u16 *x, u16 *y) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i] = add(mul(a, x[i]), y[i]);
    }
}

// narrow[i] = x[i] as a bfloat16, rounded to nearest; back[i] = that as a float. n elements each.
extern "C" __global__ void round_bf16(u32 n, const float *x, u16 *narrow, float *back) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        u16 rounded = to_bfloat(x[i]);
        narrow[i] = rounded;
        back[i] = from_bfloat(rounded);
    }
}

// *dot = the sum of a[i] * b[i] in floats, fused, by one thread in order: mixed precision. n bfloat16 each.
extern "C" __global__ void dot_bf16(u32 n, const u16 *a, const u16 *b, float *dot) {
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        float sum = 0.0f;
        for (u32 i = 0; i < n; i++) {
            sum = fma_rn(from_bfloat(a[i]), from_bfloat(b[i]), sum);
        }
        *dot = sum;
    }
}
