// Half precision: IEEE binary16 alone and in pairs.
#include "cuda.h"

// Arithmetic as PTX, so that every compiler emits the same instruction: each operation rounded to nearest.
#define HALF_BINARY(NAME, INSTRUCTION)                                                                               \
    static __device__ __forceinline__ u16 NAME(u16 a, u16 b) {                                                       \
        u16 result;                                                                                                  \
        asm(INSTRUCTION " %0, %1, %2;" : "=h"(result) : "h"(a), "h"(b));                                             \
        return result;                                                                                               \
    }
HALF_BINARY(add, "add.rn.f16")
HALF_BINARY(mul, "mul.rn.f16")

static __device__ __forceinline__ u16 fma(u16 a, u16 b, u16 c) {
    u16 result;
    asm("fma.rn.f16 %0, %1, %2, %3;" : "=h"(result) : "h"(a), "h"(b), "h"(c));
    return result;
}

static __device__ __forceinline__ u32 fma_x2(u32 a, u32 b, u32 c) {
    u32 result;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
}

static __device__ __forceinline__ u16 to_half(float x) {
    u16 result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(x));
    return result;
}

static __device__ __forceinline__ float from_half(u16 x) {
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x));
    return result;
}

// y[i] = a * x[i] + y[i], with two roundings. x, y: n halves.
extern "C" __global__ void axpy_f16(u32 n, u16 a, const u16 *x, u16 *y) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i] = add(mul(a, x[i]), y[i]);
    }
}

// The same with one rounding, two elements at a time. `a` holds the factor of the even elements in its lower half, of
// the odd ones in its upper half. x, y: pairs of halves.
extern "C" __global__ void axpy_f16x2(u32 pairs, u32 a, const u32 *x, u32 *y) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < pairs) {
        y[i] = fma_x2(a, x[i], y[i]);
    }
}

// narrow[i] = x[i] as a half, rounded to nearest; back[i] = that as a float. n elements each.
extern "C" __global__ void round_f16(u32 n, const float *x, u16 *narrow, float *back) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        u16 rounded = to_half(x[i]);
        narrow[i] = rounded;
        back[i] = from_half(rounded);
    }
}

// out[i] = c[0] + x[i] * (c[1] + x[i] * (c[2] + x[i] * c[3])) in halves, by fused steps from the inside. x, out: n halves.
extern "C" __global__ void polynomial_f16(u32 n, const u16 *c, const u16 *x, u16 *out) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        out[i] = fma(x[i], fma(x[i], fma(x[i], c[3], c[2]), c[1]), c[0]);
    }
}
