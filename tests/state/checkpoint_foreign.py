#!/usr/bin/python3
"""A checkpoint is what others can read too: with tar, sha256sum, and a reader of safetensors that is not flosim's."""
import hashlib
import json
import os
import struct
import subprocess
import tempfile

builddir = os.path.abspath(os.environ.get("builddir", "."))
SESSION = "session-1"
SIZES = {"F32": 4, "I64": 8, "U8": 1}


def read_safetensors(data):
    """As the format's page says: names, types, shapes; no gaps, no overlaps."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    body, tensors, end = data[8 + length:], {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = entry["data_offsets"]
        count = 1
        for dim in entry["shape"]:
            count *= dim
        assert begin == end and stop - begin == count * SIZES[entry["dtype"]], name
        tensors[name] = (entry["dtype"], entry["shape"], body[begin:stop])
        end = stop
    assert end == len(body)
    assert all(isinstance(value, str) for value in metadata.values())
    return metadata, tensors


def floats(tensor):
    dtype, _, data = tensor
    assert dtype == "F32"
    return list(struct.unpack(f"<{len(data) // 4}f", data))


with tempfile.TemporaryDirectory() as folder:
    subprocess.run([os.path.join(builddir, "tests/state/checkpoint_tool"), folder], check=True)
    tar = os.path.join(folder, f"checkpoint_{SESSION}.tar")
    listing = subprocess.run(["tar", "--numeric-owner", "--utc", "-tvf", tar], check=True, capture_output=True, text=True).stdout
    names = [line.split()[-1] for line in listing.splitlines()]
    assert names == [f"client_info_c0", f"training_session_{SESSION}", f"training_state_{SESSION}",
                     f"client_selection_state_{SESSION}", f"aggregator_state_{SESSION}", "manifest.json",
                     "manifest.json.sha256"], names
    assert all("-rw-r--r-- 0/0" in line and "1970-01-01 00:00" in line for line in listing.splitlines()), listing
    subprocess.run(["tar", "-xf", tar, "-C", folder, "--no-same-owner"], check=True)
    subprocess.run(["sha256sum", "-c", "--quiet", "manifest.json.sha256"], check=True, cwd=folder)

    def content(name):
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()

    manifest = json.loads(content("manifest.json"))
    assert manifest["version"] == 1 and manifest["session_id"] == SESSION and manifest["round"] == 3
    assert manifest["leader_term"] == 7
    for entry in manifest["entries"]:
        data = content(entry["name"])
        assert len(data) == entry["size"] and hashlib.sha256(data).hexdigest() == entry["sha256"], entry

    metadata, tensors = read_safetensors(content(f"training_session_{SESSION}"))
    assert metadata["status"] == "running" and json.loads(metadata["round"])["round"] == 3
    assert json.loads(metadata["config"])["name"].startswith("caf\u00e9")
    assert floats(tensors["global_model/fc.weight"]) == [3.0, 2.0, -3.5, 4.0, 5.0, 6.0]
    assert tensors["global_model/fc.weight"][1] == [2, 3]
    assert tensors["global_model/bn.num_batches_tracked"][0] == "I64"
    metadata, tensors = read_safetensors(content(f"aggregator_state_{SESSION}"))
    assert floats(tensors["odd/a"]) == [1.0] and tensors["odd/z"][2] == b"xyz"
    assert tensors["not.utf-8"] == ("U8", [2], b"\xff\xfe")
    for name in (f"training_state_{SESSION}", f"client_selection_state_{SESSION}", "client_info_c0"):
        read_safetensors(content(name))
