"""The CLIP text encoder at any width, under the names of Stable Diffusion 1.x checkpoints."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from tokenizer import LENGTH

VOCABULARY = 49408


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads = max(1, c // 64)
        self.self_attn = nn.Module()
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self.self_attn, name, nn.Linear(c, c))
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)

    def forward(self, x):
        n, s, c = x.shape
        a, y = self.self_attn, self.layer_norm1(x)
        q, k, v = (f(y).view(n, s, self.heads, -1).transpose(1, 2) for f in (a.q_proj, a.k_proj, a.v_proj))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + a.out_proj(y.transpose(1, 2).reshape(n, s, c))
        y = self.mlp.fc1(self.layer_norm2(x))
        return x + self.mlp.fc2(y * torch.sigmoid(1.702 * y))


class TextEncoder(nn.Module):
    """The table of token rows is apart: training moves only the rows of words that occur."""

    def __init__(self, c=64, layers=3):
        super().__init__()
        self.embeddings = nn.Module()
        self.embeddings.position_embedding = nn.Embedding(LENGTH, c)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(Layer(c) for _ in range(layers))
        self.final_layer_norm = nn.LayerNorm(c)
        with torch.no_grad():
            self.embeddings.position_embedding.weight.mul_(0.05)

    def forward(self, rows, clip_skip=2):
        """rows [n, 77, c] -> context [n, 77, c]; clip skip 2 leaves the last layer out."""
        h = rows + self.embeddings.position_embedding.weight[None, :rows.shape[1]]
        for layer in self.encoder.layers[:len(self.encoder.layers) + 1 - clip_skip]:
            h = layer(h)
        return self.final_layer_norm(h)
