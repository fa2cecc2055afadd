"""The one decode loop: feed what is known, predict a front, sample it, feed it, and so on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .models.cache import KVCache
from .models.condition import Condition
from .models.heads import Routes
from .models.transformer import NARTransformer, proximity_mask
from .plan import DIRECTIONS, DecodePlan, select_senders
from .sampling import guide, implausible, sample_front
from .settings import SamplingSettings


def _without_padding(condition: Condition) -> Condition:
    """Drop leading condition slots that are padding in every row; no mask where all rows agree."""
    if condition.valid is None:
        return condition
    first = int(condition.valid.any(0).int().argmax())
    valid = condition.valid[:, first:]
    return replace(
        condition, slots=condition.slots[:, first:], valid=None if bool(valid.all()) else valid
    )


def joined(first: Condition, second: Condition) -> Condition:
    """The rows of two conditions of one kind, those of the second behind those of the first."""

    def both(a: Tensor | None, b: Tensor | None) -> Tensor | None:
        return None if a is None or b is None else torch.cat([a, b])

    return Condition(
        torch.cat([first.slots, second.slots]),
        both(first.valid, second.valid),
        both(first.broadcast, second.broadcast),
        both(first.cells, second.cells),
    )


class Growth:
    """The state of one request while it is decoded; nothing of it lives on the model.

    Args:
        model: the transformer.
        plan: the decoding order; all rows share it.
        values, null: condition input of B rows, and its null form.
        tokens: int64 [B, N] on the model's device; every cell decoded before `first_step` and
            every known cell filled in, the rest is written here step by step.
        numbers: uniform numbers [B, N].
        settings: of all rows, or one of each row, of one kin (`SamplingSettings.kin`).
        first_step: steps before this one are replayed in one masked pass, with their own levels,
            so that going on is exactly what it would have been.
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: NARTransformer,
        plan: DecodePlan,
        values,
        null,
        tokens: Tensor,
        numbers: Tensor,
        settings: SamplingSettings | Sequence[SamplingSettings],
        first_step: int = 0,
    ):
        self.model, self.plan = model, plan
        one = isinstance(settings, SamplingSettings)
        self.settings_of_rows = [settings] * len(tokens) if one else list(settings)
        self.settings = self.settings_of_rows[0]  # for all in which they agree
        self.tokens, self.numbers = tokens, numbers.to(tokens.device)
        self.next_step, self.passes = first_step, 0
        self.rows = len(tokens)
        self.generated = sum(len(s.positions) for s in plan.steps[:first_step])
        device = tokens.device

        seed = int(np.ravel_multi_index(plan.seed_position, plan.grid))
        seeds = torch.full((self.rows,), seed, device=device)
        condition = model.embed_condition(values, seeds)
        self.guided = self.settings.guided and not (first_step and self._interval_over())
        if self.guided:
            other = model.embed_condition(null, seeds)
            condition = joined(condition, other)
        self.condition = condition = _without_padding(condition)
        self.length = condition.slots.shape[1]

        # Everything is fed by ascending level, so the place of a cell in the cache is known now.
        self.order = np.lexsort((np.arange(plan.grid.cells), plan.levels))
        self.sorted_levels = plan.levels[self.order]
        rank = np.empty_like(self.order)
        rank[self.order] = np.arange(len(rank))
        self.place_of = rank + self.length
        self.fed = 0
        self.senders_of = self._senders()
        # All that depends on the plan alone is on the device before the first step, so that no step
        # waits for a copy: which states predict a front, and its cells.
        left = [self.senders_of[step.positions] for step in plan.steps[first_step:]]
        routes = Routes.of(left, model.heads.directions, device)
        self.routes = dict(enumerate(routes, first_step))
        sizes = [len(step.positions) for step in plan.steps]
        fronts = torch.from_numpy(np.concatenate([step.positions for step in plan.steps]))
        self.fronts = fronts.to(device).split(sizes)
        # Where each cell is, in the order in which they are fed.
        self.cells = torch.from_numpy(self.order).to(device)
        self.places = model.places(self.cells)
        at = self.length - (model.seed_query is not None)
        rotations = model.rotations(at)
        if rotations is not None:
            query = [rotations[at + seed][None]] if at < self.length else []
            rotations = torch.cat([rotations[:at], *query, rotations[at + self.cells]])
        self.rotations = rotations  # the condition's first

        config = model.config
        rows = len(condition.slots)
        extent = (rows, self.length + plan.grid.cells)
        dtype = condition.slots.dtype
        self.cache = KVCache(
            config.depth,
            rows,
            config.attention_heads,
            extent[1],
            config.width // config.attention_heads,
            device,
            dtype,
        )
        self.hidden = {
            depth: torch.empty(*extent, config.width, device=device, dtype=dtype)
            for depth in set(config.taps.values())
        }

    def _interval_over(self) -> bool:
        """Guidance is counted in generated tokens, the seed token included, known ones not."""
        interval = self.settings.guidance_interval
        return -1 < interval < self.generated

    def _feed(self, end: int) -> None:
        """Run the cells `order[fed:end]`, at first behind the condition, and keep their states."""
        start = self.cache.length
        levels = torch.from_numpy(self.sorted_levels[self.fed : end])
        x = self.embedded(self.fed, end)
        if start == 0:
            x = torch.cat([self.condition.slots, x], 1)
            levels = torch.cat([self.model.condition_levels(self.length), levels])
        rotations = None if self.rotations is None else self.rotations[start : start + len(levels)]
        mask = self._mask(levels, x.device)
        for depth, states in self.model.run(x, rotations, mask, self.cache).items():
            self.hidden[depth][:, start : self.cache.length] = states
        self.fed = end
        self.passes += 1

    def embedded(self, start: int, end: int) -> Tensor:
        """Embeddings of the cells `order[start:end]`, null half last, [rows, n, D]."""
        tokens = self.tokens[:, self.cells[start:end]]
        tokens = torch.cat([tokens, tokens]) if self.guided else tokens
        places = None if self.places is None else self.places[start:end]
        return self.model.embed_tokens(tokens, self.cells[start:end], places, self.condition)

    def _mask(self, levels: Tensor, device: torch.device) -> Tensor | None:
        """None when everything fed so far and now is visible to all that is fed now."""
        valid, n, before = self.condition.valid, len(levels), self.cache.length
        if valid is not None:
            valid = F.pad(valid, (0, before + n - self.length), value=True)
        if before == 0:
            valid = None if valid is None else valid.cpu()
            return proximity_mask(levels, valid).to(device)
        if bool((levels == levels[0]).all()):
            return None if valid is None else valid[:, None]
        mask = F.pad(proximity_mask(levels), (before, 0), value=True).to(device)
        return mask if valid is None else mask & valid[:, None]

    @torch.inference_mode()
    def logits(self) -> Tensor:
        """Fused logits of the next front, [B, n, V], or [2B, n, V] with guidance (null last)."""
        if self.guided and self.next_step and self._interval_over():
            self._end_guidance()
        level = self.plan.levels[self.plan.steps[self.next_step].positions[0]]
        end = int(np.searchsorted(self.sorted_levels, level))
        if self.fed < end or self.cache.length == 0:
            self._feed(end)
        fusion = self.settings.fusion
        rule = "logits" if fusion == "freshest" else fusion
        return self.model.heads.fused(self.hidden, self.routes[self.next_step], rule)

    def senders(self) -> np.ndarray:
        """Rows of `hidden` that predict each cell of the next front, int64 [n, 6], -1 for none."""
        return self.senders_of[self.plan.steps[self.next_step].positions]

    def _senders(self) -> np.ndarray:
        """Rows of `hidden` that predict each cell of the grid, int64 [N, 6], -1 for none."""
        fan_in = self.plan.fan_in
        senders = np.where(fan_in >= 0, self.place_of[fan_in], -1)
        # A cell nobody sends to is predicted by the last condition token, with every head.
        alone = (fan_in < 0).all(-1, keepdims=True)
        has = np.array([d in self.model.config.taps for d in DIRECTIONS])
        senders = np.where(alone & has, self.length - 1, senders)
        levels = np.concatenate([np.full(self.length, -1), self.sorted_levels])
        settings = self.settings
        return select_senders(senders, levels, settings.axes, settings.fusion == "freshest")

    @torch.inference_mode()
    def step(self) -> tuple[Tensor, Tensor]:
        """Decode the next front; tokens int64 [B, n] and their confidence float32 [B, n]."""
        conditional, *null = self.logits().chunk(2 if self.guided else 1)
        cells = self.fronts[self.next_step]
        tokens = torch.empty(conditional.shape[:2], dtype=torch.int64, device=conditional.device)
        confidence = torch.empty(tokens.shape, device=conditional.device)
        for settings, rows in self._alike():
            own = conditional[rows]
            logits = guided(own, null[0][rows] if null else None, settings)
            tokens[rows], confidence[rows] = sample_front(
                logits,
                self.numbers[rows][:, cells],
                temperature=settings.temperature,
                top_k=settings.top_k,
                top_p=settings.top_p,
            )
        self.tokens[:, cells] = tokens
        self.generated += len(cells)
        self.next_step += 1
        return tokens, confidence

    def _alike(self) -> list[tuple[SamplingSettings, slice | list[int]]]:
        """The rows of each settings; mostly there is but one, and nothing need be copied."""
        several = list(dict.fromkeys(self.settings_of_rows))
        if len(several) == 1:
            return [(several[0], slice(None))]
        of = self.settings_of_rows
        return [(one, [i for i, own in enumerate(of) if own == one]) for one in several]

    @torch.inference_mode()
    def keep_rows(self, rows: Tensor) -> None:
        """Go on with these rows only, int64 [n]; what they become does not change."""
        self._keep(torch.cat([rows, rows + self.rows]) if self.guided else rows)
        self.tokens, self.numbers = self.tokens[rows], self.numbers[rows]
        self.settings_of_rows = [self.settings_of_rows[i] for i in rows.tolist()]
        self.rows = len(rows)

    def _end_guidance(self) -> None:
        """The null half is not needed again."""
        self.guided = False
        self._keep(slice(self.rows))

    def _keep(self, rows: Tensor | slice) -> None:
        """Forget the states of all other rows, those of the null half counted too."""
        self.cache.keep_rows(rows)
        self.hidden = {depth: x[rows] for depth, x in self.hidden.items()}
        parts = {k: None if x is None else x[rows] for k, x in vars(self.condition).items()}
        self.condition = replace(self.condition, **parts)


def guided(conditional: Tensor, null: Tensor | None, settings: SamplingSettings) -> Tensor:
    """What fused logits become before anything is drawn: guided, and without the implausible."""
    logits = conditional
    if null is not None:
        logits = guide(conditional, null, settings.guidance_scale)
    if settings.min_p:
        logits = logits.masked_fill(implausible(conditional, settings.min_p), float("-inf"))
    return logits
