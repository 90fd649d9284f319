// Training of a small network that tells handwritten digits: two hidden layers with ReLU, softmax, cross entropy, Adam.
//
// Nothing here is approximate: every operation is rounded as IEEE says, sums are taken in a fixed order, and the
// exponential and the logarithm are written out. So a step leaves the same bits on every device, on the virtual machine
// with any number of cores, and in plain Rust.
//
// `parameters`: three layers one after the other, each (inputs + 1) x outputs floats, row-major; the last row is the bias.
// `trace`: what one step remembers of its batch. Examples go in groups of four; a group has PIXELS + 2 * hidden1 +
// 2 * hidden2 + CLASSES vectors, each with one component for each of the four: the inputs, the activations of both hidden
// layers, the derivatives of the loss at their sums, and those at the sums of the last layer.
#include "cuda.h"

constexpr u32 PIXELS = 64, CLASSES = 10, GROUP = 4;
// Units of a hidden layer.
constexpr u32 MAX_HIDDEN = 256;

constexpr float LOG2_E = 1.44269504f;
// ln 2 in two parts: the first has few bits, so that a small multiple of it is exact.
constexpr float LN_2_HIGH = 0.693359375f, LN_2_LOW = -2.12194440e-4f, LN_2 = 0.693147181f;

// e to the power of x, for x up to 0; relative error below 2^-22. Below -87 it is 0. Taylor's series of the rest after
// the nearest power of two.
static __device__ __forceinline__ float exponential(float x) {
    if (x < -87.0f) {
        return 0.0f;
    }
    i32 power = float_to_int(x * LOG2_E - 0.5f);
    float rest = fma_rn(-(float)power, LN_2_HIGH, x);
    rest = fma_rn(-(float)power, LN_2_LOW, rest);
    float sum = 1.0f / 5040.0f;
    sum = fma_rn(sum, rest, 1.0f / 720.0f);
    sum = fma_rn(sum, rest, 1.0f / 120.0f);
    sum = fma_rn(sum, rest, 1.0f / 24.0f);
    sum = fma_rn(sum, rest, 1.0f / 6.0f);
    sum = fma_rn(sum, rest, 0.5f);
    sum = fma_rn(sum, rest, 1.0f);
    sum = fma_rn(sum, rest, 1.0f);
    return sum * __uint_as_float((u32)(power + 127) << 23);
}

// The natural logarithm of x, a normal number from 1 on; absolute error below 2^-21. The series of the inverse
// hyperbolic tangent: ln m = 2 * artanh((m - 1) / (m + 1)).
static __device__ __forceinline__ float logarithm(float x) {
    u32 bits = __float_as_uint(x);
    float power = (float)((bits >> 23) - 127);
    float mantissa = __uint_as_float((bits & 0x7fffff) | 0x3f800000);
    if (mantissa > 1.41421356f) {
        mantissa = mantissa * 0.5f;
        power = power + 1.0f;
    }
    float ratio = (mantissa - 1.0f) / (mantissa + 1.0f);
    float square = ratio * ratio;
    float sum = 2.0f / 9.0f;
    sum = fma_rn(sum, square, 2.0f / 7.0f);
    sum = fma_rn(sum, square, 2.0f / 5.0f);
    sum = fma_rn(sum, square, 2.0f / 3.0f);
    sum = fma_rn(sum, square, 2.0f);
    return fma_rn(power, LN_2, ratio * sum);
}

static __device__ __forceinline__ float4_t fma4(float factor, float4_t a, float4_t b) {
    return {fma_rn(factor, a.x, b.x), fma_rn(factor, a.y, b.y), fma_rn(factor, a.z, b.z), fma_rn(factor, a.w, b.w)};
}

static __device__ __forceinline__ float positive(float x) { return x > 0.0f ? x : 0.0f; }

// `to` = the sums of one layer for the four examples: the bias, then the inputs in order. The block shares the work.
static __device__ __forceinline__ void dense(u32 inputs, u32 outputs, const float *layer, const float4_t *from,
                                             float4_t *to, bool is_hidden) {
    for (u32 j = threadIdx.x; j < outputs; j += blockDim.x) {
        float bias = layer[inputs * outputs + j];
        float4_t sum = {bias, bias, bias, bias};
        const float *weight = layer + j;
        for (u32 i = 0; i < inputs; i++) {
            sum = fma4(*weight, from[i], sum);
            weight += outputs;
        }
        if (is_hidden) {
            sum = {positive(sum.x), positive(sum.y), positive(sum.z), positive(sum.w)};
        }
        to[j] = sum;
    }
    __syncthreads();
}

