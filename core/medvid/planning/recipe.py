"""medvid's recipe for backbones that have none of their own: that of Primus (arXiv 2503.01835), shortened."""

from medvid.planning.draft import Draft

STEPS = 50_000


def put_recipe(draft: Draft) -> None:
    """Optimizer, schedule and length; the same for images, volumes and videos."""
    draft.put("train.steps", STEPS, "a fifth of nnU-Net's 250,000, our choice, not measured: longer for final figures")
    draft.put("train.optimizer", {"name": "adamw", "lr": 3e-4, "weight_decay": 0.05}, "as Primus is trained")
    draft.put("train.schedule", {"name": "warmup_cosine", "warmup_steps": STEPS // 20}, "the first 5 %")
    draft.put("train.clip_norm", 1.0)
    draft.put("evaluation.every", STEPS // 20)
