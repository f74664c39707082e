"""Reads with numpy, torch and PIL what the library wrote, and compares.

    cargo test --lib interchange::tests::files_for_python -- --ignored
    python tests/python/interchange.py [FOLDER]

FOLDER is `freelunch-interchange` in the folder for temporary files unless given. Needs numpy and torch; uses PIL and pandas where they are.
"""

import gzip
import json
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.gettempdir()) / "freelunch-interchange"


def load_safetensors(path):
    """What safetensors.torch.load_file does, in ten lines, for float32 and int64."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    about, body = header.pop("__metadata__", {}), data[8 + length :]
    kinds = {"F32": np.float32, "I64": np.int64}
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        tensors[name] = torch.from_numpy(np.frombuffer(body[start:end], kinds[entry["dtype"]]).reshape(entry["shape"]).copy())
    return tensors, about


def read_idx(path):
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    assert data[:3] == b"\0\0\x08"
    return np.frombuffer(data[4 + 4 * rank :], np.uint8).reshape(struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank]))


def check_data_set():
    npz = np.load(FOLDER / "digits.npz")
    x, y = npz["x"], npz["y"]
    assert x.dtype == np.float32 and x.shape == (30, 1, 8, 8) and y.dtype == np.int64 and list(npz["class_names"]) == [str(d) for d in range(10)]
    history = json.loads(str(npz["provenance"]))
    print("npz          ", x.shape, x.dtype, "event", history["origin"]["event"])
    tensors, about = load_safetensors(FOLDER / "digits.safetensors")
    assert (tensors["x"].numpy() == x).all() and (tensors["y"].numpy() == y).all() and json.loads(about["freelunch.provenance"]) == history
    print("safetensors  ", "equal to the npz")
    pixels, labels = read_idx(FOLDER / "digits-images-idx3-ubyte.gz"), read_idx(FOLDER / "digits-labels-idx1-ubyte.gz")
    assert (labels == y).all() and (pixels == np.round(x[:, 0] * 255)).all()
    print("idx          ", pixels.shape, "largest change", np.abs(pixels / 255 - x[:, 0]).max())
    try:
        from PIL import Image
    except ImportError:
        print("png           not checked: no PIL")
    else:
        files = sorted((FOLDER / "digits").glob("*/*.png"))
        images = np.stack([np.array(Image.open(file)) for file in files])
        order = np.argsort(y, kind="stable")
        assert (images == pixels[order]).all() and [int(file.parent.name) for file in files] == list(y[order])
        print("png          ", images.shape, "equal to the idx, class by class")
    try:
        import pandas

        table = pandas.read_parquet(FOLDER / "digits.parquet")
    except ImportError:
        print("parquet       not checked: no pandas with a Parquet engine")
    else:
        assert (table.drop(columns="class").to_numpy() == x.reshape(30, -1)).all()
        print("parquet      ", table.shape)
    return torch.from_numpy(x)


def check_signals():
    npz = np.load(FOLDER / "signals.npz")
    golden = np.load(Path(__file__).parents[1] / "golden" / "interchange" / "signals.npz")
    for name in ["logits", "membership", "labels", "ids"]:
        assert npz[name].dtype == golden[name].dtype and (npz[name] == golden[name]).all(), name
    print("signals      ", npz["logits"].shape, "equal to those numpy wrote")


def check_model(name, x):
    scope = {}
    exec((FOLDER / f"{name}.py").read_text(), scope)
    state, about = load_safetensors(FOLDER / f"{name}.safetensors")
    scope["net"].load_state_dict(state, strict=True)
    scope["net"].eval()
    with torch.no_grad():
        logits = scope["net"]((x - scope["mean"]) / scope["std"]).numpy()
    difference = np.abs(logits - np.load(FOLDER / f"{name}_logits.npz")["logits"]).max()
    print(f"{name:13}", "logits differ by at most", difference, "event", json.loads(about["freelunch.pytorch"])["event"])
    assert difference < 1e-4


if __name__ == "__main__":
    x = check_data_set()
    check_signals()
    for model in ["conv_net", "mlp", "pooled"]:
        check_model(model, x)
