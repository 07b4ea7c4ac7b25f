"""Options of MViT, with the names of the authors' code (PySlowFast)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import BackboneOptions, WeightsOptions
from medvid.plugin import InputInfo
from medvid_mvit.geometry import BlockSetting, Grid, Triple, make_pooling, rounded, slide
from medvid_mvit.variants import VARIANTS

Factors = tuple[tuple[NonNegativeInt, PositiveFloat], ...]
Strides = tuple[tuple[NonNegativeInt, PositiveInt, PositiveInt, PositiveInt], ...]
PoolMode = Literal["conv", "avg", "max"]
Entries = TypeVar("Entries", bound=Sequence[tuple[Any, ...]])


class MViTWeights(WeightsOptions):
    """Published weights to start from."""

    source: Literal["pytorchvideo", "torchvision", "slowfast"]
    """pytorchvideo: a state of its MultiscaleVisionTransformers; torchvision: of its video.MViT; slowfast: of
    PySlowFast's MViT, whose image models (ImageNet) can also initialise video models."""


def default_pool_norm_eps(given: Mapping[str, Any]) -> float:
    """The epsilon of the weights' code."""
    weights = given.get("weights")
    return 1e-5 if isinstance(weights, MViTWeights) and weights.source == "pytorchvideo" else 1e-6


