// Steps of optimizers, one thread per weight, each operation rounded.
#include "cuda.h"

// Stochastic gradient descent with momentum (Polyak, 1964): velocity = momentum * velocity + gradient,
// weight -= rate * velocity. n floats each.
extern "C" __global__ void sgd(u32 n, float rate, float momentum, const float *gradient, float *velocity,
                               float *weight) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float v = momentum * velocity[i] + gradient[i];
        velocity[i] = v;
        weight[i] = weight[i] - rate * v;
    }
}

// Adam (Kingma and Ba, 2015, algorithm 1). `correction1` is 1 - beta1^t and `correction2` 1 - beta2^t, for step t >= 1.
// mean and square are the moments. n floats each.
extern "C" __global__ void adam(u32 n, float rate, float beta1, float beta2, float epsilon, float correction1,
                                float correction2, const float *gradient, float *mean, float *square,
                                float *weight) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float g = gradient[i];
        float m = beta1 * mean[i] + (1.0f - beta1) * g;
        float s = beta2 * square[i] + (1.0f - beta2) * (g * g);
        mean[i] = m;
        square[i] = s;
        weight[i] = weight[i] - rate * (m / correction1) / (sqrtf(s / correction2) + epsilon);
    }
}
