"""The token rows that are trained: those of the words in captions. All other rows are zero."""
import torch
import torch.nn as nn

import attributes
from text import VOCABULARY
from tokenizer import END, START, pieces, tokens


def words():
    a = attributes
    text = ["hatsune miku", "1girl", "worst quality", "best quality", "blurry", "bad hands", "flat color",
            "detailed shading", "headphones", "teal hair", "twintails", ","]
    text += [f"{c} hair" for c in a.HAIR] + [f"{c} eyes" for c in a.EYES]
    text += [*a.STYLE, *a.FACE, *a.GROUND, *a.POSE, *a.OUTFIT]
    return sorted({START, END, *(i for t in text for i in pieces(t))})


class Rows(nn.Module):
    """A small table standing for the large one."""

    def __init__(self, width=64):
        super().__init__()
        self.ids = words()
        self.at = {i: k for k, i in enumerate(self.ids)}
        self.table = nn.Parameter(0.25 * torch.randn(len(self.ids), width))

    def indices(self, captions):
        """Unknown words read as a row of zeros, kept behind the table."""
        return torch.tensor([[self.at.get(i, len(self.ids)) for i in tokens(c)] for c in captions])

    def forward(self, captions):
        table = torch.cat([self.table, self.table.new_zeros(1, self.table.shape[1])])
        return table[self.indices(captions).to(table.device)]

    def full(self):
        out = torch.zeros(VOCABULARY, self.table.shape[1])
        out[self.ids] = self.table.detach().float().cpu()
        return out
