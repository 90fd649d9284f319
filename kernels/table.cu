// Constants, local memory and switches.
#include "cuda.h"

// crc_of_nibble[v] = the remainder of v * x^32, bits reversed, by the polynomial of CRC-32 (IEEE 802.3).
__constant__ u32 crc_of_nibble[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                      0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                      0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

// How often a launch has been counted by `count_launches`, over the life of the module.
__device__ u32 launches = 0;

// crcs[i] = the CRC-32 of the i-th piece of `piece_bytes` bytes. x: n pieces.
extern "C" __global__ void crc32(u32 n, u32 piece_bytes, const u8 *x, u32 *crcs) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    u32 crc = 0xffffffff;
    for (u32 k = 0; k < piece_bytes; k++) {
        crc ^= x[(u64)i * piece_bytes + k];
        crc = crc >> 4 ^ crc_of_nibble[crc & 15];
        crc = crc >> 4 ^ crc_of_nibble[crc & 15];
    }
    crcs[i] = ~crc;
}

// medians[i] = the median of x[i], .. x[i + 6], by an insertion sort in the thread's local memory. x: n + 6 halfwords,
// signed.
extern "C" __global__ void median_of_seven(u32 n, const short *x, short *medians) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    short sorted[7];
    for (i32 k = 0; k < 7; k++) {
        short value = x[i + k];
        i32 at = k;
        for (; at > 0 && sorted[at - 1] > value; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = value;
    }
    medians[i] = sorted[3];
}

// Runs a program of bytes on a stack, once per thread: 0 pushes the thread's x[i], 1 adds, 2 multiplies, 3 doubles the
// top, 4 swaps, 5 negates, 6 drops unless it is alone, 7 skips the next byte if the top is odd (so that the threads of a
// warp part), others push themselves. out[i] = the top at the end. At most 16 deep (unchecked); program: `length` bytes;
// x, out: n words.
extern "C" __global__ void interpret(u32 n, u32 length, const u8 *program, const u32 *x, u32 *out) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    u32 stack[16];
    u32 depth = 0;
    for (u32 k = 0; k < length; k++) {
        u32 code = program[k];
        switch (code) {
        case 0:
            stack[depth++] = x[i];
            break;
        case 1:
            depth--;
            stack[depth - 1] += stack[depth];
            break;
        case 2:
            depth--;
            stack[depth - 1] *= stack[depth];
            break;
        case 3:
            stack[depth] = stack[depth - 1];
            depth++;
            break;
        case 4: {
            u32 top = stack[depth - 1];
            stack[depth - 1] = stack[depth - 2];
            stack[depth - 2] = top;
            break;
        }
        case 5:
            stack[depth - 1] = -stack[depth - 1];
            break;
        case 6:
            if (depth > 1) {
                depth--;
            }
            break;
        case 7:
            k += stack[depth - 1] & 1;
            break;
        default:
            stack[depth++] = code;
        }
    }
    out[i] = stack[depth - 1];
}

// *out = how many launches of this kernel there were since the module was loaded, this one included. One thread.
extern "C" __global__ void count_launches(u32 *out) {
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        launches = launches + 1;
        *out = launches;
    }
}
