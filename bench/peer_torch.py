#!/usr/bin/python3
"""flosim's training engine beside PyTorch, on one core, model by model.

    bench/peer_torch.py [--bench bench/train] [--seconds S] [--rounds N] [--kernels avx2|avx512] [MODEL|SETTING ...]

Run it in the build folder. Short runs of both sides alternate, with the same environment (one thread, jemalloc preloaded,
since glibc's malloc costs PyTorch up to five times its time), and the table holds medians: a shared machine drifts, so
only paired ratios count. Without --kernels both sets are measured: avx2 with OPENBLAS_CORETYPE=Haswell and PyTorch
held to AVX2 too (its oneDNN would take AVX-512 whatever OpenBLAS does), avx512 with everybody's own choice. Prints that it is skipped where PyTorch, torchvision or jemalloc are missing."""
import argparse
import glob
import os
import re
import statistics
import subprocess
import sys
import time

ENVIRONMENTS = {
    "avx2": {"OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "avx2",
             "ONEDNN_MAX_CPU_ISA": "AVX2", "FLOSIM_KERNELS": "avx2"},
    "avx512": {"OPENBLAS_CORETYPE": None, "ATEN_CPU_CAPABILITY": None,
               "ONEDNN_MAX_CPU_ISA": None, "FLOSIM_KERNELS": "avx512"},
}
SETTINGS = [
    ("LeNet5", "sgd", 32), ("LeNet5", "adam", 16), ("FedAT_CNN", "adam", 32), ("MLP_200", "sgd", 32),
    ("AlexNet_MNIST", "sgd", 16), ("AlexNet", "sgd", 16), ("MobileNet", "sgd", 32), ("CharLSTM", "sgd", 10),
    ("LeNet5", "inference", 100),
]


def skip(why):
    print("peer_torch: skipped:", why)
    sys.exit(0)


def environment(kernels):
    env = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1",
               MALLOC_CONF="dirty_decay_ms:-1,muzzy_decay_ms:-1")
    libraries = glob.glob("/usr/lib/*/libjemalloc.so.2")
    if not libraries:
        skip("libjemalloc2 is not installed")
    env["LD_PRELOAD"] = libraries[0]
    for key, value in ENVIRONMENTS[kernels].items():
        env.pop(key, None)
        if value is not None:
            env[key] = value
    return env


def networks(nn, torchvision):
    def conv(*args, **more):
        return [nn.Conv2d(*args, **more), nn.ReLU()]

    def linear(*sizes):
        layers = []
        for size, following in zip(sizes, sizes[1:]):
            layers += [nn.Linear(size, following), nn.ReLU()]
        return layers[:-1]

    class CharLSTM(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(80, 8)
            self.cell = nn.LSTM(8, 256, 2, batch_first=True)
            self.fc = nn.Linear(256, 80)

        def forward(self, x):
            return self.fc(self.cell(self.embedding(x))[0])

    pool, flatten = nn.MaxPool2d(2), nn.Flatten()
    return {
        "LeNet5": ((1, 32, 32), lambda: nn.Sequential(
            *conv(1, 6, 5), pool, *conv(6, 16, 5), pool, flatten, *linear(400, 120, 84, 10))),
        "FedAT_CNN": ((3, 32, 32), lambda: nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), pool, nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), pool, nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1), pool, nn.ReLU(), flatten, *linear(1024, 64, 10))),
        "MLP_200": ((784,), lambda: nn.Sequential(*linear(784, 200, 10))),
        "AlexNet_MNIST": ((1, 28, 28), lambda: nn.Sequential(
            *conv(1, 32, 5, padding=1), *conv(32, 64, 3, padding=1), pool, *conv(64, 96, 3, padding=1),
            *conv(96, 64, 3, padding=1), *conv(64, 32, 3, padding=1), nn.MaxPool2d(2, stride=1), flatten,
            nn.Dropout(), *linear(4608, 2048)[:2], nn.ReLU(), nn.Dropout(), *linear(2048, 1024, 10))),
        "AlexNet": ((3, 224, 224), lambda: torchvision.models.alexnet(num_classes=10, dropout=0)),
        "MobileNet": ((3, 32, 32), lambda: torchvision.models.mobilenet_v2(num_classes=10)),
        "CharLSTM": (None, CharLSTM),
    }


