// Operations on vectors, one thread per element or a stride over the grid.
#include "cuda.h"

// y[i] = a * x[i] + y[i], with two roundings. x, y: n floats.
extern "C" __global__ void axpy(u32 n, float a, const float *x, float *y) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i] = a * x[i] + y[i];
    }
}

// The same with one rounding.
extern "C" __global__ void axpy_fused(u32 n, float a, const float *x, float *y) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i] = fma_rn(a, x[i], y[i]);
    }
}

// The same for doubles, with two roundings; each thread takes every (threads of the grid)-th element.
extern "C" __global__ void axpy_f64(u64 n, double a, const double *x, double *y) {
    u64 stride = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        y[i] = a * x[i] + y[i];
    }
}

// z[i] = x[i] + y[i] modulo 2^32, four elements per thread in one access. x, y, z: n groups of four, 16-byte aligned.
extern "C" __global__ void add_u32x4(u32 n, const uint4_t *x, const uint4_t *y, uint4_t *z) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        uint4_t a = x[i], b = y[i];
        z[i] = uint4_t{a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
    }
}

// x[i] = min(max(x[i], low), high), in place; a NaN becomes low, since min and max drop it. x: n floats.
extern "C" __global__ void clamp(u32 n, float low, float high, float *x) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        x[i] = fminf(fmaxf(x[i], low), high);
    }
}

// q[i] = a[i] / b[i] and r[i] = a[i] % b[i], signed 64 bits, b[i] not 0. n elements each.
extern "C" __global__ void div_rem_i64(u32 n, const i64 *a, const i64 *b, i64 *q, i64 *r) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        q[i] = a[i] / b[i];
        r[i] = a[i] % b[i];
    }
}

// hypot[i] = sqrt(x[i]^2 + y[i]^2) in doubles, each operation rounded; ratio[i] = x[i] / y[i]. n elements each.
extern "C" __global__ void hypot_ratio(u32 n, const double *x, const double *y, double *hypot, double *ratio) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        hypot[i] = sqrt(x[i] * x[i] + y[i] * y[i]);
        ratio[i] = x[i] / y[i];
    }
}

// Conversions: as_int[i] = x[i] towards zero with saturation, as_byte[i] = its low byte, back[i] = the integer as a
// float, rounded to nearest. NaN becomes 0. n elements each.
extern "C" __global__ void convert(u32 n, const float *x, i32 *as_int, u8 *as_byte, float *back) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        i32 whole = float_to_int(x[i]);
        as_int[i] = whole;
        as_byte[i] = (u8)whole;
        back[i] = (float)whole;
    }
}
