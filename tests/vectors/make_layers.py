"""Makes the records of layers that PyTorch's first set lacks: groupnorm, layernorm, activations, softmax, dilation,
deep recurrent stacks.
Run with PyTorch 1.13.1: python3 make_layers.py. The tests read the files and need no PyTorch."""
import json
import struct

import torch
from torch import nn


def write(name, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for key, value in tensors.items():
        raw = value.detach().contiguous().numpy().tobytes()
        header[key] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(f"layer_{name}.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + data)


def record(name, kind, layer, shape, **metadata):
    x = torch.randn(shape, requires_grad=True)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -1, 1)
    y = layer(x)
    y = y[0] if isinstance(y, tuple) else y  # of a recurrent layer, all steps
    gy = torch.randn(y.shape)
    y.backward(gy)
    tensors = {"x": x, "y": y, "gy": gy, "gx": x.grad}
    for key, parameter in layer.named_parameters():
        tensors["param." + key], tensors["grad." + key] = parameter, parameter.grad
    write(name, tensors, {"kind": kind, "train": "True", "layer": name, **metadata})


torch.manual_seed(20)
record("groupnorm_2", "groupnorm", nn.GroupNorm(2, 6), (3, 6, 4, 3), groups="2")
record("groupnorm_1", "groupnorm", nn.GroupNorm(1, 5), (2, 5, 3, 3), groups="1")
record("layernorm", "layernorm", nn.LayerNorm(7), (3, 7))
record("layernorm_steps", "layernorm", nn.LayerNorm(5), (2, 4, 5))
record("gelu", "gelu", nn.GELU(), (3, 33))
record("leaky_relu", "leaky_relu", nn.LeakyReLU(0.2), (3, 17), slope="0.2")
record("softmax", "softmax", nn.Softmax(-1), (3, 9))
record("log_softmax", "log_softmax", nn.LogSoftmax(-1), (3, 9))
record("conv_dilation2", "conv2d", nn.Conv2d(3, 4, 3, padding=2, dilation=2), (2, 3, 7, 6), kernel="3", padding="2", dilation="2")
record("layernorm_2d", "layernorm", nn.LayerNorm((4, 5)), (3, 2, 4, 5), normalized_shape="4,5")
record("layernorm_3d", "layernorm", nn.LayerNorm((3, 4, 2)), (2, 3, 4, 2), normalized_shape="3,4,2")
record("rnn_6l", "rnn", nn.RNN(3, 5, 6, batch_first=True), (2, 4, 3), layers="6")
record("gru_5l", "gru", nn.GRU(3, 4, 5, batch_first=True), (2, 5, 3), layers="5")
record("lstm_6l", "lstm", nn.LSTM(3, 4, 6, batch_first=True), (2, 5, 3), layers="6")