class Torch:
    """One setting on PyTorch's side."""

    def __init__(self, setting):
        import torch
        import torchvision

        name, optimizer, self.batch = setting
        torch.set_num_threads(1)
        torch.manual_seed(1)
        shape, make = networks(torch.nn, torchvision)[name]
        self.torch, self.model = torch, make()
        self.x = torch.randint(80, (self.batch, 80)) if shape is None else torch.rand(self.batch, *shape)
        self.labels = torch.randint(10, (self.batch, 80) if shape is None else (self.batch,))
        self.optimizer = None
        if optimizer == "inference":
            self.model.eval()
        else:
            kind = torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam
            self.optimizer = kind(self.model.parameters(), lr=1e-3)

    def step(self):
        if self.optimizer is None:
            with self.torch.no_grad():
                self.model(self.x)
            return
        self.optimizer.zero_grad()
        y = self.model(self.x).flatten(0, -2)
        self.torch.nn.functional.cross_entropy(y, self.labels.flatten()).backward()
        self.optimizer.step()

    def rate(self, seconds):
        """As bench/train has it: the best of ten parts, by the processor's time."""
        best, begin = 0, time.process_time()
        while time.process_time() - begin < seconds:
            steps, start = 0, time.process_time()
            while time.process_time() - start < seconds / 10:
                self.step()
                steps += 1
            best = max(best, steps * self.batch / (time.process_time() - start))
        return best


def flosim_rate(bench, name, seconds):
    """(samples/s, percent of the peak), or None where the model is not there."""
    found = subprocess.run([bench, name, "--seconds", str(seconds)], stdout=subprocess.PIPE, universal_newlines=True)
    match = re.search(r": (\d+) samples/s, .* (\d+)% of sgemm (\d+)", found.stdout)
    return tuple(int(part) for part in match.groups()) if match else None


def compare(setting, options):
    name = "{} {} b{}".format(*setting)
    torch, pairs = Torch(setting), []
    for _ in range(2):
        torch.step()
    for _ in range(options.rounds):
        ours = flosim_rate(options.bench, name, options.seconds)
        if ours is None:
            print("| {} | not in bench/train | | | |".format(name), flush=True)
            return
        pairs.append((*ours, torch.rate(options.seconds)))
    ours, percent, peak, theirs = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(pair[0] / pair[3] for pair in pairs)
    print("| {} | {:,.0f} | {:,.0f} | {:.1f} | {:.0f} of {:.0f} |".format(name, ours, theirs, ratio, percent, peak),
          flush=True)


def wanted(setting, names):
    return not names or setting[0] in names or "{} {} b{}".format(*setting) in names


def main():
    parser = argparse.ArgumentParser(description="flosim's training engine beside PyTorch.")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--bench", default="bench/train")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kernels", choices=sorted(ENVIRONMENTS))
    options = parser.parse_args()
    try:
        import torch, torchvision  # noqa: F401
    except ImportError as missing:
        skip(missing)
    if options.kernels and "PEER_TORCH" in os.environ:
        for setting in SETTINGS:
            if wanted(setting, options.names):
                compare(setting, options)
        return
    for kernels in [options.kernels] if options.kernels else ["avx2", "avx512"]:
        print("\nkernels {}\n\n| model | flosim, samples/s | PyTorch {} | ratio | % of sgemm peak, GFLOP/s |\n"
              "|---|---|---|---|---|".format(kernels, torch.__version__), flush=True)
        subprocess.run([sys.executable, __file__, "--kernels", kernels, "--bench", options.bench, "--seconds",
                        str(options.seconds), "--rounds", str(options.rounds), *options.names],
                       env=dict(environment(kernels), PEER_TORCH="1"), check=True)


if __name__ == "__main__":
    main()
