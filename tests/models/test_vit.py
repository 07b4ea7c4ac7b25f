"""The ViT block against torch's own pre-norm encoder layer."""

import pytest
import torch
from torch import nn

from medvid.models.vit import Attention, Block


def torch_layer(block: Block) -> nn.TransformerEncoderLayer:
    layer = nn.TransformerEncoderLayer(
        12, 4, 20, dropout=0.0, activation="gelu", layer_norm_eps=1e-5, batch_first=True, norm_first=True
    )
    names = {
        "attn.qkv.weight": "self_attn.in_proj_weight",
        "attn.qkv.bias": "self_attn.in_proj_bias",
        "attn.proj": "self_attn.out_proj",
        "mlp.fc1": "linear1",
        "mlp.fc2": "linear2",
    }
    state = {}
    for key, value in block.state_dict().items():
        renamed = key
        for ours, theirs in names.items():
            renamed = renamed.replace(ours, theirs)
        state[renamed] = value
    layer.load_state_dict(state)
    return layer


def test_block_equals_torchs_encoder_layer() -> None:
    torch.manual_seed(0)
    block = Block(12, 20, 4, eps=1e-5)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    tokens = torch.randn(2, 7, 12)
    torch.testing.assert_close(block(tokens), torch_layer(block)(tokens), atol=1e-5, rtol=1e-5)


def test_qkv_bias_is_optional() -> None:
    assert "qkv.bias" in Attention(8, 2).state_dict()
    assert "qkv.bias" not in Attention(8, 2, qkv_bias=False).state_dict()


@pytest.mark.parametrize("part", ["attn", "mlp"])
def test_dropout_acts_in_training_only(part: str) -> None:
    torch.manual_seed(0)
    module = Block(8, 16, 2, dropout=0.5).get_submodule(part)
    tokens = torch.randn(1, 5, 8)
    assert not torch.equal(module(tokens), module(tokens))
    module.eval()
    assert torch.equal(module(tokens), module(tokens))
