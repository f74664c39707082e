"""LPIPS v0.1 (AlexNet) of image pairs under random weights, written out with torch functions in float64.

    python lpips.py --out FILE

Weights and images come from the SplitMix64 streams of fixed seeds, which any program can make again, so no weight is stored.
"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F

from common import write_json

SHIFT, SCALE = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
# inputs, outputs, kernel, stride, padding, maximum pooling before
STAGES = [
    (3, 64, 11, 4, 2, False),
    (64, 192, 5, 1, 2, True),
    (192, 384, 3, 1, 1, True),
    (384, 256, 3, 1, 1, False),
    (256, 256, 3, 1, 1, False),
]


def stream(seed, shape, low, high):
    """float32 numbers between low and high, as a float64 tensor."""
    i = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + i * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    uniform = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return torch.from_numpy((low + (high - low) * uniform).astype(np.float32).reshape(shape)).double()


def weights():
    out = []
    for i, (inputs, outputs, kernel, *_) in enumerate(STAGES):
        bound = (6 / (inputs * kernel**2)) ** 0.5
        seed = 4000 + 3 * i
        kernels = stream(seed, (outputs, inputs, kernel, kernel), -bound, bound)
        out.append((kernels, stream(seed + 1, (outputs,), -0.1, 0.1), stream(seed + 2, (1, outputs, 1, 1), 0, 1)))
    return out


def features(x, stages):
    """The five ReLU outputs of images [n, c, h, w] with pixels 0..1."""
    side = min(x.shape[2:])
    if side < 64:
        size = [round(s * 64 / side) for s in x.shape[2:]]
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    x = (2 * x - 1).expand(-1, 3, -1, -1)
    x = (x - SHIFT.double().view(1, 3, 1, 1)) / SCALE.double().view(1, 3, 1, 1)
    for (_, _, _, stride, padding, pooled), (kernel, bias, _) in zip(STAGES, stages):
        if pooled:
            x = F.max_pool2d(x, 3, 2)
        x = F.relu(F.conv2d(x, kernel, bias, stride, padding))
        yield x


def lpips(a, b, stages):
    """The contribution of each stage."""
    per_stage = []
    for fa, fb, (_, _, lin) in zip(features(a, stages), features(b, stages), stages):
        fa, fb = (f / (f.square().sum(1, keepdim=True).sqrt() + 1e-10) for f in (fa, fb))
        per_stage.append(F.conv2d((fa - fb).square(), lin).mean().item())
    return per_stage


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    stages = weights()
    cases = []
    for name, shape, seed, near in [
        ("grey 28x28, enlarged", (1, 28, 28), 5000, False),
        ("grey 28x28, nearly equal", (1, 28, 28), 5002, True),
        ("colour 64x64, as it is", (3, 64, 64), 5004, False),
        ("colour 20x33, enlarged", (3, 20, 33), 5006, False),
    ]:
        a, b = (stream(seed + i, (1, *shape), 0, 1) for i in (0, 1))
        # In float32, as the other program has it.
        b = (0.9375 * a + 0.0625 * b).float().double() if near else b
        per_stage = lpips(a, b, stages)
        cases.append({"name": name, "shape": list(shape), "seed": seed, "near": near, "per_stage": per_stage, "lpips": sum(per_stage)})
    write_json(args.out, {"about": "LPIPS with random weights; see README.md.", "cases": cases})
    for case in cases:
        print(case["name"], case["lpips"], case["per_stage"])


if __name__ == "__main__":
    main()