class MViTOptions(BackboneOptions):
    """Multiscale vision transformer v1 (Fan et al., ICCV 2021) and v2 (Li et al., CVPR 2022); the defaults are MViT-B.

    It is built for the size of the data set's clips, on which its positions depend.
    """

    variant: Literal["mvit_b_16x4", "mvit_b_32x3", "mvit_b_24_32x3", "mvitv2_s", "mvitv2_b", "mvitv2_l"] | None = None
    """A published model, whose options are the defaults of all others here; 24 blocks: PySlowFast's MVIT_B_32x3."""
    weights: MViTWeights | None = None
    """Published weights to start from; without, the initialisation of the published code."""
    patch_kernel: Triple = (3, 7, 7)
    """Kernel of the convolution that turns the clip into tokens: time, height, width."""
    patch_stride: Triple = (2, 4, 4)
    patch_padding: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt] = (1, 3, 3)
    norm_stem: bool = False
    """Normalise the tokens before the first block."""
    embed_dim: PositiveInt = 96
    """Width of a token in the first block."""
    num_heads: PositiveInt = 1
    """Attention heads of the first block."""
    depth: PositiveInt = 16
    """Number of blocks."""
    mlp_ratio: PositiveFloat = 4.0
    """Width inside the MLP, as a multiple of the token's width."""
    qkv_bias: bool = True
    """Add a bias to queries, keys and values."""
    dim_mul: Factors = ((1, 2.0), (3, 2.0), (14, 2.0))
    """[block, factor], blocks counted from 0: from this block, tokens are wider by this factor, rounded to a multiple
    of the heads."""
    head_mul: Factors = ((1, 2.0), (3, 2.0), (14, 2.0))
    """[block, factor]: from this block, the number of heads is multiplied by this factor."""
    dim_mul_in_att: bool = False
    """Widen the tokens in the attention of that block, as v2 does, not in the MLP of the block before."""
    pool_mode: PoolMode = "conv"
    """Pool by a learned convolution of each channel and a norm, or by the average or maximum (v1, table 10)."""
    pool_q_stride: Strides = ((1, 1, 2, 2), (3, 1, 2, 2), (14, 1, 2, 2))
    """[block, time, height, width]: queries of these blocks are pooled, even if all strides are 1."""
    pool_kv_stride_adaptive: Triple | None = (1, 8, 8)
    """Stride of keys and values in the first block; it falls by the queries' strides, so that their number stays."""
    pool_kv_stride: Strides = ()
    """[block, time, height, width]: only keys and values of these blocks are pooled; excludes the adaptive option."""
    pool_kvq_kernel: Triple | None = (3, 3, 3)
    """Kernel of all poolings; null: each one's stride plus 1, or 1 for stride 1."""
    pool_first: bool = False
    """Pool the tokens before they are projected to queries, keys and values, instead of those."""
    block_setting: tuple[BlockSetting, ...] | None = None
    """The blocks one by one, as in torchvision; instead of the equivalent options."""
    cls_embed_on: bool = True
    """Add a class token, which is the embedding; otherwise the embedding is the mean of the tokens."""
    use_mean_pooling: bool = False
    """Make the embedding the mean of the patches' tokens before the last norm, which then applies to that mean."""
    use_abs_pos: bool = True
    """Add learned positions to the tokens."""
    sep_pos_embed: bool = True
    """Make the positions the sum of a table of space and one of time, instead of a single table."""
    table_size: Triple | None = None
    """Frames, height and width of the clips for which all position tables are made; default: the data set's. Otherwise
    they are interpolated linearly in each pass, as in PySlowFast's tests at a size other than the training's."""
    rel_pos_spatial: bool = False
    """Add learned relative positions of height and width to the attention (v2, equation 4)."""
    rel_pos_temporal: bool = False
    """Add learned relative positions of time."""
    residual_pooling: bool = False
    """Add the pooled queries to the attention's output (v2, equation 5)."""
    residual_with_cls_embed: bool = False
    """Add the query of the class token too; none of the published models does."""
    layer_scale_init_value: NonNegativeFloat = 0.0
    """Start of a learned factor on each channel of a residual branch; 0: there are none."""
    pool_norm_eps: PositiveFloat = Field(default_factory=default_pool_norm_eps)
    """Added to the variance by the norms of pooled tokens. Default: 1e-6, but 1e-5 with pytorchvideo's weights, as in
    its release."""
    dropout_rate: FractionBelowOne = 0.0
    """Drop probability after the positions, of the attention's output, and after each layer of the MLPs."""
    droppath_rate: FractionBelowOne = 0.0
    """Probability of skipping a residual branch in the last block; it grows linearly from 0 in the first one."""

    @model_validator(mode="before")
    @classmethod
    def _start_from_variant(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and (published := VARIANTS.get(str(given.get("variant")))):
            return {**published, **given}
        return given

    @model_validator(mode="after")
    def _one_kind_of_stride(self) -> "MViTOptions":
        if self.pool_kv_stride and self.pool_kv_stride_adaptive:
            raise ValueError("pool_kv_stride and pool_kv_stride_adaptive are both set: set one of them to null or []")
        return self

    @model_validator(mode="after")
    def _blocks_are_possible(self) -> "MViTOptions":
        dim = self.blocks[0].input_channels
        for index, block in enumerate(self.blocks):
            if block.input_channels != dim:
                raise ValueError(f"block {index} takes tokens of {block.input_channels} channels, but gets {dim}")
            attended = self.attention_channels(block)
            if attended % block.num_heads:
                raise ValueError(
                    f"block {index} has {attended} channels, which is not a multiple of its {block.num_heads} heads"
                )
            dim = block.output_channels
        return self

    @property
    def blocks(self) -> tuple[BlockSetting, ...]:
        """The blocks one by one.

        Raises:
            ValueError: an option names a block that does not exist.
        """
        return self.block_setting or _expand(self)

    def attention_channels(self, block: BlockSetting) -> int:
        """Width of a token in a block's attention."""
        return block.output_channels if self.dim_mul_in_att else block.input_channels

    def grids(self, size: Grid) -> list[Grid]:
        """The tokens along time, height and width: before the first block, and after each one.

        Raises:
            ValueError: a clip of this size leaves no token somewhere, or residual and queries are pooled to different
                grids.
        """
        grids = [slide(size, self.patch_kernel, self.patch_stride, self.patch_padding)]
        for index, block in enumerate(self.blocks):
            grid, pool_q = grids[-1], block.pool_q
            queries, residual = (pool_q.pooled(grid), pool_q.skip.pooled(grid)) if pool_q else (grid, grid)
            if min(*grid, *queries, *(block.pool_kv.pooled(grid) if block.pool_kv else grid)) < 1:
                raise ValueError(f"clips of size {list(size)} are too small: block {index} gets no tokens")
            if queries != residual:
                raise ValueError(
                    f"for clips of size {list(size)}, block {index} pools queries to {list(queries)} tokens, but its "
                    f"residual connection to {list(residual)}; odd kernels and strides of 1, 2, 4 or 8 go together"
                )
            grids.append(queries)
        return grids

    def frames_of_image(self) -> int:
        """Those of one token."""
        return self.patch_stride[0]

    def check_input(self, info: InputInfo) -> None:
        """Refuse clips that are too small for the poolings, or whose sizes do not go with them.

        Raises:
            ValueError: naming the size and the block.
        """
        self.grids(info.size)

    def check_test_input(self, trained: InputInfo, given: InputInfo) -> None:
        """Refuse another size than that of training, which decides the shapes of the tables.

        Raises:
            ValueError: naming both.
        """
        if given.size != trained.size:
            raise ValueError(f"it is built for clips of {list(trained.size)}, not {list(given.size)}")


def _expand(options: MViTOptions) -> tuple[BlockSetting, ...]:
    """The blocks one by one (MViT, section 3.2; MViTv2, section 4.1).

    Widths are rounded to a multiple of the heads, as published. v2 takes the heads of the block times its own factor
    once more; only small or odd widths show it.

    Raises:
        ValueError: an option names a block that does not exist.
    """
    depth, late = options.depth, 0 if options.dim_mul_in_att else 1  # v1 widens in the MLP of the block before
    dim_mul = dict(_checked("dim_mul", options.dim_mul, range(late, depth + late)))
    head_mul = dict(_checked("head_mul", options.head_mul, range(depth)))
    stride_q = {block: stride for block, *stride in _checked("pool_q_stride", options.pool_q_stride, range(depth))}
    stride_kv = {block: stride for block, *stride in _checked("pool_kv_stride", options.pool_kv_stride, range(depth))}
    dims, heads, adaptive = [options.embed_dim], [options.num_heads], options.pool_kv_stride_adaptive
    for index in range(depth):
        heads.append(rounded(heads[-1] * head_mul.get(index, 1)))
        together = rounded(heads[-1] * head_mul.get(index + late, 1))
        dims.append(rounded(dims[-1] * dim_mul.get(index + late, 1), together))
        if adaptive:
            time, height, width = map(_reduced, adaptive, stride_q.get(index, (1, 1, 1)))
            adaptive = time, height, width
            stride_kv[index] = [*adaptive]
    return tuple(
        BlockSetting(
            num_heads=heads[index + 1],
            input_channels=dims[index],
            output_channels=dims[index + 1],
            pool_q=make_pooling(options.pool_kvq_kernel, stride_q.get(index)),
            pool_kv=make_pooling(options.pool_kvq_kernel, stride_kv.get(index)),
        )
        for index in range(depth)
    )


def _reduced(stride: int, divisor: int) -> int:
    return max(1, stride // divisor)


def _checked(name: str, entries: Entries, blocks: range) -> Entries:
    for block, *_ in entries:
        if block not in blocks:
            raise ValueError(f"{name} names block {block}, but takes blocks {blocks[0]} to {blocks[-1]}")
    return entries