// `at` = the derivatives at the sums of a hidden layer with these activations, from those of the layer above.
static __device__ __forceinline__ void back(u32 inputs, u32 outputs, const float *layer, const float4_t *above,
                                            const float4_t *activations, float4_t *at) {
    for (u32 i = threadIdx.x; i < inputs; i += blockDim.x) {
        float4_t sum = {0.0f, 0.0f, 0.0f, 0.0f};
        const float *weight = layer + i * outputs;
        for (u32 j = 0; j < outputs; j++) {
            sum = fma4(weight[j], above[j], sum);
        }
        float4_t a = activations[i];
        at[i] = {a.x > 0.0f ? sum.x : 0.0f, a.y > 0.0f ? sum.y : 0.0f, a.z > 0.0f ? sum.z : 0.0f,
                 a.w > 0.0f ? sum.w : 0.0f};
    }
    __syncthreads();
}

// What one example came to.
struct outcome_t {
    float loss;
    u32 is_right;
};

// One thread's example: turns the sums of the last layer into the derivatives of `scale` times the loss at them. `sums`
// holds the example's component of each vector, four floats apart. The first of several greatest sums is the answer.
static __device__ __forceinline__ outcome_t softmax_loss(u32 label, float scale, float *sums) {
    float greatest = sums[0];
    u32 answer = 0;
    for (u32 j = 1; j < CLASSES; j++) {
        if (sums[j * GROUP] > greatest) {
            greatest = sums[j * GROUP];
            answer = j;
        }
    }
    float right = sums[label * GROUP] - greatest;
    float total = 0.0f;
    for (u32 j = 0; j < CLASSES; j++) {
        float power = exponential(sums[j * GROUP] - greatest);
        sums[j * GROUP] = power;
        total = total + power;
    }
    for (u32 j = 0; j < CLASSES; j++) {
        float share = sums[j * GROUP] / total;
        sums[j * GROUP] = (j == label ? share - 1.0f : share) * scale;
    }
    return {logarithm(total) - right, answer == label};
}

// The way to the sums of the last layer, and to the outcome, for the four examples of this block. A pixel is 0 to 16.
static __device__ __forceinline__ void forward(u32 hidden1, u32 hidden2, float scale, const u8 *images,
                                               const u8 *labels, const u32 *batch, const float *parameters,
                                               float4_t *group, float4_t *last, outcome_t *outcomes) {
    const u32 *chosen = batch + blockIdx.x * GROUP;
    for (u32 i = threadIdx.x; i < PIXELS * GROUP; i += blockDim.x) {
        u32 example = i / PIXELS, pixel = i % PIXELS;
        float *to = (float *)group + pixel * GROUP + example;
        *to = (float)images[chosen[example] * PIXELS + pixel] * 0.0625f;
    }
    __syncthreads();
    const float *layer2 = parameters + (PIXELS + 1) * hidden1;
    const float *layer3 = layer2 + (hidden1 + 1) * hidden2;
    float4_t *activations1 = group + PIXELS, *activations2 = activations1 + hidden1;
    dense(PIXELS, hidden1, parameters, group, activations1, true);
    dense(hidden1, hidden2, layer2, activations1, activations2, true);
    dense(hidden2, CLASSES, layer3, activations2, last, false);
    if (threadIdx.x < GROUP) {
        u32 label = labels[chosen[threadIdx.x]];
        outcomes[blockIdx.x * GROUP + threadIdx.x] = softmax_loss(label, scale, (float *)last + threadIdx.x);
    }
    __syncthreads();
}

