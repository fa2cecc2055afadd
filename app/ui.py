"""Layout and wiring of the page. What happens is in handlers.py, what is drawn in web/."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app import export
from app.api import endpoints
from app.engines import Engines
from app.form import FORM_FIELDS, Form, form_of_link, seed_of_link
from app.handlers import Job, Studio
from app.line import Line
from app.player import head, lab, player, recent, routes
from app.presets import AS_TYPED, names_of, presets, styles_of, undress
from app.recipes import examples
from app.spec import spec_of
from nar_core import ModelInfo

log = logging.getLogger(__name__)

LANE = {"concurrency_limit": 1, "concurrency_id": "gpu"}
"""Everything that runs an engine shares one place in the queue."""

PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
"""Events of the page itself; the player shows what they do."""

STARTING = {**PRIVATE, "trigger_mode": "multiple"}
"""A new start must not be dropped because a stopped one is still ending (`Line` keeps order)."""

BRAND = """<div class="brand"><svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
<g fill="currentColor"><rect x="8" y="8" width="4" height="4" rx="1"/><g opacity=".6">
<rect x="8" y="3" width="4" height="4" rx="1"/><rect x="8" y="13" width="4" height="4" rx="1"/>
<rect x="3" y="8" width="4" height="4" rx="1"/><rect x="13" y="8" width="4" height="4" rx="1"/></g>
<g opacity=".28"><rect x="3" y="3" width="4" height="4" rx="1"/>
<rect x="13" y="3" width="4" height="4" rx="1"/><rect x="3" y="13" width="4" height="4" rx="1"/>
<rect x="13" y="13" width="4" height="4" rx="1"/></g></g></svg><span>NAR Studio</span></div>"""

NAMES = """<div class="names" role="group" aria-label="Names it was trained on" hidden></div>"""

STARTS = """<div class="starts"><span class="name">Starts from</span>
<div class="seg" role="group" aria-label="Starts from">
<button type="button" data-at="centre">Centre</button>
<button type="button" data-at="corner">Corner</button>
<button type="button" data-at="edge">Edge</button>
<button type="button" data-at="mirror" hidden>Upper right, mirrored</button></div>
<small>or click a cell</small></div>"""

SOURCE = """<div class="source"><label class="tile"><input type="file" accept="image/*" hidden>
<img alt="The picture to continue" hidden><span>Choose or drop a picture</span></label>
<small class="upload-note"></small>
<div class="tools"><span class="name">On the picture</span>
<div class="seg" role="group" aria-label="On the picture">
<button type="button" data-tool="keep" class="on" aria-pressed="true">Keep</button>
<button type="button" data-tool="erase" aria-pressed="false">Erase</button>
<button type="button" data-tool="seed" aria-pressed="false">Place seed</button></div></div></div>"""

FIRST = """<div class="source"><label class="tile"><input type="file" accept="image/*" hidden>
<img alt="The first frame" hidden><span>Begin with a picture</span></label>
<button type="button" class="clear">Begin with nothing</button>
<small class="upload-note"></small></div>"""

ABOUT = """# A picture can grow in every direction at once.
A raster model writes one token after another: 256 steps for a grid of 16 × 16. Here every token is
predicted by the neighbours that touch it, so a whole front appears in one step: 31 steps from the
corner, 17 from the centre.

A cell hears from each neighbour that is already there, one head for each direction, and the answers
are averaged. The same rule fills a hole, widens a picture and goes back to try again from the
middle.

