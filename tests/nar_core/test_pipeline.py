"""The engine in the manner of diffusers."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from nar_core import Engine, NARPipeline, Original, Request
from nar_core.pipeline import output_class
from nar_core.preview import UNKNOWN

from .helpers import write_model_folder


@pytest.fixture(scope="module")
def pipe(root):
    return NARPipeline.from_pretrained(root / "words", torch_dtype=torch.float32, device="cpu")


def tokens_of(pipe, **fields) -> np.ndarray:
    return pipe.engine.generate_all(Request(**fields)).tokens


def test_a_prompt_gives_the_engines_picture(pipe):
    out = pipe("red apple", generator=torch.Generator().manual_seed(7), guidance_scale=3.0)
    tokens = tokens_of(pipe, prompt="red apple", rng_seed=7, guidance_scale=3.0)
    [image], [[frame]] = out.images, out.frames
    assert np.array_equal(np.asarray(image), pipe.engine.decode(tokens)[0, 0])
    assert np.array_equal(np.asarray(frame), np.asarray(image))
    assert np.array_equal(pipe("red apple", generator=7, guidance_scale=3.0).images[0], image)


def test_several_prompts_grow_together(pipe):
    latent = pipe(["red apple", "owl"], num_images_per_prompt=2, output_type="latent").images
    assert len(latent) == 4
    for row, (prompt, seed) in enumerate([("red apple", 0), ("red apple", 1), ("owl", 2)]):
        alone = tokens_of(pipe, prompt=prompt, rng_seed=seed)
        assert np.array_equal(latent[row], alone[0])


def test_classes_and_a_plain_tuple(root):
    pipe = NARPipeline(Engine.load(root / "classes", device="cpu", dtype="float32"))
    images, frames = pipe(class_labels=["class 4", 2], output_type="np", return_dict=False)
    wanted = pipe.engine.decode(tokens_of(pipe, label=("class 4", 2), num_samples=2))
    assert images.shape == (2, 32, 40, 3)
    assert np.array_equal((images * 255).round().astype(np.uint8), wanted[:, 0])
    assert np.array_equal(frames[:, 0], images)
    one = pipe(class_labels=np.int64(2), output_type="latent").images
    assert np.array_equal(one, tokens_of(pipe, label=2))


def test_clips_give_all_their_frames(tmp_path):
    folder = write_model_folder(tmp_path, "clips", frames=4)
    out = NARPipeline.from_pretrained(folder, device="cpu")("owl")
    assert [len(clip) for clip in out.frames] == [4]
    assert np.array_equal(np.asarray(out.images[0]), np.asarray(out.frames[0][0]))


def test_a_callback_hears_of_every_step(pipe):
    heard = []

    def callback(given, step, timestep, values):
        assert given is pipe
        assert set(values) == {"tokens", "confidence"}
        heard.append((step, timestep, int((values["tokens"] >= 0).sum())))
        return values

    out = pipe(
        "owl",
        seed_position=(0, 0),
        callback_on_step_end=callback,
        callback_on_step_end_tensor_inputs=["tokens", "confidence"],
    )
    total = 4 + 5 - 1
    assert [(step, left) for step, left, _ in heard] == [(i, total - 1 - i) for i in range(total)]
    assert [known for *_, known in heard][-1] == 20
    assert np.array_equal(out.images[0], pipe("owl", seed_position=(0, 0)).images[0])


def test_growth_goes_on_from_tokens_that_a_callback_changes(pipe):
    """Also in place, as is usual."""

    def callback(_, step, __, values):
        if step == 2:
            values["tokens"][0, 0, 0, 0] = 3
        return values

    plain = pipe("owl", seed_position=(0, 0), output_type="latent").images
    frames = list(pipe.engine.generate(Request(prompt="owl", seed_position=(0, 0))))
    assert plain[0, 0, 0, 0] != 3
    out = pipe("owl", seed_position=(0, 0), output_type="latent", callback_on_step_end=callback)
    changed = frames[2].tokens.copy()
    changed[0, 0, 0, 0] = 3
    frame = type(frames[2])(**{**frames[2].__dict__, "tokens": changed})
    assert np.array_equal(out.images, tokens_of(pipe, resume=frame))
    assert out.images[0, 0, 0, 0] == 3


def test_a_callback_can_end_the_growth(pipe):
    steps = []

    def callback(given, step, timestep, values):
        steps.append(step)
        given._interrupt = step == 3

    out = pipe("owl", seed_position=(0, 0), callback_on_step_end=callback)
    assert steps == [0, 1, 2, 3]
    frames = list(pipe.engine.generate(Request(prompt="owl", seed_position=(0, 0))))
    assert np.array_equal(np.asarray(out.images[0]), pipe.engine.preview(frames[3].tokens)[0, 0])
    assert len(pipe("owl").images) == 1  # and the next one begins anew


def test_what_is_white_in_a_mask_is_grown_anew(pipe):
    pixels = pipe.engine.decode(tokens_of(pipe, prompt="red apple", rng_seed=3))[0, 0]
    mask = np.zeros((32, 40), np.uint8)
    mask[9, 17] = 255  # one pixel of the cell (1, 2)
    heard = []
    pipe(
        "owl",
        image=Image.fromarray(pixels),
        mask_image=Image.fromarray(mask),
        callback_on_step_end=lambda *given: heard.append(given[1:3]),
    )
    assert heard == [(0, 0)]
    given = pipe("owl", image=Image.fromarray(pixels), mask_image=Image.fromarray(mask))
    known = pipe.engine.encode(Image.fromarray(pixels))
    known[0, 0, 1, 2] = -1
    video = pipe.engine.decode(tokens_of(pipe, prompt="owl", known=known))
    made = Original(pixels, known[0] >= 0).blended(video)
    assert np.array_equal(np.asarray(given.images[0]), made[0, 0])


def test_what_is_black_in_a_mask_comes_back_unchanged(pipe):
    """Also of a growth that is ended before its last step, whose other cells are still grey."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    mask = np.zeros((32, 40), np.uint8)
    mask[8:24, 8:32] = 255
    kept = mask == 0

    def end(pipe, step, left, values):
        pipe._interrupt = True

    given = {"image": Image.fromarray(pixels), "mask_image": Image.fromarray(mask)}
    done = np.asarray(pipe("owl", **given).images[0])
    begun = np.asarray(pipe("owl", **given, callback_on_step_end=end).images[0])
    for made in (done, begun):
        assert np.array_equal(made[kept], pixels[kept])
        assert (made[~kept] != pixels[~kept]).any()
    assert (begun[~kept] == UNKNOWN).all(-1).any()