// Forward and back for a batch: fills the trace and the outcomes, from which `digits_update` makes the step. One block
// per group of four examples, of any size from 4 threads on; `batch` names four images for each, `scale` is 1 / examples.
// The hidden layers have up to 256 units.
extern "C" __global__ void __launch_bounds__(256) digits_gradient(u32 hidden1, u32 hidden2, float scale, const u8 *images,
                                                                 const u8 *labels, const u32 *batch,
                                                                 const float *parameters, float4_t *trace,
                                                                 outcome_t *outcomes) {
    __shared__ float4_t group[PIXELS + 4 * MAX_HIDDEN + CLASSES];
    float4_t *activations1 = group + PIXELS, *activations2 = activations1 + hidden1;
    float4_t *at1 = activations2 + hidden2, *at2 = at1 + hidden1, *at3 = at2 + hidden2;
    forward(hidden1, hidden2, scale, images, labels, batch, parameters, group, at3, outcomes);
    const float *layer2 = parameters + (PIXELS + 1) * hidden1;
    const float *layer3 = layer2 + (hidden1 + 1) * hidden2;
    back(hidden2, CLASSES, layer3, at3, activations2, at2);
    back(hidden1, hidden2, layer2, at2, activations1, at1);
    u32 vectors = PIXELS + 2 * hidden1 + 2 * hidden2 + CLASSES;
    float4_t *to = trace + blockIdx.x * vectors;
    for (u32 i = threadIdx.x; i < vectors; i += blockDim.x) {
        to[i] = group[i];
    }
}

// The outcomes alone, of as many groups as there are blocks. Otherwise as `digits_gradient`.
extern "C" __global__ void __launch_bounds__(256) digits_evaluate(u32 hidden1, u32 hidden2, const u8 *images,
                                                                 const u8 *labels, const u32 *batch,
                                                                 const float *parameters, outcome_t *outcomes) {
    __shared__ float4_t group[PIXELS + 2 * MAX_HIDDEN + CLASSES];
    float4_t *last = group + PIXELS + hidden1 + hidden2;
    forward(hidden1, hidden2, 1.0f, images, labels, batch, parameters, group, last, outcomes);
}

// The gradient of each parameter, summed over the trace in the order of the examples, and Adam (Kingma and Ba, 2015,
// algorithm 1) with it; one thread per parameter. `correction1` is 1 - beta1^t, `correction2` 1 - beta2^t, for step
// t >= 1; `mean` and `square` are the moments.
extern "C" __global__ void digits_update(u32 hidden1, u32 hidden2, u32 groups, float rate, float correction1,
                                         float correction2, const float4_t *trace, float *parameters, float *mean,
                                         float *square) {
    constexpr float BETA1 = 0.9f, BETA2 = 0.999f, EPSILON = 1e-8f;
    u32 at = blockIdx.x * blockDim.x + threadIdx.x;
    u32 count1 = (PIXELS + 1) * hidden1, count2 = (hidden1 + 1) * hidden2, count3 = (hidden2 + 1) * CLASSES;
    if (at >= count1 + count2 + count3) {
        return;
    }
    u32 activations1 = PIXELS, activations2 = activations1 + hidden1;
    u32 at1 = activations2 + hidden2, at2 = at1 + hidden1, at3 = at2 + hidden2;
    // Where in a group the inputs of the parameter's layer begin, and the derivatives at its sums.
    u32 inputs = PIXELS, outputs = hidden1, from = 0, to = at1, place = at;
    if (at >= count1 + count2) {
        inputs = hidden2, outputs = CLASSES, from = activations2, to = at3, place = at - count1 - count2;
    } else if (at >= count1) {
        inputs = hidden1, outputs = hidden2, from = activations1, to = at2, place = at - count1;
    }
    u32 row = place / outputs, vectors = at3 + CLASSES;
    const float4_t *derivative = trace + to + place % outputs;
    float g = 0.0f;
    if (row < inputs) {
        const float4_t *input = trace + from + row;
        for (u32 i = 0; i < groups; i++) {
            float4_t x = *input, d = *derivative;
            g = fma_rn(x.w, d.w, fma_rn(x.z, d.z, fma_rn(x.y, d.y, fma_rn(x.x, d.x, g))));
            input += vectors;
            derivative += vectors;
        }
    } else {
        for (u32 i = 0; i < groups; i++) {
            float4_t d = *derivative;
            g = g + d.x + d.y + d.z + d.w;
            derivative += vectors;
        }
    }
    float m = BETA1 * mean[at] + (1.0f - BETA1) * g;
    float s = BETA2 * square[at] + (1.0f - BETA2) * (g * g);
    mean[at] = m;
    square[at] = s;
    parameters[at] = parameters[at] - rate * (m / correction1) / (sqrtf(s / correction2) + EPSILON);
}