*Neighboring Autoregressive Modeling for Efficient Visual Generation*, He et al., 2025
([arXiv 2503.10696](https://arxiv.org/abs/2503.10696)).

Results live in this tab; no picture is written on the server, and every downloaded PNG carries its
own recipe.
"""

TOGGLE_THEME = "() => { document.body.classList.toggle('dark'); }"

DICE = "() => Math.floor(Math.random() * 1000000)"

HEADS = [("Mixed", "mixed"), ("Horizontal", "horizontal"), ("Vertical", "vertical")]
CLIP_HEADS = [
    *HEADS,
    ("Temporal", "temporal"),
    ("H + V", "horizontal+vertical"),
    ("H + T", "horizontal+temporal"),
    ("V + T", "vertical+temporal"),
]
FUSIONS = [
    ("Mean of logits", "logits"),
    ("Mean of probabilities", "probabilities"),
    ("Most confident sender", "confident"),
    ("Freshest sender", "freshest"),
]


def theme() -> gr.themes.Base:
    """Ink on paper, system fonts: nothing is fetched from anywhere."""
    system = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial"]
    colours = {
        "body_background_fill": "var(--n-bg)",
        "background_fill_primary": "var(--n-surface)",
        "background_fill_secondary": "var(--n-sunken)",
        "body_text_color": "var(--n-ink)",
        "body_text_color_subdued": "var(--n-ink-3)",
        "border_color_primary": "var(--n-line)",
        "border_color_accent": "var(--n-accent)",
        "color_accent": "var(--n-accent)",
        "color_accent_soft": "var(--n-soft)",
        "block_background_fill": "transparent",
        "block_label_background_fill": "transparent",
        "block_label_text_color": "var(--n-ink-2)",
        "block_title_text_color": "var(--n-ink-2)",
        "block_info_text_color": "var(--n-ink-3)",
        "panel_background_fill": "transparent",
        "input_background_fill": "var(--n-surface)",
        "input_background_fill_focus": "var(--n-surface)",
        "input_border_color": "var(--n-line-2)",
        "input_border_color_focus": "var(--n-accent)",
        "input_placeholder_color": "var(--n-ink-3)",
        "slider_color": "var(--n-accent)",
        "button_primary_background_fill": "var(--n-accent)",
        "button_primary_background_fill_hover": "var(--n-accent)",
        "button_primary_text_color": "var(--n-on-accent)",
        "button_primary_border_color": "transparent",
        "button_secondary_background_fill": "var(--n-surface)",
        "button_secondary_background_fill_hover": "var(--n-sunken)",
        "button_secondary_text_color": "var(--n-ink)",
        "button_secondary_border_color": "var(--n-line-2)",
        "checkbox_background_color_selected": "var(--n-accent)",
        "checkbox_border_color_selected": "var(--n-accent)",
        "checkbox_label_background_fill": "transparent",
        "checkbox_label_background_fill_hover": "transparent",
        "checkbox_label_background_fill_selected": "var(--n-surface)",
        "checkbox_label_text_color": "var(--n-ink-2)",
        "checkbox_label_text_color_selected": "var(--n-ink)",
        "link_text_color": "var(--n-accent)",
        "link_text_color_hover": "var(--n-accent)",
        "link_text_color_active": "var(--n-accent)",
        "link_text_color_visited": "var(--n-accent)",
    }
    plain = {
        "block_border_width": "0px",
        "block_shadow": "none",
        "block_padding": "0px",
        "block_label_border_width": "0px",
        "block_title_text_size": "13px",
        "block_title_text_weight": "500",
        "input_border_width": "1px",
        "input_radius": "6px",
        "input_shadow": "none",
        "input_shadow_focus": "none",
        "button_large_radius": "8px",
        "button_medium_radius": "8px",
        "button_small_radius": "6px",
        "layout_gap": "16px",
        "form_gap_width": "0px",
    }
    both = {name: value for key, value in colours.items() for name in (key, f"{key}_dark")}
    base = gr.themes.Base(font=[*system, "sans-serif"], font_mono=["ui-monospace", "monospace"])
    return base.set(**{k: v for k, v in {**both, **plain}.items() if k in _THEME_KEYS})


_THEME_KEYS = set(gr.themes.Base.set.__code__.co_varnames)


def launch_options() -> dict[str, Any]:
    """What `launch()` needs to look right, the same for the application and its tests."""
    return {
        "theme": theme(),
        "head": head(),
        "app_kwargs": {"routes": routes()},
        "footer_links": ["api"],
        "run_history": False,
    }


def build(
    engines: Engines, default: str | None = None, limits: export.Limits = export.LIMITS
) -> gr.Blocks:
    """The whole page. No weights are loaded here.

    Args:
        engines: where models come from.
        default: name of the model shown first; the one named in presets.yaml if absent.
        limits: the largest file and picture that are taken.
    """
    studio = Studio(engines, limits)
    first = engines.first(default)
    with gr.Blocks(
        title="NAR Studio", analytics_enabled=False, delete_cache=(3600, 3600), fill_width=True
    ) as demo:
        # first, so that no private event of the page takes one of their names
        for name, function in endpoints(studio, first.name).items():
            lane = LANE if name in ("generate", "generate_stream", "outpaint", "animate") else {}
            gr.api(function, api_name=name, **lane)
        with gr.Row(elem_id="head"):
            gr.HTML(BRAND, apply_default_css=False, elem_id="brand")
            model = gr.Dropdown(
                engines.choices("image"),
                value=first.name,
                label="Model",
                show_label=False,
                container=False,
                elem_id="model",
                filterable=False,
            )
            gr.Button("◐", elem_id="theme", size="sm").click(None, js=TOGGLE_THEME)
            facts = _facts(studio, model, first)
        with gr.Tabs(elem_id="pages") as pages:
            with gr.Tab("Image", id="image"):
                linked = {"image": _studio_page(studio, "image", model, first, facts)}
            clips = engines.models("video")
            if clips:
                with gr.Tab("Video", id="video"):
                    linked["video"] = _studio_page(studio, "video", None, clips[0])
            with gr.Tab("Outpaint", id="outpaint"):
                _studio_page(studio, "outpaint", model, first, facts)
            with gr.Tab("Lab", id="lab"):
                _lab_page(studio, model, first)
            with gr.Tab("About", id="about"):
                gr.Markdown(ABOUT + _model_list(engines), elem_classes=["prose-page"])
        recent(examples())

        def closed(request: gr.Request) -> None:
            studio.line.closed(request.session_hash)

        demo.unload(closed)
        query = gr.State()
        # what has been fetched meanwhile
        demo.load(
            lambda: gr.update(choices=engines.choices("image")), None, model, queue=False,
            api_visibility="private", show_progress="hidden",
        )  # fmt: skip
        asked = demo.load(_query, None, query, queue=False, api_visibility="private")
        for media, (form, canvas) in linked.items():
            asked.then(
                lambda given, media=media: _fill(studio, given, first, media),
                query,
                [*form, canvas, pages],
                queue=False,
                api_visibility="private",
            )
    return demo


def _model_list(engines: Engines) -> str:
    """What the models are, as Markdown."""
    told = [
        f"**{m.title}**  \n{engines.facts(m)}  \nTrained on {m.trained_on}. {m.note}"
        for m in engines.models()
    ]
    more = "A model that is not here is fetched when something is first grown with it."
    return "\n## Models\n\n" + "\n\n".join([*told, more])


def _facts(studio: Studio, model: gr.Dropdown, first: ModelInfo) -> gr.HTML:
    """One line under a picker: what the chosen model is, and whether it is here."""
    line = gr.HTML(
        _facts_of(studio, first.name), apply_default_css=False, elem_classes=["model-facts"]
    )
    model.change(
        lambda name: _facts_of(studio, name),
        model,
        line,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    return line


def _facts_of(studio: Studio, name: str) -> str:
    return f"<small>{html.escape(studio.engines.facts(studio.engines.info(name)))}</small>"


def _query(request: gr.Request) -> dict[str, str]:
    """Query parameters of the page's address: a shared link."""
    return dict(request.query_params) if request else {}


def _controls(info: ModelInfo) -> dict[str, dict[str, Any]]:
    """What changes in the form with the model: field -> properties of its component."""
    words = info.task == "text"
    undressed = [undress(info.name, p) for p in info.prompts]
    examples = [typed for typed, _ in undressed]
    # Only styles the model has learnt are offered: those its own examples are in.
    styles = [s for s in styles_of(info.name) if s in {style for _, style in undressed}]
    axes = {d[1] for d in info.directions}
    heads = CLIP_HEADS if "t" in axes else HEADS
    names = [*styles, AS_TYPED]
    return {
        "prompt": {
            "visible": words,
            "placeholder": ", ".join(examples[:3]) if examples else "Describe a picture",
        },
        "style": {"visible": words and bool(styles), "choices": names, "value": names[0]},
        "label": {
            "visible": not words,
            "choices": list(info.labels),
            "value": _first_label(info),
        },
        "guidance": {"value": info.guidance_scale},
        "heads": {"choices": heads, "value": "mixed"},
        "fusion": {"value": "logits"},
        "temperature": {"value": info.temperature},
        "top_k": {"value": info.top_k},
        "top_p": {"value": info.top_p},
        "min_p": {"value": info.min_p},
    }


def _first_label(info: ModelInfo) -> str | None:
    """The class shown first: the one named in presets.yaml, or the model's first."""
    wanted = presets()["models"].get(info.name, {}).get("label")
    return wanted if wanted in info.labels else next(iter(info.labels), None)


def _studio_page(
    studio: Studio,
    mode: str,
    model: gr.Dropdown | None,
    first: ModelInfo,
    facts: gr.HTML | None = None,
) -> tuple[list[gr.Component], gr.HTML]:
    """Ask, stage and settings of one page; returns the form's components and the player.

    A page without a `model` of its own kind in the head, and the `facts` under it, gets a choice
    among its settings.
    """
    limits = presets()["limits"]
    start = _controls(first)

    def growth(file: str) -> dict[str, str]:
        return studio.growth(file)

    def clip(given: dict[str, Any]) -> dict[str, str]:
        return studio.clip(given)

    def names(model: str) -> dict[str, list[str]]:
        return names_of(studio.engines.info(str(model)))

    example = undress(first.name, first.prompts[0])[0] if first.prompts else ""
    with gr.Row(elem_classes=["studio", mode], elem_id=f"studio-{mode}"):
        with gr.Column(elem_classes=["ask"]):
            if mode == "outpaint":
                gr.HTML(SOURCE, apply_default_css=False)
            if mode == "video":
                gr.HTML(FIRST, apply_default_css=False)
            prompt = gr.Textbox(
                example,
                label="Prompt",
                lines=2,
                max_lines=4,
                elem_classes=["prompt"],
                **start["prompt"],
            )
            gr.HTML(NAMES, apply_default_css=False, elem_classes=["names-row"])
            label = gr.Dropdown(
                label="What to grow", elem_classes=["label"], filterable=True, **start["label"]
            )
            style = gr.Radio(
                label="Style",
                show_label=False,
                elem_classes=["seg", "style-choice"],
                **start["style"],
            )
            gr.Button("Grow", variant="primary", elem_classes=["grow"])
            gr.Button("Stop", variant="secondary", elem_classes=["stop"])
        with gr.Column(elem_classes=["stage"]):
            canvas = player(
                mode,
                spec_of(first),
                [*_line(studio), growth, clip, names],
                elem_id=f"player-{mode}",
            )
        with gr.Column(elem_classes=["settings"]):
            own = model is None
            if model is None:
                choices = studio.engines.choices("video")
                model = gr.Dropdown(choices, value=first.name, label="Model", filterable=False)
                facts = _facts(studio, model, first)
            if mode != "outpaint":
                gr.HTML(STARTS, apply_default_css=False)
            guidance = gr.Slider(
                limits["guidance"]["min"],
                limits["guidance"]["max"],
                step=limits["guidance"]["step"],
                label="Guidance",
                buttons=[],
                **start["guidance"],
            )
            heads = gr.Radio(label="Heads", elem_classes=["seg", "heads"], **start["heads"])
            with gr.Row(elem_classes=["pair"]):
                rng_seed = gr.Number(
                    7, label="Rng seed", precision=0, minimum=0, elem_classes=["rng"], min_width=80
                )
                dice = gr.Button("⚄", elem_classes=["dice"], min_width=36, scale=0)
                pictures = gr.Radio(
                    limits["pictures"],
                    value=1,
                    label="Pictures",
                    elem_classes=["seg", "pictures"],
                    min_width=80,
                )
            with gr.Accordion("Sampling", open=False, elem_classes=["more"]):
                fusion = gr.Dropdown(
                    FUSIONS, label="Where senders meet", filterable=False, **start["fusion"]
                )
                temperature, top_k, top_p, min_p = (
                    gr.Slider(
                        limits[name]["min"],
                        limits[name]["max"],
                        step=limits[name]["step"],
                        label=title,
                        buttons=[],
                        **start[name],
                    )
                    for name, title in (
                        ("temperature", "Temperature"),
                        ("top_k", "Top-k (0 is off)"),
                        ("top_p", "Top-p (1 is off)"),
                        ("min_p", "Min-p before guidance (0 is off)"),
                    )
                )
    dice.click(None, None, rng_seed, js=DICE)
    form = [
        model, prompt, style, label, guidance, heads, fusion, temperature, top_k, top_p,
        min_p, rng_seed, pictures,
    ]  # fmt: skip
    _wire_growth(studio, canvas, form, facts)
    handed = [f for f in FORM_FIELDS if f not in ("model", "pictures")]
    asked = dict(zip(FORM_FIELDS, form, strict=True))
    _wire_handover(studio, canvas, model, {name: asked[name] for name in handed})

    def change_model(name: str) -> list[Any]:
        info = studio.engines.info(name)
        updates = [gr.update(**properties) for properties in _controls(info).values()]
        return [*updates, {"kind": "model", "spec": spec_of(info)}]

    # a shared link fills the first page by itself; the others follow the model
    (model.input if mode == "image" or own else model.change)(
        change_model,
        model,
        [*(asked[field] for field in start), canvas],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    return form, canvas


def _wire_growth(studio: Studio, canvas: gr.HTML, form: list[gr.Component], facts: gr.HTML) -> None:
    """Start: check at once (a toast, no compute), then wait for the engine."""

    def check(event: gr.EventData, *values: Any) -> Job:
        return studio.check(Form(*values), event._data)

    growth = _wire_start(studio.line, canvas, form, check, studio.grow)

    # a model that was fetched for it is on this machine now
    growth.success(lambda name: _facts_of(studio, name), form[0], facts, queue=False, **PRIVATE)

    def replay(event: gr.EventData) -> dict[str, Any]:
        try:
            return studio.replay(event._data["file"], str(event._data["run"])[:64])
        except ValueError as error:
            raise gr.Error(str(error), title="Not replayed", print_exception=False) from error

    canvas.replay(replay, None, canvas, concurrency_limit=None, **PRIVATE)


def _wire_start(
    line: Line,
    canvas: gr.HTML,
    form: list[gr.Component],
    check: Callable[..., Any],
    grow: Callable[[Any], Iterator[dict[str, Any]]],
) -> Any:
    """`check` makes a job of a start, or raises ValueError; `grow` yields its messages.

    Several starts may be under way, all but the last stopped, so the checked jobs wait in a dict:
    one place for them could be overwritten by a check that took longer.
    """
    checked = gr.State({})

    def checking(
        event: gr.EventData, request: gr.Request, jobs: dict[str, Any], *values: Any
    ) -> dict[str, Any]:
        run = str(event._data["run"])[:64]
        try:
            jobs[run] = check(event, *values)
            line.belongs(run, request.session_hash)
        except ValueError as error:
            raise gr.Error(str(error), title="Not started", print_exception=False) from error
        return jobs

    def growing(jobs: dict[str, Any]) -> Iterator[dict[str, Any]]:
        while jobs:
            run = next(iter(jobs))
            yield from _reported(grow(jobs.pop(run)), run)

    # in the queue, because only there an error becomes a toast; not in the engine's lane
    begun = canvas.start(checking, [checked, *form], checked, concurrency_limit=None, **STARTING)
    growth = begun.success(growing, checked, canvas, **LANE, **STARTING)
    for event in (begun, growth):  # also where the queue is full
        event.failure(lambda: {"kind": "rejected"}, None, canvas, queue=False, **PRIVATE)
    return growth


def _line(studio: Studio) -> list[Callable[[str], Any]]:
    """What a page may ask outside the queue: who is ahead of a run, and that it end."""

    def place(run: str) -> dict[str, float]:
        return studio.line.place(str(run)[:64])

    def stop(run: str) -> None:
        studio.line.stop(str(run)[:64])

    return [place, stop]


def _lab_page(studio: Studio, model: gr.Dropdown, first: ModelInfo) -> None:
    """Two to four growths in step, from one prompt and one rng seed."""
    start = _controls(first)
    example = undress(first.name, first.prompts[0])[0] if first.prompts else ""
    with gr.Column(elem_classes=["lab-page"]):
        with gr.Row(elem_classes=["lab-head"]):
            prompt = gr.Textbox(
                example, label="Prompt", elem_classes=["prompt"], min_width=200, **start["prompt"]
            )
            label = gr.Dropdown(label="What to grow", min_width=200, **start["label"])
            style = gr.Radio(
                label="Style", elem_classes=["seg", "style-choice"], min_width=120, **start["style"]
            )
            rng_seed = gr.Number(7, label="Rng seed", precision=0, minimum=0, min_width=80)
            gr.Button("Grow all", variant="primary", elem_classes=["grow"], min_width=120)
            gr.Button("Stop", variant="secondary", elem_classes=["stop"], min_width=120)
        panes = lab(spec_of(first), studio.comparisons(first.name), _line(studio))

    def check(
        event: gr.EventData, name: str, words: str, style: str, of: str, rng: int
    ) -> list[Job]:
        form = Form(name, words, style, of, rng_seed=rng)
        return studio.check_comparison(form, event._data)

    values = [model, prompt, style, label, rng_seed]
    _wire_start(studio.line, panes, values, check, studio.compare)

    def change_model(name: str) -> list[Any]:
        info = studio.engines.info(name)
        controls = _controls(info)
        message = {"kind": "model", "spec": spec_of(info)}
        message["sets"] = studio.comparisons(name)
        return [*(gr.update(**controls[field]) for field in ("prompt", "style", "label")), message]

    model.change(change_model, model, [prompt, style, label, panes], queue=False, **PRIVATE)
    asked = dict(zip(("prompt", "style", "label", "rng_seed"), values[1:], strict=True))
    _wire_handover(studio, panes, model, asked)


def _wire_handover(
    studio: Studio, canvas: gr.HTML, model: gr.Dropdown, form: dict[str, gr.Component]
) -> None:
    """A result that is sent to this page fills its form, as a shared link does."""

    def fill(event: gr.EventData, name: str) -> list[Any]:
        given = {str(k): str(v) for k, v in event._data["query"].items()}
        values = form_of_link(studio.engines.info(name), given)
        return [gr.update(value=values[f]) if f in values else gr.skip() for f in form]

    canvas.fill(fill, model, list(form.values()), queue=False, **PRIVATE)


def _reported(growth: Iterator[dict[str, Any]], run: str) -> Iterator[dict[str, Any]]:
    """Messages of a growth; a failure is logged, told to the player and shown as a toast."""
    # At once, because Gradio 6.31 forgets to close a generator that has not yielded yet: a tab
    # that was closed during the first step would keep the engine.
    yield {"kind": "begun", "run": run}
    try:
        yield from growth
    except ValueError as error:
        yield {"kind": "failed", "run": run}
        # stays until it is closed: it may say what to download and where to put it
        raise gr.Error(
            str(error), duration=None, title="Not grown", print_exception=False
        ) from error
    except Exception as error:
        log.exception("growth failed")
        yield {"kind": "failed", "run": run}
        raise gr.Error(f"{type(error).__name__}: {error}", title="Growth failed") from error


def _fill(studio: Studio, given: dict[str, str], first: ModelInfo, media: str) -> list[Any]:
    """A shared link -> the form and the player of its page; what is unreadable stays as it was."""
    skip = [gr.skip()] * (len(FORM_FIELDS) + 2)
    if not given or not ({"model", "prompt", "label", "seed"} & set(given)):
        return skip
    try:
        info = studio.engines.info(given.get("model", first.name))
    except ValueError as error:
        if media == first.media:
            gr.Warning(str(error), title="Link")
        return skip
    if info.media != media:
        return skip
    values = {"model": {"value": info.name}, **_controls(info)}
    values |= {"rng_seed": {}, "pictures": {}}
    for field, value in form_of_link(info, given).items():
        values[field] = {**values[field], "value": value}
    seed = seed_of_link(info, given)
    message = {"kind": "model", "spec": spec_of(info), "seed": seed}
    page = gr.update(selected=media)
    return [*(gr.update(**values[field]) for field in FORM_FIELDS), message, page]
