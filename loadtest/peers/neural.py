"""PyTorch: training steps of the networks that models/neural and models/sequence train."""

import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F

from peerworker import Job, serve

warnings.filterwarnings("ignore")
USERS, ITEMS, BATCHES = 6040, 3706, 16


class NeuMF(nn.Module):
    def __init__(self, sparse):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, 32, sparse=sparse) for n in (USERS, ITEMS, USERS, ITEMS))
        for t in self.tables:
            nn.init.normal_(t.weight, std=0.01)
        self.mlp = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.out = nn.Linear(48, 1)

    def forward(self, user, item):
        gu, gi, mu, mi = (t(x) for t, x in zip(self.tables, (user, item, user, item)))
        return self.out(torch.cat([gu * gi, self.mlp(torch.cat([mu, mi], -1))], -1)).squeeze(-1)


class Recurrent(nn.Module):
    def __init__(self, cell, dim):
        super().__init__()
        self.items = nn.Embedding(ITEMS, dim)
        nn.init.normal_(self.items.weight, std=0.02)
        self.cell = cell(dim, dim, batch_first=True)

    def forward(self, x):
        return self.cell(self.items(x))[0]


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.before, self.middle = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(self.before(x)).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(o.transpose(1, 2).reshape(b, n, d))
        return x + self.narrow(F.gelu(self.widen(self.middle(x))))


class SASRec(nn.Module):
    def __init__(self, dim, length, blocks=2, heads=2):
        super().__init__()
        self.items, self.places = nn.Embedding(ITEMS, dim), nn.Parameter(torch.zeros(length, dim))
        nn.init.normal_(self.items.weight, std=0.02)
        self.blocks, self.norm = nn.ModuleList(Block(dim, heads) for _ in range(blocks)), nn.LayerNorm(dim)

    def forward(self, x):
        x = self.items(x) * 8 + self.places
        for b in self.blocks:
            x = b(x)
        return self.norm(x)


def training(step, batches):
    at = 0

    def run(n):
        nonlocal at
        for _ in range(n):
            step(batches[at % len(batches)])
            at += 1

    return Job(run)


def neumf(batch, threads, sparse=0):
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    model = NeuMF(bool(sparse))
    tables = list(model.tables.parameters())
    rest = [*model.mlp.parameters(), *model.out.parameters()]
    optimisers = [torch.optim.SparseAdam(tables, 1e-3), torch.optim.Adam(rest, 1e-3)] if sparse else [
        torch.optim.Adam(model.parameters(), 1e-3)]

    def step(b):
        for o in optimisers:
            o.zero_grad()
        F.binary_cross_entropy_with_logits(model(b[0], b[1]), b[2]).backward()
        for o in optimisers:
            o.step()

    return training(step, [(torch.randint(0, USERS, (batch,)), torch.randint(0, ITEMS, (batch,)),
                            torch.randint(0, 2, (batch,)).float()) for _ in range(BATCHES)])


def sequence(make):
    def job(batch, length, dim, threads):
        torch.manual_seed(1)
        torch.set_num_threads(threads)
        model = make(dim, length)
        optimiser = torch.optim.Adam(model.parameters(), 1e-3)

        def step(b):
            optimiser.zero_grad()
            h = model(b[0])
            target, other = ((h * model.items(i)).sum(-1) for i in b[1:])
            (F.softplus(-target) + F.softplus(other)).mean().backward()
            optimiser.step()

        return training(step, [tuple(torch.randint(0, ITEMS, (batch, length)) for _ in range(3)) for _ in range(BATCHES)])

    return job


if __name__ == "__main__":
    serve(f"PyTorch {torch.__version__}", {
        "neumf": neumf,
        "gru": sequence(lambda dim, length: Recurrent(nn.GRU, dim)),
        "lstm": sequence(lambda dim, length: Recurrent(nn.LSTM, dim)),
        "sasrec": sequence(SASRec),
    })
