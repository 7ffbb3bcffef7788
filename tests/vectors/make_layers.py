"""Makes the records of layers that PyTorch's first set lacks: groupnorm, layernorm, activations, softmax, dilation,
deep recurrent stacks; and of arguments of optimizers and shapes of losses that it lacks.
Run with PyTorch 1.13.1: python3 make_layers.py. The tests read the files and need no PyTorch."""
import json
import struct

import torch
from torch import nn
from torch.nn import functional as F


def write(name, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for key, value in tensors.items():
        raw = value.detach().contiguous().numpy().tobytes()
        dtype = "I64" if value.dtype == torch.int64 else "F32"
        header[key] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(f"{name}.safetensors", "wb") as out:
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
    write("layer_" + name, tensors, {"kind": kind, "train": "True", "layer": name, **metadata})


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
record("maxpool_ceil", "maxpool2d", nn.MaxPool2d(3, 2, ceil_mode=True), (2, 2, 6, 8), kernel="3", stride="2", ceil_mode="True")
record("maxpool_ceil_p1", "maxpool2d", nn.MaxPool2d(2, 3, padding=1, ceil_mode=True), (2, 2, 5, 6), kernel="2", stride="3", padding="1", ceil_mode="True")
record("avgpool_ceil", "avgpool2d", nn.AvgPool2d(3, 2, padding=1, ceil_mode=True), (2, 2, 6, 8), kernel="3", stride="2", padding="1", ceil_mode="True")
record("avgpool_ceil_inside", "avgpool2d", nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False), (2, 2, 6, 8),
       kernel="3", stride="2", padding="1", ceil_mode="True", count_include_pad="False")
record("softmax_channels", "softmax", nn.Softmax(1), (2, 4, 3, 2), dim="1")
record("log_softmax_steps", "log_softmax", nn.LogSoftmax(1), (2, 5, 3), dim="1")


def optimizer_record(name, kind, make, **arguments):
    p = nn.Parameter(torch.randn(6))
    p0, grads, params = p.detach().clone(), torch.randn(5, 6), []
    optimizer = make([p], **arguments)
    for grad in grads:
        p.grad = grad.clone()
        optimizer.step()
        params.append(p.detach().clone())
    texts = {key: ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for key, value in arguments.items()}
    write("optim_" + name, {"p0": p0, "grads": grads, "params": torch.stack(params)}, {"optimizer": kind, **texts})


optimizer_record("adam_amsgrad", "adam", torch.optim.Adam, lr=0.05, betas=(0.5, 0.6), amsgrad=True)
optimizer_record("adamw_amsgrad_maximize", "adamw", torch.optim.AdamW, lr=0.05, betas=(0.5, 0.6), amsgrad=True, maximize=True)
optimizer_record("sgd_maximize", "sgd", torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.1, maximize=True)
optimizer_record("adam_maximize", "adam", torch.optim.Adam, lr=0.05, weight_decay=0.1, maximize=True)
optimizer_record("adagrad_maximize", "adagrad", torch.optim.Adagrad, lr=0.1, weight_decay=0.1, maximize=True)
optimizer_record("adadelta_maximize", "adadelta", torch.optim.Adadelta, lr=0.5, weight_decay=0.1, maximize=True)
optimizer_record("rmsprop_maximize", "rmsprop", torch.optim.RMSprop, lr=0.05, weight_decay=0.1, maximize=True)


def loss_record(name, kind, x, target, function):
    x.requires_grad_()
    value = function(x, target)
    value.backward()
    write("loss_" + name, {"input": x, "target": target, "value": value.reshape(1), "grad": x.grad}, {"reduction": "mean", "loss": kind})


# Classes last, as networks give them; PyTorch wants them second.
loss_record("crossentropy_steps", "crossentropy", torch.randn(3, 4, 7), torch.randint(0, 7, (3, 4)),
            lambda x, target: F.cross_entropy(x.transpose(1, 2), target))
loss_record("mse_image", "mse", torch.randn(2, 3, 4), torch.randn(2, 3, 4), F.mse_loss)
loss_record("l1_flat", "l1", torch.randn(7), torch.randn(7), F.l1_loss)


def model_record(name, model, x, y, clip_norm, clip_value, **arguments):
    tensors = {"x": x, "y": y, **{"init." + key: value.clone() for key, value in model.state_dict().items()}}
    optimizer, losses = torch.optim.SGD(model.parameters(), **arguments), []
    for i in range(len(x)):
        output = model(x[i])
        tensors.setdefault("first_output", output)
        loss = F.cross_entropy(output, y[i])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        nn.utils.clip_grad_value_(model.parameters(), clip_value)
        optimizer.step()
        losses.append(loss.item())
    tensors["losses"] = torch.tensor(losses)
    tensors.update({"final." + key: value for key, value in model.state_dict().items()})
    write("model_" + name, tensors, {"optimizer": "sgd", "loss": "crossentropy", "clip_norm": str(clip_norm), "clip_value": str(clip_value),
                                     **{key: str(value) for key, value in arguments.items()}})


logistic = nn.Sequential()
logistic.add_module("fc", nn.Linear(60, 10))
model_record("logistic_clipped", logistic, torch.randn(4, 8, 60), torch.randint(0, 10, (4, 8)), 0.5, 0.04, lr=0.5, momentum=0.9)
