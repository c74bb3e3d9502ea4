#!/usr/bin/python3
"""Fits a two-layer neural network to a known function: an ordinary numpy program, which knows nothing of GMEM.

Its matrix products (dgemm) are big enough for the device; everything else (activations, updates, the loss) runs on the
CPU, on the same arrays. So pages go to the device by its faults and come home by the CPU's, step after step.
"""
import sys
import numpy as np

SAMPLES, INPUTS, HIDDEN, STEPS = 4096, 512, 1024, 6

rng = np.random.default_rng(2023)
x = rng.standard_normal((SAMPLES, INPUTS))
target = np.sin(x @ (rng.standard_normal((INPUTS, 1)) / np.sqrt(INPUTS)))
w1 = rng.standard_normal((INPUTS, HIDDEN)) / np.sqrt(INPUTS)
w2 = rng.standard_normal((HIDDEN, 1)) / np.sqrt(HIDDEN)

losses = []
for step in range(STEPS):
    hidden = np.tanh(x @ w1)  # forward: on the device, then tanh on the CPU
    error = hidden @ w2 - target
    losses.append(float(np.mean(error**2)))
    back = (error @ w2.T) * (1 - hidden**2)
    w2 -= 0.25 * (hidden.T @ error) / SAMPLES
    w1 -= 0.25 * (x.T @ back) / SAMPLES  # backward: on the device
    print(f"step {step}: loss {losses[-1]:.12f}")

# A check that does not depend on how the products were computed.
probe = rng.standard_normal(HIDDEN)
residual = np.linalg.norm(x @ (w1 @ probe) - (x @ w1) @ probe) / np.linalg.norm(probe)
print(f"(x w1) p against x (w1 p): relative difference {residual:.1e}")
if not (losses[-1] < losses[0] and residual < 1e-9):
    sys.exit("the result is wrong")
print("the network learns, and the products agree")
