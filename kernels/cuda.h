// The part of CUDA that our kernels use, for three compilers.
//
// nvcc and NVRTC bring everything along; for clang with -nocudainc -nocudalib (no CUDA toolkit needed) this file
// declares the qualifiers, the built-in variables and the few functions. Functions with one meaning on every compiler
// are written as PTX here, so that all three emit the very same instruction.
//
// Contracts that hold for all kernels of this folder:
//   - sizes are counts of elements unless the name ends in _bytes;
//   - pointers are aligned to their element, buffers of one launch don't overlap;
//   - a thread whose index lies past the end does nothing, so any grid that covers the elements will do;
//   - floating arithmetic is IEEE, rounded to nearest, never contracted (-ffp-contract=off, --fmad=false): a fused
//     multiply-add is written as fma_rn where it is meant. Results are then the same bits everywhere, except where
//     the kernel says that it uses an approximation.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;
struct __attribute__((aligned(16))) uint4_t {
    u32 x, y, z, w;
};
struct __attribute__((aligned(16))) float4_t {
    float x, y, z, w;
};

#if defined(__clang__) && defined(__CUDA__)

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __host__ __attribute__((host))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))

#define KERNELS_H_AXIS(NAME, REGISTER)                                                                               \
    __declspec(property(get = read_##NAME)) u32 NAME;                                                                \
    static __device__ __forceinline__ u32 read_##NAME() { return __nvvm_read_ptx_sreg_##REGISTER##_##NAME(); }
#define KERNELS_H_VARIABLE(VARIABLE, REGISTER)                                                                       \
    struct VARIABLE##_t {                                                                                            \
        KERNELS_H_AXIS(x, REGISTER)                                                                                  \
        KERNELS_H_AXIS(y, REGISTER)                                                                                  \
        KERNELS_H_AXIS(z, REGISTER)                                                                                  \
    };                                                                                                               \
    extern const __device__ __attribute__((weak)) VARIABLE##_t VARIABLE;
KERNELS_H_VARIABLE(threadIdx, tid)
KERNELS_H_VARIABLE(blockIdx, ctaid)
KERNELS_H_VARIABLE(blockDim, ntid)
KERNELS_H_VARIABLE(gridDim, nctaid)

extern "C" __device__ int printf(const char *format, ...);
extern "C" __device__ __attribute__((noreturn)) void __assertfail(const char *condition, const char *file, u32 line,
                                                                  const char *function, u64 char_bytes);
#define assert(condition) ((condition) ? (void)0 : __assertfail(#condition, "print.cu", __LINE__, __func__, 1))

static __device__ __forceinline__ void __threadfence() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }
static __device__ __forceinline__ void __syncwarp(u32 mask = 0xffffffff) {
    asm volatile("bar.warp.sync %0;" ::"r"(mask) : "memory");
}
static __device__ __forceinline__ u32 atomicAdd(u32 *at, u32 value) {
    return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}
static __device__ __forceinline__ u64 atomicAdd(u64 *at, u64 value) {
    return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}
static __device__ __forceinline__ float atomicAdd(float *at, float value) {
    float old;
    asm volatile("atom.global.add.f32 %0, [%1], %2;" : "=f"(old) : "l"(at), "f"(value) : "memory");
    return old;
}
static __device__ __forceinline__ u32 atomicMax(u32 *at, u32 value) {
    return __atomic_fetch_max(at, value, __ATOMIC_RELAXED);
}
static __device__ __forceinline__ i32 atomicMin(i32 *at, i32 value) {
    return __atomic_fetch_min(at, value, __ATOMIC_RELAXED);
}
static __device__ __forceinline__ u32 atomicXor(u32 *at, u32 value) {
    return __atomic_fetch_xor(at, value, __ATOMIC_RELAXED);
}
static __device__ __forceinline__ u32 atomicExch(u32 *at, u32 value) {
    return __atomic_exchange_n(at, value, __ATOMIC_RELAXED);
}
static __device__ __forceinline__ u32 atomicCAS(u32 *at, u32 expected, u32 value) {
    __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}

