"""Writes the golden files of this folder with numpy and torch: python generate.py (numpy 2.4, torch 2.15)."""

import json
import struct
from pathlib import Path

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent


def save_safetensors(path, tensors):
    """What safetensors.torch.save_file writes, in ten lines, for float32."""
    header, parts, at = {}, [], 0
    for name, tensor in tensors.items():
        data = tensor.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


class ReferenceConvNet(nn.Module):
    """The names and modules of ConvNet in VICO-UoE/DatasetCondensation, networks.py (ReLU, instance norm, average pooling)."""

    def __init__(self, channels, classes, width, depth, side):
        super().__init__()
        layers = []
        for block in range(depth):
            layers += [
                nn.Conv2d(channels if block == 0 else width, width, kernel_size=3, padding=1),
                nn.GroupNorm(width, width, affine=True),
                nn.ReLU(inplace=True),
                nn.AvgPool2d(kernel_size=2, stride=2),
            ]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width * (side >> depth) ** 2, classes)

    def forward(self, x):
        out = self.features(x)
        return self.classifier(out.view(out.size(0), -1))


def shake(net):
    """Scales and shifts of norms start as 1 and 0, which would hide a mistake."""
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.1 * torch.randn_like(weight))


def arrays():
    grid = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 8
    return {
        "single": grid,
        "columns": np.asfortranarray(grid),
        "double_big": (np.arange(4) / 3).astype(">f8"),
        "short_big": np.array([[-300, 2], [7, 32000]], dtype=">i2"),
        "byte": np.array([0, 127, 255], dtype=np.uint8),
        "long": np.array([-(2**40), 2**62], dtype=np.int64),
        "flag": np.array([[True, False], [False, True]]),
        "word": np.array(["", "shoe", "Käse"]),
        "scalar": np.array(0.25),
        "empty": np.zeros((0, 3), dtype=np.int32),
    }


def main():
    rng = np.random.default_rng(7)
    torch.manual_seed(7)
    np.savez(HERE / "arrays_stored.npz", **arrays())
    np.savez_compressed(HERE / "arrays_deflated.npz", **arrays())

    pixels = np.array([[[0, 255], [51, 102]], [[1, 2], [3, 4]]], dtype=np.uint8)
    np.savez(HERE / "pixels.npz", x=pixels, y=np.array([1, 0], dtype=np.uint8))

    logits = rng.normal(size=(3, 5, 2, 4))
    labels = np.array([0, 3, 2, 1, 3])
    label = np.take_along_axis(logits, labels[None, :, None, None], axis=3)[..., 0]
    others = np.where(np.arange(4) == labels[None, :, None, None], -np.inf, logits)
    phi = label - np.log(np.exp(others).sum(axis=3))
    membership = rng.random((3, 5)) < 0.5
    np.savez(HERE / "signals.npz", logits=logits, membership=membership, labels=labels, ids=np.array([9, 8, 7, 6, 5]), phi=phi)

    net = ReferenceConvNet(channels=1, classes=3, width=4, depth=2, side=8)
    shake(net)
    x = torch.rand(6, 1, 8, 8)
    save_safetensors(HERE / "reference_conv_net.safetensors", net.state_dict())
    outputs = net((x - 0.25) / 0.5).detach().numpy()
    np.savez(HERE / "reference_conv_net.npz", x=x.numpy(), y=np.array([0, 1, 2, 0, 1, 2]), mean=[0.25], std=[0.5], logits=outputs)

    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.GroupNorm(2, 4), nn.MaxPool2d(2), nn.LayerNorm([4, 2, 2]), nn.Tanh(),
        nn.Flatten(), nn.Linear(16, 6), nn.Sigmoid(), nn.LayerNorm([6]),
        nn.Unflatten(1, (6, 1, 1)), nn.ConvTranspose2d(6, 3, 4, stride=2, padding=1), nn.Dropout(0.3),
        nn.Flatten(), nn.Linear(12, 3),
    ).eval()
    shake(net)
    x = torch.rand(5, 2, 8, 8)
    save_safetensors(HERE / "sequential.safetensors", net.state_dict())
    np.savez(HERE / "sequential.npz", x=x.numpy(), y=np.arange(5) % 3, mean=[0.0, 0.0], std=[1.0, 1.0], logits=net(x).detach().numpy())


if __name__ == "__main__":
    main()
