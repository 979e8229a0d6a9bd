"""The noise schedule of Stable Diffusion 1.x and its buffers."""
import numpy as np
import torch

STEPS = 1000
BETAS = np.linspace(0.00085 ** 0.5, 0.012 ** 0.5, STEPS, dtype=np.float64) ** 2
ALPHA_BAR = np.cumprod(1 - BETAS)
SIGMA = torch.tensor(np.sqrt((1 - ALPHA_BAR) / ALPHA_BAR), dtype=torch.float32)


def buffers():
    """The fp32 tensors an original checkpoint carries beside its weights, in its order."""
    before = np.append(1.0, ALPHA_BAR[:-1])
    variance = BETAS * (1 - before) / (1 - ALPHA_BAR)
    values = {
        "betas": BETAS, "alphas_cumprod": ALPHA_BAR, "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": np.sqrt(ALPHA_BAR), "sqrt_one_minus_alphas_cumprod": np.sqrt(1 - ALPHA_BAR),
        "log_one_minus_alphas_cumprod": np.log(1 - ALPHA_BAR), "sqrt_recip_alphas_cumprod": np.sqrt(1 / ALPHA_BAR),
        "sqrt_recipm1_alphas_cumprod": np.sqrt(1 / ALPHA_BAR - 1), "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(np.maximum(variance, 1e-20)),
        "posterior_mean_coef1": BETAS * np.sqrt(before) / (1 - ALPHA_BAR),
        "posterior_mean_coef2": (1 - before) * np.sqrt(1 - BETAS) / (1 - ALPHA_BAR),
    }
    return {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}