def test_what_it_does_not_know_is_refused(pipe):
    with pytest.raises(ValueError, match=r"expected \('tokens', 'confidence'\)"):
        pipe("owl", callback_on_step_end_tensor_inputs=["latents"])
    with pytest.raises(ValueError, match="output_type: got 'pt', expected pil, np or latent"):
        pipe("owl", output_type="pt")
    with pytest.raises(ValueError, match="guidance_scale"):
        pipe("owl", guidance_scale=-1.0)
    for value, what in ((0, "no white"), (255, "white in every cell")):
        even = Image.new("L", (40, 32), value)
        with pytest.raises(ValueError, match=f"mask_image: got one with {what}, expected cells to"):
            pipe("owl", image=Image.new("RGB", (40, 32)), mask_image=even)
    with pytest.raises(ValueError, match="mask_image: got one, expected none without an image"):
        pipe("owl", mask_image=Image.new("L", (40, 32)))
    for seed in ("seven", True):
        with pytest.raises(ValueError, match=rf"generator: got .*{seed}"):
            pipe("owl", generator=seed)
    for count in (0, 1.5, True, "2", None):
        with pytest.raises(ValueError, match=r"num_images_per_prompt: got .*, expected a whole"):
            pipe("owl", num_images_per_prompt=count)
    with pytest.raises(ValueError, match=r"prompt: got .*, expected one text, or 2"):
        pipe(["owl", ["owl"]])
    picture = Image.new("RGB", (40, 32))
    with pytest.raises(ValueError, match="mask_image: got none beside an image"):
        pipe("owl", image=picture)
    with pytest.raises(ValueError, match=r"picture: got .*, expected a PIL picture"):
        pipe("owl", image=picture, mask_image="mask.png")
    # it would be overwritten, and so ignored
    for name in ("rng_seed", "num_samples", "keep", "negative_prompt"):
        with pytest.raises(ValueError, match=f"{name}: got 3, expected seed_position or a"):
            pipe("owl", **{name: 3})


def test_tokens_of_a_callback_that_are_none_are_refused(pipe):
    for wrong in (lambda x: -np.ones_like(x), lambda x: x + 0.5, lambda x: x[0]):
        with pytest.raises(ValueError, match="resume: got"):
            pipe(
                "owl",
                callback_on_step_end=lambda _, step, __, told, wrong=wrong: (
                    {"tokens": wrong(told["tokens"])} if step == 2 else None
                ),
            )


def test_on_another_device_it_is_loaded_as_it_was_asked_for(pipe, monkeypatch):
    assert pipe.to("cpu") is pipe
    asked = []
    monkeypatch.setattr(Engine, "load", lambda *given: asked.append(given) or pipe.engine)
    pipe.to("meta")
    assert asked == [(pipe.engine.folder, "meta", torch.float32)]


def test_where_diffusers_is_installed_an_output_is_one_of_its_own(monkeypatch):
    @dataclass
    class BaseOutput:
        def to_tuple(self):
            return self.images, self.frames

    package, utils = ModuleType("diffusers"), ModuleType("diffusers.utils")
    package.utils, utils.BaseOutput = utils, BaseOutput
    package.__spec__ = importlib.util.spec_from_loader("diffusers", None)
    output_class.cache_clear()
    for name, module in (("diffusers", package), ("diffusers.utils", utils)):
        monkeypatch.setitem(sys.modules, name, module)
    try:
        made = output_class()([1], [2])
        assert isinstance(made, BaseOutput)
        assert made.to_tuple() == ([1], [2])
    finally:
        output_class.cache_clear()
