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
from .models.recording import Recorded, Recorder
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

    What is made of the plan serves another request of the same plan and settings, see `again`.

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
        self.first_step = self.next_step = first_step
        self.passes = 0
        self.rows = len(tokens)
        self.begun = self.generated = sum(len(s.positions) for s in plan.steps[:first_step])
        device = tokens.device
        self.guided = self.settings.guided and not (first_step and self._interval_over())
        self.condition = condition = self._condition_of(values, null)
        self.length = condition.slots.shape[1]

        # Everything is fed by ascending level, so the place of a cell in the cache is known now.
        self.order = np.lexsort((np.arange(plan.grid.cells), plan.levels))
        self.sorted_levels = plan.levels[self.order]
        rank = np.empty_like(self.order)
        rank[self.order] = np.arange(len(rank))
        self.place_of = rank + self.length
        # How many cells each step wants to have been fed: all below the level of its front.
        levels = [plan.levels[step.positions[0]] for step in plan.steps]
        self.ends = np.searchsorted(self.sorted_levels, levels).tolist()
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
        self.masks = self._masks(device)
        at = self.length - (model.seed_query is not None)
        rotations = model.rotations(at)
        if rotations is not None:
            seed = int(np.ravel_multi_index(plan.seed_position, plan.grid))
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
        self._whole = self.guided, self.condition, self.cache.data, self.hidden
        self._recorder: Recorder | None = None
        self._recorded: dict[int, Recorded] = {}

    def _condition_of(self, values, null) -> Condition:
        """The condition of all rows, those of the null half last."""
        seed = int(np.ravel_multi_index(self.plan.seed_position, self.plan.grid))
        seeds = torch.full((self.rows,), seed, device=self.tokens.device)
        condition = self.model.embed_condition(values, seeds)
        if self.guided:
            condition = joined(condition, self.model.embed_condition(null, seeds))
        return _without_padding(condition)

    @torch.inference_mode()
    def again(self, values, null, tokens: Tensor, numbers: Tensor) -> bool:
        """Begin anew with what another request brings, in the memory that is here.

        On a GPU its steps are recorded this time, and replayed from the next time on.

        Returns:
            Whether it could: not where rows were left out, or a prompt fills other slots.
        """
        if self._whole is None:
            return False
        self.guided, self.condition, self.cache.data, self.hidden = self._whole
        condition, own = vars(self._condition_of(values, null)), vars(self.condition)
        forms = [
            {name: None if x is None else x.shape for name, x in one.items()}
            for one in (condition, own)
        ]
        if forms[0] != forms[1]:
            return False
        for name, x in own.items():
            if x is not None:
                x.copy_(condition[name])
        self.tokens.copy_(tokens)
        self.numbers.copy_(numbers)
        self.next_step, self.passes, self.generated = self.first_step, 0, self.begun
        self.cache.length = 0
        alike = len(set(self.settings_of_rows)) == 1 and self.condition.valid is None
        if self._recorder is None and alike:
            self._recorder = Recorder.on(self.tokens.device)
        return True

    @property
    def is_whole(self) -> bool:
        """Whether it still has all the rows that it began with."""
        return self._whole is not None

    @property
    def nbytes(self) -> int:
        """Bytes of the KV cache and of the states beside it."""
        return sum(x.nbytes for x in (self.cache.data, *self.hidden.values()))

    def _interval_over(self) -> bool:
        """Guidance is counted in generated tokens, the seed token included, known ones not."""
        interval = self.settings.guidance_interval
        return -1 < interval < self.generated

    def _masks(self, device: torch.device) -> dict[int, Tensor]:
        """Who sees whom in a step that feeds several levels at once, bool [n, before + n].

        Where it feeds but one, all that has been fed is visible to it, and no mask is needed.
        """
        masks, fed = {}, 0
        for step, end in enumerate(self.ends[self.first_step :], self.first_step):
            levels = torch.from_numpy(self.sorted_levels[fed:end])
            if step == self.first_step:
                levels = torch.cat([self.model.condition_levels(self.length), levels])
                masks[step] = proximity_mask(levels).to(device)
            elif len(levels) and bool((levels != levels[0]).any()):
                ahead = self.length + fed, 0
                masks[step] = F.pad(proximity_mask(levels), ahead, value=True).to(device)
            fed = end
        return masks

    def _feed(self) -> None:
        """Run what the next front is told by and has not been run yet, and keep its states.

        Those are the cells of lower levels, in the first step behind the condition.
        """
        start, end = self.cache.length, self.length + self.ends[self.next_step]
        if start == end:
            return
        x = self.embedded(max(0, start - self.length), end - self.length)
        if start == 0:
            x = torch.cat([self.condition.slots, x], 1)
        rotations = None if self.rotations is None else self.rotations[start:end]
        for depth, states in self.model.run(x, rotations, self._mask(), self.cache).items():
            self.hidden[depth][:, start:end] = states
        self.passes += 1

    def embedded(self, start: int, end: int) -> Tensor:
        """Embeddings of the cells `order[start:end]`, null half last, [rows, n, D]."""
        tokens = self.tokens[:, self.cells[start:end]]
        tokens = torch.cat([tokens, tokens]) if self.guided else tokens
        places = None if self.places is None else self.places[start:end]
        return self.model.embed_tokens(tokens, self.cells[start:end], places, self.condition)

    def _mask(self) -> Tensor | None:
        """None when everything fed so far and now is visible to all that is fed now."""
        mask, valid = self.masks.get(self.next_step), self.condition.valid
        if valid is None:
            return mask
        fed = self.ends[self.next_step]
        valid = F.pad(valid, (0, fed), value=True)[:, None]
        if mask is None:
            return valid
        if self.cache.length:
            return mask & valid
        own = torch.eye(len(mask), dtype=torch.bool, device=mask.device)
        return (mask & valid) | own  # padding sees only itself

    @torch.inference_mode()
    def logits(self) -> Tensor:
        """Fused logits of the next front, [B, n, V], or [2B, n, V] with guidance (null last)."""
        self._turn()
        self._feed()
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
        self._turn()
        recorded = self._recorded.get(self.next_step)
        if recorded is None and self._recorder is not None:
            recorded = self._record(self._recorder)
        if recorded is None:
            drawn = self._drawn()
        else:
            drawn = recorded.replay()
            self.passes, self.cache.length = recorded.after
        self.generated += len(self.plan.steps[self.next_step].positions)
        self.next_step += 1
        return drawn

    def _record(self, recorder: Recorder) -> Recorded | None:
        """Record the next front and not decode it yet; None, for good, where that fails."""
        before = self.passes, self.cache.length
        drawn = recorder.record(self._drawn)
        if drawn is None:
            self._recorder, (self.passes, self.cache.length) = None, before
            return None
        graph, outputs = drawn
        recorded = Recorded(graph, outputs, (self.passes, self.cache.length))
        self._recorded[self.next_step] = recorded
        return recorded

    def _drawn(self) -> tuple[Tensor, Tensor]:
        """All that a step asks of the device; the host waits for nothing in it."""
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
        self._whole, self._recorder, self._recorded = None, None, {}
        self._keep(torch.cat([rows, rows + self.rows]) if self.guided else rows)
        self.tokens, self.numbers = self.tokens[rows], self.numbers[rows]
        self.settings_of_rows = [self.settings_of_rows[i] for i in rows.tolist()]
        self.rows = len(rows)

    def _turn(self) -> None:
        """Guidance may have an end, and then the null half is not needed again."""
        if self.guided and self.next_step and self._interval_over():
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
