"""Axial attention against the paper's equations, written out with torch's own BatchNorm."""

import pytest
import torch
from torch import Tensor, nn

from medvid_medt import attention
from medvid_medt.attention import AxialAttention, PositionalAxialAttention
from medvid_medt.similarity import SimilarityNorm

DIM, GROUPS, LENGTH = 12, 3, 5


def make(kind: str) -> AxialAttention:
    torch.manual_seed(0)
    module = (
        AxialAttention(DIM, GROUPS)
        if kind == "without positions"
        else PositionalAxialAttention(DIM, LENGTH, GROUPS, gated=kind == "gated")
    ).double()
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if "f_" in name or "norm" in name:
                tensor.copy_(torch.rand_like(tensor) + 0.2)
        for name, tensor in module.named_buffers():
            if "running" in name:
                tensor.copy_(torch.rand_like(tensor) + 0.5)
    return module


def written_out(module: AxialAttention, x: Tensor) -> tuple[Tensor, Tensor]:
    """Output for x (B, C, S, L) pixel by pixel, and the running variance of all similarities."""
    lines = x.transpose(1, 2).flatten(0, 1)
    heads = module.norm_qkv(module.qkv(lines)).unflatten(1, (GROUPS, -1)).transpose(-1, -2)  # N, G, L, 2D
    head_dim = DIM // GROUPS
    query, key, value = heads.split([head_dim // 2, head_dim // 2, head_dim], dim=-1)
    terms = [torch.einsum("ngic,ngjc->ngij", query, key)]
    if isinstance(module, PositionalAxialAttention):
        distances = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)
        r = module.relative[:, distances + LENGTH - 1]  # 2D, L, L
        r_query, r_key, r_value = r.split([head_dim // 2, head_dim // 2, head_dim])
        terms.append(module.f_qr * torch.einsum("ngic,cij->ngij", query, r_query))
        terms.append(module.f_kr * torch.einsum("ngjc,cji->ngij", key, r_key))
    norm = batch_norm(module.norm_similarity).train(module.training)
    similarity = norm(torch.cat(terms, dim=1)).unflatten(1, (-1, GROUPS)).sum(1)
    weight = similarity.softmax(-1)
    outputs = [torch.einsum("ngij,ngjc->ngci", weight, value).flatten(1, 2)]
    if isinstance(module, PositionalAxialAttention):
        outputs = [module.f_sv * outputs[0]]
        outputs.append(module.f_sve * torch.einsum("ngij,cij->ngci", weight, r_value).flatten(1, 2))
    y = module.norm_output(torch.stack(outputs, dim=2).flatten(1, 2)).unflatten(1, (DIM, -1)).sum(2)
    assert norm.running_var is not None
    return y.unflatten(0, (len(x), -1)).transpose(1, 2), norm.running_var


def batch_norm(norm: SimilarityNorm) -> nn.BatchNorm2d:
    published = nn.BatchNorm2d(len(norm.weight)).double()
    published.weight = norm.weight
    published.running_var = norm.running_var.clone()
    with torch.no_grad():
        published.bias.uniform_()  # of no effect
    return published


@pytest.mark.parametrize("kind", ["gated", "positions", "without positions"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("lines_at_once", [1, 4, 100])
def test_it_is_the_equations(kind: str, training: bool, lines_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "CPU_SLICE", lines_at_once * GROUPS * LENGTH**2)
    module = make(kind).train(training)
    x = torch.randn(2, DIM, 7, LENGTH, dtype=torch.float64, requires_grad=True)
    expected, running_var = written_out(module, x)
    parameters = [x, *module.parameters()]
    towards = torch.randn_like(expected)
    expected_gradients = torch.autograd.grad(expected, parameters, towards)
    ours = module(x)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(module.norm_similarity.running_var, running_var)
    for gradient, expected_gradient in zip(
        torch.autograd.grad(ours, parameters, towards), expected_gradients, strict=True
    ):
        torch.testing.assert_close(gradient, expected_gradient, atol=1e-9, rtol=1e-7)


def test_a_gate_is_undone_in_training_but_not_in_evaluation() -> None:
    module, x = make("gated"), torch.randn(2, DIM, 7, LENGTH, dtype=torch.float64)
    assert isinstance(module, PositionalAxialAttention)
    outputs = {}
    for factor in (1, 3):
        with torch.no_grad():
            for gate in (module.f_qr, module.f_kr, module.f_sv, module.f_sve):
                assert isinstance(gate, Tensor)
                gate.mul_(factor)
        outputs[factor] = module.train()(x), module.eval()(x)
    (train, evaluation), (train_3, evaluation_3) = outputs[1], outputs[3]
    assert (train - train_3).abs().max().item() < 0.02
    assert (evaluation - evaluation_3).abs().max().item() > 0.5


def test_statistics_are_in_float32_whatever_the_activations() -> None:
    norm = SimilarityNorm(1, GROUPS).train()
    query = torch.randn(4, GROUPS, 2, LENGTH)
    expected = norm([(query.bfloat16().float(), query.bfloat16().float())])
    with torch.autocast("cpu", torch.bfloat16):
        factors = norm([(query.bfloat16(), query.bfloat16())])
    assert factors.dtype == torch.float32
    torch.testing.assert_close(factors, expected)


def test_constant_similarities_have_no_negative_variance() -> None:
    query = torch.full((4, GROUPS, 3, LENGTH), 0.1)
    norm = SimilarityNorm(1, GROUPS).train()
    torch.testing.assert_close(norm([(query, query)]).flatten(), torch.full((GROUPS,), 1e-5**-0.5), rtol=0.01, atol=0)


def test_without_positions_the_order_of_pixels_does_not_matter() -> None:
    module, x = make("without positions").eval(), torch.randn(1, DIM, 2, LENGTH, dtype=torch.float64)
    order = torch.randperm(LENGTH)
    torch.testing.assert_close(module(x[..., order]), module(x)[..., order])
    positional = make("positions").eval()
    assert (positional(x[..., order]) - positional(x)[..., order]).abs().max().item() > 0.01


def test_lines_do_not_see_each_other_in_evaluation() -> None:
    module, x = make("gated").eval(), torch.randn(1, DIM, 3, LENGTH, dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 1] += 1
    differs = (module(changed) - module(x)).abs().amax(dim=(0, 1, 3)) > 1e-9
    assert differs.tolist() == [False, True, False]