static __device__ __forceinline__ float sqrtf(float x) { return __builtin_sqrtf(x); }
static __device__ __forceinline__ double sqrt(double x) { return __builtin_sqrt(x); }
static __device__ __forceinline__ float fabsf(float x) { return __builtin_fabsf(x); }
static __device__ __forceinline__ float fminf(float a, float b) { return __builtin_fminf(a, b); }
static __device__ __forceinline__ float fmaxf(float a, float b) { return __builtin_fmaxf(a, b); }
static __device__ __forceinline__ float floorf(float x) { return __builtin_floorf(x); }
static __device__ __forceinline__ u32 __popc(u32 x) { return __builtin_popcount(x); }
static __device__ __forceinline__ u32 __brev(u32 x) { return __builtin_bitreverse32(x); }
static __device__ __forceinline__ i32 __clz(u32 x) { return __builtin_clzg(x, 32); }
static __device__ __forceinline__ u32 __umulhi(u32 a, u32 b) { return (u32)(((u64)a * b) >> 32); }
static __device__ __forceinline__ u32 __float_as_uint(float x) { return __builtin_bit_cast(u32, x); }
static __device__ __forceinline__ float __uint_as_float(u32 x) { return __builtin_bit_cast(float, x); }

#elif !defined(__CUDACC_RTC__)
#include <cassert>
#include <cstdio>
#endif

// Shuffles of a whole warp. `source` is a lane.
#define KERNELS_H_SHUFFLE(MODE, CLAMP)                                                                               \
    static __device__ __forceinline__ u32 shuffle_##MODE(u32 value, u32 by) {                                        \
        u32 result;                                                                                                  \
        asm volatile("shfl.sync." #MODE ".b32 %0, %1, %2, " #CLAMP ", 0xffffffff;"                                   \
                     : "=r"(result)                                                                                  \
                     : "r"(value), "r"(by));                                                                         \
        return result;                                                                                               \
    }                                                                                                                \
    static __device__ __forceinline__ float shuffle_##MODE(float value, u32 by) {                                    \
        float result;                                                                                                \
        asm volatile("shfl.sync." #MODE ".b32 %0, %1, %2, " #CLAMP ", 0xffffffff;"                                   \
                     : "=f"(result)                                                                                  \
                     : "f"(value), "r"(by));                                                                         \
        return result;                                                                                               \
    }
KERNELS_H_SHUFFLE(idx, 31)
KERNELS_H_SHUFFLE(down, 31)
KERNELS_H_SHUFFLE(bfly, 31)
// A lane without one `by` below it gets its own value.
KERNELS_H_SHUFFLE(up, 0)

// The lanes, one bit each, of the whole warp in which `holds` is not 0.
static __device__ __forceinline__ u32 ballot_warp(u32 holds) {
    u32 lanes;
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %1, 0; vote.sync.ballot.b32 %0, p, 0xffffffff; }"
                 : "=r"(lanes)
                 : "r"(holds));
    return lanes;
}

// The lanes that have the same value.
static __device__ __forceinline__ u32 match_any(u32 value) {
    u32 lanes;
    asm volatile("match.any.sync.b32 %0, %1, 0xffffffff;" : "=r"(lanes) : "r"(value));
    return lanes;
}

static __device__ __forceinline__ u32 lane_id() {
    u32 lane;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    return lane;
}

// a * b + c with one rounding.
static __device__ __forceinline__ float fma_rn(float a, float b, float c) {
    float result;
    asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(result) : "f"(a), "f"(b), "f"(c));
    return result;
}

// Towards zero, saturated; NaN becomes 0. (A C cast is undefined there.)
static __device__ __forceinline__ i32 float_to_int(float x) {
    i32 result;
    asm("cvt.rzi.s32.f32 %0, %1;" : "=r"(result) : "f"(x));
    return result;
}

// Approximately 2 to the power of x: relative error at most 2^-22.
static __device__ __forceinline__ float exp2_approx(float x) {
    float result;
    asm("ex2.approx.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}
